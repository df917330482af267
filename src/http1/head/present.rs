//! Which fields a request has, of those that rules ask about: one bit each, gathered while the head is parsed.

use std::ops::BitOr;

/// A set of field names. A cache hit asks this instead of looking through the fields once for each rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Present(u32);

#[allow(missing_docs, reason = "the fields' own names")]
impl Present {
    pub const ACCEPT: Present = Present(1);
    pub const ACCEPT_ENCODING: Present = Present(1 << 1);
    pub const AUTHORIZATION: Present = Present(1 << 2);
    pub const CACHE_CONTROL: Present = Present(1 << 3);
    pub const CDN_LOOP: Present = Present(1 << 4);
    pub const CONNECTION: Present = Present(1 << 5);
    pub const COOKIE: Present = Present(1 << 6);
    pub const IF_MATCH: Present = Present(1 << 7);
    pub const IF_MODIFIED_SINCE: Present = Present(1 << 8);
    pub const IF_NONE_MATCH: Present = Present(1 << 9);
    pub const IF_RANGE: Present = Present(1 << 10);
    pub const IF_UNMODIFIED_SINCE: Present = Present(1 << 11);
    pub const PRAGMA: Present = Present(1 << 12);
    pub const RANGE: Present = Present(1 << 13);
    pub const UPGRADE: Present = Present(1 << 14);

    /// Is any of these fields there?
    pub fn has_any(self, of: Present) -> bool {
        self.0 & of.0 != 0
    }

    pub(super) fn insert(&mut self, field: Present) {
        self.0 |= field.0;
    }
}

impl BitOr for Present {
    type Output = Present;

    fn bitor(self, other: Present) -> Present {
        Present(self.0 | other.0)
    }
}
