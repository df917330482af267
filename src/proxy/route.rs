//! What is settled before the cache is asked: methods, sites, loops, redirects of our own, and refusals.

use std::sync::Arc;

use super::answer;
use super::error_page::{Form, Page};
use super::note::Note;
use super::{Live, Proxy};
use crate::config::Site;
use crate::http1::RequestHead;
use crate::policy::Why;
use crate::policy::key::write_key;
use crate::server::{Answer, Payload, Refusal};
use crate::status::CacheStatus;
use crate::time::Now;

/// Methods that no cache in front of an origin has a use for (RFC 9110 §9.3.6, §9.3.8), and the word that HTTP/2 begins with
/// (RFC 9113 §3.4). In any spelling, for some origins do not mind it.
pub fn refused_method(head: &RequestHead<'_, '_>) -> Option<Refusal> {
    let is_refused = || ["CONNECT", "TRACE", "PRI"].iter().any(|known| known.eq_ignore_ascii_case(head.method));
    (!matches!(head.method, "GET" | "HEAD") && is_refused())
        .then_some(Refusal { status: 405, reason: "this server does not serve that method" })
}

/// OPTIONS that concerns this server itself (RFC 9110 §9.3.7), or must go no further (§7.6.2).
pub fn options(out: &mut Vec<u8>, mut note: Note) -> Answer<Proxy> {
    answer::write_status(out, 204);
    answer::write_field(out, "Allow", answer::ALLOWED);
    said(Why::Local).write_field(out);
    note.status = 204;
    Answer { payload: Payload::Absent, close: false, note }
}

/// The site of a host. Over TLS the name in the hello must belong to the same site (reliability 24); a name that belonged
/// to a site when the connection began, and since a reload belongs to none, is no ticket to the others.
pub fn route<'a>(live: &'a Live, host: &str, sni: Option<&str>, authority: &str) -> Result<&'a Arc<Site>, Refusal> {
    if authority.is_empty() && live.router.find("").is_none() {
        return Err(NO_HOST);
    }
    let site = live.router.find(host).ok_or(UNKNOWN_HOST)?;
    match sni.map(|name| live.router.find(name)) {
        Some(named) if named.is_none_or(|named| !Arc::ptr_eq(site, named)) => Err(OTHER_SITE),
        _ => Ok(site),
    }
}

/// The cache key of a target under a site's rules (decisions 1), without the parts that its operator adds behind it
/// ([`super::site_rules::add_key_parts`]). Names that share their responses are called by the site's, so that two sites
/// never do.
pub fn key_of(key: &mut Vec<u8>, site: &Site, host: &str, target: &str, is_https: bool) {
    let scheme = if is_https { "https" } else { "http" };
    let (scheme, host) =
        ((!site.share_schemes).then_some(scheme), if site.share_domains { site.name.as_str() } else { host });
    match &site.rules.own {
        None => write_key(key, scheme, Some(host), target),
        Some(own) => {
            write_key(key, scheme, Some(host), "");
            own.query.write_target(key, target);
        }
    }
}

/// The values of all fields of that name.
pub fn values<'b>(head: &RequestHead<'_, 'b>, name: &'static str) -> impl Iterator<Item = &'b [u8]> {
    head.fields().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// `force_https`: the same address under https; 308 where the method must stay.
pub fn to_https(out: &mut Vec<u8>, mut note: Note, head: &RequestHead<'_, '_>) -> Answer<Proxy> {
    let status = if matches!(head.method, "GET" | "HEAD") { 301 } else { 308 };
    answer::write_status(out, status);
    let location = format!("https://{}{}", head.host(), head.target);
    answer::write_field(out, "Location", location.as_bytes());
    said(Why::ForceHttps).write_field(out);
    note.status = status;
    note.reason = Why::ForceHttps.word();
    Answer { payload: Payload::Empty, close: false, note }
}

/// What Cache-Status says of an answer that neither the store nor the origin was asked for.
fn said(why: Why) -> CacheStatus {
    CacheStatus { detail: Some(why.word()), ..CacheStatus::default() }
}

/// An answer of our own making for which no origin is to blame.
pub fn own(out: &mut Vec<u8>, mut note: Note, form: Form, refusal: Refusal, now: Now) -> Answer<Proxy> {
    let page = Page {
        status: refusal.status,
        sentence: refusal.reason,
        error: None,
        phase: None,
        detail: None,
        id: note.id,
        now,
    };
    let why = if refusal == NOT_CACHED { Why::OnlyIfCached } else { Why::Refused };
    let payload = answer::own(out, &page, form, Some(&said(why)), None);
    note.status = refusal.status;
    note.reason = why.word();
    Answer { payload, close: false, note }
}

/// CDN-Loop names us (RFC 8586, RFC 5842).
pub const LOOP: Refusal = Refusal { status: 508, reason: "the request has come back to the server that sent it on" };
/// only-if-cached (RFC 9111 §5.2.1.7).
pub const NOT_CACHED: Refusal = Refusal { status: 504, reason: "the response is not in the cache" };
/// HTTP/1.0 without Host, where one is needed.
pub const NO_HOST: Refusal = Refusal { status: 400, reason: "the request names no host" };
const UNKNOWN_HOST: Refusal = Refusal { status: 421, reason: "no site is configured for this host" };
const OTHER_SITE: Refusal =
    Refusal { status: 421, reason: "the TLS server name and the Host belong to different sites" };
