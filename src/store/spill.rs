//! Files without a name: memory files for large kept bodies, temporary files for passing ones.
//!
//! Whatever they hold goes away with their last descriptor, so nothing is left behind by a crash. A byte is written
//! once and its place is never used again: a socket may still hold the page. Space comes back by dropping files, and so
//! a passing body goes through a row of files of limited size (punching holes would zero parts of pages that the kernel
//! has yet to send).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{MemfdFlags, Mode, OFlags, fcntl_setfl, fstatvfs, memfd_create, open, unlink};

use super::nameless::Nameless;

/// How a body that is not kept may outrun its readers.
#[derive(Clone, Debug)]
pub struct Spill {
    /// Directory of the temporary files.
    pub dir: PathBuf,
    /// Bytes of one body on disk that some reader has yet to take.
    pub max: u64,
    /// Bytes of one body in memory ahead of its slowest reader.
    pub window: usize,
    /// How long a writer that has filled both waits for its slowest reader to move before it cuts it off.
    pub patience: Duration,
}

/// The temporary files of one passing body; writes only at the end of the last one.
#[derive(Debug)]
pub(super) struct SpillFiles {
    current: Option<(Arc<Nameless>, u64)>,
    file_size: u64,
}

impl SpillFiles {
    /// None yet; each will hold about a 32nd of `max`.
    pub fn new(max: u64) -> SpillFiles {
        SpillFiles { current: None, file_size: (max / FILES).max(SMALLEST_FILE) }
    }

    /// A file that takes nothing, as on a disk without room.
    #[cfg(test)]
    pub fn full() -> SpillFiles {
        let full = File::options().write(true).open("/dev/full").expect("every Linux has it");
        SpillFiles { current: Some((Arc::new(full.into()), 0)), file_size: u64::MAX }
    }

    /// Writes `data` behind what is there and says where it went.
    ///
    /// # Errors
    /// What the system says where no file can be made, or the disk is full.
    pub fn write(&mut self, dir: &Path, data: &[u8]) -> io::Result<(Arc<Nameless>, u64)> {
        let (file, offset) = match &self.current {
            Some((file, end)) if *end < self.file_size => (Arc::clone(file), *end),
            _ => (Arc::new(temporary_file(dir)?), 0),
        };
        let end = offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        leave_room(&file)?;
        self.current = None; // a write that fails half-way leaves bytes that nobody may count on
        file.write_all_at(data, offset)?;
        self.current = Some((Arc::clone(&file), end));
        Ok((file, offset))
    }

    /// Lets go of the file under way; its readers keep it.
    pub fn close(&mut self) {
        self.current = None;
    }
}

/// What the disk under one body said first, and whether that was told.
pub(super) enum Fault {
    None,
    New(io::Error),
    Told,
}

impl Fault {
    /// It said so; only the first time counts.
    pub fn note(&mut self, error: io::Error) {
        if let Fault::None = self {
            *self = Fault::New(error);
        }
    }

    /// The first, once.
    pub fn take(&mut self) -> Option<io::Error> {
        if !matches!(self, Fault::New(_)) {
            return None;
        }
        match std::mem::replace(self, Fault::Told) {
            Fault::New(error) => Some(error),
            Fault::None | Fault::Told => None,
        }
    }
}

/// An anonymous file in memory.
///
/// # Errors
/// What the system says: no descriptor left, or no such call.
pub(super) fn memory_file() -> io::Result<Nameless> {
    Ok(File::from(memfd_create("millpond", MemfdFlags::CLOEXEC)?).into())
}

/// A file in `dir` that has no name: made so, or unlinked at once where the file system cannot.
pub fn temporary_file(dir: &Path) -> io::Result<Nameless> {
    let file = nameless_file(dir)?;
    // Else the file system notes every reading, and whoever reads waits for its journal while the disk is busy.
    let _ = fcntl_setfl(&file, OFlags::NOATIME);
    Ok(file.into())
}

fn nameless_file(dir: &Path) -> io::Result<File> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let access = OFlags::RDWR | OFlags::CLOEXEC;
    if let Ok(file) = open(dir, access | OFlags::TMPFILE, Mode::RUSR | Mode::WUSR) {
        return Ok(File::from(file));
    }
    let name = format!("millpond-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = dir.join(name);
    let file = open(&path, access | OFlags::CREATE | OFlags::EXCL, Mode::RUSR | Mode::WUSR)?;
    unlink(&path)?;
    Ok(File::from(file))
}

/// To be asked before a temporary file grows: the last of a drive is for others, who have no way to do without it.
///
/// # Errors
/// Less than 256 MiB is left of the drive that the file is on, and less than a sixteenth of it; or what the system says.
pub fn leave_room(file: &File) -> io::Result<()> {
    let drive = fstatvfs(file)?;
    let bytes = |blocks: u64| blocks.saturating_mul(drive.f_frsize);
    if has_room(bytes(drive.f_bavail), bytes(drive.f_blocks)) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::StorageFull, "the drive is nearly full, and what is left is for others"))
}

/// Some file systems do not say how large they are.
fn has_room(left: u64, all: u64) -> bool {
    all == 0 || left >= (all / 16).min(LEFT_FOR_OTHERS)
}

const LEFT_FOR_OTHERS: u64 = 256 << 20;
const FILES: u64 = 32;
const SMALLEST_FILE: u64 = 4096;

#[cfg(test)]
mod tests {
    use rustix::fs::fcntl_getfl;

    use super::*;

    #[test]
    fn files_have_no_name_and_rotate() {
        let dir = std::env::temp_dir().join(format!("millpond-spill-test-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut files = SpillFiles::new(0);
        let (first, at) = files.write(&dir, &[1; 4000]).unwrap();
        assert_eq!(at, 0);
        let (second, at) = files.write(&dir, &[2; 4000]).unwrap();
        assert_eq!(at, 4000);
        assert!(Arc::ptr_eq(&first, &second), "the first file was not full");
        let (third, at) = files.write(&dir, &[3; 4000]).unwrap();
        assert_eq!(at, 0);
        assert!(!Arc::ptr_eq(&first, &third), "the first file was full");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        std::fs::remove_dir(&dir).unwrap();
        files.close();
        assert!(files.write(&dir, b"x").is_err());
    }

    #[test]
    fn the_last_of_a_drive_is_left_to_others() {
        const MIB: u64 = 1 << 20;
        let rows = [
            (300 * MIB, 1000 * 1024 * MIB, true),
            (255 * MIB, 1000 * 1024 * MIB, false),
            (2 * MIB, 20 * MIB, true),
            (MIB, 20 * MIB, false),
            (0, 20 * MIB, false),
            (0, 0, true),
        ];
        for (left, all, expected) in rows {
            assert_eq!(has_room(left, all), expected, "{left} of {all}");
        }
    }

    #[test]
    fn to_read_a_temporary_file_writes_nothing_to_the_disk() {
        let file = temporary_file(&std::env::temp_dir()).unwrap();
        assert!(fcntl_getfl(&*file).unwrap().contains(OFlags::NOATIME));
    }
}
