//! One client connection: five stages, each a type that holds just what it needs.
//!
//! `Handshake ▸ Head ▸ Upload ▸ Await ▸ Deliver`, and back to `Head` on a kept connection. A step consumes its stage and
//! names the next one, or a reason to park. Only a parked session holds memory of its own: while it runs it uses the
//! worker's buffers.

use std::sync::Arc;
use std::time::Duration;

use mio::event::Event as Readiness;

use super::deliver::Deliver;
use super::head::{Head, first_wait, seems_head};
use super::seats::{Seat, Seats};
use super::socket::{Fill, Socket};
use super::upload::Upload;
use super::waiting::Await;
use super::worker::{Incoming, Turn};
use super::{Answer, Call, ConnectionState, Event, Handler, Peer, Refusal, Slow, Step};
use crate::http1::Version;
use crate::wake::{Address, Mailbox, Wake};

/// A connection and where it stands.
pub struct Session<H: Handler> {
    connection: Connection,
    stage: Stage<H>,
    /// The state that it is counted in.
    counted: ConnectionState,
    /// Free again when the session ends; none where connections of an address are not limited.
    seat: Option<Box<Seat>>,
    /// When the session is to be run though nothing happened.
    pub deadline: Duration,
    /// When the wheel will look at it next.
    pub armed: Duration,
    /// Stands in the worker's ready list.
    pub is_queued: bool,
    /// The deadline has passed.
    pub is_late: bool,
}

/// What all stages of a session share.
pub struct Connection {
    pub socket: Socket,
    pub peer: Peer,
    /// Bytes read but not yet used; empty while the session runs in the worker's buffer.
    pub input: Vec<u8>,
    /// The socket may have more to read.
    pub is_readable: bool,
    /// The client has closed its side, or all of it.
    pub is_read_closed: bool,
    /// Nobody is there any more.
    pub is_gone: bool,
    /// Requests begun.
    pub requests: u64,
    /// The deadline of the stage it is in.
    pub deadline: Duration,
    /// Bytes and requests left of this turn.
    pub budget: usize,
    address: Address,
    wake: Option<Wake>,
}

/// Where a session stands.
pub enum Stage<H: Handler> {
    Handshake,
    Head(Head),
    Upload(Box<Upload<H>>),
    Await(Box<Await<H>>),
    Deliver(Box<Deliver<H>>),
}

/// What a step leads to.
pub enum Next<H: Handler> {
    Go(Stage<H>),
    Park(Stage<H>),
    Yield(Stage<H>),
    Close,
}

/// What the worker is to do with a session that has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Park,
    Yield,
    Close,
}

/// What of the request decides how its answer is framed.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    pub version: Version,
    pub is_head: bool,
    pub keep_alive: bool,
    /// A part of the request body has not been read, so the connection cannot go on.
    pub has_unread_body: bool,
}

impl<H: Handler> Session<H> {
    /// A session for a socket just accepted, whose client `has_ended` its side already; `None` where TLS cannot begin.
    pub fn new(incoming: Incoming, address: Address, has_ended: bool, turn: &mut Turn<H>) -> Option<Session<H>> {
        let Incoming { stream, peer, is_https, seat } = incoming;
        let limits = &turn.limits;
        let wait = if is_https { limits.handshake_timeout } else { first_wait(limits).0 };
        let deadline = turn.now.monotonic + wait;
        let connection = Connection {
            socket: Socket::new(stream, if is_https { turn.tls.clone() } else { None }, turn.registry.clone()).ok()?,
            peer: Peer { address: peer, is_https, sni: None },
            input: Vec::new(),
            is_readable: true,
            is_read_closed: has_ended,
            is_gone: is_https && turn.tls.is_none(),
            requests: 0,
            deadline,
            budget: 0,
            address,
            wake: None,
        };
        let stage = if is_https { Stage::Handshake } else { Stage::Head(Head::default()) };
        let counted = ConnectionState::of(&stage, &connection);
        turn.states.enter(counted);
        let seat = seat.or_else(|| turn.shared.seats.claim(peer.ip()));
        Some(Session {
            connection,
            stage,
            counted,
            seat,
            deadline,
            armed: Duration::MAX,
            is_queued: false,
            is_late: false,
        })
    }

    /// Gives it a place among those of its address, where there is a limit now and it has none.
    pub fn sit(&mut self, seats: &Arc<Seats>) {
        if self.seat.is_none() {
            self.seat = seats.claim(self.connection.peer.address.ip());
        }
    }

    /// Its place in the worker's table.
    pub fn address(&self) -> Address {
        self.connection.address
    }

    /// Its answer goes out: it asks for nothing new.
    pub fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::Deliver(_))
    }

    /// What it has spent of its last turn.
    pub fn spent(&self) -> usize {
        TURN_BYTES.saturating_sub(self.connection.budget)
    }

    /// Takes in what epoll says.
    pub fn note(&mut self, event: &Readiness) {
        let connection = &mut self.connection;
        connection.is_readable |= event.is_readable() || event.is_read_closed();
        connection.is_read_closed |= event.is_read_closed();
        connection.is_gone |= event.is_error() || event.is_write_closed();
    }

    /// A wake for it has been read.
    pub fn woken(&mut self) {
        if let Some(wake) = &self.connection.wake {
            wake.arm();
        }
    }

    /// Goes on until it would wait, has spent its turn, or ends.
    pub fn run(&mut self, turn: &mut Turn<H>) -> Outcome {
        self.connection.budget = TURN_BYTES;
        let is_late = std::mem::take(&mut self.is_late) && self.deadline <= turn.now.monotonic;
        let mut stage = std::mem::replace(&mut self.stage, Stage::Handshake);
        if is_late {
            stage = match self.late(stage, turn) {
                Some(stage) => stage,
                None => return Outcome::Close,
            };
        }
        loop {
            let connection = &mut self.connection;
            let next = match stage {
                Stage::Handshake => handshake(connection, turn),
                Stage::Head(head) => head.step(connection, turn),
                Stage::Upload(upload) => upload.step(connection, turn),
                Stage::Await(waiting) => waiting.step(connection, turn),
                Stage::Deliver(deliver) => deliver.step(connection, turn),
            };
            let outcome = match next {
                Next::Go(next) => {
                    stage = next;
                    continue;
                }
                Next::Park(next) => {
                    self.stage = next;
                    Outcome::Park
                }
                Next::Yield(next) => {
                    self.stage = next;
                    Outcome::Yield
                }
                Next::Close => Outcome::Close,
            };
            if outcome != Outcome::Close {
                turn.states.change(&mut self.counted, ConnectionState::of(&self.stage, &self.connection));
            }
            self.deadline = self.connection.deadline;
            return outcome;
        }
    }

    /// The connection is to be dropped, whatever it was doing.
    pub fn leave(&mut self, turn: &mut Turn<H>) {
        turn.states.leave(self.counted);
        match std::mem::replace(&mut self.stage, Stage::Handshake) {
            Stage::Handshake | Stage::Head(_) => {}
            Stage::Upload(upload) => turn.handler.abandoned(&mut turn.local, turn.now, upload.into_exchange()),
            Stage::Await(waiting) => turn.handler.abandoned(&mut turn.local, turn.now, waiting.into_exchange()),
            Stage::Deliver(mut deliver) => deliver.finish(false, turn),
        }
    }

    /// What a passed deadline means in each stage; `None` closes.
    fn late(&mut self, stage: Stage<H>, turn: &mut Turn<H>) -> Option<Stage<H>> {
        let connection = &mut self.connection;
        match stage {
            Stage::Handshake => {
                turn.handler.count(&mut turn.local, Event::TimedOut(Slow::Handshake));
                turn.handler.count(&mut turn.local, Event::HandshakeFailed);
                None
            }
            Stage::Head(_) if connection.input.is_empty() => {
                let slow = if connection.requests == 0 { first_wait(&turn.limits).1 } else { Slow::Idle };
                turn.handler.count(&mut turn.local, Event::TimedOut(slow));
                connection.socket.notify_close();
                None
            }
            Stage::Head(_) => {
                turn.handler.count(&mut turn.local, Event::TimedOut(Slow::Head));
                let reply = Reply { is_head: seems_head(&connection.input), ..Reply::LAST };
                Some(refuse(connection, turn, None, reply, TOO_SLOW))
            }
            Stage::Upload(upload) => upload.late(connection, turn),
            Stage::Await(waiting) => Some(waiting.late(connection, turn)),
            Stage::Deliver(deliver) => deliver.late(connection, turn),
        }
    }
}

impl Connection {
    /// The wake that others may leave a call with; made when first needed.
    pub fn wake(&mut self, mailbox: &Arc<dyn Mailbox>) -> &Wake {
        let address = self.address;
        self.wake.get_or_insert_with(|| Wake::new(mailbox.clone(), address))
    }

    /// Reads into `buffer`, minding what is known of the socket.
    pub fn fill(&mut self, buffer: &mut [u8]) -> std::io::Result<Fill> {
        if !self.is_readable {
            return Ok(Fill::WouldBlock);
        }
        let fill = self.socket.read(buffer)?;
        match fill {
            // A short read means drained, unless the client has closed: then the end is still to be read.
            Fill::Bytes(_, is_drained) => self.is_readable = !is_drained || self.is_read_closed,
            Fill::WouldBlock => self.is_readable = false,
            Fill::End => {}
        }
        Ok(fill)
    }
}

impl Reply {
    /// For an answer after which nothing more can be understood.
    pub const LAST: Reply =
        Reply { version: Version::Http11, is_head: false, keep_alive: false, has_unread_body: true };
}

/// The stage that a handler's step leads to.
pub fn follow<H: Handler>(step: Step<H>, reply: Reply, connection: &mut Connection, turn: &mut Turn<H>) -> Stage<H> {
    match step {
        Step::Answer(answer) => deliver(answer, reply, turn),
        Step::Await(exchange, _) => Stage::Await(Box::new(Await::new(exchange, reply))),
        // Only `begin` may ask for the request body; anything else has it already.
        Step::Upload(exchange, _) => refuse(connection, turn, Some(exchange), reply, CONFUSED),
    }
}

/// Has the handler answer what cannot be served.
pub fn refuse<H: Handler>(
    connection: &mut Connection,
    turn: &mut Turn<H>,
    exchange: Option<H::Exchange>,
    reply: Reply,
    refusal: Refusal,
) -> Stage<H> {
    turn.out.clear();
    refused(connection, turn, exchange, reply, refusal)
}

/// The same behind what `turn.out` holds already.
pub fn refused<H: Handler>(
    connection: &Connection,
    turn: &mut Turn<H>,
    exchange: Option<H::Exchange>,
    reply: Reply,
    refusal: Refusal,
) -> Stage<H> {
    let call = Call { local: &mut turn.local, now: turn.now, peer: &connection.peer, out: &mut turn.out };
    let answer = turn.handler.refuse(call, exchange, refusal);
    deliver(answer, reply, turn)
}

fn deliver<H: Handler>(answer: Answer<H>, reply: Reply, turn: &mut Turn<H>) -> Stage<H> {
    Stage::Deliver(Box::new(Deliver::new(answer, reply, turn)))
}

fn handshake<H: Handler>(connection: &mut Connection, turn: &mut Turn<H>) -> Next<H> {
    let Some(left) = turn.handshakes.checked_sub(1) else { return Next::Yield(Stage::Handshake) };
    turn.handshakes = left;
    match connection.socket.handshake() {
        Ok(fill) if !connection.socket.is_handshaking() && fill != Fill::End => {
            connection.peer.sni = connection.socket.server_name().map(|name| name.to_ascii_lowercase().into());
            connection.deadline = turn.now.monotonic + first_wait(&turn.limits).0;
            connection.is_readable = true;
            turn.handler.count(&mut turn.local, Event::Handshake);
            Next::Go(Stage::Head(Head::default()))
        }
        Ok(Fill::Bytes(_, is_drained)) if !is_drained || connection.is_read_closed => Next::Yield(Stage::Handshake),
        Ok(Fill::Bytes(..) | Fill::WouldBlock) if !connection.is_gone => Next::Park(Stage::Handshake),
        Ok(_) | Err(_) => {
            turn.handler.count(&mut turn.local, Event::HandshakeFailed);
            Next::Close
        }
    }
}

/// Moves what a parked session kept to the front of the worker's buffer; returns how much it is.
pub fn restore(connection: &mut Connection, buffer: &mut [u8]) -> usize {
    let kept = std::mem::take(&mut connection.input);
    match buffer.get_mut(..kept.len()) {
        Some(front) => {
            front.copy_from_slice(&kept);
            kept.len()
        }
        None => 0,
    }
}

/// Bytes a session may move before others have their turn (decisions 20).
pub const TURN_BYTES: usize = 256 << 10;
/// So many times as much of a file that the system sends by itself: it takes about as long as [`TURN_BYTES`] under TLS, and
/// fewer calls.
pub const UNCOPIED: usize = 4;
const TOO_SLOW: Refusal = Refusal { status: 408, reason: "the request took too long to arrive" };
const CONFUSED: Refusal = Refusal { status: 500, reason: "the exchange asked for its request body twice" };
