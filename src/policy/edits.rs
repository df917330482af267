//! What a site changes in the requests that its origin gets: header fields, and the target.

use std::borrow::Cow;

use super::rewrite::TargetEdits;
use super::template::{Facts, Mistake, Template};

/// All edits of a site's origin requests (`[site.origin.request]`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestEdits {
    /// Header fields.
    pub fields: FieldEdits,
    /// Path and query.
    pub target: TargetEdits,
}

/// Header fields to take away, to set and to add. Names are compared without regard to case, and `_` is as good as `-`,
/// because some programs read them so: a client cannot slip a field past its edit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldEdits {
    /// Names to take away.
    pub remove: Vec<Box<str>>,
    /// One line in the place of all that the name has.
    pub set: Vec<(Box<str>, Template)>,
    /// One more line.
    pub add: Vec<(Box<str>, Template)>,
}

impl FieldEdits {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// Edits a list of fields: first what goes, then what is set, then what is added.
    pub fn apply<'a>(&'a self, fields: &mut Vec<(&'a str, Cow<'a, [u8]>)>, facts: &Facts<'_>) {
        self.take_away(fields);
        for (name, value) in self.set.iter().chain(&self.add) {
            fields.push((name, Cow::Owned(value.render(facts))));
        }
    }

    /// The first half: for requests that go to others than the site's own servers, which must not learn what is set.
    pub fn take_away(&self, fields: &mut Vec<(&str, Cow<'_, [u8]>)>) {
        fields.retain(|(name, _)| !self.replaces(name));
    }

    /// Does a line that we write under this name differ between requests of one cache key? A response that varies by it
    /// cannot be chosen by what the client sent. `shares`: as for [`Template::depends_on_client`].
    pub fn hides(&self, name: &[u8], shares: (bool, bool)) -> bool {
        let lines = self.set.iter().chain(&self.add);
        let mut ours = lines.filter(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        ours.any(|(_, value)| value.depends_on_client(shares))
    }

    /// Is whatever else stands under this name taken away or overwritten?
    pub fn replaces(&self, name: &str) -> bool {
        let is = |known: &str| reads_alike(known, name);
        self.remove.iter().any(|known| is(known)) || self.set.iter().any(|(known, _)| is(known))
    }
}

/// A field name that an edit may have.
pub fn editable_name(name: &str) -> Result<Box<str>, Mistake> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_token) {
        let message = format!("\"{}\" is no field name", name.escape_debug());
        return Err(Mistake::new(message, "write letters, digits and hyphens, as in X-Real-IP"));
    }
    let row = REFUSED.iter().find(|(known, _)| match known.strip_suffix('*') {
        Some(start) => name.get(..start.len()).is_some_and(|found| reads_alike(start, found)),
        None => reads_alike(known, name),
    });
    match row {
        Some((_, hint)) => Err(Mistake::new(format!("{name} cannot be edited"), *hint)),
        None => Ok(name.into()),
    }
}

fn reads_alike(one: &str, other: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == other.len() && one.bytes().map(plain).eq(other.bytes().map(plain))
}

const MAX_NAME: usize = 128;
const FRAMING: &str = "it frames the message or belongs to one connection, and is written for each";
const CONDITIONS: &str = "conditions and ranges are the cache's to ask; see range_fetch";
const LOOPS: &str = "it keeps requests from going round in circles (RFC 8586, RFC 9110 section 7.6.3)";
/// Fields that are not the operator's, and why. `*`: any name that begins so.
const REFUSED: [(&str, &str); 18] = [
    ("host", "set host under [site.origin]"),
    ("connection", FRAMING),
    ("keep-alive", FRAMING),
    ("proxy-*", FRAMING),
    ("proxy", "programs behind take it for a setting of their own"),
    ("te", FRAMING),
    ("trailer", FRAMING),
    ("transfer-encoding", FRAMING),
    ("content-length", FRAMING),
    ("upgrade", FRAMING),
    ("http2-settings", FRAMING),
    ("expect", FRAMING),
    ("max-forwards", FRAMING),
    ("range", CONDITIONS),
    ("if-*", CONDITIONS),
    ("via", LOOPS),
    ("cdn-loop", LOOPS),
    ("content-range", CONDITIONS),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn edits() -> FieldEdits {
        let template = |text| Template::parse(text).unwrap();
        FieldEdits {
            remove: vec!["Cookie".into(), "X-Gone".into()],
            set: vec![("X-Real-IP".into(), template("$client_ip")), ("X-Key".into(), template("s3cret"))],
            add: vec![("X-More".into(), template("$host"))],
        }
    }

    fn facts() -> Facts<'static> {
        let client = "192.0.2.1:1".parse().unwrap();
        Facts { client, is_https: false, host: "a.test", method: "GET", target: "/", id: &"1", site: "a.test" }
    }

    #[test]
    fn fields_are_taken_away_set_and_added_in_every_spelling_of_their_names() {
        let edits = edits();
        let sent: [(&str, &[u8]); 7] = [
            ("accept", b"*/*"),
            ("COOKIE", b"a=1"),
            ("x_gone", b"1"),
            ("x-key", b"forged"),
            ("X_Key", b"forged"),
            ("X-More", b"kept"),
            ("X-Keys", b"kept"),
        ];
        let mut fields: Vec<_> = sent.iter().map(|(name, value)| (*name, Cow::Borrowed(*value))).collect();
        edits.apply(&mut fields, &facts());
        let shown: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {}", value.escape_ascii())).collect();
        let expected = ["accept: */*", "X-More: kept", "X-Keys: kept", "X-Real-IP: 192.0.2.1", "X-Key: s3cret"];
        assert_eq!(shown, [&expected[..], &["X-More: a.test"]].concat());
    }

    #[test]
    fn elsewhere_only_what_goes_goes() {
        let edits = edits();
        let mut fields: Vec<(&str, Cow<'_, [u8]>)> =
            vec![("Cookie", Cow::Borrowed(b"a")), ("x-key", Cow::Borrowed(b"b")), ("a", Cow::Borrowed(b"c"))];
        edits.take_away(&mut fields);
        assert_eq!(fields, [("a", Cow::Borrowed(&b"c"[..]))]);
    }

    #[test]
    fn lines_that_no_client_sent_are_hidden_from_vary() {
        let edits = edits();
        for (name, shares, expected) in [
            ("x-real-ip", (false, false), true),
            ("X-Key", (true, true), false),
            ("x-more", (false, false), false),
            ("x-more", (false, true), true),
            ("cookie", (true, true), false),
        ] {
            assert_eq!(edits.hides(name.as_bytes(), shares), expected, "{name}");
        }
        assert!(["cookie", "X_Key", "X-Real-IP"].iter().all(|name| edits.replaces(name)));
        assert!(["x-more", "x-forwarded-proto"].iter().all(|name| !edits.replaces(name)));
    }

    #[test]
    fn fields_that_are_not_the_operators_are_refused_with_a_hint() {
        for name in [
            "Host",
            "CONNECTION",
            "Transfer_Encoding",
            "content-length",
            "Proxy-Authorization",
            "Proxy",
            "If-None-Match",
            "if_match",
            "Range",
            "Via",
            "CDN-Loop",
            "TE",
            "Expect",
            "",
            "a b",
            "a:",
            "caf\u{e9}",
            "x\r\ny",
        ] {
            let mistake = editable_name(name).unwrap_err();
            assert!(!mistake.hint.is_empty(), "{name}");
        }
        assert!(editable_name("Host").unwrap_err().hint.contains("[site.origin]"));
        for name in ["X-Real-IP", "Authorization", "Accept-Encoding", "X-Forwarded-For", "If", "Ranges", "Viable"] {
            assert!(editable_name(name).is_ok(), "{name}");
        }
    }
}
