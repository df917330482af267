//! Gzip (RFC 1952), in which large sitemaps are kept, and which an answer may be coded with: taken apart within a limit, and
//! only where every checksum holds. Knows nothing of what is in it.

use miniz_oxide::inflate::stream::{InflateState, MinReset, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use super::Unreadable;

/// It begins as gzip does; no text does.
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// What is in all members, one behind the other: at most `most` bytes, whatever there would be.
pub fn expanded(bytes: &[u8], most: usize) -> Result<Vec<u8>, Unreadable> {
    let mut work = Work { state: Box::new(InflateState::new(DataFormat::Raw)), out: Vec::new(), most };
    let mut rest = bytes;
    for _ in 0..MOST_MEMBERS {
        rest = work.member(rest)?;
        // Some writers fill up their last block.
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(work.out);
        }
    }
    Err(damaged("it is in too many pieces"))
}

struct Work {
    state: Box<InflateState>,
    out: Vec<u8>,
    most: usize,
}

impl Work {
    /// One member from its head to its checksum; what stands behind it.
    fn member<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Unreadable> {
        let start = self.out.len();
        let rest = self.content(behind_head(bytes)?)?;
        let (sum, rest) = rest.split_first_chunk().ok_or_else(cut_short)?;
        let (length, rest) = rest.split_first_chunk().ok_or_else(cut_short)?;
        let content = self.out.get(start..).unwrap_or_default();
        // The length is that of the content modulo 2³² (RFC 1952 §2.3.1), which is more than any limit here.
        let is_whole = usize::try_from(u32::from_le_bytes(*length)) == Ok(content.len());
        if !is_whole || u32::from_le_bytes(*sum) != crc32(content) {
            return Err(damaged("its checksum does not fit what is in it"));
        }
        Ok(rest)
    }

    /// The deflated blocks (RFC 1951) of a member.
    fn content<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Unreadable> {
        self.state.reset_as(MinReset);
        let (mut rest, mut room) = (bytes, [0; PIECE]);
        loop {
            let step = inflate(&mut self.state, rest, &mut room, MZFlush::None);
            rest = rest.get(step.bytes_consumed..).unwrap_or_default();
            let piece = room.get(..step.bytes_written).unwrap_or_default();
            if self.out.len().saturating_add(piece.len()) > self.most {
                return Err(format!("it is compressed with gzip, and expands to more than {} MiB", self.most >> 20));
            }
            self.out.extend_from_slice(piece);
            match step.status {
                Ok(MZStatus::StreamEnd) => return Ok(rest),
                Ok(_) if step.bytes_consumed > 0 || step.bytes_written > 0 => {}
                Ok(_) | Err(MZError::Buf) => return Err(cut_short()),
                Err(_) => return Err(damaged("what is in it cannot be made out")),
            }
        }
    }
}

/// What follows the head of a member (RFC 1952 §2.3).
fn behind_head(bytes: &[u8]) -> Result<&[u8], Unreadable> {
    let (head, mut rest) = bytes.split_first_chunk().ok_or_else(cut_short)?;
    let [first, second, method, flags, _, _, _, _, _, _]: [u8; 10] = *head;
    if [first, second] != MAGIC || method != DEFLATE || flags & RESERVED != 0 {
        return Err(damaged("a piece of it does not begin as gzip does"));
    }
    if flags & EXTRA != 0 {
        let (length, behind) = rest.split_first_chunk().ok_or_else(cut_short)?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..).ok_or_else(cut_short)?;
    }
    // A file name and a comment, each to its zero.
    for _ in 0..(flags & NAME).count_ones().saturating_add((flags & COMMENT).count_ones()) {
        let end = rest.iter().position(|byte| *byte == 0).ok_or_else(cut_short)?;
        rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
    }
    if flags & HEAD_SUM != 0 { rest.get(2..).ok_or_else(cut_short) } else { Ok(rest) }
}

fn damaged(how: &str) -> Unreadable {
    format!("it is compressed with gzip and damaged: {how}")
}

fn cut_short() -> Unreadable {
    damaged("it breaks off before its end")
}

/// The cyclic redundancy check of RFC 1952 §8.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, byte| {
        let [low, ..] = sum.to_le_bytes();
        (sum >> 8) ^ TABLE.get(usize::from(low ^ byte)).copied().unwrap_or_default()
    })
}

#[expect(clippy::indexing_slicing, reason = "computed when it is compiled")]
static TABLE: [u32; 256] = {
    let (mut table, mut place) = ([0; 256], 0);
    while place < 256 {
        let (mut sum, mut bit) = (place as u32, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
            bit += 1;
        }
        table[place] = sum;
        place += 1;
    }
    table
};

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATE: u8 = 8;
const HEAD_SUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;
const PIECE: usize = 16 << 10;
/// Writers that work on pieces at once begin a member every 64 KiB or so.
const MOST_MEMBERS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `gzip` of 64 KiB of zeros: 96 bytes.
    fn zeros() -> Vec<u8> {
        let start = "1f8b0800000000000203edc101010000008090feafee080a";
        bytes(&format!("{start}{}6aeb8e97d700000100", "00".repeat(63)))
    }

    /// `gzip` of `hello hello hello`, with a file name in its head.
    fn hello() -> Vec<u8> {
        bytes("1f8b08080000000002036e616d6500cb48cdc9c957c84090008088f9e511000000")
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn members_are_read_one_behind_the_other() {
        let one = b"hello hello hello";
        assert_eq!(expanded(&hello(), 17).unwrap(), one);
        assert_eq!(expanded(&[hello(), hello(), vec![0; 100]].concat(), 34).unwrap(), one.repeat(2));
        let mut every_field = hello();
        every_field[3] = HEAD_SUM | EXTRA | NAME | COMMENT;
        every_field.splice(10..10, [3, 0, 1, 2, 3]);
        every_field.splice(20..20, *b"words\0##");
        assert_eq!(expanded(&every_field, 17).unwrap(), one);
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let most = 1 << 20;
        assert_eq!(expanded(&zeros().repeat(16), most).unwrap().len(), most);
        let bomb = expanded(&zeros().repeat(9_000), most).unwrap_err();
        assert_eq!(bomb, "it is compressed with gzip, and expands to more than 1 MiB");
        let empty = bytes("1f8b080000000000000303000000000000000000");
        assert_eq!(expanded(&empty, 0).unwrap(), b"");
        assert!(expanded(&empty.repeat(MOST_MEMBERS + 1), most).unwrap_err().contains("too many pieces"));
    }

    #[test]
    fn what_is_damaged_says_how() {
        let whole = hello();
        for end in 2..whole.len() {
            assert!(expanded(&whole[..end], 100).unwrap_err().contains("breaks off"), "{end}");
        }
        let changed = |place: usize, to: u8| {
            let mut bytes = whole.clone();
            bytes[place] = to;
            expanded(&bytes, 100).unwrap_err()
        };
        let last = whole.len() - 1;
        assert!(changed(2, 7).contains("does not begin"), "another method");
        assert!(changed(3, 0x28).contains("does not begin"), "a flag that there is not");
        assert!(changed(15, 0xff).contains("cannot be made out"), "no kind of block");
        assert!(changed(last, 1).contains("checksum"), "its length");
        assert!(changed(last - 4, 1).contains("checksum"), "its sum");
        let behind = [whole.as_slice(), b"more"].concat();
        assert!(expanded(&behind, 100).is_err(), "what follows is not gzip");
    }

    proptest! {
        #[test]
        fn any_change_is_noticed_or_harmless(place in 0_usize..33, to: u8) {
            let mut bytes = hello();
            bytes[place] = to;
            if let Ok(text) = expanded(&bytes, 100) {
                prop_assert_eq!(text, b"hello hello hello");
            }
        }

        #[test]
        fn any_bytes_are_read_to_an_end(content in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = expanded(&[&MAGIC[..], &[DEFLATE, 0, 0, 0, 0, 0, 0, 0], &content].concat(), 1000);
        }
    }
}
