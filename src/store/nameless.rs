//! A file without a name, in memory or on a drive: it goes away with its last descriptor.
//!
//! To close a large one takes as long as the system takes to give its room back: half a millisecond for each MiB, and
//! longer where the drive is busy. Whoever drops the last of it has clients to serve, so a thread does that.

use std::fs::File;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// The file; many may hold it.
#[derive(Debug)]
pub struct Nameless(File);

impl From<File> for Nameless {
    fn from(file: File) -> Nameless {
        Nameless(file)
    }
}

impl Deref for Nameless {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for Nameless {
    fn drop(&mut self) {
        let is_large = self.0.metadata().is_ok_and(|file| file.len() >= LARGE);
        // Where another descriptor outlives this one, closing this one is nothing.
        if let Some(last) = is_large.then(|| self.0.try_clone().ok()).flatten() {
            close_elsewhere(last);
        }
    }
}

/// Files that wait to be closed.
struct Closing {
    files: Vec<File>,
    /// There is a thread that closes them.
    is_at_work: bool,
}

impl Closing {
    /// Has the file wait; it comes back where too many do.
    fn take(&mut self, file: File) -> Option<File> {
        if self.files.len() >= MOST_WAITING {
            return Some(file);
        }
        self.files.push(file);
        None
    }
}

static CLOSING: Mutex<Closing> = Mutex::new(Closing { files: Vec::new(), is_at_work: false });

fn closing() -> MutexGuard<'static, Closing> {
    CLOSING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the thread close it, which comes for the first and ends with the last. Where many wait already, whoever drops one more
/// waits for it: what is held open beyond need has a limit.
fn close_elsewhere(file: File) {
    let mut waiting = closing();
    let file = waiting.take(file);
    let is_at_work = std::mem::replace(&mut waiting.is_at_work, true);
    drop(waiting);
    drop(file);
    if !is_at_work && thread::Builder::new().name("closer".into()).stack_size(STACK).spawn(close_all).is_err() {
        close_all();
    }
}

fn close_all() {
    loop {
        let mut waiting = closing();
        let files = std::mem::take(&mut waiting.files);
        if files.is_empty() {
            waiting.is_at_work = false;
            return;
        }
        drop(waiting);
        drop(files);
    }
}

const LARGE: u64 = 1 << 20;
/// Descriptors that are open beyond need, at most.
const MOST_WAITING: usize = 64;
const STACK: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::time::{Duration, Instant};

    use super::super::spill::memory_file;
    use super::*;

    /// Descriptors of this process for that file.
    fn descriptors(inode: u64) -> usize {
        let entries = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let is_same = |path| std::fs::metadata(path).is_ok_and(|file: std::fs::Metadata| file.ino() == inode);
        entries.filter(|entry| is_same(entry.path())).count()
    }

    #[test]
    fn no_more_than_a_limit_wait_to_be_closed() {
        let mut waiting = Closing { files: Vec::new(), is_at_work: true };
        let mut taken = (0..MOST_WAITING + 2).map(|_| waiting.take(File::open("/dev/null").unwrap()).is_none());
        assert!(taken.by_ref().take(MOST_WAITING).all(|is_taken| is_taken));
        assert!(taken.all(|is_taken| !is_taken));
    }

    #[test]
    fn large_files_are_closed_by_a_thread_and_none_is_left_open() {
        for round in 0..50 {
            let files: Vec<Nameless> = (0..3).map(|_| memory_file().unwrap()).collect();
            files.iter().for_each(|file| file.set_len(LARGE - u64::from(round % 2 == 0)).unwrap());
            let inodes: Vec<u64> = files.iter().map(|file| file.metadata().unwrap().ino()).collect();
            drop(files);
            let end = Instant::now() + Duration::from_secs(10);
            while inodes.iter().any(|inode| descriptors(*inode) > 0) {
                assert!(Instant::now() < end, "round {round}");
                thread::yield_now();
            }
        }
        assert!(closing().files.is_empty());
    }
}
