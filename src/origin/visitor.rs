//! What a visitor is told of a failed fetch: the sentence of its type, but where that would mislead.

use super::connection::WireFailure;
use super::error::{Cause, FetchError};

impl FetchError {
    /// What happened, in one sentence; names no address.
    pub fn sentence(&self) -> &'static str {
        self.facts.sentence.unwrap_or_else(|| self.error.sentence())
    }
}

/// The sentence for causes that share their type with others of another kind.
pub fn visitors_sentence(cause: &Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::RedirectsToItself { .. } => "The origin redirects this address to itself, in a circle.",
        Cause::TlsOnPlainPort => "The origin was asked in plain HTTP where it speaks HTTPS.",
        Cause::Wire(WireFailure::PlainHttp) => "The origin was asked over HTTPS where it speaks plain HTTP.",
        Cause::TooManyInterims => "The origin sent too many interim responses.",
        _ => return None,
    })
}
