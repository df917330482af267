//! What outlives the process: the failure ledger, read at the start, written by the keeper while it changes and at the end.
//!
//! Nothing about it is fatal: a damaged file is set aside, and a folder that cannot be written costs a warning and the
//! memory of this run.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::observe::{Ledger, MAX_TEXT};
use crate::server::Clock;
use crate::state::{StateDir, StateKind, Unread};

/// The ledger and its file, if it has one.
pub struct Kept {
    dir: Option<StateDir>,
    ledger: Arc<Ledger>,
    clock: Clock,
    /// The ledger's changes that the file has.
    written: u64,
    /// When it was written, or that was tried, last (monotonic).
    at: Duration,
    /// The last try failed, and that has been said.
    is_failing: bool,
}

impl Kept {
    /// Fills the ledger with what an earlier run left in `dir`, and writes it there at once, so that a folder that cannot
    /// be written is known from the start.
    pub fn open(dir: Option<&Path>, ledger: Arc<Ledger>, clock: Clock) -> Kept {
        let dir = dir.map(StateDir::new);
        if let Some(dir) = &dir {
            restore(dir, &ledger, clock.now().unix());
        }
        let mut kept = Kept { dir, ledger, clock, written: 0, at: Duration::ZERO, is_failing: false };
        kept.write();
        kept
    }

    /// Upkeep, about once a second: writes what has changed, but not too often.
    pub fn round(&mut self) {
        let since = self.clock.now().monotonic.saturating_sub(self.at);
        let has_changed = self.ledger.changes() != self.written;
        let is_due = if self.is_failing {
            since >= AFTER_FAILURE
        } else {
            (has_changed && since >= BETWEEN_WRITES) || (since >= BETWEEN_GOOD && self.ledger.take_good())
        };
        if is_due {
            self.write();
        }
    }

    /// Writes for the last time.
    pub fn end(&mut self) {
        if self.ledger.changes() != self.written || self.ledger.take_good() {
            self.write();
        }
    }

    fn write(&mut self) {
        let Some(dir) = &self.dir else { return };
        let changes = self.ledger.changes();
        let outcome = dir.write(&FAILURES, &self.ledger.encode());
        self.at = self.clock.now().monotonic;
        let path = dir.path_of(&FAILURES);
        match outcome {
            Ok(()) => {
                self.written = changes;
                if std::mem::take(&mut self.is_failing) {
                    log::info!("{} is written again", path.display());
                }
            }
            Err(error) if !self.is_failing => {
                self.is_failing = true;
                log::warn!(
                    "cannot write {}: {error}; failures are kept in memory alone until it can be written: make the \
                     folder writable for this user, or set another dir under [state]",
                    path.display()
                );
            }
            Err(_) => {}
        }
    }
}

/// What an earlier run left; whatever cannot be read is moved aside, and the ledger begins empty.
fn restore(dir: &StateDir, ledger: &Ledger, unix: i64) {
    let path = dir.path_of(&FAILURES);
    let damage = match dir.read(&FAILURES) {
        Ok(None) => return,
        Ok(Some(text)) => match ledger.restore(&text) {
            Ok(()) => return,
            Err(damage) => damage,
        },
        Err(Unread::Damaged(damage)) => damage.to_owned(),
        // Moved aside too: the next write would take its place.
        Err(Unread::Io(error)) => error.to_string(),
    };
    match dir.set_aside(&FAILURES, unix) {
        Ok(place) => log::warn!(
            "{} cannot be used ({damage}): it is set aside as {}, and the failure ledger begins empty",
            path.display(),
            place.display()
        ),
        Err(error) => log::warn!(
            "{} cannot be used ({damage}), nor set aside ({error}); the failure ledger begins empty",
            path.display()
        ),
    }
}

/// The ledger in a state directory, which is left as it is.
pub fn read(dir: &Path) -> Result<Ledger, Error> {
    let dir = StateDir::new(dir);
    let refused = |source| Error::Io { what: format!("read {}", dir.path_of(&FAILURES).display()), source };
    let damaged = |what| refused(io::Error::new(io::ErrorKind::InvalidData, format!("the file is damaged: {what}")));
    match dir.read(&FAILURES) {
        Ok(Some(text)) => {
            let ledger = Ledger::default();
            ledger.restore(&text).map_err(damaged)?;
            Ok(ledger)
        }
        Ok(None) => Err(refused(io::Error::new(io::ErrorKind::NotFound, "there is no such file"))),
        Err(Unread::Damaged(what)) => Err(damaged(what.to_owned())),
        Err(Unread::Io(error)) => Err(refused(error)),
    }
}

const FAILURES: StateKind = StateKind { name: "failures", version: 2, max: MAX_TEXT };
/// While fetches fail.
const BETWEEN_WRITES: Duration = Duration::from_secs(3);
/// While all is well, and only the last good fetches move.
const BETWEEN_GOOD: Duration = Duration::from_secs(60);
/// After the system refused.
const AFTER_FAILURE: Duration = Duration::from_secs(30);
