//! The CDN's own decisions on one exchange: route, look up, decide, fetch, answer.
//!
//! `exchange` decides on a worker and never waits; `fetch` reads top to bottom on a fetcher; they meet in a flight and a
//! body. Sockets are `server`'s business, origins `origin`'s.

mod answer;
mod blame;
mod decide;
mod depart;
mod error_page;
mod exchange;
mod fetch;
mod fields;
mod fill;
mod interim;
mod landing;
mod learn;
mod note;
mod outcome;
mod ranged;
mod reason;
mod request;
mod route;
mod stale;
mod validate;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

pub use exchange::Exchange;
pub use fetch::Fetch;
pub use note::Note;

use crate::cache::Cache;
use crate::config::{Config, Router};
use crate::observe::{AccessLog, Counter, Ledger, LogBuffer, Metrics, RequestId};
use crate::origin::Origins;
use crate::pool::Pool;
use crate::server::{Answer, Call, Clock, Delivery, Event, Handler, Refusal, Step, Uploaded};
use crate::store::Spill;
use crate::time::Now;
use crate::wake::Wake;

/// The CDN: what workers and fetchers share.
pub struct Proxy {
    core: Arc<Core>,
    access_log: Option<AccessLog>,
}

/// What a fetch on another thread needs of the proxy.
pub struct Core {
    cache: Cache<landing::Landing>,
    origins: Origins,
    pool: Pool<fetch::Fetch>,
    clock: Clock,
    metrics: Arc<Metrics>,
    ledger: Arc<Ledger>,
    live: RwLock<Arc<Live>>,
    generation: AtomicU64,
    identity: fields::Identity,
    number: u64,
    spill: Spill,
}

/// The configuration in force.
pub struct Live {
    /// The whole.
    pub config: Config,
    /// Its sites by name.
    pub router: Router,
}

/// What one worker keeps for the proxy.
pub struct Local {
    worker: usize,
    metrics: Arc<Metrics>,
    log: Option<LogBuffer>,
    spare: Vec<note::Line>,
    live: Arc<Live>,
    generation: u64,
    key: Vec<u8>,
    host: String,
    requests: u64,
}

/// The parts that `edge` puts together.
pub struct Parts {
    /// The way out.
    pub origins: Origins,
    /// The fetchers.
    pub pool: Pool<Fetch>,
    /// The clocks.
    pub clock: Clock,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Where failed fetches are entered.
    pub ledger: Arc<Ledger>,
    /// The access log, if any.
    pub access_log: Option<AccessLog>,
}

impl Proxy {
    /// A proxy for a checked configuration.
    pub fn new(config: Config, parts: Parts) -> Proxy {
        let number = RandomState::new().build_hasher().finish();
        let spill = Spill {
            dir: config.cache.temp_dir.clone(),
            max: config.cache.spill_max,
            window: SPILL_WINDOW,
            patience: SPILL_PATIENCE,
        };
        let core = Core {
            cache: Cache::new(config.cache.memory, config.cache.max_response),
            origins: parts.origins,
            pool: parts.pool,
            clock: parts.clock,
            metrics: parts.metrics,
            ledger: parts.ledger,
            live: RwLock::new(Arc::new(Live { router: Router::new(&config.sites), config })),
            generation: AtomicU64::new(0),
            identity: fields::Identity::new(number),
            number: RandomState::new().build_hasher().finish(),
            spill,
        };
        Proxy { core: Arc::new(core), access_log: parts.access_log }
    }

    /// What is stored.
    pub fn store(&self) -> &crate::store::Store {
        &self.core.cache.store
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.core.metrics
    }

    /// Which fetches failed, and when others went well.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.core.ledger
    }

    /// The fetchers.
    pub fn fetchers(&self) -> crate::pool::Stats {
        self.core.pool.stats()
    }

    /// Connections to origins that wait for their next request.
    pub fn idle_origin_connections(&self) -> usize {
        self.core.origins.idle_connections()
    }

    /// Upkeep, about once a second: idle connections that have waited long enough are closed.
    pub fn keep(&self) {
        self.core.origins.reap();
    }

    /// Opens the access log anew under its path.
    pub fn reopen_log(&self) {
        if let Some(log) = &self.access_log {
            log.reopen();
        }
    }

    /// Ends the log within `limit`; fetchers, whom nobody awaits any more, are only given a moment.
    pub fn shutdown(self, limit: std::time::Duration) {
        self.core.pool.shutdown(limit.min(FETCHERS_END));
        if let Some(log) = self.access_log {
            log.shutdown(limit);
        }
    }
}

impl Core {
    fn live(&self) -> Arc<Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Local {
    /// The number of the next request of this worker: unique among all, and not to be guessed from outside.
    fn next_id(&mut self, number: u64) -> RequestId {
        self.requests += 1;
        let low = ((self.worker as u64) << 48) | self.requests;
        RequestId((u128::from(number) << 64) | u128::from(low))
    }
}

impl Handler for Proxy {
    type Local = Local;
    type Exchange = Exchange;
    type Note = Note;

    fn local(&self, worker: usize) -> Local {
        Local {
            worker,
            metrics: self.core.metrics.clone(),
            log: self.access_log.as_ref().map(AccessLog::buffer),
            spare: Vec::new(),
            live: self.core.live(),
            generation: self.core.generation.load(Ordering::Acquire),
            key: Vec::with_capacity(512),
            host: String::with_capacity(256),
            requests: 0,
        }
    }

    fn begin(&self, call: Call<'_, Local>, head: &crate::http1::RequestHead<'_, '_>) -> Step<Proxy> {
        exchange::begin(&self.core, call, head)
    }

    fn uploaded(&self, call: Call<'_, Local>, exchange: Exchange, body: Uploaded) -> Step<Proxy> {
        exchange::uploaded(&self.core, call, exchange, body)
    }

    fn resume(&self, call: Call<'_, Local>, exchange: Exchange, wake: &Wake) -> Step<Proxy> {
        exchange::resume(&self.core, call, exchange, wake)
    }

    fn refuse(&self, call: Call<'_, Local>, exchange: Option<Exchange>, refusal: Refusal) -> Answer<Proxy> {
        exchange::refuse(&self.core, call, exchange, refusal)
    }

    fn finish(&self, local: &mut Local, now: Now, note: Note, delivery: Delivery) {
        note.record(local, now, delivery);
    }

    fn abandoned(&self, local: &mut Local, now: Now, exchange: Exchange) {
        let note = exchange.into_note(local);
        note.record(local, now, Delivery::ABANDONED);
    }

    fn count(&self, local: &mut Local, event: Event) {
        let block = local.metrics.block(local.worker);
        match event {
            Event::Opened => {
                block.add(Counter::ConnectionsAccepted, 1);
                block.add(Counter::ConnectionsOpen, 1);
            }
            Event::Closed => block.subtract(Counter::ConnectionsOpen, 1),
            Event::Handshake => block.add(Counter::HandshakesDone, 1),
            Event::HandshakeFailed => block.add(Counter::HandshakesFailed, 1),
            Event::TimedOut => block.add(Counter::ConnectionsTimedOut, 1),
            Event::Panicked => block.add(Counter::Panics, 1),
            Event::Spilled => block.add(Counter::UploadsSpilled, 1),
        }
    }

    fn tick(&self, local: &mut Local, now: Now) {
        let generation = self.core.generation.load(Ordering::Acquire);
        if generation != local.generation {
            local.generation = generation;
            local.live = self.core.live();
        }
        if let Some(log) = local.log.as_mut() {
            log.flush_if_due(now);
        }
    }
}

/// Bytes of a passing body in memory ahead of its slowest reader (decisions 11).
const SPILL_WINDOW: usize = 256 << 10;
/// How long the end waits for fetchers.
const FETCHERS_END: std::time::Duration = std::time::Duration::from_millis(100);
/// How long a full spill waits for its slowest reader.
const SPILL_PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
