//! State files that grow: what is known at first is written whole, what comes later is added line by line.
//!
//! Every line ends in its checksum. An end that was not written to its end (the machine stopped) is left out when the file
//! is read, and overwritten; a line that is wrong with good ones behind it is damage.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use super::{StateDir, StateKind, Unread, checksum, first_line};

/// A file that lines are added to. It is open only while they are.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// What of the file is good.
    length: u64,
    /// What it was when it was begun; 0 where another run did that.
    begun: u64,
    /// Bytes that it may have: more would not be read again.
    most: u64,
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

    /// Removes what a killed process had not put in its place yet. Only while nobody writes.
    pub fn remove_unfinished(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        let paths = entries.take(super::MOST_NAMES).filter_map(Result::ok).map(|entry| entry.path());
        for path in paths.filter(|path| path.extension().is_some_and(|end| end == "new")) {
            // It only takes room.
            let _ = fs::remove_file(path);
        }
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
        Ok(Journal { path, length, begun: length, most: most(kind) })
    }

    /// The journal of that number; `each` is shown its lines one by one, without their checksums, before it is known whether
    /// the file is good to its end.
    ///
    /// # Errors
    /// [`Unread`] where the system refuses, or it is damaged.
    pub fn read_journal(&self, kind: &StateKind, number: u64, each: impl FnMut(&str)) -> Result<Journal, Unread> {
        let path = self.path.join(number.to_string());
        let found = fs::symlink_metadata(&path)?;
        if !found.is_file() {
            return Err(Unread::Damaged("it is not a plain file"));
        }
        if found.len() > most(kind) {
            return Err(Unread::Damaged("it is larger than any that we write"));
        }
        let length = read_lines(File::open(&path)?.take(most(kind)), kind, each)?;
        Ok(Journal { path, length, begun: 0, most: most(kind) })
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
        let length = self.length.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
        if length > self.most {
            return Err(io::Error::other("it would be larger than its kind allows"));
        }
        let mut file = OpenOptions::new().write(true).open(&self.path)?;
        // Takes away what an earlier try has left behind the good lines.
        file.set_len(self.length)?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(self.length))?;
        file.write_all(&text)?;
        if is_safe {
            file.sync_data()?;
        }
        self.length = length;
        Ok(())
    }

    /// So much was added that it is worth while to begin it anew.
    pub fn is_long(&self) -> bool {
        self.length > LONG.max(self.begun.saturating_mul(2))
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

fn most(kind: &StateKind) -> u64 {
    u64::try_from(kind.max).unwrap_or(u64::MAX)
}

/// Shows the lines of a journal without their checksums; how many bytes of it are good.
fn read_lines(source: impl Read, kind: &StateKind, mut each: impl FnMut(&str)) -> Result<u64, Unread> {
    let (mut source, mut line) = (BufReader::new(source), Vec::new());
    let (mut length, mut is_cut) = (0_u64, false);
    loop {
        line.clear();
        let read = (&mut source).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        match unsealed(&line) {
            None if length == 0 => return Err(Unread::Damaged("it does not begin as a journal")),
            None => {
                is_cut = true;
                continue;
            }
            Some(_) if is_cut => return Err(Unread::Damaged("a line is wrong")),
            Some(first) if length == 0 => {
                if first != first_line(kind).trim_end() {
                    return Err(Unread::Damaged("it is of another kind or version"));
                }
            }
            Some(content) => each(content),
        }
        length = length.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
    if length == 0 { Err(Unread::Damaged("it does not begin as a journal")) } else { Ok(length) }
}

/// A line without its checksum, where that fits.
fn unsealed(line: &[u8]) -> Option<&str> {
    let (content, seal) = line.split_at_checked(line.len().checked_sub(SEAL)?)?;
    (seal == format!("\t{:016x}\n", checksum(content)).as_bytes()).then(|| std::str::from_utf8(content).ok())?
}

/// A tab, 16 digits, a line feed.
const SEAL: usize = 18;
/// No line of ours is longer.
const LONGEST_LINE: u64 = 256 << 10;
/// A journal that is shorter is good as it is.
const LONG: u64 = 16 << 20;

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

    fn read(dir: &StateDir, number: u64) -> Result<(Journal, String), Unread> {
        let mut text = String::new();
        let journal = dir.read_journal(&KIND, number, |line| text = format!("{text}{line}\n"))?;
        Ok((journal, text))
    }

    #[test]
    fn what_would_not_be_read_again_is_not_written() {
        let dir = dir();
        let mut journal = dir.begin_journal(&KIND, 1, ["one"].into_iter()).unwrap();
        let long = "x".repeat(9_000);
        journal.add([long.as_str()].into_iter(), false).unwrap();
        assert!(journal.add([long.as_str()].into_iter(), false).is_err());
        journal.add(["two"].into_iter(), false).unwrap();
        assert_eq!(read(&dir, 1).unwrap().1, format!("one\n{long}\ntwo\n"));
        assert!(!journal.is_long());
        journal.remove().unwrap();
        fs::remove_dir_all(dir.path_of(&KIND).parent().unwrap()).unwrap();
    }

    #[test]
    fn lines_come_back_in_order_and_more_can_be_added() {
        let dir = dir();
        let mut journal = dir.begin_journal(&KIND, 7, ["one", "two\nthree"].into_iter()).unwrap();
        journal.add(["four"].into_iter(), true).unwrap();
        let (mut again, text) = read(&dir, 7).unwrap();
        assert_eq!(text, "one\ntwo\nfour\n");
        again.add([""].into_iter(), false).unwrap();
        assert_eq!(read(&dir, 7).unwrap().1, "one\ntwo\nfour\n\n");
        assert_eq!(dir.numbers().unwrap(), [7]);
        let unfinished = dir.path_of(&KIND).with_file_name("8.new");
        fs::write(&unfinished, "half of").unwrap();
        dir.remove_unfinished();
        assert!(!unfinished.exists() && read(&dir, 7).is_ok());
        again.remove().unwrap();
        assert!(dir.numbers().unwrap().is_empty());
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
            let text = read(&dir, 1).map(|(_, text)| text).ok();
            let expected = match cut {
                _ if cut >= two => Some("one\n"),
                _ if cut >= two - "one".len() - SEAL => Some(""),
                _ => None,
            };
            assert_eq!(text.as_deref(), expected, "{cut}");
        }
        fs::write(&path, [&whole[..two], &[0; 300]].concat()).unwrap();
        let (mut journal, text) = read(&dir, 1).unwrap();
        assert_eq!(text, "one\n", "a machine that stopped leaves zeros");
        journal.add(["three"].into_iter(), false).unwrap();
        assert_eq!(read(&dir, 1).unwrap().1, "one\nthree\n");
        let mut changed = whole.clone();
        changed[two - 4] ^= 1;
        fs::write(&path, &changed).unwrap();
        assert!(matches!(read(&dir, 1), Err(Unread::Damaged(_))));
        let place = dir.set_journal_aside(1, 9).unwrap();
        assert_eq!(fs::read(place).unwrap(), changed);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
