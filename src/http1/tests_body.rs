use super::*;
use proptest::prelude::*;

/// Reads `input` in the given parts and gives the data and what was left over behind the end.
fn decode(length: BodyLength, parts: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>, bool), BodyError> {
    let (mut reader, mut data, mut rest) = (BodyReader::new(length), Vec::new(), Vec::new());
    for part in parts {
        let mut part = *part;
        while !part.is_empty() && !reader.is_done() {
            let piece = reader.read(part)?;
            assert!(piece.data.end <= piece.consumed && piece.consumed <= part.len() && piece.consumed > 0);
            data.extend_from_slice(&part[piece.data]);
            part = &part[piece.consumed..];
        }
        rest.extend_from_slice(part);
    }
    Ok((data, rest, reader.is_done()))
}

fn bytes_of(input: &[u8]) -> Vec<&[u8]> {
    input.chunks(1).collect()
}

#[track_caller]
fn check_chunked(input: &str, data: &str, rest: &str) {
    let expected = Ok((data.into(), rest.into(), true));
    assert_eq!(decode(BodyLength::Chunked, &[input.as_bytes()]), expected, "whole: {input:?}");
    assert_eq!(decode(BodyLength::Chunked, &bytes_of(input.as_bytes())), expected, "byte by byte: {input:?}");
}

#[track_caller]
fn check_refused(input: &str, error: BodyError) {
    assert_eq!(decode(BodyLength::Chunked, &[input.as_bytes()]), Err(error), "whole: {input:?}");
    assert_eq!(decode(BodyLength::Chunked, &bytes_of(input.as_bytes())), Err(error), "byte by byte: {input:?}");
}

#[test]
fn reads_chunked_bodies_to_their_end_and_no_further() {
    check_chunked("5\r\nhello\r\n0\r\n\r\n", "hello", "");
    check_chunked("5\r\nhello\r\n003\r\nabc\r\n000\r\n\r\nGET", "helloabc", "GET");
    check_chunked("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", "");
    check_chunked("0000000000000001\r\nx\r\n0\r\n\r\n", "x", "");
    check_chunked("0\r\n\r\n\r\n", "", "\r\n");
}

#[test]
fn checks_and_drops_extensions() {
    check_chunked("1;a\r\nx\r\n0;last=\"q; \t\u{e9}\"\r\n\r\n", "x", "");
    check_chunked("1 \t;a=b\r\nx\r\n0\r\n\r\n", "x", "");
    check_chunked("1;n=\"v;\\\"x\"\r\nx\r\n0\r\n\r\n", "x", "");
    check_chunked("1;\r\nx\r\n0\r\n\r\n", "x", "");
    check_chunked(&format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(255)), "x", "");
    check_refused(&format!("1;{}\r\nx", "e".repeat(256)), BodyError::Chunk("chunk extension is too long"));
    for extension in ["1;a\nx", "1;a\0", "1;\x7f", "1;a=\"b\r\n", "1;a=\"b\\\"\r\n", "1;a=\"\\\r"] {
        check_refused(extension, BodyError::Chunk("control byte in a chunk extension"));
    }
    check_refused("1;a\rx", BodyError::Chunk("chunk size line does not end in CRLF"));
}

#[test]
fn refuses_chunk_sizes_that_others_may_read_otherwise() {
    for size in
        ["+5", "-5", "-0", "G", " 5", "\t5", "\r\n", "\n", ";a\r\n", "0x5", "5_0", "5x", "5\n", "5,", "\u{0665}"]
    {
        check_refused(size, BodyError::Chunk("chunk size is not hexadecimal"));
    }
    for size in ["5 \r\n", "5\t\r\n", "5 5\r\n"] {
        check_refused(size, BodyError::Chunk("blank behind the chunk size"));
    }
    for size in ["8000000000000000\r", "FFFFFFFFFFFFFFFE\r", "ffffffffffffffff;"] {
        check_refused(size, BodyError::Chunk("chunk size is out of range"));
    }
    for size in ["10000000000000003", "00000000000000005"] {
        check_refused(size, BodyError::Chunk("chunk size has more than 16 digits"));
    }
    check_refused("5\rX", BodyError::Chunk("chunk size line does not end in CRLF"));
}

#[test]
fn refuses_chunks_that_do_not_end_where_they_should() {
    for chunk in ["5\r\nhelloXX", "5\r\nhello\n", "5\r\nhello\rX", "5\r\nhello0\r\n", "5\r\nhello\r\r"] {
        check_refused(chunk, BodyError::Chunk("chunk data does not end in CRLF"));
    }
}

#[test]
fn checks_and_drops_trailers() {
    check_chunked("0\r\nContent-Length: 5\r\nX:\t\u{e9}\r\n\r\nrest", "", "rest");
    for trailer in ["junk\r\n", "X : a\r\n", " X: a\r\n", ": a\r\n", "X: a\r\n fold", "\n", "X\0"] {
        check_refused(&format!("0\r\n{trailer}"), BodyError::Trailer("invalid trailer name"));
    }
    check_refused("0\r\nX: a\n", BodyError::Trailer("control byte in a trailer"));
    check_refused("0\r\nX: a\rb", BodyError::Trailer("trailer line does not end in CRLF"));
    check_refused("0\r\n\rX", BodyError::Trailer("trailers do not end in CRLF"));
    check_chunked(&format!("0\r\n{}\r\n", "X:\r\n".repeat(100)), "", "");
    check_refused(&format!("0\r\n{}", "X:\r\n".repeat(101)), BodyError::TrailersTooLarge);
    check_refused(&format!("0\r\nX:{}", "a".repeat(9000)), BodyError::TrailersTooLarge);
}

#[test]
fn a_chunk_says_beforehand_how_much_is_to_come() {
    let mut reader = BodyReader::new(BodyLength::Chunked);
    for (bytes, promised) in [("4000000000000000\r", 0), ("\n", 1 << 62), ("ab", (1 << 62) - 2)] {
        reader.read(bytes.as_bytes()).unwrap();
        assert_eq!(reader.promised(), promised, "{bytes:?}");
    }
    assert_eq!(BodyReader::new(BodyLength::Exact(7)).promised(), 7);
}

#[test]
fn an_error_stays() {
    let mut reader = BodyReader::new(BodyLength::Chunked);
    let error = reader.read(b"x").unwrap_err();
    assert_eq!(reader.read(b"0\r\n\r\n"), Err(error));
    assert_eq!(reader.read(b""), Err(error));
    assert_eq!(reader.at_eof(), Err(error));
}

#[test]
fn knows_whether_the_connection_may_end() {
    for (length, input, expected) in [
        (BodyLength::None, "", Ok(())),
        (BodyLength::Exact(0), "", Ok(())),
        (BodyLength::Exact(3), "ab", Err(BodyError::Incomplete)),
        (BodyLength::Exact(3), "abc", Ok(())),
        (BodyLength::UntilClose, "", Ok(())),
        (BodyLength::UntilClose, "abc", Ok(())),
        (BodyLength::Chunked, "", Err(BodyError::Incomplete)),
        (BodyLength::Chunked, "3\r\nab", Err(BodyError::Incomplete)),
        (BodyLength::Chunked, "3\r\nabc\r\n", Err(BodyError::Incomplete)),
        (BodyLength::Chunked, "0\r\n", Err(BodyError::Incomplete)),
        (BodyLength::Chunked, "0\r\n\r", Err(BodyError::Incomplete)),
        (BodyLength::Chunked, "0\r\n\r\n", Ok(())),
    ] {
        let mut reader = BodyReader::new(length);
        let mut rest = input.as_bytes();
        while !rest.is_empty() {
            rest = &rest[reader.read(rest).unwrap().consumed..];
        }
        assert_eq!(reader.at_eof(), expected, "{length:?} {input:?}");
    }
}

#[test]
fn exact_bodies_end_at_their_length() {
    assert_eq!(decode(BodyLength::Exact(3), &[b"abcdef"]), Ok((b"abc".into(), b"def".into(), true)));
    assert_eq!(decode(BodyLength::Exact(0), &[b"abc"]), Ok((vec![], b"abc".into(), true)));
    assert_eq!(decode(BodyLength::None, &[b"abc"]), Ok((vec![], b"abc".into(), true)));
    assert_eq!(decode(BodyLength::UntilClose, &[b"abc", b"d"]), Ok((b"abcd".into(), vec![], false)));
}

#[test]
fn writes_chunk_sizes_in_lower_case_hex() {
    for n in [0, 1, 9, 10, 15, 16, 255, 256, 0x0123_4567_89ab_cdef, u64::MAX] {
        let mut out = Vec::new();
        write_chunk_size(&mut out, n);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{n:x}\r\n"));
    }
}

/// Cuts `input` at the places given, taken modulo its length.
fn split<'a>(input: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(input.len() + 1)).collect();
    places.extend([0, input.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn gives_back_what_any_chunking_carries(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..20),
        rest in prop::collection::vec(any::<u8>(), 0..10),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            write_chunk_size(&mut wire, chunk.len() as u64);
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(LAST_CHUNK);
        wire.extend_from_slice(&rest);
        prop_assert_eq!(decode(BodyLength::Chunked, &split(&wire, &places)), Ok((chunks.concat(), rest, true)));
    }

    #[test]
    fn splitting_changes_nothing_and_nothing_panics(
        input in prop::collection::vec(prop::sample::select(&b"0015aF;= \t\r\n\r\nx:\"\\\0\xff"[..]), 0..60),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let whole = decode(BodyLength::Chunked, &[&input]);
        prop_assert_eq!(&decode(BodyLength::Chunked, &split(&input, &places)), &whole);
        prop_assert_eq!(&decode(BodyLength::Chunked, &bytes_of(&input)), &whole);
    }

    #[test]
    fn arbitrary_bytes_never_panic(input in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(BodyLength::Chunked, &[&input]);
    }
}
