//! How many connections each client address has, where that is limited (`connections_per_address`).
//!
//! Costs nothing where there is no limit. An IPv6 client has a whole /64 network to itself, so that counts as one address.
//! The table has an entry for each address with a connection, so the limit on all connections bounds it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The connections that have a place, by address.
#[derive(Default)]
pub struct Seats {
    /// 0: no limit.
    limit: AtomicUsize,
    taken: Mutex<HashMap<IpAddr, usize>>,
    refused: AtomicU64,
}

/// A connection's place; free again when dropped.
pub struct Seat {
    seats: Arc<Seats>,
    address: IpAddr,
}

/// The address has as many connections as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Seats {
    /// Places for `limit` connections an address; 0 is no limit.
    pub fn new(limit: usize) -> Seats {
        Seats { limit: AtomicUsize::new(limit), ..Seats::default() }
    }

    /// Another limit for connections to come. Those that came while there was none have no place yet: see [`Seats::claim`].
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Connections refused so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// A place for one more connection; none is needed where there is no limit.
    ///
    /// # Errors
    /// Where the address has all it may have; that is counted.
    pub fn take(self: &Arc<Seats>, client: IpAddr) -> Result<Option<Box<Seat>>, Full> {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit == 0 {
            return Ok(None);
        }
        let address = network_of(client);
        let mut taken = self.lock();
        let count = taken.entry(address).or_default();
        if *count >= limit {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Full);
        }
        *count += 1;
        drop(taken);
        Ok(Some(Box::new(Seat { seats: Arc::clone(self), address })))
    }

    /// A place for a connection that is there already, over the limit or not; none where there is no limit.
    pub fn claim(self: &Arc<Seats>, client: IpAddr) -> Option<Box<Seat>> {
        if self.limit.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let address = network_of(client);
        *self.lock().entry(address).or_default() += 1;
        Some(Box::new(Seat { seats: Arc::clone(self), address }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        if let Some(count) = taken.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: an IPv4 address, or the IPv6 network of one subscriber (/64).
pub fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_places_and_a_place_left_is_free_again() {
        let seats = Arc::new(Seats::new(2));
        let first = seats.take(ip("192.0.2.1")).unwrap();
        let _second = seats.take(ip("::ffff:192.0.2.1")).unwrap();
        assert!(seats.take(ip("192.0.2.1")).is_err());
        assert!(seats.take(ip("192.0.2.2")).is_ok_and(|seat| seat.is_some()));
        drop(first);
        assert!(seats.take(ip("192.0.2.1")).is_ok());
        assert_eq!((seats.refused(), seats.lock().len()), (1, 1));
    }

    #[test]
    fn an_ipv4_address_within_ipv6_is_that_address() {
        let rows = [
            ("2001:db8::1", "2001:db8::", true),
            ("2001:db8:0:1::1", "2001:db8::", false),
            ("::ffff:192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
        ];
        for (one, other, is_same) in rows {
            assert_eq!(network_of(ip(one)) == network_of(ip(other)), is_same, "{one} {other}");
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let seats = Arc::new(Seats::new(1));
        let _seat = seats.take(ip("2001:db8:0:1::1")).unwrap();
        assert!(seats.take(ip("2001:db8:0:1:ffff::2")).is_err());
        assert!(seats.take(ip("2001:db8:0:2::1")).is_ok());
    }

    #[test]
    fn who_came_before_there_was_a_limit_counts_against_it() {
        let seats = Arc::new(Seats::new(0));
        assert!(seats.claim(ip("192.0.2.1")).is_none());
        seats.set_limit(1);
        let there = [seats.claim(ip("192.0.2.1")), seats.claim(ip("192.0.2.1"))];
        assert!(there.iter().all(Option::is_some) && seats.take(ip("192.0.2.1")).is_err());
        drop(there);
        assert!(seats.take(ip("192.0.2.1")).is_ok_and(|seat| seat.is_some()));
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let seats = Arc::new(Seats::new(0));
        assert!(seats.take(ip("192.0.2.1")).is_ok_and(|seat| seat.is_none()));
        seats.set_limit(1);
        let _seat = seats.take(ip("192.0.2.1")).unwrap();
        assert!(seats.take(ip("192.0.2.1")).is_err());
        seats.set_limit(0);
        assert!(seats.take(ip("192.0.2.1")).is_ok());
    }
}
