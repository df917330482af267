//! Changes to the fields of responses on their way to clients: set, add, remove.
//!
//! They are made while an answer is written, so what is stored stays what the origin sent, and a changed configuration
//! holds from the next answer on.

/// What is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Name and value; take the place of all lines of that name.
    pub set: Vec<(String, String)>,
    /// Name and value; stand beside what is there.
    pub add: Vec<(String, String)>,
    /// Names.
    pub remove: Vec<String>,
    /// The freshness lifetime is shown in [`LIFETIME`].
    pub show_lifetime: bool,
}

/// What a field may be changed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything that may be changed at all.
    All,
    /// Not what tells caches how long to keep it: the response may not be stored, or is of this one request.
    NotFreshness,
}

impl Edits {
    /// A line of this name does not go to the client as it is.
    pub fn drops(&self, name: &str, extent: Extent) -> bool {
        let is = |known: &String| known.eq_ignore_ascii_case(name);
        // What the origin says under our own name is not ours to say.
        if self.show_lifetime && name.eq_ignore_ascii_case(LIFETIME) {
            return true;
        }
        (self.remove.iter().any(is) || self.set.iter().any(|(known, _)| is(known))) && extent.has(name)
    }

    /// The lines to write, in the order of the file.
    pub fn written(&self, extent: Extent) -> impl Iterator<Item = (&str, &[u8])> {
        let lines = self.set.iter().chain(&self.add).map(|(name, value)| (name.as_str(), value.as_bytes()));
        lines.filter(move |(name, _)| extent.has(name))
    }

    /// Nothing is changed.
    pub fn are_none(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty() && !self.show_lifetime
    }
}

impl Extent {
    fn has(self, name: &str) -> bool {
        self == Extent::All || !FRESHNESS.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// May no operator change the field, and why?
pub fn refusal(name: &str) -> Option<&'static str> {
    let row = FIXED.iter().find(|(names, _)| names.iter().any(|known| known.eq_ignore_ascii_case(name)));
    row.map(|(_, why)| *why)
}

/// The field in which the freshness lifetime is shown, in seconds.
pub const LIFETIME: &str = "X-Cache-Lifetime";
/// What a response says of its keeping.
pub const FRESHNESS: [&str; 5] = ["cache-control", "cdn-cache-control", "millpond-cache-control", "expires", "pragma"];
/// Fields that no edit may touch, and why.
const FIXED: [(&[&str], &str); 4] = [
    (
        &[
            "connection",
            "content-length",
            "content-range",
            "keep-alive",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ],
        "it belongs to the connection, where a wrong one breaks the message",
    ),
    (&["age", "date", "cache-status", "proxy-status", "via", "x-cache-lifetime", "x-request-id"], "Millpond writes it"),
    (
        &["etag", "last-modified", "accept-ranges", "content-encoding"],
        "conditions and ranges are answered by what the origin said",
    ),
    (&["vary", "cache-groups"], "caches behind this one would give a response to the wrong client"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_set_added_and_removed() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let edits = Edits {
            set: vec![pair("Cache-Control", "max-age=5"), pair("X-A", "1")],
            add: vec![pair("X-B", "2")],
            remove: vec!["Server".to_owned(), "expires".to_owned()],
            show_lifetime: false,
        };
        for (name, all, most) in [
            ("cache-control", true, false),
            ("Expires", true, false),
            ("x-a", true, true),
            ("X-B", false, false),
            ("SERVER", true, true),
        ] {
            assert_eq!(
                (edits.drops(name, Extent::All), edits.drops(name, Extent::NotFreshness)),
                (all, most),
                "{name}"
            );
        }
        let names = |extent| edits.written(extent).map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(Extent::All), ["Cache-Control", "X-A", "X-B"]);
        assert_eq!(names(Extent::NotFreshness), ["X-A", "X-B"]);
    }

    #[test]
    fn what_frames_a_message_is_not_to_be_edited() {
        for name in ["Content-Length", "transfer-encoding", "Connection", "Date", "AGE", "Cache-Status", "ETag", "Vary"]
        {
            assert!(refusal(name).is_some(), "{name}");
        }
        assert_eq!(refusal("X-Frame-Options"), None);
    }
}
