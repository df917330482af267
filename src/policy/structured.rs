//! Dictionaries and lists of strings of Structured Fields (RFC 9651, which takes the place of RFC 8941), read strictly:
//! one wrong byte and the whole field is none. Knows no directive.

/// A member's value, as far as a cache directive can have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Without a value, or `?1`.
    True,
    /// `?0`
    False,
    /// An Integer as written, perhaps negative; at most 15 digits.
    Integer(&'a [u8]),
    /// Any other type, an Inner List among them.
    Other,
}

/// The members of a dictionary (RFC 9651 §4.2.2), whose field lines are joined by commas already. Of equal keys the last
/// value counts, in the place of the first; parameters are checked and left out. `None` where anything is wrong.
pub fn dictionary(field: &[u8]) -> Option<Vec<(&[u8], Value<'_>)>> {
    let mut input = Input(field);
    let mut members: Vec<(&[u8], Value<'_>)> = Vec::new();
    input.skip(|byte| byte == b' ');
    while !input.0.is_empty() {
        let key = input.key()?;
        let value = match input.eat(b'=') {
            true => input.item_or_list()?,
            false => Value::True,
        };
        input.parameters()?;
        match members.iter_mut().find(|(known, _)| *known == key) {
            Some(member) => member.1 = value,
            None => members.push((key, value)),
        }
        input.separator(members.len())?;
    }
    Some(members)
}

/// The members of a List of Strings (RFC 9651 §3.1, §3.3.3), whose field lines are joined by commas already; parameters
/// are checked and left out. `None` where anything is wrong or a member is no String.
pub fn strings(field: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let mut input = Input(field);
    let mut members = Vec::new();
    input.skip(|byte| byte == b' ');
    while !input.0.is_empty() {
        let start = input.0;
        input.string()?;
        let length = start.len().saturating_sub(input.0.len());
        members.push(unquoted(start.get(..length).unwrap_or_default()));
        input.parameters()?;
        input.separator(members.len())?;
    }
    Some(members)
}

/// The text of a String that was found valid: without its quotes, and what a backslash guards without the backslash.
fn unquoted(string: &[u8]) -> Box<[u8]> {
    let inside = string.get(1..string.len().saturating_sub(1)).unwrap_or_default();
    let mut is_guarded = false;
    let is_text = |byte: &&u8| {
        is_guarded = **byte == b'\\' && !is_guarded;
        !is_guarded
    };
    inside.iter().filter(is_text).copied().collect()
}

/// What is not yet read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn skip(&mut self, is_skipped: impl Fn(u8) -> bool) {
        self.take(is_skipped);
    }

    /// The longest start of which every byte passes.
    fn take(&mut self, passes: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| !passes(byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at_checked(end).unwrap_or((self.0, b""));
        self.0 = rest;
        taken
    }

    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_there = self.0.first() == Some(&byte);
        if is_there {
            self.next();
        }
        is_there
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    /// The end, or a comma and another member behind it (RFC 9651 §4.2.1, §4.2.2): nothing behind a comma is an error, and
    /// so is one member too many.
    fn separator(&mut self, members: usize) -> Option<()> {
        let is_blank = |byte| matches!(byte, b' ' | b'\t');
        self.skip(is_blank);
        if self.0.is_empty() {
            return Some(());
        }
        self.expect(b',')?;
        self.skip(is_blank);
        (!self.0.is_empty() && members < MOST_MEMBERS).then_some(())
    }

    /// RFC 9651 §4.2.3.3
    fn key(&mut self) -> Option<&'a [u8]> {
        self.0.first().filter(|byte| byte.is_ascii_lowercase() || **byte == b'*')?;
        Some(self.take(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte)))
    }

    /// RFC 9651 §4.2.1.1
    fn item_or_list(&mut self) -> Option<Value<'a>> {
        if !self.eat(b'(') {
            return self.bare_item();
        }
        loop {
            self.skip(|byte| byte == b' ');
            if self.eat(b')') {
                return Some(Value::Other);
            }
            self.bare_item()?;
            self.parameters()?;
            self.0.first().filter(|byte| matches!(byte, b' ' | b')'))?;
        }
    }

    /// RFC 9651 §4.2.3.2
    fn parameters(&mut self) -> Option<()> {
        while self.eat(b';') {
            self.skip(|byte| byte == b' ');
            self.key()?;
            if self.eat(b'=') {
                self.bare_item()?;
            }
        }
        Some(())
    }

    /// RFC 9651 §4.2.3.1
    fn bare_item(&mut self) -> Option<Value<'a>> {
        match self.0.first()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'*' | b'A'..=b'Z' | b'a'..=b'z' => {
                self.skip(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte));
                Some(Value::Other)
            }
            b':' => self.byte_sequence(),
            b'?' => self.boolean(),
            b'@' => {
                self.next();
                let number = self.number()?;
                matches!(number, Value::Integer(_)).then_some(Value::Other)
            }
            b'%' => self.display_string(),
            _ => None,
        }
    }

    /// An Integer of at most 15 digits, or a Decimal of at most 12 and 3 (RFC 9651 §4.2.4).
    fn number(&mut self) -> Option<Value<'a>> {
        let start = self.0;
        self.eat(b'-');
        let digits = self.take(|byte| byte.is_ascii_digit()).len();
        if !self.eat(b'.') {
            let length = start.len().saturating_sub(self.0.len());
            return (1..=15).contains(&digits).then(|| Value::Integer(start.get(..length).unwrap_or_default()));
        }
        let decimals = self.take(|byte| byte.is_ascii_digit()).len();
        ((1..=12).contains(&digits) && (1..=3).contains(&decimals)).then_some(Value::Other)
    }

    /// RFC 9651 §4.2.5
    fn string(&mut self) -> Option<Value<'a>> {
        self.expect(b'"')?;
        loop {
            match self.next()? {
                b'"' => return Some(Value::Other),
                b'\\' => {
                    self.next().filter(|byte| matches!(byte, b'"' | b'\\'))?;
                }
                b' '..=b'~' => {}
                _ => return None,
            }
        }
    }

    /// RFC 9651 §4.2.7; the length of the coding is left to who would decode it.
    fn byte_sequence(&mut self) -> Option<Value<'a>> {
        self.expect(b':')?;
        self.skip(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        self.expect(b':')?;
        Some(Value::Other)
    }

    /// RFC 9651 §4.2.8
    fn boolean(&mut self) -> Option<Value<'a>> {
        self.expect(b'?')?;
        match self.next()? {
            b'1' => Some(Value::True),
            b'0' => Some(Value::False),
            _ => None,
        }
    }

    /// RFC 9651 §4.2.10
    fn display_string(&mut self) -> Option<Value<'a>> {
        self.expect(b'%')?;
        self.expect(b'"')?;
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let value = |digit: u8| if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 };
        let mut text = Vec::new();
        loop {
            match self.next()? {
                b'"' => return std::str::from_utf8(&text).is_ok().then_some(Value::Other),
                b'%' => {
                    let (high, low) = (self.next().filter(is_hex)?, self.next().filter(is_hex)?);
                    text.push(value(high) << 4 | value(low));
                }
                byte @ b' '..=b'~' => text.push(byte),
                _ => return None,
            }
        }
    }
}

/// More than any field of directives has; RFC 9651 §3.2 asks for 1,024 at least.
const MOST_MEMBERS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The members as text, `None` where the field is invalid.
    fn read(field: &str) -> Option<String> {
        let write = |(key, value): &(&[u8], Value<'_>)| {
            let key = String::from_utf8_lossy(key);
            match value {
                Value::Integer(digits) => format!("{key}={}", String::from_utf8_lossy(digits)),
                value => format!("{key}:{value:?}"),
            }
        };
        Some(dictionary(field.as_bytes())?.iter().map(write).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn lists_of_strings_are_read() {
        #[rustfmt::skip]
        let rows: [(&str, Option<&[&str]>); 16] = [
            ("", Some(&[])),
            (r#""a""#, Some(&["a"])),
            ("  \"a\" , \"b\"\t,\t\"a b\" ", Some(&["a", "b", "a b"])),
            (r#""", "A", "a""#, Some(&["", "A", "a"])),
            (r#""a\"b\\c\\", "\\\"""#, Some(&["a\"b\\c\\", "\\\""])),
            (r#""a,b";p;q="x,y", "c""#, Some(&["a,b", "c"])),
            ("a", None),
            ("1", None),
            (r#"("a")"#, None),
            (r#""a","#, None),
            (r#""a",, "b""#, None),
            (r#""a" "b""#, None),
            (r#""a"#, None),
            (r#""a\n""#, None),
            ("\"\u{e9}\"", None),
            (r#""a", b"#, None),
        ];
        for (field, expected) in rows {
            let expected = expected.map(|names| names.iter().map(|name| name.as_bytes().into()).collect::<Vec<_>>());
            assert_eq!(strings(field.as_bytes()), expected, "{field}");
        }
    }

    #[test]
    fn valid_dictionaries_are_read() {
        let rows = [
            ("", ""),
            ("  ", ""),
            ("a", "a:True"),
            ("a\t", "a:True"),
            ("  max-age=60  ", "max-age=60"),
            ("a=?0, b=?1,c \t,\td=-5", "a:False b:True c:True d=-5"),
            ("a=1, b, a=2", "a=2 b:True"),
            ("a=1, b, a", "a:True b:True"),
            ("a=1;x;y=\"z\"; q=2.5", "a=1"),
            ("a;x=1, b=999999999999999", "a:True b=999999999999999"),
            ("a=\"x, y\\\" \\\\ z\"", "a:Other"),
            ("a=tok:en/x*, b=*, *c=1, d_-.*1", "a:Other b:Other *c=1 d_-.*1:True"),
            ("a=1.5, b=-123456789012.125", "a:Other b:Other"),
            ("a=(), b=( \"x\"  y;p=1 2 );q", "a:Other b:Other"),
            ("a=:aGk=:, b=::", "a:Other b:Other"),
            ("a=@1659578233, b=@-1", "a:Other b:Other"),
            ("a=%\"f%c3%bc r\"", "a:Other"),
        ];
        for (field, expected) in rows {
            assert_eq!(read(field).as_deref(), Some(expected), "{field}");
        }
    }

    #[test]
    fn one_wrong_byte_makes_the_field_invalid() {
        let rows = [
            "A",
            "1",
            "-a",
            "a=",
            "a= 1",
            "a =1",
            "a,",
            "a, ",
            ",a",
            "a,,b",
            "a b",
            "a;",
            "a;=1",
            "a;B",
            "a;b=",
            "\ta",
            "a=1, &&&&&",
            "a=\"x",
            "a=\"\\x\"",
            "a=\"\u{e9}\"",
            "a=\"\t\"",
            "a='x'",
            "a=-",
            "a=--1",
            "a=1.",
            "a=.5",
            "a=1.2345",
            "a=1234567890123.1",
            "a=1234567890123456",
            "a=?2",
            "a=?",
            "a=:a",
            "a=:*:",
            "a=(",
            "a=(a,b)",
            "a=(\"x\"y)",
            "a=(a",
            "a=@1.5",
            "a=@",
            "a=%x",
            "a=%\"%C3%BC\"",
            "a=%\"%ff\"",
            "a=%\"%c\"",
            "a=1max",
            "a={}",
        ];
        for field in rows {
            assert_eq!(read(field), None, "{field}");
        }
        let many: Vec<_> = (0..1025).map(|number| format!("a{number}")).collect();
        assert_eq!(read(&many.join(",")), None);
        assert!(read(&many[1..].join(",")).is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(any: Vec<u8>, near in "[a=1;,\"%:@?() .-]{0,16}") {
            dictionary(&any);
            dictionary(near.as_bytes());
        }
    }
}
