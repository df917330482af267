//! The operator's door as a part of the whole: its listener, its token, and what it may do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::fs::{Access as Allowed, access};

use super::Question;
use super::radar;
use super::reload::{Front, stopping};
use crate::admin::random_text;
use crate::admin::{Access, Admin, Asked, CertificateRow, Changes, Control, MOST_BODY, Refused, Told, Unexplained};
use crate::config::{Config, Limits, Problem};
use crate::error::Error;
use crate::proxy::Proxy;
use crate::server::{Bound, Clock, Counts, Server, Settings};
use crate::settings as files;
use crate::state::{StateDir, StateKind, Unread};
use crate::task::Tasks;
use crate::tls::{Certificates, server_config};

/// The open door.
pub struct Door {
    admin: Arc<Admin>,
    server: Option<Server>,
    address: SocketAddr,
    is_https: bool,
    /// Known only where it was made at this start.
    new_token: Option<String>,
}

/// All that can fail of opening it, done.
pub struct Plan {
    bound: Bound,
    certificates: Option<Arc<Certificates>>,
    limits: Limits,
    temp_dir: PathBuf,
    state: Option<StateDir>,
    files: Option<files::Settings>,
}

/// The house, as far as the door reaches. It keeps nothing alive.
pub struct House {
    proxy: Weak<Proxy>,
    tasks: Weak<Tasks>,
    server: Weak<Server>,
    counts: Counts,
    front: Arc<Front>,
}

impl Plan {
    /// Binds the listener of a configuration that wants a door, for TLS where there are `certificates`; `None` where it wants
    /// none, or where nobody asked for it and its usual place is taken.
    ///
    /// # Errors
    /// `Error::Io` where the address cannot be bound.
    pub fn new(config: &Config, certificates: Option<Arc<Certificates>>) -> Result<Option<Plan>, Error> {
        let Some((door, address)) = config.admin.as_ref().and_then(|door| Some((door, door.listen?))) else {
            return Ok(None);
        };
        let bound = match Bound::bind(address, certificates.is_some()) {
            Ok(bound) => bound,
            Err(error) if !door.is_written => {
                log::warn!("{error}: no API and no console; give listen under [admin] another port, or \"off\"");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let limits = Limits {
            connections: CONNECTIONS,
            // A browser opens several at once; the limit on all of them holds.
            connections_per_address: 0,
            requests_per_connection: 0,
            request_body: MOST_BODY,
            body_in_memory: usize::try_from(MOST_BODY).unwrap_or(usize::MAX),
            shutdown_timeout: Duration::from_secs(1),
            ..config.limits.clone()
        };
        let (temp_dir, state) = (config.cache.temp_dir.clone(), config.state.dir.as_deref().map(StateDir::new));
        let files = config.path.as_ref().map(|path| files::Settings::new(path, config.state.dir.as_deref()));
        Ok(Some(Plan { bound, certificates, limits, temp_dir, state, files }))
    }

    /// Opens it.
    ///
    /// # Errors
    /// `Error::Io` where the system gives no thread or no random numbers.
    pub fn open(self, house: House, clock: Clock) -> Result<Door, Error> {
        let address = self.bound.address();
        let (token, is_new) = token(self.state.as_ref(), clock.now().unix())?;
        let access = Access::new(&token).ok_or_else(no_random_numbers)?;
        let admin = Arc::new(Admin::new(Arc::new(house), access, self.files, clock));
        let is_https = self.certificates.is_some();
        let tls = self.certificates.map(server_config);
        let settings = Settings { workers: 1, limits: self.limits, temp_dir: self.temp_dir, tls };
        let server = Server::start(&admin, clock, &settings, vec![self.bound])?;
        Ok(Door { admin, server: Some(server), address, is_https, new_token: is_new.then_some(token) })
    }
}

impl Door {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address to sign in with.
    pub fn sign_in(&self) -> Option<String> {
        let scheme = if self.is_https { "https" } else { "http" };
        let token = self.new_token.as_ref()?;
        let mut address = self.address;
        if address.ip().is_unspecified() {
            // Not one that a browser can open; this machine's own always is.
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        Some(format!("{scheme}://{address}/#token={token}"))
    }

    /// Panics of its jobs; they were contained.
    pub fn panics(&self) -> u64 {
        self.admin.panics()
    }

    /// Begins no more work, and waits at most `limit` for what is under way.
    pub fn close(&self, limit: Duration) {
        self.admin.close(limit);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.admin.close(Duration::ZERO);
        if let Some(server) = self.server.take() {
            drop(server);
        }
    }
}

impl House {
    /// What the door reaches.
    pub fn new(proxy: &Arc<Proxy>, server: &Arc<Server>, front: &Arc<Front>) -> House {
        House {
            proxy: Arc::downgrade(proxy),
            tasks: Weak::new(),
            server: Arc::downgrade(server),
            counts: server.counts(),
            front: front.clone(),
        }
    }
}

impl House {
    /// The same with the tasks.
    pub fn with_tasks(self, tasks: &Arc<Tasks>) -> House {
        House { tasks: Arc::downgrade(tasks), ..self }
    }
}

impl Control for House {
    fn tasks(&self) -> Option<Arc<Tasks>> {
        self.tasks.upgrade()
    }

    fn proxy(&self) -> Option<Arc<Proxy>> {
        self.proxy.upgrade()
    }

    fn is_ready(&self) -> bool {
        !self.counts.is_stopping()
    }

    fn config_file(&self) -> Option<(PathBuf, bool)> {
        let path = self.proxy()?.live().config.path.clone()?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // A new file takes the place of the old one, so it is the folder that must be writable.
        let is_writable = access(folder, Allowed::WRITE_OK).is_ok() && access(&path, Allowed::WRITE_OK).is_ok();
        Some((path, is_writable))
    }

    fn clients(&self) -> &Counts {
        &self.counts
    }

    fn put_in_force(&self, mut config: Config) -> Result<Changes, Refused> {
        let (Some(proxy), Some(server)) = (self.proxy.upgrade(), self.server.upgrade()) else {
            return Err(stopping().into());
        };
        let fixed = config.keep_fixed(&proxy.live().config);
        let restart_needed = fixed.iter().map(|left| format!("{}: in force after a restart", left.key)).collect();
        let reloaded = self.front.reload(config, &proxy, &server)?;
        Ok(Changes { changed: reloaded.sentences(), restart_needed })
    }

    fn explain(&self, asked: &Asked) -> Result<Told, Unexplained> {
        let Some(proxy) = self.proxy() else { return Err(Unexplained::Malformed("Millpond is stopping".to_owned())) };
        let question = Question {
            url: asked.url.clone(),
            fields: asked.fields.clone(),
            response: asked.response.clone(),
            status: asked.status,
        };
        let explained = super::Edge::explain(&proxy.live().config, &question);
        let told = explained.map_err(|error| match error {
            super::Unexplained::Malformed(text) => Unexplained::Malformed(text),
            super::Unexplained::NoSite(text) => Unexplained::NoSite(text),
        })?;
        Ok(Told { text: told.to_string(), key: told.key, lines: told.lines })
    }

    fn certificates(&self) -> Vec<CertificateRow> {
        let Some(proxy) = self.proxy() else { return Vec::new() };
        let unix = Clock::start().now().unix();
        let rows = radar::rows(&proxy.live().config, &self.front.own, proxy.certificates(), unix);
        rows.into_iter().map(certificate).collect()
    }

    fn check(&self, config: &Config) -> Vec<Problem> {
        super::Edge::check(config)
    }
}

/// A certificate in the words of the door.
fn certificate(row: radar::CertificateRow) -> CertificateRow {
    let known = row.certificate;
    let issuer = known.as_ref().map(|known| match known.issuer.as_str() {
        "" => known.issuer_organisation.clone(),
        name => name.to_owned(),
    });
    CertificateRow {
        side: row.side.token(),
        site: row.site,
        server: (!row.server.is_empty()).then_some(row.server),
        sni: row.sni,
        state: row.state.token(),
        issuer,
        not_before: known.as_ref().map(|known| known.not_before.0),
        not_after: known.as_ref().map(|known| known.not_after.0),
        days_left: known.as_ref().map(|known| known.days_left),
        fingerprint: known.as_ref().map(|known| known.fingerprint.clone()),
        names: known.map(|known| known.names).unwrap_or_default(),
        refusal: row.refusal,
    }
}

/// The token, and whether it was made now. One that cannot be kept serves this start alone.
fn token(state: Option<&StateDir>, unix: i64) -> Result<(String, bool), Error> {
    if let Some(token) = state.and_then(|dir| kept_token(dir, unix)) {
        return Ok((token, false));
    }
    let token = random_text().ok_or_else(no_random_numbers)?;
    if let Some(dir) = state
        && let Err(error) = dir.write(&TOKEN, format!("{token}\n").as_bytes())
    {
        let path = dir.path_of(&TOKEN);
        log::warn!(
            "cannot write {}: {error}; the token of API and console is another one at every start",
            path.display()
        );
    }
    Ok((token, true))
}

/// The token of an earlier start; what is no such file is set aside.
fn kept_token(dir: &StateDir, unix: i64) -> Option<String> {
    let damage = match dir.read(&TOKEN) {
        Ok(None) => return None,
        Ok(Some(text)) => match String::from_utf8(text).ok().filter(|text| text.trim().len() >= SHORTEST_TOKEN) {
            Some(text) => return Some(text.trim().to_owned()),
            None => "it holds no token".to_owned(),
        },
        Err(Unread::Damaged(damage)) => damage.to_owned(),
        Err(Unread::Io(error)) => error.to_string(),
    };
    let path = dir.path_of(&TOKEN);
    match dir.set_aside(&TOKEN, unix) {
        Ok(place) => log::warn!(
            "{} cannot be used ({damage}): it is set aside as {}, and there is a new token",
            path.display(),
            place.display()
        ),
        Err(error) => log::warn!("{} cannot be used ({damage}), nor set aside ({error})", path.display()),
    }
    None
}

fn no_random_numbers() -> Error {
    let source = std::io::Error::other("the system gives no random numbers");
    Error::Io { what: "open the operator's door".into(), source }
}

/// Client connections at the door.
const CONNECTIONS: usize = 256;
const TOKEN: StateKind = StateKind { name: "token", version: 1, max: 1024 };
/// A file that holds less is no file of ours.
const SHORTEST_TOKEN: usize = 32;
