//! The operator's file, changed while Millpond runs: proposed, looked at, written, put in force, or put back.
//!
//! A change is proposed against one state of the file, by its entity tag, and applied only if the file still is in that
//! state: whoever edits it by hand, or through another window, is never written over. What puts a configuration in force,
//! and what rehearses it, is not known here.

mod file;
mod versions;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::written::{DiffLine, Remedy, Unwritable, Value, Written, unified};
use crate::config::{Config, Problem, Site};
use crate::tls::fingerprint;

pub use versions::Version;
use versions::Versions;

/// The file and its earlier versions.
pub struct Settings {
    path: PathBuf,
    versions: Versions,
    /// Held while the file is written and put in force: writers come one after the other, and nobody else waits for it.
    writing: Mutex<()>,
}

/// The file as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What it says.
    pub text: String,
    /// Its entity tag (RFC 9110 §8.8.3), strong: another one for every other text.
    pub etag: String,
}

/// What is to change.
#[derive(Debug)]
pub enum Change<'a> {
    /// The site of that name, by a merge patch (RFC 7396) of its settings.
    Patch(&'a str, Value),
    /// One more site.
    Add(Value),
    /// The site of that name is to go.
    Remove(&'a str),
    /// The whole text.
    Text(String),
    /// Lines of the doctor's.
    Remedies(Vec<Remedy<'a>>),
}

/// A change, looked at from all sides but not made.
#[derive(Debug)]
pub struct Proposal {
    /// What it would change.
    pub before: Snapshot,
    /// The file after it.
    pub after: Snapshot,
    /// What it would mean; where it would not be accepted, why not.
    pub config: Result<Config, Vec<Problem>>,
    /// What the file means now; `None` where it is not accepted as it is.
    pub old: Option<Config>,
}

/// A change that was made.
#[derive(Debug)]
pub struct Applied<T> {
    /// The version that was saved before; `None` where the text stayed the same.
    pub version: Option<String>,
    /// What came of putting it in force.
    pub in_force: T,
}

/// Why a change was not made. The file is as it was, but where what is not in force could not be put back.
#[derive(Debug)]
pub enum NotApplied<E> {
    /// The file is not in the state any more that was to be changed.
    Stale,
    /// It would not be accepted.
    Problems(Vec<Problem>),
    /// It could not be put in force.
    Refused(E),
    /// The file, or its earlier version, could not be written.
    Unwritten(&'static str, io::Error),
}

impl Snapshot {
    /// Of a text.
    pub fn new(text: String) -> Snapshot {
        let etag = format!("\"{}\"", hash(&text).get(..32).unwrap_or_default());
        Snapshot { text, etag }
    }
}

impl Settings {
    /// The settings in the file `path`; earlier versions are kept in `state`, or in memory.
    pub fn new(path: &Path, state: Option<&Path>) -> Settings {
        Settings { path: path.to_owned(), versions: Versions::new(state), writing: Mutex::new(()) }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Earlier versions outlive the process.
    pub fn keeps_versions(&self) -> bool {
        self.versions.are_kept()
    }

    /// The file as it is now.
    ///
    /// # Errors
    /// What the system says; also where it is not UTF-8 or not a plain file.
    pub fn read(&self) -> io::Result<Snapshot> {
        file::read(&self.path).map(Snapshot::new)
    }

    /// What the text of the file would mean.
    ///
    /// # Errors
    /// Every problem in it.
    pub fn config(&self, text: &str) -> Result<Config, Vec<Problem>> {
        Config::parse_with_door(text, &self.path)
    }

    /// A change of that state of the file.
    ///
    /// # Errors
    /// Where it cannot be written into the file.
    pub fn propose(&self, before: Snapshot, change: Change<'_>) -> Result<Proposal, Unwritable> {
        let text = match change {
            Change::Text(text) => text,
            change => {
                let written = Written::parse(&before.text)?;
                let site = |name| written.site(name).ok_or(Unwritable::NoSite);
                match change {
                    Change::Text(text) => text,
                    Change::Patch(name, patch) => written.with_patch(site(name)?, &patch)?,
                    Change::Add(settings) => written.with_site(&settings)?,
                    Change::Remove(name) => written.without_site(site(name)?)?,
                    Change::Remedies(remedies) => written.with_remedies(&remedies)?,
                }
            }
        };
        let (config, old) = (self.config(&text), self.config(&before.text).ok());
        Ok(Proposal { before, after: Snapshot::new(text), config, old })
    }

    /// Makes a change: saves what the file says, writes it and puts it in force; where that fails, it is put back.
    ///
    /// # Errors
    /// See [`NotApplied`]; nothing is changed then.
    pub fn apply<T, E>(
        &self,
        proposal: Proposal,
        now: Duration,
        put_in_force: impl FnOnce(Config) -> Result<T, E>,
    ) -> Result<Applied<T>, NotApplied<E>> {
        let Proposal { before, after, config, .. } = proposal;
        let config = config.map_err(NotApplied::Problems)?;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let unread = |error| NotApplied::Unwritten("the file cannot be read", error);
        if self.read().map_err(unread)? != before {
            return Err(NotApplied::Stale);
        }
        if before == after {
            return put_in_force(config)
                .map(|in_force| Applied { version: None, in_force })
                .map_err(NotApplied::Refused);
        }
        let version = self.versions.save(&before.text, now);
        let version = version.map_err(|error| NotApplied::Unwritten("the version before it cannot be kept", error))?;
        let unwritten = |error| NotApplied::Unwritten("the file cannot be written", error);
        file::replace(&self.path, &after.text).map_err(unwritten)?;
        match put_in_force(config) {
            Ok(in_force) => Ok(Applied { version: Some(version), in_force }),
            Err(refused) => {
                let unwritten = |error| NotApplied::Unwritten("what is not in force cannot be put back", error);
                file::replace(&self.path, &before.text).map_err(unwritten)?;
                Err(NotApplied::Refused(refused))
            }
        }
    }

    /// Earlier versions of the file, the latest first.
    ///
    /// # Errors
    /// What the system says.
    pub fn versions(&self) -> io::Result<Vec<Version>> {
        self.versions.list()
    }

    /// What an earlier version says; `None` where there is none of that id.
    ///
    /// # Errors
    /// What the system says; also where it does not say any more what was saved.
    pub fn version(&self, id: &str) -> io::Result<Option<String>> {
        self.versions.read(id)
    }
}

impl Proposal {
    /// The lines that differ.
    pub fn diff(&self) -> Vec<DiffLine> {
        unified(&self.before.text, &self.after.text)
    }

    /// The sites that it would bring or change.
    pub fn changed_sites(&self) -> Vec<Arc<Site>> {
        match (&self.config, &self.old) {
            (Ok(config), Some(old)) => config.sites_unlike(old),
            (Ok(config), None) => config.sites.clone(),
            (Err(_), _) => Vec::new(),
        }
    }
}

/// SHA-256, in hexadecimal digits.
fn hash(text: &str) -> String {
    fingerprint(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
