//! Earlier versions of the file, the latest few: in the state directory, or in memory where there is none.
//!
//! Each is a file of its own that says what the configuration said, so that a person can take it back by hand too.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{file, hash};

/// Where they are.
pub enum Versions {
    /// In that folder.
    Folder(PathBuf),
    /// In memory, the latest last.
    Memory(Mutex<Vec<(Version, String)>>),
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// By what it is asked for: when it was saved in milliseconds, and a hash of what it says.
    pub id: String,
    /// When it was saved, since the Unix epoch.
    pub saved: Duration,
    /// Its size.
    pub bytes: u64,
}

impl Versions {
    /// In a folder of the state directory, or in memory without one.
    pub fn new(state: Option<&Path>) -> Versions {
        match state {
            Some(state) => Versions::Folder(state.join("configurations")),
            None => Versions::Memory(Mutex::default()),
        }
    }

    /// They outlive the process.
    pub fn are_kept(&self) -> bool {
        matches!(self, Versions::Folder(_))
    }

    /// All there are, the latest first.
    ///
    /// # Errors
    /// What the system says of the folder; one that is not there is empty.
    pub fn list(&self) -> io::Result<Vec<Version>> {
        let mut found = match self {
            Versions::Memory(kept) => lock(kept).iter().map(|(version, _)| version.clone()).collect(),
            Versions::Folder(folder) => in_folder(folder)?,
        };
        found.sort_by(|a, b| b.id.cmp(&a.id));
        Ok(found)
    }

    /// What one of them says; `None` where there is none of that id.
    ///
    /// # Errors
    /// What the system says; also where the file does not say any more what was saved.
    pub fn read(&self, id: &str) -> io::Result<Option<String>> {
        let Some((_, digest)) = parts(id) else { return Ok(None) };
        let text = match self {
            Versions::Memory(kept) => {
                return Ok(lock(kept).iter().find(|(version, _)| version.id == id).map(|(_, text)| text.clone()));
            }
            Versions::Folder(folder) => match file::read(&folder.join(format!("{id}{SUFFIX}"))) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                text => text?,
            },
        };
        if !hash(&text).starts_with(digest) {
            return Err(io::Error::other("it was changed after it was saved"));
        }
        Ok(Some(text))
    }

    /// Saves a text, unless the latest says the same, and forgets those that are too many or too much. Comes back with its
    /// id.
    ///
    /// # Errors
    /// What the system says; nothing is saved then.
    pub fn save(&self, text: &str, now: Duration) -> io::Result<String> {
        let hash = hash(text);
        let digest = hash.get(..DIGEST).unwrap_or_default();
        let all = self.list()?;
        if let Some(latest) = all.first().filter(|latest| parts(&latest.id).is_some_and(|(_, known)| known == digest)) {
            return Ok(latest.id.clone());
        }
        // The order is that of saving, whatever the clock does.
        let before = all.first().map_or(0, |latest| latest.saved.as_millis());
        let id = format!("{:015}-{digest}", now.as_millis().max(before + 1));
        let version = Version { id: id.clone(), saved: now, bytes: u64::try_from(text.len()).unwrap_or(u64::MAX) };
        match self {
            Versions::Memory(kept) => lock(kept).push((version.clone(), text.to_owned())),
            Versions::Folder(folder) => {
                if !folder.is_dir() {
                    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
                }
                let beside = folder.join("new");
                file::put(&beside, text, |_| Ok(()))?;
                fs::rename(&beside, folder.join(format!("{id}{SUFFIX}")))?;
                // Not every file system can do it.
                let _ = fs::File::open(folder).and_then(|folder| folder.sync_all());
            }
        }
        let all: Vec<Version> = std::iter::once(version).chain(all).collect();
        for version in beyond(&all) {
            // One that cannot be removed is tried again the next time.
            let _ = self.forget(&version.id);
        }
        Ok(id)
    }

    fn forget(&self, id: &str) -> io::Result<()> {
        match self {
            Versions::Memory(kept) => lock(kept).retain(|(version, _)| version.id != id),
            Versions::Folder(folder) => fs::remove_file(folder.join(format!("{id}{SUFFIX}")))?,
        }
        Ok(())
    }
}

/// Of the latest first, those that are too many or too much. The latest stays in any case.
fn beyond(all: &[Version]) -> &[Version] {
    let mut bytes = 0u64;
    let fit = all.iter().take(MOST_VERSIONS).take_while(|version| {
        bytes = bytes.saturating_add(version.bytes);
        bytes <= MOST_BYTES
    });
    all.get(fit.count().max(1)..).unwrap_or_default()
}

fn in_folder(folder: &Path) -> io::Result<Vec<Version>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let version = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let id = name.to_str()?.strip_suffix(SUFFIX)?;
        let (saved, _) = parts(id)?;
        Some(Version { id: id.to_owned(), saved, bytes: entry.metadata().ok()?.len() })
    };
    Ok(entries.take(MOST_NAMES).filter_map(Result::ok).filter_map(version).collect())
}

/// When it was saved, and the hash; `None` where this is no id, and perhaps the path of some other file.
fn parts(id: &str) -> Option<(Duration, &str)> {
    let (millis, digest) = id.split_once('-')?;
    let is_id = millis.len() == 15 && digest.len() == DIGEST && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let millis = millis.bytes().all(|byte| byte.is_ascii_digit()).then(|| millis.parse().ok())??;
    is_id.then_some((Duration::from_millis(millis), digest))
}

fn lock(kept: &Mutex<Vec<(Version, String)>>) -> MutexGuard<'_, Vec<(Version, String)>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

const SUFFIX: &str = ".toml";
/// Digits of the hash in an id.
const DIGEST: usize = 16;
/// Versions that are kept.
const MOST_VERSIONS: usize = 50;
/// Bytes of them in all.
const MOST_BYTES: u64 = 10 << 20;
/// Names looked at in the folder.
const MOST_NAMES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn versions_are_listed_latest_first_and_read_back() {
        let folder = Folder::new();
        for versions in [Versions::new(Some(&folder.path("state"))), Versions::new(None)] {
            assert_eq!(versions.list().unwrap(), []);
            let first = versions.save("one", at(1_000)).unwrap();
            // The clock went back.
            let second = versions.save("second", at(500)).unwrap();
            assert_eq!(versions.save("second", at(2_000)).unwrap(), second, "the same is not saved again");
            let third = versions.save("one", at(3_000)).unwrap();
            let list = versions.list().unwrap();
            let ids: Vec<&str> = list.iter().map(|version| version.id.as_str()).collect();
            assert_eq!(ids, [&third, &second, &first]);
            assert_eq!((list[0].saved, list[1].bytes), (at(3_000), 6));
            assert_eq!(versions.read(&second).unwrap().as_deref(), Some("second"));
            for wrong in
                ["", "../../etc/passwd", "000000000001000-../../../../aaaaaa", "000000000009000-0123456789abcdef"]
            {
                assert_eq!(versions.read(wrong).unwrap(), None, "{wrong}");
            }
        }
    }

    #[test]
    fn the_oldest_leave_where_they_are_too_many_or_too_much() {
        let folder = Folder::new();
        for versions in [Versions::new(Some(&folder.path("state"))), Versions::new(None)] {
            let mut first = String::new();
            for number in 0..=MOST_VERSIONS {
                let id = versions.save(&number.to_string(), at(1_000)).unwrap();
                first = if number == 0 { id } else { first };
            }
            assert_eq!(versions.list().unwrap().len(), MOST_VERSIONS);
            assert_eq!(versions.read(&first).unwrap(), None);
            let large = "x".repeat(6 << 20);
            versions.save(&large, at(2_000)).unwrap();
            let last = versions.save(&format!("{large}y"), at(3_000)).unwrap();
            let ids: Vec<String> = versions.list().unwrap().into_iter().map(|version| version.id).collect();
            assert_eq!(ids, [last]);
        }
    }

    #[test]
    fn a_version_that_was_changed_is_not_believed() {
        let folder = Folder::new();
        let versions = Versions::new(Some(&folder.path("state")));
        let id = versions.save("one", at(1_000)).unwrap();
        fs::write(folder.path(&format!("state/configurations/{id}.toml")), "two").unwrap();
        assert!(versions.read(&id).is_err());
    }
}
