//! State files that grow: what is known at first is written whole, what comes later is added line by line.
//!
//! Every line ends in its checksum. An end that was not written to its end (the machine stopped) is left out when the file
//! is read, and overwritten; a line that is wrong with good ones behind it is damage.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use super::{StateDir, StateKind, Unread, checksum, first_line};

/// A file that lines are added to. It is open only while they are.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// What of the file is good.
    length: u64,
    /// Its length when it was written whole, or read.
    whole: u64,
}

impl StateDir {
    /// A folder within.
    pub fn folder(&self, name: &str) -> StateDir {
        StateDir { path: self.path.join(name) }
    }

    /// The names of the files here that are as plain as those of journals: digits.
    pub fn numbers(&self) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.take(super::MOST_NAMES).filter_map(Result::ok).map(|entry| entry.file_name());
        let mut numbers: Vec<u64> = names.filter_map(|name| name.to_str()?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Begins a journal under a number, with these lines, whole or not at all.
    ///
    /// # Errors
    /// What the system says; also where the content is larger than its kind allows.
    pub fn begin_journal<'l>(
        &self,
        kind: &StateKind,
        number: u64,
        lines: impl Iterator<Item = &'l str>,
    ) -> io::Result<Journal> {
        let mut text = Vec::new();
        seal(&mut text, first_line(kind).trim_end());
        lines.for_each(|line| seal(&mut text, line));
        if text.len() > kind.max {
            return Err(io::Error::other("the content is larger than its kind allows"));
        }
        let path = self.path.join(number.to_string());
        self.put(&path, &text)?;
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        Ok(Journal { path, length, whole: length })
    }

    /// The journal of that number, and its lines without their checksums.
    ///
    /// # Errors
    /// [`Unread`] where the system refuses, or it is damaged.
    pub fn read_journal(&self, kind: &StateKind, number: u64) -> Result<(Journal, String), Unread> {
        let path = self.path.join(number.to_string());
        if !fs::symlink_metadata(&path)?.is_file() {
            return Err(Unread::Damaged("it is not a plain file"));
        }
        let mut bytes = Vec::new();
        let most = u64::try_from(kind.max).unwrap_or(u64::MAX);
        File::open(&path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() > kind.max {
            return Err(Unread::Damaged("it is larger than any that we write"));
        }
        let (text, length) = opened(&bytes, kind).map_err(Unread::Damaged)?;
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        Ok((Journal { path, length, whole: length }, text))
    }

    /// Moves a damaged journal out of the way; its new place comes back.
    pub fn set_journal_aside(&self, number: u64, unix: i64) -> io::Result<PathBuf> {
        self.set_name_aside(&number.to_string(), unix)
    }
}

impl Journal {
    /// Adds lines, and has them on the disk before this comes back where `is_safe`.
    ///
    /// # Errors
    /// What the system says; the file is as it was then, as far as that is in our hands.
    pub fn add<'l>(&mut self, lines: impl Iterator<Item = &'l str>, is_safe: bool) -> io::Result<()> {
        let mut text = Vec::new();
        lines.for_each(|line| seal(&mut text, line));
        let mut file = OpenOptions::new().write(true).open(&self.path)?;
        // Takes away what an earlier try has left behind the good lines.
        file.set_len(self.length)?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(self.length))?;
        file.write_all(&text)?;
        if is_safe {
            file.sync_data()?;
        }
        self.length = self.length.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// So much was added that it is time to begin it anew with what is true now: half as much again as there was, and more
    /// than a mebibyte.
    pub fn is_overgrown(&self) -> bool {
        self.length.saturating_sub(self.whole) > (self.whole / 2).max(1 << 20)
    }

    /// Removes the file.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_file(self.path)
    }
}

/// One line with its checksum. What would be a second one ends it.
fn seal(text: &mut Vec<u8>, line: &str) {
    let line = line.split('\n').next().unwrap_or_default();
    text.extend_from_slice(line.as_bytes());
    text.extend_from_slice(format!("\t{:016x}\n", checksum(line.as_bytes())).as_bytes());
}

/// The lines of a journal without their checksums, and how many bytes of the file they take.
fn opened(bytes: &[u8], kind: &StateKind) -> Result<(String, usize), &'static str> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().and_then(unsealed).ok_or("it does not begin as a journal")?;
    if first != first_line(kind).trim_end() {
        return Err("it is of another kind or version");
    }
    let (mut text, mut length) = (String::with_capacity(bytes.len()), first.len().saturating_add(SEAL));
    while let Some(line) = lines.next() {
        let Some(content) = unsealed(line) else {
            return if lines.any(|line| unsealed(line).is_some()) {
                Err("a line is wrong")
            } else {
                Ok((text, length))
            };
        };
        text.push_str(content);
        text.push('\n');
        length = length.saturating_add(line.len());
    }
    Ok((text, length))
}

/// A line without its checksum, where that fits.
fn unsealed(line: &[u8]) -> Option<&str> {
    let (content, seal) = line.split_at_checked(line.len().checked_sub(SEAL)?)?;
    (seal == format!("\t{:016x}\n", checksum(content)).as_bytes()).then(|| std::str::from_utf8(content).ok())?
}

/// A tab, 16 digits, a line feed.
const SEAL: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: StateKind = StateKind { name: "list", version: 1, max: 10_000 };

    fn dir() -> StateDir {
        static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("millpond-journal-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        StateDir::new(&path)
    }

    #[test]
    fn lines_come_back_in_order_and_more_can_be_added() {
        let dir = dir();
        let mut journal = dir.begin_journal(&KIND, 7, ["one", "two\nthree"].into_iter()).unwrap();
        journal.add(["four"].into_iter(), true).unwrap();
        let (mut again, text) = dir.read_journal(&KIND, 7).unwrap();
        assert_eq!(text, "one\ntwo\nfour\n");
        again.add([""].into_iter(), false).unwrap();
        assert_eq!(dir.read_journal(&KIND, 7).unwrap().1, "one\ntwo\nfour\n\n");
        assert_eq!(dir.numbers().unwrap(), [7]);
        again.remove().unwrap();
        assert!(dir.numbers().unwrap().is_empty());
        fs::remove_dir_all(dir.path_of(&KIND).parent().unwrap()).unwrap();
    }

    #[test]
    fn a_journal_that_grew_by_more_than_half_is_to_begin_anew() {
        let dir = dir();
        let kind = StateKind { max: 8 << 20, ..KIND };
        let line = "x".repeat(1 << 20);
        let mut journal = dir.begin_journal(&kind, 7, [line.as_str(); 4].into_iter()).unwrap();
        journal.add([line.as_str(); 2].into_iter(), false).unwrap();
        assert!(!journal.is_overgrown());
        journal.add(["more"].into_iter(), false).unwrap();
        assert!(journal.is_overgrown());
        let journal = dir.begin_journal(&kind, 7, ["all"].into_iter()).unwrap();
        assert!(!journal.is_overgrown());
        assert_eq!(dir.read_journal(&kind, 7).unwrap().1, "all\n");
        fs::remove_dir_all(dir.path_of(&KIND).parent().unwrap()).unwrap();
    }

    #[test]
    fn an_end_that_is_cut_is_left_out_and_damage_before_good_lines_is_seen() {
        let dir = dir();
        dir.begin_journal(&KIND, 1, ["one", "two"].into_iter()).unwrap();
        let path = dir.path_of(&KIND).with_file_name("1");
        let whole = fs::read(&path).unwrap();
        let two = whole.len() - "two".len() - SEAL;
        for cut in 1..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let text = dir.read_journal(&KIND, 1).map(|(_, text)| text).ok();
            let expected = match cut {
                _ if cut >= two => Some("one\n"),
                _ if cut >= two - "one".len() - SEAL => Some(""),
                _ => None,
            };
            assert_eq!(text.as_deref(), expected, "{cut}");
        }
        fs::write(&path, [&whole[..two], &[0; 300]].concat()).unwrap();
        let (mut journal, text) = dir.read_journal(&KIND, 1).unwrap();
        assert_eq!(text, "one\n", "a machine that stopped leaves zeros");
        journal.add(["three"].into_iter(), false).unwrap();
        assert_eq!(dir.read_journal(&KIND, 1).unwrap().1, "one\nthree\n");
        let mut changed = whole.clone();
        changed[two - 4] ^= 1;
        fs::write(&path, &changed).unwrap();
        assert!(matches!(dir.read_journal(&KIND, 1), Err(Unread::Damaged(_))));
        let place = dir.set_journal_aside(1, 9).unwrap();
        assert_eq!(fs::read(place).unwrap(), changed);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
