//! The CDN's own decisions on one exchange: route, look up, decide, fetch, answer.
//!
//! `exchange` decides on a worker and never waits; `fetch` reads top to bottom on a fetcher; they meet in a flight and a
//! body. Sockets are `server`'s business, origins `origin`'s.

mod answer;
mod ask;
mod blame;
mod decide;
mod depart;
mod error_page;
mod events;
mod exchange;
mod fetch;
mod fields;
mod fill;
mod follow;
mod interim;
mod landing;
mod learn;
mod multipart;
mod negative;
mod note;
mod outcome;
mod parts;
mod purge;
mod ranged;
mod reason;
mod request;
mod route;
mod signal;
mod site_rules;
mod stale;
mod validate;
mod visit;

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

pub use answer::{write_field, write_status};
pub use exchange::Exchange;
pub use fetch::Fetch;
pub use note::Note;
pub use purge::{Purge, PurgeError, Purged, Scope};
pub use reason::reason;
pub use signal::Signal;
pub use site_rules::{asked_target, full_key, shown_key};
pub use visit::{Errand, Kept, Visited};

use crate::cache::Cache;
use crate::config::{Config, Router};
use crate::observe::{AccessLog, CertificateBook, Ledger, LogBuffer, Metrics, RequestId, Tally, Warned};
use crate::origin::Origins;
use crate::pool::Pool;
use crate::server::{Answer, Call, Clock, Delivery, Event, Handler, Refusal, Step, Uploaded};
use crate::store::Spill;
use crate::time::Now;
use crate::wake::Wake;

/// The CDN: what workers and fetchers share.
pub struct Proxy {
    core: Arc<Core>,
}

/// What a fetch on another thread needs of the proxy.
pub struct Core {
    cache: Cache<landing::Landing>,
    origins: Origins,
    pool: Pool<fetch::Fetch>,
    clock: Clock,
    metrics: Arc<Metrics>,
    ledger: Arc<Ledger>,
    certificates: Arc<CertificateBook>,
    live: RwLock<Arc<Live>>,
    generation: AtomicU64,
    identity: fields::Identity,
    number: u64,
    spill: Spill,
    /// When its disk was last complained of.
    spill_warned: Warned,
    failures: negative::Failures,
}

/// The configuration in force.
pub struct Live {
    /// The whole.
    pub config: Config,
    /// Its sites by name.
    pub router: Router,
    /// The access log, if any. It ends with the last configuration that has it, when no worker writes to it any more.
    pub access_log: Option<Arc<AccessLog>>,
}

/// What one worker keeps for the proxy.
pub struct Local {
    worker: usize,
    metrics: Arc<Metrics>,
    log: Option<LogBuffer>,
    tally: Tally,
    #[expect(clippy::vec_box, reason = "the boxes go round, so that notes are small and none is made anew")]
    spare: Vec<Box<note::Line>>,
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
    /// Where the certificates of origins are noted.
    pub certificates: Arc<CertificateBook>,
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
            certificates: parts.certificates,
            live: RwLock::new(Arc::new(Live::new(config, parts.access_log.map(Arc::new)))),
            generation: AtomicU64::new(0),
            identity: fields::Identity::new(number),
            number: RandomState::new().build_hasher().finish(),
            spill,
            spill_warned: Warned::default(),
            failures: negative::Failures::default(),
        };
        Proxy { core: Arc::new(core) }
    }

    /// What is stored.
    pub fn store(&self) -> &crate::store::Store {
        &self.core.cache.store
    }

    /// The counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.core.metrics
    }

    /// Which fetches failed, and when others went well.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.core.ledger
    }

    /// What origins have shown in handshakes.
    pub fn certificates(&self) -> &Arc<CertificateBook> {
        &self.core.certificates
    }

    /// The fetchers.
    pub fn fetchers(&self) -> crate::pool::Stats {
        self.core.pool.stats()
    }

    /// The way out, for those who look at its state.
    pub fn origins(&self) -> &Origins {
        &self.core.origins
    }

    /// Connections to origins that wait for their next request.
    pub fn idle_origin_connections(&self) -> usize {
        self.core.origins.idle_connections()
    }

    /// Upkeep, about once a second: idle connections that have waited long enough are closed, dead origins looked at, and
    /// what purges have left to be swept is swept.
    pub fn keep(&self) {
        self.core.origins.keep(&self.core.live().config.sites);
        self.core.cache.store.sweep();
        self.core.metrics.keep(self.core.clock.now());
    }

    /// Opens the access log anew under its path.
    pub fn reopen_log(&self) {
        if let Some(log) = &self.core.live().access_log {
            log.reopen();
        }
    }

    /// The configuration in force.
    pub fn live(&self) -> Arc<Live> {
        self.core.live()
    }

    /// Puts another configuration in force for all requests that begin from now on; what is under way ends under the one
    /// that it began with. What is stored stays, as far as the budget goes.
    pub fn replace(&self, live: Live) {
        let cache = &live.config.cache;
        self.core.cache.store.resize(cache.memory, cache.max_response);
        let numbers: HashSet<usize> = live.config.sites.iter().map(|site| site.number).collect();
        let old =
            std::mem::replace(&mut *self.core.live.write().unwrap_or_else(PoisonError::into_inner), Arc::new(live));
        self.core.generation.fetch_add(1, Ordering::Release);
        self.core.pool.retain(|number| numbers.contains(&number));
        drop(old);
    }

    /// What origins are trusted by is read anew, for the sites in force; `listeners` are our own from now on. Says how many
    /// sorts of trust have changed.
    pub fn renew_origins(&self, listeners: Vec<std::net::SocketAddr>) -> usize {
        self.core.origins.renew(&self.core.live().config.sites, listeners)
    }

    /// Ends the log within `limit`; fetchers, whom nobody awaits any more, are only given a moment.
    pub fn shutdown(&self, limit: std::time::Duration) {
        self.core.pool.shutdown(limit.min(FETCHERS_END));
        if let Some(log) = &self.core.live().access_log {
            log.shutdown(limit);
        }
    }
}

impl Core {
    fn live(&self) -> Arc<Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Live {
    /// With the sites found by name.
    pub fn new(config: Config, access_log: Option<Arc<AccessLog>>) -> Live {
        Live { router: Router::new(&config.sites), config, access_log }
    }

    fn has_log_of(&self, other: &Live) -> bool {
        match (&self.access_log, &other.access_log) {
            (Some(log), Some(other)) => Arc::ptr_eq(log, other),
            (log, other) => log.is_none() && other.is_none(),
        }
    }
}

impl Local {
    /// Takes up the configuration in force, if it is another one by now.
    fn keep_up(&mut self, core: &Core) {
        let generation = core.generation.load(Ordering::Acquire);
        if generation == self.generation {
            return;
        }
        let live = core.live();
        if !live.has_log_of(&self.live) {
            // The lines so far go to the log that they were written for.
            self.log = live.access_log.as_ref().map(|log| log.buffer());
        }
        (self.generation, self.live) = (generation, live);
    }

    /// A number for each request, evenly spread (the golden ratio's multiples are), so that no regular load is favoured.
    fn chance(&self) -> u64 {
        self.requests.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
    }

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
        let generation = self.core.generation.load(Ordering::Acquire);
        let live = self.core.live();
        Local {
            worker,
            metrics: self.core.metrics.clone(),
            log: live.access_log.as_ref().map(|log| log.buffer()),
            tally: Tally::default(),
            spare: Vec::new(),
            live,
            generation,
            key: Vec::with_capacity(512),
            host: String::with_capacity(256),
            requests: 0,
        }
    }

    fn begin(&self, call: Call<'_, Local>, head: &crate::http1::RequestHead<'_, '_>) -> Step<Proxy> {
        call.local.keep_up(&self.core);
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
        if let Event::SpillFailed(fault) = event {
            self.core.spill_failed(&fault, "large request bodies are refused");
        }
        events::count(local.metrics.block(local.worker), event);
    }

    fn spare(&self, now: Now) -> bool {
        let store = &self.core.cache.store;
        if !store.is_sweeping() {
            return false;
        }
        // Half as long again as the turn took that clients had: a purge of a million then takes about a second even where
        // there is not a moment to spare, and the slowest answers take less than twice their time.
        let spent = self.core.clock.now().monotonic.saturating_sub(now.monotonic);
        store.spare(spent.saturating_add(spent / 2).clamp(SPARE_LEAST, SPARE_MOST))
    }

    fn tick(&self, local: &mut Local, now: Now) {
        local.keep_up(&self.core);
        if let Some(log) = local.log.as_mut() {
            log.flush_if_due(now);
        }
        local.tally.hand_over_if_due(now, local.metrics.totals());
    }
}

/// Bytes of a passing body in memory ahead of its slowest reader (decisions 11).
const SPILL_WINDOW: usize = 256 << 10;
/// What a worker gives to a sweep between two turns.
const SPARE_LEAST: std::time::Duration = std::time::Duration::from_micros(200);
const SPARE_MOST: std::time::Duration = std::time::Duration::from_micros(800);
/// How long the end waits for fetchers.
const FETCHERS_END: std::time::Duration = std::time::Duration::from_millis(100);
/// How long a full spill waits for its slowest reader.
const SPILL_PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
