//! Acceptors: one blocking thread a listener, which hands each connection to the worker with the fewest.
//!
//! The thread blocks in `accept` itself, so that a connection costs it two system calls: taking it, and registering it in
//! the worker's own epoll. The socket travels through the worker's channel. Out of descriptors, or at the connection
//! limit, the acceptor pauses instead of spinning. Shutting the listener down ends the blocking call.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Token};
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, Socket, Type};

use super::worker::{Incoming, Remote};
use super::{Shared, inherited};
use crate::error::Error;

/// A listening socket, not yet accepting.
pub struct Bound {
    listener: Socket,
    address: SocketAddr,
    is_https: bool,
    /// It was handed over, and stays open for whoever comes after us.
    is_inherited: bool,
}

impl Bound {
    /// Binds and listens on `address` (port 0: any free port), or takes over the socket there that a service manager hands
    /// over.
    ///
    /// # Errors
    /// `Error::Io` naming the address.
    pub fn bind(address: SocketAddr, is_https: bool) -> Result<Bound, Error> {
        let bind = || -> io::Result<Bound> {
            if let Some(listener) = inherited::listener(address) {
                listener.set_nonblocking(false)?;
                listener.set_tcp_nodelay(true)?;
                // How the acceptor gets to look whether it is to stop: ending the socket would end it for all who have it.
                listener.set_read_timeout(Some(LOOK))?;
                return Ok(Bound { listener, address, is_https, is_inherited: true });
            }
            let listener = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            listener.set_reuse_address(true)?;
            // Accepted sockets inherit it on Linux, which saves a call each.
            listener.set_tcp_nodelay(true)?;
            if address.is_ipv6() {
                listener.set_only_v6(true)?;
            }
            listener.bind(&address.into())?;
            listener.listen(BACKLOG)?;
            let address = listener.local_addr()?.as_socket().unwrap_or(address);
            Ok(Bound { listener, address, is_https, is_inherited: false })
        };
        bind().map_err(|source| Error::Io { what: format!("listen on {address}"), source })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A running acceptor thread.
pub struct Acceptor {
    listener: Arc<Socket>,
    address: SocketAddr,
    is_inherited: bool,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Acceptor {
    /// Starts the thread.
    pub fn start(bound: Bound, workers: Vec<Remote>, shared: Arc<Shared>) -> Result<Acceptor, Error> {
        let listener = Arc::new(bound.listener);
        let is_over = Arc::new(AtomicBool::new(false));
        let accepting = Accepting {
            listener: listener.clone(),
            is_https: bound.is_https,
            workers,
            shared,
            is_over: is_over.clone(),
            is_inherited: bound.is_inherited,
            turn: 0,
            pace: Pace::default(),
        };
        let thread = std::thread::Builder::new()
            .name("acceptor".into())
            .stack_size(256 << 10)
            .spawn(move || accepting.run())
            .map_err(|source| Error::Io { what: "start an acceptor".into(), source })?;
        Ok(Acceptor { listener, address: bound.address, is_inherited: bound.is_inherited, is_over, thread })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting; returns when the listener is closed.
    pub fn stop(self) {
        self.is_over.store(true, Ordering::SeqCst);
        // On Linux this also ends an accept that blocks, with an error.
        if self.is_inherited || self.listener.shutdown(std::net::Shutdown::Both).is_ok() {
            let _ = self.thread.join();
        }
    }
}

struct Accepting {
    listener: Arc<Socket>,
    is_https: bool,
    workers: Vec<Remote>,
    shared: Arc<Shared>,
    is_over: Arc<AtomicBool>,
    is_inherited: bool,
    turn: usize,
    pace: Pace,
}

/// How the acceptor waits. At a low rate it blocks for each connection. At a high one, where a thread woken for each would
/// cost clients and workers more than the connection itself, it takes all there are, and rests a moment between.
#[derive(Default)]
struct Pace {
    /// Connections taken since `since`, or since the last rest.
    taken: usize,
    since: Option<Instant>,
    is_resting: bool,
    /// Rests after which nobody was there, one after the other.
    idle: u32,
}

impl Pace {
    /// Nobody is left to be taken: does the rush go on?
    fn rests_again(&mut self) -> bool {
        self.idle = if std::mem::take(&mut self.taken) > 0 { 0 } else { self.idle.saturating_add(1) };
        self.idle < IDLE_RESTS
    }
}

impl Accepting {
    fn run(mut self) {
        loop {
            let accepted = self.accept();
            // What waits in a socket of our own would be lost with it; in one that stays it is the next program's.
            if self.is_over.load(Ordering::SeqCst) && (self.is_inherited || accepted.is_err()) {
                return;
            }
            match accepted {
                Ok(()) => self.note_taken(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.rest(),
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
                    self.shared.accept_pauses.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(PAUSE);
                }
                Err(_) => {
                    // Out of descriptors or memory: what is open goes on, and room may come back.
                    self.shared.accept_errors.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Begins to rest between rounds once a window of connections came quickly.
    fn note_taken(&mut self) {
        self.pace.taken += 1;
        if self.pace.is_resting || self.pace.taken < WINDOW {
            return;
        }
        let now = Instant::now();
        let is_rush = self.pace.since.is_some_and(|since| now.duration_since(since) < RUSH);
        self.pace.taken = 0;
        self.pace.since = Some(now);
        self.pace.is_resting = is_rush && self.listener.set_nonblocking(true).is_ok();
    }

    /// Nobody is left: a short rest, or back to blocking where nobody came during the last few.
    fn rest(&mut self) {
        if self.pace.rests_again() {
            std::thread::sleep(REST);
        } else if self.listener.set_nonblocking(false).is_ok() {
            self.pace = Pace::default();
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        if self.shared.connections.load(Ordering::Relaxed) >= self.shared.most_connections.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::QuotaExceeded));
        }
        let (socket, peer) = acceptfrom_with(&*self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
        let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        let peer = peer.ok_or(io::ErrorKind::ConnectionAborted)?;
        self.hand_over(TcpStream::from_std(OwnedFd::into(socket)), peer)
    }

    /// Counts a connection that has been accepted, once there is room for it: another acceptor may have had the last place
    /// meanwhile, or the limit be another one. When the listener is to close, that is all the same.
    fn admit(&self) {
        let most = || self.shared.most_connections.load(Ordering::Relaxed);
        let more = |open: usize| (open < most() || self.is_over.load(Ordering::SeqCst)).then(|| open.saturating_add(1));
        while self.shared.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            self.shared.accept_pauses.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(PAUSE);
        }
    }

    fn hand_over(&mut self, mut stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        // Without a place the connection is closed at once: dropping it does that.
        let Ok(seat) = self.shared.seats.take(peer.ip()) else { return Ok(()) };
        self.turn = self.turn.wrapping_add(1);
        let count = self.workers.len();
        let Some(worker) = (0..count)
            .filter_map(|step| self.workers.get((self.turn + step) % count))
            .min_by_key(|worker| worker.sessions.load(Ordering::Relaxed))
        else {
            return Ok(());
        };
        self.admit();
        let token = Token(worker_slot(&stream));
        // Reading only: a new socket can always be written to, and the worker would be woken before there is a request.
        if let Err(error) = worker.registry.register(&mut stream, token, Interest::READABLE) {
            self.shared.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(error);
        }
        worker.sessions.fetch_add(1, Ordering::Relaxed);
        worker.hand_over(Incoming { stream, peer, is_https: self.is_https, seat });
        Ok(())
    }
}

/// A session's slot is its descriptor: unique among open sockets, small, and known before the worker sees it.
pub fn worker_slot(stream: &TcpStream) -> usize {
    use std::os::fd::AsRawFd;
    usize::try_from(stream.as_raw_fd()).unwrap_or(usize::MAX)
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

const BACKLOG: i32 = 4096;
/// This many connections within [`RUSH`] are a rush: 4,000 a second.
const WINDOW: usize = 32;
const RUSH: Duration = Duration::from_millis(8);
/// What a connection of a rush may wait. Shorter ones wake the thread for each connection again, and it then takes turns with
/// a worker: with TLS handshakes, 200 microseconds cost a thirtieth of the rate.
const REST: Duration = Duration::from_micros(400);
/// In a rush that has just begun, a rest may well find nobody.
const IDLE_RESTS: u32 = 8;
/// How long an acceptor on a socket that others have too waits before it looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rush_is_over_after_several_rests_without_anybody_one_after_the_other() {
        let mut pace = Pace::default();
        for taken in [1, 0, 0, 5] {
            pace.taken = taken;
            assert!(pace.rests_again(), "{taken}");
        }
        let more = (0..100).take_while(|_| pace.rests_again()).count();
        assert_eq!(more, 7);
    }
}
