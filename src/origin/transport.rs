//! ureq as a neutral pipe: it writes the request and runs the exchange on a connection that we give it (ureq.md).
//!
//! The only door to `ureq::unversioned`. One agent a fetcher thread; an exchange reaches its connector through a
//! thread-local and comes back the same way when ureq drops the transport. ureq never sees the origin's head: `Answer`
//! reads it, and ureq gets a stub that ends its exchange. The body is then read by `OriginBody`, under our framing rules.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ureq::http::{Request, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Agent, SendBody};

use super::answer::Answer;
use super::connection::{Connection, WireFailure};
use super::error::Cause;
use crate::status::Phase;

/// One request and its answer on one connection.
pub struct Exchange {
    /// The connection, live.
    pub connection: Connection,
    /// The answer, as far as it has come.
    pub answer: Answer,
    /// How long each step may take.
    pub limits: ExchangeLimits,
    /// Set when the answer came before the body was sent: the connection cannot serve again.
    pub is_answered_early: Arc<AtomicBool>,
    /// What broke, and in which phase.
    pub failure: Option<(Cause, Phase)>,
    /// When the first byte of the answer was seen.
    pub first_byte: Option<Instant>,
    has_upload: bool,
    is_in_body: bool,
    output: Vec<u8>,
    /// How much of [`STUB`] ureq has used up; `None`: the answer is not here yet.
    stub: Option<usize>,
}

/// Deadlines of an exchange.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeLimits {
    /// From the request's last byte to the answer's first, and from an interim response to what follows it.
    pub first_byte: Duration,
    /// Between two steps of an upload, and between two parts of a head.
    pub between_bytes: Duration,
    /// When the head must be complete; moves on while an upload makes progress.
    pub head: Instant,
}

impl Exchange {
    /// An exchange to come. `head_size`: room for the request's head.
    pub fn new(connection: Connection, answer: Answer, limits: ExchangeLimits, head_size: usize) -> Box<Exchange> {
        let mut output = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten().unwrap_or_default();
        if output.len() < head_size {
            output.resize(head_size, 0);
        }
        Box::new(Exchange {
            connection,
            answer,
            limits,
            is_answered_early: Arc::default(),
            failure: None,
            first_byte: None,
            has_upload: false,
            is_in_body: false,
            output,
            stub: None,
        })
    }

    /// Lets ureq run the exchange. `has_upload`: the request has a body of at least one byte. `None` if ureq kept the
    /// exchange, which it does not.
    pub fn run(mut self: Box<Self>, request: Request<SendBody<'static>>, has_upload: bool) -> Option<Box<Exchange>> {
        self.has_upload = has_upload;
        if has_upload && self.output.len() < UPLOAD_STEP {
            self.output.resize(UPLOAD_STEP, 0);
        }
        SLOT.with(|slot| slot.replace(Some(self)));
        // The agent is out of its place while it runs, so that a panic cannot leave a broken one behind.
        let agent = AGENT.take().unwrap_or_else(agent);
        let result = agent.run(request).map(drop);
        AGENT.set(Some(agent));
        let mut exchange = SLOT.with(RefCell::take)?;
        if let (Err(error), None) = (result, &exchange.failure) {
            exchange.failure = Some(own_cause(&error));
        }
        exchange.release_output();
        Some(exchange)
    }

    /// Sends `output[..amount]`, unless the origin has answered already.
    fn send(&mut self, amount: usize) -> Result<(), Cause> {
        let mut sent = 0;
        while sent < amount && !self.answer.is_whole() {
            if self.is_in_body && self.look_for_answer()? {
                break;
            }
            let data = self.output.get(sent..amount).unwrap_or_default();
            match self.connection.try_write(data) {
                Ok(0) => {
                    let stall = Instant::now() + self.limits.between_bytes;
                    let deadline = if self.is_in_body { stall } else { stall.min(self.limits.head) };
                    self.connection.wait_to_write(deadline).map_err(Cause::Wire)?;
                    self.look_for_answer()?;
                }
                Ok(count) => sent = sent.saturating_add(count),
                // An origin that refuses an upload answers and closes; the answer may be waiting.
                Err(failure) => {
                    return if self.look_for_answer().unwrap_or(false) { Ok(()) } else { Err(Cause::Wire(failure)) };
                }
            }
        }
        if self.answer.is_whole() {
            self.is_answered_early.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Takes in what has come without waiting; true once the final head is here.
    fn look_for_answer(&mut self) -> Result<bool, Cause> {
        loop {
            match self.connection.try_fill() {
                Ok(None) => return Ok(false),
                Ok(Some(0)) => return Err(Cause::Wire(WireFailure::Closed)),
                Ok(Some(_)) => self.saw_bytes(),
                Err(failure) => return Err(Cause::Wire(failure)),
            }
            if self.answer.advance(&mut self.connection.input)? {
                return Ok(true);
            }
        }
    }

    /// Waits for the final head.
    fn receive(&mut self) -> Result<(), Cause> {
        let now = Instant::now();
        if self.has_upload {
            // A long upload has used up time that the origin did not.
            self.limits.head = self.limits.head.max(now + self.limits.first_byte);
        }
        while !self.answer.advance(&mut self.connection.input)? {
            // An origin may think before a head; in the middle of one it has no reason to pause.
            let (patience, setting) = match self.connection.input.is_empty() {
                true => (self.limits.first_byte, "first_byte"),
                false => (self.limits.between_bytes, "between_bytes"),
            };
            let next = Instant::now() + patience;
            match self.connection.await_fill(next.min(self.limits.head)) {
                Ok(0) => return Err(Cause::Wire(WireFailure::Closed)),
                Ok(_) => self.saw_bytes(),
                Err(WireFailure::Timeout) if self.first_byte.is_some() && next < self.limits.head => {
                    return Err(Cause::Silent(setting));
                }
                Err(failure) => return Err(Cause::Wire(failure)),
            }
        }
        Ok(())
    }

    fn saw_bytes(&mut self) {
        if self.first_byte.is_none() {
            self.first_byte = Some(Instant::now());
        }
    }

    fn release_output(&mut self) {
        let output = std::mem::take(&mut self.output);
        if output.len() <= MAX_SPARE_SIZE {
            let _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.is_empty() {
                    spare.push(output);
                }
            });
        }
    }
}

/// An error of ureq itself. The transport's own errors are in [`Exchange::failure`], and the head is a stub, so what
/// remains is a request that cannot be written, or an upload that cannot be read.
fn own_cause(error: &ureq::Error) -> (Cause, Phase) {
    let cause = match error {
        ureq::Error::Io(error) => Cause::Upload(error.to_string()),
        error => Cause::Request(error.to_string()),
    };
    (cause, Phase::SendRequest)
}

thread_local! {
    static AGENT: Cell<Option<Agent>> = const { Cell::new(None) };
    /// The exchange on its way to the connector, or back from a dropped transport.
    static SLOT: RefCell<Option<Box<Exchange>>> = const { RefCell::new(None) };
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An agent that adds nothing, follows nothing, keeps nothing (ureq.md section 1).
fn agent() -> Agent {
    let config = Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent("")
        .accept("")
        .accept_encoding("")
        .allow_non_standard_methods(true)
        .max_response_header_size(64 * 1024)
        .max_idle_connections(0)
        .build();
    Agent::with_parts(config, SlotConnector, NoResolver)
}

/// Hands the exchange in the thread's slot to ureq.
#[derive(Debug)]
struct SlotConnector;

impl Connector for SlotConnector {
    type Out = SlotTransport;

    fn connect(&self, _: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<SlotTransport>, ureq::Error> {
        Ok(SLOT.with(RefCell::take).map(|exchange| SlotTransport { exchange: Some(exchange) }))
    }
}

/// Addresses are found before ureq is asked.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &ureq::config::Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// The exchange in ureq's hands. `Drop` brings it back to the slot; it must not block or panic.
struct SlotTransport {
    exchange: Option<Box<Exchange>>,
}

impl SlotTransport {
    fn step(
        &mut self,
        phase: Phase,
        step: impl FnOnce(&mut Exchange) -> Result<(), Cause>,
    ) -> Result<&mut Exchange, ureq::Error> {
        // `Other`, because ureq takes some I/O errors for the end of a body.
        let stopped = || ureq::Error::Other(Box::new(Stopped));
        let exchange = self.exchange.as_mut().ok_or_else(stopped)?;
        match step(exchange) {
            Ok(()) => Ok(exchange),
            Err(cause) => {
                exchange.failure = Some((cause, phase));
                Err(stopped())
            }
        }
    }
}

impl Transport for SlotTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        self.step(Phase::SendRequest, |exchange| match amount {
            0 => Err(Cause::Internal("ureq made no progress with the request".into())),
            _ => exchange.send(amount),
        })?;
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let exchange = self.step(Phase::ResponseHead, Exchange::receive)?;
        exchange.stub = Some(0);
        Ok(true)
    }

    /// ureq's pool must not keep the transport: the connection is needed for the body.
    fn is_open(&mut self) -> bool {
        false
    }

    fn is_tls(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.connection.is_tls())
    }
}

impl Buffers for SlotTransport {
    fn output(&mut self) -> &mut [u8] {
        self.exchange.as_mut().map(|exchange| exchange.output.as_mut_slice()).unwrap_or_default()
    }

    fn input(&self) -> &[u8] {
        let used = self.exchange.as_ref().and_then(|exchange| exchange.stub);
        used.and_then(|used| STUB.get(used..)).unwrap_or_default()
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        &mut []
    }

    fn input_appended(&mut self, _: usize) {}

    fn input_consume(&mut self, amount: usize) {
        if let Some(used) = self.exchange.as_mut().and_then(|exchange| exchange.stub.as_mut()) {
            *used = used.saturating_add(amount).min(STUB.len());
        }
    }

    /// ureq calls this for the body alone. No scratch room is needed: bodies go out with a length, never chunked.
    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        if let Some(exchange) = &mut self.exchange {
            exchange.is_in_body = true;
        }
        (&mut [], self.output())
    }

    fn can_use_input(&self) -> bool {
        !self.input().is_empty()
    }
}

impl Drop for SlotTransport {
    fn drop(&mut self) {
        let exchange = self.exchange.take();
        let _ = SLOT.try_with(|slot| {
            if let Ok(mut slot) = slot.try_borrow_mut() {
                *slot = exchange;
            }
        });
    }
}

impl fmt::Debug for SlotTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlotTransport")
    }
}

/// The transport stopped; why is in [`Exchange::failure`].
#[derive(Debug)]
struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the exchange was stopped")
    }
}

impl std::error::Error for Stopped {}

/// Ends ureq's exchange without a body.
const STUB: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// Bytes of an upload in one write.
const UPLOAD_STEP: usize = 64 * 1024;
/// A thread that met a huge request does not keep that much memory.
const MAX_SPARE_SIZE: usize = 128 * 1024;
