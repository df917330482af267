//! Answers of a hostile origin, some 380 of them, each in five manners: passed on whole, refused with a cause, or cut so that
//! the client can tell. Nothing broken is stored, and neither end's next message is mistaken.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "hostile/answer_bodies.rs"]
mod answer_bodies;
#[path = "hostile/answers.rs"]
mod answers;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use answers::{Fate, Reply, replies};
use support::pop::{request, site, site_with, trust};
use support::recorder::{Answer, End, Recorder, answer, echo};
use support::{Certificates, Client, Origin, OriginTls, Pop};

/// How the origin writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Once,
    Halves,
    Bytes,
}

const MOST_BYTES: usize = 1500;

type Plan = Arc<Mutex<Option<(String, Vec<Vec<u8>>, End)>>>;

struct Scene {
    recorder: Recorder,
    pop: Pop,
    manner: Manner,
    /// What the origin says to the next requests for a target, instead of something sound.
    plan: Plan,
}

impl Scene {
    fn new(manner: Manner) -> Scene {
        let plan = Plan::default();
        let planned = plan.clone();
        let recorder = Recorder::start(move |request| match &*planned.lock().unwrap() {
            Some((target, pieces, end)) if *target == request.target => Answer { pieces: pieces.clone(), end: *end },
            _ => answer("200 OK", &["Cache-Control: max-age=600"], request, &echo(request)).into(),
        });
        let pop = Pop::start(&site("a.test", &recorder.origin));
        Scene { recorder, pop, manner, plan }
    }

    fn run(&self) {
        let replies = replies();
        assert!(replies.len() > 150, "{} rows", replies.len());
        let mut failures = Vec::new();
        for (number, reply) in replies.iter().enumerate() {
            if self.manner != Manner::Bytes || reply.bytes.len() <= MOST_BYTES {
                // All rows are tried, whatever comes of one.
                let check = AssertUnwindSafe(|| self.check(&format!("/{number:03}"), reply));
                failures.extend(catch_unwind(check).err().map(|_| &reply.name));
            }
        }
        assert!(failures.is_empty(), "{} of {} rows: {failures:#?}", failures.len(), replies.len());
        assert_eq!(self.pop.stats().panics, 0);
    }

    fn check(&self, path: &str, reply: &Reply) {
        let name = format!("{:?}: {path} {}", self.manner, reply.name);
        let pieces = match self.manner {
            Manner::Once => vec![reply.bytes.clone()],
            Manner::Halves => [&reply.bytes[..reply.bytes.len() / 2], &reply.bytes[reply.bytes.len() / 2..]]
                .map(<[u8]>::to_vec)
                .into(),
            Manner::Bytes => reply.bytes.iter().map(|byte| vec![*byte]).collect(),
        };
        *self.plan.lock().unwrap() = Some((path.to_owned(), pieces, reply.end));
        let mut client = self.pop.client();
        let method = if reply.is_head { "HEAD" } else { "GET" };
        client.send(request(method, path, &[]));
        let is_going_on = judge(&mut client, method, &name, reply);
        *self.plan.lock().unwrap() = None;
        let behind = format!("/behind{path}");
        if is_going_on {
            assert_eq!(client.get("a.test", &behind).text(), format!("GET {behind} a.test "), "{name}");
        }
        // Nobody else gets anything of it that is not whole, and the next request to the origin its own answer.
        let other = self.pop.get(path);
        let is_fresh = (other.status, other.text()) == (200, format!("GET {path} a.test "));
        let is_same = matches!(reply.fate, Fate::Whole(200, body) if !reply.is_head && other.text() == body);
        assert!(is_fresh || is_same, "{name}: for another client: {other:?}");
        let next = format!("/next{path}");
        assert_eq!(self.pop.get(&next).text(), format!("GET {next} a.test "), "{name}");
        self.recorder.check(&name);
    }
}

/// Is what the client gets right? True where the connection goes on.
fn judge(client: &mut Client, method: &str, name: &str, reply: &Reply) -> bool {
    let response = client.try_response(method);
    match (&reply.fate, response) {
        (Fate::Whole(status, body), Ok(response)) => {
            assert_eq!((response.status, response.text().as_str()), (*status, *body), "{name}");
            let fields = format!("{:?}", response.fields);
            assert!(!fields.contains("evil"), "{name}: {fields}");
            true
        }
        (Fate::Refused, Ok(response)) => {
            assert_eq!(response.status, 502, "{name}: {response:?}");
            assert!(response.field("proxy-status").unwrap().contains("; error="), "{name}: {response:?}");
            assert!(!response.text().contains("evil"), "{name}: {response:?}");
            response.field("connection") != Some("close")
        }
        // The origin may have broken off before anything was on its way to the client.
        (Fate::Cut, Ok(response)) => {
            assert_eq!(response.status, 502, "{name}: {response:?}");
            false
        }
        (Fate::Cut, Err(_)) => false,
        (_, Err(error)) => panic!("{name}: {error}"),
    }
}

/// The same from an HTTPS origin, which ends its connections with TLS's goodbye or without. Without, a body that lasts until
/// the end is not known to be whole.
fn from_https(says_goodbye: bool) {
    let certificates = Certificates::new();
    let plan: Arc<Mutex<Option<support::Reply>>> = Arc::default();
    let planned = plan.clone();
    let origin = Origin::tls(OriginTls::new(&certificates.identity(&["a.test"])), move |request| {
        let planned = planned.lock().unwrap().clone();
        let sound =
            || support::Reply::response("200 OK", &["Cache-Control: max-age=600"], format!("own {}", request.target));
        planned.unwrap_or_else(sound)
    });
    let pop = Pop::start(&site_with("a.test", &origin, "", &format!("protocol = \"https\"\n{}", trust(&certificates))));
    for (number, row) in replies().into_iter().enumerate() {
        let name = format!("{number} {}", row.name);
        let bytes = support::Reply::bytes(&row.bytes);
        let (planned, is_cut) = match row.end {
            End::Keep => (bytes, false),
            End::Close if says_goodbye => (bytes.close(), false),
            End::Close => (bytes.cut(), true),
            End::Reset => (bytes.reset(), false),
        };
        let fate = if is_cut && matches!(row.fate, Fate::Whole(..)) { Fate::Cut } else { row.fate };
        let row = Reply { fate, ..row };
        let (path, method) = (format!("/{number}"), if row.is_head { "HEAD" } else { "GET" });
        *plan.lock().unwrap() = Some(planned);
        let mut client = pop.client();
        client.send(request(method, &path, &[]));
        judge(&mut client, method, &name, &row);
        *plan.lock().unwrap() = None;
        let other = pop.get(&path);
        let is_same = matches!(row.fate, Fate::Whole(200, body) if !row.is_head && other.text() == body);
        assert!(is_same || other.text() == format!("own {path}"), "{name}: for another client: {other:?}");
        assert_eq!(pop.get(&format!("/next{path}")).text(), format!("own /next{path}"), "{name}");
    }
    assert_eq!(pop.stats().panics, 0);
}

#[test]
fn each_over_tls_is_passed_on_refused_or_cut() {
    from_https(true);
}

#[test]
fn each_over_tls_that_ends_without_goodbye_is_passed_on_refused_or_cut() {
    from_https(false);
}

#[test]
fn each_in_one_write_is_passed_on_refused_or_cut() {
    Scene::new(Manner::Once).run();
}

#[test]
fn each_in_two_writes_is_passed_on_refused_or_cut() {
    Scene::new(Manner::Halves).run();
}

#[test]
fn each_byte_by_byte_is_passed_on_refused_or_cut() {
    Scene::new(Manner::Bytes).run();
}
