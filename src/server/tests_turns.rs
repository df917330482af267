//! How long somebody new waits behind answers under way: counted in what they send meanwhile, not in time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;

use super::*;
use crate::store::Next as Part;

const CROWD: usize = 40;
/// Writes in one turn of an answer that goes out byte by byte.
const TURN: usize = 64;

/// Answers `/drip` with single bytes without end, everything else with nothing.
struct Drips(Arc<Count>);

struct Count {
    begun: AtomicUsize,
    /// Bytes sent.
    bytes: AtomicUsize,
    /// The same when `/` was asked for last.
    at_probe: AtomicUsize,
    /// The worker stands still at the first byte of all, and at the first one of the last answer: until the test meets it
    /// twice.
    stops: [Barrier; 2],
}

struct Drip(Arc<Count>);

impl Sequence for Drip {
    fn next(&mut self, _: &mut dyn FnMut() -> Wake) -> Part {
        let Count { begun, bytes, stops, .. } = &*self.0;
        let (begun, is_first) = (begun.load(Ordering::SeqCst), bytes.fetch_add(1, Ordering::SeqCst) == 0);
        let stop = match begun {
            1 if is_first => stops.first(),
            CROWD => {
                self.0.begun.store(CROWD + 1, Ordering::SeqCst);
                stops.last()
            }
            _ => None,
        };
        if let Some(stop) = stop {
            stop.wait();
            stop.wait();
        }
        Part::Chunk(Chunk::of(Arc::from(*b"x")))
    }
}

impl Handler for Drips {
    type Local = ();
    type Exchange = ();
    type Note = ();

    fn local(&self, _: usize) {}

    fn begin(&self, call: Call<'_, ()>, head: &RequestHead<'_, '_>) -> Step<Drips> {
        call.out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        let payload = match &*head.target {
            "/drip" => {
                self.0.begun.fetch_add(1, Ordering::SeqCst);
                Payload::Sequence { sequence: Box::new(Drip(self.0.clone())), length: 1 << 40 }
            }
            _ => {
                self.0.at_probe.store(self.0.bytes.load(Ordering::SeqCst), Ordering::SeqCst);
                Payload::Empty
            }
        };
        Step::Answer(Answer { payload, close: false, note: () })
    }

    fn uploaded(&self, call: Call<'_, ()>, (): (), _: Uploaded) -> Step<Drips> {
        Step::Answer(self.refuse(call, None, Refusal { status: 200, reason: "" }))
    }

    fn resume(&self, call: Call<'_, ()>, (): (), _: &Wake) -> Step<Drips> {
        Step::Answer(self.refuse(call, None, Refusal { status: 200, reason: "" }))
    }

    fn refuse(&self, call: Call<'_, ()>, _: Option<()>, _: Refusal) -> Answer<Drips> {
        call.out.extend_from_slice(b"HTTP/1.1 400 Bad Request\r\n");
        Answer { payload: Payload::Empty, close: true, note: () }
    }

    fn finish(&self, (): &mut (), _: Now, (): (), _: Delivery) {}

    fn abandoned(&self, (): &mut (), _: Now, (): ()) {}

    fn count(&self, (): &mut (), _: Event) {}

    fn tick(&self, (): &mut (), _: Now) {}
}

#[test]
fn who_asks_for_something_new_waits_for_a_few_turns_of_answers_under_way_and_not_for_all() {
    let config =
        crate::config::Config::for_origin("http://127.0.0.1:9", "127.0.0.1:0".parse().unwrap(), false).unwrap();
    let settings = Settings { workers: 1, limits: config.limits, temp_dir: std::env::temp_dir(), tls: None };
    let bound = Bound::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let address = bound.address();
    let count = Arc::new(Count {
        begun: AtomicUsize::new(0),
        bytes: AtomicUsize::new(0),
        at_probe: AtomicUsize::new(0),
        stops: [Barrier::new(2), Barrier::new(2)],
    });
    let server = Server::start(&Arc::new(Drips(count.clone())), Clock::start(), &settings, vec![bound]).unwrap();
    let ask = |target: &str| {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(socket, "GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        socket
    };
    let mut probe = ask("/");
    assert!(probe.read(&mut [0; 1024]).unwrap() > 0);
    // All of them are there before the worker goes on.
    let mut crowd = vec![ask("/drip")];
    count.stops[0].wait();
    crowd.extend((1..CROWD).map(|_| ask("/drip")));
    while server.connections() < CROWD + 1 {
        std::thread::yield_now();
    }
    count.stops[0].wait();
    // The last one has begun, all others would go on.
    count.stops[1].wait();
    let before = count.bytes.load(Ordering::SeqCst);
    write!(probe, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
    count.stops[1].wait();
    assert!(probe.read(&mut [0; 1024]).unwrap() > 0);
    let meanwhile = count.at_probe.load(Ordering::SeqCst) - before;
    assert!(meanwhile <= 6 * TURN, "{meanwhile} bytes of others went out first, {} in a turn of each", CROWD * TURN);
    drop(crowd);
    drop(server);
}
