//! Sockets to exchanges: HTTP/1.1 towards clients, without a runtime.
//!
//! Acceptors block on their listeners and hand each connection to one worker, which owns it to its end: one epoll a
//! worker, sessions in a table, deadlines in a wheel. What a request *means* is the [`Handler`]'s business; this room
//! knows bytes, framing, time and when to stop.

mod clock;
mod deadline;
mod deliver;
mod event;
mod head;
mod inherited;
mod listener;
mod post;
mod ready;
mod renew;
mod seats;
mod session;
mod socket;
mod source;
mod states;
#[cfg(test)]
mod tests_panic;
#[cfg(test)]
mod tests_turns;
mod upload;
mod waiting;
mod worker;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

pub use clock::Clock;
pub use event::{Event, Measure, Slow};
pub use listener::Bound;
pub use seats::network_of;
pub use source::{Sequence, Stretch};
pub use states::ConnectionState;
pub use upload::Uploaded;

use crate::config::Limits;
use crate::error::Error;
use crate::http1::RequestHead;
use crate::status::ProxyError;
use crate::store::{Body, Chunk, Reader};
use crate::time::Now;
use crate::wake::Wake;

/// What requests mean. One value serves all workers; what one worker alone needs lies in its `Local`.
pub trait Handler: Send + Sync + 'static {
    /// What one worker keeps for the handler: scratch space, counters, the log buffer.
    type Local: Send;
    /// An exchange that waits for its request body or for a response.
    type Exchange: Send;
    /// What is to be remembered of an exchange until its answer is delivered.
    type Note: Send;

    /// The state for worker number `worker`.
    fn local(&self, worker: usize) -> Self::Local;
    /// Decides on a request whose head has arrived; nothing of its body has been read.
    fn begin(&self, call: Call<'_, Self::Local>, head: &RequestHead<'_, '_>) -> Step<Self>;
    /// The request body has arrived whole.
    fn uploaded(&self, call: Call<'_, Self::Local>, exchange: Self::Exchange, body: Uploaded) -> Step<Self>;
    /// Looks whether what the exchange waits for has come; if not, leaves `wake` with it.
    fn resume(&self, call: Call<'_, Self::Local>, exchange: Self::Exchange, wake: &Wake) -> Step<Self>;
    /// Answers what cannot be served: a malformed or late request (no exchange), a bad body, a wait past its end.
    fn refuse(&self, call: Call<'_, Self::Local>, exchange: Option<Self::Exchange>, refusal: Refusal) -> Answer<Self>;
    /// The answer has been delivered, or the client is gone.
    fn finish(&self, local: &mut Self::Local, now: Now, note: Self::Note, delivery: Delivery);
    /// The client has ended its side of the connection while the exchange waits: it has left, or has nothing more to say and
    /// reads on. May be called more than once.
    fn half_closed(&self, _exchange: &Self::Exchange) {}

    /// The client left while the exchange waited.
    fn abandoned(&self, local: &mut Self::Local, now: Now, exchange: Self::Exchange);
    /// Something happened at a connection that no exchange tells.
    fn count(&self, local: &mut Self::Local, event: Event);
    /// Called after every loop turn, which began at `now`: a moment for work that is nobody's turn. True where there is more
    /// of it: then the worker does not wait for its sockets, only looks at them.
    fn spare(&self, _now: Now) -> bool {
        false
    }
    /// Called now and then (about once a second), and after [`Server::renew`].
    fn tick(&self, local: &mut Self::Local, now: Now);
}

/// What a handler is given with every call.
pub struct Call<'a, L> {
    /// The worker's own state.
    pub local: &'a mut L,
    /// The clocks, read once a loop turn.
    pub now: Now,
    /// Who asks.
    pub peer: &'a Peer,
    /// Where the handler writes the status line and fields of its answer, without framing fields and blank line. Whole
    /// interim responses may stand before that; where `resume` goes on to wait, what it wrote leaves at once.
    pub out: &'a mut Vec<u8>,
}

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// The client's address.
    pub address: SocketAddr,
    /// The connection is TLS.
    pub is_https: bool,
    /// The server name that the client's TLS hello named, lower-case.
    pub sni: Option<Box<str>>,
}

/// What comes next for an exchange.
pub enum Step<H: Handler + ?Sized> {
    /// The answer is known; its head is in `Call::out`.
    Answer(Answer<H>),
    /// Read the request body, at most so many bytes, then call `uploaded`.
    Upload(H::Exchange, u64),
    /// Call `resume` now, and again at each wake; at this monotonic time call `refuse` with status 504.
    Await(H::Exchange, Duration),
}

/// An answer whose status line and end-to-end fields are in `Call::out`.
pub struct Answer<H: Handler + ?Sized> {
    /// The body, or why there is none.
    pub payload: Payload,
    /// The connection ends after this answer.
    pub close: bool,
    /// Comes back with `finish`.
    pub note: H::Note,
}

/// The body of an answer. The server writes the framing fields that fit.
pub enum Payload {
    /// No content: `Content-Length: 0`.
    Empty,
    /// The status has no body by definition (204, 304): no framing field.
    Absent,
    /// The answer to HEAD: the length that GET would show, where known.
    Head(Option<u64>),
    /// All of it in one piece, there already; its memory is accounted for as long as the piece is there.
    Whole(Chunk),
    /// Bytes as they arrive.
    Stream {
        /// Where they come from.
        reader: Reader,
        /// Bytes to leave out at the start.
        skip: u64,
        /// How many are to be sent, where known; otherwise all to the end of the body.
        length: Option<u64>,
    },
    /// Several stretches one after the other, all there already; their lengths together are the content's.
    Parts {
        /// What the stretches are cut from: its memory stays accounted for until they are sent.
        bodies: Vec<Arc<Body>>,
        /// The stretches, none of them empty.
        chunks: Vec<Chunk>,
    },
    /// Content that is found, and perhaps fetched, piece by piece while it is sent.
    Sequence {
        /// What finds it.
        sequence: Box<dyn Sequence>,
        /// How many bytes there are to send.
        length: u64,
    },
}

/// Why the server itself wants an answer made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status to answer.
    pub status: u16,
    /// One sentence for the page.
    pub reason: &'static str,
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Body bytes handed to the socket.
    pub bytes: u64,
    /// All of the answer was handed over.
    pub is_whole: bool,
    /// Why the body broke off, where it did; none where the client left.
    pub fault: Option<ProxyError>,
}

impl Delivery {
    /// Nobody is there to deliver to.
    pub const ABANDONED: Delivery = Delivery { bytes: 0, is_whole: false, fault: None };
}

/// How the server is to run.
#[derive(Clone)]
pub struct Settings {
    /// Worker threads.
    pub workers: usize,
    /// Limits towards clients.
    pub limits: Limits,
    /// Where request bodies beyond the memory limit go, unlinked.
    pub temp_dir: std::path::PathBuf,
    /// TLS towards clients; needed where a listener is HTTPS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// What acceptors and workers share.
struct Shared {
    /// Connections open, all workers together.
    connections: AtomicUsize,
    /// The same by state, up to a second late.
    states: states::StateSums,
    /// Errors of accept, for the metrics.
    accept_errors: AtomicU64,
    /// Times that accepting paused at the limit on connections.
    accept_pauses: AtomicU64,
    /// The places of each client address.
    seats: Arc<seats::Seats>,
    /// Answers say `Connection: close`, connections that stay idle end.
    is_stopping: AtomicBool,
    /// No connection will come any more.
    is_closed: AtomicBool,
    /// Drop what is left.
    is_over: AtomicBool,
    /// The limit on them.
    most_connections: AtomicUsize,
    /// The limits in force, and how often they have been renewed.
    limits: RwLock<Arc<Limits>>,
    renewals: AtomicU64,
}

/// What a server counts.
#[derive(Clone)]
pub struct Counts(Arc<Shared>);

impl Counts {
    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// Connections at most: what the limits say, or what descriptors leave room for.
    pub fn most_connections(&self) -> usize {
        self.0.most_connections.load(Ordering::Relaxed)
    }

    /// Connections in each state, in the order of [`ConnectionState::ALL`]; up to a second late.
    pub fn by_state(&self) -> [u64; ConnectionState::ALL.len()] {
        self.0.states.counts()
    }

    /// Errors of accept so far.
    pub fn accept_errors(&self) -> u64 {
        self.0.accept_errors.load(Ordering::Relaxed)
    }

    /// Times that accepting paused at the limit on connections, and connections closed at the limit of their address.
    pub fn limited(&self) -> (u64, u64) {
        self.0.limited()
    }

    /// It ends what runs, and begins nothing.
    pub fn is_stopping(&self) -> bool {
        self.0.is_stopping.load(Ordering::Relaxed)
    }
}

/// Listeners and workers at work. Dropping it without `shutdown` ends them at once.
pub struct Server {
    shared: Arc<Shared>,
    acceptors: Mutex<Vec<listener::Acceptor>>,
    workers: Vec<(worker::Remote, JoinHandle<()>)>,
    spiller: Option<upload::Spiller>,
}

impl Server {
    /// Starts workers for `handler` and an acceptor for each listener already bound.
    pub fn start<H: Handler>(
        handler: &Arc<H>,
        clock: Clock,
        settings: &Settings,
        listeners: Vec<Bound>,
    ) -> Result<Server, Error> {
        let shared = Arc::new(Shared {
            connections: AtomicUsize::new(0),
            states: states::StateSums::default(),
            accept_errors: AtomicU64::new(0),
            accept_pauses: AtomicU64::new(0),
            seats: Arc::new(seats::Seats::new(settings.limits.connections_per_address)),
            is_stopping: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            most_connections: AtomicUsize::new(renew::most_connections(&settings.limits)),
            limits: RwLock::new(Arc::new(settings.limits.clone())),
            renewals: AtomicU64::new(0),
        });
        let spiller = upload::Spiller::start(settings.temp_dir.clone())?;
        let spill = spiller.remote();
        let mut server = Server { shared, acceptors: Mutex::default(), workers: Vec::new(), spiller: Some(spiller) };
        for number in 0..settings.workers.max(1) {
            let started = worker::start(number, handler, clock, settings, &server.shared, spill.clone())?;
            server.workers.push(started);
        }
        server.listen(listeners)?;
        Ok(server)
    }

    /// What wakes all workers, so that each calls [`Handler::spare`]. It does not keep the server alive.
    pub fn bell(&self) -> impl Fn() + Send + Sync + 'static {
        let bells: Vec<_> = self.workers.iter().map(|(remote, _)| remote.bell()).collect();
        move || bells.iter().for_each(|ring| ring())
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Errors of accept so far.
    pub fn accept_errors(&self) -> u64 {
        self.shared.accept_errors.load(Ordering::Relaxed)
    }

    /// The same for those who must not keep the server alive.
    pub fn counts(&self) -> Counts {
        Counts(self.shared.clone())
    }

    /// See [`Counts::limited`].
    pub fn limited(&self) -> (u64, u64) {
        self.shared.limited()
    }

    /// Stops accepting, lets what runs finish within `shutdown_timeout`, then ends.
    pub fn shutdown(mut self) {
        let timeout = self.shared.limits().shutdown_timeout;
        self.stop(timeout);
    }

    fn stop(&mut self, timeout: Duration) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        self.leave_all();
        self.shared.is_closed.store(true, Ordering::SeqCst);
        let (done, finished) = crossbeam_channel::bounded::<()>(0);
        let workers = std::mem::take(&mut self.workers);
        for (remote, _) in &workers {
            remote.notify();
        }
        let (remotes, threads): (Vec<_>, Vec<_>) = workers.into_iter().unzip();
        let joiner = std::thread::spawn(move || {
            for thread in threads {
                let _ = thread.join();
            }
            drop(done);
        });
        if finished.recv_timeout(timeout) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            self.shared.is_over.store(true, Ordering::SeqCst);
            for remote in &remotes {
                remote.notify();
            }
        }
        let _ = joiner.join();
        self.spiller = None;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.workers.is_empty() {
            self.stop(Duration::ZERO);
        }
    }
}
