//! Which fields go on to the origin, which come back to the client, and what we add (RFC 9110 §7.6, reliability 8, 10).

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use super::request::Request;
use crate::http1::{ConnectionOptions, ResponseHead};
use crate::policy::withheld::Withheld;
use crate::store::StoredHead;
use crate::time::{HttpDate, Now};

/// One field for the wire.
pub type Field<'a> = (&'a str, Cow<'a, [u8]>);

/// Who we are in Via and CDN-Loop.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The member that we add to CDN-Loop: our name and a number of this very instance.
    loop_member: String,
}

impl Identity {
    /// `number` tells this instance from others of the same name, so that one Millpond may fetch from another.
    pub fn new(number: u64) -> Identity {
        Identity { loop_member: format!("{NAME}; id={number:016x}") }
    }

    /// Has the request been here before (RFC 8586 §2)? True for our own member, for our bare name, which nobody else may
    /// use, and for more Millponds in a row than any sane set-up has.
    pub fn is_loop<'a>(&self, values: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut others = 0;
        for member in values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
            if member.eq_ignore_ascii_case(self.loop_member.as_bytes()) || member.eq_ignore_ascii_case(NAME.as_bytes())
            {
                return true;
            }
            let name = member.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            others += usize::from(name.eq_ignore_ascii_case(NAME.as_bytes()));
        }
        others >= MOST_OTHERS
    }
}

/// What a fetch is for, as far as its request fields go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The answer may be stored: the client's own conditions and ranges stay behind.
    Store,
    /// The answer is for this client alone.
    Pass,
}

/// The fields of the origin request, but for Host and the framing fields, which `origin` writes.
pub fn to_origin<'a>(request: &'a Request, purpose: Purpose, identity: &'a Identity) -> Vec<Field<'a>> {
    let options = ConnectionOptions::of(request.fields());
    let mut fields: Vec<Field<'a>> = Vec::with_capacity(16);
    let mut via = Vec::new();
    let mut cdn_loop = Vec::new();
    for (name, value) in request.fields() {
        if name.eq_ignore_ascii_case("via") {
            join(&mut via, value);
        } else if name.eq_ignore_ascii_case("cdn-loop") {
            join(&mut cdn_loop, value);
        } else if options.drops(name) || is_ours(name) || (purpose == Purpose::Store && is_conditional(name)) {
            // It ends here.
        } else {
            fields.push((name, Cow::Borrowed(value)));
        }
    }
    join(&mut via, via_member(request.version));
    join(&mut cdn_loop, identity.loop_member.as_bytes());
    let hops = (request.method() == "OPTIONS").then(|| hops_left(request.fields())).flatten();
    fields.extend(hops.map(|hops| ("Max-Forwards", Cow::Owned(hops.saturating_sub(1).to_string().into_bytes()))));
    fields.push(("Via", Cow::Owned(via)));
    fields.push(("CDN-Loop", Cow::Owned(cdn_loop)));
    let scheme = if request.is_https { "https" } else { "http" };
    let client = canonical(request.client);
    fields.push(("X-Forwarded-For", Cow::Owned(client.to_string().into_bytes())));
    fields.push(("X-Forwarded-Proto", Cow::Borrowed(scheme.as_bytes())));
    // As in the key: a spelling or a port that one client chose must not show in what all get.
    fields.push(("X-Forwarded-Host", Cow::Borrowed(request.host().as_bytes())));
    fields.push(("Forwarded", Cow::Owned(forwarded(client, request.host(), scheme))));
    fields
}

/// What Max-Forwards allows, the least where it is said more than once (RFC 9110 §7.6.2). Of more hops than there can be
/// we know no number.
pub fn hops_left<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Option<u64> {
    let values = fields.filter(|(name, _)| name.eq_ignore_ascii_case("max-forwards")).map(|(_, value)| value);
    // A sign is no digit, though `parse` takes one.
    let texts = values.filter_map(|value| std::str::from_utf8(value).ok()).filter(|text| !text.starts_with('+'));
    texts.filter_map(|text| text.parse().ok()).min()
}

/// Leaves out what is nobody's business but the site's own servers': credentials, and who the client is.
pub fn for_strangers(fields: &mut Vec<Field<'_>>) {
    fields.retain(|(name, _)| {
        let is = |known: &&str| same_name(known, name);
        !(CREDENTIALS.iter().any(is) || same_start("x-forwarded-", name))
    });
}

/// The head that is passed on of the answer to a HEAD: as [`kept_head`], with the length that the origin told of the body
/// it left out (RFC 9110 §8.6), because no body is there to tell it later.
pub fn head_of_head(response: &ResponseHead, now: Now) -> StoredHead {
    let length = response.declared_length().filter(|_| !matches!(response.status, 204 | 304));
    let head = kept(response, &Withheld::default(), now);
    match length {
        Some(length) => head.field("Content-Length", length.to_string().as_bytes()).build(),
        None => head.build(),
    }
}

/// The head that is kept of a response: end-to-end fields and a Date (RFC 9110 §6.6.1). Our Via is written with each
/// answer, so that it takes no room.
pub fn kept_head(response: &ResponseHead, now: Now) -> StoredHead {
    kept(response, &Withheld::default(), now).build()
}

/// The same without the fields that are not for everybody.
pub fn shared_head(response: &ResponseHead, withheld: &Withheld, now: Now) -> StoredHead {
    kept(response, withheld, now).build()
}

fn kept(response: &ResponseHead, withheld: &Withheld, now: Now) -> crate::store::Builder {
    let mut head = StoredHead::builder(response.status);
    let options = ConnectionOptions::of(response.fields());
    let mut has_date = false;
    for (name, value) in response.fields() {
        if options.drops(name) || is_framing(name) || withheld.has(name.as_bytes()) {
            continue;
        }
        has_date |= name.eq_ignore_ascii_case("date");
        head = head.field(name, value);
    }
    if has_date { head } else { head.field("Date", &HttpDate(now.unix()).format()) }
}

/// The head of a stored response with a 304 laid over it, without the fields that are not for everybody.
pub fn merged_head(status: u16, merged: &dyn crate::policy::Fields) -> StoredHead {
    let withheld = Withheld::of(merged);
    let mut head = Some(StoredHead::builder(status));
    merged.for_each(&mut |name, value| {
        if withheld.has(name) {
            return;
        }
        // Names are tokens; an empty one would be left out by the builder.
        let name = std::str::from_utf8(name).unwrap_or_default();
        head = head.take().map(|builder| builder.field(name, value));
    });
    head.unwrap_or_else(|| StoredHead::builder(status)).build()
}

/// Is the field about this message's framing, or one that a cache writes itself?
pub fn is_framing(name: &str) -> bool {
    ["content-length", "transfer-encoding", "age", "trailer"].iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Fields that we write ourselves, or that let a client speak in our name.
fn is_ours(name: &str) -> bool {
    let is = |known: &&str| same_name(known, name);
    OURS.iter().any(is) || PREFIXES.iter().any(|start| same_start(start, name))
}

/// Some programs read `_` in a field name as `-`, so both spellings are the same to us here.
fn same_name(known: &str, name: &str) -> bool {
    known.len() == name.len() && same_start(known, name)
}

fn same_start(known: &str, name: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() >= known.len() && known.bytes().zip(name.bytes()).all(|(a, b)| a == plain(b))
}

fn is_conditional(name: &str) -> bool {
    CONDITIONAL.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn join(list: &mut Vec<u8>, value: &[u8]) {
    if !list.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(value);
}

fn via_member(version: crate::http1::Version) -> &'static [u8] {
    match version {
        crate::http1::Version::Http10 => b"1.0 millpond",
        crate::http1::Version::Http11 => VIA,
    }
}

/// RFC 7239 §4 and §6: IPv6 addresses in brackets and quotes, hosts quoted.
fn forwarded(client: IpAddr, host: &str, scheme: &str) -> Vec<u8> {
    let node = match client {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    format!("for={node};host=\"{host}\";proto={scheme}").into_bytes()
}

fn canonical(client: SocketAddr) -> IpAddr {
    client.ip().to_canonical()
}

const NAME: &str = "millpond";
/// Our member of Via in what we received over HTTP/1.1 and send on.
pub const VIA: &[u8] = b"1.1 millpond";
/// The same as a line of its own.
pub const VIA_LINE: &[u8] = b"Via: 1.1 millpond\r\n";
const MOST_OTHERS: usize = 8;
const CONDITIONAL: [&str; 6] =
    ["range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "cookie2", "forwarded"];
/// Families of them.
const PREFIXES: [&str; 3] = ["x-forwarded-", "forwarded-", "fly-forwarded-"];
#[rustfmt::skip]
const OURS: [&str; 107] = [
    // Framing and what ends at each hop.
    "host", "x-millpond-debug", "content-length", "transfer-encoding", "connection", "proxy-connection",
    "proxy-authorization", "keep-alive", "trailer", "expect", "te", "upgrade", "http2-settings", "max-forwards",
    // The client's address.
    "forwarded", "x-forwarded", "x-forward", "x-forward-for", "x-forwarder-for", "x-original-forwarded-for",
    "x-originally-forwarded-for", "x-original-remote-addr", "real-ip", "x-real-ip", "x-true-ip", "x-client-ip",
    "x-cluster-client-ip", "x-originating-ip", "x-remote-addr", "x-remote-host", "x-remote-ip", "x-proxyuser-ip",
    "x-custom-ip-authorization", "x-envoy-external-address", "x-azure-clientip", "x-azure-socketip", "cf-connecting-ip",
    "cf-connecting-ipv6", "cf-pseudo-ipv4", "cloudfront-viewer-address", "client-ip", "cluster-client-ip",
    "fastly-client-ip", "fly-client-ip", "proxy-client-ip", "true-client-ip", "wl-proxy-client-ip",
    // Its certificate (RFC 9440).
    "client-cert", "client-cert-chain", "ssl-client-cert", "ssl-client-verify", "x-client-cert", "x-ssl-cert",
    "x-ssl-client-cert", "x-ssl-client-verify",
    // Host and scheme.
    "x-host", "x-host-override", "x-http-host-override", "x-original-host", "x-backend-host", "x-proxy-host",
    "x-server-name", "x-real-host", "host-override", "proxy-host", "x-envoy-original-dst-host", "x-scheme", "x-original-scheme",
    "x-proto", "x-original-proto", "x-url-scheme", "x-arr-ssl", "front-end-https", "cf-visitor",
    "cloudfront-forwarded-proto", "fastly-ssl",
    // Path.
    "x-original-path", "x-original-uri", "x-original-url", "x-override-url", "x-request-uri", "x-request-url",
    "x-rewrite-url", "x-uri", "x-url", "x-proxy-url", "x-http-destinationurl", "x-envoy-original-path", "base-url",
    "http-url", "proxy-url", "request-uri", "x-http-path-override", "x-matched-path", "x-now-route-matches", "x-invoke-path",
    "x-invoke-query",
    // Method, and what programs behind take for a word of their own: what to answer, or to leave the content to a server in
    // front of them (X-Sendfile-Type, X-Accel-Mapping).
    "x-http-method", "x-http-method-override", "x-method-override", "x-original-method", "x-middleware-subrequest",
    "x-invoke-status", "x-middleware-invoke", "x-sendfile-type", "x-accel-mapping", "proxy",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_our_own_member_our_bare_name_or_too_many_of_us() {
        let identity = Identity::new(7);
        let rows: [(&[&[u8]], bool); 6] = [
            (&[b"other"], false),
            (&[b"millpond"], true),
            (&[b"a, Millpond; id=0000000000000007"], true),
            (&[b"millpond; id=0000000000000008"], false),
            (&[b"x", b"millpond"], true),
            (
                &[
                    b"millpond;id=1, millpond;id=2, millpond;id=3, millpond;id=4",
                    b"millpond;id=5,millpond;id=6,millpond;id=7,millpond;id=8",
                ],
                true,
            ),
        ];
        for (values, expected) in rows {
            assert_eq!(identity.is_loop(values.iter().copied()), expected, "{values:?}");
        }
    }

    #[test]
    fn names_that_speak_for_us_are_ours_in_every_spelling() {
        for name in [
            "X-Forwarded-For",
            "x_forwarded_for",
            "X-Forwarded-Anything",
            "Forwarded",
            "X-HTTP-Method-Override",
            "PROXY",
        ] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["X-Forwarder", "Accept", "Proxy-Status", "X-Real-IPs"] {
            assert!(!is_ours(name), "{name}");
        }
    }

    #[test]
    fn forwarded_quotes_what_must_be_quoted() {
        let text =
            |client: &str| String::from_utf8(forwarded(client.parse().unwrap(), "a.example:81", "https")).unwrap();
        assert_eq!(text("192.0.2.1"), "for=192.0.2.1;host=\"a.example:81\";proto=https");
        assert_eq!(text("2001:db8::1"), "for=\"[2001:db8::1]\";host=\"a.example:81\";proto=https");
    }
}
