//! Cache groups (RFC 9875): which groups a stored response belongs to, and which an answer makes invalid.
//!
//! Names are opaque and are compared byte by byte (§2.1). That both sides be of one origin is the caller's to see to. A
//! field that is not a List of Strings says nothing (RFC 9651 §4.2). Of a response's groups up to 1,024 are read, of any
//! length. Both fields are passed on as they are: other caches may follow them too.

use super::Fields;
use super::directives::joined;
use super::invalidate::is_safe;
use super::structured::strings;

/// The response says of itself that it belongs to a group, or tries to; allocates nothing.
pub fn has_groups(response: &dyn Fields) -> bool {
    let mut is_there = false;
    response.for_each(&mut |name, _| is_there |= name.eq_ignore_ascii_case(GROUPS.as_bytes()));
    is_there
}

/// The response belongs to one of the groups called `names` (RFC 9875 §2.1).
pub fn is_member(response: &dyn Fields, names: &[Box<[u8]>]) -> bool {
    read(response, GROUPS).iter().any(|group| names.contains(group))
}

/// The groups that the answer to `method` makes invalid (RFC 9875 §3); none where the method is safe. Other than a
/// target's invalidation (RFC 9111 §4.4) it does not depend on the status: the origin itself says what has changed.
pub fn invalidated_groups(method: &str, response: &dyn Fields) -> Vec<Box<[u8]>> {
    if is_safe(method) { Vec::new() } else { read(response, INVALIDATION) }
}

fn read(response: &dyn Fields, field: &str) -> Vec<Box<[u8]>> {
    joined(response, field).and_then(|value| strings(&value)).unwrap_or_default()
}

const GROUPS: &str = "cache-groups";
const INVALIDATION: &str = "cache-group-invalidation";

#[cfg(test)]
mod tests {
    use super::super::tests::Lines;
    use super::*;

    #[test]
    fn a_response_belongs_to_the_groups_that_it_names() {
        let many: Vec<String> = (0..32).map(|number| format!("\"{number:0>128}\"")).collect();
        let (many, last) = (many.join(", "), format!("{:0>128}", 31));
        #[rustfmt::skip]
        let rows: [(&[&str], &str, bool); 11] = [
            // RFC 9875 §2, §2.1
            (&["\"a\""], "a", true),
            (&["\"b\", \"a\""], "a", true),
            (&["\"b\"", "\"a\""], "a", true),
            (&["\"a\";x=1"], "a", true),
            (&["\"A\""], "a", false),
            (&["\"ab\""], "a", false),
            (&["\"a\"", "b"], "a", false),
            (&["a"], "a", false),
            (&["\"a b\", \"c,d\""], "c,d", true),
            (&[], "a", false),
            (&[&many], &last, true),
        ];
        for (values, name, expected) in rows {
            let lines: Vec<(&str, &str)> = values.iter().map(|value| ("Cache-Groups", *value)).collect();
            assert_eq!(has_groups(&Lines(&lines)), !values.is_empty(), "{values:?}");
            assert_eq!(is_member(&Lines(&lines), &[name.as_bytes().into()]), expected, "{values:?} {name}");
        }
    }

    #[test]
    fn only_an_unsafe_method_makes_groups_invalid() {
        let rows = [
            // RFC 9875 §3
            ("POST", "\"a\", \"b\"", 2),
            ("PUT", "\"a\";p", 1),
            ("M-SEARCH", "\"a\"", 1),
            ("GET", "\"a\"", 0),
            ("HEAD", "\"a\"", 0),
            ("OPTIONS", "\"a\"", 0),
            ("POST", "a", 0),
            ("POST", "\"a\", b", 0),
        ];
        for (method, value, expected) in rows {
            let found = invalidated_groups(method, &Lines(&[("Cache-Group-Invalidation", value)]));
            assert_eq!(found.len(), expected, "{method} {value}");
        }
    }
}
