//! The whole, assembled: listeners, workers, fetchers, store and log, started and stopped together.

mod door;
mod explain;
mod keeper;
mod kept;
mod listening;
mod material;
mod names;
mod radar;
mod reload;
mod stats;
mod tasks;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use door::Door;
pub use explain::{Explanation, Question, Unexplained};
use keeper::Keeper;
use kept::Kept;
use listening::wanted;
use material::Material;
pub use names::Names;
pub use radar::{CertificateDetails, CertificateRow, CertificateSide, CertificateState};
use radar::{OwnCertificates, Radar};
pub use reload::Reloaded;
use reload::{Front, refusal};
pub use stats::{Limited, Stats};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{Config, LogFormat, Problem};
use crate::error::Error;
use crate::observe::{AccessLog, CertificateBook, FailureRow, Format, Ledger, Metrics};
use crate::origin::{AddressState, CheckState, NameState, Origins, Resolver};
use crate::pool::{self, Pool};
use crate::proxy::{Parts, Proxy};
pub use crate::proxy::{Purge, PurgeError, Purged, Scope};
use crate::server::{Bound, Clock, Server, Settings};
use crate::state::StateDir;
use crate::task::Tasks;
pub use crate::task::{Page, Prefetch, Task, TaskError, TaskState, TaskUrl, UrlState, Window};
use crate::tls::{CertificatesBuilder, server_config};

/// A running Millpond.
///
/// Dropping it stops at once; [`Edge::shutdown`] lets what runs finish.
pub struct Edge {
    server: Option<Arc<Server>>,
    keeper: Option<Keeper>,
    proxy: Option<Arc<Proxy>>,
    tasks: Option<Arc<Tasks>>,
    front: Arc<Front>,
    door: Option<Door>,
}

/// Where clients reach it, with the real ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Plain HTTP.
    pub http: Vec<SocketAddr>,
    /// HTTPS.
    pub https: Vec<SocketAddr>,
    /// The operator's door; `None` where it is closed.
    pub admin: Option<SocketAddr>,
}

/// The state of the way to the origins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginStates {
    /// Addresses that failed lately, dead ones among them.
    pub addresses: Vec<AddressState>,
    /// What health checks have found.
    pub checks: Vec<CheckState>,
    /// Names that were looked up.
    pub names: Vec<NameState>,
}

impl OriginStates {
    /// How many addresses are dead now: no fetch goes there while there is another.
    pub fn dead_addresses(&self) -> usize {
        self.addresses.iter().filter(|state| state.dead_for.is_some()).count()
    }
}

impl Edge {
    /// Binds all listeners and begins to serve. The operator's door opens where the configuration has `[admin]` (or
    /// [`Config::with_door`] says so). Raises the process's limit on open files to what is allowed.
    ///
    /// # Errors
    /// `Error::Configuration` where certificates or CA files cannot be used, `Error::Io` where an address cannot be
    /// bound or the access log not be opened.
    pub fn start(config: Config) -> Result<Edge, Error> {
        Edge::start_by(config, Resolver::system())
    }

    /// The same with a resolver of one's own.
    pub(crate) fn start_by(config: Config, resolver: Resolver) -> Result<Edge, Error> {
        raise_file_limit();
        let clock = Clock::start();
        let state = config.state.dir.as_deref().map(StateDir::new);
        let material = Material::read(&config, clock.now().unix());
        let Material { certificates, door, own: shown, .. } =
            material.accepted().map_err(|problems| refusal(&problems))?;
        let (certificates, door) = (certificates.build(), door.map(CertificatesBuilder::build));
        let own = Arc::new(OwnCertificates::default());
        own.replace(shown);
        let listeners = wanted(&config).map(|(address, is_https)| Bound::bind(address, is_https));
        let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
        let addresses: Vec<SocketAddr> = listeners.iter().map(Bound::address).collect();
        let metrics = Arc::new(Metrics::new(config.workers.count));
        let access_log = open_log(&config, &metrics)?;
        let (ledger, book) = (Arc::new(Ledger::default()), Arc::new(CertificateBook::default()));
        let kept = Kept::open(config.state.dir.as_deref(), vec![ledger.clone(), book.clone()], clock);
        let limits = pool::Limits { threads: config.workers.fetchers, ..pool::Limits::default() };
        let parts = Parts {
            origins: Origins::new(resolver, addresses),
            pool: Pool::new("fetcher", limits, move || clock.now().monotonic),
            clock,
            metrics,
            ledger,
            certificates: book,
            access_log,
        };
        let settings = Settings {
            workers: config.workers.count,
            limits: config.limits.clone(),
            temp_dir: config.cache.temp_dir.clone(),
            // There even where no listener is HTTPS: a reload may bring one.
            tls: Some(server_config(certificates.clone())),
        };
        let front = Arc::new(Front::new(&config, &listeners, certificates, door.clone(), own.clone()));
        let door = door::Plan::new(&config, door)?;
        let proxy = Arc::new(Proxy::new(config, parts));
        let server = Arc::new(Server::start(&proxy, clock, &settings, listeners)?);
        proxy.store().help_by(server.bell());
        let keeper = Keeper::start(proxy.clone(), kept, Radar::start(proxy.clone(), own, clock))?;
        let tasks = tasks::open(&proxy, clock, state.as_ref())?;
        let door = door
            .map(|plan| plan.open(door::House::new(&proxy, &server, &front).with_tasks(&tasks), clock))
            .transpose()?;
        Ok(Edge { server: Some(server), keeper: Some(keeper), proxy: Some(proxy), tasks: Some(tasks), front, door })
    }

    /// Everything that a configuration names on disk, checked without opening a connection: certificates, keys, CA files,
    /// and what its state directory knows of the certificates of origins. Among the problems may be warnings, such as a
    /// certificate that ends soon.
    pub fn check(config: &Config) -> Vec<Problem> {
        let unix = Clock::start().now().unix();
        let mut problems = Material::read(config, unix).problems;
        let book = config.state.dir.as_deref().and_then(kept::read_certificates);
        problems.extend(book.into_iter().flat_map(|book| radar::problems(config, &book, unix)));
        problems
    }

    /// What would become of a request, by the configuration alone: its site, rules, key, lifetime and origin. Sends
    /// nothing.
    ///
    /// # Errors
    /// Where the question makes no request, or no site answers for its name.
    pub fn explain(config: &Config, question: &Question) -> Result<Explanation, Unexplained> {
        explain::explain(config, question, Clock::start().now())
    }

    /// The configuration in force; `None` once it stops.
    pub fn config(&self) -> Option<Config> {
        self.proxy.as_ref().map(|proxy| proxy.live().config.clone())
    }

    /// Where it listens now.
    pub fn addresses(&self) -> Addresses {
        Addresses { admin: self.door.as_ref().map(Door::address), ..self.front.addresses() }
    }

    /// Where the operator signs in, with the token behind it; known only where the token was made at this start. Whoever
    /// has it may do everything: show it once, and write it into no log.
    pub fn sign_in(&self) -> Option<String> {
        self.door.as_ref().and_then(Door::sign_in)
    }

    /// What has happened since the start, and what is held now.
    pub fn stats(&self) -> Stats {
        let (Some(proxy), Some(server)) = (&self.proxy, &self.server) else { return Stats::default() };
        let snapshot = proxy.metrics().snapshot();
        let counts = Stats::of(&snapshot, &proxy.store().stats(), &proxy.fetchers());
        Stats {
            panics: counts.panics.saturating_add(self.door.as_ref().map_or(0, Door::panics)),
            connections: server.connections(),
            accept_errors: server.accept_errors(),
            limited: Limited::of(&snapshot, server.limited()),
            idle_origin_connections: proxy.idle_origin_connections(),
            dead_addresses: proxy.origins().dead_addresses(),
            ..counts
        }
    }

    /// What is known of the way to the origins: addresses that failed lately, health checks, names.
    pub fn origins(&self) -> OriginStates {
        let origins = self.proxy.as_ref().map(|proxy| proxy.origins());
        origins.map_or_else(OriginStates::default, |origins| OriginStates {
            addresses: origins.health(),
            checks: origins.checks(),
            names: origins.names(),
        })
    }

    /// Takes stored responses out of use, at once: when it comes back, no request that begins finds them any more, nor gets
    /// what the origin was asked for before. Clients that were already being answered have their answer to its end.
    ///
    /// One address is looked up; every other scope looks at all that is stored, which takes most of a second for a million
    /// responses and holds nobody up.
    ///
    /// # Errors
    /// Where an address is none, or no site is configured for its host.
    pub fn purge(&self, purge: &Purge) -> Result<Purged, PurgeError> {
        self.proxy.as_ref().map_or(Ok(Purged::default()), |proxy| proxy.purge(purge))
    }

    /// Which fetches failed, where and why, since when and how often; the latest failure first.
    pub fn failures(&self) -> Vec<FailureRow> {
        self.proxy.as_ref().map(|proxy| proxy.ledger().rows()).unwrap_or_default()
    }

    /// The same from a state directory, of an edge that runs, has ended or will start. It changes nothing there; what a
    /// running edge has seen is written within a few seconds.
    ///
    /// # Errors
    /// `Error::Io` where there is no failure ledger, or none that can be read.
    pub fn failures_in(dir: &Path) -> Result<Vec<FailureRow>, Error> {
        kept::read(dir).map(|ledger| ledger.rows())
    }

    /// The certificates of both sides and how long they last: those that we show, as they were read last, and those that the
    /// servers of origins showed in their last handshake with a fetch.
    pub fn certificates(&self) -> Vec<CertificateRow> {
        let Some(proxy) = &self.proxy else { return Vec::new() };
        radar::rows(&proxy.live().config, &self.front.own, proxy.certificates(), Clock::start().now().unix())
    }

    /// Opens the access log anew under its path, so that it can be rotated: rename the file, then call this.
    pub fn reopen_log(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.reopen_log();
        }
    }

    /// Stops accepting, lets what runs finish within `limits.shutdown_timeout`, and writes the log to its end.
    pub fn shutdown(mut self) {
        if let Some(door) = &self.door {
            // What changes things has ended before they end; that it stops can still be asked.
            door.close(DOOR_CLOSES);
        }
        if let Some(tasks) = &self.tasks {
            tasks.stop();
        }
        if let Some(server) = self.server.take().and_then(Arc::into_inner) {
            server.shutdown();
        }
        self.end(Duration::from_secs(5));
    }

    fn end(&mut self, limit: Duration) {
        self.door = None;
        self.tasks = None;
        self.server = None;
        self.keeper = None;
        if let Some(proxy) = self.proxy.take() {
            proxy.shutdown(limit);
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.end(Duration::from_millis(100));
    }
}

fn open_log(config: &Config, metrics: &Arc<Metrics>) -> Result<Option<AccessLog>, Error> {
    let Some(path) = &config.log.access else { return Ok(None) };
    let format = match config.log.format {
        LogFormat::Combined => Format::Combined,
        LogFormat::Json => Format::Json,
    };
    AccessLog::open(format, path, metrics.clone()).map(Some)
}

/// How long a stop waits for the door's jobs.
const DOOR_CLOSES: Duration = Duration::from_secs(2);

/// A proxy needs many descriptors; the soft limit is only a default for programs that do not (decisions 7).
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Refused only where it is as high as it may be.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
