//! The cache key (decision 1): which resource a stored response answers for. The variant is not part of it.

/// Writes the key of a request into `out`, in place of what it holds; allocates only while `out` grows.
///
/// `scheme` and `host` are `None` where the site shares its responses between schemes or between domains. Both are in lower
/// case, `host` without port; `target` is the raw path and query, as sent. Each of the first two parts has its length in
/// front, so no two requests that differ in a part have one key.
pub fn write_key(out: &mut Vec<u8>, scheme: Option<&str>, host: Option<&str>, target: &str) {
    out.clear();
    write_part(out, scheme);
    write_part(out, host);
    out.extend_from_slice(target.as_bytes());
}

/// A part's length plus one, seven bits a byte, then the part; a single zero where there is none.
fn write_part(out: &mut Vec<u8>, part: Option<&str>) {
    let mut length = part.map_or(0, |text| text.len().saturating_add(1));
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or(0);
        length >>= 7;
        out.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            break;
        }
    }
    out.extend_from_slice(part.unwrap_or_default().as_bytes());
}

/// What a key says of the requests that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyParts<'k> {
    /// `None` where it is shared between schemes.
    pub scheme: Option<&'k str>,
    /// In lower case, without port; `None` where it is shared between domains.
    pub host: Option<&'k str>,
    /// Path and query.
    pub target: &'k str,
    /// What else tells requests for the target apart, if anything.
    pub rest: &'k [u8],
}

impl<'k> KeyParts<'k> {
    /// Reads a key; `None` where it is none that [`write_key`] began. Whatever stands behind the target begins with a byte
    /// that no request target has (RFC 9112 §3.2): a control character, say, or a blank.
    pub fn of(key: &'k [u8]) -> Option<KeyParts<'k>> {
        let (scheme, rest) = read_part(key)?;
        let (host, rest) = read_part(rest)?;
        let end = rest.iter().position(|byte| !byte.is_ascii_graphic()).unwrap_or(rest.len());
        let (target, rest) = rest.split_at_checked(end)?;
        Some(KeyParts { scheme, host, target: std::str::from_utf8(target).ok()?, rest })
    }
}

/// The part of a key that names the origin: its scheme and host. All keys of the origin begin so.
pub fn origin_of(key: &[u8]) -> &[u8] {
    let length = KeyParts::of(key).map_or(key.len(), |parts| key.len() - parts.target.len() - parts.rest.len());
    key.get(..length).unwrap_or(key)
}

/// The part of a key that names the resource: all but what else tells requests for it apart.
pub fn resource_of(key: &[u8]) -> &[u8] {
    let length = KeyParts::of(key).map_or(key.len(), |parts| key.len() - parts.rest.len());
    key.get(..length).unwrap_or(key)
}

/// A part and what follows it.
fn read_part(key: &[u8]) -> Option<(Option<&str>, &[u8])> {
    let (mut length, mut shift, mut rest) = (0_usize, 0_u32, key);
    loop {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            break;
        }
        shift = shift.checked_add(7).filter(|shift| *shift < 28)?;
    }
    let Some(length) = length.checked_sub(1) else { return Some((None, rest)) };
    let (part, rest) = rest.split_at_checked(length)?;
    Some((Some(std::str::from_utf8(part).ok()?), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(scheme: Option<&str>, host: Option<&str>, target: &str) -> Vec<u8> {
        let mut out = b"left over".to_vec();
        write_key(&mut out, scheme, host, target);
        out
    }

    #[test]
    fn requests_that_differ_in_a_part_differ_in_the_key() {
        let keys = [
            key(Some("http"), Some("a.example"), "/x"),
            key(Some("https"), Some("a.example"), "/x"),
            key(None, Some("a.example"), "/x"),
            key(Some("http"), None, "/x"),
            key(None, None, "/x"),
            key(Some("http"), Some(""), "/x"),
            key(Some("http"), Some("b.example"), "/x"),
            key(Some("http"), Some("a.example"), "/X"),
            key(Some("http"), Some("a.example"), "/x?"),
            key(Some("http"), Some("a.example"), "/%78"),
            key(Some("http"), Some("a.example/"), "x"),
            key(Some("httpa"), Some(".example"), "/x"),
        ];
        for (index, one) in keys.iter().enumerate() {
            assert!(keys[index + 1..].iter().all(|other| other != one), "{index}");
        }
    }

    #[test]
    fn a_key_says_what_it_stands_for() {
        let long = "a.".repeat(100);
        let hosts = [None, Some(""), Some("a.example"), Some(long.as_str())];
        for (scheme, host) in [None, Some("https")].iter().flat_map(|scheme| hosts.map(|host| (*scheme, host))) {
            let mut whole = key(scheme, host, "/x?y=~");
            let expected = KeyParts { scheme, host, target: "/x?y=~", rest: b"" };
            assert_eq!(KeyParts::of(&whole), Some(expected));
            whole.extend_from_slice(b"\0\x05more/");
            assert_eq!(KeyParts::of(&whole), Some(KeyParts { rest: b"\0\x05more/", ..expected }));
            assert_eq!(resource_of(&whole), key(scheme, host, "/x?y=~"));
            assert_eq!(origin_of(&whole), key(scheme, host, ""));
        }
        for broken in [&b""[..], b"\x05", b"\x05http", b"\x05http\x80", &[0xff; 11]] {
            assert_eq!(KeyParts::of(broken), None, "{broken:?}");
            assert_eq!((origin_of(broken), resource_of(broken)), (broken, broken));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(any: Vec<u8>) {
            let _ = KeyParts::of(&any);
        }

        #[test]
        fn parts_never_run_together(a in "[a-z.]{0,200}", b in "[a-z.]{0,200}", cut in 0_usize..200) {
            let text = format!("{a}{b}");
            let (c, d) = text.split_at(cut.min(text.len()));
            prop_assert_eq!(key(None, Some(&a), &b) == key(None, Some(c), d), a == c);
        }
    }
}
