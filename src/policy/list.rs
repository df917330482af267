//! Comma-separated lists (RFC 9110 §5.6.1) and the numbers in them. Knows no field.

/// The members of one field line: split at commas outside quoted strings, trimmed, empty ones left out.
///
/// A quote starts a string only after `=` and where another closes it. Any other is an ordinary character: what follows
/// it is still read, so that a broken extension cannot hide a `no-store`.
pub fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = member_end(rest);
            let (member, tail) = rest.split_at_checked(end).unwrap_or((rest, b""));
            rest = tail.get(1..).unwrap_or_default();
            let member = trim(member);
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    })
}

/// Where the first member ends: at its comma or at the end of the line.
fn member_end(line: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        at += match byte {
            b',' => return at,
            b'=' => 1 + line.get(at + 1..).and_then(quoted_length).unwrap_or(0),
            _ => 1,
        };
    }
    at
}

/// Length of the quoted string (RFC 9110 §5.6.4) that `text` starts with, both quotes included; `None` without one.
pub fn quoted_length(text: &[u8]) -> Option<usize> {
    text.first().filter(|&&byte| byte == b'"')?;
    let mut bytes = text.iter().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    None
}

/// Without the blanks (SP, HTAB) around it.
pub fn trim(text: &[u8]) -> &[u8] {
    let mut text = text;
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// True for the characters of a token (RFC 9110 §5.6.2).
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// delta-seconds (RFC 9111 §1.2.2): digits only; what is larger than 2^31 counts as 2^31.
pub fn delta_seconds(text: &[u8]) -> Option<u32> {
    let seconds = digits(text)?;
    Some(u32::try_from(seconds).unwrap_or(MAX_SECONDS).min(MAX_SECONDS))
}

/// One or more digits as a number; saturates.
pub fn digits(text: &[u8]) -> Option<u64> {
    let all_digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let add = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit.saturating_sub(b'0')));
    all_digits.then(|| text.iter().fold(0, add))
}

/// The age or lifetime that stands for every larger one (RFC 9111 §1.2.2).
pub const MAX_SECONDS: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_split_outside_quotes() {
        let rows: [(&str, &[&str]); 10] = [
            ("", &[]),
            (" , ,\t", &[]),
            ("a", &["a"]),
            ("a,b , c", &["a", "b", "c"]),
            ("a=\"x,y\", b", &["a=\"x,y\"", "b"]),
            ("a=\"x\\\",y\", b", &["a=\"x\\\",y\"", "b"]),
            ("a=\"x, no-store", &["a=\"x", "no-store"]),
            ("a=\"x\\\", b", &["a=\"x\\\"", "b"]),
            ("\", b, \"", &["\"", "b", "\""]),
            ("a==\"x,y\"", &["a==\"x,y\""]),
        ];
        for (line, expected) in rows {
            let expected: Vec<_> = expected.iter().map(|member| member.as_bytes()).collect();
            assert_eq!(members(line.as_bytes()).collect::<Vec<_>>(), expected, "{line}");
        }
    }

    #[test]
    fn delta_seconds_are_digits_and_saturate() {
        let rows = [
            ("0", Some(0)),
            ("003600", Some(3600)),
            ("2147483648", Some(MAX_SECONDS)),
            ("4294967296", Some(MAX_SECONDS)),
            ("99999999999999999999999999", Some(MAX_SECONDS)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            ("1s", None),
            (" 1", None),
        ];
        for (text, expected) in rows {
            assert_eq!(delta_seconds(text.as_bytes()), expected, "{text}");
        }
    }
}
