//! The whole, assembled: listeners, workers, fetchers, store and log, started and stopped together.

mod material;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{Config, LogFormat, Problem};
use crate::error::Error;
use crate::observe::{AccessLog, CacheResult, Counter, Format, Metrics};
use crate::origin::{Origins, Resolver};
use crate::pool::{self, Pool};
use crate::proxy::{Parts, Proxy};
use crate::server::{Bound, Clock, Server, Settings};
use crate::tls::server_config;

/// A running Millpond.
///
/// Dropping it stops at once; [`Edge::shutdown`] lets what runs finish.
pub struct Edge {
    server: Option<Server>,
    proxy: Option<Arc<Proxy>>,
    addresses: Addresses,
}

/// Where clients reach it, with the real ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Plain HTTP.
    pub http: Vec<SocketAddr>,
    /// HTTPS.
    pub https: Vec<SocketAddr>,
}

/// What has happened since the start, in plain numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Exchanges ended.
    pub requests: u64,
    /// Answers from the store, fresh ones.
    pub hits: u64,
    /// Fetches begun.
    pub fetches: u64,
    /// Fetches that brought no response.
    pub failures: u64,
    /// Client connections open.
    pub connections: usize,
    /// Responses stored.
    pub stored: u64,
    /// Bytes that they and what is being filled take of the budget.
    pub stored_bytes: u64,
    /// Panics that were contained.
    pub panics: u64,
    /// Lines of the access log that were not written.
    pub log_drops: u64,
}

impl Edge {
    /// Binds all listeners and begins to serve. Raises the process's limit on open files to what is allowed.
    ///
    /// # Errors
    /// `Error::Configuration` where certificates or CA files cannot be used, `Error::Io` where an address cannot be
    /// bound or the access log not be opened.
    pub fn start(config: Config) -> Result<Edge, Error> {
        raise_file_limit();
        let certificates = material::read(&config).map_err(refused)?;
        let listeners = bind(&config)?;
        let addresses: Vec<SocketAddr> = listeners.iter().map(Bound::address).collect();
        let (http, https) = addresses.split_at_checked(config.listen.http.len()).unwrap_or_default();
        let clock = Clock::start();
        let metrics = Arc::new(Metrics::new(config.workers.count));
        let access_log = open_log(&config, &metrics)?;
        let limits = pool::Limits { threads: config.workers.fetchers, ..pool::Limits::default() };
        let parts = Parts {
            origins: Origins::new(Resolver::system(), addresses.clone()),
            pool: Pool::new("fetcher", limits, move || clock.now().monotonic),
            clock,
            metrics,
            access_log,
        };
        let settings = Settings {
            workers: config.workers.count,
            limits: config.limits.clone(),
            temp_dir: config.cache.temp_dir.clone(),
            tls: certificates.map(server_config),
        };
        let edge_addresses = Addresses { http: http.to_vec(), https: https.to_vec() };
        let proxy = Arc::new(Proxy::new(config, parts));
        let server = Server::start(&proxy, clock, &settings, listeners)?;
        Ok(Edge { server: Some(server), proxy: Some(proxy), addresses: edge_addresses })
    }

    /// Everything about a configuration that can be checked without opening a connection: certificates, keys, CA files.
    pub fn check(config: &Config) -> Vec<Problem> {
        material::read(config).err().unwrap_or_default()
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What has happened since the start.
    pub fn stats(&self) -> Stats {
        let Some(proxy) = &self.proxy else { return Stats::default() };
        let counts = proxy.metrics().snapshot();
        let store = proxy.store().stats();
        Stats {
            requests: counts.value(Counter::Requests),
            hits: counts.cache(CacheResult::Hit),
            fetches: counts.value(Counter::FetchesStarted),
            failures: counts.value(Counter::FetchesFailed),
            connections: self.server.as_ref().map_or(0, Server::connections),
            stored: store.responses,
            stored_bytes: store.bytes,
            panics: counts.value(Counter::Panics),
            log_drops: counts.value(Counter::LogLinesDropped),
        }
    }

    /// Stops accepting, lets what runs finish within `limits.shutdown_timeout`, and writes the log to its end.
    pub fn shutdown(mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown();
        }
        self.end(Duration::from_secs(5));
    }

    fn end(&mut self, limit: Duration) {
        self.server = None;
        if let Some(proxy) = self.proxy.take().and_then(Arc::into_inner) {
            proxy.shutdown(limit);
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.end(Duration::from_millis(100));
    }
}

fn bind(config: &Config) -> Result<Vec<Bound>, Error> {
    let http = config.listen.http.iter().map(|address| Bound::bind(*address, false));
    let https = config.listen.https.iter().map(|address| Bound::bind(*address, true));
    http.chain(https).collect()
}

fn open_log(config: &Config, metrics: &Arc<Metrics>) -> Result<Option<AccessLog>, Error> {
    let Some(path) = &config.log.access else { return Ok(None) };
    let format = match config.log.format {
        LogFormat::Combined => Format::Combined,
        LogFormat::Json => Format::Json,
    };
    AccessLog::open(format, path, metrics.clone()).map(Some)
}

fn refused(problems: Vec<Problem>) -> Error {
    Error::Configuration(problems.iter().map(ToString::to_string).collect())
}

/// A proxy needs many descriptors; the soft limit is only a default for programs that do not (decisions 7).
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Refused only where it is as high as it may be.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
