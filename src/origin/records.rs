//! Follows the boundaries of TLS records (RFC 8446 §5.1) in a byte stream, without looking inside.
//!
//! rustls keeps an undecrypted half record to itself and tells nobody. Behind the end of a body it would be the start
//! of an answer that nobody asked for, and the next exchange would get it.

/// A position in the stream of records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Records {
    /// Bytes of the current record's header that have come, 0 to 5.
    header: u8,
    /// The length from the header, or what is left of the record's content.
    left: u16,
    /// The first bytes of the stream.
    opening: [u8; HEADER as usize],
    /// How many of them have come.
    opened: u8,
}

impl Records {
    /// These bytes came.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        for byte in bytes {
            let Some(place) = self.opening.get_mut(usize::from(self.opened)) else { break };
            *place = *byte;
            self.opened += 1;
        }
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.header < HEADER {
                // Type and version, then two bytes of length.
                if self.header >= 3 {
                    self.left = self.left << 8 | u16::from(byte);
                }
                self.header += 1;
                bytes = rest;
            } else {
                let step = bytes.len().min(usize::from(self.left));
                self.left -= u16::try_from(step).unwrap_or(self.left);
                bytes = bytes.get(step..).unwrap_or_default();
            }
            if self.header == HEADER && self.left == 0 {
                self.header = 0;
            }
        }
    }

    /// The first five bytes of the stream, zeros for those that have not come: `HTTP/` where the origin does not speak
    /// TLS at all.
    pub fn opening(&self) -> &[u8; HEADER as usize] {
        &self.opening
    }

    /// True where no record has begun and not ended.
    pub fn is_between(&self) -> bool {
        self.header == 0
    }
}

const HEADER: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_found_however_the_bytes_are_cut() {
        let stream = [&[23, 3, 3, 0, 2, 9, 9][..], &[22, 3, 3, 0, 0], &[23, 3, 3, 1, 0], &[7; 256]].concat();
        let ends = [0, 7, 12, stream.len()];
        for step in 1..=stream.len() {
            let mut records = Records::default();
            let mut seen = 0;
            for piece in stream.chunks(step) {
                records.feed(piece);
                seen += piece.len();
                assert_eq!(records.is_between(), ends.contains(&seen), "{step} {seen}");
            }
        }
    }
}
