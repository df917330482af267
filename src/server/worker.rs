//! One worker: an epoll over its own sessions, and a loop that runs each until it would wait.
//!
//! A worker waits for nothing but its epoll. Sessions that are ready stand in line ([`Ready`]); one that has spent its turn
//! goes to the end. Wakes from flights and bodies, and new connections, arrive through channels whose senders never block.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::net::TcpStream;
use mio::{Events, Poll, Registry, Token, Waker};

use super::deadline::Wheel;
use super::listener::worker_slot;
use super::post::Post;
use super::ready::Ready;
use super::renew::input_size;
use super::seats::Seat;
use super::session::{Outcome, Session};
use super::states::StateTally;
use super::upload::SpillerRemote;
use super::{Clock, Event, Handler, Settings, Shared};
use crate::config::Limits;
use crate::error::Error;
use crate::time::Now;
use crate::wake::{Address, Mailbox};

/// How others reach a worker.
#[derive(Clone)]
pub struct Remote {
    /// Sessions it owns or is about to.
    pub sessions: Arc<AtomicUsize>,
    /// Its epoll, for the acceptor to register sockets in.
    pub registry: Arc<Registry>,
    incoming: Sender<Incoming>,
    post: Arc<Post>,
}

/// A connection on its way to its worker. The channel is bounded by the limit on connections.
pub struct Incoming {
    pub stream: TcpStream,
    pub peer: std::net::SocketAddr,
    pub is_https: bool,
    /// Its place among the connections of its address, where they are limited.
    pub seat: Option<Box<Seat>>,
}

impl Remote {
    /// Gives the worker a connection whose socket is already in its epoll.
    pub fn hand_over(&self, incoming: Incoming) {
        if self.incoming.send(incoming).is_ok() {
            self.post.look_again();
        }
    }

    /// What wakes the worker, for those who must not keep its channels.
    pub fn bell(&self) -> impl Fn() + Send + Sync + 'static {
        let post = self.post.clone();
        move || post.notify()
    }

    /// Wakes the worker to look at the shared flags.
    pub fn notify(&self) {
        self.post.notify();
    }
}

/// What every session of a worker may use while it runs: one set of buffers for all of them.
pub struct Turn<H: Handler> {
    pub handler: Arc<H>,
    pub local: H::Local,
    pub now: Now,
    pub limits: Limits,
    pub mailbox: Arc<dyn Mailbox>,
    pub spiller: SpillerRemote,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The worker's epoll.
    pub registry: Arc<Registry>,
    /// Bytes read from the session's socket, and where a memory file is read into for TLS, or a small answer is joined.
    pub input: Box<[u8]>,
    pub file: Box<[u8]>,
    /// The head of the answer being written.
    pub out: Vec<u8>,
    /// Handshake steps left of this loop turn: they are dear, and hits must not queue behind them (decisions 20).
    pub handshakes: usize,
    pub(super) shared: Arc<Shared>,
    /// Its connections by state.
    pub(super) states: StateTally,
    /// Renewals of the limits that this worker has taken up.
    pub(super) renewals: u64,
}

impl<H: Handler> Turn<H> {
    /// The server is to end: what runs is finished, nothing new begins.
    pub fn is_stopping(&self) -> bool {
        self.shared.is_stopping.load(Ordering::Acquire)
    }
}

struct Worker<H: Handler> {
    turn: Turn<H>,
    clock: Clock,
    poll: Poll,
    /// Idle sessions have been told that the server stops.
    is_swept: bool,
    post: Arc<Post>,
    wakes: Receiver<Address>,
    incoming: Receiver<Incoming>,
    open: Arc<AtomicUsize>,
    sessions: Vec<Option<Box<Session<H>>>>,
    /// Slots whose client had ended its side before the socket itself came; no event will tell of it again.
    early_ends: Vec<usize>,
    ready: Ready,
    wheel: Wheel,
    due: Vec<Address>,
    generation: u64,
    ticked: Duration,
    /// The handler has work for every moment.
    is_busy: bool,
}

/// Starts worker `number`.
pub fn start<H: Handler>(
    number: usize,
    handler: &Arc<H>,
    clock: Clock,
    settings: &Settings,
    shared: &Arc<Shared>,
    spiller: SpillerRemote,
) -> Result<(Remote, JoinHandle<()>), Error> {
    let failed = |source: io::Error| Error::Io { what: format!("start worker {number}"), source };
    let poll = Poll::new().map_err(failed)?;
    let waker = Waker::new(poll.registry(), WAKER).map_err(failed)?;
    let registry = Arc::new(poll.registry().try_clone().map_err(failed)?);
    let (wake_sender, wakes) = unbounded();
    let (incoming_sender, incoming) = unbounded();
    let post = Arc::new(Post::new(wake_sender, waker));
    let now = clock.now();
    let open = Arc::new(AtomicUsize::new(0));
    let turn = Turn {
        local: handler.local(number),
        handler: handler.clone(),
        now,
        limits: settings.limits.clone(),
        mailbox: post.clone(),
        spiller,
        tls: settings.tls.clone(),
        registry: registry.clone(),
        input: vec![0; input_size(&settings.limits)].into_boxed_slice(),
        file: vec![0; FILE_PART].into_boxed_slice(),
        out: Vec::with_capacity(OUT),
        handshakes: HANDSHAKES,
        shared: shared.clone(),
        states: StateTally::default(),
        renewals: 0,
    };
    let worker = Worker {
        turn,
        clock,
        poll,
        is_swept: false,
        post: post.clone(),
        wakes,
        incoming,
        open: open.clone(),
        sessions: Vec::new(),
        early_ends: Vec::new(),
        ready: Ready::new(),
        wheel: Wheel::new(now.monotonic),
        due: Vec::new(),
        generation: 0,
        ticked: now.monotonic,
        is_busy: false,
    };
    let thread =
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || worker.run()).map_err(failed)?;
    Ok((Remote { sessions: open, registry, incoming: incoming_sender, post }, thread))
}

impl<H: Handler> Worker<H> {
    fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        while !self.is_finished() {
            if self
                .poll
                .poll(&mut events, self.patience())
                .is_err_and(|error| error.kind() != io::ErrorKind::Interrupted)
            {
                // Nothing but a bug makes epoll itself fail; a pause keeps it from spinning.
                std::thread::sleep(Duration::from_millis(10));
            }
            self.turn.now = self.clock.now();
            self.turn.handshakes = HANDSHAKES;
            if self.turn.keep_up() {
                self.seat_all();
            }
            self.note(&events);
            self.ready.begin_round();
            while let Some(address) = self.ready.take_next() {
                self.run_session(address);
            }
            self.expire();
            self.is_busy = self.spare();
            if self.turn.now.monotonic.saturating_sub(self.ticked) >= TICK {
                self.ticked = self.turn.now.monotonic;
                self.turn.tick();
            }
        }
        for slot in 0..self.sessions.len() {
            self.close(slot);
        }
        self.turn.tick();
    }

    /// Where connections of an address are limited from now on, those that are there count too.
    fn seat_all(&mut self) {
        let seats = &self.turn.shared.seats;
        self.sessions.iter_mut().flatten().for_each(|session| session.sit(seats));
    }

    fn spare(&mut self) -> bool {
        let Turn { handler, local, now, .. } = &mut self.turn;
        catch_unwind(AssertUnwindSafe(|| handler.spare(*now))).unwrap_or_else(|_| {
            handler.count(local, Event::Panicked);
            false
        })
    }

    fn is_finished(&mut self) -> bool {
        let shared = self.turn.shared.clone();
        let is_closed = shared.is_closed.load(Ordering::SeqCst);
        if is_closed && !self.is_swept {
            self.is_swept = true;
            // Idle sessions end now; one that has a request in its socket is given a last turn to answer it.
            let addresses: Vec<Address> = self.sessions.iter().flatten().map(|session| session.address()).collect();
            addresses.into_iter().for_each(|address| self.make_ready(address));
        }
        let is_empty = self.ready.is_empty() && self.incoming.is_empty() && self.open.load(Ordering::SeqCst) == 0;
        shared.is_over.load(Ordering::SeqCst) || (is_closed && is_empty)
    }

    fn patience(&self) -> Option<Duration> {
        if self.is_busy || !self.ready.is_empty() || !self.incoming.is_empty() {
            return Some(Duration::ZERO);
        }
        // A connection that says nothing brings no event: it is found with the tick, and its deadlines begin then.
        let deadline = self.wheel.next(self.turn.now.monotonic);
        deadline.min(Some(TICK)).or(Some(TICK))
    }

    fn note(&mut self, events: &Events) {
        for event in events {
            if event.token() == WAKER {
                self.post.note_awake();
                continue;
            }
            let slot = event.token().0;
            if self.session(slot).is_none() {
                self.post.note_stray_event();
                self.take_in();
            }
            let Some(session) = self.session(slot) else {
                let has_ended = event.is_read_closed() || event.is_error();
                if has_ended && self.early_ends.len() < MOST_EARLY_ENDS {
                    self.early_ends.push(slot);
                }
                continue;
            };
            session.note(event);
            let address = session.address();
            self.make_ready(address);
        }
        self.take_in();
        while let Ok(address) = self.wakes.try_recv() {
            if let Some(session) = self.session(address.slot).filter(|session| session.address() == address) {
                session.woken();
                self.make_ready(address);
            }
        }
    }

    fn session(&mut self, slot: usize) -> Option<&mut Box<Session<H>>> {
        self.sessions.get_mut(slot)?.as_mut()
    }

    fn take_in(&mut self) {
        while let Ok(incoming) = self.incoming.try_recv() {
            let slot = worker_slot(&incoming.stream);
            self.generation += 1;
            let address = Address { slot, generation: self.generation };
            let place = self.early_ends.iter().position(|early| *early == slot);
            let has_ended = place.map(|place| self.early_ends.swap_remove(place)).is_some();
            let Some(session) = Session::new(incoming, address, has_ended, &mut self.turn) else {
                self.open.fetch_sub(1, Ordering::SeqCst);
                self.turn.shared.connections.fetch_sub(1, Ordering::Relaxed);
                continue;
            };
            if slot >= self.sessions.len() {
                self.sessions.resize_with((slot + 1).next_power_of_two(), || None);
            }
            if let Some(place) = self.sessions.get_mut(slot) {
                *place = Some(Box::new(session));
            }
            self.turn.handler.count(&mut self.turn.local, Event::Opened);
            self.make_ready(address);
        }
    }

    fn make_ready(&mut self, address: Address) {
        if let Some(session) = self.session(address.slot)
            && !std::mem::replace(&mut session.is_queued, true)
        {
            let is_under_way = session.is_under_way();
            self.ready.push(address, is_under_way);
        }
    }

    fn run_session(&mut self, address: Address) {
        let Some(session) = self.sessions.get_mut(address.slot).and_then(Option::as_mut) else { return };
        if session.address() != address {
            return;
        }
        session.is_queued = false;
        let turn = &mut self.turn;
        let outcome = catch_unwind(AssertUnwindSafe(|| session.run(turn))).unwrap_or_else(|_| {
            turn.handler.count(&mut turn.local, Event::Panicked);
            Outcome::Close
        });
        self.ready.note_spent(session.spent());
        match outcome {
            Outcome::Park => {
                if session.deadline < session.armed {
                    session.armed = session.deadline;
                    self.wheel.arm(address, session.deadline);
                }
            }
            Outcome::Yield => self.make_ready(address),
            Outcome::Close => self.close(address.slot),
        }
    }

    fn expire(&mut self) {
        let now = self.turn.now.monotonic;
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(now, &mut due);
        for address in due.drain(..) {
            let Some(session) = self.sessions.get_mut(address.slot).and_then(Option::as_mut) else { continue };
            if session.address() != address {
                continue;
            }
            if session.deadline <= now {
                session.is_late = true;
                session.armed = Duration::MAX;
                self.make_ready(address);
            } else {
                session.armed = session.deadline;
                let at = session.deadline;
                self.wheel.arm(address, at);
            }
        }
        self.due = due;
    }

    fn close(&mut self, slot: usize) {
        let Some(mut session) = self.sessions.get_mut(slot).and_then(Option::take) else { return };
        session.leave(&mut self.turn);
        drop(session);
        self.open.fetch_sub(1, Ordering::SeqCst);
        self.turn.shared.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Descriptors start at 0, so a token no descriptor can have marks the waker.
const WAKER: Token = Token(usize::MAX >> 1);
/// Of sockets that are closed already, some may stay; they only cost another read when their slot is used again.
const MOST_EARLY_ENDS: usize = 4096;
const HANDSHAKES: usize = 8;
const FILE_PART: usize = 64 << 10;
const OUT: usize = 4 << 10;
const TICK: Duration = Duration::from_secs(1);
