//! The reading end of a body.

use std::sync::Arc;

use super::body::{Body, Sealed};
use super::chunk::Chunk;
use super::filling::{Filling, Leftovers};
use crate::status::ProxyError;
use crate::wake::Wake;

/// Reads one body from its beginning. Dropping it removes its wake and lets the writer go on without it.
pub struct Reader {
    body: Arc<Body>,
    /// Its place among the readers of a body under way.
    slot: Option<usize>,
    /// All before this was handed out.
    position: u64,
}

/// The answer to [`Reader::next`].
#[derive(Clone, Debug)]
pub enum Next {
    /// The next bytes, never empty. Of a passing body they count as taken when `next` is called again.
    Chunk(Chunk),
    /// Nothing new; the wake is called when there is.
    NotYet,
    /// All bytes were handed out and the body is proven whole.
    Complete,
    /// It ends here and is not whole: the writer failed, or (`ConnectionWriteTimeout`) this reader was cut off for being
    /// too slow, or (`ProxyInternalError`) it came after the beginning had passed.
    Broken(ProxyError),
}

impl Reader {
    /// A reader at the beginning. Make it as early as the body is known: a passing body waits only for readers it has.
    pub fn new(body: &Arc<Body>) -> Reader {
        Reader::enter(body, 0)
    }

    /// A reader at the beginning for somebody who finds the body where it is stored; `None` where not all of it can be had
    /// any more. Takes no lock once the body is sealed.
    pub fn join(body: &Arc<Body>) -> Option<Reader> {
        let reader = Reader::enter(body, 0);
        let is_in = reader.slot.is_some() || body.sealed_form().is_some();
        (is_in && !body.is_broken()).then_some(reader)
    }

    fn enter(body: &Arc<Body>, position: u64) -> Reader {
        let mut reader = Reader { body: Arc::clone(body), slot: None, position };
        if body.sealed_form().is_none() {
            let enter = |filling: &mut Filling| {
                let mut slot = None;
                if !filling.reaches_back_to(position) {
                    return (slot, Leftovers::default());
                }
                let leftovers = filling.shift(|readers| slot = Some(readers.enter(position)));
                (slot, leftovers)
            };
            reader.slot = body.with(enter).flatten();
        }
        reader
    }

    /// The next step. On `NotYet` a clone of `wake` is left under the lock that found nothing, so no push is missed; a
    /// wake left earlier is replaced. On a sealed body it takes no lock and allocates nothing.
    pub fn next(&mut self, wake: Option<&Wake>) -> Next {
        let body = &self.body;
        let next = match body.sealed_form() {
            Some(sealed) => from_sealed(sealed, body, self.position),
            None => body
                .with(|filling| filling.read(self.slot, self.position, wake))
                .or_else(|| body.sealed_form().map(|sealed| from_sealed(sealed, body, self.position)))
                .unwrap_or(Next::Broken(ProxyError::ProxyInternalError)),
        };
        if let Next::Chunk(chunk) = &next {
            self.position = self.position.saturating_add(chunk.len());
        }
        next
    }
}

fn from_sealed(sealed: &Sealed, body: &Arc<Body>, position: u64) -> Next {
    if position < sealed.len() { Next::Chunk(sealed.chunk(body, position)) } else { Next::Complete }
}

impl Clone for Reader {
    /// Another reader at the same place. A clone held by a flight keeps the beginning for those who have yet to come.
    fn clone(&self) -> Reader {
        Reader::enter(&self.body, self.position)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Some(slot) = self.slot.filter(|_| self.body.sealed_form().is_none()) else { return };
        let left = self.body.with(|filling| {
            let mut wake = None;
            let leftovers = filling.shift(|readers| wake = readers.leave(slot));
            ((wake, filling.is_closed()), leftovers)
        });
        let Some((wake, is_closed)) = left else { return };
        drop(wake);
        if is_closed {
            self.body.note_deserted();
        }
    }
}
