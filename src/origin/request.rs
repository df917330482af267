//! One origin request as ureq takes it: the target, the fields and the framing of the body.
//!
//! Checked before any address is dialled. What the `http` crate cannot express is percent-encoded (target) or refused.
//! Refuses to decide which fields go to the origin: that is the caller's; only Host and framing are set here.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ureq::SendBody;
use ureq::http::uri::PathAndQuery;
use ureq::http::{HeaderName, HeaderValue, Method, Request, Uri, header};

use super::error::Cause;

/// A request for a site's origin.
pub struct OriginRequest<'a> {
    /// Any token but CONNECT.
    pub method: &'a str,
    /// Path and query as for the wire, or `*`.
    pub target: &'a str,
    /// The accelerated name that the client asked for, without port; empty if it named none.
    pub host: &'a str,
    /// For the policy `follow`.
    pub client_is_https: bool,
    /// Fields to send, without hop-by-hop ones. Host, Content-Length, Transfer-Encoding and Expect among them are
    /// dropped: they are set here or never sent.
    pub fields: &'a [(&'a str, &'a [u8])],
    /// The buffered body.
    pub body: Option<Upload>,
}

/// A request body that lies ready in full and can be read any number of times.
pub struct Upload {
    /// Its bytes.
    pub length: u64,
    /// A reader from the start, for each attempt.
    pub open: Box<OpenUpload>,
}

/// Opens a fresh reader on a buffered body.
pub type OpenUpload = dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync;

/// Method, target and fields in the types of the `http` crate, Host and scheme left open.
pub struct Prepared {
    method: Method,
    target: PathAndQuery,
    fields: Vec<(HeaderName, HeaderValue)>,
    /// Length of the body to send, if there is one.
    upload: Option<u64>,
    /// Bytes of the head, about, and no less.
    size: usize,
}

impl Prepared {
    /// Checks all that does not depend on the server.
    pub fn new(request: &OriginRequest<'_>) -> Result<Prepared, Cause> {
        let method = Method::from_bytes(request.method.as_bytes())
            .ok()
            .filter(|method| method != Method::CONNECT)
            .ok_or_else(|| Cause::Request(format!("the method {:?}", request.method)))?;
        let target = encode_target(request.target)
            .ok_or_else(|| Cause::Request("a target that is no path or too long".into()))?;
        let mut fields = Vec::with_capacity(request.fields.len().saturating_add(2));
        for (name, value) in request.fields {
            let refused = || Cause::Request(format!("the field {name:?}"));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
            if SET_HERE.contains(&name) {
                continue;
            }
            fields.push((name, HeaderValue::from_bytes(value).map_err(|_| refused())?));
        }
        let upload = request.body.as_ref().map(|body| body.length).filter(|_| method != Method::HEAD);
        // Without a length ureq would send `transfer-encoding: chunked` for these methods.
        let needs_length = matches!(method, Method::POST | Method::PUT | Method::PATCH);
        if let Some(length) = upload.or(needs_length.then_some(0)) {
            fields.push((header::CONTENT_LENGTH, HeaderValue::from(length)));
        }
        let of_field = |(name, value): &(HeaderName, HeaderValue)| name.as_str().len() + value.len() + 4;
        let size = fields.iter().map(of_field).sum::<usize>() + target.as_str().len() + request.method.len();
        Ok(Prepared { method, target, fields, upload, size })
    }

    /// The request for one server.
    pub fn build(
        &self,
        host: &str,
        is_tls: bool,
        body: SendBody<'static>,
    ) -> Result<Request<SendBody<'static>>, Cause> {
        let refused = |what: &dyn std::fmt::Display| Cause::Request(what.to_string());
        let host = HeaderValue::from_str(host).map_err(|error| refused(&error))?;
        // The scheme lets ureq insist on TLS (its error TlsRequired); the authority is only a label, Host is set.
        let scheme = if is_tls { "https" } else { "http" };
        let uri = Uri::builder().scheme(scheme).authority("origin").path_and_query(self.target.clone());
        let mut request = Request::new(body);
        *request.uri_mut() = uri.build().map_err(|error| refused(&error))?;
        *request.method_mut() = self.method.clone();
        let headers = request.headers_mut();
        headers.try_reserve(self.fields.len().saturating_add(1)).map_err(|error| refused(&error))?;
        headers.insert(header::HOST, host);
        for (name, value) in &self.fields {
            headers.try_append(name.clone(), value.clone()).map_err(|error| refused(&error))?;
        }
        Ok(request)
    }

    /// Room that the head needs when serialised, for a Host of `host` bytes.
    pub fn head_size(&self, host: usize) -> usize {
        self.size.saturating_add(host).saturating_add(64)
    }

    /// The body's length, if one is sent.
    pub fn upload(&self) -> Option<u64> {
        self.upload.filter(|length| *length > 0)
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// True where a second sending does no harm (RFC 9110 §9.2.2).
    pub fn is_idempotent(&self) -> bool {
        is_idempotent(self.method.as_str())
    }
}

/// GET, HEAD, OPTIONS, TRACE, PUT and DELETE (RFC 9110 §9.2.2). Unknown methods are not.
pub fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
}

/// The target as sent. Most go byte for byte; in the others, bytes that the `http` crate refuses or cuts off at are
/// percent-encoded.
fn encode_target(target: &str) -> Option<PathAndQuery> {
    let exact = |text: &str| PathAndQuery::try_from(text).ok().filter(|parsed| parsed.as_str() == text);
    if !target.starts_with('/') && target != "*" {
        return None;
    }
    if let Some(same) = exact(target) {
        return Some(same);
    }
    let mut encoded = String::with_capacity(target.len().saturating_add(32));
    for byte in target.bytes() {
        if byte.is_ascii_graphic() && !b"<>\"`#".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    exact(&encoded)
}

/// Reads a buffered body for ureq: exactly as many bytes as declared, or an error, because ureq would spin on a body
/// that ends early.
pub struct UploadReader {
    /// The body.
    pub inner: Box<dyn Read + Send>,
    /// Bytes still to give.
    pub left: u64,
    /// The origin has answered: the rest is made up, and the transport throws it away.
    pub is_answered: Arc<AtomicBool>,
}

impl Read for UploadReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(out.len(), |left| left.min(out.len()));
        let room = out.get_mut(..most).unwrap_or_default();
        let is_answered = self.is_answered.load(Ordering::Relaxed);
        let count = if is_answered || room.is_empty() { room.len() } else { self.inner.read(room)? };
        if count == 0 && self.left > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body is shorter than declared"));
        }
        self.left = self.left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        Ok(count)
    }
}

const SET_HERE: [HeaderName; 4] = [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_go_as_they_are_or_percent_encoded() {
        let same = ["/", "/a?b", "//x", "/../y", "/a??b=?", "/|{}^\\[]", "/%zz%00", "*"];
        for target in same {
            assert_eq!(encode_target(target).unwrap().as_str(), target);
        }
        let rows = [
            ("/a<b>", "/a%3Cb%3E"),
            ("/`", "/%60"),
            ("/?q=\"x\"", "/?q=%22x%22"),
            ("/a#b", "/a%23b"),
            ("/a b", "/a%20b"),
        ];
        for (target, sent) in rows {
            assert_eq!(encode_target(target).unwrap().as_str(), sent);
        }
        for refused in ["", "a", "?x", "http://a/"] {
            assert!(encode_target(refused).is_none(), "{refused}");
        }
    }

    fn request<'a>(method: &'a str, fields: &'a [(&'a str, &'a [u8])], body: Option<u64>) -> OriginRequest<'a> {
        let body = body.map(|length| Upload { length, open: Box::new(|| Ok(Box::new(io::empty()))) });
        OriginRequest { method, target: "/", host: "a.example", client_is_https: false, fields, body }
    }

    fn length(method: &str, body: Option<u64>) -> Option<String> {
        let prepared = Prepared::new(&request(method, &[], body)).unwrap();
        let built = prepared.build("a.example", false, SendBody::none()).unwrap();
        built.headers().get("content-length").map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn every_request_says_how_long_its_body_is() {
        let rows = [
            ("GET", None, None),
            ("POST", None, Some("0")),
            ("PUT", None, Some("0")),
            ("PATCH", Some(0), Some("0")),
            ("POST", Some(7), Some("7")),
            ("DELETE", Some(7), Some("7")),
            ("HEAD", Some(7), None),
        ];
        for (method, body, sent) in rows {
            assert_eq!(length(method, body).as_deref(), sent, "{method}");
        }
    }

    #[test]
    fn host_and_framing_of_the_caller_are_not_sent() {
        let fields: [(&str, &[u8]); 4] =
            [("Host", b"evil"), ("Transfer-Encoding", b"chunked"), ("Expect", b"100-continue"), ("X-A", b"caf\xe9")];
        let prepared = Prepared::new(&request("GET", &fields, None)).unwrap();
        let built = prepared.build("b.example", true, SendBody::none()).unwrap();
        let sent: Vec<_> = built.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(sent, [("host", &b"b.example"[..]), ("x-a", b"caf\xe9")]);
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        assert!(matches!(Prepared::new(&request("CONNECT", &[], None)), Err(Cause::Request(_))));
        assert!(matches!(Prepared::new(&request("GE T", &[], None)), Err(Cause::Request(_))));
        assert!(matches!(Prepared::new(&request("GET", &[("X", b"a\r\nB: c")], None)), Err(Cause::Request(_))));
        assert!(matches!(Prepared::new(&request("GET", &[("X Y", b"a")], None)), Err(Cause::Request(_))));
    }

    #[test]
    fn an_upload_that_ends_early_is_an_error_and_an_answered_one_is_filled_up() {
        let is_answered = Arc::new(AtomicBool::new(false));
        let inner = Box::new(io::Cursor::new(b"abc".to_vec()));
        let mut reader = UploadReader { inner, left: 5, is_answered: Arc::clone(&is_answered) };
        let mut out = [0; 8];
        assert_eq!(reader.read(&mut out).unwrap(), 3);
        assert_eq!(reader.read(&mut out).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        is_answered.store(true, Ordering::Relaxed);
        assert_eq!(reader.read(&mut out).unwrap(), 2);
        assert_eq!(reader.read(&mut out).unwrap(), 0);
    }
}
