//! Interim responses of the origin (103, 102 and the like) on their way to the client (RFC 9110 §15.2, RFC 8297).
//!
//! They go to the one who leads the fetch: the origin said them of that very request, and perhaps of its cookies. They are
//! never stored.

use std::sync::Arc;

use super::answer::{write_field, write_status};
use super::fields::{VIA_LINE, is_framing};
use super::landing::Landing;
use super::request::Request;
use crate::cache::Ticket;
use crate::http1::{ConnectionOptions, ResponseHead, Version};
use crate::origin::Interim;

/// What takes the interim responses of a fetch for `request`; nothing where the client would not understand them
/// (HTTP/1.0, RFC 9110 §15.2).
pub fn forward(request: &Request, ticket: Option<&Ticket<Landing>>) -> Option<Interim> {
    let messenger = ticket.filter(|_| request.version == Version::Http11)?.messenger();
    Some(Arc::new(move |head| messenger.tell(&serialize(head))))
}

/// The head as it goes out: end-to-end fields and our Via.
fn serialize(head: &ResponseHead) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write_status(&mut out, head.status);
    let options = ConnectionOptions::of(head.fields());
    for (name, value) in head.fields().filter(|(name, _)| !options.drops(name) && !is_framing(name)) {
        write_field(&mut out, name, value);
    }
    out.extend_from_slice(VIA_LINE);
    out.extend_from_slice(b"\r\n");
    out
}
