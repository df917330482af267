//! The access log: workers fill buffers of their own, one thread writes them.
//!
//! A [`LogBuffer`] hands its text over when it is full, or a second after its first line, through a bounded channel,
//! and gets empty buffers back through another. No worker ever waits for the log: with the channel full, or the disk,
//! lines are lost and counted ([`Counter::LogLinesDropped`], [`Counter::LogWritesFailed`]). Rotation is a rename by
//! whoever rotates, then [`AccessLog::reopen`].

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::line::{self, Dates, Format, MAX_LINE};
use super::metrics::{Counter, Metrics};
use super::record::Record;
use crate::error::Error;
use crate::time::Now;

/// The running log: makes buffers for workers, and owns the writer thread.
///
/// Dropping it ends the thread after what is queued; [`AccessLog::shutdown`] also waits for that.
pub struct AccessLog {
    format: Format,
    queue: Sender<Message>,
    empty: Receiver<Vec<u8>>,
    orders: Arc<Orders>,
    /// Nothing is ever sent: it closes when the writer ends.
    ended: Receiver<()>,
    metrics: Arc<Metrics>,
}

/// What passes from workers to the writer.
enum Message {
    /// Whole lines.
    Lines(Vec<u8>),
    /// Look at the orders.
    Wake,
}

/// What the writer is asked to do, besides writing. Flags, because the channel may be full when one is given.
#[derive(Default)]
struct Orders {
    reopen: AtomicBool,
    stop: AtomicBool,
}

/// Where the log goes; called anew on each reopening.
pub(super) type Open = Box<dyn FnMut() -> io::Result<Box<dyn Write + Send>> + Send>;

impl AccessLog {
    /// Opens `path` for appending (mode 0640 if it is new), or standard output for `-`, and starts the writer. Waits for
    /// nobody: a named pipe may be without a reader.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened or the thread not be started.
    pub fn open(format: Format, path: &Path, metrics: Arc<Metrics>) -> Result<AccessLog, Error> {
        AccessLog::start(format, path.display().to_string(), opener(path.to_owned()), QUEUE, metrics)
    }

    /// The same for any destination: `name` for messages, `queue` buffers at most waiting.
    pub(super) fn start(
        format: Format,
        name: String,
        mut open: Open,
        queue: usize,
        metrics: Arc<Metrics>,
    ) -> Result<AccessLog, Error> {
        let sink = open().map_err(|source| Error::Io { what: format!("open the access log {name}"), source })?;
        let (queue, full) = bounded(queue);
        let (recycle, empty) = bounded(EMPTY);
        let (alive, ended) = bounded(0);
        let orders = Arc::new(Orders::default());
        let output = Output { name, sink, open, is_torn: false, is_failing: false, metrics: metrics.clone() };
        let writer = Writer { full, recycle, orders: orders.clone(), output, _alive: alive };
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| Error::Io { what: "start the access log's thread".to_owned(), source })?;
        Ok(AccessLog { format, queue, empty, orders, ended, metrics })
    }

    /// A buffer for one thread that ends exchanges.
    pub fn buffer(&self) -> LogBuffer {
        LogBuffer {
            format: self.format,
            text: Vec::with_capacity(CAPACITY),
            lines: 0,
            due: Duration::MAX,
            dates: Dates::new(),
            queue: self.queue.clone(),
            empty: self.empty.clone(),
            metrics: self.metrics.clone(),
        }
    }

    /// Opens the file anew, for rotation: lines handed over from now on go to the new one. If it cannot be opened the
    /// old one is kept, and the failure counted. Never blocks.
    pub fn reopen(&self) {
        self.orders.reopen.store(true, Ordering::Release);
        self.wake();
    }

    /// Writes what was handed over, and ends the writer; waits at most `limit`. Drop all buffers first, they hand over
    /// their last lines; what comes later is lost and counted. False if the writer is still stuck.
    pub fn shutdown(&self, limit: Duration) -> bool {
        self.orders.stop.store(true, Ordering::Release);
        self.wake();
        self.ended.recv_timeout(limit) == Err(RecvTimeoutError::Disconnected)
    }

    /// A full channel needs no wake: the writer looks at its orders after every message.
    fn wake(&self) {
        let _ = self.queue.try_send(Message::Wake);
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.orders.stop.store(true, Ordering::Release);
        self.wake();
    }
}

/// One thread's lines on their way to the writer. Dropping it hands over what it holds.
pub struct LogBuffer {
    format: Format,
    text: Vec<u8>,
    lines: u64,
    /// Monotonic time of the next flush; `Duration::MAX` while there is no line.
    due: Duration,
    dates: Dates,
    queue: Sender<Message>,
    empty: Receiver<Vec<u8>>,
    metrics: Arc<Metrics>,
}

impl LogBuffer {
    /// Appends the line of one exchange, dated `now.wall`. Allocates nothing, unless buffers must be handed over
    /// faster than the writer gives them back.
    pub fn write(&mut self, now: Now, record: &Record<'_>) {
        if self.lines == 0 {
            self.due = now.monotonic.saturating_add(FLUSH_AFTER);
        }
        line::write_line(&mut self.text, self.format, &mut self.dates, now, record);
        self.lines += 1;
        if self.text.len() > CAPACITY - MAX_LINE {
            self.hand_over();
        }
    }

    /// Hands over what is a second old. To be called once a loop turn.
    pub fn flush_if_due(&mut self, now: Now) {
        if self.due <= now.monotonic {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let message = Message::Lines(std::mem::take(&mut self.text));
        self.due = Duration::MAX;
        self.text = match self.queue.try_send(message) {
            Ok(()) => self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(CAPACITY)),
            Err(TrySendError::Full(lost) | TrySendError::Disconnected(lost)) => {
                self.metrics.add(Counter::LogLinesDropped, self.lines);
                match lost {
                    Message::Lines(text) => emptied(text),
                    Message::Wake => Vec::with_capacity(CAPACITY),
                }
            }
        };
        self.lines = 0;
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> &Vec<u8> {
        &self.text
    }
}

impl Drop for LogBuffer {
    fn drop(&mut self) {
        if self.lines > 0 {
            self.hand_over();
        }
    }
}

/// The writer thread.
struct Writer {
    full: Receiver<Message>,
    recycle: Sender<Vec<u8>>,
    orders: Arc<Orders>,
    output: Output,
    _alive: Sender<()>,
}

impl Writer {
    fn run(mut self) {
        while let Ok(message) = self.full.recv() {
            // Before the lines: whoever asked for a new file before handing these over finds them there.
            if self.orders.reopen.swap(false, Ordering::AcqRel) {
                self.output.reopen();
            }
            if let Message::Lines(text) = message {
                self.output.write(&text);
                let _ = self.recycle.try_send(emptied(text));
            }
            if self.orders.stop.load(Ordering::Acquire) && self.full.is_empty() {
                return;
            }
        }
    }
}

/// The file, and how its failures are survived.
struct Output {
    name: String,
    sink: Box<dyn Write + Send>,
    open: Open,
    /// A failed write has left a part of a line behind.
    is_torn: bool,
    /// The last write failed: one warning a series.
    is_failing: bool,
    metrics: Arc<Metrics>,
}

impl Output {
    fn write(&mut self, text: &[u8]) {
        // The torn line itself was counted when it was torn.
        if self.is_torn
            && let Err(error) = self.write_some(b"\n").1
        {
            self.warn("write to", &error);
            return self.lose(text);
        }
        self.is_torn = false;
        let (rest, result) = self.write_some(text);
        match result {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                self.is_torn = text.len() > rest.len() && !is_line_start(text, rest);
                self.warn("write to", &error);
                self.lose(rest);
            }
        }
    }

    /// Writes all of `text`, or returns what was left of it.
    fn write_some<'t>(&mut self, text: &'t [u8]) -> (&'t [u8], io::Result<()>) {
        let mut rest = text;
        while !rest.is_empty() {
            match self.sink.write(rest) {
                Ok(0) => return (rest, Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (rest, Err(error)),
            }
        }
        (rest, self.sink.flush())
    }

    fn reopen(&mut self) {
        match (self.open)() {
            Ok(sink) => {
                self.sink = sink;
                self.is_torn = false;
            }
            Err(error) => self.warn("reopen", &error),
        }
    }

    fn lose(&self, rest: &[u8]) {
        let lines = rest.iter().filter(|&&byte| byte == b'\n').count();
        self.metrics.add(Counter::LogLinesDropped, u64::try_from(lines).unwrap_or(u64::MAX));
    }

    fn warn(&mut self, what: &str, error: &io::Error) {
        self.metrics.add(Counter::LogWritesFailed, 1);
        if !std::mem::replace(&mut self.is_failing, true) {
            log::warn!("cannot {what} the access log {}: {error}; lines that are lost are counted", self.name);
        }
    }
}

/// `rest` is a tail of `text` and begins a line of it.
fn is_line_start(text: &[u8], rest: &[u8]) -> bool {
    text.strip_suffix(rest).is_some_and(|written| written.ends_with(b"\n"))
}

fn emptied(mut text: Vec<u8>) -> Vec<u8> {
    text.clear();
    text
}

fn opener(path: PathBuf) -> Open {
    Box::new(move || {
        if path.as_os_str() == "-" {
            return Ok(Box::new(io::stdout()));
        }
        // A pipe that is opened for both ends waits for nobody: its reader may come later, or never.
        let is_pipe = fs::metadata(&path).is_ok_and(|found| found.file_type().is_fifo());
        let file = OpenOptions::new().append(true).read(is_pipe).create(true).mode(0o640).open(&path)?;
        Ok(Box::new(file))
    })
}

/// Bytes of one buffer.
const CAPACITY: usize = 64 * 1024;
/// Full buffers that may wait for the writer: 4 MiB.
const QUEUE: usize = 64;
/// Empty buffers kept for the workers.
const EMPTY: usize = 8;
/// A line waits no longer than this for its buffer to fill.
const FLUSH_AFTER: Duration = Duration::from_secs(1);
