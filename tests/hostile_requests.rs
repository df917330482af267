//! Hostile requests, some 900 of them, each in five manners: refused with its status and the end of the connection, or sent
//! on as exactly one well-formed request. Neither the connection, nor another client, nor the cache takes harm.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod hostile;
mod support;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hostile::{Fate, Row, requests};
use support::pop::{https_table, site_with};
use support::recorder::Recorder;
use support::{Certificates, Client, Pop, Response};

/// How the bytes of a row are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// All at once; what follows comes when the answer is there.
    Alone,
    /// In one write with a sound request in front and one behind.
    Between,
    /// In two writes, in the middle.
    Halves,
    /// Each byte by itself, where they are not too many.
    Bytes,
    /// All at once over TLS.
    Tls,
}

const MOST_BYTES: usize = 1500;

struct Scene {
    recorder: Recorder,
    certificates: Certificates,
    pop: Pop,
    manner: Manner,
}

impl Scene {
    fn new(manner: Manner) -> Scene {
        let recorder = Recorder::echoing();
        let certificates = Certificates::new();
        let https = https_table(&certificates.identity(&["a.test"]));
        let pop = Pop::start_with_https(&site_with("a.test", &recorder.origin, &https, ""));
        Scene { recorder, certificates, pop, manner }
    }

    fn client(&self) -> Client {
        match self.manner {
            Manner::Tls => Client::tls(self.pop.https(), &self.certificates.roots(), "a.test"),
            _ => self.pop.client(),
        }
    }

    fn run(&self) {
        let rows = requests();
        assert!(rows.len() > 900, "{} rows", rows.len());
        let (mut known, mut failures) = (HashSet::new(), Vec::new());
        for (number, row) in rows.iter().enumerate() {
            assert!(known.insert(&row.bytes), "{}: the bytes of another row", row.name);
            if self.manner != Manner::Bytes || row.bytes.len() <= MOST_BYTES {
                // All rows are tried, whatever comes of one.
                let check = AssertUnwindSafe(|| self.check(&format!("/{number:03}-"), row));
                failures.extend(catch_unwind(check).err().map(|_| &row.name));
            }
        }
        assert!(failures.is_empty(), "{} of {} rows: {failures:#?}", failures.len(), rows.len());
        assert!(self.recorder.of("/smug").is_empty());
        assert_eq!(self.pop.stats().panics, 0);
    }

    /// One row, then the same connection, then another client.
    fn check(&self, path: &str, row: &Row) {
        let name = format!("{:?}: {path} {}", self.manner, row.name);
        let bytes = placed(&row.bytes, path);
        let mut client = self.client();
        let method = if bytes.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
        let (before, behind) = (format!("/before{path}"), format!("/behind{path}"));
        self.send(&mut client, &bytes, (&before, &behind));
        if self.manner == Manner::Between {
            assert_eq!(read(&mut client, "GET", &name).text(), format!("GET {before} a.test "), "{name}");
        }
        let response = read(&mut client, method, &name);
        let is_going_on = self.judge(&name, path, row, &response, method);
        if is_going_on {
            if self.manner != Manner::Between {
                client.send(sound(&behind));
            }
            assert_eq!(read(&mut client, "GET", &name).text(), format!("GET {behind} a.test "), "{name}");
        } else {
            assert_eq!(response.field("connection"), Some("close"), "{name}");
            assert!(client.closed(), "{name}: something follows the end");
            assert!(self.recorder.of(&behind).is_empty(), "{name}: what follows was read");
        }
        let other = self.client().get("a.test", path);
        assert_eq!((other.status, other.text()), (200, format!("GET {path} a.test ")), "{name}: for another client");
        self.recorder.check(&name);
    }

    fn send(&self, client: &mut Client, bytes: &[u8], (before, behind): (&str, &str)) {
        match self.manner {
            Manner::Alone | Manner::Tls => client.send_if_open(bytes),
            Manner::Between => {
                client.send_if_open([sound(before).as_bytes(), bytes, sound(behind).as_bytes()].concat())
            }
            Manner::Halves => {
                let (one, two) = bytes.split_at(bytes.len() / 2);
                client.send_if_open(one);
                client.send_if_open(two);
            }
            Manner::Bytes => bytes.iter().for_each(|byte| client.send_if_open([*byte])),
        }
    }

    /// Is the answer right, and what the origin saw? True where the connection goes on.
    fn judge(&self, name: &str, path: &str, row: &Row, response: &Response, method: &str) -> bool {
        let seen: Vec<_> = self.recorder.requests();
        let seen: Vec<_> = seen.iter().filter(|request| request.target.contains(path)).collect();
        let own: Vec<_> = seen.iter().filter(|request| !is_sound(&request.target)).collect();
        match &row.fate {
            Fate::Refused(status) | Fate::Answered(status) => {
                let is_right = response.status == *status || (*status == 0 && matches!(response.status, 400 | 505));
                assert!(is_right, "{name}: {response:?}");
                assert!(own.is_empty(), "{name}: {own:?} reached the origin");
                matches!(row.fate, Fate::Answered(_))
            }
            Fate::Forwarded(asked, target, body) | Fate::Last(asked, target, body) => {
                let target = target.replace("$P", path);
                let [request] = own[..] else { panic!("{name}: {own:?} reached the origin; {response:?}") };
                assert_eq!(
                    (request.method.as_str(), &request.target, &request.body),
                    (*asked, &target, body),
                    "{name}"
                );
                assert_eq!(request.values("host"), ["a.test"], "{name}");
                let text = format!("{asked} {target} a.test {}", String::from_utf8_lossy(body));
                let text = if method == "HEAD" { String::new() } else { text };
                assert_eq!((response.status, response.text()), (200, text), "{name}");
                matches!(row.fate, Fate::Forwarded(..))
            }
        }
    }
}

fn is_sound(target: &str) -> bool {
    target.starts_with("/before/") || target.starts_with("/behind/")
}

#[track_caller]
fn read(client: &mut Client, method: &str, name: &str) -> Response {
    client.try_response(method).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn sound(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

/// The bytes with the path in its place.
fn placed(bytes: &[u8], path: &str) -> Vec<u8> {
    let mut placed = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(2).position(|two| two == b"$P") {
        placed.extend_from_slice(&rest[..at]);
        placed.extend_from_slice(path.as_bytes());
        rest = &rest[at + 2..];
    }
    placed.extend_from_slice(rest);
    placed
}

#[test]
fn each_alone_is_refused_or_sent_on_as_one() {
    Scene::new(Manner::Alone).run();
}

#[test]
fn each_between_two_sound_ones_is_refused_or_sent_on_as_one() {
    Scene::new(Manner::Between).run();
}

#[test]
fn each_in_two_writes_is_refused_or_sent_on_as_one() {
    Scene::new(Manner::Halves).run();
}

#[test]
fn each_over_tls_is_refused_or_sent_on_as_one() {
    Scene::new(Manner::Tls).run();
}

#[test]
fn each_byte_by_byte_is_refused_or_sent_on_as_one() {
    Scene::new(Manner::Bytes).run();
}
