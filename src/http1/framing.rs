//! How long a message's body is (RFC 9112 §6), from the two fields that may say so.
//!
//! One Content-Length of 1 to 18 digits with no leading zero, or one Transfer-Encoding that is exactly `chunked`. A
//! second line, a list, a sign, or both fields together is refused even where the RFC lets a reader guess: the next
//! reader may guess otherwise.

/// The length of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body and no length is given.
    None,
    /// This many bytes, from Content-Length; may be 0.
    Exact(u64),
    /// Chunked transfer coding (RFC 9112 §7.1).
    Chunked,
    /// All bytes until the connection closes; responses only.
    UntilClose,
}

impl BodyLength {
    /// No byte of body can follow.
    pub fn is_empty(self) -> bool {
        matches!(self, BodyLength::None | BodyLength::Exact(0))
    }
}

/// What the framing fields of one head said, gathered line by line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FramingFields {
    pub(super) length: Option<u64>,
    pub(super) coding: Option<Coding>,
}

/// What one Transfer-Encoding line said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// `chunked` and nothing else.
    Chunked,
    /// One well-formed coding that we do not know.
    Unknown,
    /// Anything else: lists, parameters, an empty value, a second line.
    Malformed,
}

impl FramingFields {
    /// Takes a Content-Length line; the error is the reason for refusal.
    pub(super) fn add_length(&mut self, value: &[u8]) -> Result<(), &'static str> {
        if self.length.is_some() {
            return Err("more than one Content-Length");
        }
        self.length = Some(parse_length(value).ok_or("Content-Length is not a plain number")?);
        Ok(())
    }

    /// Takes a Transfer-Encoding line. What is wrong with it is left to the caller, which may be about to ignore it.
    pub(super) fn add_coding(&mut self, value: &[u8]) {
        self.coding = Some(match self.coding {
            Some(_) => Coding::Malformed,
            None if value.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
            None if is_token(value) => Coding::Unknown,
            None => Coding::Malformed,
        });
    }
}

/// A non-empty run of tchar (RFC 9110 §5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

/// tchar (RFC 9110 §5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// 18 digits cannot overflow, nor can sums of a few such lengths. A leading zero, though grammatical, means octal to
/// some readers and is sent by nobody honest.
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 || (value.len() > 1 && value.starts_with(b"0")) {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit & 0x0f))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_lengths_of_1_to_18_digits() {
        for (text, length) in [("0", 0), ("5", 5), ("10", 10), ("999999999999999999", 999_999_999_999_999_999)] {
            assert_eq!(parse_length(text.as_bytes()), Some(length), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_plain_digits() {
        for text in [
            "",
            "+5",
            "-5",
            "0x5",
            "5.0",
            "1e1",
            "5 5",
            "5;a",
            "\"5\"",
            "1_0",
            "5,5",
            "5,",
            "5x",
            "\u{0665}",
            "\u{a0}5",
            "1000000000000000000",
            "18446744073709551621",
        ] {
            assert_eq!(parse_length(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_second_line_of_either_field_is_refused() {
        let mut fields = FramingFields::default();
        fields.add_length(b"5").unwrap();
        assert_eq!(fields.add_length(b"5"), Err("more than one Content-Length"));
        fields.add_coding(b"chunked");
        assert_eq!(fields.coding, Some(Coding::Chunked));
        fields.add_coding(b"chunked");
        assert_eq!(fields.coding, Some(Coding::Malformed));
    }

    #[test]
    fn only_chunked_is_a_known_coding() {
        for (text, coding) in [
            ("chunked", Coding::Chunked),
            ("Chunked", Coding::Chunked),
            ("gzip", Coding::Unknown),
            ("identity", Coding::Unknown),
            ("xchunked", Coding::Unknown),
            ("", Coding::Malformed),
            ("chunked,", Coding::Malformed),
            (",chunked", Coding::Malformed),
            ("gzip, chunked", Coding::Malformed),
            ("chunked;a=b", Coding::Malformed),
            ("\"chunked\"", Coding::Malformed),
            ("chun\u{212a}ed", Coding::Malformed),
        ] {
            let mut fields = FramingFields::default();
            fields.add_coding(text.as_bytes());
            assert_eq!(fields.coding, Some(coding), "{text:?}");
        }
    }
}
