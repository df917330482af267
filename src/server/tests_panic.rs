//! A panic in what requests mean ends one connection, and nothing else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Panics at `/panic` when a request begins, at `/later` when it is taken up again; has an empty answer for all others.
#[derive(Default)]
struct Brittle {
    panics: AtomicUsize,
    finished: AtomicUsize,
}

impl Brittle {
    fn answer(out: &mut Vec<u8>) -> Answer<Brittle> {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        Answer { payload: Payload::Empty, close: false, note: () }
    }
}

impl Handler for Brittle {
    type Local = ();
    type Exchange = ();
    type Note = ();

    fn local(&self, _: usize) {}

    fn begin(&self, call: Call<'_, ()>, head: &RequestHead<'_, '_>) -> Step<Brittle> {
        let target = &*head.target;
        assert!(target != "/panic", "a panic in a worker, as this test wants");
        match target {
            "/later" => Step::Await((), call.now.monotonic + Duration::from_secs(60)),
            _ => Step::Answer(Brittle::answer(call.out)),
        }
    }

    fn uploaded(&self, call: Call<'_, ()>, (): (), _: Uploaded) -> Step<Brittle> {
        Step::Answer(Brittle::answer(call.out))
    }

    fn resume(&self, _: Call<'_, ()>, (): (), _: &Wake) -> Step<Brittle> {
        unreachable!("a panic in a worker, as this test wants")
    }

    fn refuse(&self, call: Call<'_, ()>, _: Option<()>, _: Refusal) -> Answer<Brittle> {
        Brittle::answer(call.out)
    }

    fn finish(&self, (): &mut (), _: Now, (): (), _: Delivery) {
        self.finished.fetch_add(1, Ordering::SeqCst);
    }

    fn abandoned(&self, (): &mut (), _: Now, (): ()) {}

    fn count(&self, (): &mut (), event: Event) {
        self.panics.fetch_add(usize::from(event == Event::Panicked), Ordering::SeqCst);
    }

    fn tick(&self, (): &mut (), _: Now) {}
}

/// What comes back to a request until the connection ends, or the first bytes of an answer.
fn ask(mut socket: &TcpStream, target: &str) -> String {
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.write_all(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n").as_bytes()).unwrap();
    let mut piece = [0; 1024];
    let len = socket.read(&mut piece).unwrap_or(0);
    String::from_utf8_lossy(&piece[..len]).into_owned()
}

#[test]
fn a_panic_in_a_worker_ends_its_connection_is_counted_and_the_rest_goes_on() {
    let config =
        crate::config::Config::for_origin("http://127.0.0.1:9", "127.0.0.1:0".parse().unwrap(), false).unwrap();
    let settings = Settings { workers: 1, limits: config.limits, temp_dir: std::env::temp_dir(), tls: None };
    let bound = Bound::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let address = bound.address();
    let handler = Arc::new(Brittle::default());
    let server = Server::start(&handler, Clock::start(), &settings, vec![bound]).unwrap();
    let connect = || TcpStream::connect(address).unwrap();
    let kept = connect();
    assert!(ask(&kept, "/").starts_with("HTTP/1.1 200 "));
    for (round, target) in ["/panic", "/later", "/panic"].into_iter().enumerate() {
        assert_eq!(ask(&connect(), target), "", "{target}: it ends without an answer");
        assert_eq!(handler.panics.load(Ordering::SeqCst), round + 1);
        assert!(ask(&kept, "/").starts_with("HTTP/1.1 200 "), "who was there stays");
        assert!(ask(&connect(), "/").starts_with("HTTP/1.1 200 "), "and others come");
    }
    drop(kept);
    server.shutdown();
    assert_eq!(handler.finished.load(Ordering::SeqCst), 7);
}
