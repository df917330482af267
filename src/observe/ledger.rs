//! The failure ledger: what failed where and why, since when, how often, and when it last went well.
//!
//! A row for each site, server, address and cause, and beside them the last good fetch of each address. Failures are rare
//! and take the lock alone; good fetches are frequent and share it: a known address costs a look-up and one store. All of
//! it is bounded, and what was seen longest ago leaves first. It knows no file (see `ledger_file`) and reads no clock.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::failure::{FailureExample, FailureRow, NAME, SERVER, clean, millis};
use super::ledger_file::{self, Contents, LastGood};
use super::record::FetchTimes;
use crate::status::{Phase, ProxyError};
use crate::time::Now;

/// The ledger of one running edge, shared by its fetchers.
#[derive(Default)]
pub struct Ledger {
    book: RwLock<Book>,
    changes: AtomicU64,
    has_good: AtomicBool,
}

/// One failed fetch.
#[derive(Clone, Copy, Debug)]
pub struct Failed<'a> {
    /// Name of the site.
    pub site: &'a str,
    /// The server as `name:port`; empty if none was chosen.
    pub server: &'a str,
    /// The address in use, if one was.
    pub address: Option<SocketAddr>,
    /// Why.
    pub error: ProxyError,
    /// What was being done.
    pub phase: Phase,
    /// The same fetch succeeded elsewhere.
    pub is_made_good: bool,
    /// How many addresses the server's name has; 0 if that is not known.
    pub addresses: usize,
    /// How long the phases took.
    pub times: FetchTimes,
    /// The facts of the wire; its time is set here.
    pub example: &'a FailureExample,
}

#[derive(Default)]
struct Book {
    sites: HashMap<Box<str>, Page>,
    rows: usize,
    goods: usize,
}

/// One site. The rows' computed parts are empty here; their addresses are those of the server's name alone.
#[derive(Default)]
struct Page {
    rows: Vec<FailureRow>,
    goods: Vec<Good>,
}

/// The last good fetch of one address, in milliseconds.
struct Good {
    server: Box<str>,
    address: SocketAddr,
    at: AtomicU64,
}

impl Ledger {
    /// Enters a failed fetch.
    pub fn failed(&self, failed: &Failed<'_>, now: Now) {
        self.write().enter(failed, millis(now.wall));
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Enters a good fetch; cheap where the address is known.
    pub fn succeeded(&self, site: &str, server: &str, address: SocketAddr, now: Now) {
        let at = millis(now.wall);
        // A statement of its own: the lock must be free again before it is taken for writing.
        let heals = self.read().sites.get(site).and_then(|page| page.succeeded(server, address, at));
        let heals = match heals {
            Some(heals) => heals,
            None => {
                self.write().add_good(&clean(site, NAME), LastGood { server: clean(server, SERVER), address, at });
                false
            }
        };
        if heals {
            self.changes.fetch_add(1, Ordering::Release);
        } else if !self.has_good.load(Ordering::Relaxed) {
            self.has_good.store(true, Ordering::Relaxed);
        }
    }

    /// Every row, the latest failure first.
    pub fn rows(&self) -> Vec<FailureRow> {
        let book = self.read();
        let mut rows: Vec<FailureRow> = book.sites.values().flat_map(Page::told).collect();
        drop(book);
        let key = |row: &FailureRow| (row.site.clone(), row.server.clone(), row.address, row.cause);
        rows.sort_by(|one, other| other.last.cmp(&one.last).then_with(|| key(one).cmp(&key(other))));
        rows
    }

    /// Grows with every failure, and with every good fetch that ends one.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Were there good fetches since this was asked last?
    pub fn take_good(&self) -> bool {
        self.has_good.swap(false, Ordering::Relaxed)
    }

    /// All of it as text, for a file.
    pub fn encode(&self) -> Vec<u8> {
        let book = self.read();
        let mut text = Vec::new();
        for (site, page) in &book.sites {
            page.rows.iter().for_each(|row| ledger_file::write_row(&mut text, row));
            page.goods.iter().for_each(|good| ledger_file::write_good(&mut text, site, &good.told()));
        }
        text
    }

    /// Adds what such a text holds: all, or nothing where it is not what [`Ledger::encode`] gives.
    ///
    /// # Errors
    /// What is wrong, and the line.
    pub fn restore(&self, text: &[u8]) -> Result<(), String> {
        let Contents { rows, goods } = ledger_file::read(text)?;
        let mut book = self.write();
        rows.into_iter().for_each(|row| book.add_row(row));
        goods.into_iter().for_each(|(site, good)| book.add_good(&site, good));
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Book> {
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Book> {
        self.book.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn enter(&mut self, failed: &Failed<'_>, at: Duration) {
        let (site, server, cause) = (clean(failed.site, NAME), clean(failed.server, SERVER), failed.error.token());
        let page = self.sites.get_mut(site.as_str());
        let row = page.and_then(|page| page.row(&server, failed.address, cause));
        let example = || FailureExample { when: at, ..failed.example.bounded() };
        let times = micros(failed.times);
        if let Some(row) = row {
            row.count = row.count.saturating_add(1);
            row.made_good = row.made_good.saturating_add(u64::from(failed.is_made_good));
            if failed.addresses > 0 {
                row.known_addresses = failed.addresses;
            }
            // A storm of failures changes its example once a second.
            if row.last.as_secs() != at.as_secs() {
                row.example = example();
            }
            (row.phase, row.times, row.last) = (failed.phase.token(), times, at);
            return;
        }
        self.add_row(FailureRow {
            site,
            server,
            address: failed.address,
            cause,
            phase: failed.phase.token(),
            count: 1,
            made_good: u64::from(failed.is_made_good),
            first: at,
            last: at,
            last_good: None,
            failing_addresses: 0,
            known_addresses: failed.addresses,
            times,
            example: example(),
        });
    }

    /// A new row, or more of one that is there.
    fn add_row(&mut self, row: FailureRow) {
        let known = self.sites.get_mut(row.site.as_str());
        if let Some(known) = known.and_then(|page| page.row(&row.server, row.address, row.cause)) {
            return known.add(row);
        }
        let crowded = self.sites.get(row.site.as_str()).is_some_and(|page| page.rows.len() >= ROWS_OF_SITE);
        if crowded {
            self.forget_row(Some(&row.site.clone()));
        } else if self.rows >= ROWS {
            self.forget_row(None);
        }
        self.make_room(&row.site);
        self.sites.entry(row.site.as_str().into()).or_default().rows.push(row);
        self.rows += 1;
    }

    fn add_good(&mut self, site: &str, good: LastGood) {
        let page = self.sites.get(site);
        if page.is_some_and(|page| page.succeeded(&good.server, good.address, good.at).is_some()) {
            return;
        }
        if page.is_some_and(|page| page.goods.len() >= GOODS_OF_SITE) {
            self.forget_good(Some(site));
        } else if self.goods >= GOODS {
            self.forget_good(None);
        }
        self.make_room(site);
        self.sites.entry(site.into()).or_default().goods.push(good.into());
        self.goods += 1;
    }

    /// Lets the site seen longest ago go where a new one would be one too many.
    fn make_room(&mut self, site: &str) {
        if self.sites.len() < SITES || self.sites.contains_key(site) {
            return;
        }
        let oldest = self.sites.iter().min_by_key(|(_, page)| page.last_seen()).map(|(name, _)| name.clone());
        if let Some(page) = oldest.and_then(|name| self.sites.remove(&name)) {
            self.rows = self.rows.saturating_sub(page.rows.len());
            self.goods = self.goods.saturating_sub(page.goods.len());
        }
    }

    /// The row seen longest ago leaves: of one site, or of all.
    fn forget_row(&mut self, site: Option<&str>) {
        let pages = self.sites.iter_mut().filter(|(name, _)| site.is_none_or(|site| site == &***name));
        let oldest = pages.filter_map(|(_, page)| Some((page.rows.iter().map(|row| row.last).min()?, page)));
        if let Some((last, page)) = oldest.min_by_key(|(last, _)| *last) {
            page.rows.iter().position(|row| row.last == last).map(|place| page.rows.swap_remove(place));
            self.rows = self.rows.saturating_sub(1);
            self.forget_empty();
        }
    }

    fn forget_good(&mut self, site: Option<&str>) {
        let pages = self.sites.iter_mut().filter(|(name, _)| site.is_none_or(|site| site == &***name));
        let oldest = pages.filter_map(|(_, page)| Some((page.goods.iter().map(Good::at).min()?, page)));
        if let Some((at, page)) = oldest.min_by_key(|(at, _)| *at) {
            page.goods.iter().position(|good| good.at() == at).map(|place| page.goods.swap_remove(place));
            self.goods = self.goods.saturating_sub(1);
            self.forget_empty();
        }
    }

    fn forget_empty(&mut self) {
        self.sites.retain(|_, page| !page.rows.is_empty() || !page.goods.is_empty());
    }
}

impl Page {
    fn row(&mut self, server: &str, address: Option<SocketAddr>, cause: &str) -> Option<&mut FailureRow> {
        self.rows.iter_mut().find(|row| row.address == address && row.cause == cause && row.server == server)
    }

    /// Enters a good fetch where the address is known; `true` where failures end with it.
    fn succeeded(&self, server: &str, address: SocketAddr, at: Duration) -> Option<bool> {
        let good = self.goods.iter().find(|good| good.address == address && &*good.server == server)?;
        let before = Duration::from_millis(good.at.fetch_max(as_millis(at), Ordering::Relaxed));
        let is_of_it = |row: &FailureRow| {
            (row.server.is_empty() || row.server == server) && row.address.is_none_or(|failed| failed == address)
        };
        Some(self.rows.iter().any(|row| row.last > before && is_of_it(row)))
    }

    fn last_seen(&self) -> Duration {
        self.rows.iter().map(|row| row.last).chain(self.goods.iter().map(Good::at)).max().unwrap_or_default()
    }

    /// The rows with what is computed from all of them.
    fn told(&self) -> impl Iterator<Item = FailureRow> {
        self.rows.iter().map(|row| {
            let mut known: Vec<SocketAddr> = Vec::new();
            let goods = self.goods.iter().filter(|good| *good.server == *row.server).map(|good| good.address);
            let rows = self.rows.iter().filter(|other| other.server == row.server).filter_map(|other| other.address);
            goods.chain(rows).for_each(|address| {
                if !known.contains(&address) {
                    known.push(address);
                }
            });
            FailureRow {
                last_good: self.last_good(&row.server, row.address),
                failing_addresses: known.iter().filter(|address| self.is_failing(&row.server, **address)).count(),
                known_addresses: known.len().max(row.known_addresses),
                ..row.clone()
            }
        })
    }

    fn last_good(&self, server: &str, address: Option<SocketAddr>) -> Option<Duration> {
        let of_server = self.goods.iter().filter(|good| server.is_empty() || &*good.server == server);
        of_server.filter(|good| address.is_none_or(|address| good.address == address)).map(Good::at).max()
    }

    fn is_failing(&self, server: &str, address: SocketAddr) -> bool {
        let of_it = self.rows.iter().filter(|row| row.address == Some(address) && row.server == server);
        of_it.map(|row| row.last).max() > self.last_good(server, Some(address))
    }
}

impl FailureRow {
    /// The same failures, from another source.
    fn add(&mut self, other: FailureRow) {
        self.count = self.count.saturating_add(other.count);
        self.made_good = self.made_good.saturating_add(other.made_good);
        self.known_addresses = self.known_addresses.max(other.known_addresses);
        self.first = self.first.min(other.first);
        if other.last > self.last {
            (self.last, self.phase, self.times, self.example) = (other.last, other.phase, other.times, other.example);
        }
    }
}

impl Good {
    fn at(&self) -> Duration {
        Duration::from_millis(self.at.load(Ordering::Relaxed))
    }

    fn told(&self) -> LastGood {
        LastGood { server: self.server.to_string(), address: self.address, at: self.at() }
    }
}

impl From<LastGood> for Good {
    fn from(good: LastGood) -> Good {
        Good { server: good.server.into(), address: good.address, at: AtomicU64::new(as_millis(good.at)) }
    }
}

/// What a file holds of durations.
fn micros(times: FetchTimes) -> FetchTimes {
    let micros = |time: Option<Duration>| {
        time.map(|time| Duration::new(time.as_secs(), time.subsec_micros().saturating_mul(1_000)))
    };
    FetchTimes {
        queue: micros(times.queue),
        dns: micros(times.dns),
        connect: micros(times.connect),
        tls: micros(times.tls),
        first_byte: micros(times.first_byte),
    }
}

fn as_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// No ledger's text is longer, in bytes.
pub const MAX_TEXT: usize = 32 << 20;
/// Sites, rows of a site, rows in all; the same for addresses with a good fetch.
const SITES: usize = 1000;
const ROWS_OF_SITE: usize = 64;
const ROWS: usize = 2048;
const GOODS_OF_SITE: usize = 64;
const GOODS: usize = 4096;

#[cfg(test)]
#[path = "tests_ledger.rs"]
mod tests;
