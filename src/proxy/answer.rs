//! Writing the head of an answer: from a stored response, for a client's conditions and ranges, or of our own making.

use std::io::Write;

use super::error_page::{Form, Page};
use super::fields::VIA_LINE;
use super::ranged::ranged;
use super::reason::reason;
use super::request::Request;
use crate::config::Site;
use crate::http1::{Present, RequestHead};
use crate::policy::Fields;
use crate::policy::response_edits::{Edits, Extent, LIFETIME};
use crate::policy::validator::{self, Precondition};
use crate::server::Payload;
use crate::status::{CacheStatus, ProxyStatus, write_decimal, write_decimal_line};
use crate::store::{Chunk, Reader, StoredResponse};
use crate::time::Now;

/// What an answer depends on in the request, whether it still lies in its buffer or was copied.
pub struct Ask<'a> {
    /// The method token.
    pub method: &'a str,
    /// Which fields are there at all, so that a plain hit reads none.
    pub present: Present,
    /// The fields.
    pub fields: &'a dyn Fields,
    /// What the site changes in its responses, if anything.
    pub edits: Option<&'a Edits>,
}

impl<'a> Ask<'a> {
    /// Of a request in its buffer.
    pub fn of_head(head: &'a RequestHead<'_, '_>) -> Ask<'a> {
        Ask { method: head.method, present: head.present, fields: head, edits: None }
    }

    /// Of a copied request.
    pub fn of_request(request: &'a Request) -> Ask<'a> {
        Ask { method: request.method(), present: request.present, fields: request, edits: None }
    }

    /// The same, to be answered as the site has it.
    pub fn of_site(self, site: &'a Site) -> Ask<'a> {
        let edits = site.rules.own.as_deref().map(|own| &own.edits).filter(|edits| !edits.are_none());
        Ask { edits, ..self }
    }

    /// What `read` makes of the field of that name, or of an empty value where there is none, or where it is said twice: the
    /// next reader may take the other one. Nothing is copied.
    pub fn read_field<T>(&self, name: &str, read: impl Fn(&[u8]) -> T) -> T {
        let (mut found, mut count) = (None, 0_usize);
        self.fields.for_each(&mut |known, value| {
            if known.eq_ignore_ascii_case(name.as_bytes()) {
                count = count.saturating_add(1);
                found = (count == 1).then(|| read(value));
            }
        });
        found.unwrap_or_else(|| read(b""))
    }
}

/// Writes the head for a stored (or passing) response; returns the status and what follows as its body.
///
/// `reader` is given where the body has one already; otherwise a new one reads from the start.
pub fn from_response(
    out: &mut Vec<u8>,
    ask: &Ask<'_>,
    response: &StoredResponse,
    reader: Option<Reader>,
    cache: &CacheStatus,
    now: Now,
) -> (u16, Payload) {
    let status = response.head.status();
    let age = response.freshness.age(now);
    let has_conditions = status == 200 && ask.present.has_any(conditions());
    if has_conditions {
        match validator::evaluate(ask.fields, ask.method, status, &response.validators(now.date()), now) {
            Precondition::Proceed => {}
            Precondition::NotModified => {
                write_status(out, 304);
                copy_fields(out, ask, response, cache, is_kept_by_304);
                finish_head(out, age, cache);
                return (304, Payload::Absent);
            }
            Precondition::Failed => {
                write_status(out, 412);
                copy_fields(out, ask, response, cache, is_kept_by_refusal);
                finish_head(out, age, cache);
                return (412, Payload::Empty);
            }
        }
    }
    if has_conditions && let Some(ranged) = ranged(out, ask, response, cache, now) {
        return ranged;
    }
    write_status(out, status);
    if ask.edits.is_some() {
        copy_fields(out, ask, response, cache, |_| true);
    } else {
        out.extend_from_slice(response.head.field_lines());
    }
    finish_head(out, age, cache);
    let length = response.body.length();
    if ask.method == "HEAD" {
        // With a reader of its own it is the origin's answer to this very HEAD: the head says the length, if any does.
        return (status, Payload::Head(length.filter(|_| reader.is_none())));
    }
    if matches!(status, 204 | 304) {
        return (status, Payload::Absent);
    }
    if let Some(whole) = response.body.in_memory() {
        return (status, Payload::Whole(whole));
    }
    let reader = reader.unwrap_or_else(|| Reader::new(&response.body));
    (status, Payload::Stream { reader, skip: 0, length })
}

/// The fields that a 304 repeats (RFC 9110 §15.4.5), and those that tell the way it took.
pub fn is_kept_by_304(name: &str) -> bool {
    KEPT_BY_304.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The same for 412 and 416, which are of this one request: what says how long the stored response may be kept would
/// have a cache behind us give them to others.
pub fn is_kept_by_refusal(name: &str) -> bool {
    is_kept_by_304(name) && !FRESHNESS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The field lines of a stored response whose names `keep` accepts, with what the site changes in them.
pub fn copy_fields(
    out: &mut Vec<u8>,
    ask: &Ask<'_>,
    response: &StoredResponse,
    cache: &CacheStatus,
    keep: impl Fn(&str) -> bool,
) {
    let is_kept = cache.hit || cache.stored;
    let extent = if is_kept { Extent::All } else { Extent::NotFreshness };
    let is_dropped = |name: &str| ask.edits.is_some_and(|edits| edits.drops(name, extent));
    for (name, value) in response.head.fields().filter(|(name, _)| keep(name) && !is_dropped(name)) {
        write_field(out, name, value);
    }
    let Some(edits) = ask.edits else { return };
    for (name, value) in edits.written(extent).filter(|(name, _)| keep(name)) {
        write_field(out, name, value);
    }
    if edits.show_lifetime && is_kept {
        out.extend_from_slice(LIFETIME.as_bytes());
        out.extend_from_slice(b": ");
        write_decimal_line(out, u64::from(response.freshness.lifetime()));
    }
}

/// What every answer of the cache says last. The origin's own Via stands before ours (RFC 9110 §7.6.3).
pub fn finish_head(out: &mut Vec<u8>, age: u32, cache: &CacheStatus) {
    out.extend_from_slice(VIA_LINE);
    // RFC 9111 §5.1: every response from the store says its age; a first answer only where it is not new.
    if cache.hit || age > 0 {
        out.extend_from_slice(b"Age: ");
        write_decimal_line(out, u64::from(age));
    }
    cache.write_field(out);
}

/// `HTTP/1.1 404 Not Found`
pub fn write_status(out: &mut Vec<u8>, status: u16) {
    // By far the most frequent, and so at once.
    if status == 200 {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    write_decimal(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// One field line.
pub fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes head and body of an answer that we make ourselves.
pub fn own(
    out: &mut Vec<u8>,
    page: &Page<'_>,
    form: Form,
    cache: Option<&CacheStatus>,
    proxy: Option<&ProxyStatus<'_>>,
) -> Payload {
    write_status(out, page.status);
    write_field(out, "Date", &crate::time::HttpDate(page.now.unix()).format());
    write_field(out, "Content-Type", form.media_type().as_bytes());
    write_field(out, "Cache-Control", b"no-store");
    write_field(out, "X-Content-Type-Options", b"nosniff");
    let _ = write!(out, "X-Request-Id: {}\r\n", page.id);
    if page.status == 405 {
        write_field(out, "Allow", ALLOWED);
    }
    if let Some(cache) = cache {
        cache.write_field(out);
    }
    if let Some(proxy) = proxy {
        proxy.write_field(out);
    }
    Payload::Whole(Chunk::of(page.render(form).into()))
}

/// The fields that can make the answer to a GET anything but the whole stored response.
pub fn conditions() -> Present {
    Present::IF_NONE_MATCH
        | Present::IF_MODIFIED_SINCE
        | Present::IF_MATCH
        | Present::IF_UNMODIFIED_SINCE
        | Present::RANGE
}

/// The methods that we name where we are asked; any other token but CONNECT, TRACE and PRI is passed on too.
pub const ALLOWED: &[u8] = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const KEPT_BY_304: [&str; 8] =
    ["cache-control", "cdn-cache-control", "content-location", "date", "etag", "expires", "vary", "via"];
const FRESHNESS: [&str; 3] = ["cache-control", "cdn-cache-control", "expires"];
