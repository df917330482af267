//! The sweep: every entry of every shard visited once, a few hundred under one lock, while hits go on.
//!
//! A shard's list is turned round: its oldest entry is looked at and moved to the front, as often as the shard had entries
//! at the beginning; then each stands where it stood before. Whatever else moves to the front meanwhile was touched, and
//! who touches an entry applies the purges under way to it. So none is missed. While a shard is being turned its order is
//! not that of last use; that lasts a few milliseconds.

use std::sync::Arc;

use super::budget::Ledger;
use super::entry::{Entry, Victims};
use super::lru::{Hashed, Shard, Shards, oldest};
use super::purges::Rule;
use super::response::StoredResponse;

/// Sees every response with its key, once.
pub type Look<'l> = &'l mut dyn FnMut(&[u8], &StoredResponse);

/// What a sweep has taken out of the store. To drop it takes longer than to take it out, and nobody need wait for that.
#[derive(Default)]
struct Graves {
    slices: Vec<Vec<Arc<StoredResponse>>>,
    count: usize,
}

impl Graves {
    fn bury(&mut self, victims: Victims) {
        let slice = victims.into_responses();
        self.count = self.count.saturating_add(slice.len());
        if !slice.is_empty() {
            self.slices.push(slice);
        }
    }

    /// Drops all: here where they are few, on a thread of its own where they are many.
    fn clear(self) {
        if self.count <= FEW {
            return;
        }
        let drop_all = move || {
            for slice in self.slices {
                drop(slice);
                // Whoever has something to do comes first.
                std::thread::yield_now();
            }
        };
        // Where the system gives no thread, it drops them here and now.
        let _ = std::thread::Builder::new().name("purged".into()).stack_size(64 << 10).spawn(drop_all);
    }
}

impl Shards {
    /// Visits all that is stored now: applies the purges under way, and shows what stays to `look`.
    pub fn sweep(&self, ledger: &Ledger, look: Look<'_>) {
        let mut graves = Graves::default();
        let mut key = Vec::new();
        for index in 0..self.count() {
            let mut left = self.len_of(index);
            while left > 0 {
                // A shard that does not open had purges begun between two looks; they are few.
                let Some((mut shard, rules)) = self.open(index) else { continue };
                let mut victims = Victims::default();
                let slice = left.min(SLICE);
                (0..slice).for_each(|_| {
                    visit(&mut shard, rules.as_deref().unwrap_or_default(), &mut key, &mut victims, look)
                });
                drop(shard);
                self.note_taken(&victims, ledger);
                graves.bury(victims);
                left = left.saturating_sub(slice);
                // Whoever waits for the shard comes first.
                std::thread::yield_now();
            }
        }
        graves.clear();
    }
}

/// Visits the oldest entry of a shard and moves it to the front.
fn visit(shard: &mut Shard, rules: &[Arc<Rule>], room: &mut Vec<u8>, victims: &mut Victims, look: Look<'_>) {
    // Most keys have one response; where a purge takes it, the key need not be looked up.
    let rules = match shard.peek_lru() {
        Some((key, Entry::One(one))) if !rules.is_empty() => {
            if rules.iter().any(|rule| rule.takes(key.bytes(), one)) {
                if let Some((key, Entry::One(one))) = shard.pop_lru() {
                    victims.add_purged(key.bytes(), one);
                }
                return;
            }
            &[]
        }
        _ => rules,
    };
    let Some(key) = oldest(shard, room) else { return };
    let Some(entry) = shard.get_mut(&key as &dyn Hashed) else { return };
    entry.purge(key.bytes(), rules, victims);
    entry.responses().iter().for_each(|response| look(key.bytes(), response));
    if entry.is_empty() {
        shard.pop(&key as &dyn Hashed);
    }
}

/// Responses that are dropped while the caller waits.
const FEW: usize = 4096;
/// Entries visited under one lock: some fifty microseconds.
const SLICE: usize = 256;
