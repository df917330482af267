//! The stage between exchanges: a request head arrives, is parsed where it lies, and is answered at once if it can be.
//!
//! A hit never leaves this file: read, parse, `begin`, one vectored write, and on to the next request.

use std::time::Duration;

use super::deliver::{Deliver, Pushed};
use super::session::{Connection, Next, Reply, Stage, follow, refuse, restore};
use super::socket::Fill;
use super::upload::Upload;
use super::worker::Turn;
use super::{Call, Event, Handler, Measure, Refusal, Slow, Step};
use crate::config::Limits;
use crate::http1::{BodyLength, HeadLimits, HeadScan, Parsed, RequestError, RequestHead, Slots};

/// Waiting for a request head, or in the middle of one.
#[derive(Default)]
pub struct Head {
    /// When the first byte of the head came.
    since: Option<Duration>,
    /// How far the end of the head has been searched for.
    scan: HeadScan,
}

/// What came of the bytes at the start of a request.
enum Served<H: Handler> {
    /// More are needed.
    Partial,
    /// They took a head of so many bytes, and its answer is out.
    Whole(usize),
    /// They lead to another stage.
    Next(Next<H>),
}

impl Head {
    /// Serves requests until the socket has no more, the turn is spent, or an exchange must wait.
    pub fn step<H: Handler>(mut self, connection: &mut Connection, turn: &mut Turn<H>) -> Next<H> {
        let mut filled = restore(connection, &mut turn.input);
        let mut start = 0;
        let mut requests = 0;
        loop {
            while start < filled {
                if requests == TURN_REQUESTS {
                    keep(connection, turn, start, filled);
                    return Next::Yield(Stage::Head(self));
                }
                match self.serve(connection, turn, start, filled) {
                    Served::Partial => break,
                    Served::Whole(len) => {
                        start += len;
                        requests += 1;
                        self = Head::default();
                        // From here on it is idle: no byte of what follows, unless it is a request, puts that off.
                        connection.deadline = turn.now.monotonic + turn.limits.idle_timeout;
                    }
                    Served::Next(next) => return next,
                }
            }
            match self.fill(connection, turn, &mut start, &mut filled) {
                Ok(true) => {}
                Ok(false) => return self.park(connection, turn, start, filled),
                Err(()) => return Next::Close,
            }
        }
    }

    /// Reads more behind what is there; `Ok(false)` when there is nothing to read now.
    fn fill<H: Handler>(
        &mut self,
        connection: &mut Connection,
        turn: &mut Turn<H>,
        start: &mut usize,
        filled: &mut usize,
    ) -> Result<bool, ()> {
        if *start > 0 {
            turn.input.copy_within(*start..*filled, 0);
            *filled -= *start;
            *start = 0;
        }
        match connection.fill(turn.input.get_mut(*filled..).unwrap_or_default()) {
            Ok(Fill::Bytes(n, _)) => {
                *filled += n;
                Ok(true)
            }
            Ok(Fill::WouldBlock) if !connection.is_gone => Ok(false),
            Ok(_) | Err(_) => Err(()),
        }
    }

    fn park<H: Handler>(
        mut self,
        connection: &mut Connection,
        turn: &mut Turn<H>,
        start: usize,
        filled: usize,
    ) -> Next<H> {
        let now = turn.now.monotonic;
        if start < filled {
            let since = *self.since.get_or_insert(now);
            connection.deadline = since + turn.limits.head_timeout;
            keep(connection, turn, start, filled);
        } else if turn.is_stopping() {
            // A request may be on its way, for nobody has told the client yet that it comes too late: what is answered
            // from now on says so.
            let grace = if connection.requests > 0 { NEXT_REQUEST } else { FIRST_REQUEST };
            connection.deadline = connection.deadline.min(now + grace);
        }
        Next::Park(Stage::Head(self))
    }

    fn serve<H: Handler>(
        &mut self,
        connection: &mut Connection,
        turn: &mut Turn<H>,
        start: usize,
        filled: usize,
    ) -> Served<H> {
        let limits = HeadLimits {
            line: turn.limits.request_line,
            head: turn.limits.request_head,
            fields: turn.limits.request_fields,
        };
        let mut slots = Slots::new();
        let bytes = turn.input.get(start..filled).unwrap_or_default();
        let head = match RequestHead::parse(bytes, &limits, &mut self.scan, &mut slots) {
            Ok(Parsed::Whole(head)) => head,
            Ok(Parsed::Partial) => return Served::Partial,
            Err(error) => {
                if let Some(measure) = excess(&error) {
                    turn.handler.count(&mut turn.local, Event::TooLarge(measure));
                }
                let refusal = Refusal { status: error.status, reason: error.reason };
                let reply = Reply { is_head: seems_head(bytes), ..Reply::LAST };
                return Served::Next(Next::Go(refuse(connection, turn, None, reply, refusal)));
            }
        };
        connection.requests += 1;
        let limit = turn.limits.requests_per_connection;
        let is_spent = limit > 0 && connection.requests >= limit;
        if is_spent && head.keep_alive {
            turn.handler.count(&mut turn.local, Event::Spent);
        }
        let reply = Reply {
            version: head.version,
            is_head: head.method == "HEAD",
            keep_alive: head.keep_alive && !is_spent,
            has_unread_body: !head.body.is_empty(),
        };
        turn.out.clear();
        let call = Call { local: &mut turn.local, now: turn.now, peer: &connection.peer, out: &mut turn.out };
        let step = turn.handler.begin(call, &head);
        let (len, body) = (head.len, (head.body, head.expects_continue));
        let rest = Rest { start: start + len, filled };
        advance(step, reply, body, rest, connection, turn).map_or(Served::Whole(len), Served::Next)
    }
}

/// Where the unused bytes lie in the worker's buffer.
struct Rest {
    start: usize,
    filled: usize,
}

/// Follows a step; `None` when the answer is out and the next request may begin.
fn advance<H: Handler>(
    step: Step<H>,
    reply: Reply,
    (body, expects_continue): (BodyLength, bool),
    rest: Rest,
    connection: &mut Connection,
    turn: &mut Turn<H>,
) -> Option<Next<H>> {
    match step {
        Step::Answer(answer) => {
            let mut deliver = Deliver::new(answer, reply, turn);
            if deliver.closes() || deliver.push(connection, turn) != Pushed::Done {
                keep(connection, turn, rest.start, rest.filled);
                return Some(Next::Go(Stage::Deliver(Box::new(deliver))));
            }
            deliver.finish(true, turn);
            turn.out = deliver.take_buffer();
            None
        }
        Step::Upload(exchange, limit) => {
            keep(connection, turn, rest.start, rest.filled);
            let reply = Reply { has_unread_body: false, ..reply };
            Some(Next::Go(Upload::begin(exchange, reply, (body, expects_continue), limit, connection, turn)))
        }
        step => {
            keep(connection, turn, rest.start, rest.filled);
            Some(Next::Go(follow(step, reply, connection, turn)))
        }
    }
}

/// The limit on a head's size that it passes, if it is that.
fn excess(error: &RequestError) -> Option<Measure> {
    match *error {
        RequestError::LINE_TOO_LONG => Some(Measure::Line),
        RequestError::HEAD_TOO_LARGE => Some(Measure::Head),
        RequestError::TOO_MANY_FIELDS => Some(Measure::Fields),
        _ => None,
    }
}

/// Does a head that cannot be served, or is not whole, begin as one of HEAD? Its answer has no content (RFC 9110 §9.3.2).
pub fn seems_head(bytes: &[u8]) -> bool {
    bytes.strip_prefix(b"\r\n").unwrap_or(bytes).starts_with(b"HEAD ")
}

/// How long a new connection may take for the first byte of a request, and what it is too slow at then: whichever of two
/// limits is the nearer.
pub fn first_wait(limits: &Limits) -> (Duration, Slow) {
    let (head, idle) = (limits.head_timeout, limits.idle_timeout);
    if head < idle { (head, Slow::Head) } else { (idle, Slow::Idle) }
}

/// Keeps unused bytes with the session; the worker's buffer belongs to the next one.
fn keep<H: Handler>(connection: &mut Connection, turn: &Turn<H>, start: usize, filled: usize) {
    connection.input.extend_from_slice(turn.input.get(start..filled).unwrap_or_default());
}

const TURN_REQUESTS: usize = 16;
/// How long a stop waits for the first request of a connection that was accepted before it.
const FIRST_REQUEST: Duration = Duration::from_secs(2);
/// The same for the next request of one that is kept: a round trip and more.
const NEXT_REQUEST: Duration = Duration::from_secs(1);
