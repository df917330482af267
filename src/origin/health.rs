//! Which addresses of origins are dead, shared by all sites (origin-fetch.md section 2).
//!
//! Two failed connects in a row put an address into the table; a TCP probe every 5 s, or a connection that stands, takes
//! it out again. An address that let one connect run out of time, or that a later one overtook, is a suspect: it is left
//! out where there is another, and probed at once. [`Table`] is the rule, pure over `now`; [`Health`] holds it under a
//! lock, for bookkeeping alone. Refuses to know of sites and of what TLS or HTTP say.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connector::{Onlooker, RefusalKind};

/// What is thought of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing speaks against it.
    Good,
    /// Better not, until a probe has told.
    Suspect,
    /// Dead, and how its last connect failed.
    Dead(RefusalKind),
}

/// An address that failed lately, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressState {
    /// The address.
    pub address: SocketAddr,
    /// How long it has been dead; none while it is only suspected.
    pub dead_for: Option<Duration>,
    /// Failed connects in a row, probes included.
    pub failures: u32,
    /// What happened last, for example `refused the connection`.
    pub failure: &'static str,
    /// How long ago the last probe ended.
    pub probed: Option<Duration>,
}

/// The addresses that are not good, for all fetchers.
#[derive(Debug, Default)]
pub struct Health {
    table: Mutex<Table>,
    /// How many are in it: while there is none, nobody takes the lock.
    noted: AtomicUsize,
}

/// The addresses that failed lately.
#[derive(Debug, Default)]
pub struct Table(HashMap<SocketAddr, Entry>);

#[derive(Debug)]
struct Entry {
    failures: u32,
    kind: RefusalKind,
    dead_since: Option<Instant>,
    is_suspect: bool,
    is_being_probed: bool,
    probed: Option<Instant>,
    /// When the last trial request was let through.
    tried: Option<Instant>,
    /// When it failed or was wanted last: what nobody wants any more leaves.
    seen: Instant,
}

impl Health {
    /// No address is in the table, so all are good.
    pub fn is_quiet(&self) -> bool {
        self.noted.load(Ordering::Relaxed) == 0
    }

    /// What is thought of the address.
    pub fn standing(&self, address: SocketAddr) -> Standing {
        if self.is_quiet() { Standing::Good } else { self.lock().standing(address, Instant::now()) }
    }

    /// One request a second is let through to addresses that are all dead; true where this is the one.
    pub fn may_try(&self, addresses: &[SocketAddr]) -> bool {
        self.change(|table, now| table.trial(addresses, now))
    }

    /// Addresses to probe now; the caller tells the outcome of each.
    pub fn due(&self) -> Vec<SocketAddr> {
        if self.is_quiet() { Vec::new() } else { self.change(|table, now| table.due(now)) }
    }

    /// A probe ended.
    pub fn probed(&self, address: SocketAddr, outcome: Result<(), RefusalKind>) {
        let change = self.change(|table, now| table.probed(address, outcome, now));
        report(address, change, outcome.err());
    }

    /// Every address in the table, in order.
    pub fn states(&self) -> Vec<AddressState> {
        self.lock().states(Instant::now())
    }

    /// How many are dead.
    pub fn dead(&self) -> usize {
        if self.is_quiet() { 0 } else { self.lock().0.values().filter(|entry| entry.dead_since.is_some()).count() }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Table, Instant) -> T) -> T {
        let mut table = self.lock();
        let changed = change(&mut table, Instant::now());
        self.noted.store(table.0.len(), Ordering::Relaxed);
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Onlooker for Health {
    fn failed(&self, address: SocketAddr, kind: RefusalKind) {
        let change = self.change(|table, now| table.failed(address, kind, now));
        report(address, change, Some(kind));
    }

    fn overtaken(&self, address: SocketAddr) {
        self.change(|table, now| table.suspected(address, now));
    }

    fn answered(&self, address: SocketAddr) {
        if !self.is_quiet() {
            let change = self.change(|table, _| table.answered(address));
            report(address, change, None);
        }
    }

    fn is_lost(&self, address: SocketAddr) -> bool {
        self.standing(address) != Standing::Good
    }
}

/// What became of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing that matters.
    None,
    /// It is dead from now on.
    Died,
    /// It was dead and is not any more.
    Revived,
}

fn report(address: SocketAddr, change: Change, kind: Option<RefusalKind>) {
    let why = kind.map_or("", RefusalKind::words);
    match change {
        Change::Died => log::warn!("origin address {address} is dead: it {why}; a probe every 5 s looks for it"),
        Change::Revived => log::info!("origin address {address} answers again"),
        Change::None => {}
    }
}

impl Table {
    /// A connect failed. Our own faults say nothing about the address.
    pub fn failed(&mut self, address: SocketAddr, kind: RefusalKind, now: Instant) -> Change {
        if kind == RefusalKind::Own {
            return Change::None;
        }
        let entry = self.entry(address, now);
        entry.failures = entry.failures.saturating_add(1);
        (entry.kind, entry.seen) = (kind, now);
        entry.is_suspect |= kind == RefusalKind::Timeout;
        if entry.failures >= DEADLY && entry.dead_since.is_none() {
            entry.dead_since = Some(now);
            return Change::Died;
        }
        Change::None
    }

    /// It said nothing while another, dialled later, took the connection.
    pub fn suspected(&mut self, address: SocketAddr, now: Instant) {
        self.entry(address, now).is_suspect = true;
    }

    /// A connection stands.
    pub fn answered(&mut self, address: SocketAddr) -> Change {
        let was_dead = self.0.remove(&address).is_some_and(|entry| entry.dead_since.is_some());
        if was_dead { Change::Revived } else { Change::None }
    }

    /// What is thought of the address.
    pub fn standing(&mut self, address: SocketAddr, now: Instant) -> Standing {
        let Some(entry) = self.0.get_mut(&address) else { return Standing::Good };
        entry.seen = now;
        match entry.dead_since {
            Some(_) => Standing::Dead(entry.kind),
            None if entry.is_suspect => Standing::Suspect,
            None => Standing::Good,
        }
    }

    /// True once a second: a request may go to these addresses although they are all dead.
    pub fn trial(&mut self, addresses: &[SocketAddr], now: Instant) -> bool {
        let is_recent = |tried: Option<Instant>| tried.is_some_and(|at| now.saturating_duration_since(at) < TRIAL);
        if addresses.iter().filter_map(|address| self.0.get(address)).any(|entry| is_recent(entry.tried)) {
            return false;
        }
        for address in addresses {
            // Those that only fail their health check are not in the table yet.
            self.entry(*address, now).tried = Some(now);
        }
        true
    }

    /// The addresses whose probe is due, marked as being probed. What is old news leaves the table.
    pub fn due(&mut self, now: Instant) -> Vec<SocketAddr> {
        self.0.retain(|_, entry| entry.is_being_probed || now.saturating_duration_since(entry.seen) < entry.lifetime());
        let mut due = Vec::new();
        for (address, entry) in &mut self.0 {
            if due.len() < MAX_PROBES && entry.is_due(now) {
                entry.is_being_probed = true;
                due.push(*address);
            }
        }
        due
    }

    /// A probe ended.
    pub fn probed(&mut self, address: SocketAddr, outcome: Result<(), RefusalKind>, now: Instant) -> Change {
        let Some(entry) = self.0.get_mut(&address) else { return Change::None };
        entry.is_being_probed = false;
        entry.probed = Some(now);
        let seen = entry.seen;
        match outcome {
            Ok(()) => self.answered(address),
            Err(kind) => {
                let change = self.failed(address, kind, now);
                // Probes alone keep no address in the table for ever.
                self.entry(address, now).seen = seen;
                change
            }
        }
    }

    /// Every address, in order.
    pub fn states(&self, now: Instant) -> Vec<AddressState> {
        let ago = |at: Instant| now.saturating_duration_since(at);
        let state = |(address, entry): (&SocketAddr, &Entry)| AddressState {
            address: *address,
            dead_for: entry.dead_since.map(ago),
            failures: entry.failures,
            failure: entry.kind.words(),
            probed: entry.probed.map(ago),
        };
        let failed = self.0.iter().filter(|(_, entry)| entry.failures > 0 || entry.is_suspect);
        let mut states: Vec<_> = failed.map(state).collect();
        states.sort_by_key(|state| state.address);
        states
    }

    fn entry(&mut self, address: SocketAddr, now: Instant) -> &mut Entry {
        if self.0.len() >= MAX_ADDRESSES && !self.0.contains_key(&address) {
            let oldest = self.0.iter().min_by_key(|(_, entry)| entry.seen).map(|(address, _)| *address);
            oldest.and_then(|oldest| self.0.remove(&oldest));
        }
        self.0.entry(address).or_insert(Entry {
            failures: 0,
            kind: RefusalKind::Timeout,
            dead_since: None,
            is_suspect: false,
            is_being_probed: false,
            probed: None,
            tried: None,
            seen: now,
        })
    }
}

impl Entry {
    fn is_due(&self, now: Instant) -> bool {
        let since = |at: Option<Instant>| at.map_or(Duration::MAX, |at| now.saturating_duration_since(at));
        let is_wanted = match self.dead_since {
            Some(_) => since(self.dead_since).min(since(self.probed)) >= PROBE,
            None => self.is_suspect && since(self.probed) >= TRIAL,
        };
        is_wanted && !self.is_being_probed
    }

    fn lifetime(&self) -> Duration {
        if self.dead_since.is_some() || self.is_suspect { UNWANTED } else { FORGIVEN }
    }
}

/// Failed connects in a row.
const DEADLY: u32 = 2;
/// Between two probes of a dead address.
const PROBE: Duration = Duration::from_secs(5);
/// Between two requests that are let through to dead addresses, and between two probes of a suspect.
const TRIAL: Duration = Duration::from_secs(1);
/// A single failure is no news any more.
const FORGIVEN: Duration = Duration::from_secs(60);
/// Nobody has asked for the address: its name leads elsewhere now.
const UNWANTED: Duration = Duration::from_secs(600);
/// Probes at once.
const MAX_PROBES: usize = 64;
const MAX_ADDRESSES: usize = 4096;

#[cfg(test)]
#[path = "tests_health.rs"]
mod tests;
