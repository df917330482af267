//! What outlives the process: the failure ledger and the book of certificates, read at the start, written by the keeper
//! while they change and at the end.
//!
//! Nothing about it is fatal: a damaged file is set aside, and a folder that cannot be written costs a warning and the
//! memory of this run.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::observe::{CertificateBook, Ledger, MAX_BOOK, MAX_TEXT};
use crate::server::Clock;
use crate::state::{StateDir, StateKind, Unread};

/// Something that a file holds.
pub trait Lasting: Send + Sync {
    /// The file.
    fn kind(&self) -> StateKind;
    /// What it is, for people.
    fn name(&self) -> &'static str;
    /// Grows with every change that must not be lost.
    fn changes(&self) -> u64;
    /// Has anything less moved since this was asked last?
    fn take_minor(&self) -> bool;
    /// All of it.
    fn encode(&self) -> Vec<u8>;
    /// Adds what `encode` gave, or says what is wrong with it.
    fn restore(&self, text: &[u8]) -> Result<(), String>;
}

/// Everything that is kept, and where, if anywhere.
pub struct Kept {
    dir: Option<StateDir>,
    files: Vec<KeptFile>,
    clock: Clock,
}

struct KeptFile {
    content: Arc<dyn Lasting>,
    /// The changes that the file has.
    written: u64,
    /// When it was written, or that was tried, last (monotonic).
    at: Duration,
    /// The last try failed, and that has been said.
    is_failing: bool,
}

impl Kept {
    /// Fills all with what an earlier run left in `dir`, and writes it there at once, so that a folder that cannot be written
    /// is known from the start.
    pub fn open(dir: Option<&Path>, all: Vec<Arc<dyn Lasting>>, clock: Clock) -> Kept {
        let dir = dir.map(StateDir::new);
        let file = |content| KeptFile { content, written: 0, at: Duration::ZERO, is_failing: false };
        let mut files: Vec<KeptFile> = all.into_iter().map(file).collect();
        if let Some(dir) = &dir {
            for file in &mut files {
                file.restore(dir, clock.now().unix());
                file.write(dir, clock);
            }
        }
        Kept { dir, files, clock }
    }

    /// Upkeep, about once a second: writes what has changed, but not too often.
    pub fn round(&mut self) {
        let Some(dir) = &self.dir else { return };
        for file in &mut self.files {
            if file.is_due(self.clock.now().monotonic) {
                file.write(dir, self.clock);
            }
        }
    }

    /// Writes for the last time.
    pub fn end(&mut self) {
        let Some(dir) = &self.dir else { return };
        for file in &mut self.files {
            if file.content.changes() != file.written || file.content.take_minor() {
                file.write(dir, self.clock);
            }
        }
    }
}

impl KeptFile {
    fn is_due(&self, now: Duration) -> bool {
        let since = now.saturating_sub(self.at);
        let has_changed = self.content.changes() != self.written;
        match self.is_failing {
            true => since >= AFTER_FAILURE,
            false => (has_changed && since >= BETWEEN_WRITES) || (since >= BETWEEN_GOOD && self.content.take_minor()),
        }
    }

    fn write(&mut self, dir: &StateDir, clock: Clock) {
        let (changes, kind) = (self.content.changes(), self.content.kind());
        let outcome = dir.write(&kind, &self.content.encode());
        self.at = clock.now().monotonic;
        let path = dir.path_of(&kind);
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
                    "cannot write {}: {error}; {} is kept in memory alone until it can be written: make the folder writable \
                     for this user, or set another dir under [state]",
                    path.display(),
                    self.content.name()
                );
            }
            Err(_) => {}
        }
    }

    /// What an earlier run left; whatever cannot be read is moved aside, and the content begins empty.
    fn restore(&self, dir: &StateDir, unix: i64) {
        let (kind, name) = (self.content.kind(), self.content.name());
        let path = dir.path_of(&kind);
        let damage = match dir.read(&kind) {
            Ok(None) => return,
            Ok(Some(text)) => match self.content.restore(&text) {
                Ok(()) => return,
                Err(damage) => damage,
            },
            Err(Unread::Damaged(damage)) => damage.to_owned(),
            // Moved aside too: the next write would take its place.
            Err(Unread::Io(error)) => error.to_string(),
        };
        match dir.set_aside(&kind, unix) {
            Ok(place) => log::warn!(
                "{} cannot be used ({damage}): it is set aside as {}, and {name} begins empty",
                path.display(),
                place.display()
            ),
            Err(error) => {
                log::warn!("{} cannot be used ({damage}), nor set aside ({error}); {name} begins empty", path.display())
            }
        }
    }
}

impl Lasting for Ledger {
    fn kind(&self) -> StateKind {
        FAILURES
    }

    fn name(&self) -> &'static str {
        "the failure ledger"
    }

    fn changes(&self) -> u64 {
        Ledger::changes(self)
    }

    fn take_minor(&self) -> bool {
        self.take_good()
    }

    fn encode(&self) -> Vec<u8> {
        Ledger::encode(self)
    }

    fn restore(&self, text: &[u8]) -> Result<(), String> {
        Ledger::restore(self, text)
    }
}

impl Lasting for CertificateBook {
    fn kind(&self) -> StateKind {
        CERTIFICATES
    }

    fn name(&self) -> &'static str {
        "what is known of the certificates of origins"
    }

    fn changes(&self) -> u64 {
        CertificateBook::changes(self)
    }

    fn take_minor(&self) -> bool {
        self.take_seen()
    }

    fn encode(&self) -> Vec<u8> {
        CertificateBook::encode(self)
    }

    fn restore(&self, text: &[u8]) -> Result<(), String> {
        CertificateBook::restore(self, text)
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

/// The book in a state directory, if there is one that can be read.
pub fn read_certificates(dir: &Path) -> Option<CertificateBook> {
    let text = StateDir::new(dir).read(&CERTIFICATES).ok().flatten()?;
    let book = CertificateBook::default();
    book.restore(&text).ok().map(|()| book)
}

const FAILURES: StateKind = StateKind { name: "failures", version: 2, max: MAX_TEXT };
const CERTIFICATES: StateKind = StateKind { name: "certificates", version: 1, max: MAX_BOOK };
/// While something happens.
const BETWEEN_WRITES: Duration = Duration::from_secs(3);
/// While all is well, and only times move.
const BETWEEN_GOOD: Duration = Duration::from_secs(60);
/// After the system refused.
const AFTER_FAILURE: Duration = Duration::from_secs(30);
