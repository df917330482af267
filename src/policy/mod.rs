//! What a shared cache may store and reuse: RFC 9111, with the parts of RFC 9110 that it stands on.
//!
//! Every answer is computed from the arguments alone: fields, the operator's [`Rules`] and a time handed in. Nothing
//! here knows a socket, a lock, a clock or a log. Refusals carry a [`Why`], which travels on to `Cache-Status` and the
//! access log. What runs on a hit does not allocate.

pub mod directives;
pub mod edits;
pub mod explain;
pub mod freshen;
pub mod freshness;
pub mod glob;
pub mod groups;
pub mod invalidate;
pub mod key;
pub mod key_parts;
pub mod key_text;
mod list;
pub mod part;
pub mod provoked;
pub mod query;
pub mod range;
pub mod redirect;
pub mod response_edits;
pub mod reuse;
pub mod rewrite;
pub mod rules;
pub mod select;
pub mod storable;
pub(crate) mod structured;
pub mod template;
pub mod trail;
pub mod validator;
pub mod variant;
mod why;
pub mod withheld;

pub use why::Why;

/// Fields of a message in order: names without regard to case, values trimmed. Implemented by request heads, owned
/// requests and stored heads; iterates without allocating.
pub trait Fields {
    /// Calls `each` for every field line, in order.
    fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8]));
}

/// What the operator set for one site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Store responses with Set-Cookie that are explicitly shared.
    pub store_set_cookie: bool,
    /// Take no notice of the client's Cache-Control (`client_cache_control = "ignore"`).
    pub ignore_client_cache_control: bool,
    /// Lifetimes, bypasses and keys of the operator's own; `None` where none is set, so that it costs nothing.
    pub own: Option<Box<rules::SiteRules>>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Fields;
    use super::directives::RequestDirectives;
    use super::storable::RequestFacts;
    use crate::time::Now;
    use std::time::Duration;

    /// A request that says nothing of itself.
    pub const GET: RequestFacts<'static> = RequestFacts {
        method: "GET",
        has_authorization: false,
        directives: RequestDirectives {
            no_store: false,
            no_cache: false,
            only_if_cached: false,
            max_age: None,
            min_fresh: None,
            max_stale: None,
            stale_if_error: None,
        },
    };

    /// Field lines written down in a test.
    pub struct Lines<'a>(pub &'a [(&'a str, &'a str)]);

    impl Fields for Lines<'_> {
        fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
            self.0.iter().for_each(|(name, value)| each(name.as_bytes(), value.as_bytes()));
        }
    }

    /// The same field line, with any bytes.
    pub struct Line<'a>(pub &'a str, pub &'a [u8]);

    impl Fields for Line<'_> {
        fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
            each(self.0.as_bytes(), self.1);
        }
    }

    /// `seconds` after Sat, 01 Aug 2026 00:00:00 GMT.
    pub fn at(seconds: u64) -> Now {
        Now { wall: Duration::from_secs(1_785_542_400 + seconds), monotonic: Duration::from_secs(1_000 + seconds) }
    }

    /// The date [`at`] `seconds`, which may lie before its start.
    pub fn date(seconds: i64) -> String {
        String::from_utf8(crate::time::HttpDate(1_785_542_400 + seconds).format().to_vec()).unwrap()
    }
}
