//! An origin that keeps every byte it is sent, reads requests by the strict parser alone, and answers each with what it read.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use super::origin::Origin;
use super::strict::{self, Whole};

/// What one connection was sent.
#[derive(Clone, Debug, Default)]
struct Sent {
    requests: Vec<Whole>,
    /// Bytes that are no whole request (yet).
    rest: Vec<u8>,
    wrong: Option<String>,
}

/// The origin, and what it was sent.
pub struct Recorder {
    pub origin: Origin,
    sent: Arc<Mutex<Vec<Sent>>>,
}

/// Bytes, each piece in a write of its own, and how the connection goes on.
pub struct Answer {
    pub pieces: Vec<Vec<u8>>,
    pub end: End,
}

/// What becomes of the connection behind an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Keep,
    /// FIN, then whatever still comes is read.
    Close,
    /// RST.
    Reset,
}

impl From<Vec<u8>> for Answer {
    fn from(bytes: Vec<u8>) -> Answer {
        Answer { pieces: vec![bytes], end: End::Keep }
    }
}

type Script = dyn Fn(&Whole) -> Answer + Send + Sync;

impl Recorder {
    /// Answers with [`echo`].
    pub fn echoing() -> Recorder {
        Recorder::start(|request| answer("200 OK", &["Cache-Control: max-age=600"], request, &echo(request)).into())
    }

    pub fn start(script: impl Fn(&Whole) -> Answer + Send + Sync + 'static) -> Recorder {
        let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
        let (log, script): (_, Box<Script>) = (sent.clone(), Box::new(script));
        let origin = Origin::raw(move |socket, number| serve(socket, number, &log, &*script));
        Recorder { origin, sent }
    }

    /// All requests so far, connection by connection.
    pub fn requests(&self) -> Vec<Whole> {
        self.sent.lock().unwrap().iter().flat_map(|sent| sent.requests.clone()).collect()
    }

    /// The requests whose target begins so.
    pub fn of(&self, prefix: &str) -> Vec<Whole> {
        self.requests().into_iter().filter(|request| request.target.starts_with(prefix)).collect()
    }

    /// Every byte belongs to a well-formed request.
    #[track_caller]
    pub fn check(&self, name: &str) {
        for sent in self.sent.lock().unwrap().iter() {
            assert_eq!(sent.wrong, None, "{name}: {:?}", String::from_utf8_lossy(&sent.rest));
            assert!(sent.rest.is_empty(), "{name}: left over: {:?}", String::from_utf8_lossy(&sent.rest));
        }
    }
}

/// What a request said, in one line: no two requests that differ have the same.
pub fn echo(request: &Whole) -> String {
    let host = request.values("host").join("|");
    format!("{} {} {host} {}", request.method, request.target, String::from_utf8_lossy(&request.body))
}

/// A whole answer to that request.
pub fn answer(status: &str, fields: &[&str], request: &Whole, body: &str) -> Vec<u8> {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let shown = if request.method == "HEAD" { "" } else { body };
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{shown}", body.len()).into_bytes()
}

fn serve(mut socket: &TcpStream, number: usize, log: &Mutex<Vec<Sent>>, script: &Script) {
    let with = |change: &mut dyn FnMut(&mut Sent)| {
        let mut log = log.lock().unwrap();
        if log.len() <= number {
            log.resize(number + 1, Sent::default());
        }
        change(&mut log[number]);
    };
    let (mut bytes, mut piece) = (Vec::new(), [0; 16 * 1024]);
    while let Ok(count @ 1..) = socket.read(&mut piece) {
        bytes.extend_from_slice(&piece[..count]);
        loop {
            let read = strict::read(&bytes);
            if let strict::Read::Whole(whole) = &read {
                bytes.drain(..whole.len);
            }
            let rest = bytes.clone();
            with(&mut |sent| sent.rest.clone_from(&rest));
            match read {
                strict::Read::Partial => break,
                strict::Read::Wrong(what) => return with(&mut |sent| sent.wrong = Some(what.clone())),
                strict::Read::Whole(whole) => {
                    with(&mut |sent| sent.requests.push(whole.clone()));
                    if !play(socket, script(&whole)) {
                        return;
                    }
                }
            }
        }
    }
}

/// Sends an answer; false where the connection is over. The other side may go away at any moment.
fn play(mut socket: &TcpStream, answer: Answer) -> bool {
    let is_sent = answer.pieces.iter().all(|piece| socket.write_all(piece).is_ok());
    match answer.end {
        End::Keep => return is_sent,
        End::Close => {
            _ = socket.shutdown(std::net::Shutdown::Write);
            while matches!(socket.read(&mut [0; 1024]), Ok(1..)) {}
        }
        End::Reset => _ = socket2::SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO)),
    }
    false
}
