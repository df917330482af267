//! A cache key as people read it: its parts with a bar between them.

/// Appends a key that [`super::key::write_key`] and [`super::key_parts::KeyParts`] made: scheme, host and target, then
/// what the operator adds, several values of one name with a comma between them. Whatever is not printable ASCII, a quote
/// or a backslash becomes `?`, so that the text can stand in a String of RFC 8941. Allocates only while `out` grows.
pub fn write_text(out: &mut Vec<u8>, key: &[u8]) {
    let (scheme, rest) = split_part(key);
    let (host, rest) = split_part(rest);
    write_printable(out, scheme);
    out.push(b'|');
    write_printable(out, host);
    out.push(b'|');
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let (target, parts) = rest.split_at_checked(end).unwrap_or((rest, b""));
    write_printable(out, target);
    if !parts.is_empty() {
        write_parts(out, parts.get(1..).unwrap_or_default());
    }
}

fn write_parts(out: &mut Vec<u8>, parts: &[u8]) {
    let mut rest = parts;
    let mut is_first = true;
    while let Some((&mark, tail)) = rest.split_first() {
        if is_first {
            out.push(b'|');
        }
        if mark == 0 {
            is_first = true;
            rest = tail;
            continue;
        }
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        let Some((length, tail)) = tail.split_first_chunk::<2>() else { return };
        let length = usize::from(u16::from_be_bytes(*length));
        let (value, tail) = tail.split_at_checked(length).unwrap_or((tail, b""));
        write_printable(out, value);
        rest = tail;
    }
}

/// A part with its length plus one in front, seven bits a byte; a zero stands for none.
fn split_part(key: &[u8]) -> (&[u8], &[u8]) {
    let mut length = 0_usize;
    let mut rest = key;
    let mut shift = 0_u32;
    while let Some((&byte, tail)) = rest.split_first() {
        length |= usize::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift = shift.saturating_add(7);
        rest = tail;
        if byte & 0x80 == 0 {
            break;
        }
    }
    rest.split_at_checked(length.saturating_sub(1)).unwrap_or((rest, b""))
}

fn write_printable(out: &mut Vec<u8>, text: &[u8]) {
    let is_plain = |byte: &u8| (b' '..=b'~').contains(byte) && !b"\"\\".contains(byte);
    out.extend(text.iter().map(|byte| if is_plain(byte) { *byte } else { b'?' }));
}

#[cfg(test)]
mod tests {
    use super::super::key::write_key;
    use super::super::key_parts::KeyParts;
    use super::super::tests::Lines;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_is_read_part_by_part() {
        let parts = KeyParts { headers: vec!["x-a".into()], cookies: vec!["c".into()] };
        let text = |scheme, host, lines: &[(&str, &str)], parts: &KeyParts| {
            let (mut key, mut out) = (Vec::new(), Vec::new());
            write_key(&mut key, scheme, host, "/x?\"y\"");
            parts.write(&mut key, &Lines(lines));
            write_text(&mut out, &key);
            String::from_utf8(out).unwrap()
        };
        let none = KeyParts::default();
        let long = "h".repeat(200);
        assert_eq!(text(Some("http"), Some("a.test"), &[], &none), "http|a.test|/x??y?");
        assert_eq!(text(None, Some(&long), &[], &none), format!("|{long}|/x??y?"));
        assert_eq!(text(None, Some("a"), &[], &parts), "|a|/x??y?||");
        let lines = [("X-A", "1"), ("X-A", "2"), ("Cookie", "c=\\")];
        assert_eq!(text(None, Some("a"), &lines, &parts), "|a|/x??y?|1,2|?");
    }

    proptest! {
        #[test]
        fn any_bytes_are_shown_in_printable_ones(key: Vec<u8>) {
            let mut out = Vec::new();
            write_text(&mut out, &key);
            prop_assert!(out.iter().all(|byte| (b' '..=b'~').contains(byte) && !b"\"\\".contains(byte)));
        }
    }
}
