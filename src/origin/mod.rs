//! The way out: one request to a site's origin, and an answer or a named cause.
//!
//! [`Origins::send`] resolves, connects, checks certificates, sends, retries where that is safe, and hands back the head
//! and a reader for the body. Every failure is a [`FetchError`] with a type of RFC 9209, the phase and a sentence that
//! names addresses and names. Refuses to know of caches, clients and of what the request was for.

mod answer;
mod body;
mod buffer;
mod choice;
mod client;
mod connection;
mod connector;
mod error;
mod idle;
mod lookup;
mod names;
mod policies;
pub mod probe;
mod records;
mod request;
mod resolver;
mod retry;
mod transport;

#[cfg(test)]
mod tests_fetch;
#[cfg(test)]
mod tests_reuse;
#[cfg(test)]
mod tests_support;
#[cfg(test)]
mod tests_tls;
#[cfg(test)]
mod tests_upload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use answer::Interim;
pub use body::OriginBody;
pub use error::FetchError;
#[cfg(test)]
pub use lookup::LookupFailure;
pub use request::{OriginRequest, Upload};
pub use resolver::Resolver;

use crate::config::Site;
use crate::http1::ResponseHead;
use client::Walk;
use idle::{IdleLimits, IdlePool};
use policies::Policies;

/// What all fetchers share: names, idle connections, TLS configurations.
pub struct Origins {
    resolver: Resolver,
    idle: Arc<IdlePool>,
    policies: Policies,
    /// Our own listening addresses: an origin there would be a loop.
    listeners: Vec<SocketAddr>,
}

/// An answer whose head has come.
#[derive(Debug)]
pub struct Fetched {
    /// The final head, as strict as a client's.
    pub head: ResponseHead,
    /// The body, still on the connection.
    pub body: OriginBody,
    /// How it went.
    pub report: Report,
}

/// How a fetch went. Durations are of the last attempt; zero for a step that was not needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The server that answered, `name:port`.
    pub origin: String,
    /// Its address.
    pub address: Option<SocketAddr>,
    /// The connection had served before.
    pub is_reused: bool,
    /// Connections tried, this one included.
    pub attempts: u32,
    /// Time for the name.
    pub resolve: Duration,
    /// Time for TCP.
    pub connect: Duration,
    /// Time for TLS.
    pub tls: Duration,
    /// From the start of the request to the first byte of an answer.
    pub first_byte: Duration,
    /// `TLSv1.2` or `TLSv1.3`; none on plain HTTP.
    pub tls_version: Option<&'static str>,
}

impl Origins {
    /// Nothing resolved, nothing connected. `listeners` are our own, with their real ports.
    pub fn new(resolver: Resolver, listeners: Vec<SocketAddr>) -> Origins {
        let limits = IdleLimits { per_key: MAX_IDLE_PER_KEY, total: MAX_IDLE };
        Origins { resolver, idle: Arc::new(IdlePool::new(limits)), policies: Policies::default(), listeners }
    }

    /// Sends the request to the site's origin and waits for the final head. Blocks the calling thread, a fetcher's, for
    /// the site's time-outs at most. `interim` is called for 103 and the like as they come.
    pub fn send(
        &self,
        site: &Site,
        request: &OriginRequest<'_>,
        interim: Option<Interim>,
    ) -> Result<Fetched, FetchError> {
        Walk::new(self, site, request, interim)?.run()
    }

    /// Closes idle connections that have waited long enough; for the keeper, about once a second.
    pub fn reap(&self) {
        self.idle.reap();
    }

    /// Idle connections now.
    pub fn idle_connections(&self) -> usize {
        self.idle.len()
    }
}

const MAX_IDLE_PER_KEY: usize = 64;
const MAX_IDLE: usize = 1024;
