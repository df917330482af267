//! The health checks that sites ask for (`[site.origin.health]`): every server of such a site is asked from time to time,
//! address by address, and those that fail a few times in a row are left out until they are well again.
//!
//! Checks run on a few threads of their own, which end when nothing is due. What one check says of one address is decided
//! in [`Record`], which is pure. Refuses to know of fetches: they only ask [`Checks::is_failing`].

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::check::{Kit, check};
use crate::config::{HealthCheck, Site};

/// All checks, and what they found.
#[derive(Debug, Default)]
pub struct Checks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    records: HashMap<Key, Record>,
    /// When each server's last check began, by site and place in the list; and those under way.
    begun: HashMap<(String, usize), Begun>,
    queue: VecDeque<Due>,
    threads: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    site: String,
    address: SocketAddr,
}

#[derive(Clone, Copy, Debug)]
struct Begun {
    at: Instant,
    is_running: bool,
}

/// One server of one site, to be checked.
#[derive(Clone, Debug)]
struct Due {
    site: Arc<Site>,
    server: usize,
}

/// What the checks of one address have come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Record {
    is_failing: bool,
    /// Results in a row that speak against `is_failing`.
    streak: u32,
    /// What the last failed check met.
    failure: String,
    since: Option<Instant>,
}

/// What the checks of one address have found, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckState {
    /// The site's name.
    pub site: String,
    /// The address.
    pub address: SocketAddr,
    /// It is left out while another address answers.
    pub is_failing: bool,
    /// What the last failed check met; empty if none has failed.
    pub failure: String,
    /// How long it has been as it is; none if it has never changed.
    pub since: Option<Duration>,
}

impl Checks {
    /// The site's checks of this address have failed.
    pub fn is_failing(&self, site: &Site, address: SocketAddr) -> bool {
        site.origin.health.is_some() && {
            let key = Key { site: site.name.clone(), address };
            self.lock().records.get(&key).is_some_and(|record| record.is_failing)
        }
    }

    /// Starts the checks that are due, and forgets those of sites that are gone. Does not wait.
    pub fn start_due(self: &Arc<Checks>, sites: &[Arc<Site>], kit: &Kit) {
        let checked = sites.iter().filter(|site| site.origin.health.is_some());
        let mut state = self.lock();
        if checked.clone().next().is_none() && state.records.is_empty() {
            return;
        }
        let is_there = |name: &str| checked.clone().any(|site| site.name == name);
        state.records.retain(|key, _| is_there(&key.site));
        state.begun.retain(|(site, _), begun| begun.is_running || is_there(site));
        let now = Instant::now();
        for site in checked.clone() {
            for server in 0..site.origin.servers.len() {
                state.queue_if_due(site, server, now);
            }
        }
        let wanted = state.queue.len().min(MAX_THREADS.saturating_sub(state.threads));
        for _ in 0..wanted {
            let (checks, kit) = (Arc::clone(self), kit.clone());
            let thread = thread::Builder::new().name("health-check".into()).stack_size(STACK);
            if thread.spawn(move || checks.run(&kit)).is_ok() {
                state.threads += 1;
            }
        }
    }

    /// Every address that was ever checked, in order.
    pub fn states(&self) -> Vec<CheckState> {
        let now = Instant::now();
        let state = |(key, record): (&Key, &Record)| CheckState {
            site: key.site.clone(),
            address: key.address,
            is_failing: record.is_failing,
            failure: record.failure.clone(),
            since: record.since.map(|since| now.saturating_duration_since(since)),
        };
        let mut states: Vec<_> = self.lock().records.iter().map(state).collect();
        states.sort_by(|a, b| (&a.site, a.address).cmp(&(&b.site, b.address)));
        states
    }

    /// A thread's life: checks until nothing is due.
    fn run(&self, kit: &Kit) {
        loop {
            let mut state = self.lock();
            let Some(due) = state.queue.pop_front() else {
                state.threads = state.threads.saturating_sub(1);
                return;
            };
            drop(state);
            self.check(kit, &due);
            if let Some(begun) = self.lock().begun.get_mut(&due.key()) {
                begun.is_running = false;
            }
        }
    }

    fn check(&self, kit: &Kit, due: &Due) {
        let origin = &due.site.origin;
        let (Some(health), Some(server)) = (&origin.health, origin.servers.get(due.server)) else { return };
        for (address, outcome) in check(kit, &due.site, server, health) {
            let mut state = self.lock();
            let record = state.records.entry(Key { site: due.site.name.clone(), address });
            let is_changed = record.or_default().note(outcome.as_ref().err(), health, Instant::now());
            drop(state);
            match (is_changed, outcome) {
                (true, Err(failure)) => log::warn!("health check of {}: {address} is out: {failure}", due.site.name),
                (true, Ok(())) => log::info!("health check of {}: {address} is well again", due.site.name),
                (false, _) => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn queue_if_due(&mut self, site: &Arc<Site>, server: usize, now: Instant) {
        let due = Due { site: Arc::clone(site), server };
        let interval = site.origin.health.as_ref().map_or(Duration::MAX, |health| health.interval);
        let is_due = self
            .begun
            .get(&due.key())
            .is_none_or(|begun| !begun.is_running && now.saturating_duration_since(begun.at) >= interval);
        if is_due {
            self.begun.insert(due.key(), Begun { at: now, is_running: true });
            self.queue.push_back(due);
        }
    }
}

impl Due {
    fn key(&self) -> (String, usize) {
        (self.site.name.clone(), self.server)
    }
}

impl Record {
    /// One check ended. True where the address changes sides.
    fn note(&mut self, failure: Option<&String>, health: &HealthCheck, now: Instant) -> bool {
        if let Some(failure) = failure {
            self.failure.clone_from(failure);
        }
        if failure.is_some() == self.is_failing {
            self.streak = 0;
            return false;
        }
        self.streak = self.streak.saturating_add(1);
        let needed = if self.is_failing { health.successes } else { health.failures };
        if self.streak < needed {
            return false;
        }
        (self.is_failing, self.streak, self.since) = (!self.is_failing, 0, Some(now));
        true
    }
}

/// Checks at once.
const MAX_THREADS: usize = 8;
const STACK: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_failures_in_a_row_take_an_address_out_and_so_many_successes_bring_it_back() {
        let health = HealthCheck {
            path: "/".into(),
            status: vec![200],
            interval: Duration::ZERO,
            timeout: Duration::ZERO,
            host: None,
            failures: 3,
            successes: 2,
        };
        let mut record = Record::default();
        // good (+) or bad (-), and whether the address is out then
        let rows = "-0 -0 +0 -0 -0 -1 +1 -1 +1 +0 -0 -0 -1";
        for (index, row) in rows.split(' ').enumerate() {
            let failure = row.starts_with('-').then(|| format!("no. {index}"));
            record.note(failure.as_ref(), &health, Instant::now());
            assert_eq!(record.is_failing, row.ends_with('1'), "{index} {row}");
        }
        assert_eq!(record.failure, "no. 12");
    }
}
