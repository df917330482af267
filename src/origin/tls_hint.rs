//! A port that was asked in plain HTTP and says, in plain HTTP, that it wants TLS.

use std::time::Instant;

use super::connection::Connection;
use crate::http1::{BodyLength, ResponseHead};

/// A 400 page in plain HTTP from a port that wants TLS: looks into short pages, without using up a byte of them.
pub fn wants_tls(head: &ResponseHead, length: BodyLength, connection: &mut Connection, deadline: Instant) -> bool {
    let wanted = match length {
        BodyLength::Exact(length) => usize::try_from(length).unwrap_or(usize::MAX),
        BodyLength::None => 0,
        BodyLength::Chunked | BodyLength::UntilClose => MAX_HINT_PAGE,
    };
    if head.status != 400 || wanted > MAX_HINT_PAGE {
        return false;
    }
    while connection.input.bytes().len() < wanted && !is_tls_hint(connection.input.bytes()) {
        // An end or a failure comes again when the body is read.
        if length == BodyLength::Chunked && connection.input.bytes().ends_with(b"0\r\n\r\n") {
            break;
        }
        match connection.fill(deadline) {
            Ok(count) if count > 0 => {}
            _ => break,
        }
    }
    is_tls_hint(connection.input.bytes())
}

/// Do these first bytes of a 400 page say that the port wants TLS? Servers that notice say so in plain HTTP.
fn is_tls_hint(page: &[u8]) -> bool {
    let contains = |text: &str| page.windows(text.len()).any(|window| window == text.as_bytes());
    TLS_HINTS.iter().any(|text| contains(text))
}

/// nginx; Go's net/http; Apache httpd.
const TLS_HINTS: [&str; 3] = [
    "plain HTTP request was sent to HTTPS port",
    "Client sent an HTTP request to an HTTPS server",
    "speaking plain HTTP to an SSL-enabled server port",
];
const MAX_HINT_PAGE: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_servers_that_want_tls_are_known() {
        assert!(is_tls_hint(b"<center>The plain HTTP request was sent to HTTPS port</center>"));
        assert!(is_tls_hint(b"Client sent an HTTP request to an HTTPS server.\n"));
        assert!(!is_tls_hint(b"<h1>Bad Request</h1>"));
    }
}
