//! The head of an answer, read strictly by `http1` before ureq sees anything (decision 13).
//!
//! Interim responses (RFC 9110 §15.2) are taken out, counted and handed on; what remains is the final head. Refuses to
//! know of bodies and deadlines.

use std::sync::Arc;

use super::buffer::Buffer;
use super::error::Cause;
use crate::http1::{HeadLimits, HeadScan, Parsed, ResponseError, ResponseHead};

/// Takes interim responses other than 100 as they come, on the fetcher's thread. Must not block.
pub type Interim = Arc<dyn Fn(&ResponseHead) + Send + Sync>;

/// An answer on its way.
#[derive(Default)]
pub struct Answer {
    scan: HeadScan,
    interims: usize,
    on_interim: Option<Interim>,
    head: Option<ResponseHead>,
}

impl Answer {
    /// An answer of which nothing has come.
    pub fn new(on_interim: Option<Interim>) -> Answer {
        Answer { on_interim, ..Answer::default() }
    }

    /// Takes whole heads off `input`, up to the final one. True once that has come.
    pub fn advance(&mut self, input: &mut Buffer) -> Result<bool, Cause> {
        while self.head.is_none() {
            let parsed = ResponseHead::parse(input.bytes(), &HeadLimits::ORIGIN, &mut self.scan);
            let (head, length) = match parsed {
                Ok(Parsed::Whole(whole)) => whole,
                Ok(Parsed::Partial) => return Ok(false),
                Err(error) => return Err(refusal(error, input.bytes())),
            };
            input.consume(length);
            match head.status {
                101 => return Err(Cause::Upgraded),
                100..=199 => self.pass_on(&head)?,
                _ => self.head = Some(head),
            }
        }
        Ok(true)
    }

    /// True once the final head has come.
    pub fn is_whole(&self) -> bool {
        self.head.is_some()
    }

    /// The final head.
    pub fn into_head(self) -> Option<ResponseHead> {
        self.head
    }

    fn pass_on(&mut self, head: &ResponseHead) -> Result<(), Cause> {
        self.interims += 1;
        if self.interims > MAX_INTERIMS {
            return Err(Cause::TooManyInterims);
        }
        if let Some(on_interim) = self.on_interim.as_ref().filter(|_| head.status != 100) {
            on_interim(head);
        }
        Ok(())
    }
}

/// An alert record in place of a status line: the port wants TLS.
fn refusal(error: ResponseError, input: &[u8]) -> Cause {
    if input.starts_with(&[ALERT, TLS_MAJOR]) { Cause::TlsOnPlainPort } else { Cause::Head(error) }
}

const MAX_INTERIMS: usize = 16;
/// Content type of a TLS alert record (RFC 8446 §5.1).
const ALERT: u8 = 21;
const TLS_MAJOR: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn read(bytes: &[u8]) -> (Result<bool, Cause>, Vec<u16>, Buffer) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let mut answer = Answer::new(Some(Arc::new(move |head: &ResponseHead| sink.lock().unwrap().push(head.status))));
        let mut input = Buffer::default();
        let mut result = Ok(false);
        for byte in bytes {
            input.room()[0] = *byte;
            input.filled(1);
            if !matches!(result, Ok(false)) {
                continue;
            }
            result = answer.advance(&mut input);
        }
        let seen = seen.lock().unwrap().clone();
        (result, seen, input)
    }

    #[test]
    fn interim_responses_are_taken_out_and_handed_on() {
        let text = b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n\
            HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let (result, seen, input) = read(text);
        assert!(result.unwrap());
        assert_eq!(seen, [103]);
        assert_eq!(input.bytes(), b"ok");
    }

    #[test]
    fn too_many_interim_responses_are_refused() {
        let interim = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17);
        assert!(matches!(read(&interim).0, Err(Cause::TooManyInterims)));
        assert!(!read(&interim[..interim.len() - 28]).0.unwrap());
    }

    #[test]
    fn an_upgrade_that_nobody_asked_for_is_refused() {
        assert!(matches!(read(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").0, Err(Cause::Upgraded)));
    }

    #[test]
    fn a_tls_alert_is_told_from_garbage() {
        let mut input = Buffer::default();
        input.room()[..7].copy_from_slice(&[21, 3, 1, 0, 2, 2, 70]);
        input.filled(7);
        assert!(matches!(Answer::default().advance(&mut input), Err(Cause::TlsOnPlainPort)));
        assert!(matches!(read(b"SSH-2.0-x\r\n\r\n").0, Err(Cause::Head(ResponseError::Malformed(_)))));
    }
}
