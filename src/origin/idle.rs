//! Idle connections to origins, waiting for their next exchange.
//!
//! The youngest goes first, so that the others can grow old and leave. Bounded for each key and in all. The lock is held
//! for bookkeeping alone: probes, closing and I/O happen outside. Refuses to know why a connection is fit to be kept.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;

use super::connection::Connection;
use super::slots::Slot;

/// Connections are exchangeable where the address, the TLS policy and the name in the handshake are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The remote address.
    pub address: SocketAddr,
    /// The policy's number and the name; `None`: plain HTTP.
    pub tls: Option<(u64, ServerName<'static>)>,
}

/// All idle connections.
#[derive(Debug)]
pub struct IdlePool {
    limits: IdleLimits,
    table: Mutex<Table>,
}

/// How many connections may wait.
#[derive(Clone, Copy, Debug)]
pub struct IdleLimits {
    /// For one key.
    pub per_key: usize,
    /// In all.
    pub total: usize,
}

#[derive(Debug, Default)]
struct Table {
    waiting: HashMap<Key, Vec<Waiting>>,
    total: usize,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    connection: Connection,
    since: Instant,
    until: Instant,
}

impl IdlePool {
    /// An empty pool.
    pub fn new(limits: IdleLimits) -> IdlePool {
        IdlePool { limits, table: Mutex::new(Table::default()) }
    }

    /// The connection that waited least, if one waited no longer than `max_idle`, probed and fit for an exchange.
    pub fn take(&self, key: &Key, max_idle: Duration) -> Option<Connection> {
        loop {
            let mut connection = self.take_unprobed(key, max_idle)?;
            if connection.is_alive() {
                connection.is_reused = true;
                connection.received = 0;
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for `age` at most. The caller has made sure that its exchange is over to the last byte.
    pub fn put(&self, key: Key, mut connection: Connection, age: Duration) {
        connection.input.release();
        let now = Instant::now();
        let bell = connection.slot.as_ref().map(Slot::bell);
        let waiting = Waiting { connection, since: now, until: now + age };
        let mut table = self.lock();
        let is_sweep_due = table.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP);
        let mut gone = if is_sweep_due { table.sweep(now) } else { Vec::new() };
        if table.total >= self.limits.total {
            gone.push(waiting);
        } else {
            table.total += 1;
            let same = table.waiting.entry(key).or_default();
            same.push(waiting);
            if same.len() > self.limits.per_key {
                gone.push(same.remove(0));
                table.total -= 1;
            }
        }
        drop(table);
        // Closing is I/O: after the lock.
        drop(gone);
        if let Some(bell) = bell {
            bell.ring();
        }
    }

    /// Closes one connection to each of the addresses, whatever its key, to make room for another. False: there is none.
    pub fn evict(&self, addresses: &[SocketAddr]) -> bool {
        let gone = self.lock().evict(addresses);
        !gone.is_empty()
    }

    /// Closes what has waited long enough.
    pub fn reap(&self) {
        let gone = self.lock().sweep(Instant::now());
        drop(gone);
    }

    /// Closes those whose key is not to be kept.
    pub fn retain(&self, mut is_kept: impl FnMut(&Key) -> bool) {
        let mut table = self.lock();
        let gone: Vec<_> = table.waiting.extract_if(|key, _| !is_kept(key)).collect();
        table.total = table.total.saturating_sub(gone.iter().map(|(_, same)| same.len()).sum());
        drop(table);
        drop(gone);
    }

    /// How many wait now.
    pub fn len(&self) -> usize {
        self.lock().total
    }

    fn take_unprobed(&self, key: &Key, max_idle: Duration) -> Option<Connection> {
        let now = Instant::now();
        let mut table = self.lock();
        let same = table.waiting.get_mut(key)?;
        let youngest =
            same.pop_if(|waiting| now < waiting.until && now.saturating_duration_since(waiting.since) <= max_idle)?;
        if same.is_empty() {
            table.waiting.remove(key);
        }
        table.total = table.total.saturating_sub(1);
        Some(youngest.connection)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Takes the oldest of some key for each address; the caller closes it after unlocking.
    fn evict(&mut self, addresses: &[SocketAddr]) -> Vec<Waiting> {
        let mut gone = Vec::new();
        for address in addresses {
            let Some(key) = self.waiting.keys().find(|key| key.address == *address).cloned() else { continue };
            let Some(same) = self.waiting.get_mut(&key) else { continue };
            gone.extend(same.drain(..same.len().min(1)));
            if same.is_empty() {
                self.waiting.remove(&key);
            }
        }
        self.total = self.total.saturating_sub(gone.len());
        gone
    }

    /// Takes out what is over; the caller closes it after unlocking.
    fn sweep(&mut self, now: Instant) -> Vec<Waiting> {
        let mut gone = Vec::new();
        self.waiting.retain(|_, same| {
            gone.extend(same.extract_if(.., |waiting| now >= waiting.until));
            !same.is_empty()
        });
        self.total = self.total.saturating_sub(gone.len());
        self.swept = Some(now);
        gone
    }
}

/// How long a connection may wait for its next exchange: the default, or less than the origin's own `Keep-Alive:
/// timeout=`, so that it is we who close it.
pub fn idle_age(keep_alive: Option<&[u8]>) -> Duration {
    let text = keep_alive.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
    let parameters = text.split([',', ';']).filter_map(|parameter| parameter.split_once('='));
    let timeout = parameters
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))
        .find_map(|(_, value)| value.trim().trim_matches('"').parse::<u32>().ok());
    match timeout {
        None => IDLE_AGE,
        Some(seconds) => Duration::from_secs(u64::from(seconds)).saturating_sub(MARGIN).min(MAX_IDLE_AGE),
    }
}

const SWEEP: Duration = Duration::from_secs(1);
const IDLE_AGE: Duration = Duration::from_secs(10);
const MAX_IDLE_AGE: Duration = Duration::from_secs(60);
const MARGIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    const LONG: Duration = Duration::from_secs(3600);

    fn pool() -> IdlePool {
        IdlePool::new(IdleLimits { per_key: 2, total: 3 })
    }

    fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let near = TcpStream::connect(address).unwrap();
        near.set_nonblocking(true).unwrap();
        (Connection::plain(near, address), listener.accept().unwrap().0)
    }

    fn key(port: u16) -> Key {
        Key { address: SocketAddr::from(([192, 0, 2, 1], port)), tls: None }
    }

    #[test]
    fn the_youngest_goes_first_and_the_oldest_leaves() {
        let pool = pool();
        let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
        let addresses: Vec<_> = pairs.iter().map(|(near, _)| near.address).collect();
        let mut far = Vec::new();
        for (near, end) in pairs {
            pool.put(key(1), near, LONG);
            far.push(end);
        }
        assert_eq!(pool.len(), 2);
        assert_eq!(pool.take(&key(1), LONG).unwrap().address, addresses[2]);
        assert_eq!(pool.take(&key(1), LONG).unwrap().address, addresses[1]);
        assert!(pool.take(&key(1), LONG).is_none());
        assert_eq!(pool.len(), 0);
    }

    #[test]
    fn keys_do_not_mix() {
        let pool = pool();
        let (near, _far) = pair();
        let secure = |id| Key { tls: Some((id, ServerName::try_from("a.example").unwrap())), ..key(1) };
        pool.put(secure(1), near, LONG);
        assert!(pool.take(&key(1), LONG).is_none());
        assert!(pool.take(&secure(2), LONG).is_none());
        assert!(pool.take(&secure(1), LONG).unwrap().is_reused);
    }

    #[test]
    fn the_total_is_bounded() {
        let pool = pool();
        let mut far = Vec::new();
        for port in 0..5 {
            let (near, end) = pair();
            pool.put(key(port), near, LONG);
            far.push(end);
        }
        assert_eq!(pool.len(), 3);
        pool.retain(|kept| *kept == key(1));
        assert_eq!(pool.len(), 1);
        assert!(pool.take(&key(0), LONG).is_none() && pool.take(&key(1), LONG).is_some());
    }

    #[test]
    fn the_old_leave() {
        let pool = pool();
        let (near, _far) = pair();
        pool.put(key(1), near, Duration::ZERO);
        assert!(pool.take(&key(1), LONG).is_none());
        pool.reap();
        assert_eq!(pool.len(), 0);
    }

    #[test]
    fn closed_connections_and_those_with_stray_bytes_are_not_handed_out() {
        let pool = pool();
        let (near, far) = pair();
        pool.put(key(1), near, LONG);
        let (near, mut chatty) = pair();
        pool.put(key(1), near, LONG);
        drop(far);
        chatty.write_all(b"HTTP/1.1 200 OK\r\n").unwrap();
        assert!(pool.take(&key(1), LONG).is_none());
        assert_eq!(pool.len(), 0);
    }

    #[test]
    fn idle_connections_leave_before_the_origin_closes_them() {
        let rows = [
            (None, 10),
            (Some("timeout=5, max=100"), 4),
            (Some("max=100;timeout = \"30\""), 29),
            (Some("timeout=1"), 0),
            (Some("timeout=0"), 0),
            (Some("timeout=99999"), 60),
            (Some("timeout=never"), 10),
        ];
        for (field, seconds) in rows {
            assert_eq!(idle_age(field.map(str::as_bytes)), Duration::from_secs(seconds), "{field:?}");
        }
    }

    #[test]
    fn one_connection_to_each_address_makes_room_whatever_its_key() {
        let pool = pool();
        let mut far = Vec::new();
        for port in [1, 1, 2] {
            let (near, end) = pair();
            pool.put(key(port), near, LONG);
            far.push(end);
        }
        assert!(pool.evict(&[key(1).address, key(3).address]));
        assert_eq!(pool.len(), 2);
        assert!(pool.take(&key(1), LONG).is_some());
        assert!(!pool.evict(&[key(1).address]));
        assert!(pool.evict(&[key(2).address]));
        assert_eq!(pool.len(), 0);
    }
}
