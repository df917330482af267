//! Small files that outlive the process: written whole or not at all, and not believed unread.
//!
//! A state file is text: a first line with its kind and version, the content, and a last line with a checksum over all
//! before it. It is written beside its place, flushed to the disk and moved there, so that whoever reads sees the old
//! one or the new one. What cannot be read is *set aside* under a name with the time, never lost and never fatal. Knows
//! nothing of what stands in a file, and reads no clock.

mod journal;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub use journal::Journal;

/// A folder of state files, for this process's eyes alone.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

/// One kind of state file.
#[derive(Clone, Copy, Debug)]
pub struct StateKind {
    /// The file's name, a plain word.
    pub name: &'static str,
    /// The version of its content; another one is not read.
    pub version: u32,
    /// Most bytes of content, read or written.
    pub max: usize,
}

/// Why a file could not be read.
#[derive(Debug)]
pub enum Unread {
    /// The system refused.
    Io(io::Error),
    /// It is not what we wrote; the words say in what.
    Damaged(&'static str),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Unread {
        Unread::Io(error)
    }
}

impl StateDir {
    /// A folder, which need not exist yet.
    pub fn new(path: &Path) -> StateDir {
        StateDir { path: path.to_owned() }
    }

    /// Where the file of that kind is.
    pub fn path_of(&self, kind: &StateKind) -> PathBuf {
        self.path.join(kind.name)
    }

    /// The content of a file; `None` where there is none.
    pub fn read(&self, kind: &StateKind) -> Result<Option<Vec<u8>>, Unread> {
        let path = self.path_of(kind);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
            // Opening a pipe would wait for somebody at its other end.
            Ok(found) if !found.is_file() => return Err(Unread::Damaged("it is not a plain file")),
            Ok(_) => {}
        }
        let most = kind.max.saturating_add(FRAME);
        let mut bytes = Vec::new();
        File::open(&path)?.take(u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() > most {
            return Err(Unread::Damaged("it is larger than any that we write"));
        }
        let range = content(&bytes, kind).map_err(Unread::Damaged)?;
        bytes.truncate(range.end);
        bytes.drain(..range.start);
        Ok(Some(bytes))
    }

    /// Puts the content in place of what was there, whole or not at all. The folder is made where it is missing.
    ///
    /// # Errors
    /// What the system says; also where the content is larger than its kind allows. The file is as it was.
    pub fn write(&self, kind: &StateKind, content: &[u8]) -> io::Result<()> {
        if content.len() > kind.max {
            return Err(io::Error::other("the content is larger than its kind allows"));
        }
        self.put(&self.path_of(kind), &framed(kind, content))
    }

    /// Takes away what others may do with a file; true where they could do anything.
    ///
    /// # Errors
    /// What the system says.
    pub fn close_to_others(&self, kind: &StateKind) -> io::Result<bool> {
        let file = File::open(self.path_of(kind))?;
        let mut permissions = file.metadata()?.permissions();
        let was_open = permissions.mode() & 0o077 != 0;
        if was_open {
            permissions.set_mode(0o600);
            file.set_permissions(permissions)?;
        }
        Ok(was_open)
    }

    /// Puts a file in its place, whole or not at all. The folder is made where it is missing.
    fn put(&self, place: &Path, text: &[u8]) -> io::Result<()> {
        if !self.path.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        }
        let beside = place.with_extension("new");
        // One that a killed process left; a new file, because what lies there may be a link to elsewhere.
        let _ = fs::remove_file(&beside);
        let put = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(text)?;
            file.sync_all()?;
            fs::rename(&beside, place)
        };
        put().inspect_err(|_| {
            // No use to anyone, and it takes room on a disk that may be full.
            let _ = fs::remove_file(&beside);
        })?;
        // It is in its place, and every reader sees it there. That it is there too after a machine has stopped is asked for,
        // and not every file system grants it.
        let _ = File::open(&self.path).and_then(|folder| folder.sync_all());
        Ok(())
    }

    /// Moves a damaged file out of the way, to a name with the time `unix` in it, which comes back. Only the latest few
    /// are kept.
    pub fn set_aside(&self, kind: &StateKind, unix: i64) -> io::Result<PathBuf> {
        self.set_name_aside(kind.name, unix)
    }

    fn set_name_aside(&self, name: &str, unix: i64) -> io::Result<PathBuf> {
        let prefix = format!("{name}.damaged-");
        let place = self.path.join(format!("{prefix}{:012}", unix.max(0)));
        fs::rename(self.path.join(name), &place)?;
        let names = fs::read_dir(&self.path)?.take(MOST_NAMES).filter_map(Result::ok).map(|entry| entry.file_name());
        let mut aside: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with(&prefix)).collect();
        aside.sort();
        for name in aside.iter().rev().skip(KEPT_ASIDE) {
            fs::remove_file(self.path.join(name))?;
        }
        Ok(place)
    }
}

fn framed(kind: &StateKind, content: &[u8]) -> Vec<u8> {
    let mut text = first_line(kind).into_bytes();
    text.extend_from_slice(content);
    let sum = checksum(&text);
    text.extend_from_slice(format!("{END}{sum:016x}\n").as_bytes());
    text
}

fn first_line(kind: &StateKind) -> String {
    format!("millpond {} {}\n", kind.name, kind.version)
}

/// Where the content stands in a file.
fn content(bytes: &[u8], kind: &StateKind) -> Result<std::ops::Range<usize>, &'static str> {
    let first = first_line(kind);
    if !bytes.starts_with(first.as_bytes()) {
        let (word, _) = first.rsplit_once(' ').unwrap_or_default();
        return Err(match bytes.starts_with(word.as_bytes()) {
            true => "it is of another version",
            false => "it does not begin as a state file of its kind",
        });
    }
    let end = bytes.len().checked_sub(LAST_LINE).filter(|end| *end >= first.len()).ok_or("it is cut short")?;
    let (before, last) = bytes.split_at_checked(end).ok_or("it is cut short")?;
    if !last.starts_with(END.as_bytes()) {
        return Err("it is cut short");
    }
    if last != format!("{END}{:016x}\n", checksum(before)).as_bytes() {
        return Err("its checksum does not fit");
    }
    Ok(first.len()..end)
}

/// FNV-1a, 64 bits: finds accidents, not forgers, from whom the folder's permissions guard.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

const END: &str = "end ";
/// `end `, 16 digits, a line feed.
const LAST_LINE: usize = 21;
/// First and last line are shorter together.
const FRAME: usize = 128;
/// Damaged files that stay for whoever wants to look.
const KEPT_ASIDE: usize = 3;
/// Names looked at in the folder.
const MOST_NAMES: usize = 10_000;

#[cfg(test)]
mod tests;
