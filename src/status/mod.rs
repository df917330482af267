//! The words of RFC 9209 (Proxy-Status) and RFC 9211 (Cache-Status), and the phase in which a fetch ended.
//!
//! Plain values and how they are spelt. Nothing here knows what went wrong or why: that is decided where it happens.

mod decimal;

pub use decimal::{write_decimal, write_decimal_line, write_integer};

/// Why a fetch failed: every type of RFC 9209 §2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the words of the RFC, which explains them")]
#[rustfmt::skip]
pub enum ProxyError {
    DnsTimeout, DnsError, DestinationNotFound, DestinationUnavailable, DestinationIpProhibited,
    DestinationIpUnroutable, ConnectionRefused, ConnectionTerminated, ConnectionTimeout, ConnectionReadTimeout,
    ConnectionWriteTimeout, ConnectionLimitReached, TlsProtocolError, TlsCertificateError, TlsAlertReceived,
    HttpRequestError, HttpRequestDenied, HttpResponseIncomplete, HttpResponseHeaderSectionSize,
    HttpResponseHeaderSize, HttpResponseBodySize, HttpResponseTrailerSectionSize, HttpResponseTrailerSize,
    HttpResponseTransferCoding, HttpResponseContentCoding, HttpResponseTimeout, HttpUpgradeFailed, HttpProtocolError,
    ProxyInternalResponse, ProxyInternalError, ProxyConfigurationError, ProxyLoopDetected,
}

impl ProxyError {
    /// Every type, in the order of RFC 9209 §2.3: for tables of counters and help.
    #[rustfmt::skip]
    pub const ALL: [ProxyError; 32] = {
        use ProxyError::*;
        [
            DnsTimeout, DnsError, DestinationNotFound, DestinationUnavailable, DestinationIpProhibited,
            DestinationIpUnroutable, ConnectionRefused, ConnectionTerminated, ConnectionTimeout,
            ConnectionReadTimeout, ConnectionWriteTimeout, ConnectionLimitReached, TlsProtocolError,
            TlsCertificateError, TlsAlertReceived, HttpRequestError, HttpRequestDenied, HttpResponseIncomplete,
            HttpResponseHeaderSectionSize, HttpResponseHeaderSize, HttpResponseBodySize,
            HttpResponseTrailerSectionSize, HttpResponseTrailerSize, HttpResponseTransferCoding,
            HttpResponseContentCoding, HttpResponseTimeout, HttpUpgradeFailed, HttpProtocolError,
            ProxyInternalResponse, ProxyInternalError, ProxyConfigurationError, ProxyLoopDetected,
        ]
    };

    /// The type's name in the `error` parameter (RFC 9209 §2.3).
    pub fn token(self) -> &'static str {
        self.row().0
    }

    /// The status of the answer that we make: 504 for timeouts, 503 for limits and dead origins, 500 for our own
    /// faults, 508 for loops (decision 30), 400 for a request that cannot be expressed, 403 for one that is not allowed,
    /// 502 for the rest.
    pub fn status(self) -> u16 {
        self.row().1
    }

    /// One sentence for the visitor's error page; names no address.
    pub fn sentence(self) -> &'static str {
        self.row().2
    }

    /// Token, status, sentence.
    #[rustfmt::skip]
    fn row(self) -> (&'static str, u16, &'static str) {
        use ProxyError::*;
        match self {
            DnsTimeout => ("dns_timeout", 504, "The origin's name could not be looked up in time."),
            DnsError => ("dns_error", 502, "The origin's name could not be looked up."),
            DestinationNotFound => ("destination_not_found", 500, "No origin is configured for this address."),
            DestinationUnavailable => ("destination_unavailable", 503, "The origin is known to be down."),
            DestinationIpProhibited => ("destination_ip_prohibited", 502, "The origin's address may not be used."),
            DestinationIpUnroutable => ("destination_ip_unroutable", 502, "No route leads to the origin's address."),
            ConnectionRefused => ("connection_refused", 502, "The origin refused the connection."),
            ConnectionTerminated =>
                ("connection_terminated", 502, "The origin closed the connection before it answered."),
            ConnectionTimeout => ("connection_timeout", 504, "The origin could not be reached in time."),
            ConnectionReadTimeout => ("connection_read_timeout", 504, "The origin stopped sending."),
            ConnectionWriteTimeout => ("connection_write_timeout", 504, "The origin stopped taking the request."),
            ConnectionLimitReached =>
                ("connection_limit_reached", 503, "Too many requests are waiting for the origin."),
            TlsProtocolError => ("tls_protocol_error", 502, "No secure connection to the origin could be agreed on."),
            TlsCertificateError => ("tls_certificate_error", 502, "The origin's certificate was not accepted."),
            TlsAlertReceived => ("tls_alert_received", 502, "The origin refused the secure connection."),
            HttpRequestError => ("http_request_error", 400, "The request cannot be expressed to the origin."),
            HttpRequestDenied => ("http_request_denied", 403, "The request is not allowed here."),
            HttpResponseIncomplete => ("http_response_incomplete", 502, "The origin's response ended too early."),
            HttpResponseHeaderSectionSize =>
                ("http_response_header_section_size", 502, "The head of the origin's response is too large."),
            HttpResponseHeaderSize =>
                ("http_response_header_size", 502, "A header field of the origin's response is too large."),
            HttpResponseBodySize => ("http_response_body_size", 502, "The body of the origin's response is too large."),
            HttpResponseTrailerSectionSize =>
                ("http_response_trailer_section_size", 502, "The trailers of the origin's response are too large."),
            HttpResponseTrailerSize =>
                ("http_response_trailer_size", 502, "A trailer field of the origin's response is too large."),
            HttpResponseTransferCoding =>
                ("http_response_transfer_coding", 502, "The origin's response is framed in a way that cannot be read."),
            HttpResponseContentCoding =>
                ("http_response_content_coding", 502, "The origin's response is coded in a way that cannot be read."),
            HttpResponseTimeout => ("http_response_timeout", 504, "The origin did not answer in time."),
            HttpUpgradeFailed => ("http_upgrade_failed", 502, "The origin did not change the protocol as asked."),
            HttpProtocolError => ("http_protocol_error", 502, "The origin's response is not valid HTTP."),
            ProxyInternalResponse => ("proxy_internal_response", 500, "This proxy answered by itself."),
            ProxyInternalError => ("proxy_internal_error", 500, "This proxy failed."),
            ProxyConfigurationError =>
                ("proxy_configuration_error", 500, "This proxy's configuration does not work for this request."),
            ProxyLoopDetected => ("proxy_loop_detected", 508, "The request came back to this proxy in a loop."),
        }
    }
}

/// What was being done when a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "in the order of a fetch; the words say it")]
pub enum Phase {
    Queue,
    Resolve,
    Connect,
    TlsHandshake,
    SendRequest,
    ResponseHead,
    Body,
}

impl Phase {
    /// The word for logs, pages and metrics, for example `tls-handshake`.
    pub fn token(self) -> &'static str {
        match self {
            Phase::Queue => "queue",
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::TlsHandshake => "tls-handshake",
            Phase::SendRequest => "send-request",
            Phase::ResponseHead => "response-head",
            Phase::Body => "body",
        }
    }
}

/// Why a request went to the origin (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the words of the RFC, which explains them")]
#[allow(dead_code, reason = "all values of the RFC's list, also those that this cache has no occasion for yet")]
pub enum Forward {
    Bypass,
    Method,
    UriMiss,
    VaryMiss,
    Miss,
    Request,
    Stale,
    Partial,
}

impl Forward {
    /// The `fwd` parameter's value.
    pub fn token(self) -> &'static str {
        match self {
            Forward::Bypass => "bypass",
            Forward::Method => "method",
            Forward::UriMiss => "uri-miss",
            Forward::VaryMiss => "vary-miss",
            Forward::Miss => "miss",
            Forward::Request => "request",
            Forward::Stale => "stale",
            Forward::Partial => "partial",
        }
    }
}

/// What the cache did with a request (RFC 9211).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// Satisfied from the cache, without an answer of the origin; with a status of the origin it is written as forwarded,
    /// for then something else was asked for in vain (RFC 9211 §2.1).
    pub hit: bool,
    /// Why it went forward; not written together with `hit`.
    pub forward: Option<Forward>,
    /// The origin's status where it differs from ours, for example 304.
    pub forward_status: Option<u16>,
    /// Freshness lifetime left in seconds; negative when stale.
    pub ttl: Option<i64>,
    /// The response was stored.
    pub stored: bool,
    /// The request was answered by another's fetch.
    pub collapsed: bool,
    /// A word of our closed list: why not stored, why not reused.
    pub detail: Option<&'static str>,
}

impl CacheStatus {
    /// Appends `Cache-Status: millpond; …\r\n`. Allocates nothing beyond `out`'s growth.
    pub fn write_field(&self, out: &mut Vec<u8>) {
        // By far the most frequent, and so at once.
        if let (
            CacheStatus { hit: true, ttl: Some(ttl @ 0..=LARGEST), forward_status: None, detail: None, .. },
            false,
        ) = (self, self.stored || self.collapsed)
        {
            out.extend_from_slice(b"Cache-Status: millpond; hit; ttl=");
            return write_decimal_line(out, ttl.unsigned_abs());
        }
        out.extend_from_slice(b"Cache-Status: millpond");
        match self.forward {
            _ if self.hit && self.forward_status.is_none() => out.extend_from_slice(b"; hit"),
            Some(forward) => write_parameter(out, "fwd", forward.token()),
            None => {}
        }
        if let Some(status) = self.forward_status {
            out.extend_from_slice(b"; fwd-status=");
            write_integer(out, i64::from(status));
        }
        if let Some(ttl) = self.ttl {
            out.extend_from_slice(b"; ttl=");
            write_integer(out, ttl.clamp(-LARGEST, LARGEST));
        }
        if self.stored {
            out.extend_from_slice(b"; stored");
        }
        if self.collapsed {
            out.extend_from_slice(b"; collapsed");
        }
        if let Some(detail) = self.detail {
            write_parameter(out, "detail", detail);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The `Proxy-Status` field of an answer that we made, or passed on with a fault (RFC 9209).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyStatus<'a> {
    /// The type of fault.
    pub error: ProxyError,
    /// Where it happened: the `phase` parameter, which is our own.
    pub phase: Phase,
    /// TLS alert number (RFC 9209 §2.3.15), where one was received.
    pub alert: Option<u8>,
    /// The resolver's answer, for example `NXDOMAIN` (RFC 9209 §2.3.2).
    pub rcode: Option<&'a str>,
    /// Addresses and names, only for those allowed to see them.
    pub details: Option<&'a str>,
}

impl ProxyStatus<'_> {
    /// Appends `Proxy-Status: millpond; error=…; …\r\n`, strings quoted and cleaned as RFC 8941 demands.
    pub fn write_field(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Proxy-Status: millpond");
        write_parameter(out, "error", self.error.token());
        write_parameter(out, "phase", self.phase.token());
        if let Some(alert) = self.alert {
            out.extend_from_slice(b"; alert-id=");
            write_integer(out, i64::from(alert));
        }
        if let Some(rcode) = self.rcode {
            out.extend_from_slice(b"; rcode=");
            write_string(out, rcode);
        }
        if let Some(details) = self.details {
            out.extend_from_slice(b"; details=");
            write_string(out, details);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// An Integer has at most 15 digits (RFC 8941 §3.3.1).
const LARGEST: i64 = 999_999_999_999_999;

/// `; name=value`, the value as a Token (RFC 8941 §3.3.4). Only for our own words, which are Tokens.
fn write_parameter(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b"; ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    out.extend_from_slice(value.as_bytes());
}

/// A String (RFC 8941 §3.3.3): quoted, `"` and `\` escaped; every character beyond printable ASCII becomes `?`.
fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(byte @ (b'"' | b'\\')) => out.extend_from_slice(&[b'\\', byte]),
            Ok(byte @ b' '..=b'~') => out.push(byte),
            _ => out.push(b'?'),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_own_token_and_a_sentence() {
        let tokens: std::collections::HashSet<_> = ProxyError::ALL.iter().map(|error| error.token()).collect();
        assert_eq!(tokens.len(), ProxyError::ALL.len());
        for error in ProxyError::ALL {
            assert!(error.token().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{error:?}");
            assert!(error.sentence().ends_with('.'), "{error:?}");
        }
    }

    #[test]
    fn statuses_follow_the_kind_of_fault() {
        for error in ProxyError::ALL {
            let expected = match error {
                _ if error.token().ends_with("timeout") => 504,
                ProxyError::DestinationUnavailable | ProxyError::ConnectionLimitReached => 503,
                ProxyError::DestinationNotFound => 500,
                _ if error.token().starts_with("proxy_loop") => 508,
                _ if error.token().starts_with("proxy_") => 500,
                ProxyError::HttpRequestError => 400,
                ProxyError::HttpRequestDenied => 403,
                _ => 502,
            };
            assert_eq!(error.status(), expected, "{error:?}");
        }
    }

    #[test]
    fn cache_status_is_written_in_the_words_of_rfc_9211() {
        let none = CacheStatus::default();
        let rows = [
            (none, "millpond"),
            (CacheStatus { hit: true, ttl: Some(376), ..none }, "millpond; hit; ttl=376"),
            (CacheStatus { hit: true, forward: Some(Forward::Miss), ttl: Some(0), ..none }, "millpond; hit; ttl=0"),
            (
                CacheStatus { forward: Some(Forward::UriMiss), stored: true, collapsed: true, ..none },
                "millpond; fwd=uri-miss; stored; collapsed",
            ),
            (
                CacheStatus { forward: Some(Forward::Stale), forward_status: Some(304), ttl: Some(-412), ..none },
                "millpond; fwd=stale; fwd-status=304; ttl=-412",
            ),
            (
                CacheStatus { forward: Some(Forward::VaryMiss), detail: Some("no-store"), ..none },
                "millpond; fwd=vary-miss; detail=no-store",
            ),
            (
                CacheStatus { hit: true, forward: Some(Forward::Stale), forward_status: Some(503), ..none },
                "millpond; fwd=stale; fwd-status=503",
            ),
            (CacheStatus { ttl: Some(i64::MIN), ..none }, "millpond; ttl=-999999999999999"),
        ];
        for (status, expected) in rows {
            let mut out = Vec::new();
            status.write_field(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("Cache-Status: {expected}\r\n"));
        }
    }

    #[test]
    fn proxy_status_strings_are_quoted_and_cleaned() {
        let mut status = ProxyStatus {
            error: ProxyError::DnsError,
            phase: Phase::Resolve,
            alert: None,
            rcode: Some("NXDOMAIN"),
            details: None,
        };
        let mut out = Vec::new();
        status.write_field(&mut out);
        assert_eq!(out, b"Proxy-Status: millpond; error=dns_error; phase=resolve; rcode=\"NXDOMAIN\"\r\n");
        status.error = ProxyError::TlsAlertReceived;
        status.phase = Phase::TlsHandshake;
        (status.alert, status.rcode, status.details) = (Some(40), None, Some("a\"b\\c\r\nEvil: é"));
        out.clear();
        status.write_field(&mut out);
        let expected =
            "millpond; error=tls_alert_received; phase=tls-handshake; alert-id=40; details=\"a\\\"b\\\\c??Evil: ?\"";
        assert_eq!(String::from_utf8(out).unwrap(), format!("Proxy-Status: {expected}\r\n"));
    }
}
