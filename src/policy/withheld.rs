//! The fields that `private="…"` and `no-cache="…"` keep out of the store (RFC 9111 §5.2.2.4, §5.2.2.7): the rest of the
//! response may be stored and reused without them.

use super::Fields;
use super::directives::{Directive, ResponseDirectives, for_each_directive};
use super::list::{is_token_byte, trim};

/// Names of fields, as the response lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withheld(Vec<Box<[u8]>>);

impl Withheld {
    /// Reads them from a response; none where a targeted field takes Cache-Control's place. Allocates only where there
    /// are some.
    pub fn of(response: &dyn Fields) -> Withheld {
        let mut withheld = Withheld::default();
        if ResponseDirectives::parse(response).withholds_fields {
            for_each_directive(response, &mut |directive| {
                let names = listed_fields(&directive).into_iter().flat_map(names);
                withheld.0.extend(names.map(Box::from));
            });
        }
        withheld
    }

    /// The whole response may be stored.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A field of that name may not be stored.
    pub fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The list of a `private` or `no-cache` that concerns certain fields only. A list that is broken, or names a field
/// without which the rest would mean something else, is none: then the directive concerns the whole response.
pub(super) fn listed_fields<'a>(directive: &Directive<'a>) -> Option<&'a [u8]> {
    let list = directive.argument_text()?;
    let may_go = |name: &[u8]| !ESSENTIAL.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    let is_name = |name: &[u8]| !name.is_empty() && name.iter().all(|&byte| is_token_byte(byte)) && may_go(name);
    ((directive.is("private") || directive.is("no-cache")) && names(list).all(is_name)).then_some(list)
}

fn names(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(trim)
}

/// What tells how the content is to be read, for whom, and for how long.
const ESSENTIAL: [&str; 12] = [
    "age",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "date",
    "expires",
    "last-modified",
    "transfer-encoding",
    "vary",
];

#[cfg(test)]
mod tests {
    use super::super::tests::Lines;
    use super::*;

    #[test]
    fn the_fields_that_private_and_no_cache_list_are_withheld() {
        let rows: [(&[&str], &[&str]); 14] = [
            (&["max-age=600"], &[]),
            (&["private=\"set-cookie\", max-age=600"], &["Set-Cookie"]),
            (&["no-cache=\"a, B\"", "private=\"c\""], &["a", "b", "C"]),
            (&["No-Cache=Set-Cookie"], &["set-cookie"]),
            (&["private=\" a ,b \""], &["a", "b"]),
            (&["private"], &[]),
            (&["private=\"\""], &[]),
            (&["private=\"a,,b\""], &[]),
            (&["private=\"a b\""], &[]),
            (&["private=\"a\\b\""], &[]),
            (&["private=\"a, Content-Encoding\""], &[]),
            (&["no-cache=\"VARY\""], &[]),
            (&["public=\"a\", no-store=\"b\""], &[]),
            (&["ext=\"private=x\""], &[]),
        ];
        for (lines, expected) in rows {
            let lines: Vec<_> = lines.iter().map(|line| ("Cache-Control", *line)).collect();
            let withheld = Withheld::of(&Lines(&lines));
            assert_eq!(withheld.0.len(), expected.len(), "{lines:?}");
            assert!(expected.iter().all(|name| withheld.has(name.as_bytes())), "{lines:?}");
        }
    }

    #[test]
    fn a_targeted_field_takes_the_place_of_the_lists_too() {
        let lines = [("Cache-Control", "private=\"a\""), ("CDN-Cache-Control", "max-age=60")];
        assert!(Withheld::of(&Lines(&lines)).is_empty());
    }
}
