//! TCP to the origin: staggered dialling over all addresses of a name, and waits with a deadline. The only door to
//! `socket2` and `rustix` in this room.
//!
//! All sockets are non-blocking; whoever must wait waits in `poll`. Refuses to know of TLS and HTTP.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

/// One address that could not be reached, and why.
#[derive(Debug)]
pub struct Refusal {
    /// The address.
    pub address: SocketAddr,
    /// What happened there.
    pub kind: RefusalKind,
}

/// How a connect attempt failed. Ordered: of several addresses, the greatest kind says most about the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalKind {
    /// Our own fault: no descriptor, no memory.
    Own,
    /// No route, no such network, forbidden by a firewall of ours.
    Unroutable,
    /// Nothing came back in time.
    Timeout,
    /// Reset while connecting.
    Reset,
    /// Nothing listens there.
    Refused,
}

impl RefusalKind {
    /// What the address did.
    pub fn words(self) -> &'static str {
        match self {
            RefusalKind::Refused => "refused the connection",
            RefusalKind::Reset => "reset the connection",
            RefusalKind::Timeout => "did not answer in time",
            RefusalKind::Unroutable => "cannot be reached from here",
            RefusalKind::Own => "was not tried: this machine is out of sockets or memory",
        }
    }
}

/// Who is told how each address behaves while addresses are dialled, and knows what others have found.
pub trait Onlooker {
    /// The attempt failed.
    fn failed(&self, address: SocketAddr, kind: RefusalKind);
    /// It said nothing while another, dialled later, took the connection.
    fn overtaken(&self, address: SocketAddr);
    /// It took the connection.
    fn answered(&self, address: SocketAddr);
    /// Others have met silence there: not worth waiting for.
    fn is_lost(&self, address: SocketAddr) -> bool;
}

/// Connects to the first address that answers (RFC 8305): the next one starts [`STAGGER`] after the one before, or at
/// once when that fails. On failure every address comes back with its reason.
pub fn dial(addresses: &[SocketAddr], deadline: Instant) -> Result<(TcpStream, SocketAddr), Vec<Refusal>> {
    dial_watched(addresses, deadline, None)
}

/// The same before an onlooker, who is told of every address and may call one off.
pub fn dial_watched(
    addresses: &[SocketAddr],
    deadline: Instant,
    onlooker: Option<&dyn Onlooker>,
) -> Result<(TcpStream, SocketAddr), Vec<Refusal>> {
    let mut race = Race { running: Vec::new(), refused: Vec::new(), onlooker };
    let mut waiting = interleaved(addresses).into_iter().peekable();
    // With many addresses the steps shrink, so that the last still has its chance before the deadline.
    let steps = u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_add(1);
    let stagger = STAGGER.min(deadline.saturating_duration_since(Instant::now()) / steps);
    let mut next_start = Instant::now();
    loop {
        let now = Instant::now();
        if now >= deadline {
            return Err(race.out_of_time(waiting));
        }
        let refused = race.refused.len();
        if race.running.is_empty() || now >= next_start {
            if let Some(address) = waiting.next() {
                race.start(address);
                next_start = now + stagger;
            } else if race.running.is_empty() {
                return Err(race.refused);
            }
        }
        let until = if waiting.peek().is_some() { next_start.min(deadline) } else { deadline };
        let glance = if onlooker.is_some() { now + GLANCE } else { until };
        if let Some(winner) = race.wait(until.min(glance)) {
            return Ok(winner);
        }
        race.call_off();
        if race.refused.len() > refused {
            next_start = Instant::now();
        }
    }
}

/// Connects to every address at once, only to see who answers; every address comes back with its outcome.
pub fn knock(addresses: &[SocketAddr], deadline: Instant) -> Vec<(SocketAddr, Result<(), RefusalKind>)> {
    let mut race = Race { running: Vec::new(), refused: Vec::new(), onlooker: None };
    addresses.iter().for_each(|address| race.start(*address));
    let mut outcomes = Vec::new();
    while !race.running.is_empty() && Instant::now() < deadline {
        outcomes.extend(race.wait(deadline).map(|(_, address)| (address, Ok(()))));
    }
    let refused = race.out_of_time(std::iter::empty());
    outcomes.extend(refused.into_iter().map(|refusal| (refusal.address, Err(refusal.kind))));
    outcomes
}

struct Race<'a> {
    running: Vec<Attempt>,
    refused: Vec<Refusal>,
    onlooker: Option<&'a dyn Onlooker>,
}

/// A connect under way.
struct Attempt {
    socket: Socket,
    address: SocketAddr,
    started: Instant,
}

impl Race<'_> {
    fn start(&mut self, address: SocketAddr) {
        match open(address) {
            Ok(socket) => self.running.push(Attempt { socket, address, started: Instant::now() }),
            Err(error) => self.refuse(address, kind_of(&error)),
        }
    }

    fn refuse(&mut self, address: SocketAddr, kind: RefusalKind) {
        self.refused.push(Refusal { address, kind });
        if let Some(onlooker) = self.onlooker {
            onlooker.failed(address, kind);
        }
    }

    /// Gives up on those who others have found silent.
    fn call_off(&mut self) {
        let Some(onlooker) = self.onlooker else { return };
        let lost = self.running.extract_if(.., |attempt| onlooker.is_lost(attempt.address));
        let refusal = |lost: Attempt| Refusal { address: lost.address, kind: RefusalKind::Timeout };
        self.refused.extend(lost.map(refusal));
    }

    /// Waits for any attempt to end, until `until` at most; the winner leaves with its socket.
    fn wait(&mut self, until: Instant) -> Option<(TcpStream, SocketAddr)> {
        if self.running.is_empty() {
            return None;
        }
        let mut polled: Vec<PollFd<'_>> =
            self.running.iter().map(|attempt| PollFd::new(&attempt.socket, PollFlags::OUT)).collect();
        if let Err(error) = poll_until(&mut polled, until) {
            let kind = kind_of(&error);
            std::mem::take(&mut self.running).iter().for_each(|attempt| self.refuse(attempt.address, kind));
            return None;
        }
        let ended: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(polled);
        let mut winner = None;
        let mut ended = ended.into_iter();
        let running = std::mem::take(&mut self.running);
        for attempt in running {
            match ended.next() {
                Some(true) if winner.is_none() => match outcome(&attempt.socket) {
                    Ok(()) => winner = Some((attempt.socket.into(), attempt.address)),
                    Err(error) => self.refuse(attempt.address, kind_of(&error)),
                },
                _ => self.running.push(attempt),
            }
        }
        if let Some((_, address)) = &winner {
            self.tell_of(*address);
        }
        winner
    }

    /// The winner is good; who started long before it and has said nothing may not be.
    fn tell_of(&self, winner: SocketAddr) {
        let Some(onlooker) = self.onlooker else { return };
        onlooker.answered(winner);
        let silent = self.running.iter().filter(|attempt| attempt.started.elapsed() >= OVERTAKEN);
        silent.for_each(|attempt| onlooker.overtaken(attempt.address));
    }

    fn out_of_time(mut self, waiting: impl Iterator<Item = SocketAddr>) -> Vec<Refusal> {
        std::mem::take(&mut self.running).iter().for_each(|run| self.refuse(run.address, RefusalKind::Timeout));
        self.refused.extend(waiting.map(|address| Refusal { address, kind: RefusalKind::Timeout }));
        self.refused
    }
}

/// A socket whose connect is under way.
fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive)?;
    match socket.connect(&address.into()) {
        Ok(()) => Ok(socket),
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => Ok(socket),
        Err(error) => Err(error),
    }
}

fn outcome(socket: &Socket) -> io::Result<()> {
    match socket.take_error()? {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn kind_of(error: &io::Error) -> RefusalKind {
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => RefusalKind::Refused,
        Some(Errno::CONNRESET | Errno::CONNABORTED | Errno::PIPE) => RefusalKind::Reset,
        Some(Errno::TIMEDOUT) => RefusalKind::Timeout,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => RefusalKind::Own,
        _ => RefusalKind::Unroutable,
    }
}

/// Both families take turns, the resolver's first choice first (RFC 8305 §4).
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else { return Vec::new() };
    let (mut same, mut other): (Vec<_>, Vec<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv4() == first.is_ipv4());
    same.reverse();
    other.reverse();
    let mut order = Vec::with_capacity(addresses.len());
    while order.len() < addresses.len() {
        order.extend(same.pop());
        order.extend(other.pop());
    }
    order
}

/// Waits until `stream` has bytes, an end or an error to read. `Ok(false)`: the deadline passed.
pub fn wait_readable(stream: &TcpStream, deadline: Instant) -> io::Result<bool> {
    wait(stream, PollFlags::IN, deadline)
}

/// Waits until `stream` takes bytes, or has something to read. `Ok(false)`: the deadline passed.
pub fn wait_either(stream: &TcpStream, deadline: Instant) -> io::Result<bool> {
    wait(stream, PollFlags::IN | PollFlags::OUT, deadline)
}

fn wait(stream: &TcpStream, flags: PollFlags, deadline: Instant) -> io::Result<bool> {
    let mut polled = [PollFd::new(stream, flags)];
    poll_until(&mut polled, deadline)?;
    Ok(polled.iter().any(|fd| !fd.revents().is_empty()))
}

/// `poll` until something happened or the time is over; signals do not end the wait.
fn poll_until(polled: &mut [PollFd<'_>], until: Instant) -> io::Result<()> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 86_400, tv_nsec: 0 });
        match poll(polled, Some(&timeout)) {
            Ok(0) if !left.is_zero() => {}
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// True where `address` belongs to this machine.
pub fn is_local(address: std::net::IpAddr) -> bool {
    // A datagram socket sends nothing by being bound; only a local address lets it.
    address.is_loopback() || address.is_unspecified() || std::net::UdpSocket::bind((address, 0)).is_ok()
}

const STAGGER: Duration = Duration::from_millis(250);
/// How often a dialler looks at what others have found.
const GLANCE: Duration = Duration::from_millis(50);
/// Silence for so long, while another address answers, is suspicious.
const OVERTAKEN: Duration = Duration::from_millis(200);
const KEEPALIVE_TIME: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
#[path = "tests_connector.rs"]
mod tests;
