//! Vary and what it selects (RFC 9111 §4.1): which requests a stored response may answer.
//!
//! Request fields are compared after the changes that keep their meaning: several lines are joined, and in the list
//! fields of content negotiation blanks around commas and semicolons, the case of letters and the order of members do not
//! count. All other values are compared byte by byte, because their syntax is not known here.

use super::Fields;
use super::list::{is_token_byte, members};

/// What a response's Vary lines say together (RFC 9110 §12.5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vary {
    /// The response answers every request for its key.
    None,
    /// No other request can be compared: `*`, a member that is not a name, more than 32 names, or a field in which we
    /// tell the origin who the client is.
    Any,
    /// The names of the request fields that count.
    Fields(Names),
}

/// Field names in lower case, in order and each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Box<[Box<[u8]>]>);

impl Vary {
    /// Reads all Vary lines.
    pub fn parse(fields: &dyn Fields) -> Vary {
        let mut names: Vec<Box<[u8]>> = Vec::new();
        let mut is_any = false;
        fields.for_each(&mut |name, value| {
            if name.eq_ignore_ascii_case(b"vary") {
                for member in members(value) {
                    let member = member.to_ascii_lowercase();
                    if is_any || is_incomparable(&member) {
                        is_any = true;
                    } else if let Err(place) = names.binary_search_by(|known| known.as_ref().cmp(&member)) {
                        names.insert(place, member.into());
                        is_any = names.len() > MAX_NAMES;
                    }
                }
            }
        });
        match (is_any, names.is_empty()) {
            (true, _) => Vary::Any,
            (false, true) => Vary::None,
            (false, false) => Vary::Fields(Names(names.into())),
        }
    }

    /// The names that count, where they can be told.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        let names: &[Box<[u8]>] = match self {
            Vary::Fields(names) => &names.0,
            Vary::None | Vary::Any => &[],
        };
        names.iter().map(AsRef::as_ref)
    }
}

fn is_incomparable(name: &[u8]) -> bool {
    name == b"*"
        || name.len() > usize::from(u8::MAX)
        || !name.iter().all(|&byte| is_token_byte(byte))
        || matches!(name, b"x-forwarded-for" | b"x-real-ip" | b"forwarded")
}

/// The request fields a stored response was selected by: names and normalised values, in one allocation. Equal for
/// responses that answer the same requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// For each name: its length (one byte), the name, the value's length (four bytes, all ones: no such field), the
    /// value. Empty: selected by nothing that can be compared.
    bytes: Box<[u8]>,
}

impl Variant {
    /// What selects the response to `request`; `None` where it has no Vary. `request` has the fields as the origin was
    /// sent them.
    pub fn of(vary: &Vary, request: &dyn Fields) -> Option<Variant> {
        let names: &[Box<[u8]>] = match vary {
            Vary::None => return None,
            Vary::Any => &[],
            Vary::Fields(names) => &names.0,
        };
        let mut bytes = Vec::new();
        for name in names {
            bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(name);
            let mut value = Vec::new();
            let is_present = for_each_byte(name, request, &mut |byte| value.push(byte));
            let length = u32::try_from(value.len()).ok().filter(|_| is_present).unwrap_or(ABSENT);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&value);
        }
        Some(Variant { bytes: bytes.into() })
    }

    /// True where `request` has the same values; does not allocate.
    pub fn matches(&self, request: &dyn Fields) -> bool {
        let mut entries = self.entries().peekable();
        entries.peek().is_some() && entries.all(|(name, value)| is_equal(name, value, request))
    }

    /// Names and values; `None` for a field that the request did not have.
    fn entries(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let (length, tail) = rest.split_first()?;
            let (name, tail) = tail.split_at_checked(usize::from(*length))?;
            let (length, tail) = tail.split_first_chunk::<4>()?;
            let length = Some(u32::from_be_bytes(*length)).filter(|&length| length != ABSENT);
            let (value, tail) = tail.split_at_checked(usize::try_from(length.unwrap_or(0)).ok()?)?;
            rest = tail;
            Some((name, length.map(|_| value)))
        })
    }
}

fn is_equal(name: &[u8], stored: Option<&[u8]>, request: &dyn Fields) -> bool {
    let mut rest = stored.unwrap_or_default().iter();
    let mut is_same = true;
    let is_present = for_each_byte(name, request, &mut |byte| is_same &= rest.next() == Some(&byte));
    is_same && rest.next().is_none() && is_present == stored.is_some()
}

/// Calls `each` for every byte of the normalised value of a request field; false where there is no such field.
fn for_each_byte(name: &[u8], request: &dyn Fields, each: &mut dyn FnMut(u8)) -> bool {
    let syntax = syntax(name);
    if syntax != Syntax::Unordered {
        return for_each_byte_in_order(name, syntax, request, each);
    }
    let mut list = [0; MAX_SORTED_BYTES];
    let mut length = 0_usize;
    let is_present = for_each_byte_in_order(name, syntax, request, &mut |byte| {
        if let Some(place) = list.get_mut(length) {
            *place = byte;
        }
        length = length.saturating_add(1);
    });
    let mut members: [&[u8]; MAX_SORTED] = [&[]; MAX_SORTED];
    let Some(members) = list.get(..length).and_then(|list| sorted(list, &mut members)) else {
        // Too long to be sorted: its order counts.
        return for_each_byte_in_order(name, syntax, request, each);
    };
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            each(b',');
        }
        member.iter().for_each(|&byte| each(byte));
    }
    is_present
}

/// The members of a list in their one order; `None` where there are too many, or commas may stand in quotes.
fn sorted<'m, 'l>(list: &'l [u8], room: &'m mut [&'l [u8]; MAX_SORTED]) -> Option<&'m [&'l [u8]]> {
    if list.contains(&b'"') {
        return None;
    }
    let mut count = 0;
    for member in list.split(|&byte| byte == b',').filter(|member| !member.is_empty()) {
        *room.get_mut(count)? = member;
        count += 1;
    }
    let members = room.get_mut(..count)?;
    members.sort_unstable();
    Some(members)
}

fn for_each_byte_in_order(name: &[u8], syntax: Syntax, request: &dyn Fields, each: &mut dyn FnMut(u8)) -> bool {
    let mut is_present = false;
    request.for_each(&mut |field, value| {
        if field.eq_ignore_ascii_case(name) {
            if std::mem::replace(&mut is_present, true) {
                // RFC 9110 §5.2: lines of one name are joined by a comma and a blank.
                (if syntax == Syntax::Opaque { &b", "[..] } else { b"," }).iter().for_each(|&byte| each(byte));
            }
            match syntax {
                Syntax::Opaque => value.iter().for_each(|&byte| each(byte)),
                Syntax::List => for_each_list_byte(value, true, each),
                Syntax::Unordered => for_each_list_byte(value, false, each),
            }
        }
    });
    is_present
}

/// What of a field's value carries meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syntax {
    /// Every byte.
    Opaque,
    /// A list with parameters, whose values may have case.
    List,
    /// A list without case, whose order says nothing: weights do.
    Unordered,
}

/// RFC 9110 §12.5.1 to §12.5.4
fn syntax(name: &[u8]) -> Syntax {
    match name {
        b"accept" => Syntax::List,
        b"accept-charset" | b"accept-encoding" | b"accept-language" => Syntax::Unordered,
        _ => Syntax::Opaque,
    }
}

/// Leaves out blanks beside commas and semicolons, makes other runs of blanks one, lowers the case where it does not
/// count; takes quoted strings as they are.
fn for_each_list_byte(value: &[u8], has_case: bool, each: &mut dyn FnMut(u8)) {
    let (mut is_quoted, mut is_escaped, mut is_blank, mut last) = (false, false, false, b',');
    for &byte in value {
        if is_quoted {
            is_quoted = byte != b'"' || is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            each(byte);
        } else if matches!(byte, b' ' | b'\t') {
            is_blank = true;
            continue;
        } else {
            if std::mem::take(&mut is_blank) && !matches!(last, b',' | b';') && !matches!(byte, b',' | b';') {
                each(b' ');
            }
            is_quoted = byte == b'"';
            each(if has_case { byte } else { byte.to_ascii_lowercase() });
        }
        last = byte;
    }
}

/// More names than any honest response has; each costs a walk over the request's fields.
const MAX_NAMES: usize = 32;
const ABSENT: u32 = u32::MAX;
/// Lists within these bounds are sorted on the stack; browsers stay far below them.
const MAX_SORTED_BYTES: usize = 512;
const MAX_SORTED: usize = 32;

#[cfg(test)]
mod tests {
    use super::super::tests::{Line, Lines};
    use super::*;
    use proptest::prelude::*;

    type Rows<'a> = &'a [(&'a str, &'a str)];

    fn names(vary: &Vary) -> String {
        match vary {
            Vary::Fields(names) => {
                names.0.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>().join(",")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn vary_lines_are_one_list_of_names() {
        let rows: [(&[&str], &str); 10] = [
            (&[], "None"),
            (&["", " , "], "None"),
            (&["Foo"], "foo"),
            (&["Foo, bar", "BAZ,foo"], "bar,baz,foo"),
            (&["*"], "Any"),
            (&["Accept, *"], "Any"),
            (&["Accept", "*"], "Any"),
            (&["foo bar"], "Any"),
            (&["X-Forwarded-For"], "Any"),
            (&["\"foo\""], "Any"),
        ];
        for (lines, expected) in rows {
            let lines: Vec<_> = lines.iter().map(|line| ("vary", *line)).collect();
            assert_eq!(names(&Vary::parse(&Lines(&lines))), expected, "{lines:?}");
        }
        let many: Vec<_> = (0..33).map(|number| format!("x-{number}")).collect();
        assert_eq!(Vary::parse(&Lines(&[("Vary", &many.join(","))])), Vary::Any);
        assert_eq!(names(&Vary::parse(&Lines(&[("Vary", &many[..32].join(","))]))).split(',').count(), 32);
    }

    #[test]
    fn requests_are_told_apart_by_the_named_fields() {
        #[rustfmt::skip]
        let rows: [(&str, Rows, Rows, bool); 29] = [
            ("Foo", &[("Foo", "1")], &[("fOO", "1")], true),
            ("Foo", &[("Foo", "1")], &[("Foo", "2")], false),
            ("Foo", &[("Foo", "1")], &[("Foo", "11")], false),
            ("Foo", &[("Foo", "1")], &[], false),
            ("Foo", &[("Foo", "")], &[], false),
            ("Foo", &[], &[("Foo", "")], false),
            ("Foo", &[], &[("Bar", "1")], true),
            ("Foo", &[("Foo", "1"), ("Other", "2")], &[("Foo", "1"), ("Other", "3")], true),
            ("Foo, Bar", &[("Foo", "1"), ("Bar", "2")], &[("Bar", "2"), ("Foo", "1")], true),
            ("Foo, Bar", &[("Foo", "1"), ("Bar", "2")], &[("Foo", "1")], false),
            ("X-A, X-B", &[("X-A", "1"), ("X-B", "2")], &[("X-A", "1|2")], false),
            ("Foo", &[("Foo", "1, 2")], &[("Foo", "1"), ("Foo", "2")], true),
            ("User-Agent", &[("User-Agent", "A, b")], &[("User-Agent", "A,b")], false),
            ("User-Agent", &[("User-Agent", "A")], &[("User-Agent", "a")], false),
            ("Accept-Encoding", &[("Accept-Encoding", "gzip, BR;q=1")], &[("Accept-Encoding", "GZIP ,br ; q=1")], true),
            ("Accept-Encoding", &[("Accept-Encoding", "gzip, br")], &[("Accept-Encoding", "gzip"), ("Accept-Encoding", "br")], true),
            ("Accept-Encoding", &[("Accept-Encoding", "gzip")], &[("Accept-Encoding", "gz ip")], false),
            ("Accept-Language", &[("Accept-Language", "en  , de\t")], &[("Accept-Language", "EN,DE")], true),
            ("Accept-Language", &[("Accept-Language", "en, de")], &[("Accept-Language", "de,, EN")], true),
            ("Accept-Language", &[("Accept-Language", "en, de")], &[("Accept-Language", "de"), ("Accept-Language", "en")], true),
            ("Accept-Language", &[("Accept-Language", "en, de;q=0.5")], &[("Accept-Language", "de, en;q=0.5")], false),
            ("Accept-Language", &[("Accept-Language", "en, de")], &[("Accept-Language", "en, de, en")], false),
            ("Accept-Language", &[("Accept-Language", "")], &[], false),
            ("Accept-Encoding", &[("Accept-Encoding", "br, \"a,b\"")], &[("Accept-Encoding", "\"a,b\", br")], false),
            ("Accept", &[("Accept", "a/b, c/d")], &[("Accept", "c/d, a/b")], false),
            ("Accept", &[("Accept", "text/html; a=\"x, Y\"")], &[("Accept", "text/html;a=\"x, Y\"")], true),
            ("Accept", &[("Accept", "text/html;a=\"x, Y\"")], &[("Accept", "text/html;a=\"x,Y\"")], false),
            ("Accept", &[("Accept", "a;b=\"\\\" ,\"")], &[("Accept", "a;b=\"\\\",\"")], false),
            ("*", &[("*", "1")], &[("*", "1")], false),
        ];
        for (vary, stored, request, expected) in rows {
            let vary = Vary::parse(&Lines(&[("Vary", vary)]));
            let variant = Variant::of(&vary, &Lines(stored)).unwrap();
            assert_eq!(variant.matches(&Lines(request)), expected, "{vary:?} {stored:?} {request:?}");
            assert_eq!(Variant::of(&vary, &Lines(request)).unwrap() == variant, expected || vary == Vary::Any);
        }
    }

    #[test]
    fn a_list_too_long_to_sort_is_compared_in_its_order() {
        for (count, is_sorted) in [(32, true), (33, false), (120, false)] {
            let tags: Vec<_> = (0..count).map(|number| format!("t{number}")).collect();
            let reversed: Vec<_> = tags.iter().rev().cloned().collect();
            let (one, other) = (tags.join(","), reversed.join(" , "));
            let vary = Vary::parse(&Lines(&[("Vary", "Accept-Language")]));
            let variant = Variant::of(&vary, &Lines(&[("Accept-Language", &one)])).unwrap();
            assert!(variant.matches(&Lines(&[("Accept-Language", &one)])), "{count}");
            assert_eq!(variant.matches(&Lines(&[("Accept-Language", &other)])), is_sorted, "{count}");
        }
    }

    #[test]
    fn without_vary_there_is_no_variant() {
        assert_eq!(Variant::of(&Vary::None, &Lines(&[("Foo", "1")])), None);
    }

    proptest! {
        #[test]
        fn a_request_always_matches_its_own_variant(
            name in "(accept|accept-encoding|foo)",
            value: Vec<u8>,
            vary: Vec<u8>,
        ) {
            let _ = Vary::parse(&Line("Vary", &vary));
            let vary = Vary::parse(&Line("Vary", name.as_bytes()));
            let request = Line(&name, &value);
            prop_assert!(Variant::of(&vary, &request).unwrap().matches(&request));
        }

        #[test]
        fn unlike_values_never_match(one: Vec<u8>, other: Vec<u8>) {
            let vary = Vary::parse(&Line("Vary", b"foo"));
            let variant = Variant::of(&vary, &Line("Foo", &one)).unwrap();
            prop_assert_eq!(variant.matches(&Line("foo", &other)), one == other);
        }
    }
}
