//! An answer that is written line by line while the work goes on.

use std::path::PathBuf;
use std::time::Duration;

use super::reply::Reply;
use crate::store::{Body, Plan, Reader, Spill, Writer};

/// The writing end. Dropped unfinished, it breaks the answer off.
pub struct Lines(Writer);

impl Lines {
    /// Lines, and the answer that shows them as they come. What a slow client has not taken may go to a file in `dir`.
    pub fn open(dir: PathBuf) -> (Lines, Reply) {
        let spill = Spill { dir, max: MOST, window: WINDOW, patience: PATIENCE };
        let (writer, body) = Body::open(Plan { kept: false, held: false, length: None, spill }, None);
        let reply = Reply::stream("application/x-ndjson", Reader::new(&body));
        (Lines(writer), reply)
    }

    /// Adds a line; false where nobody reads any more.
    pub fn push(&mut self, line: &str) -> bool {
        self.0.push(format!("{line}\n").as_bytes()).is_ok()
    }

    /// That was all.
    pub fn finish(self) {
        self.0.finish();
    }
}

const WINDOW: usize = 256 << 10;
const MOST: u64 = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(10);
