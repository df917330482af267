//! The body of an answer, read from the live connection under our own framing rules.
//!
//! Complete means proven complete: the framing ended, or, for a body without length, the stream ended cleanly. Only then,
//! and only with no byte left over, may the connection serve again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::{Connection, WireFailure};
use super::error::{Cause, Failure, FetchError};
use super::idle::{IdlePool, Key};
use super::rate::Rate;
use crate::http1::{BodyError, BodyLength, BodyReader};
use crate::status::Phase;

/// Reads one body. Dropped before its end, it closes the connection.
#[derive(Debug)]
pub struct OriginBody {
    /// Gone once the body is complete or broken.
    connection: Option<Connection>,
    reader: BodyReader,
    length: BodyLength,
    limits: BodyLimits,
    rate: Rate,
    home: Option<Home>,
    origin: String,
    address: SocketAddr,
    /// Why it is broken; every later read says the same.
    broken: Option<FetchError>,
}

/// Deadlines of a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Between two reads.
    pub between_bytes: Duration,
    /// For the whole body, if limited.
    pub end: Option<Instant>,
    /// Bytes a second, at least, over [`RATE_WINDOW`]; 0 = off.
    pub least_rate: u64,
    /// Over which time the rate is taken.
    pub window: Duration,
}

/// Where the connection goes after a complete body.
#[derive(Debug)]
pub struct Home {
    /// The pool.
    pub pool: Arc<IdlePool>,
    /// Its key there.
    pub key: Key,
    /// How long it may wait there.
    pub age: Duration,
}

impl OriginBody {
    /// The body of that length at the front of `connection`. `home`: none where the connection must not serve again.
    pub fn new(
        connection: Connection,
        length: BodyLength,
        limits: BodyLimits,
        home: Option<Home>,
        origin: &str,
    ) -> OriginBody {
        let rate = Rate::new(limits.least_rate, limits.window, connection.received);
        let address = connection.address;
        let mut body = OriginBody {
            connection: Some(connection),
            reader: BodyReader::new(length),
            length,
            limits,
            rate,
            home,
            origin: origin.to_owned(),
            address,
            broken: None,
        };
        if body.reader.is_done() {
            body.finish();
        }
        body
    }

    /// The same under another least rate, over another window.
    #[cfg(test)]
    pub fn with_rate(mut self, least_rate: u64, window: Duration) -> OriginBody {
        let received = self.connection.as_ref().map_or(0, |connection| connection.received);
        self.limits = BodyLimits { least_rate, window, ..self.limits };
        self.rate = Rate::new(least_rate, window, received);
        self
    }

    /// How the body is delimited.
    pub fn length(&self) -> BodyLength {
        self.length
    }

    /// The server as `name:port`, and its address.
    pub fn origin(&self) -> (&str, SocketAddr) {
        (&self.origin, self.address)
    }

    /// Reads some of the body into `out`, which must not be empty, waiting for the origin. `Ok(0)` is the proven end.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, FetchError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        match self.advance(out) {
            Ok(count) => Ok(count),
            Err(cause) => {
                let is_over = self.limits.end.is_some_and(|end| Instant::now() >= end);
                let cause = match cause {
                    Cause::Wire(WireFailure::Timeout) if is_over => Cause::TooLong,
                    cause => cause,
                };
                let address = self.connection.take().map(|connection| connection.address);
                let failure = Failure { cause, phase: Phase::Body, address, has_response: true };
                let error = failure.into_error(&self.origin);
                self.broken = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Reads what has come already, so that the connection may serve again where that is all there is of the body; a
    /// longer body costs the connection.
    pub fn discard(mut self) {
        self.limits = BodyLimits { between_bytes: Duration::ZERO, end: None, least_rate: 0, ..self.limits };
        let mut room = [0; 4096];
        for _ in 0..MAX_DISCARDS {
            if !matches!(self.read(&mut room), Ok(1..)) {
                return;
            }
        }
    }

    fn advance(&mut self, out: &mut [u8]) -> Result<usize, Cause> {
        if out.is_empty() {
            return Err(Cause::Internal("a body was read into no room".into()));
        }
        loop {
            let Some(connection) = &mut self.connection else { return Ok(0) };
            let deadline = self.limits.next();
            let began = self.rate.is_on().then(Instant::now);
            let taken = if !connection.input.is_empty() {
                take_buffered(connection, &mut self.reader, out)?
            } else if self.length == BodyLength::Chunked {
                match connection.fill(deadline) {
                    Ok(0) => Taken::End,
                    Ok(_) => Taken::Data(0),
                    Err(failure) => return Err(cut(failure)),
                }
            } else {
                take_direct(connection, &mut self.reader, out, deadline)?
            };
            if let Some(began) = began
                && self.rate.is_too_slow(began.elapsed(), connection.received)
            {
                return Err(Cause::TooSlow(self.limits.least_rate));
            }
            match taken {
                Taken::End => {
                    self.reader.at_eof().map_err(Cause::Body)?;
                    self.connection = None;
                    return Ok(0);
                }
                Taken::Surplus(count) => {
                    self.connection = None;
                    return Ok(count);
                }
                Taken::Data(count) => {
                    if self.reader.is_done() {
                        self.finish();
                    }
                    if count > 0 {
                        return Ok(count);
                    }
                }
            }
        }
    }

    /// The body is complete: the connection goes home if nothing lies behind it.
    fn finish(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if let Some(home) = self.home.take().filter(|_| connection.is_at_rest()) {
            home.pool.put(home.key, connection, home.age);
        }
    }
}

impl BodyLimits {
    fn next(self) -> Instant {
        let next = Instant::now() + self.between_bytes;
        self.end.map_or(next, |end| end.min(next))
    }
}

enum Taken {
    /// So many bytes of data are in `out`; may be none, where only framing came.
    Data(usize),
    /// The same, and bytes that belong to no body lie behind them.
    Surplus(usize),
    /// The stream ended cleanly.
    End,
}

/// Data that was read ahead: of several chunks, as far as they have come. Each read costs everybody more than a few bytes do.
fn take_buffered(connection: &mut Connection, reader: &mut BodyReader, out: &mut [u8]) -> Result<Taken, Cause> {
    let mut count = 0;
    loop {
        let room = out.get_mut(count..).unwrap_or_default();
        let input = connection.input.bytes();
        // No more than fits, since the reader counts as read what it is shown.
        let shown = input.get(..room.len()).unwrap_or(input);
        let piece = match reader.read(shown) {
            // What came before a fault comes before it here as well; the reader says it again.
            Err(_) if count > 0 => return Ok(Taken::Data(count)),
            piece => piece.map_err(Cause::Body)?,
        };
        let data = shown.get(piece.data).unwrap_or_default();
        if let Some(place) = room.get_mut(..data.len()) {
            place.copy_from_slice(data);
        }
        count += data.len();
        connection.input.consume(piece.consumed);
        if piece.is_done || count == out.len() || connection.input.is_empty() {
            return Ok(Taken::Data(count));
        }
    }
}

/// Bodies without chunks go from the socket into `out` without a copy.
fn take_direct(
    connection: &mut Connection,
    reader: &mut BodyReader,
    out: &mut [u8],
    deadline: Instant,
) -> Result<Taken, Cause> {
    let count = connection.read(out, deadline).map_err(cut)?;
    if count == 0 {
        return Ok(Taken::End);
    }
    let piece = reader.read(out.get(..count).unwrap_or_default()).map_err(Cause::Body)?;
    Ok(if piece.consumed < count { Taken::Surplus(piece.data.end) } else { Taken::Data(piece.data.end) })
}

/// Over which time the least rate is taken.
pub const RATE_WINDOW: Duration = Duration::from_secs(20);
/// Reads of at most 4 KiB that a body which nobody wants is worth.
const MAX_DISCARDS: usize = 8;

/// A stream that is cut is an incomplete body, whoever cut it.
fn cut(failure: WireFailure) -> Cause {
    match failure {
        WireFailure::Closed => Cause::Body(BodyError::Incomplete),
        failure => Cause::Wire(failure),
    }
}
