//! A request body arrives: decoded, counted, kept in memory up to a limit and beyond it in an unlinked file.
//!
//! The body is read whole before the fetch begins, so a slow client never holds a fetcher or the origin, and the body can
//! be sent again on a retry. Workers never write to a disk: one helper thread does, and its queue is bounded.

use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::session::{Connection, Next, Reply, Stage, follow, refuse, restore};
use super::socket::Fill;
use super::worker::Turn;
use super::{Call, Event, Handler, Measure, Refusal, Slow};
use crate::error::Error;
use crate::http1::{BodyLength, BodyReader};
use crate::store::{Chunk, Nameless, leave_room, temporary_file};
use crate::wake::Wake;

/// A request body, whole.
#[derive(Clone)]
pub struct Uploaded {
    chunks: Arc<Vec<Chunk>>,
    length: u64,
}

impl Uploaded {
    /// Bytes in all.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads it from the start; may be called again for a retry.
    pub fn reader(&self) -> UploadReader {
        UploadReader { chunks: self.chunks.clone(), index: 0, offset: 0 }
    }
}

/// Reads an [`Uploaded`] body.
pub struct UploadReader {
    chunks: Arc<Vec<Chunk>>,
    index: usize,
    offset: u64,
}

impl Read for UploadReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(chunk) = self.chunks.get(self.index) {
            let left = chunk.len().saturating_sub(self.offset);
            let most = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let target = out.get_mut(..most).unwrap_or_default();
            let n = match chunk {
                Chunk::File { file, offset, .. } => file.read_at(target, offset + self.offset)?,
                Chunk::Bytes { .. } => {
                    let from = usize::try_from(self.offset).unwrap_or(usize::MAX);
                    chunk.bytes().and_then(|bytes| bytes.get(from..)).unwrap_or_default().read(target)?
                }
            };
            if n > 0 || most == 0 && left > 0 {
                self.offset += n as u64;
                return Ok(n);
            }
            if left > 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            self.index += 1;
            self.offset = 0;
        }
        Ok(0)
    }
}

/// Reading a request body.
pub struct Upload<H: Handler> {
    exchange: H::Exchange,
    reply: Reply,
    decoder: BodyReader,
    limit: u64,
    received: u64,
    memory: Vec<u8>,
    chunks: Vec<Chunk>,
    file: Option<Arc<Nameless>>,
    written: u64,
    spilling: Option<Arc<Slot>>,
    window_start: Duration,
    window_bytes: u64,
}

/// Where the helper thread leaves its answer.
type Slot = Mutex<Option<io::Result<Arc<Nameless>>>>;

impl<H: Handler> Upload<H> {
    /// Begins to read a body of `length`; refuses at once what says itself to be too large.
    pub fn begin(
        exchange: H::Exchange,
        reply: Reply,
        (length, expects_continue): (BodyLength, bool),
        limit: u64,
        connection: &mut Connection,
        turn: &mut Turn<H>,
    ) -> Stage<H> {
        let now = turn.now.monotonic;
        let upload = Upload {
            exchange,
            reply,
            decoder: BodyReader::new(length),
            limit,
            received: 0,
            memory: Vec::new(),
            chunks: Vec::new(),
            file: None,
            written: 0,
            spilling: None,
            window_start: now,
            window_bytes: 0,
        };
        if matches!(length, BodyLength::Exact(n) if n > limit) {
            return upload.refused(TOO_LARGE, connection, turn);
        }
        if expects_continue && connection.input.is_empty() {
            // A client that does not get it sends its body after a while all the same (RFC 9110 §10.1.1).
            let _ = connection.socket.write(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        connection.deadline = now + RATE_WINDOW;
        Stage::Upload(Box::new(upload))
    }

    /// The exchange, for a client that left.
    pub fn into_exchange(self) -> H::Exchange {
        self.exchange
    }

    /// Reads on; the whole body goes to the handler.
    pub fn step(mut self: Box<Self>, connection: &mut Connection, turn: &mut Turn<H>) -> Next<H> {
        match self.has_spilled() {
            Ok(true) => {}
            Ok(false) => return Next::Park(Stage::Upload(self)),
            Err(fault) => return Next::Go(self.not_kept(fault, connection, turn)),
        }
        let mut start = 0;
        let mut filled = restore(connection, &mut turn.input);
        loop {
            match self.decode(turn.input.get(start..filled).unwrap_or_default()) {
                Ok((used, is_done)) => {
                    start += used;
                    if is_done {
                        connection.input.extend_from_slice(turn.input.get(start..filled).unwrap_or_default());
                        return self.complete(connection, turn);
                    }
                }
                Err(refusal) => return Next::Go(self.refused(refusal, connection, turn)),
            }
            if self.memory.len() >= turn.limits.body_in_memory.max(1) {
                connection.input.extend_from_slice(turn.input.get(start..filled).unwrap_or_default());
                return self.spill(connection, turn);
            }
            turn.input.copy_within(start..filled, 0);
            filled -= start;
            start = 0;
            let buffer = turn.input.get_mut(filled..).unwrap_or_default();
            let most = buffer.len().min(connection.budget.max(1));
            match connection.fill(buffer.get_mut(..most).unwrap_or_default()) {
                Ok(Fill::Bytes(n, _)) => {
                    filled += n;
                    self.window_bytes += n as u64;
                    connection.budget = connection.budget.saturating_sub(n);
                    if connection.budget == 0 {
                        connection.is_readable = true;
                        connection.input.extend_from_slice(turn.input.get(..filled).unwrap_or_default());
                        return Next::Yield(Stage::Upload(self));
                    }
                }
                Ok(Fill::WouldBlock) if !connection.is_gone => {
                    connection.input.extend_from_slice(turn.input.get(..filled).unwrap_or_default());
                    connection.deadline = self.window_start + RATE_WINDOW;
                    return Next::Park(Stage::Upload(self));
                }
                Ok(_) | Err(_) => {
                    turn.handler.abandoned(&mut turn.local, turn.now, self.exchange);
                    return Next::Close;
                }
            }
        }
    }

    /// Decodes what is there; tells how much was used and whether the body is whole.
    fn decode(&mut self, bytes: &[u8]) -> Result<(usize, bool), Refusal> {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let piece = self.decoder.read(rest).map_err(|_| BAD_BODY)?;
            let data = rest.get(piece.data).unwrap_or_default();
            self.received = self.received.saturating_add(data.len() as u64);
            if self.received.saturating_add(self.decoder.promised()) > self.limit {
                return Err(TOO_LARGE);
            }
            self.memory.extend_from_slice(data);
            used += piece.consumed;
            if piece.is_done || piece.consumed == 0 || used == bytes.len() {
                return Ok((used, piece.is_done));
            }
        }
    }

    fn complete(mut self, connection: &mut Connection, turn: &mut Turn<H>) -> Next<H> {
        if !self.memory.is_empty() {
            self.chunks.push(Chunk::of(std::mem::take(&mut self.memory).into()));
        }
        let body = Uploaded { chunks: Arc::new(std::mem::take(&mut self.chunks)), length: self.received };
        turn.out.clear();
        let call = Call { local: &mut turn.local, now: turn.now, peer: &connection.peer, out: &mut turn.out };
        let step = turn.handler.uploaded(call, self.exchange, body);
        Next::Go(follow(step, self.reply, connection, turn))
    }

    /// Hands the memory part to the helper thread and parks until it is written.
    fn spill(mut self: Box<Self>, connection: &mut Connection, turn: &mut Turn<H>) -> Next<H> {
        let slot = Arc::new(Slot::default());
        let job = Job {
            file: self.file.clone(),
            offset: self.written,
            data: std::mem::take(&mut self.memory),
            slot: slot.clone(),
            wake: connection.wake(&turn.mailbox).clone(),
        };
        let len = job.data.len() as u64;
        if turn.spiller.jobs.try_send(job).is_err() {
            return Next::Go(self.refused(NO_ROOM, connection, turn));
        }
        if self.written == 0 {
            turn.handler.count(&mut turn.local, Event::Spilled);
        }
        self.spilling = Some(slot);
        self.written += len;
        connection.deadline = turn.now.monotonic + SPILL_TIME;
        Next::Park(Stage::Upload(self))
    }

    /// False while the helper thread still writes.
    fn has_spilled(&mut self) -> Result<bool, io::ErrorKind> {
        let Some(slot) = &self.spilling else { return Ok(true) };
        let Some(written) = slot.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(false) };
        self.spilling = None;
        let file = written.map_err(|fault| fault.kind())?;
        let offset = self.chunks.iter().map(Chunk::len).sum();
        self.chunks.push(Chunk::File { file: file.clone(), offset, len: self.written - offset });
        self.file = Some(file);
        Ok(true)
    }

    /// The answer to a body that is not read to its end.
    fn refused(self, refusal: Refusal, connection: &mut Connection, turn: &mut Turn<H>) -> Stage<H> {
        let event = match refusal {
            TOO_LARGE => Some(Event::TooLarge(Measure::Body)),
            TOO_SLOW => Some(Event::TimedOut(Slow::Upload)),
            _ => None,
        };
        if let Some(event) = event {
            turn.handler.count(&mut turn.local, event);
        }
        refuse(connection, turn, Some(self.exchange), Reply { has_unread_body: true, ..self.reply }, refusal)
    }

    /// The same where there is no room for it.
    fn not_kept(self, fault: io::ErrorKind, connection: &mut Connection, turn: &mut Turn<H>) -> Stage<H> {
        turn.handler.count(&mut turn.local, Event::SpillFailed(fault));
        self.refused(NOT_KEPT, connection, turn)
    }

    /// The deadline has passed: too slow, or the next window begins.
    pub fn late(mut self: Box<Self>, connection: &mut Connection, turn: &mut Turn<H>) -> Option<Stage<H>> {
        if self.spilling.is_some() {
            return Some(self.not_kept(io::ErrorKind::TimedOut, connection, turn));
        }
        // Without a rate it is one byte, so that nobody is waited for without end.
        let needed = turn.limits.upload_rate.saturating_mul(RATE_WINDOW.as_secs()).max(1);
        if self.window_bytes < needed {
            return Some(self.refused(TOO_SLOW, connection, turn));
        }
        self.window_start = turn.now.monotonic;
        self.window_bytes = 0;
        connection.deadline = self.window_start + RATE_WINDOW;
        Some(Stage::Upload(self))
    }
}

/// The thread that writes request bodies to temporary files.
pub struct Spiller {
    remote: SpillerRemote,
    thread: Option<JoinHandle<()>>,
    stop: Sender<()>,
}

/// How workers reach the [`Spiller`].
#[derive(Clone)]
pub struct SpillerRemote {
    jobs: Sender<Job>,
}

struct Job {
    file: Option<Arc<Nameless>>,
    offset: u64,
    data: Vec<u8>,
    slot: Arc<Slot>,
    wake: Wake,
}

impl Spiller {
    /// Starts the thread; files are made in `directory` and have no name.
    pub fn start(directory: PathBuf) -> Result<Spiller, Error> {
        let (jobs, inbox) = bounded::<Job>(QUEUE);
        let (stop, stopped) = bounded::<()>(0);
        let thread = std::thread::Builder::new()
            .name("upload-writer".into())
            .stack_size(128 << 10)
            .spawn(move || write_jobs(&inbox, &stopped, &directory))
            .map_err(|source| Error::Io { what: "start the upload writer".into(), source })?;
        Ok(Spiller { remote: SpillerRemote { jobs }, thread: Some(thread), stop })
    }

    /// A handle for a worker.
    pub fn remote(&self) -> SpillerRemote {
        self.remote.clone()
    }
}

impl Drop for Spiller {
    fn drop(&mut self) {
        let (stop, _) = bounded(0);
        drop(std::mem::replace(&mut self.stop, stop));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_jobs(inbox: &Receiver<Job>, stopped: &Receiver<()>, directory: &std::path::Path) {
    loop {
        crossbeam_channel::select_biased! {
            recv(inbox) -> job => match job {
                Ok(job) => job.write(directory),
                Err(_) => return,
            },
            recv(stopped) -> _ => return,
        }
    }
}

impl Job {
    fn write(self, directory: &std::path::Path) {
        let written = match self.file {
            Some(file) => Ok(file),
            None => temporary_file(directory).map(Arc::new),
        }
        .and_then(|file| {
            leave_room(&file)?;
            file.write_all_at(&self.data, self.offset).map(|()| file)
        });
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(written);
        self.wake.wake();
    }
}

const QUEUE: usize = 256;
const RATE_WINDOW: Duration = Duration::from_secs(20);
const SPILL_TIME: Duration = Duration::from_secs(60);
const TOO_LARGE: Refusal = Refusal { status: 413, reason: "the request body is larger than this site accepts" };
const BAD_BODY: Refusal = Refusal { status: 400, reason: "the request body is not framed as it says" };
const TOO_SLOW: Refusal = Refusal { status: 408, reason: "the request body arrives too slowly" };
const NOT_KEPT: Refusal =
    Refusal { status: 503, reason: "the request body cannot be kept: there is no room for temporary files" };
const NO_ROOM: Refusal = Refusal { status: 503, reason: "too many request bodies are being stored" };
