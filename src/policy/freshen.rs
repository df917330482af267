//! A stored head with a 304 laid over it (RFC 9111 §3.2, §4.3.4).
//!
//! [`Freshened`] is a [`Fields`] like any other: ask `storable` again with it, take the new variant and validators from
//! it, and build the new stored head of it. Does not check that the 304 speaks of this response: that is
//! [`super::validator::Validators::is_freshened_by`].

use super::Fields;

/// The fields of a stored response after a 304. Those of the 304 come last, in place of all lines of their name.
#[derive(Clone, Copy)]
pub struct Freshened<'a> {
    /// The head as stored.
    pub stored: &'a dyn Fields,
    /// The 304's.
    pub update: &'a dyn Fields,
}

impl Fields for Freshened<'_> {
    fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.stored.for_each(&mut |name, value| {
            if !self.replaces(name) {
                each(name, value);
            }
        });
        self.update.for_each(&mut |name, value| {
            if is_updated_by_304(name) {
                each(name, value);
            }
        });
    }
}

impl Freshened<'_> {
    /// A 304 without Date or Age is as young as its arrival: the stored ones would make it old again.
    fn replaces(&self, stored: &[u8]) -> bool {
        let mut is_replaced = stored.eq_ignore_ascii_case(b"date") || stored.eq_ignore_ascii_case(b"age");
        if !is_replaced && is_updated_by_304(stored) {
            self.update.for_each(&mut |name, _| is_replaced |= name.eq_ignore_ascii_case(stored));
        }
        is_replaced
    }
}

/// True for fields that a 304 adds or replaces in the stored response (RFC 9111 §3.2). Fields named by the 304's
/// Connection are to be taken out of it before.
pub fn is_updated_by_304(name: &[u8]) -> bool {
    !KEPT.iter().any(|kept| name.eq_ignore_ascii_case(kept.as_bytes()))
}

/// What a 304 leaves alone: what describes the stored body and how it was sent (RFC 9111 §3.2), what is never stored
/// (§3.1), the tag the body was selected by, and cookies, which are one client's.
const KEPT: [&str; 15] = [
    "content-length",
    "content-encoding",
    "content-range",
    "etag",
    "set-cookie",
    "transfer-encoding",
    "te",
    "trailer",
    "connection",
    "proxy-connection",
    "keep-alive",
    "upgrade",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
];

#[cfg(test)]
mod tests {
    use super::super::tests::Lines;
    use super::*;

    #[test]
    fn a_304_replaces_what_it_names_and_keeps_the_rest() {
        let stored = Lines(&[
            ("Cache-Control", "max-age=1"),
            ("Cache-Control", "public"),
            ("Content-Type", "text/plain"),
            ("Content-Encoding", "gzip"),
            ("Date", "old"),
            ("ETag", "\"a\""),
            ("X-A", "1"),
        ]);
        let update = Lines(&[
            ("cache-control", "max-age=9"),
            ("Content-Length", "0"),
            ("Content-Encoding", "br"),
            ("Content-MD5", "x"),
            ("ETag", "W/\"a\""),
            ("Set-Cookie", "a=b"),
            ("Connection", "close"),
        ]);
        let mut found = Vec::new();
        Freshened { stored: &stored, update: &update }.for_each(&mut |name, value| {
            found.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        });
        let expected = [
            "Content-Type: text/plain",
            "Content-Encoding: gzip",
            "ETag: \"a\"",
            "X-A: 1",
            "cache-control: max-age=9",
            "Content-MD5: x",
        ];
        assert_eq!(found, expected);
    }
}
