//! The responses stored under one key: one, or its variants (RFC 9111 §4.1).

use std::mem::size_of;
use std::sync::Arc;

use super::purges::Rule;
use super::response::StoredResponse;
use crate::policy::variant::Variant;

/// Variants of one key, oldest first. Most keys have one and pay for no list.
pub enum Entry {
    /// All have left: the key must go.
    None,
    /// The only one.
    One(Arc<StoredResponse>),
    /// Two or more; boxed once more because every key pays for the size of this.
    #[allow(clippy::box_collection)]
    Many(Box<Vec<Arc<StoredResponse>>>),
}

impl Entry {
    /// All of them, oldest first.
    pub fn responses(&self) -> &[Arc<StoredResponse>] {
        match self {
            Entry::None => &[],
            Entry::One(one) => std::slice::from_ref(one),
            Entry::Many(many) => many,
        }
    }

    /// None is left: the key must go.
    pub fn is_empty(&self) -> bool {
        self.responses().is_empty()
    }

    /// Adds `response` as the newest. It takes the place of one with the same variant, only that parts never take that of
    /// a whole; beyond [`MOST_VARIANTS`] the oldest leaves, and of errors that are for one kind of request each the oldest of
    /// them: they never push out what is for others. Whatever leaves goes to `victims`.
    pub fn add(&mut self, key: &[u8], response: Arc<StoredResponse>, victims: &mut Victims) {
        self.take_if(key, victims, |old| old.variant == response.variant && (response.is_whole() || !old.is_whole()));
        if is_of_its_like(&response) {
            self.make_room(key, victims, MOST_ERRORS, is_of_its_like);
        }
        self.make_room(key, victims, MOST_VARIANTS, |_| true);
        *self = match std::mem::replace(self, Entry::None) {
            Entry::None => Entry::One(response),
            Entry::One(one) => Entry::Many(Box::new(vec![one, response])),
            Entry::Many(mut many) => {
                many.push(response);
                Entry::Many(many)
            }
        };
    }

    /// Has the oldest of those that `counts` names leave, until there are fewer of them than `most`.
    fn make_room(
        &mut self,
        key: &[u8],
        victims: &mut Victims,
        most: usize,
        counts: impl Fn(&Arc<StoredResponse>) -> bool,
    ) {
        while self.responses().iter().filter(|old| counts(old)).count() >= most {
            let oldest = self.responses().iter().find(|old| counts(old)).map(Arc::clone);
            self.take_if(key, victims, |old| oldest.as_ref().is_none_or(|oldest| Arc::ptr_eq(old, oldest)));
        }
    }

    /// Puts `new` in the place of exactly `old`; false where `old` is not here any more.
    pub fn swap(
        &mut self,
        key: &[u8],
        old: &Arc<StoredResponse>,
        new: &Arc<StoredResponse>,
        out: &mut Victims,
    ) -> bool {
        let responses = match self {
            Entry::None => &mut [],
            Entry::One(one) => std::slice::from_mut(one),
            Entry::Many(many) => many.as_mut_slice(),
        };
        let Some(place) = responses.iter_mut().find(|here| Arc::ptr_eq(here, old)) else { return false };
        out.add(key, std::mem::replace(place, Arc::clone(new)));
        true
    }

    /// Moves those that `leaves` names to `victims`.
    pub fn take_if(&mut self, key: &[u8], victims: &mut Victims, leaves: impl Fn(&Arc<StoredResponse>) -> bool) {
        *self = match std::mem::replace(self, Entry::None) {
            Entry::One(one) if leaves(&one) => {
                victims.add(key, one);
                Entry::None
            }
            Entry::Many(mut many) => {
                many.extract_if(.., |response| leaves(response)).for_each(|response| victims.add(key, response));
                if many.len() > 1 { Entry::Many(many) } else { many.pop().map_or(Entry::None, Entry::One) }
            }
            same => same,
        };
    }

    /// Applies purges: those that a hard one concerns move to `victims`, those that a soft one concerns are marked.
    pub fn purge(&mut self, key: &[u8], rules: &[Arc<Rule>], victims: &mut Victims) {
        if !rules.is_empty() {
            self.take_if(key, victims, |response| rules.iter().any(|rule| rule.takes(key, response)));
        }
    }

    /// Moves those that nobody but the store holds to `victims`. Exact, since new holders come through the store's lock.
    pub fn take_unused(&mut self, key: &[u8], victims: &mut Victims) {
        self.take_if(key, victims, |response| {
            Arc::strong_count(response) == 1 && Arc::strong_count(&response.body) == 1
        });
    }
}

/// It answers only requests like the one that met it.
fn is_of_its_like(response: &Arc<StoredResponse>) -> bool {
    response.variant.as_deref().is_some_and(Variant::is_likeness)
}

/// Responses on their way out, to be dropped with no lock held.
#[derive(Default)]
pub struct Victims {
    responses: Vec<Arc<StoredResponse>>,
    entry_cost: u64,
    body_cost: u64,
}

impl Victims {
    /// Adds one that was stored under `key`.
    pub fn add(&mut self, key: &[u8], response: Arc<StoredResponse>) {
        self.body_cost = self.body_cost.saturating_add(response.body.charged());
        self.add_purged(key, response);
    }

    /// The same where nobody asks what goes with it: its body is not looked at.
    pub fn add_purged(&mut self, key: &[u8], response: Arc<StoredResponse>) {
        self.entry_cost = self.entry_cost.saturating_add(entry_cost(key, &response));
        self.responses.push(response);
    }

    /// The responses themselves.
    pub fn into_responses(self) -> Vec<Arc<StoredResponse>> {
        self.responses
    }

    /// What the entries were charged; to be given back by whoever took them out.
    pub fn entry_cost(&self) -> u64 {
        self.entry_cost
    }

    /// What goes when these are dropped, bodies included.
    pub fn charge(&self) -> u64 {
        self.entry_cost.saturating_add(self.body_cost)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        u64::try_from(self.responses.len()).unwrap_or(u64::MAX)
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.responses.is_empty()
    }
}

/// What a response costs beside its body: key, list node, head, struct. The key counts for each variant, on the safe
/// side. It depends on nothing that changes, so what was charged is given back to the byte.
pub fn entry_cost(key: &[u8], response: &StoredResponse) -> u64 {
    let counts = 2 * size_of::<usize>();
    let of_variant = |variant: &Variant| allocation(variant.size()).saturating_add(VARIANT_COST);
    let variant = response.variant.as_deref().map_or(0, of_variant);
    let parts = if response.mark.is_part() { PARTS_COST } else { 0 };
    allocation(size_of::<StoredResponse>().saturating_add(counts))
        .saturating_add(parts)
        .saturating_add(allocation(response.head.size()))
        .saturating_add(super::lru::key_cost(key))
        .saturating_add(variant)
}

/// What an allocation of `size` bytes takes: an eight-byte header, rounded up to sixteen (glibc).
pub fn allocation(size: usize) -> u64 {
    let size = u64::try_from(size).unwrap_or(u64::MAX).saturating_add(8);
    size.checked_next_multiple_of(16).unwrap_or(u64::MAX)
}

/// More variants than this of one key help nobody (reliability.md, fault 22).
pub const MOST_VARIANTS: usize = 64;
/// Errors of one key that are for one kind of request each.
const MOST_ERRORS: usize = 8;
/// What a manifest of parts has for a body, which is charged nowhere else: the list at its longest.
const PARTS_COST: u64 = 384;
/// A list of variants and what holds one's fields, estimated; the fields themselves are counted, for clients send them as
/// long as they like.
const VARIANT_COST: u64 = 128;
