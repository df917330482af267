//! Purging: which stored responses a purge takes, and what becomes of the fetches under way.
//!
//! Three steps, in this order: the purge gets its number, so that nothing asked for before can be stored any more; what
//! is stored leaves or becomes stale; flights that it concerns are detached, so that whoever asks from now on begins a new
//! one. Those who wait already get their answer.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use super::Cache;
use super::parts::met_under;
use crate::policy::groups::is_member;
use crate::policy::key::{KeyParts, origin_of, resource_of};
use crate::store::{Body, Matches, StoredResponse};

/// Is it one of these hosts?
type IsHost = dyn Fn(Option<&str>) -> bool + Send + Sync;

/// Which stored responses a purge takes.
pub enum Which {
    /// All that answer for the resource of this key, whatever else tells requests for it apart.
    Resource(Box<[u8]>),
    /// All whose key begins so: an origin, or a directory of one.
    Beginning(Box<[u8]>),
    /// All of the origin that this key begins with whose target fits a pattern.
    Glob(Box<[u8]>, Box<[u8]>),
    /// All of hosts that are so; none is given where responses are shared between domains.
    Hosts(Box<IsHost>),
    /// All of the origin that this key begins with that belong to one of these cache groups (RFC 9875 §2.1).
    Groups(Box<[u8]>, Box<[Box<[u8]>]>),
    /// All.
    Everything,
}

impl Which {
    fn takes(&self, key: &[u8], response: &StoredResponse) -> bool {
        match self {
            Which::Groups(_, names) => {
                response.mark.has_groups() && self.may_take(key) && is_member(&response.head, names)
            }
            _ => self.may_take(key),
        }
    }

    /// Could it take something under this key? Of groups only the response itself says more.
    fn may_take(&self, key: &[u8]) -> bool {
        match self {
            Which::Resource(resource) => key.starts_with(resource) && resource_of(key) == &**resource,
            Which::Beginning(beginning) | Which::Groups(beginning, _) => key.starts_with(beginning),
            Which::Glob(origin, pattern) => {
                key.starts_with(origin)
                    && KeyParts::of(key).is_some_and(|parts| is_like(pattern, parts.target.as_bytes()))
            }
            Which::Hosts(is_meant) => KeyParts::of(key).is_some_and(|parts| is_meant(parts.host)),
            Which::Everything => true,
        }
    }
}

impl<T: Clone> Cache<T> {
    /// Removes what `which` names, or makes it stale where not `is_hard`; how many responses that were. It acts before this
    /// comes back; one that looks at every key takes most of a second for a million of them.
    pub fn purge(&self, which: Which, is_hard: bool) -> u64 {
        let which = Arc::new(which);
        let (parted, gone) = channel();
        let taken = match &*which {
            Which::Resource(key) if !self.store.has_longer_keys() => self.purge_one(key, is_hard).0,
            // All takes the parts as well.
            Which::Everything => self.store.purge(is_hard, &matches(&which)),
            _ if is_hard => self.store.purge(is_hard, &matches_noting(&which, parted)),
            _ => self.store.purge(is_hard, &matches(&which)),
        };
        self.detach(&which);
        let mut contents: Vec<_> = gone.try_iter().collect();
        contents.sort_unstable_by_key(Arc::as_ptr);
        contents.dedup_by(|one, other| Arc::ptr_eq(one, other));
        contents.iter().for_each(|content| self.remove_parts(content));
        taken
    }

    /// Purges all that is stored under one key; how many responses that were, and the purge's number.
    fn purge_one(&self, key: &[u8], is_hard: bool) -> (u64, u64) {
        let variants = self.store.variants(key);
        let parted: Vec<_> =
            variants.into_iter().filter(|stored| stored.mark.is_part()).map(|stored| stored.body.clone()).collect();
        let purged = self.store.purge_key(key, is_hard);
        if is_hard {
            parted.iter().for_each(|content| self.remove_parts(content));
        }
        purged
    }

    /// How many responses [`Cache::purge`] would take now.
    pub fn count(&self, which: Which) -> u64 {
        self.store.count(&matches(&Arc::new(which)))
    }

    /// Shows every key under which it would take something.
    pub fn each_key(&self, which: &Which, see: &mut dyn FnMut(&[u8])) {
        self.store.survey(&mut |key, response, _| {
            if which.takes(key, response) {
                see(key);
            }
        });
    }

    /// The resource of this key has changed (RFC 9111 §4.4): what is stored for it is removed. Looks at no other key.
    ///
    /// Whoever brings the word may bring a response to be stored as well, which its own word must not keep out: `seen` is
    /// the number with which it asked the origin, and back comes the number that it may store with. That is a later one
    /// where nobody else has purged anything meanwhile.
    pub fn invalidate(&self, key: &[u8], seen: u64) -> u64 {
        let resource = resource_of(key);
        let (_, number) = self.purge_one(resource, true);
        let mut seen = advanced(seen, number);
        let which = Arc::new(Which::Resource(resource.into()));
        if self.store.has_longer_keys() {
            seen = advanced(seen, self.store.purge_later(true, &matches(&which)));
        }
        self.detach(&which);
        seen
    }

    /// These groups of the key's origin have changed (RFC 9875 §3): what belongs to them is not found any more from now
    /// on, and is removed within a second or so. `seen` and the answer are those of [`Cache::invalidate`].
    pub fn invalidate_groups(&self, key: &[u8], names: Vec<Box<[u8]>>, seen: u64) -> u64 {
        let which = Arc::new(Which::Groups(origin_of(key).into(), names.into()));
        let number = self.store.purge_later(true, &matches(&which));
        self.detach(&which);
        advanced(seen, number)
    }

    fn detach(&self, which: &Which) {
        self.flights.detach(|key| which.may_take(met_under(key)));
    }
}

/// `number`, where no other stands between it and `seen`.
fn advanced(seen: u64, number: u64) -> u64 {
    if seen.checked_add(1) == Some(number) { number } else { seen }
}

fn matches(which: &Arc<Which>) -> Matches {
    let which = Arc::clone(which);
    Arc::new(move |key, response| which.takes(key, response))
}

/// The same, and hands out the content of the manifests that it takes; twice where it is asked twice.
fn matches_noting(which: &Arc<Which>, parted: Sender<Arc<Body>>) -> Matches {
    let which = Arc::clone(which);
    Arc::new(move |key, response| {
        let is_taken = which.takes(key, response);
        if is_taken && response.mark.is_part() {
            let _ = parted.send(Arc::clone(&response.body));
        }
        is_taken
    })
}

/// Does `text` fit the pattern, in which `*` stands for any bytes, none included? In time of both lengths multiplied at
/// worst: of several stars only the last one is tried anew.
fn is_like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text, mut retry) = (pattern, text, None);
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', rest)), _) => {
                retry = Some((rest, text));
                pattern = rest;
            }
            (Some((wanted, rest)), Some((byte, behind))) if wanted == byte => (pattern, text) = (rest, behind),
            (None, None) => return true,
            _ => {
                let Some((star, tried)) = retry else { return false };
                let Some((_, behind)) = tried.split_first() else { return false };
                retry = Some((star, behind));
                (pattern, text) = (star, behind);
            }
        }
    }
}

#[cfg(test)]
#[path = "tests_purge.rs"]
mod tests;
