//! The last stage: an answer goes out, head and body, as fast as the socket takes it and the body grows.
//!
//! Framing towards the client is decided here (RFC 9112 §6): a known length, chunks, or the end of the connection. A body
//! that breaks ends the connection without its last chunk or byte, so that a cut answer never looks whole.

use std::io;
use std::time::Duration;

use super::session::{Connection, Next, Reply, Stage, TURN_BYTES, UNCOPIED};
use super::socket::Fill;
use super::source::{Source, Stretch, total};
use super::worker::Turn;
use super::{Answer, Delivery, Event, Handler, Payload, Slow};
use crate::http1::{self, Version};
use crate::status::{ProxyError, write_decimal_line};
use crate::store::{Chunk, Next as Part};

/// An answer on its way.
pub struct Deliver<H: Handler> {
    /// Bytes to send before the chunk: the head, later chunk sizes.
    before: Vec<u8>,
    before_sent: usize,
    chunk: Option<Chunk>,
    source: Option<Source>,
    is_chunked: bool,
    has_chunk_before: bool,
    sent: u64,
    /// Since when the client takes nothing.
    stalled: Option<Duration>,
    /// Since when it is what holds the answer up, and how much had been sent then.
    window: Option<(Duration, u64)>,
    closing: Closing,
    /// The client may still be sending what nobody reads.
    has_unread_body: bool,
    fault: Option<ProxyError>,
    note: Option<H::Note>,
}

/// What happens to the connection afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// The next request may come.
    Keep,
    /// Close.
    Close,
    /// Close, and the end of the connection is the end of the body.
    EndsBody,
    /// All is sent; what the client still sends is read and dropped until then, so that a reset does not take the
    /// answer away (RFC 9112 §9.6).
    Draining { until: Duration, left: usize },
}

/// How far a push came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// All is handed to the socket.
    Done,
    /// The socket takes no more now.
    Blocked,
    /// The body has no more yet.
    Waiting,
    /// The turn is spent.
    Spent,
    /// The body broke off, or the client is gone.
    Cut,
}

impl<H: Handler> Deliver<H> {
    /// Completes the head in `turn.out` with framing and connection fields, and takes the buffer.
    pub fn new(answer: Answer<H>, reply: Reply, turn: &mut Turn<H>) -> Deliver<H> {
        let mut before = std::mem::take(&mut turn.out);
        let payload = if reply.is_head { answer.payload.without_content() } else { answer.payload };
        let mut closing = Closing::Keep;
        if answer.close || !reply.keep_alive || reply.has_unread_body || turn.is_stopping() {
            closing = Closing::Close;
        }
        let mut is_chunked = false;
        let (mut chunk, mut source) = (None, None);
        match payload {
            Payload::Absent | Payload::Head(None) => {}
            Payload::Empty => before.extend_from_slice(b"Content-Length: 0\r\n"),
            Payload::Head(Some(length)) => write_length(&mut before, length),
            Payload::Whole(whole) => {
                write_length(&mut before, whole.len());
                chunk = Some(whole).filter(|whole| !whole.is_empty());
            }
            Payload::Stream { reader, skip, length } => {
                match length {
                    Some(length) => write_length(&mut before, length),
                    None if reply.version == Version::Http11 => {
                        is_chunked = true;
                        before.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
                    }
                    None => closing = Closing::EndsBody,
                }
                source = (length != Some(0)).then(|| Source::Stretch(Stretch::new(reader, skip, length)));
            }
            Payload::Parts { bodies, chunks } => {
                write_length(&mut before, total(&chunks));
                source = Some(Source::Parts { _bodies: bodies, chunks: chunks.into_iter() });
            }
            Payload::Sequence { sequence, length } => {
                write_length(&mut before, length);
                source = Some(Source::Sequence { sequence, left: length });
            }
        }
        match (closing, reply.version) {
            (Closing::Keep, Version::Http11) => {}
            (Closing::Keep, Version::Http10) => before.extend_from_slice(b"Connection: keep-alive\r\n"),
            _ => before.extend_from_slice(b"Connection: close\r\n"),
        }
        before.extend_from_slice(b"\r\n");
        Deliver {
            before,
            before_sent: 0,
            chunk,
            source,
            is_chunked,
            has_chunk_before: false,
            sent: 0,
            stalled: None,
            window: None,
            closing,
            has_unread_body: reply.has_unread_body,
            fault: None,
            note: Some(answer.note),
        }
    }

    /// The connection ends after this answer.
    pub fn closes(&self) -> bool {
        self.closing != Closing::Keep
    }

    /// Gives the head's buffer back to the worker, once all is sent.
    pub fn take_buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.before)
    }

    /// Sends on until done or parked.
    pub fn step(mut self: Box<Self>, connection: &mut Connection, turn: &mut Turn<H>) -> Next<H> {
        if let Closing::Draining { until, left } = self.closing {
            return self.drain(until, left, connection, turn);
        }
        let now = turn.now.monotonic;
        match self.push(connection, turn) {
            Pushed::Done => {
                self.finish(true, turn);
                self.end(connection, turn)
            }
            Pushed::Spent => {
                // It is this worker that it waits for: no deadline of the client's may pass meanwhile.
                connection.deadline = now + BODY_WAIT;
                Next::Yield(Stage::Deliver(self))
            }
            Pushed::Blocked => {
                connection.deadline = self.patience(turn);
                Next::Park(Stage::Deliver(self))
            }
            Pushed::Waiting => {
                (self.stalled, self.window) = (None, None);
                connection.deadline = now + BODY_WAIT;
                Next::Park(Stage::Deliver(self))
            }
            Pushed::Cut => {
                self.finish(false, turn);
                if self.closing == Closing::EndsBody && !connection.is_gone {
                    connection.socket.reset();
                }
                Next::Close
            }
        }
    }

    /// Tells the handler, once, how the delivery ended.
    pub fn finish(&mut self, is_whole: bool, turn: &mut Turn<H>) {
        if let Some(note) = self.note.take() {
            let delivery = Delivery { bytes: self.sent, is_whole, fault: self.fault };
            turn.handler.finish(&mut turn.local, turn.now, note, delivery);
        }
    }

    /// Hands to the socket what it takes.
    pub fn push(&mut self, connection: &mut Connection, turn: &mut Turn<H>) -> Pushed {
        if connection.is_gone {
            return Pushed::Cut;
        }
        loop {
            if self.chunk.is_none() && self.source.is_some() {
                match self.next_chunk(connection, turn) {
                    Part::Broken(fault) => {
                        self.fault = Some(fault);
                        return Pushed::Cut;
                    }
                    Part::NotYet if self.before_sent == self.before.len() => {
                        return self.flushed(connection, Pushed::Waiting);
                    }
                    Part::Chunk(chunk) => self.chunk = Some(chunk),
                    Part::NotYet | Part::Complete => {}
                }
            }
            if self.chunk.is_none() && self.source.is_none() && self.before_sent == self.before.len() {
                return self.flushed(connection, Pushed::Done);
            }
            if connection.budget == 0 {
                return Pushed::Spent;
            }
            if self.is_last() {
                connection.socket.begin_last();
            }
            match self.write(connection, turn) {
                Ok(Some(n)) => connection.budget = connection.budget.saturating_sub(n.max(LEAST_SPENT)),
                Ok(None) => return Pushed::Blocked,
                Err(_) => {
                    connection.is_gone = true;
                    return Pushed::Cut;
                }
            }
        }
    }

    /// The connection ends with the next write, if the socket takes all of it.
    fn is_last(&self) -> bool {
        let is_short = |chunk: &Chunk| chunk.bytes().is_some_and(|bytes| bytes.len() <= TURN_BYTES);
        self.closes() && self.source.is_none() && self.chunk.as_ref().is_none_or(is_short)
    }

    /// `then`, once TLS holds nothing back any more.
    fn flushed(&self, connection: &mut Connection, then: Pushed) -> Pushed {
        match connection.socket.flush() {
            Ok(true) => then,
            Ok(false) => Pushed::Blocked,
            Err(_) => Pushed::Cut,
        }
    }

    /// The next bytes of the body, framed; `Complete` also ends the source.
    fn next_chunk(&mut self, connection: &mut Connection, turn: &mut Turn<H>) -> Part {
        let Some(source) = self.source.as_mut() else { return Part::Complete };
        let part = source.next(|| connection.wake(&turn.mailbox).clone());
        match &part {
            Part::Chunk(chunk) if self.is_chunked => {
                if self.before_sent == self.before.len() {
                    self.before.clear();
                    self.before_sent = 0;
                }
                if std::mem::replace(&mut self.has_chunk_before, true) {
                    self.before.extend_from_slice(b"\r\n");
                }
                http1::write_chunk_size(&mut self.before, chunk.len());
            }
            Part::Complete => {
                self.source = None;
                if self.is_chunked {
                    let end: &[u8] = if self.has_chunk_before { b"\r\n0\r\n\r\n" } else { http1::LAST_CHUNK };
                    self.before.extend_from_slice(end);
                }
            }
            _ => {}
        }
        if self.source.as_ref().is_some_and(Source::is_spent) {
            self.source = None;
        }
        part
    }

    /// One write: what stands before the chunk, and the chunk. Gives back what it takes of the turn.
    fn write(&mut self, connection: &mut Connection, turn: &mut Turn<H>) -> io::Result<Option<usize>> {
        let before = self.before.get(self.before_sent..).unwrap_or_default();
        let socket = &mut connection.socket;
        let mut cost = 1;
        let taken = match &self.chunk {
            Some(Chunk::File { file, offset, len }) if before.is_empty() => {
                socket.pace();
                cost = if socket.is_plain() { UNCOPIED } else { 1 };
                socket.send_file(file, *offset, *len, &mut turn.file)?
            }
            Some(Chunk::File { len, .. }) if *len > TURN_BYTES as u64 => socket.write_before_file(before)?,
            Some(chunk) => {
                if self.sent >= PACED_FROM {
                    socket.pace();
                }
                let bytes = chunk.bytes().unwrap_or_default();
                let most = bytes.len().min(TURN_BYTES);
                let bytes = bytes.get(..most).unwrap_or_default();
                if before.is_empty() {
                    socket.write(bytes)?
                } else {
                    socket.write_both(before, bytes, &mut turn.file)?
                }
            }
            None => socket.write(before)?,
        };
        let Some(taken) = taken else { return Ok(None) };
        self.stalled = None;
        let of_before = taken.min(before.len());
        self.before_sent += of_before;
        let of_body = (taken - of_before) as u64;
        self.sent += of_body;
        if let Some(chunk) = self.chunk.as_mut() {
            chunk.advance(of_body);
            if chunk.is_empty() {
                self.chunk = None;
            }
        }
        Ok(Some(taken.div_ceil(cost)))
    }

    /// The answer is out: the next request, or the end.
    fn end(mut self: Box<Self>, connection: &mut Connection, turn: &mut Turn<H>) -> Next<H> {
        if self.closing == Closing::Keep {
            turn.out = self.take_buffer();
            connection.deadline = turn.now.monotonic + turn.limits.idle_timeout;
            return Next::Go(Stage::Head(super::head::Head::default()));
        }
        let is_drained = connection.input.is_empty() && !connection.is_readable && !connection.is_read_closed;
        if is_drained && !self.has_unread_body {
            connection.socket.notify_close();
            return Next::Close;
        }
        connection.input = Vec::new();
        connection.socket.end();
        let until = turn.now.monotonic + DRAIN_TIME;
        self.drain(until, DRAIN_BYTES, connection, turn)
    }

    fn drain(
        mut self: Box<Self>,
        until: Duration,
        mut left: usize,
        connection: &mut Connection,
        turn: &mut Turn<H>,
    ) -> Next<H> {
        while left > 0 && turn.now.monotonic < until && !connection.is_gone {
            match connection.fill(&mut turn.input) {
                Ok(Fill::Bytes(n, _)) => left = left.saturating_sub(n),
                Ok(Fill::WouldBlock) => {
                    connection.deadline = until;
                    self.closing = Closing::Draining { until, left };
                    return Next::Park(Stage::Deliver(self));
                }
                Ok(Fill::End) | Err(_) => return Next::Close,
            }
        }
        Next::Close
    }

    /// How long a client that takes no more is waited for. Only what it takes puts that off: whatever it sends meanwhile
    /// does not.
    fn patience(&mut self, turn: &Turn<H>) -> Duration {
        let now = turn.now.monotonic;
        let (since, _) = *self.window.get_or_insert((now, self.sent));
        let stall = self.stalled.get_or_insert(now).saturating_add(turn.limits.write_stall);
        if turn.limits.download_rate == 0 { stall } else { stall.min(since + RATE_WINDOW) }
    }

    /// The deadline has passed: the next window of the least rate begins, or reading was too slow, or the drain has lasted
    /// long enough.
    pub fn late(mut self: Box<Self>, connection: &mut Connection, turn: &mut Turn<H>) -> Option<Stage<H>> {
        if !matches!(self.closing, Closing::Draining { .. }) {
            let needed = turn.limits.download_rate.saturating_mul(RATE_WINDOW.as_secs()).max(1);
            let is_quick = self.window.is_some_and(|(_, sent)| self.sent.saturating_sub(sent) >= needed);
            let is_stalled = self.stalled.is_none_or(|since| since + turn.limits.write_stall <= turn.now.monotonic);
            if is_quick && !is_stalled {
                self.window = None;
                connection.deadline = self.patience(turn);
                return Some(Stage::Deliver(self));
            }
            let slow = if is_stalled { Slow::Stall } else { Slow::Download };
            turn.handler.count(&mut turn.local, Event::TimedOut(slow));
        }
        self.finish(false, turn);
        None
    }
}

fn write_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    write_decimal_line(out, length);
}

/// From here on the system queues only a little of an answer that comes in pieces: one that is this large may be far larger.
const PACED_FROM: u64 = 64 << 10;
/// What a write costs of a turn at least: many small ones take as long as a few large ones.
const LEAST_SPENT: usize = 4 << 10;
/// A body that grows wakes its readers, and who has spent a turn gets another: this only bounds what a fault of ours could
/// hold.
const BODY_WAIT: Duration = Duration::from_secs(600);
/// Over which time the least rate is taken.
const RATE_WINDOW: Duration = Duration::from_secs(60);
const DRAIN_TIME: Duration = Duration::from_secs(2);
const DRAIN_BYTES: usize = 1 << 20;
