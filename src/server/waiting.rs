//! The stage between a request and its answer: nothing to send but interim responses.

use super::session::{Connection, Next, Reply, Stage, follow, refused};
use super::worker::Turn;
use super::{Call, Handler, Refusal, Step};

/// Waiting for a response; the exchange knows for what.
pub struct Await<H: Handler> {
    exchange: H::Exchange,
    reply: Reply,
    /// What the socket has not taken yet of interim responses.
    unsent: Vec<u8>,
}

impl<H: Handler> Await<H> {
    /// Waits for what `exchange` knows.
    pub fn new(exchange: H::Exchange, reply: Reply) -> Await<H> {
        Await { exchange, reply, unsent: Vec::new() }
    }

    /// The exchange, for a client that left.
    pub fn into_exchange(self) -> H::Exchange {
        self.exchange
    }

    /// Asks the handler again; goes on once there is an answer.
    pub fn step(mut self, connection: &mut Connection, turn: &mut Turn<H>) -> Next<H> {
        if connection.is_gone {
            turn.handler.abandoned(&mut turn.local, turn.now, self.exchange);
            return Next::Close;
        }
        if connection.is_read_closed {
            turn.handler.half_closed(&self.exchange);
        }
        turn.out.clear();
        turn.out.append(&mut self.unsent);
        let wake = connection.wake(&turn.mailbox).clone();
        let call = Call { local: &mut turn.local, now: turn.now, peer: &connection.peer, out: &mut turn.out };
        match turn.handler.resume(call, self.exchange, &wake) {
            Step::Await(exchange, until) => {
                connection.deadline = until;
                let unsent = send_interim(&turn.out, connection);
                let stage = Stage::Await(Box::new(Await { exchange, reply: self.reply, unsent }));
                if connection.is_gone { Next::Go(stage) } else { Next::Park(stage) }
            }
            step => Next::Go(follow(step, self.reply, connection, turn)),
        }
    }

    /// The answer of a wait that was too long, behind what is left of interim responses.
    pub fn late(mut self, connection: &Connection, turn: &mut Turn<H>) -> Stage<H> {
        turn.out.clear();
        turn.out.append(&mut self.unsent);
        refused(connection, turn, Some(self.exchange), self.reply, WAITED_TOO_LONG)
    }
}

/// Hands whole interim responses to the socket without waiting for it; returns what it did not take.
fn send_interim(out: &[u8], connection: &mut Connection) -> Vec<u8> {
    let mut rest = out;
    while !rest.is_empty() && !connection.is_gone {
        match connection.socket.write(rest) {
            Ok(Some(n)) => rest = rest.get(n..).unwrap_or_default(),
            Ok(None) => return rest.to_vec(),
            Err(_) => connection.is_gone = true,
        }
    }
    // TLS may hold some of it back until the socket has room again.
    connection.is_gone |= connection.socket.flush().is_err();
    Vec::new()
}

const WAITED_TOO_LONG: Refusal = Refusal { status: 504, reason: "the origin did not answer in time" };
