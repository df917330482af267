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

/// Connects to the first address that answers (RFC 8305): the next one starts [`STAGGER`] after the one before, or at
/// once when that fails. On failure every address comes back with its reason.
pub fn dial(addresses: &[SocketAddr], deadline: Instant) -> Result<(TcpStream, SocketAddr), Vec<Refusal>> {
    let mut race = Race { running: Vec::new(), refused: Vec::new() };
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
        if let Some(winner) = race.wait(until) {
            return Ok(winner);
        }
        if race.refused.len() > refused {
            next_start = Instant::now();
        }
    }
}

struct Race {
    running: Vec<(Socket, SocketAddr)>,
    refused: Vec<Refusal>,
}

impl Race {
    fn start(&mut self, address: SocketAddr) {
        match open(address) {
            Ok(socket) => self.running.push((socket, address)),
            Err(error) => self.refused.push(Refusal { address, kind: kind_of(&error) }),
        }
    }

    /// Waits for any attempt to end, until `until` at most; the winner leaves with its socket.
    fn wait(&mut self, until: Instant) -> Option<(TcpStream, SocketAddr)> {
        if self.running.is_empty() {
            return None;
        }
        let mut polled: Vec<PollFd<'_>> =
            self.running.iter().map(|(socket, _)| PollFd::new(socket, PollFlags::OUT)).collect();
        if let Err(error) = poll_until(&mut polled, until) {
            let kind = kind_of(&error);
            self.refused.extend(self.running.drain(..).map(|(_, address)| Refusal { address, kind }));
            return None;
        }
        let ended: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(polled);
        let mut winner = None;
        let mut ended = ended.into_iter();
        let running = std::mem::take(&mut self.running);
        for (socket, address) in running {
            match ended.next() {
                Some(true) if winner.is_none() => match outcome(&socket) {
                    Ok(()) => winner = Some((socket.into(), address)),
                    Err(error) => self.refused.push(Refusal { address, kind: kind_of(&error) }),
                },
                _ => self.running.push((socket, address)),
            }
        }
        winner
    }

    fn out_of_time(mut self, waiting: impl Iterator<Item = SocketAddr>) -> Vec<Refusal> {
        let silent = self.running.drain(..).map(|(_, address)| address).chain(waiting);
        self.refused.extend(silent.map(|address| Refusal { address, kind: RefusalKind::Timeout }));
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
const KEEPALIVE_TIME: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    /// An address on which nothing listens, and nothing can while the socket is held.
    fn closed_port() -> (Socket, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, address)
    }

    #[test]
    fn dials_what_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stream, reached) = dial(&[address], soon()).unwrap();
        assert_eq!(reached, address);
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert!(stream.nodelay().unwrap());
    }

    #[test]
    fn a_refusing_address_gives_way_to_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let closed = [closed_port(), closed_port()];
        assert_eq!(dial(&[closed[0].1, closed[1].1, address], soon()).unwrap().1, address);
    }

    #[test]
    fn every_refusal_comes_back() {
        let closed = [closed_port(), closed_port()];
        let refused = dial(&[closed[0].1, closed[1].1], soon()).unwrap_err();
        assert_eq!(refused.len(), 2);
        assert!(refused.iter().all(|refusal| refusal.kind == RefusalKind::Refused), "{refused:?}");
    }

    #[test]
    fn no_address_is_no_connection() {
        assert!(dial(&[], soon()).unwrap_err().is_empty());
    }

    /// A listener with a full backlog, which lets further connects hang. The sockets that fill it come along.
    fn silent_listener() -> (Socket, Vec<TcpStream>, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut fill = Vec::new();
        while let Ok((stream, _)) = dial(&[address], Instant::now() + Duration::from_millis(100)) {
            fill.push(stream);
        }
        (socket, fill, address)
    }

    #[test]
    fn a_silent_address_ends_at_the_deadline_and_does_not_hold_up_the_next() {
        let (_socket, _fill, silent) = silent_listener();
        let refused = dial(&[silent], Instant::now() + Duration::from_millis(20)).unwrap_err();
        assert_eq!(refused.first().unwrap().kind, RefusalKind::Timeout);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(dial(&[silent, address], soon()).unwrap().1, address);
    }

    #[test]
    fn families_take_turns() {
        let [a, b, c, x, y]: [SocketAddr; 5] =
            ["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse().unwrap());
        assert_eq!(interleaved(&[a, b, c, x, y]), [a, x, b, y, c]);
        assert_eq!(interleaved(&[x, y, a]), [x, a, y]);
    }

    #[test]
    fn the_machine_knows_its_own_addresses() {
        assert!(is_local("127.0.0.1".parse().unwrap()));
        assert!(is_local("127.8.8.8".parse().unwrap()));
        assert!(!is_local("192.0.2.1".parse().unwrap()));
    }
}
