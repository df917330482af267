//! From what broke to what people see: the one table of causes (origin-fetch.md section 3, ureq.md section 4).
//!
//! [`Cause`] is what a part of this room met; [`FetchError`] is what leaves it. The same value feeds the status code, the
//! `Proxy-Status` field, the error page, the log, the ledger and the retry decision, so it is decided here alone.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::Report;
use super::connection::WireFailure;
use super::connector::{Refusal, RefusalKind};
use super::lookup::LookupFailure;
use super::visitor::visitors_sentence;
use crate::http1::{BodyError, ResponseError};
use crate::status::{Phase, ProxyError};
use crate::tls::reject_of;

/// Why a fetch failed, for everyone outside this room. Shared with followers, hence `Clone`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError {
    /// The type of RFC 9209 §2.3; its status is that of the answer.
    pub error: ProxyError,
    /// What was being done.
    pub phase: Phase,
    /// The server as `name:port`; empty if none was chosen.
    pub origin: String,
    /// The address that was in use, if one was.
    pub address: Option<SocketAddr>,
    /// One sentence or more with addresses and certificate names, and where we know one the setting that mends it. Only
    /// for those whom `expose_errors` allows.
    pub detail: String,
    /// The alert's number where one was received (RFC 9209 §2.3.15).
    pub alert: Option<u8>,
    /// The resolver's answer (RFC 9209 §2.3.2).
    pub rcode: Option<&'static str>,
    /// A connection stood, so the origin may have seen the request.
    pub is_after_request: bool,
    /// What is known of the attempt, for the log, the ledger and whoever looks for the fault.
    pub facts: Box<Facts>,
}

/// What is known of a failed fetch besides its cause. Bounded; for operators alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What happened, for visitors, where the sentence of the type would mislead; names no address.
    pub sentence: Option<&'static str>,
    /// Servers, address, attempts, and how long each phase of the last one took, as far as it went.
    pub report: Report,
    /// The name that was sent, or meant to be, in the TLS handshake.
    pub sni: Option<String>,
    /// The names of a certificate that was refused, at most 16.
    pub certificate_names: Vec<String>,
    /// The first bytes, at most 1 KiB, of a response head that was refused or cut.
    pub head_start: Vec<u8>,
    /// Where no address took the connection: each one's own cause.
    pub refusals: Vec<(SocketAddr, ProxyError)>,
    /// The key of `timeouts` that ended it, where one did.
    pub setting: Option<&'static str>,
    /// How many addresses the server's name has; 0 where that is not known.
    pub addresses: usize,
    /// Attempts of the same fetch that failed before this one, at other addresses and servers.
    pub earlier: Vec<FetchError>,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {:?}: {}", self.error, self.phase, self.detail)
    }
}

impl std::error::Error for FetchError {}

/// What broke.
#[derive(Debug)]
pub enum Cause {
    /// The site has no server.
    NoServer,
    /// The server's addresses are all our own listeners.
    OwnAddress,
    /// The name gave no address.
    Lookup(LookupFailure),
    /// No address took the connection.
    Connect(Vec<Refusal>),
    /// Every address is dead; the words say which and why.
    AllDead(String),
    /// As many connections as `max_connections` allows are busy, and none became free in time.
    ConnectionLimit(usize),
    /// The connection failed.
    Wire(WireFailure),
    /// Nothing more came of a response that had begun, for as long as this key of `timeouts` allows.
    Silent(&'static str),
    /// The head is not one that we accept.
    Head(ResponseError),
    /// More interim responses than anyone needs.
    TooManyInterims,
    /// 101, though we never ask for an upgrade.
    Upgraded,
    /// A plain request met a port that speaks TLS.
    TlsOnPlainPort,
    /// The body's framing is broken, or the body is cut short.
    Body(BodyError),
    /// The body comes at less than so many bytes a second.
    TooSlow(u64),
    /// The body takes longer than a whole one may.
    TooLong,
    /// The request cannot be written as HTTP/1.1; the words say why.
    Request(String),
    /// The client's buffered upload cannot be read any more.
    Upload(String),
    /// A redirect leads to an address that only an operator may choose; the word says what it is.
    Prohibited(IpAddr, &'static str),
    /// The origin redirects to the very URL that it was asked for, in the other scheme.
    RedirectsToItself {
        /// That scheme is https.
        wants_https: bool,
    },
    /// A setting of the site makes the fetch impossible; the words say which.
    Setting(String),
    /// A fault of ours.
    Internal(String),
}

/// A cause with the circumstances that decide its name.
#[derive(Debug)]
pub struct Failure {
    /// What broke.
    pub cause: Cause,
    /// What was being done.
    pub phase: Phase,
    /// The address in use.
    pub address: Option<SocketAddr>,
    /// Bytes of a response had come.
    pub has_response: bool,
}

impl Failure {
    /// A failure before any connection.
    pub fn early(cause: Cause, phase: Phase) -> Failure {
        Failure { cause, phase, address: None, has_response: false }
    }

    /// The outside form, for the server `origin` (`name:port`, may be empty).
    pub fn into_error(self, origin: &str) -> FetchError {
        let place = match self.address {
            Some(address) if address.to_string() != origin => format!("{origin} ({address}): "),
            _ if origin.is_empty() => String::new(),
            _ => format!("{origin}: "),
        };
        FetchError {
            error: self.error(),
            phase: self.phase,
            origin: origin.to_owned(),
            address: self.address,
            detail: format!("{place}{}", self.sentence()),
            alert: self.alert(),
            rcode: if let Cause::Lookup(failure) = &self.cause { failure.rcode() } else { None },
            is_after_request: matches!(self.phase, Phase::SendRequest | Phase::ResponseHead | Phase::Body),
            facts: Box::new(Facts {
                sentence: visitors_sentence(&self.cause),
                certificate_names: self.certificate_names(),
                refusals: self.refusals(),
                setting: self.setting(),
                ..Facts::default()
            }),
        }
    }

    fn refusals(&self) -> Vec<(SocketAddr, ProxyError)> {
        match &self.cause {
            Cause::Connect(refusals) => refusals.iter().map(|one| (one.address, refusal_error(one.kind))).collect(),
            _ => Vec::new(),
        }
    }

    /// The table.
    pub fn error(&self) -> ProxyError {
        match &self.cause {
            Cause::NoServer => ProxyError::DestinationNotFound,
            Cause::OwnAddress => ProxyError::ProxyLoopDetected,
            Cause::Lookup(LookupFailure::Timeout) => ProxyError::DnsTimeout,
            Cause::Lookup(_) => ProxyError::DnsError,
            Cause::Connect(refusals) => refusal_error(worst(refusals)),
            Cause::AllDead(_) => ProxyError::DestinationUnavailable,
            Cause::ConnectionLimit(_) => ProxyError::ConnectionLimitReached,
            Cause::TooSlow(_) | Cause::TooLong => ProxyError::ConnectionReadTimeout,
            Cause::Wire(failure) => self.wire_error(failure),
            Cause::Silent(_) => ProxyError::HttpResponseTimeout,
            Cause::Head(ResponseError::Malformed(_)) => ProxyError::HttpProtocolError,
            Cause::Head(ResponseError::TooLarge | ResponseError::TooManyFields) => {
                ProxyError::HttpResponseHeaderSectionSize
            }
            Cause::Head(ResponseError::TransferCoding(_)) => ProxyError::HttpResponseTransferCoding,
            Cause::Prohibited(..) => ProxyError::DestinationIpProhibited,
            Cause::RedirectsToItself { .. } => ProxyError::HttpProtocolError,
            Cause::TooManyInterims | Cause::TlsOnPlainPort => ProxyError::HttpProtocolError,
            Cause::Upgraded => ProxyError::HttpUpgradeFailed,
            Cause::Body(BodyError::Chunk(_)) => ProxyError::HttpResponseTransferCoding,
            Cause::Body(BodyError::Trailer(_)) => ProxyError::HttpProtocolError,
            Cause::Body(BodyError::TrailersTooLarge) => ProxyError::HttpResponseTrailerSectionSize,
            Cause::Body(BodyError::Incomplete) => ProxyError::HttpResponseIncomplete,
            Cause::Request(_) => ProxyError::HttpRequestError,
            Cause::Setting(_) => ProxyError::ProxyConfigurationError,
            Cause::Upload(_) | Cause::Internal(_) => ProxyError::ProxyInternalError,
        }
    }

    fn wire_error(&self, failure: &WireFailure) -> ProxyError {
        match failure {
            WireFailure::Timeout => match self.phase {
                Phase::Resolve => ProxyError::DnsTimeout,
                Phase::Queue | Phase::Connect | Phase::TlsHandshake => ProxyError::ConnectionTimeout,
                Phase::SendRequest => ProxyError::ConnectionWriteTimeout,
                Phase::ResponseHead => ProxyError::HttpResponseTimeout,
                Phase::Body => ProxyError::ConnectionReadTimeout,
            },
            WireFailure::Closed | WireFailure::Reset | WireFailure::Truncated => match self.phase {
                Phase::Body => ProxyError::HttpResponseIncomplete,
                _ if self.has_response => ProxyError::HttpResponseIncomplete,
                _ => ProxyError::ConnectionTerminated,
            },
            WireFailure::Tls(error) if reject_of(error).is_some() => ProxyError::TlsCertificateError,
            WireFailure::Tls(rustls::Error::InvalidCertificate(_)) => ProxyError::TlsCertificateError,
            WireFailure::Tls(rustls::Error::AlertReceived(_)) => ProxyError::TlsAlertReceived,
            WireFailure::Tls(_) | WireFailure::PlainHttp => ProxyError::TlsProtocolError,
            WireFailure::System(_) => ProxyError::ProxyInternalError,
        }
    }

    fn setting(&self) -> Option<&'static str> {
        let of_phase = || match self.phase {
            Phase::Queue => None,
            Phase::Resolve => Some("resolve"),
            Phase::Connect => Some("connect"),
            Phase::TlsHandshake => Some("tls_handshake"),
            Phase::ResponseHead if self.has_response => Some("head"),
            Phase::ResponseHead => Some("first_byte"),
            Phase::SendRequest | Phase::Body => Some("between_bytes"),
        };
        match &self.cause {
            Cause::TooSlow(_) => Some("min_rate"),
            Cause::TooLong => Some("total"),
            Cause::Silent(setting) => Some(setting),
            Cause::Wire(WireFailure::Timeout) => of_phase(),
            _ => None,
        }
    }

    fn certificate_names(&self) -> Vec<String> {
        let Cause::Wire(WireFailure::Tls(error)) = &self.cause else { return Vec::new() };
        let mut names = reject_of(error).map(|reject| reject.presented.all()).unwrap_or_default();
        names.truncate(MAX_NAMES);
        names
    }

    fn alert(&self) -> Option<u8> {
        match &self.cause {
            Cause::Wire(WireFailure::Tls(rustls::Error::AlertReceived(alert))) => Some(u8::from(*alert)),
            _ => None,
        }
    }

    /// What happened, for an operator.
    fn sentence(&self) -> String {
        match &self.cause {
            Cause::NoServer => "the site has no origin server; list one in servers".into(),
            Cause::OwnAddress => "the origin is this very Millpond; set servers to the origin's own address".into(),
            Cause::Lookup(LookupFailure::NoName) => "there is no such name; check the spelling in servers".into(),
            Cause::Lookup(failure) => failure.words().into(),
            Cause::Connect(refusals) => refusal_list(refusals),
            Cause::AllDead(which) => {
                format!("every address of the origin is dead: {which}; one request a second tries them again")
            }
            Cause::ConnectionLimit(max) => {
                format!("all {max} connections that max_connections allows to an address are busy")
            }
            Cause::TooSlow(least) => {
                format!("the origin sends less than the {least} bytes a second that timeouts.min_rate demands")
            }
            Cause::TooLong => "the response body takes longer than timeouts.total allows".into(),
            Cause::Wire(failure) => self.wire_sentence(failure),
            Cause::Silent(setting) => {
                format!("the origin stopped before its response head was whole (timeouts.{setting})")
            }
            Cause::Head(error) => format!("the response head is refused: {}", error.reason()),
            Cause::TooManyInterims => "the origin sent more than 16 interim responses".into(),
            Cause::Upgraded => "the origin switched protocols without being asked".into(),
            Cause::TlsOnPlainPort => "the port speaks TLS and was asked in plain HTTP; set protocol = \"https\"".into(),
            Cause::Prohibited(address, what) => format!(
                "{address} is {what}, which nobody but the operator may choose; list it in the servers of a site if it is meant"
            ),
            Cause::RedirectsToItself { wants_https } => redirect_sentence(*wants_https),
            Cause::Body(error) => format!("the response body is broken: {}", error.reason()),
            Cause::Request(what) => format!("the request cannot be sent on: {what}"),
            Cause::Upload(what) => format!("the buffered upload cannot be read: {what}"),
            Cause::Setting(what) | Cause::Internal(what) => what.clone(),
        }
    }

    fn wire_sentence(&self, failure: &WireFailure) -> String {
        let doing = match self.phase {
            Phase::Queue | Phase::Resolve | Phase::Connect => "while connecting",
            Phase::TlsHandshake => "during the TLS handshake",
            Phase::SendRequest => "while the request was sent",
            Phase::ResponseHead if self.has_response => "within the response head",
            Phase::ResponseHead => "before the first byte of a response",
            Phase::Body => "within the response body",
        };
        match failure {
            WireFailure::Timeout => format!("the origin was silent for too long {doing}"),
            WireFailure::Closed => format!("the origin closed the connection {doing}"),
            WireFailure::Reset => format!("the connection was reset {doing}"),
            WireFailure::Truncated => format!("the connection ended without close_notify {doing}"),
            WireFailure::PlainHttp => "the port answers plain HTTP, not TLS; set protocol = \"http\"".into(),
            WireFailure::Tls(error) => tls_sentence(error, doing),
            WireFailure::System(error) => format!("{error} {doing}"),
        }
    }
}

fn redirect_sentence(wants_https: bool) -> String {
    let (asked, wanted) = if wants_https { ("http", "https") } else { ("https", "http") };
    format!(
        "the origin was asked over {asked} and redirects to the same URL over {wanted}, so clients would go in circles; \
         set protocol = \"{wanted}\", or \"follow\" to ask in the client's scheme"
    )
}

fn tls_sentence(error: &rustls::Error, doing: &str) -> String {
    use rustls::{AlertDescription, Error};
    if let Some(reject) = reject_of(error) {
        return reject.to_string();
    }
    match error {
        Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            "the server does not know the name in the handshake; set sni to one that it serves".into()
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            old_tls("the server speaks no version of TLS", error)
        }
        Error::PeerIncompatible(what) if is_about_version(what) => old_tls("the server answers in no version", error),
        Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity) => format!(
            "the server refused the handshake ({error}); it may not know the name (sni), or offer only suites without \
             forward secrecy, which Millpond does not speak"
        ),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the server speaks no HTTP/1.1 on this port (no_application_protocol)".into()
        }
        Error::InvalidMessage(_) => format!("the answer {doing} is not TLS ({error}); the port may speak plain HTTP"),
        error => format!("{error} {doing}"),
    }
}

fn is_about_version(what: &rustls::PeerIncompatible) -> bool {
    use rustls::PeerIncompatible as P;
    matches!(what, P::ServerDoesNotSupportTls12Or13 | P::ServerTlsVersionIsDisabledByOurConfig)
}

fn old_tls(what: &str, error: &rustls::Error) -> String {
    format!("{what} that it was offered ({error}); it must speak TLS 1.2 or 1.3, and 1.3 where tls_min says so")
}

/// Of several addresses, the failure that says most.
fn worst(refusals: &[Refusal]) -> RefusalKind {
    refusals.iter().map(|refusal| refusal.kind).max().unwrap_or(RefusalKind::Unroutable)
}

fn refusal_error(kind: RefusalKind) -> ProxyError {
    match kind {
        RefusalKind::Refused => ProxyError::ConnectionRefused,
        RefusalKind::Reset => ProxyError::ConnectionTerminated,
        RefusalKind::Timeout => ProxyError::ConnectionTimeout,
        RefusalKind::Unroutable => ProxyError::DestinationIpUnroutable,
        RefusalKind::Own => ProxyError::ProxyInternalError,
    }
}

fn refusal_list(refusals: &[Refusal]) -> String {
    let mut text = String::new();
    for refusal in refusals.iter().take(MAX_LISTED) {
        let comma = if text.is_empty() { "" } else { ", " };
        text.push_str(&format!("{comma}{} {}", refusal.address, refusal.kind.words()));
    }
    match refusals.len().saturating_sub(MAX_LISTED) {
        _ if refusals.is_empty() => "there is no address to connect to".into(),
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

const MAX_LISTED: usize = 4;
const MAX_NAMES: usize = 16;

#[cfg(test)]
#[path = "tests_error.rs"]
mod tests;
