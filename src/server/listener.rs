//! Acceptors: one blocking thread a listener, which hands each connection to the worker with the fewest.
//!
//! The socket is registered in the worker's own epoll from here (no system call is left for the worker) and travels
//! through the worker's channel. Out of descriptors, or at the connection limit, the acceptor pauses instead of spinning.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, Protocol, Socket, Type};

use super::Shared;
use super::worker::{Incoming, Remote};
use crate::error::Error;

/// A listening socket, not yet accepting.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    is_https: bool,
}

impl Bound {
    /// Binds and listens on `address` (port 0: any free port).
    ///
    /// # Errors
    /// `Error::Io` naming the address.
    pub fn bind(address: SocketAddr, is_https: bool) -> Result<Bound, Error> {
        let bind = || -> io::Result<Bound> {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            // Accepted sockets inherit it on Linux, which saves a call each.
            socket.set_tcp_nodelay(true)?;
            if address.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            let listener = TcpListener::from_std(std::net::TcpListener::from(OwnedFd::from(socket)));
            let address = listener.local_addr()?;
            Ok(Bound { listener, address, is_https })
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
    waker: Waker,
    thread: JoinHandle<()>,
}

impl Acceptor {
    /// Starts the thread.
    pub fn start(bound: Bound, workers: Vec<Remote>, shared: Arc<Shared>, limit: usize) -> Result<Acceptor, Error> {
        let start = || -> io::Result<Acceptor> {
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), STOP)?;
            let mut accepting = Accepting { poll, bound, workers, shared, limit, turn: 0, is_stopped: false };
            accepting.poll.registry().register(&mut accepting.bound.listener, LISTENER, Interest::READABLE)?;
            let thread = std::thread::Builder::new()
                .name("acceptor".into())
                .stack_size(256 << 10)
                .spawn(move || accepting.run())?;
            Ok(Acceptor { waker, thread })
        };
        start().map_err(|source| Error::Io { what: "start an acceptor".into(), source })
    }

    /// Stops accepting; returns when the listener is closed.
    pub fn stop(self) {
        if self.waker.wake().is_ok() {
            let _ = self.thread.join();
        }
    }
}

struct Accepting {
    poll: Poll,
    bound: Bound,
    workers: Vec<Remote>,
    shared: Arc<Shared>,
    limit: usize,
    turn: usize,
    is_stopped: bool,
}

impl Accepting {
    fn run(mut self) {
        let mut events = Events::with_capacity(4);
        while !self.is_stopped {
            self.wait(&mut events, None);
            while !self.is_stopped {
                match self.accept() {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if is_about_one_connection(&error) => {}
                    Err(_) => {
                        // Out of descriptors or memory: what is open goes on, and room may come back.
                        self.shared.accept_errors.fetch_add(1, Ordering::Relaxed);
                        self.wait(&mut events, Some(PAUSE));
                    }
                }
            }
        }
    }

    fn wait(&mut self, events: &mut Events, timeout: Option<Duration>) {
        if self.poll.poll(events, timeout).is_ok() {
            self.is_stopped |= events.iter().any(|event| event.token() == STOP);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        if self.shared.connections.load(Ordering::Relaxed) >= self.limit {
            return Err(io::Error::from(io::ErrorKind::QuotaExceeded));
        }
        let (stream, peer) = self.bound.listener.accept()?;
        self.hand_over(stream, peer)
    }

    fn hand_over(&mut self, mut stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        self.turn = self.turn.wrapping_add(1);
        let count = self.workers.len();
        let Some(worker) = (0..count)
            .filter_map(|step| self.workers.get((self.turn + step) % count))
            .min_by_key(|worker| worker.sessions.load(Ordering::Relaxed))
        else {
            return Ok(());
        };
        let token = Token(worker_slot(&stream));
        worker.registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
        worker.sessions.fetch_add(1, Ordering::Relaxed);
        worker.hand_over(Incoming { stream, peer, is_https: self.bound.is_https });
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

const LISTENER: Token = Token(0);
const STOP: Token = Token(1);
const BACKLOG: i32 = 4096;
const PAUSE: Duration = Duration::from_millis(50);
