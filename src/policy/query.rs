//! What of a query counts: names kept or dropped, the order of what is left.
//!
//! The same text goes into the cache key and to the origin, so that what is stored is the answer to what was asked
//! (reliability requirement 11). Names are compared as sent: `utm%5Fid` is not `utm_id`, and stays where that is dropped.

/// What a site does with queries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryRules {
    /// The whole query is dropped.
    pub is_ignored: bool,
    /// Where there are any, these parameters alone stay.
    pub keep: Vec<Name>,
    /// These do not stay.
    pub drop: Vec<Name>,
    /// What stays stands in the order of its names.
    pub is_sorted: bool,
}

/// The name of a parameter, cookie or field, or all names that begin alike (`utm_*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    text: Box<str>,
    is_start: bool,
}

impl Name {
    /// Reads a name, or the start of names with a `*` behind it.
    pub fn new(text: &str) -> Name {
        match text.strip_suffix('*') {
            Some(start) => Name { text: start.into(), is_start: true },
            None => Name { text: text.into(), is_start: false },
        }
    }

    /// Covers a name with the same letters.
    pub fn covers(&self, name: &[u8]) -> bool {
        let text = self.text.as_bytes();
        if self.is_start { name.starts_with(text) } else { name == text }
    }

    /// Covers the name of a field: without case, and as some origins read it, with `_` for `-`.
    pub fn covers_header(&self, name: &[u8]) -> bool {
        let plain = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
        let text = self.text.as_bytes();
        (self.is_start || name.len() == text.len())
            && name.get(..text.len()).is_some_and(|name| name.iter().map(plain).eq(text.iter().map(plain)))
    }
}

impl QueryRules {
    /// All stays as it was sent.
    pub fn is_plain(&self) -> bool {
        !self.is_ignored && self.keep.is_empty() && self.drop.is_empty() && !self.is_sorted
    }

    /// Appends the target with what stays of its query; allocates only while `out` grows.
    ///
    /// Of equal names the order stays, because it may count. A query of more than 64 parameters is not sorted.
    pub fn write_target(&self, out: &mut Vec<u8>, target: &str) {
        let Some((path, query)) = target.split_once('?').filter(|_| !self.is_plain()) else {
            return out.extend_from_slice(target.as_bytes());
        };
        out.extend_from_slice(path.as_bytes());
        let mut kept = [""; MAX_SORTED];
        let mut count = 0_usize;
        for parameter in self.kept(query).filter(|_| self.is_sorted) {
            if let Some(place) = kept.get_mut(count) {
                *place = parameter;
            }
            count = count.saturating_add(1);
        }
        let mut mark = b'?';
        let mut write = |parameter: &str| {
            out.push(std::mem::replace(&mut mark, b'&'));
            out.extend_from_slice(parameter.as_bytes());
        };
        match kept.get_mut(..count).filter(|_| self.is_sorted) {
            Some(kept) => {
                // Each is a part of the one query, so that its address tells where it stood.
                kept.sort_unstable_by(|a, b| name_of(a).cmp(name_of(b)).then(a.as_ptr().cmp(&b.as_ptr())));
                kept.iter().for_each(|parameter| write(parameter));
            }
            None => self.kept(query).for_each(write),
        }
    }

    fn kept<'q>(&self, query: &'q str) -> impl Iterator<Item = &'q str> + use<'_, 'q> {
        let covers = |names: &[Name], name: &[u8]| names.iter().any(|known| known.covers(name));
        let stays = move |parameter: &&str| {
            let name = name_of(parameter).as_bytes();
            !self.is_ignored && (self.keep.is_empty() || covers(&self.keep, name)) && !covers(&self.drop, name)
        };
        parameters(query).filter(stays)
    }
}

/// The parameters of a query, empty ones left out.
pub fn parameters(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter(|parameter| !parameter.is_empty())
}

/// What stands before the `=`.
pub fn name_of(parameter: &str) -> &str {
    parameter.split('=').next().unwrap_or_default()
}

const MAX_SORTED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(list: &[&str]) -> Vec<Name> {
        list.iter().map(|name| Name::new(name)).collect()
    }

    fn written(rules: &QueryRules, target: &str) -> String {
        let mut out = Vec::new();
        rules.write_target(&mut out, target);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_query_is_kept_dropped_and_sorted_by_names() {
        let all = QueryRules::default;
        let only = |keep: &[&str]| QueryRules { keep: names(keep), ..all() };
        let all_but = |drop: &[&str]| QueryRules { drop: names(drop), ..all() };
        let sorted = |rules| QueryRules { is_sorted: true, ..rules };
        let ignored = || QueryRules { is_ignored: true, ..all() };
        let rows = [
            (all(), "/a?b=1&&a=2&", "/a?b=1&&a=2&"),
            (sorted(all()), "/a?b=1&a=2&b=0&&a", "/a?a=2&a&b=1&b=0"),
            (sorted(all()), "/a?", "/a"),
            (ignored(), "/a?b=1", "/a"),
            (sorted(ignored()), "/a?b=1", "/a"),
            (only(&["id", "p*"]), "/a?x=1&page=2&id=3&ID=4&id2", "/a?page=2&id=3"),
            (sorted(only(&["id"])), "/a?x=1", "/a"),
            (all_but(&["utm_*", "fbclid"]), "/a?utm_id=1&z&fbclid&a=?", "/a?z&a=?"),
            (sorted(all_but(&["utm_*"])), "/a?utm_id=1&z=/&a=2", "/a?a=2&z=/"),
            (all_but(&["utm_id"]), "/a?utm%5Fid=1", "/a?utm%5Fid=1"),
            (all_but(&["x"]), "/a", "/a"),
            (QueryRules { drop: names(&["p1"]), ..only(&["p*"]) }, "/a?p1&p2&q", "/a?p2"),
        ];
        for (rules, target, expected) in rows {
            assert_eq!(written(&rules, target), expected, "{rules:?} {target}");
        }
        let long = (0..65).rev().map(|n| format!("p{n:02}")).collect::<Vec<_>>().join("&");
        assert_eq!(written(&sorted(all()), &format!("/?{long}")), format!("/?{long}"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_written_the_same_again(query in "[ab=&?]{0,20}", is_sorted: bool, which in 0..4_usize) {
            let rules = QueryRules {
                is_ignored: which == 1,
                keep: names(if which == 2 { &["a*"] } else { &[] }),
                drop: names(if which == 3 { &["ab"] } else { &[] }),
                is_sorted,
            };
            let once = written(&rules, &format!("/{query}"));
            prop_assert_eq!(written(&rules, &once), once);
        }
    }
}
