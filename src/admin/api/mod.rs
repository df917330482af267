//! What can be asked at the door: one file a subject, each with a table of its endpoints and their description.
//!
//! A subject is a line in [`SUBJECTS`]: its rows, and a part of the OpenAPI document that describes them. A test holds the
//! two against each other. An endpoint gets a [`Request`] whose query holds known names alone, and answers with a
//! [`Reply`]; a refusal is one too, so that `?` may end the work anywhere.

mod cache;
mod change;
mod config;
mod doctor;
mod explain;
mod openapi;
mod overview;
mod process;
mod session;
mod settings;
mod sites;
mod tasks;

use super::jobs::Responder;
use super::reply::Reply;
use super::request::{Request, decoded};
use super::{Desk, console, metrics};

/// An answer, or the refusal that stands for it.
pub type Answered = Result<Reply, Reply>;

/// One endpoint.
pub struct Row {
    /// Its method.
    pub method: &'static str,
    /// Its path; `{name}` stands for any one segment.
    pub path: &'static str,
    /// Answered without token or session.
    pub is_open: bool,
    /// Names that its query may have.
    pub query: &'static [&'static str],
    /// Bytes of its request body at most; `None` = it takes none.
    pub body: Option<u64>,
    /// What it does.
    pub work: Work,
}

/// Where an endpoint does its work.
#[derive(Clone, Copy)]
pub enum Work {
    /// On the door's worker: nothing that blocks.
    Now(fn(&Desk, &Request) -> Answered),
    /// On a thread of its own, while the client waits.
    Later(fn(&Desk, &Request) -> Answered),
    /// The same; it answers by itself, perhaps with a stream that it goes on writing to.
    Stream(fn(&Desk, &Request, Responder)),
}

/// The endpoints of one subject.
pub struct Subject {
    /// Endpoint by endpoint.
    pub rows: &'static [Row],
    /// `{"paths": …, "schemas": …}` of OpenAPI 3.1; empty where they are described elsewhere.
    pub description: &'static str,
}

/// All there is.
pub static SUBJECTS: &[Subject] = &[
    Subject { rows: session::ROWS, description: include_str!("../openapi/session.json") },
    Subject { rows: process::ROWS, description: include_str!("../openapi/process.json") },
    Subject { rows: metrics::ROWS, description: include_str!("../openapi/metrics.json") },
    Subject { rows: overview::ROWS, description: include_str!("../openapi/overview.json") },
    Subject { rows: settings::ROWS, description: include_str!("../openapi/settings.json") },
    Subject { rows: doctor::ROWS, description: include_str!("../openapi/doctor.json") },
    Subject { rows: explain::ROWS, description: include_str!("../openapi/explain.json") },
    Subject { rows: tasks::ROWS, description: include_str!("../openapi/tasks.json") },
    Subject { rows: cache::ROWS, description: include_str!("../openapi/cache.json") },
    Subject { rows: console::ROWS, description: include_str!("../openapi/console.json") },
    Subject { rows: sites::ROWS, description: include_str!("../openapi/sites.json") },
    Subject { rows: config::ROWS, description: include_str!("../openapi/config.json") },
];

/// A row that was found.
#[derive(Clone, Copy)]
pub struct Endpoint(&'static Row);

impl Endpoint {
    /// The endpoint of a method and a path, and what the path has in the places of its parameters.
    ///
    /// # Errors
    /// 404 or 405.
    pub fn find(method: &str, path: &str) -> Result<(Endpoint, Vec<String>), Reply> {
        let wanted = if method == "HEAD" { "GET" } else { method };
        let rows = SUBJECTS.iter().flat_map(|subject| subject.rows);
        let found: Vec<_> = rows.filter_map(|row| Some((row, matched(row.path, path)?))).collect();
        // A path that is written out goes before one with parameters.
        let fewest = found.iter().map(|(_, parameters)| parameters.len()).min();
        let mut found = found.into_iter().filter(|(_, parameters)| Some(parameters.len()) == fewest);
        let mut methods = Vec::new();
        if let Some((row, parameters)) = found.find(|(row, _)| {
            methods.push(row.method);
            methods.extend((row.method == "GET").then_some("HEAD"));
            row.method == wanted
        }) {
            return Ok((Endpoint(row), parameters));
        }
        if methods.is_empty() {
            return Err(Reply::missing(
                "there is nothing under this path; GET /api/v1/openapi.json tells what there is",
            ));
        }
        let reply = Reply::problem(405, "Method not allowed", "this path knows other methods; see Allow");
        Err(reply.with("Allow", methods.join(", ")))
    }

    /// Answered without token or session.
    pub fn is_open(self) -> bool {
        self.0.is_open
    }

    /// Names that its query may have.
    pub fn query(self) -> &'static [&'static str] {
        self.0.query
    }

    /// Bytes of its request body at most; `None` = it takes none.
    pub fn most_body(self) -> Option<u64> {
        self.0.body
    }

    /// What it does.
    pub fn work(self) -> Work {
        self.0.work
    }
}

impl Row {
    /// An endpoint that reads and does not block.
    pub const fn get(path: &'static str, answer: fn(&Desk, &Request) -> Answered) -> Row {
        Row { method: "GET", path, is_open: false, query: &[], body: None, work: Work::Now(answer) }
    }

    /// An endpoint that acts on a small JSON body, on a thread of its own.
    pub const fn post(path: &'static str, answer: fn(&Desk, &Request) -> Answered) -> Row {
        Row { method: "POST", path, is_open: false, query: &[], body: Some(SMALL_BODY), work: Work::Later(answer) }
    }

    /// The same, answered to everybody.
    pub const fn open(self) -> Row {
        Row { is_open: true, ..self }
    }

    /// The same with these names in its query.
    pub const fn with_query(self, query: &'static [&'static str]) -> Row {
        Row { query, ..self }
    }

    /// The same with another method.
    pub const fn with_method(self, method: &'static str) -> Row {
        Row { method, ..self }
    }

    /// The same with a request body of so many bytes at most, or none.
    pub const fn with_body(self, body: Option<u64>) -> Row {
        Row { body, ..self }
    }

    /// The same, done on the door's worker.
    pub const fn now(self, answer: fn(&Desk, &Request) -> Answered) -> Row {
        Row { work: Work::Now(answer), ..self }
    }

    /// The same, done on a thread of its own.
    pub const fn later(self, answer: fn(&Desk, &Request) -> Answered) -> Row {
        Row { work: Work::Later(answer), ..self }
    }

    /// The same with an answer that it streams.
    pub const fn streamed(self, answer: fn(&Desk, &Request, Responder)) -> Row {
        Row { work: Work::Stream(answer), ..self }
    }
}

/// The parameters of a path that fits; `None` where it does not.
fn matched(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut parameters = Vec::new();
    let (mut wanted, mut segments) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), segments.next()) {
            (None, None) => return Some(parameters),
            (Some(name), Some(segment)) if name.starts_with('{') => {
                parameters.push(decoded(segment).filter(|text| !text.is_empty())?);
            }
            (Some(name), Some(segment)) if name == segment => {}
            _ => return None,
        }
    }
}

/// A request body of JSON that a person could write.
pub const SMALL_BODY: u64 = 1 << 20;
/// The largest that the door takes: a configuration file, a list of a hundred thousand addresses.
pub const MOST_BODY: u64 = 32 << 20;
