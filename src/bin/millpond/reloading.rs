//! SIGHUP's work on a thread of its own: the file is read, rehearsed where health is demanded, and put in force.
//!
//! A rehearsal may take as long as origins let it wait. Meanwhile Millpond serves on and listens to signals; hang-ups that
//! come while one is under way are one more reload after it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};

use millpond::Edge;
use millpond::config::Config;

use crate::commands::listening;
use crate::diagnosis::require_no_harm;
use crate::failure::Failure;

/// A running Millpond and those who reload it.
pub struct Reloads {
    edge: Arc<RwLock<Option<Edge>>>,
    wanted: Option<SyncSender<()>>,
}

impl Reloads {
    /// Begins to wait for reloads of the file, if there is one.
    pub fn of(edge: Edge, file: Option<&Path>, must_be_healthy: bool) -> Reloads {
        let edge = Arc::new(RwLock::new(Some(edge)));
        let wanted = file.and_then(|path| {
            let (sender, wanted) = sync_channel(1);
            let reloader = Reloader { edge: edge.clone(), path: path.to_owned(), must_be_healthy };
            let thread = std::thread::Builder::new().name("reload".into()).spawn(move || reloader.run(&wanted));
            thread.map(|_| sender).inspect_err(|error| log::error!("no thread for reloads: {error}")).ok()
        });
        Reloads { edge, wanted }
    }

    /// Opens the access log anew and has the file read anew.
    pub fn hang_up(&self) {
        if let Some(edge) = &*self.edge.read().unwrap_or_else(PoisonError::into_inner) {
            edge.reopen_log();
            log::info!("the access log is opened anew");
        }
        if let Some(wanted) = &self.wanted {
            // One that waits already will read the file as it is then.
            let _ = wanted.try_send(());
        }
    }

    /// Millpond itself, for its end: whoever reloads finds nothing any more.
    pub fn end(self) -> Option<Edge> {
        self.edge.write().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct Reloader {
    edge: Arc<RwLock<Option<Edge>>>,
    path: PathBuf,
    must_be_healthy: bool,
}

impl Reloader {
    fn run(&self, wanted: &Receiver<()>) {
        while wanted.recv().is_ok() {
            if let Err(failure) = self.reload() {
                failure.to_string().lines().for_each(|problem| log::error!("{problem}"));
                log::error!("not reloaded: the old configuration stays in force");
            }
        }
    }

    /// Puts the file as it is now in force, and says what came of it; where anything is wrong with it, nothing changes.
    fn reload(&self) -> Result<(), Failure> {
        let config = Config::load_with_door(&self.path)?;
        for warning in config.warnings() {
            log::warn!("{}", warning.to_string().replacen("warning: ", "", 1));
        }
        if self.must_be_healthy {
            let old = self.with_edge(Edge::config).flatten();
            old.map_or(Ok(()), |old| require_no_harm(&old, &config))?;
        }
        self.with_edge(|edge| {
            let before = edge.addresses();
            log::info!("reloaded {}: {}", self.path.display(), edge.reload(config)?);
            let after = edge.addresses();
            if after != before {
                listening(&after.http, &after.https).iter().for_each(|line| log::info!("listening on {line}"));
            }
            Ok(())
        })
        .unwrap_or(Ok(()))
    }

    /// `None` once it stops.
    fn with_edge<T>(&self, of: impl FnOnce(&Edge) -> T) -> Option<T> {
        self.edge.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(of)
    }
}
