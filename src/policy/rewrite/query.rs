//! Changing the parameters of a query by their names. What no edit names stays as it was sent, byte for byte.

/// Parameters to take away, to set and to add. Plain texts: what a query cannot hold is percent-encoded here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterEdits {
    /// Names to take away.
    pub remove: Vec<Box<str>>,
    /// One value in the place of all that the name has.
    pub set: Vec<(Box<str>, Box<str>)>,
    /// One more value.
    pub add: Vec<(Box<str>, Box<str>)>,
}

impl ParameterEdits {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// The query after the edits, without its question mark.
    pub fn apply(&self, query: &str) -> String {
        let kept = query.split('&').filter(|pair| !self.takes_away(pair));
        let mut out = String::with_capacity(query.len().saturating_add(64));
        // A query of nothing has no pair, rather than an empty one.
        for pair in kept.filter(|_| !query.is_empty()) {
            join(&mut out, |out| out.push_str(pair));
        }
        for (name, value) in self.set.iter().chain(&self.add) {
            join(&mut out, |out| {
                encode(out, name);
                out.push('=');
                encode(out, value);
            });
        }
        out
    }

    /// The name is compared as an origin reads it: percent-encoding and `+` undone.
    fn takes_away(&self, pair: &str) -> bool {
        let name = decoded(pair.split('=').next().unwrap_or_default());
        let is = |known: &str| known.as_bytes() == name;
        self.remove.iter().any(|known| is(known)) || self.set.iter().any(|(known, _)| is(known))
    }
}

fn join(out: &mut String, write: impl FnOnce(&mut String)) {
    if !out.is_empty() {
        out.push('&');
    }
    write(out);
}

/// All but the unreserved characters (RFC 3986 §2.3) percent-encoded.
fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

fn decoded(text: &str) -> Vec<u8> {
    let plus: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    percent_decoded(&plus)
}

/// The bytes with percent-encoding undone once; what is no encoding stays.
pub(super) fn percent_decoded(mut bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(bytes.len());
    while let Some((first, rest)) = bytes.split_first() {
        bytes = rest;
        match (first, rest) {
            (b'%', [high, low, behind @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    bytes = behind;
                }
                _ => out.push(*first),
            },
            _ => out.push(*first),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(Box<str>, Box<str>)> {
        list.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn parameters_are_taken_away_set_and_added() {
        let edits = ParameterEdits {
            remove: vec!["token".into(), "a b".into()],
            set: pairs(&[("v", "2"), ("k&", "x=y z")]),
            add: pairs(&[("v", "3")]),
        };
        let rest = "v=2&k%26=x%3Dy%20z&v=3";
        for (query, kept) in [
            ("", ""),
            ("a=1", "a=1&"),
            ("a=%20&&b", "a=%20&&b&"),
            ("token=1&a=1&token", "a=1&"),
            ("%74oken=1&tokens=2&Token=3", "tokens=2&Token=3&"),
            ("a+b=1&a%20b=2&ab=3", "ab=3&"),
            ("v=1&x=%zz&v&%76=9", "x=%zz&"),
        ] {
            assert_eq!(edits.apply(query), format!("{kept}{rest}"), "{query}");
        }
        let only = ParameterEdits { remove: vec!["a".into()], ..ParameterEdits::default() };
        for (query, expected) in [("a=1", ""), ("a=1&b", "b"), ("b=/?%&c", "b=/?%&c"), ("", "")] {
            assert_eq!(only.apply(query), expected, "{query}");
        }
    }
}
