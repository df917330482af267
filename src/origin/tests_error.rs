//! The table of causes, a row a test line, without any socket. What one origin can show is shown in `tests_fetch`.

use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::*;

fn refused(kinds: &[RefusalKind]) -> Cause {
    let address = SocketAddr::from(([192, 0, 2, 1], 443));
    Cause::Connect(kinds.iter().map(|kind| Refusal { address, kind: *kind }).collect())
}

fn wire(failure: WireFailure) -> Cause {
    Cause::Wire(failure)
}

fn tls(error: rustls::Error) -> Cause {
    Cause::Wire(WireFailure::Tls(error))
}

fn error(cause: Cause, phase: Phase, has_response: bool) -> ProxyError {
    Failure { cause, phase, address: None, has_response }.error()
}

#[test]
fn before_a_connection_stands() {
    use ProxyError as P;
    let rows = [
        (Cause::NoServer, P::DestinationNotFound),
        (Cause::OwnAddress, P::ProxyLoopDetected),
        (Cause::Lookup(LookupFailure::NoName), P::DnsError),
        (Cause::Lookup(LookupFailure::NoData), P::DnsError),
        (Cause::Lookup(LookupFailure::Again), P::DnsError),
        (Cause::Lookup(LookupFailure::System), P::DnsError),
        (Cause::Lookup(LookupFailure::Timeout), P::DnsTimeout),
        (refused(&[RefusalKind::Refused]), P::ConnectionRefused),
        (refused(&[RefusalKind::Unroutable, RefusalKind::Refused, RefusalKind::Timeout]), P::ConnectionRefused),
        (refused(&[RefusalKind::Unroutable, RefusalKind::Timeout]), P::ConnectionTimeout),
        (refused(&[RefusalKind::Unroutable]), P::DestinationIpUnroutable),
        (refused(&[RefusalKind::Reset]), P::ConnectionTerminated),
        (refused(&[RefusalKind::Own]), P::ProxyInternalError),
        (Cause::Setting("x".into()), P::ProxyConfigurationError),
        (Cause::Prohibited(IpAddr::from([10, 0, 0, 1]), "private"), P::DestinationIpProhibited),
        (Cause::Request("x".into()), P::HttpRequestError),
        (Cause::Upload("x".into()), P::ProxyInternalError),
        (Cause::Internal("x".into()), P::ProxyInternalError),
    ];
    for (cause, expected) in rows {
        let name = format!("{cause:?}");
        assert_eq!(error(cause, Phase::Connect, false), expected, "{name}");
    }
}

#[test]
fn silence_is_named_after_the_phase() {
    use ProxyError as P;
    let rows = [
        (Phase::Resolve, P::DnsTimeout),
        (Phase::Connect, P::ConnectionTimeout),
        (Phase::TlsHandshake, P::ConnectionTimeout),
        (Phase::SendRequest, P::ConnectionWriteTimeout),
        (Phase::ResponseHead, P::HttpResponseTimeout),
        (Phase::Body, P::ConnectionReadTimeout),
    ];
    for (phase, expected) in rows {
        assert_eq!(error(wire(WireFailure::Timeout), phase, false), expected, "{phase:?}");
    }
}

#[test]
fn an_early_end_is_named_after_what_had_come() {
    use ProxyError as P;
    let rows = [
        (Phase::TlsHandshake, false, P::ConnectionTerminated),
        (Phase::SendRequest, false, P::ConnectionTerminated),
        (Phase::ResponseHead, false, P::ConnectionTerminated),
        (Phase::ResponseHead, true, P::HttpResponseIncomplete),
        (Phase::Body, true, P::HttpResponseIncomplete),
    ];
    for (phase, has_response, expected) in rows {
        for failure in [WireFailure::Closed, WireFailure::Reset, WireFailure::Truncated] {
            assert_eq!(error(wire(failure), phase, has_response), expected, "{phase:?}");
        }
    }
}

#[test]
fn tls_has_three_names() {
    use ProxyError as P;
    let other =
        rustls::Error::InvalidCertificate(CertificateError::Other(rustls::OtherError(Arc::new(io::Error::other("x")))));
    let rows = [
        (tls(rustls::Error::AlertReceived(AlertDescription::HandshakeFailure)), P::TlsAlertReceived),
        (tls(rustls::Error::InvalidCertificate(CertificateError::BadEncoding)), P::TlsCertificateError),
        (tls(other), P::TlsCertificateError),
        (tls(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)), P::TlsProtocolError),
        (wire(WireFailure::PlainHttp), P::TlsProtocolError),
        (wire(WireFailure::System(io::Error::other("x"))), P::ProxyInternalError),
    ];
    for (cause, expected) in rows {
        let name = format!("{cause:?}");
        assert_eq!(error(cause, Phase::TlsHandshake, false), expected, "{name}");
    }
}

#[test]
fn heads_and_bodies_that_break_the_rules() {
    use ProxyError as P;
    let rows = [
        (Cause::Head(ResponseError::Malformed("x")), P::HttpProtocolError),
        (Cause::Head(ResponseError::TooLarge), P::HttpResponseHeaderSectionSize),
        (Cause::Head(ResponseError::TooManyFields), P::HttpResponseHeaderSectionSize),
        (Cause::Head(ResponseError::TransferCoding("x")), P::HttpResponseTransferCoding),
        (Cause::TooManyInterims, P::HttpProtocolError),
        (Cause::Upgraded, P::HttpUpgradeFailed),
        (Cause::TlsOnPlainPort, P::HttpProtocolError),
        (Cause::Body(BodyError::Chunk("x")), P::HttpResponseTransferCoding),
        (Cause::Body(BodyError::Trailer("x")), P::HttpProtocolError),
        (Cause::Body(BodyError::TrailersTooLarge), P::HttpResponseTrailerSectionSize),
        (Cause::Body(BodyError::Incomplete), P::HttpResponseIncomplete),
    ];
    for (cause, expected) in rows {
        let name = format!("{cause:?}");
        assert_eq!(error(cause, Phase::Body, true), expected, "{name}");
    }
}

#[test]
fn details_name_the_server_the_address_and_the_remedy() {
    let address = Some(SocketAddr::from(([192, 0, 2, 1], 443)));
    let failure =
        Failure { cause: wire(WireFailure::PlainHttp), phase: Phase::TlsHandshake, address, has_response: false };
    let error = failure.into_error("origin.example:443");
    assert_eq!(
        error.detail,
        "origin.example:443 (192.0.2.1:443): the port answers plain HTTP, not TLS; set protocol = \"http\""
    );
    assert!(!error.is_after_request);
    let failure = Failure::early(Cause::Lookup(LookupFailure::NoName), Phase::Resolve).into_error("a.example:80");
    assert_eq!(failure.rcode, Some("NXDOMAIN"));
    let alert = tls(rustls::Error::AlertReceived(AlertDescription::UnrecognisedName));
    let failure = Failure { cause: alert, phase: Phase::TlsHandshake, address, has_response: false };
    assert_eq!(failure.alert(), Some(112));
    assert!(failure.into_error("a.example:80").detail.contains("set sni"));
    let many = refused(&[RefusalKind::Refused; 7]);
    assert!(Failure::early(many, Phase::Connect).into_error("a:1").detail.ends_with("and 3 more"));
}

#[test]
fn a_redirect_to_itself_names_the_protocol_that_ends_it() {
    for (wants_https, fix) in [(true, "protocol = \"https\""), (false, "protocol = \"http\"")] {
        let cause = Cause::RedirectsToItself { wants_https };
        let failure = Failure { cause, phase: Phase::ResponseHead, address: None, has_response: true };
        let error = failure.into_error("o.example:80");
        assert_eq!((error.error, error.error.status()), (ProxyError::HttpProtocolError, 502));
        assert!(error.detail.contains(fix) && error.detail.contains("\"follow\""), "{error}");
    }
}

#[test]
fn visitors_are_told_the_sentence_of_the_type_but_where_it_would_mislead() {
    let rows = [
        (Cause::RedirectsToItself { wants_https: true }, "in a circle"),
        (Cause::TlsOnPlainPort, "in plain HTTP where it speaks HTTPS"),
        (wire(WireFailure::PlainHttp), "over HTTPS where it speaks plain HTTP"),
        (Cause::TooManyInterims, "too many interim responses"),
        (Cause::Head(ResponseError::Malformed("x")), "not valid HTTP"),
        (wire(WireFailure::Closed), "closed the connection before it answered"),
    ];
    for (cause, words) in rows {
        let error = Failure::early(cause, Phase::ResponseHead).into_error("o.test:80");
        let sentence = error.sentence();
        assert!(sentence.contains(words) && sentence.ends_with('.') && !sentence.contains("o.test"), "{sentence}");
    }
}
