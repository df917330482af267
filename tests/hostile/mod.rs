//! Tables of hostile messages, and the words in which their rows say what is to become of them.
//!
//! `$P` in the bytes of a row stands for a path of its own. Wherever a row hides a request, that one asks for `/smug`.

pub mod bodies;
pub mod doubles;
pub mod ends;
pub mod fields;
pub mod framing;
pub mod limits;
pub mod targets;

/// One request, or what is to pass for one.
pub struct Row {
    pub name: String,
    pub bytes: Vec<u8>,
    pub fate: Fate,
}

/// What must become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// This status, then the end of the connection; nothing reaches the origin.
    Refused(u16),
    /// This status, made here; the connection goes on, nothing reaches the origin.
    Answered(u16),
    /// The origin gets this method, target and body, once, and the client its answer; the connection goes on.
    Forwarded(&'static str, String, Vec<u8>),
    /// The same, and the connection ends.
    Last(&'static str, String, Vec<u8>),
}

/// Refused with that status.
pub fn refused(name: impl Into<String>, bytes: impl AsRef<[u8]>, status: u16) -> Row {
    Row { name: name.into(), bytes: bytes.as_ref().to_vec(), fate: Fate::Refused(status) }
}

/// Answered here with that status.
pub fn answered(name: impl Into<String>, bytes: impl AsRef<[u8]>, status: u16) -> Row {
    Row { name: name.into(), bytes: bytes.as_ref().to_vec(), fate: Fate::Answered(status) }
}

/// A GET for `$P` without a body.
pub fn forwarded(name: impl Into<String>, bytes: impl AsRef<[u8]>) -> Row {
    forwarded_as(name, bytes, "GET", "$P", "")
}

pub fn forwarded_as(
    name: impl Into<String>,
    bytes: impl AsRef<[u8]>,
    method: &'static str,
    target: &str,
    body: impl AsRef<[u8]>,
) -> Row {
    let fate = Fate::Forwarded(method, target.to_owned(), body.as_ref().to_vec());
    Row { name: name.into(), bytes: bytes.as_ref().to_vec(), fate }
}

/// The same, after which the connection ends.
pub fn last(name: impl Into<String>, bytes: impl AsRef<[u8]>) -> Row {
    last_as(name, bytes, "GET", "")
}

/// The same with a method and a body.
pub fn last_as(name: impl Into<String>, bytes: impl AsRef<[u8]>, method: &'static str, body: impl AsRef<[u8]>) -> Row {
    let fate = Fate::Last(method, "$P".to_owned(), body.as_ref().to_vec());
    Row { name: name.into(), bytes: bytes.as_ref().to_vec(), fate }
}

/// GET for `$P` with further lines, which end as they say.
pub fn get(lines: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET $P HTTP/1.1\r\nHost: a.test\r\n", lines.as_ref(), b"\r\n"].concat()
}

/// POST to `$P` with further lines, and what follows the head.
pub fn post(lines: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
    [b"POST $P HTTP/1.1\r\nHost: a.test\r\n", lines.as_ref(), b"\r\n", body.as_ref()].concat()
}

/// A request to be hidden.
pub const SMUG: &str = "GET /smug HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// All rows.
pub fn requests() -> Vec<Row> {
    let tables = [framing::rows(), bodies::rows(), fields::rows(), targets::rows(), limits::rows()];
    tables.into_iter().chain([doubles::rows(), ends::rows()]).flatten().collect()
}
