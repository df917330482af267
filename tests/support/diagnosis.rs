//! The doctor in scenes: diagnose a site, look at the first broken check, write its remedy into the file, see 200.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use millpond::config::Config;
use millpond::doctor::{Finding, Fix, Report, Step, Subject, diagnose};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::origin::Origin;
use super::origin_tls::OriginTls;
use super::pop::Pop;

/// A site's text (all of the file but `[listen]`) and what the doctor says of it.
pub struct Diagnosed {
    pub text: String,
    pub report: Report,
}

/// Diagnoses `a.test` by this text.
#[track_caller]
pub fn diagnosed(text: &str) -> Diagnosed {
    diagnosed_as(text, "a.test")
}

/// Diagnoses any name or URL by this text.
#[track_caller]
pub fn diagnosed_as(text: &str, subject: &str) -> Diagnosed {
    let config = Config::parse(text, "scene.toml".as_ref()).unwrap_or_else(|problems| panic!("{text}\n{problems:?}"));
    let report = diagnose(&config, &Subject::parse(subject).unwrap(), &mut |_| ());
    Diagnosed { text: text.to_owned(), report }
}

impl Diagnosed {
    /// The first broken check is this step, and clients get this type (empty: the origin answers, badly).
    #[track_caller]
    pub fn broken(&self, step: Step, error: &str) -> &Finding {
        let (_, check) = self.report.first_broken().unwrap_or_else(|| panic!("{}", self.report.text(false)));
        let finding = check.finding.as_ref().unwrap();
        assert_eq!((check.step, finding.error.unwrap_or("")), (step, error), "{}", self.report.text(false));
        assert!(!finding.commands.is_empty() || step == Step::Configuration, "{finding:?}");
        assert!(self.report.ending().contains(&finding.what), "{}", self.report.ending());
        finding
    }

    #[track_caller]
    pub fn healthy(&self) {
        assert!(self.report.is_healthy(), "{}", self.report.text(false));
    }

    /// The text with the remedy written into it, and blanks that only an operator can fill.
    #[track_caller]
    pub fn with(&self, fix: &Fix, filled: &[(&str, &str)]) -> String {
        assert!(!fix.changes.is_empty(), "{fix:?}");
        let mut lines: Vec<String> = self.text.lines().map(str::to_owned).collect();
        let mut added = Vec::new();
        for change in &fix.changes {
            match change.line {
                0 => added.push((change.section_line, change.text.clone())),
                line => lines[line - 1].clone_from(&change.text),
            }
        }
        for (section_line, text) in added.into_iter().rev() {
            assert!(section_line > 0, "{fix:?}");
            lines.insert(section_line, text);
        }
        filled.iter().fold(lines.join("\n") + "\n", |text, (blank, value)| text.replace(blank, value))
    }

    /// Before the remedy a POP answers with the failure that the finding names; with it, 200.
    #[track_caller]
    pub fn cured_by(&self, fix: &Fix, filled: &[(&str, &str)]) {
        self.proxy_agrees();
        let cured = self.with(fix, filled);
        let response = Pop::start(&cured).get("/");
        assert_eq!(response.status, 200, "{cured}\n{}", response.text());
        diagnosed(&cured).healthy();
    }

    /// A POP with the same text fails a fetch in the way that the finding says.
    #[track_caller]
    pub fn proxy_agrees(&self) {
        let (_, check) = self.report.first_broken().unwrap();
        let Some(error) = check.finding.as_ref().unwrap().error else { return };
        let response = Pop::start(&self.text).get("/");
        let cause = response.field("proxy-status").unwrap_or_else(|| panic!("{response:?}"));
        assert!(cause.starts_with(&format!("millpond; error={error};")), "{cause}");
    }
}

/// An HTTPS origin that answers a hello without `name` with an alert, and all others with 200.
pub fn picky(tls: OriginTls, name: &'static str, alert: u8) -> Origin {
    let config = tls.config(Arc::default());
    Origin::raw(move |socket, _| {
        if !hello(socket).windows(name.len()).any(|window| window == name.as_bytes()) {
            return end_with(socket, &[21, 3, 3, 0, 2, 2, alert]);
        }
        answer(socket, &config);
    })
}

/// An HTTPS origin that answers plain requests with this page.
pub fn either(tls: OriginTls, page: &'static str) -> Origin {
    let config = tls.config(Arc::default());
    Origin::raw(move |socket, _| match socket.peek(&mut [0]) {
        Ok(1) if first_byte(socket) == HANDSHAKE => answer(socket, &config),
        _ => end_with(socket, page.as_bytes()),
    })
}

/// An HTTPS origin that answers every request with bytes that are no records of TLS.
pub fn breaking_off(tls: OriginTls) -> Origin {
    let config = tls.config(Arc::default());
    Origin::raw(move |mut socket, _| {
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        if StreamOwned::new(session, socket).read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
            _ = socket.write_all(b"none of TLS, and none of HTTP");
        }
    })
}

/// Answers every request over TLS with an empty 200.
fn answer(socket: &TcpStream, config: &Arc<ServerConfig>) {
    let session = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut stream = StreamOwned::new(session, socket);
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while stream.read(&mut byte).is_ok_and(|count| count > 0) {
        seen.push(byte[0]);
        if seen.ends_with(b"\r\n\r\n") {
            seen.clear();
            _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    }
}

fn first_byte(socket: &TcpStream) -> u8 {
    let mut byte = [0];
    _ = socket.peek(&mut byte);
    byte[0]
}

/// The content type of TLS records that open a connection.
const HANDSHAKE: u8 = 22;

/// An origin that answers every TLS hello with this alert.
pub fn alerting(alert: u8) -> Origin {
    replying(vec![21, 3, 3, 0, 2, 2, alert])
}

/// An origin that answers every TLS hello with these bytes.
pub fn replying(bytes: Vec<u8>) -> Origin {
    Origin::raw(move |socket, _| {
        hello(socket);
        end_with(socket, &bytes);
    })
}

/// Speaks plain HTTP alone, and says so to who begins with anything else.
pub fn plain_only() -> Origin {
    Origin::raw(|mut socket, _| {
        let mut seen = [0; 4096];
        while let Ok(count @ 1..) = socket.read(&mut seen) {
            let is_get = seen.starts_with(b"GET ") || seen.starts_with(b"HEAD ");
            let status = if is_get { "200 OK" } else { "400 Bad Request" };
            _ = socket.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
            if !is_get || count == seen.len() {
                return end_with(socket, b"");
            }
        }
    })
}

/// What has come of a hello, without taking it.
fn hello(socket: &TcpStream) -> Vec<u8> {
    let mut room = vec![0; 4096];
    let mut whole = 5;
    loop {
        let count = socket.peek(&mut room).unwrap_or(0);
        if count >= 5 {
            whole = 5 + usize::from(room[3]) * 256 + usize::from(room[4]);
        }
        if count == 0 || count >= whole.min(room.len()) {
            room.truncate(count);
            return room;
        }
        std::thread::yield_now();
    }
}

/// Takes what came, answers, and ends in order, so that the answer is not lost to a reset.
fn end_with(mut socket: &TcpStream, bytes: &[u8]) {
    _ = socket.read(&mut [0; 4096]);
    _ = socket.write_all(bytes);
    _ = socket.shutdown(std::net::Shutdown::Write);
    _ = std::io::copy(&mut socket, &mut std::io::sink());
}
