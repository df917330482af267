//! Patterns for the paths of an operator's rules: `*` within a segment, `**` across segments, no regular expressions.
//!
//! A pattern is tried in one walk over the path, whatever the path is: no input makes it walk back. Paths are compared as
//! an origin would read them, with `%41` as `A`; one that two readers could read in two ways is [`Path::is_doubtful`],
//! and it is for the rules to be careful with it.

/// A pattern that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// What every match begins with.
    prefix: Box<[u8]>,
    /// What follows, from the first star on; empty where there is none.
    rest: Box<[Step]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// This byte.
    Byte(u8),
    /// Any bytes but `/`.
    Segment,
    /// Any bytes.
    Any,
}

impl Glob {
    /// Reads a pattern. A `/` at its end stands for all that lies below.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn parse(text: &str) -> Result<Glob, (&'static str, &'static str)> {
        if !text.starts_with(['/', '*']) {
            return Err(("a pattern is of a whole path", "begin it with /, or with ** for any folder"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(("a path has no blanks and only ASCII", "write what stands in the address, decoded to ASCII"));
        }
        if text.contains(['?', '#']) {
            return Err(("a path ends before the ? or #", "leave it out; query = … is a condition of its own"));
        }
        if text.contains(['%', '\\', '[', ']', '{', '}', '|', '^']) {
            return Err(("patterns have no such character", "only * (within a segment) and ** (across) are special"));
        }
        if text.contains("***") {
            return Err(("three stars mean nothing", "write * (within a segment) or ** (across)"));
        }
        let folder = if text.ends_with('/') && text != "/" { "**" } else { "" };
        let steps = steps(text.bytes().chain(folder.bytes()));
        let first = steps.iter().position(|step| !matches!(step, Step::Byte(_))).unwrap_or(steps.len());
        let (prefix, rest) = steps.split_at_checked(first).unwrap_or_default();
        if rest.len() > MAX_STEPS || prefix.len() > MAX_PREFIX {
            return Err(("the pattern is too long", "120 characters from the first star on, 1000 before it"));
        }
        let prefix = prefix.iter().filter_map(|step| if let Step::Byte(byte) = step { Some(*byte) } else { None });
        Ok(Glob { prefix: prefix.collect(), rest: rest.into() })
    }

    /// The pattern covers the whole path. Allocates nothing; the time is the path's length times the pattern's at most.
    pub fn matches(&self, path: Path<'_>) -> bool {
        let mut bytes = path.decoded();
        if !self.prefix.iter().all(|&byte| bytes.next() == Some(byte)) {
            return false;
        }
        // A set of places in `rest`, one bit each: those at which what was read so far may have ended.
        let mut places = self.skip_stars(1);
        for byte in bytes {
            places = self.skip_stars(self.advance(places, byte));
            if places == 0 {
                return false;
            }
        }
        places >> self.rest.len() & 1 == 1
    }

    /// The places after one more byte.
    fn advance(&self, places: u128, byte: u8) -> u128 {
        let mut left = places;
        let mut next = 0;
        while left != 0 {
            let place = left.trailing_zeros();
            left &= left - 1;
            next |= match self.rest.get(usize::try_from(place).unwrap_or(usize::MAX)) {
                Some(Step::Byte(wanted)) if *wanted == byte => 2 << place,
                Some(Step::Any) => 1 << place,
                Some(Step::Segment) if byte != b'/' => 1 << place,
                _ => 0,
            };
        }
        next
    }

    /// A star may stand for nothing.
    fn skip_stars(&self, places: u128) -> u128 {
        let mut all = places;
        for (place, step) in self.rest.iter().enumerate() {
            if !matches!(step, Step::Byte(_)) && all >> place & 1 == 1 {
                all |= 2 << place;
            }
        }
        all
    }
}

fn steps(bytes: impl Iterator<Item = u8>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for byte in bytes {
        let step = match (byte, steps.last()) {
            (b'*', Some(Step::Any)) => continue,
            (b'*', Some(Step::Segment)) => {
                steps.pop();
                Step::Any
            }
            (b'*', _) => Step::Segment,
            _ => Step::Byte(byte),
        };
        steps.push(step);
    }
    steps
}

/// The path of a request target, as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'a>(&'a [u8]);

impl<'a> Path<'a> {
    /// Of a target: all before its query.
    pub fn of(target: &'a str) -> Path<'a> {
        Path(target.split('?').next().unwrap_or_default().as_bytes())
    }

    /// Some reader may take it for another path: it has dot segments, empty segments, a backslash, or such a thing encoded.
    pub fn is_doubtful(self) -> bool {
        let mut before = 0;
        let mut is_doubtful = false;
        for (at, &byte) in self.0.iter().enumerate() {
            is_doubtful |= match byte {
                b'\\' => true,
                b'/' => before == b'/',
                b'.' if before == b'/' => is_dot_segment(self.0.get(at..).unwrap_or_default()),
                b'%' => {
                    matches!(decoded_byte(self.0.get(at + 1..)), Some(b'.' | b'/' | b'\\' | b'%' | 0..=b' ' | 0x7f))
                }
                _ => false,
            };
            before = byte;
        }
        is_doubtful
    }

    /// The last segment ends in `.` and this, in any case of letters.
    pub fn has_extension(self, extension: &str) -> bool {
        let mut segment =
            self.0.rsplit(|byte| *byte == b'/').next().unwrap_or_default().rsplitn(2, |byte| *byte == b'.');
        let (Some(last), Some(_)) = (segment.next(), segment.next()) else { return false };
        let mut wanted = extension.bytes();
        Path(last).decoded().all(|byte| wanted.next().is_some_and(|wanted| wanted.eq_ignore_ascii_case(&byte)))
            && wanted.next().is_none()
    }

    /// Its bytes with `%xx` as the byte it stands for.
    fn decoded(self) -> impl Iterator<Item = u8> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (&first, tail) = rest.split_first()?;
            let decoded = if first == b'%' { decoded_byte(Some(tail)) } else { None };
            rest = if decoded.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
            Some(decoded.unwrap_or(first))
        })
    }
}

/// `.` or `..` up to the segment's end, or to what begins its parameters.
fn is_dot_segment(rest: &[u8]) -> bool {
    let dots = rest.iter().take_while(|byte| **byte == b'.').count();
    dots <= 2 && matches!(rest.get(dots), None | Some(b'/' | b';'))
}

fn decoded_byte(digits: Option<&[u8]>) -> Option<u8> {
    let [high, low, ..] = digits? else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*high)? << 4 | digit(*low)?)
}

/// One bit each in a u128, with one for the end and one to spare.
const MAX_STEPS: usize = 120;
const MAX_PREFIX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_match(glob: &str, target: &str) -> bool {
        Glob::parse(glob).unwrap().matches(Path::of(target))
    }

    #[test]
    fn a_star_stays_in_its_segment_and_two_go_on() {
        let rows = [
            ("/", "/", true),
            ("/", "/a", false),
            ("/a", "/a?b=/c", true),
            ("/a", "/A", false),
            ("/a", "/a/", false),
            ("/static/", "/static/", true),
            ("/static/", "/static/x/y.css", true),
            ("/static/", "/static", false),
            ("/static/", "/statics/x", false),
            ("/*.css", "/a.css", true),
            ("/*.css", "/.css", true),
            ("/*.css", "/a/b.css", false),
            ("/**.css", "/a/b.css", true),
            ("**.css", "/a/b.css", true),
            ("**/img/*.png", "/a/b/img/c.png", true),
            ("**/img/*.png", "/img/c.png", true),
            ("**/img/*.png", "/img/d/c.png", false),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*/c", "/a//c", true),
            ("/a/*/c", "/a/b/b/c", false),
            ("/a/**/c", "/a/b/b/c", true),
            ("/a*b*c", "/aXbXbXc", true),
            ("/a*b*c", "/aXbXbX", false),
            ("/**", "/", true),
            ("**", "/anything?at=all", true),
            ("/users/*/", "/users/7/photo", true),
            ("/caf", "/%63a%66", true),
            ("/a", "/%6", false),
        ];
        for (glob, target, expected) in rows {
            assert_eq!(is_match(glob, target), expected, "{glob} {target}");
        }
    }

    #[test]
    fn patterns_that_say_something_else_are_refused() {
        for text in ["", "a", "static/", "/a?b", "/a#b", "/***", "/a b", "/\u{e9}", "/[ab]", "/a|b", "/%41", "^/a"] {
            assert!(Glob::parse(text).is_err(), "{text}");
        }
        assert!(Glob::parse(&format!("/*{}", "x".repeat(200))).is_err());
        assert!(Glob::parse(&format!("/{}/*", "x".repeat(500))).is_ok());
    }

    #[test]
    fn paths_that_can_be_read_in_two_ways_are_doubtful() {
        for path in ["/a/../b", "/./a", "/a/..", "/a/.", "/a//b", "/a%2fb", "/a%2Fb", "/%2e%2e/b", "/a\\b", "/a%5cb"]
            .into_iter()
            .chain(["/a%00.css", "/a%0a", "/a%252e", "/a/..;/b", "/x%2ephp", "//a"])
        {
            assert!(Path::of(path).is_doubtful(), "{path}");
        }
        for path in ["/", "/a/b.css", "/a/.well-known/x", "/a/...", "/%41?x=//../%2f", "/%zz", "/a..b", "/a%"] {
            assert!(!Path::of(path).is_doubtful(), "{path}");
        }
    }

    #[test]
    fn extensions_are_of_the_last_segment_in_any_case() {
        let rows = [
            ("/a.css", "css", true),
            ("/a.CSS?x.js", "css", true),
            ("/a.tar.gz", "gz", true),
            ("/a.tar.gz", "tar", false),
            ("/a.css/b", "css", false),
            ("/css", "css", false),
            ("/.css", "css", true),
            ("/a.cs", "css", false),
            ("/a.csss", "css", false),
            ("/a.c%73s", "css", true),
        ];
        for (target, extension, expected) in rows {
            assert_eq!(Path::of(target).has_extension(extension), expected, "{target} {extension}");
        }
    }

    /// The same by trying everything, for short texts.
    fn slowly(glob: &[u8], path: &[u8]) -> bool {
        match (glob, path) {
            ([], path) => path.is_empty(),
            ([b'*', b'*', rest @ ..], path) => {
                slowly(rest, path) || path.split_first().is_some_and(|(_, tail)| slowly(glob, tail))
            }
            ([b'*', rest @ ..], path) => {
                slowly(rest, path)
                    || path.split_first().is_some_and(|(first, tail)| *first != b'/' && slowly(glob, tail))
            }
            ([wanted, rest @ ..], [first, tail @ ..]) => wanted == first && slowly(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_walk_finds_what_trying_everything_finds(glob in "/([ab/]|\\*|\\*\\*){0,6}[ab]?", path in "/[ab/]{0,8}") {
            if let Ok(read) = Glob::parse(&glob) {
                let whole = if glob.ends_with('/') && glob != "/" { format!("{glob}**") } else { glob.clone() };
                prop_assert_eq!(read.matches(Path::of(&path)), slowly(whole.as_bytes(), path.as_bytes()), "{} {}", glob, path);
            }
        }

        #[test]
        fn nothing_makes_it_panic(glob: String, path: String) {
            if let Ok(glob) = Glob::parse(&glob) {
                glob.matches(Path::of(&path));
            }
            Path::of(&path).is_doubtful();
            Path::of(&path).has_extension("x");
        }
    }
}
