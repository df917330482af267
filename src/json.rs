//! JSON text (RFC 8259), written piece by piece by those who keep the order of their members.

/// A string. All but printable ASCII is escaped: neither a terminal nor a reader of another encoding makes anything else of it.
pub fn text(value: &str) -> String {
    let mut out = String::with_capacity(value.len().saturating_add(2));
    out.push('"');
    for one in value.chars() {
        match one {
            '"' | '\\' => out.extend(['\\', one]),
            ' '..='~' => out.push(one),
            _ => one.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out.push('"');
    out
}

/// A string, or null.
pub fn optional(value: Option<&str>) -> String {
    value.map_or_else(null, text)
}

/// Null.
pub fn null() -> String {
    "null".to_owned()
}

/// An array of values that are JSON already.
pub fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(","))
}

/// An array of strings.
pub fn texts(values: &[String]) -> String {
    list(values.iter().map(|value| text(value)))
}

/// An object whose values are JSON already; its members stay in this order.
pub fn object<N: AsRef<str>>(members: &[(N, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{}:{value}", text(name.as_ref()))).collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_cannot_end_early() {
        let rows = [
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\r\n\u{1b}[31m\u{9b}", r#""\u000d\u000a\u001b[31m\u009b""#),
            ("é\u{202e}\u{1f980}", r#""\u00e9\u202e\ud83e\udd80""#),
        ];
        for (value, expected) in rows {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn whatever_is_written_is_read_again() {
        let value = "a\"\\\u{7}/é\u{fffd}\u{10ffff}";
        let written = object(&[("one \"name\"", text(value)), ("two", list([optional(None), texts(&[])].into_iter()))]);
        let read: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(read, serde_json::json!({ "one \"name\"": value, "two": [null, []] }));
    }
}
