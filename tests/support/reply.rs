//! What a scripted origin does for one request: bytes, waits, and how the connection goes on.

use std::io;

use super::gate::Gate;
use super::wire::Wire;

/// Steps in order, then the connection is kept unless the reply says otherwise.
#[derive(Clone)]
pub struct Reply {
    steps: Vec<Step>,
    end: End,
}

#[derive(Clone)]
enum Step {
    Bytes(Vec<u8>),
    Wait(Gate),
}

#[derive(Clone, Copy)]
enum End {
    Keep,
    Close,
    Cut,
    Reset,
}

impl Reply {
    /// No byte at all; add steps to it.
    pub fn nothing() -> Reply {
        Reply { steps: Vec::new(), end: End::Keep }
    }

    /// Exactly these bytes.
    pub fn bytes(bytes: impl AsRef<[u8]>) -> Reply {
        Reply::nothing().then(bytes)
    }

    /// `HTTP/1.1 200 OK` with a Content-Length, a body and nothing else.
    pub fn ok(body: impl AsRef<[u8]>) -> Reply {
        Reply::response("200 OK", &[], body)
    }

    /// A response with the Content-Length of its body and further fields (`"Cache-Control: max-age=60"`).
    pub fn response(status: &str, fields: &[&str], body: impl AsRef<[u8]>) -> Reply {
        let body = body.as_ref();
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
        Reply::bytes(head).then(body)
    }

    /// Further bytes. Parts with nothing between them still are separate writes.
    pub fn then(mut self, bytes: impl AsRef<[u8]>) -> Reply {
        self.steps.push(Step::Bytes(bytes.as_ref().to_vec()));
        self
    }

    /// Goes on when the gate is open.
    pub fn wait(mut self, gate: &Gate) -> Reply {
        self.steps.push(Step::Wait(gate.clone()));
        self
    }

    /// The connection stays for the next request; so it is if nothing is said.
    pub fn keep(self) -> Reply {
        Reply { end: End::Keep, ..self }
    }

    /// Ends the connection in order: TLS's closing alert, then FIN.
    pub fn close(self) -> Reply {
        Reply { end: End::Close, ..self }
    }

    /// Ends the connection with a bare FIN, even in the middle of TLS.
    pub fn cut(self) -> Reply {
        Reply { end: End::Cut, ..self }
    }

    /// Ends the connection with RST.
    pub fn reset(self) -> Reply {
        Reply { end: End::Reset, ..self }
    }

    /// Plays the reply; the wire comes back if it is kept.
    pub(super) fn play(self, mut wire: Wire) -> io::Result<Option<Wire>> {
        for step in self.steps {
            match step {
                Step::Bytes(bytes) => wire.send(&bytes)?,
                Step::Wait(gate) => gate.wait(),
            }
        }
        match self.end {
            End::Keep => return Ok(Some(wire)),
            End::Close => wire.close(),
            End::Cut => wire.cut(),
            End::Reset => wire.reset(),
        }
        Ok(None)
    }
}
