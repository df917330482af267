//! What of a request an operator adds to the cache key: fields and cookies.
//!
//! They stand behind the target and a zero byte, which no target has, each with its length in front; so the keys of one
//! address begin alike, and no two requests that differ in a part have one key. A request of which the origin might read
//! something else than the key says gets no key at all: its answer would be served to others.

use super::Fields;
use super::list::trim;

/// The names that a site adds to its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyParts {
    /// Request fields, in lower case.
    pub headers: Vec<String>,
    /// Cookies; their names count letter by letter.
    pub cookies: Vec<String>,
}

impl KeyParts {
    /// Appends the parts; false where the request can have no key. Allocates only while `out` grows.
    pub fn write(&self, out: &mut Vec<u8>, fields: &dyn Fields) -> bool {
        if self.headers.is_empty() && self.cookies.is_empty() {
            return true;
        }
        out.push(0);
        let mut is_usable = true;
        for wanted in &self.headers {
            fields.for_each(&mut |name, value| {
                if name.eq_ignore_ascii_case(wanted.as_bytes()) {
                    is_usable &= write_value(out, value);
                } else if is_read_alike(name, wanted) {
                    is_usable = false;
                }
            });
            out.push(0);
        }
        for wanted in &self.cookies {
            fields.for_each(&mut |name, value| {
                if name.eq_ignore_ascii_case(b"cookie") {
                    for (name, value) in cookies(value) {
                        is_usable &= !is_cut(value) && (name != wanted.as_bytes() || write_value(out, value));
                    }
                }
            });
            out.push(0);
        }
        is_usable
    }
}

/// The pairs of a Cookie line (RFC 6265 §4.2.1).
pub fn cookies(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|byte| *byte == b';').map(|pair| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        (trim(halves.next().unwrap_or_default()), trim(halves.next().unwrap_or_default()))
    })
}

/// A value in quotes that may have a `;` in it: some origins read on to the closing quote, others do not (RFC 6265 §5.2).
fn is_cut(value: &[u8]) -> bool {
    matches!(value, [b'"', rest @ ..] if !rest.ends_with(b"\"") || rest.contains(&b'\\'))
}

/// Length plus one in two bytes, so that it differs from the zero behind the last value, then the value.
fn write_value(out: &mut Vec<u8>, value: &[u8]) -> bool {
    let length = u16::try_from(value.len()).ok().filter(|length| *length <= MAX_VALUE);
    if let Some(length) = length {
        out.push(1);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(value);
    }
    length.is_some()
}

/// Another name that some origins take for the same: `X_A` for `X-A`.
fn is_read_alike(name: &[u8], wanted: &str) -> bool {
    let plain = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == wanted.len() && name.iter().map(plain).eq(wanted.as_bytes().iter().map(plain))
}

/// Bytes of a value; longer ones tell one client from all others and would only fill the cache.
const MAX_VALUE: u16 = 1024;

#[cfg(test)]
mod tests {
    use super::super::tests::Lines;
    use super::*;

    fn key(lines: &[(&str, &str)]) -> Option<Vec<u8>> {
        let parts = KeyParts { headers: vec!["x-a".into(), "x-b".into()], cookies: vec!["c".into()] };
        let mut out = b"/".to_vec();
        parts.write(&mut out, &Lines(lines)).then_some(out)
    }

    #[test]
    fn requests_that_differ_in_a_part_differ_in_the_key() {
        let rows: [&[(&str, &str)]; 12] = [
            &[],
            &[("X-A", "1")],
            &[("X-A", "")],
            &[("X-A", "1"), ("X-A", "2")],
            &[("X-A", "12")],
            &[("X-B", "1")],
            &[("Cookie", "c=1")],
            &[("Cookie", "c=")],
            &[("Cookie", "a=2; c=1; c=2")],
            &[("Cookie", "c=2"), ("Cookie", "c=1")],
            &[("X-A", "1\u{1}")],
            &[("X-A", "1"), ("X-B", "1")],
        ];
        let keys: Vec<_> = rows.iter().map(|row| key(row).unwrap()).collect();
        for (index, one) in keys.iter().enumerate() {
            assert!(keys[index + 1..].iter().all(|other| other != one), "{:?}", rows[index]);
        }
    }

    #[test]
    fn what_is_not_named_does_not_count() {
        assert_eq!(key(&[("x-A", "1"), ("X-C", "2"), ("Cookie", "d=1;c=7 ")]), key(&[("Cookie", "c=7"), ("X-A", "1")]));
        assert_eq!(key(&[("Cookie", "C=1")]), key(&[]));
    }

    #[test]
    fn a_request_that_could_be_read_otherwise_has_no_key() {
        let long = "x".repeat(1025);
        for lines in
            [("X-A", long.as_str()), ("X_A", "1"), ("Cookie", &format!("c={long}")), ("Cookie", "a=\"b; c=1; d\"")]
                .into_iter()
                .chain([("Cookie", "a=\"b\\\"; c=1; d\""), ("Cookie", "c=1; a=\"")])
        {
            assert_eq!(key(&[lines]), None, "{}", lines.0);
        }
        assert_eq!(key(&[("Cookie", "a=\"b\"; c=1")]), key(&[("Cookie", "c=1")]));
        assert!(key(&[("X-A", &long[1..])]).is_some());
    }
}
