//! What the library logs, from all tests of a file: each looks for lines with words that no other test has.

use std::sync::Mutex;

use super::wait_until;

/// The sink of `log` in this process.
pub struct Log;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Log {
    /// The sink, in its place from now on.
    pub fn take() -> Log {
        // Another test may have set it already.
        _ = log::set_logger(&Log);
        log::set_max_level(log::LevelFilter::Info);
        Log
    }

    /// How many lines have all these words.
    pub fn count(&self, words: &[&str]) -> usize {
        LINES.lock().unwrap().iter().filter(|line| has_all(line, words)).count()
    }

    /// Waits for a line that has all these words.
    #[track_caller]
    pub fn line_with(&self, words: &[&str]) -> String {
        wait_until(|| self.count(words) > 0);
        LINES.lock().unwrap().iter().find(|line| has_all(line, words)).unwrap().clone()
    }
}

fn has_all(line: &str, words: &[&str]) -> bool {
    words.iter().all(|word| line.contains(word))
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LINES.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}
