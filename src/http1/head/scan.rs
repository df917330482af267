//! The search for the end of a head, and the line rules that no reader may bend (RFC 9112 §2.2, §5.2).
//!
//! Goes over every byte once, however the bytes arrive: the caller keeps the [`HeadScan`] beside its buffer. What is
//! wrong is refused at the first byte that proves it, so the answer does not depend on how the input was split.
//! Does not know what the lines mean; whether a line end is a start line's or a field's is all it tells apart.

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the start line, without its CRLF.
    pub line: usize,
    /// Bytes of the whole head, with the empty line.
    pub head: usize,
    /// Number of field lines.
    pub fields: usize,
}

impl HeadLimits {
    /// For responses of origins: a line of 8 KiB, a head of 64 KiB, 256 fields.
    pub const ORIGIN: HeadLimits = HeadLimits { line: 8 << 10, head: 64 << 10, fields: 256 };
}

/// How far the search for the end of the head in one buffer has come. Start a new head with `default()`; `parse`
/// resets it by itself once it has given a whole head or an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadScan {
    at: usize,
    line: usize,
    lines: usize,
    start: usize,
    start_line_end: usize,
}

/// What the scan found wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    LineTooLong,
    HeadTooLong,
    TooManyFields,
    Malformed(&'static str),
}

impl HeadScan {
    /// Goes on over `buf`, which holds the bytes of earlier calls and new ones behind them. Gives the head's length
    /// once its end is there. `skips_empty_line` lets one CRLF stand before the start line.
    pub(super) fn run(
        &mut self,
        buf: &[u8],
        limits: &HeadLimits,
        skips_empty_line: bool,
    ) -> Result<Option<usize>, Fault> {
        // Bytes past the limit are not looked at, so that they cannot change the answer.
        let window = buf.get(..limits.head).unwrap_or(buf);
        loop {
            if self.at == self.line && matches!(window.get(self.line), Some(b' ' | b'\t')) {
                return Err(Fault::Malformed("line begins with a blank"));
            }
            let control = find_control(window.get(self.at..).unwrap_or_default());
            self.at = control.map_or(window.len(), |offset| self.at.saturating_add(offset));
            if self.lines == 0 && self.at.saturating_sub(self.line) > limits.line {
                return Err(Fault::LineTooLong);
            }
            let next = window.get(self.at.saturating_add(1));
            match (window.get(self.at), next) {
                (Some(b'\t'), _) => self.at = self.at.saturating_add(1),
                (Some(b'\r'), Some(b'\n')) => {
                    if let Some(end) = self.end_line(limits, skips_empty_line)? {
                        return Ok(Some(end));
                    }
                }
                (Some(b'\r'), None) | (None, _) if window.len() >= limits.head => return Err(Fault::HeadTooLong),
                (Some(b'\r'), None) | (None, _) => return Ok(None),
                (Some(b'\r'), Some(_)) => return Err(Fault::Malformed("carriage return without line feed")),
                (Some(b'\n'), _) => return Err(Fault::Malformed("line feed without carriage return")),
                (Some(_), _) => return Err(Fault::Malformed("control byte in the head")),
            }
        }
    }

    /// Where the start line is, once it has ended.
    pub(super) fn start_line<'b>(&self, buf: &'b [u8]) -> Option<&'b [u8]> {
        if self.lines == 0 { None } else { buf.get(self.start..self.start_line_end) }
    }

    /// Where the start line begins: 0, or 2 behind an empty line.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    fn end_line(&mut self, limits: &HeadLimits, skips_empty_line: bool) -> Result<Option<usize>, Fault> {
        let (is_empty, end, next) = (self.at == self.line, self.at, self.at.saturating_add(2));
        self.at = next;
        self.line = next;
        match (is_empty, self.lines) {
            (true, 0) if skips_empty_line && self.start == 0 => self.start = next,
            (true, 0) => return Err(Fault::Malformed("empty line before the start line")),
            (true, _) => return Ok(Some(next)),
            (false, 0) => (self.start_line_end, self.lines) = (end, 1),
            (false, lines) if lines > limits.fields => return Err(Fault::TooManyFields),
            (false, lines) => self.lines = lines.saturating_add(1),
        }
        Ok(None)
    }
}

/// Position of the first byte below SP, or DEL. Eight bytes a step.
fn find_control(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let hits = control_bits(u64::from_le_bytes(*word));
        if hits != 0 {
            return Some(index * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(u8::is_ascii_control).map(|offset| words.len() * 8 + offset)
}

/// Sets the top bit of every control byte. A borrow may set bits above the lowest hit, never below it, so the lowest
/// is exact.
fn control_bits(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let differs_from_del = word ^ (ONES * 0x7f);
    let is_del = differs_from_del.wrapping_sub(ONES) & !differs_from_del;
    (below_space | is_del) & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { line: 20, head: 60, fields: 3 };

    #[track_caller]
    fn check(text: &str, expected: Result<Option<usize>, Fault>) {
        let mut scan = HeadScan::default();
        assert_eq!(scan.run(text.as_bytes(), &LIMITS, true), expected, "whole: {text:?}");
        let mut scan = HeadScan::default();
        let mut dripped = Ok(None);
        for end in 0..=text.len() {
            dripped = scan.run(&text.as_bytes()[..end], &LIMITS, true);
            if dripped != Ok(None) {
                break;
            }
        }
        assert_eq!(dripped, expected, "byte by byte: {text:?}");
    }

    #[test]
    fn finds_the_end_of_the_head() {
        check("", Ok(None));
        check("start\r", Ok(None));
        check("start\r\n", Ok(None));
        check("start\r\n\r\n", Ok(Some(9)));
        check("start\r\na: b\tc\r\n\r\nrest\n", Ok(Some(17)));
        check("\r\nstart\r\n\r\n", Ok(Some(11)));
    }

    #[test]
    fn refuses_what_is_no_line_of_text() {
        for (text, reason) in [
            ("start\n", "line feed without carriage return"),
            ("start\r\na: b\n\r\n", "line feed without carriage return"),
            ("start\r\n\n", "line feed without carriage return"),
            ("start\rx", "carriage return without line feed"),
            ("start\r\r\n", "carriage return without line feed"),
            ("start\r\na: \0", "control byte in the head"),
            ("start\r\na: \x7f", "control byte in the head"),
            ("\x16\x03\x01", "control byte in the head"),
            ("start\r\n a", "line begins with a blank"),
            ("start\r\na: b\r\n\t", "line begins with a blank"),
            (" start", "line begins with a blank"),
            ("\r\n\r\n", "empty line before the start line"),
        ] {
            check(text, Err(Fault::Malformed(reason)));
        }
    }

    #[test]
    fn keeps_the_limits_to_the_byte() {
        check(&format!("{}\r\n\r\n", "x".repeat(20)), Ok(Some(24)));
        check(&format!("{}\r\n\r\n", "x".repeat(21)), Err(Fault::LineTooLong));
        check(&"x".repeat(500), Err(Fault::LineTooLong));
        check(&format!("s\r\na: {}\r\n\r\n", "x".repeat(50)), Ok(Some(60)));
        check(&format!("s\r\na: {}\r\n\r\n", "x".repeat(51)), Err(Fault::HeadTooLong));
        check(&format!("s\r\na: {}", "x".repeat(500)), Err(Fault::HeadTooLong));
        check("s\r\na:\r\nb:\r\nc:\r\n\r\n", Ok(Some(17)));
        check("s\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n", Err(Fault::TooManyFields));
    }

    #[test]
    fn finds_every_control_byte_at_every_place() {
        for byte in 0..=255_u8 {
            for place in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[place] = byte;
                assert_eq!(find_control(&bytes), byte.is_ascii_control().then_some(place), "{byte} at {place}");
            }
        }
    }
}
