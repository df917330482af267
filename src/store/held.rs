//! Responses that are too large to be kept and are held as long as somebody reads them: when they leave the store.
//!
//! A reader cannot reach the store from where it ends, and no thread waits for it; so those that are complete are put on a
//! list, which upkeep goes through about once a second. Until then nobody finds them, for their bodies know.

use std::sync::{Arc, PoisonError, Weak};

use super::{Store, StoredResponse};

/// What stands in the store under this key as long as it is read.
pub type Held = (Box<[u8]>, Weak<StoredResponse>);

impl Store {
    /// `response`, which is complete and only held, leaves the store under `key` once nobody reads it any more.
    pub fn leave_with_readers(&self, key: &[u8], response: &Arc<StoredResponse>) {
        self.0.shards.held.lock().unwrap_or_else(PoisonError::into_inner).push((key.into(), Arc::downgrade(response)));
        // Its last reader may have left before it stood on the list; the next upkeep finds it.
    }

    /// Takes out those that nobody reads any more.
    pub(super) fn let_go(&self) {
        let is_read = |(_, response): &mut Held| response.upgrade().is_some_and(|held| held.body.may_be_shared());
        let mut held = self.0.shards.held.lock().unwrap_or_else(PoisonError::into_inner);
        let left: Vec<Held> = held.extract_if(.., |entry| !is_read(entry)).collect();
        drop(held);
        for (key, response) in left {
            if let Some(response) = response.upgrade() {
                self.remove_response(&key, &response);
            }
        }
    }
}
