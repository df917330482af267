//! The cache key (decision 1): which resource a stored response answers for. The variant is not part of it.

/// Writes the key of a request into `out`, in place of what it holds; allocates only while `out` grows.
///
/// `scheme` and `host` are `None` where the site shares its responses between schemes or between domains. `host` is
/// without port and is lower-cased here; `target` is the raw path and query, as sent. Each of the first two parts has
/// its length in front, so no two requests that differ in a part have one key.
pub fn write_key(out: &mut Vec<u8>, scheme: Option<&str>, host: Option<&str>, target: &str) {
    out.clear();
    write_part(out, scheme);
    write_part(out, host);
    out.extend_from_slice(target.as_bytes());
}

/// A part's length plus one, seven bits a byte, then the part in lower case; a single zero where there is none.
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
    out.extend(part.unwrap_or_default().bytes().map(|byte| byte.to_ascii_lowercase()));
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
    fn the_same_resource_has_one_key() {
        assert_eq!(key(Some("http"), Some("A.Example"), "/x"), key(Some("http"), Some("a.example"), "/x"));
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

    proptest! {
        #[test]
        fn parts_never_run_together(a in "[a-z.]{0,200}", b in "[a-z.]{0,200}", cut in 0_usize..200) {
            let text = format!("{a}{b}");
            let (c, d) = text.split_at(cut.min(text.len()));
            prop_assert_eq!(key(None, Some(&a), &b) == key(None, Some(c), d), a == c);
        }
    }
}
