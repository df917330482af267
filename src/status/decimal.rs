//! Numbers in the decimal digits of HTTP fields.

/// Appends a number in decimal; allocates nothing beyond `out`'s growth.
pub fn write_integer(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    write_decimal(out, number.unsigned_abs());
}

/// Appends a number in decimal; allocates nothing beyond `out`'s growth.
pub fn write_decimal(out: &mut Vec<u8>, number: u64) {
    let (text, first) = decimal(number);
    out.extend_from_slice(text.get(first..DIGITS).unwrap_or_default());
}

/// The same, and the end of the line.
pub fn write_decimal_line(out: &mut Vec<u8>, number: u64) {
    let (text, first) = decimal(number);
    out.extend_from_slice(text.get(first..).unwrap_or_default());
}

/// Room that ends with a number and CRLF, and where the number begins.
fn decimal(number: u64) -> ([u8; DIGITS + 2], usize) {
    let mut text = *b"00000000000000000000\r\n";
    let mut rest = number;
    for place in (0..DIGITS).rev() {
        if let Some(digit) = text.get_mut(place) {
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            return (text, place);
        }
    }
    (text, 0)
}

/// Digits of the largest number.
const DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_to_their_limits() {
        for number in [0, 7, 10, -1, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_integer(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
        for number in [0, 9, 10, 4096, u64::MAX] {
            let (mut out, mut line) = (Vec::new(), b"a: ".to_vec());
            write_decimal(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
            write_decimal_line(&mut line, number);
            assert_eq!(String::from_utf8(line).unwrap(), format!("a: {number}\r\n"));
        }
    }
}
