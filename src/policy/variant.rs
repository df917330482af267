//! Vary and what it selects (RFC 9111 §4.1): which requests a stored response may answer.
//!
//! Request fields are compared after the changes that keep their meaning: several lines are joined, and in the list
//! fields of content negotiation blanks around commas and semicolons, the case of letters and the order of members do not
//! count. All other values are compared byte by byte, because their syntax is not known here.
//!
//! What is the fault of the one request that met it answers requests like that one only, whatever Vary says: see
//! [`Variant::of_likeness`].

use super::Fields;
use super::list::{is_token_byte, members};
use super::provoked::{Counts, counts};

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
    /// value. Empty: selected by nothing that can be compared. Behind a zero, which is no name's length, they are all the
    /// names that count.
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
            write_name(name, &mut bytes);
            let mut value = Vec::new();
            let is_present = for_each_byte(name, request, &mut |byte| value.push(byte));
            let length = u32::try_from(value.len()).ok().filter(|_| is_present).unwrap_or(ABSENT);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&value);
        }
        Some(Variant { bytes: bytes.into() })
    }

    /// What selects an answer that may be the fault of `request`: requests that send the same fields, those that any client
    /// sends with the same values. Names have at most 255 bytes ([`super::provoked`] sees to that).
    pub fn of_likeness(request: &dyn Fields) -> Variant {
        let mut names: Vec<Vec<u8>> = Vec::new();
        request.for_each(&mut |name, _| {
            if counts(name) != Counts::Nothing {
                names.push(name.to_ascii_lowercase());
            }
        });
        names.sort_unstable();
        names.dedup();
        let mut bytes = vec![0];
        for name in names {
            write_name(&name, &mut bytes);
            let mut value = Vec::new();
            if counts(&name) == Counts::Value {
                for_each_byte(&name, request, &mut |byte| value.push(byte));
            }
            bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(ABSENT).to_be_bytes());
            bytes.extend_from_slice(&value);
        }
        Variant { bytes: bytes.into() }
    }

    /// It was made by [`Variant::of_likeness`].
    pub fn is_likeness(&self) -> bool {
        self.bytes.first() == Some(&0)
    }

    /// True where `request` has the same values; does not allocate.
    pub fn matches(&self, request: &dyn Fields) -> bool {
        if self.is_likeness() {
            return self.is_like(request);
        }
        let mut entries = self.entries().peekable();
        entries.peek().is_some() && entries.all(|(name, value)| is_equal(name, value, request))
    }

    fn is_like(&self, request: &dyn Fields) -> bool {
        let mut is_known = true;
        request.for_each(&mut |name, _| {
            is_known &=
                counts(name) == Counts::Nothing || self.entries().any(|(known, _)| known.eq_ignore_ascii_case(name));
        });
        is_known
            && self.entries().all(|(name, value)| match counts(name) {
                Counts::Value => is_equal(name, value, request),
                _ => has_field(name, request),
            })
    }

    /// Bytes that it takes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Appends what tells `request` from others by the fields that selected this response: equal for requests that have
    /// the same values of them. For what Vary selects; a likeness says nothing of what the next answer depends on.
    pub fn write_selection(&self, request: &dyn Fields, out: &mut Vec<u8>) {
        for (name, _) in self.entries() {
            let start = out.len();
            let is_present = for_each_byte(name, request, &mut |byte| out.push(byte));
            let length = out.len().saturating_sub(start);
            let length = u32::try_from(length).ok().filter(|_| is_present).unwrap_or(ABSENT);
            // Behind the value: read from the end, no two selections are the same.
            out.extend_from_slice(&length.to_be_bytes());
        }
    }

    /// Names and values; `None` for a field that the request did not have.
    fn entries(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut rest = self.bytes.strip_prefix(&[0]).unwrap_or(&self.bytes);
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

fn write_name(name: &[u8], out: &mut Vec<u8>) {
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name);
}

fn has_field(name: &[u8], request: &dyn Fields) -> bool {
    let mut is_found = false;
    request.for_each(&mut |field, _| is_found |= field.eq_ignore_ascii_case(name));
    is_found
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
#[path = "tests_variant.rs"]
mod tests;
