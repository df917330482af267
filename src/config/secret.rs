//! A text that is compared and never shown.

use std::fmt;

/// A secret of the file: no log, message or debug output has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text to itself.
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// Is it this? Takes as long for a wrong text as for the right one of the same length.
    pub fn is(&self, text: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let difference = own.iter().zip(text).fold(0, |difference, (one, other)| difference | (one ^ other));
        own.len() == text.len() && std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_text_is_it_and_nothing_shows_it() {
        let secret = Secret::new("correct horse".into());
        for (text, expected) in [("correct horse", true), ("correct horsf", false), ("correct", false), ("", false)] {
            assert_eq!(secret.is(text.as_bytes()), expected, "{text}");
        }
        assert!(!secret.is(b"correct horse battery"));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
