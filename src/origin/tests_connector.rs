//! Dialling over real loopback sockets: who wins, who is told of, and who is called off.

use std::net::TcpListener;
use std::sync::Mutex;

use super::*;

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

/// Writes down what it is told, and calls off whom it is bidden to.
#[derive(Default)]
struct Witness {
    seen: Mutex<Vec<String>>,
    lost: Option<SocketAddr>,
}

impl Witness {
    fn note(&self, what: &str, address: SocketAddr) {
        self.seen.lock().unwrap().push(format!("{what} {address}"));
    }
}

impl Onlooker for Witness {
    fn failed(&self, address: SocketAddr, kind: RefusalKind) {
        self.note(&format!("{kind:?}"), address);
    }

    fn overtaken(&self, address: SocketAddr) {
        self.note("overtaken", address);
    }

    fn answered(&self, address: SocketAddr) {
        self.note("answered", address);
    }

    fn is_lost(&self, address: SocketAddr) -> bool {
        self.lost == Some(address)
    }
}

#[test]
fn the_onlooker_hears_of_every_address() {
    let (_socket, _fill, silent) = silent_listener();
    let closed = closed_port();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let witness = Witness::default();
    assert_eq!(dial_watched(&[closed.1, silent, address], soon(), Some(&witness)).unwrap().1, address);
    let seen = witness.seen.into_inner().unwrap();
    assert_eq!(seen, [format!("Refused {}", closed.1), format!("answered {address}"), format!("overtaken {silent}")]);
}

#[test]
fn an_address_that_others_have_given_up_is_not_waited_for() {
    let (_socket, _fill, silent) = silent_listener();
    let witness = Witness { lost: Some(silent), ..Witness::default() };
    // Else the wait would last longer than any test may.
    let deadline = Instant::now() + Duration::from_secs(3600);
    let refused = dial_watched(&[silent], deadline, Some(&witness)).unwrap_err();
    assert_eq!((refused.len(), refused[0].kind), (1, RefusalKind::Timeout));
    assert_eq!(witness.seen.into_inner().unwrap(), [""; 0], "a second failure it is not");
}

#[test]
fn a_knock_tells_who_answers() {
    let (_socket, _fill, silent) = silent_listener();
    let closed = closed_port();
    let listeners = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
    let open = listeners.map(|listener| (listener.local_addr().unwrap(), listener));
    let all = [open[0].0, closed.1, silent, open[1].0];
    let outcomes = knock(&all, Instant::now() + Duration::from_millis(200));
    let outcome_of = |address| outcomes.iter().find(|(found, _)| *found == address).unwrap().1;
    assert_eq!(
        all.map(outcome_of),
        [Ok(()), Err(RefusalKind::Refused), Err(RefusalKind::Timeout), Ok(())],
        "{outcomes:?}"
    );
}
