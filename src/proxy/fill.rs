//! Moving a body from the origin's connection into a [`Body`](crate::store::Body), chunk by chunk, on the fetcher's thread.

use std::cell::Cell;
use std::sync::Arc;

use super::Core;
use super::fetch::{Fetch, Goal};
use crate::http1::{BodyLength, ResponseHead};
use crate::observe::{Counter, FetchTimes};
use crate::origin::{MAX_HEAD_START, OriginBody, route};
use crate::status::ProxyError;
use crate::store::{StoredResponse, Writer};

impl Fetch {
    /// Moves the body over, as it comes; true when it is whole and still kept as planned.
    /// `head` is what came before it.
    pub(super) fn fill(
        &self,
        writer: Writer,
        (head, body): (&ResponseHead, Box<OriginBody>),
        stored: Option<&Arc<StoredResponse>>,
    ) -> bool {
        let mut room = ROOM.take();
        if room.is_empty() {
            room = vec![0; ROOM_SIZE];
        }
        let is_whole = self.pour(writer, (head, body), stored, room.get_mut(..READ).unwrap_or_default());
        ROOM.set(room);
        is_whole
    }

    fn pour(
        &self,
        mut writer: Writer,
        (head, mut body): (&ResponseHead, Box<OriginBody>),
        stored: Option<&Arc<StoredResponse>>,
        room: &mut [u8],
    ) -> bool {
        let mut is_stored = stored.is_some();
        loop {
            let n = match body.read(room) {
                Ok(0) => {
                    writer.finish();
                    self.core.praise(&self.site, &body);
                    return is_stored || stored.is_none();
                }
                Ok(n) => n,
                Err(mut error) => {
                    error.facts.head_start = head.start(MAX_HEAD_START).to_vec();
                    error.facts.sni = self.sni_of(&error.origin);
                    self.core.metrics.shared().failed(error.error);
                    self.core.blame(&self.site, &self.request, &error, FetchTimes::default());
                    writer.fail(error.error);
                    return false;
                }
            };
            self.core.metrics.add(Counter::BytesFetched, u64::try_from(n).unwrap_or(0));
            let pushed = writer.push(room.get(..n).unwrap_or_default());
            if let Some(fault) = writer.take_fault() {
                self.core.spill_failed(&fault, "large responses go on at the pace of their slowest client");
            }
            if pushed.is_err() {
                writer.fail(ProxyError::ProxyInternalError);
                return false;
            }
            // A client's own range is of use to others only when it is whole.
            if matches!(self.goal, Goal::Part) && stored.is_some() && writer.is_deserted() {
                writer.fail(ProxyError::ProxyInternalError);
                return false;
            }
            if let (true, Some(response), Some(key)) = (is_stored, stored, &self.key)
                && !response.body.may_be_shared()
            {
                // It outgrew the store and the disk: those who read it have it to the end, nobody else finds it.
                self.core.cache.store.remove_response(key, response);
                is_stored = false;
            }
        }
    }
}

impl Fetch {
    /// The name that was sent to this server of the site in the TLS handshake, if there was one.
    fn sni_of(&self, label: &str) -> Option<String> {
        let (origin, asked) = (&self.site.origin, self.plain_request(""));
        let mut routes = origin.servers.iter().map(|server| route(origin, server, asked.host, asked.client_is_https));
        routes.find(|route| route.label == label)?.sni
    }
}

impl Core {
    /// The disk refuses temporary files: counted, and told at most once a minute with what comes of it.
    pub(super) fn spill_failed(&self, fault: &dyn std::fmt::Display, consequence: &str) {
        self.metrics.add(Counter::SpillFaults, 1);
        self.spill_warned.warn(self.clock.now().monotonic, || {
            let dir = self.spill.dir.display();
            format!(
                "cannot write a temporary file in {dir}: {fault}; {consequence}: make room there, or set another cache.temp_dir"
            )
        });
    }
}

/// The length that a body declares, if it does.
pub fn length_of(body: &OriginBody) -> Option<u64> {
    match body.length() {
        BodyLength::None => Some(0),
        BodyLength::Exact(length) => Some(length),
        BodyLength::Chunked | BodyLength::UntilClose => None,
    }
}

thread_local! {
    /// What this fetcher reads bodies into, kept from fetch to fetch.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

const READ: usize = 64 << 10;
/// So large that the allocator takes it from the system by itself: zeroed, and what no body fills is never touched.
const ROOM_SIZE: usize = 132 << 10;
