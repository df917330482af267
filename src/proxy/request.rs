//! A request that outlives the buffer it arrived in: copied once, on a miss, and read by whoever fetches for it.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use crate::http1::{Present, RequestHead, Version};
use crate::observe::RequestId;
use crate::policy::Fields;
use crate::server::{Peer, Uploaded};

/// An owned request: one buffer, and where its parts lie.
pub struct Request {
    text: Box<[u8]>,
    method: Range<usize>,
    target: Range<usize>,
    authority: Range<usize>,
    host: Range<usize>,
    fields: Vec<(Range<usize>, Range<usize>)>,
    /// Which of the fields that matter to the cache it has.
    pub present: Present,
    /// The version it was sent in.
    pub version: Version,
    /// It came over TLS.
    pub is_https: bool,
    /// Who sent it.
    pub client: SocketAddr,
    /// Its number.
    pub id: RequestId,
    /// When its head had arrived (monotonic).
    pub began: Duration,
    /// Its body, where it had one.
    pub body: Option<Uploaded>,
}

impl Request {
    /// Copies a request; `host` is the lower-case name without port. What its Connection field lists ends here
    /// (RFC 9110 §7.6.1): the origin does not see it, so nothing that is stored may be chosen by it.
    pub fn copy(head: &RequestHead<'_, '_>, host: &str, peer: &Peer, id: RequestId, began: Duration) -> Request {
        let mut text = Vec::with_capacity(head.len + host.len());
        let mut keep = |bytes: &[u8]| {
            let start = text.len();
            text.extend_from_slice(bytes);
            start..text.len()
        };
        let method = keep(head.method.as_bytes());
        let target = keep(head.target.as_bytes());
        let authority = keep(head.authority.as_bytes());
        let host = keep(host.as_bytes());
        let listed = head.listed();
        let fields = head.fields().filter(|(name, _)| !listed.lists(name));
        let fields = fields.map(|(name, value)| (keep(name.as_bytes()), keep(value))).collect();
        Request {
            text: text.into_boxed_slice(),
            method,
            target,
            authority,
            host,
            fields,
            present: head.present,
            version: head.version,
            is_https: peer.is_https,
            client: peer.address,
            id,
            began,
            body: None,
        }
    }

    /// The same as a GET: what is fetched behind the answer to a HEAD is for everybody.
    pub fn into_get(mut self) -> Request {
        let mut text = self.text.into_vec();
        self.method = text.len()..text.len().saturating_add(GET.len());
        text.extend_from_slice(GET);
        self.text = text.into_boxed_slice();
        self
    }

    /// The method token.
    pub fn method(&self) -> &str {
        self.word(&self.method)
    }

    /// Path and query as sent, or `*`.
    pub fn target(&self) -> &str {
        self.word(&self.target)
    }

    /// Host and port as asked for.
    pub fn authority(&self) -> &str {
        self.word(&self.authority)
    }

    /// The lower-case name asked for, without port.
    pub fn host(&self) -> &str {
        self.word(&self.host)
    }

    /// All field lines, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(name, value)| (self.word(name), self.text.get(value.clone()).unwrap_or_default()))
    }

    /// The first field of that name.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn word(&self, range: &Range<usize>) -> &str {
        // The parser took these parts as text, so this never falls back.
        self.text.get(range.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl Fields for Request {
    fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.fields().for_each(|(name, value)| each(name.as_bytes(), value));
    }
}

const GET: &[u8] = b"GET";
