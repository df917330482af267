//! What of a running server can change: its limits, and where it listens.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use rustix::process::{Resource, getrlimit};

use super::listener::{Acceptor, Bound};
use super::{Handler, Server, Shared};
use crate::config::Limits;
use crate::error::Error;

/// As many connections as the limits say, and as leave a reserve of this process's descriptors for what they ask for: those
/// of origins, files, the operator's door. A client too many waits to be accepted, a fetch without a descriptor fails.
pub(super) fn most_connections(limits: &Limits) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
    descriptors.map_or(limits.connections, |most| limits.connections.min(beside_reserve(most)))
}

/// What is left of `descriptors` for clients.
fn beside_reserve(descriptors: usize) -> usize {
    descriptors.saturating_sub((descriptors / 2).min(MOST_RESERVE)).max(1)
}

const MOST_RESERVE: usize = 1024;

impl Server {
    /// Begins to accept on further listeners, on all of them or on none.
    ///
    /// # Errors
    /// What the system says where it gives no thread.
    pub fn listen(&self, listeners: Vec<Bound>) -> Result<(), Error> {
        let mut started = Vec::new();
        for bound in listeners {
            let remotes = self.workers.iter().map(|(remote, _)| remote.clone()).collect();
            match Acceptor::start(bound, remotes, self.shared.clone()) {
                Ok(acceptor) => started.push(acceptor),
                Err(error) => {
                    started.into_iter().for_each(Acceptor::stop);
                    return Err(error);
                }
            }
        }
        self.acceptors().append(&mut started);
        Ok(())
    }

    /// Closes the listeners on these addresses; connections that came through them live on.
    pub fn leave(&self, addresses: &[SocketAddr]) {
        let gone: Vec<Acceptor> =
            self.acceptors().extract_if(.., |acceptor| addresses.contains(&acceptor.address())).collect();
        gone.into_iter().for_each(Acceptor::stop);
    }

    /// Closes all listeners.
    pub(super) fn leave_all(&self) {
        let gone = std::mem::take(&mut *self.acceptors());
        gone.into_iter().for_each(Acceptor::stop);
    }

    /// Puts other limits in force, for requests and connections that come from now on, and has every worker call
    /// [`Handler::tick`] in its next loop turn, which begins at once.
    pub fn renew(&self, limits: Limits) {
        self.shared.most_connections.store(most_connections(&limits), Ordering::Relaxed);
        self.shared.seats.set_limit(limits.connections_per_address);
        let limits = Arc::new(limits);
        *self.shared.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
        self.shared.renewals.fetch_add(1, Ordering::Release);
        self.workers.iter().for_each(|(remote, _)| remote.notify());
    }

    fn acceptors(&self) -> MutexGuard<'_, Vec<Acceptor>> {
        self.acceptors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// The limits in force.
    pub fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Times that accepting paused at the limit on connections, and connections closed at the limit of their address.
    pub fn limited(&self) -> (u64, u64) {
        (self.accept_pauses.load(Ordering::Relaxed), self.seats.refused())
    }
}

impl<H: Handler> super::worker::Turn<H> {
    /// Takes up what [`Server::renew`] has changed; true where that is anything. To be called between sessions: the input
    /// buffer may be another one then.
    pub fn keep_up(&mut self) -> bool {
        let renewals = self.shared.renewals.load(Ordering::Acquire);
        if std::mem::replace(&mut self.renewals, renewals) == renewals {
            return false;
        }
        self.limits = Limits::clone(&self.shared.limits());
        // Never smaller: a parked session's bytes must fit back in.
        let size = input_size(&self.limits);
        if size > self.input.len() {
            self.input = vec![0; size].into_boxed_slice();
        }
        self.tick();
        true
    }
}

/// Bytes of the buffer that sessions read into: room for a whole head and some of what follows.
pub fn input_size(limits: &Limits) -> usize {
    INPUT.max(limits.request_head.saturating_add(limits.request_line).saturating_add(4096))
}

const INPUT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::beside_reserve;

    #[test]
    fn clients_get_no_more_descriptors_than_leave_some_for_what_they_ask_for() {
        for (descriptors, clients) in [(0, 1), (1, 1), (64, 32), (1024, 512), (2048, 1024), (65_536, 64_512)] {
            assert_eq!(beside_reserve(descriptors), clients, "{descriptors}");
        }
    }
}
