//! Globs over paths, with captures: `*` is anything within a segment, `**` anything at all.
//!
//! No regular expressions: the time is bounded by pattern times path, whatever a client asks for.

use super::super::template::Mistake;

/// One rule: paths that look like `from` become `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    from: Box<[Token]>,
    to: Box<[Piece]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Literal(Box<str>),
    /// `*`
    Within,
    /// `**`
    Across,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    /// `$1` is 0.
    Capture(usize),
}

impl Rewrite {
    /// Reads a rule. `$1` to `$9` in `to` are what the wildcards of `from` stood for, from left to right.
    pub fn parse(from: &str, to: &str) -> Result<Rewrite, Mistake> {
        let from = parse_from(from)?;
        let wildcards = from.iter().filter(|token| !matches!(token, Token::Literal(_))).count();
        Ok(Rewrite { to: parse_to(to, wildcards)?, from })
    }

    /// The new path, where the rule is for this one.
    pub fn apply(&self, path: &str) -> Option<String> {
        let captures = self.captures(path.as_bytes())?;
        let mut out = String::with_capacity(path.len().saturating_add(32));
        for piece in &self.to {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Capture(index) => {
                    let (start, end) = captures.get(*index).copied().unwrap_or_default();
                    out.push_str(path.get(start..end).unwrap_or_default());
                }
            }
        }
        Some(out)
    }

    /// Where each wildcard begins and ends; each takes as much as it can, the first ones first.
    fn captures(&self, path: &[u8]) -> Option<Vec<(usize, usize)>> {
        if let Some(Token::Literal(start)) = self.from.first()
            && !path.starts_with(start.as_bytes())
        {
            return None;
        }
        let table = self.reachable(path);
        let can = |token: usize, at: usize| table.get(token).and_then(|row| row.get(at)).copied().unwrap_or(false);
        if !can(0, 0) {
            return None;
        }
        let mut captures = Vec::new();
        let mut at = 0;
        for (index, token) in self.from.iter().enumerate() {
            if let Token::Literal(text) = token {
                at += text.len();
                continue;
            }
            let longest = (at..=path.len())
                .take_while(|end| *end == at || *token == Token::Across || path.get(end - 1) != Some(&b'/'))
                .filter(|end| can(index + 1, *end))
                .last()?;
            captures.push((at, longest));
            at = longest;
        }
        Some(captures)
    }

    /// For each token and place: can the tokens from this one on match the path from there to its end?
    fn reachable(&self, path: &[u8]) -> Vec<Vec<bool>> {
        let places = path.len() + 1;
        let mut rows: Vec<Vec<bool>> = Vec::with_capacity(self.from.len() + 1);
        let mut next: Vec<bool> = (0..places).map(|at| at == path.len()).collect();
        for token in self.from.iter().rev() {
            let mut row = vec![false; places];
            let mut is_open = false;
            for at in (0..places).rev() {
                let behind = |distance: usize| next.get(at + distance).copied().unwrap_or(false);
                let can = match token {
                    Token::Literal(text) => {
                        path.get(at..).is_some_and(|rest| rest.starts_with(text.as_bytes())) && behind(text.len())
                    }
                    Token::Within => behind(0) || (is_open && path.get(at) != Some(&b'/')),
                    Token::Across => behind(0) || is_open,
                };
                is_open = can;
                if let Some(place) = row.get_mut(at) {
                    *place = can;
                }
            }
            rows.push(std::mem::replace(&mut next, row));
        }
        rows.push(next);
        rows.reverse();
        rows
    }
}

fn parse_from(text: &str) -> Result<Box<[Token]>, Mistake> {
    check_path(text)?;
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(star) = rest.find('*') {
        let (literal, behind) = rest.split_at_checked(star).unwrap_or((rest, ""));
        if !literal.is_empty() {
            tokens.push(Token::Literal(literal.into()));
        } else if !tokens.is_empty() {
            return Err(Mistake::new("two wildcards side by side", "** alone stands for anything, slashes too"));
        }
        let across = behind.strip_prefix("**");
        tokens.push(if across.is_some() { Token::Across } else { Token::Within });
        rest = across.or_else(|| behind.strip_prefix('*')).unwrap_or_default();
    }
    if !rest.is_empty() {
        tokens.push(Token::Literal(rest.into()));
    }
    match tokens.iter().filter(|token| !matches!(token, Token::Literal(_))).count() {
        0..=9 => Ok(tokens.into()),
        _ => Err(Mistake::new("more than nine wildcards", "** may stand for several segments")),
    }
}

fn parse_to(text: &str, wildcards: usize) -> Result<Box<[Piece]>, Mistake> {
    check_path(text)?;
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '$' {
            literal.push(letter);
            continue;
        }
        match letters.next() {
            Some('$') => literal.push('$'),
            Some(digit @ '1'..='9') => {
                let index = usize::try_from(u32::from(digit) - u32::from('1')).unwrap_or(usize::MAX);
                if index >= wildcards {
                    let hint = format!("from has {wildcards} wildcards; each * or ** is one");
                    return Err(Mistake::new(format!("${digit} stands for nothing"), hint));
                }
                pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
                pieces.push(Piece::Capture(index));
            }
            _ => return Err(Mistake::new("a lone $", "write $1 to $9 for what a wildcard stood for, $$ for a dollar")),
        }
    }
    pieces.push(Piece::Literal(literal.into()));
    Ok(pieces.into())
}

/// A path as an operator writes it: absolute, of bytes that a request line can hold, without a query.
pub(super) fn check_path(text: &str) -> Result<(), Mistake> {
    if !text.starts_with('/') {
        return Err(Mistake::new("a path begins with /", format!("write \"/{}\"", text.trim_start())));
    }
    if text.len() > MAX_PATH {
        return Err(Mistake::new(format!("a path has at most {MAX_PATH} bytes here"), "write a shorter one"));
    }
    match text.chars().find(|c| !c.is_ascii_graphic() || "?#\\<>\"`".contains(*c)) {
        None => Ok(()),
        Some('?') => Err(Mistake::new("a path has no query", "parameters are changed with query = { set = { … } }")),
        Some(c) => {
            let hint = "write it percent-encoded, as it stands in a request";
            Err(Mistake::new(format!("{c:?} cannot stand in a path"), hint))
        }
    }
}

const MAX_PATH: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_capture_what_they_stand_for() {
        let rows = [
            ("/old/*", "/new/$1", "/old/a", Some("/new/a")),
            ("/old/*", "/new/$1", "/old/", Some("/new/")),
            ("/old/*", "/new/$1", "/old/a/b", None),
            ("/old/**", "/new/$1", "/old/a/b", Some("/new/a/b")),
            ("/old/**", "/new/$1", "/old", None),
            ("/old/**", "/new/$1", "/older/a", None),
            ("/a", "/b", "/a", Some("/b")),
            ("/a", "/b", "/a/", None),
            ("/*/x/*.jpg", "/$2/$1.webp", "/u/x/p.jpg", Some("/p/u.webp")),
            ("/*.jpg", "/$1", "/a.jpg.jpg", Some("/a.jpg")),
            ("/**/b/*", "/$1|$2", "/a/b/c/b/d", Some("/a/b/c|d")),
            ("/**/b/*", "/$1|$2", "/a/b/c", Some("/a|c")),
            ("/*-*-*", "/$3/$2/$1", "/a-b-c-d", Some("/d/c/a-b")),
            ("/v$/**", "/$$1/$1", "/v$/x", Some("/$1/x")),
            ("/%41/*", "/$1$1", "/%41/x", Some("/xx")),
            ("/%41/*", "/$1$1", "/A/x", None),
            ("/**", "/", "/", Some("/")),
        ];
        for (from, to, path, expected) in rows {
            let rewrite = Rewrite::parse(from, to).unwrap();
            assert_eq!(rewrite.apply(path).as_deref(), expected, "{from} {to} {path}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_a_hint() {
        for (from, to, word) in [
            ("old", "/x", "begins with /"),
            ("/old", "x", "begins with /"),
            ("/a?b", "/x", "no query"),
            ("/a", "/x?y=$1", "no query"),
            ("/a b", "/x", "cannot stand"),
            ("/a", "/x#y", "cannot stand"),
            ("/a", "/\u{e9}", "cannot stand"),
            ("/a\r\n", "/x", "cannot stand"),
            ("/***", "/x", "side by side"),
            ("/*", "/$2", "$2 stands for nothing"),
            ("/*", "/$0", "lone"),
            ("/*", "/$", "lone"),
            ("/*-*-*-*-*-*-*-*-*-*", "/", "nine"),
        ] {
            let mistake = Rewrite::parse(from, to).unwrap_err();
            assert!(mistake.message.contains(word) && !mistake.hint.is_empty(), "{from} {to}: {mistake:?}");
        }
        assert!(Rewrite::parse(&format!("/{}", "a".repeat(1024)), "/").is_err());
    }

    #[test]
    fn the_work_is_pattern_times_path_whatever_the_path_is() {
        let rewrite = Rewrite::parse("/**a**a**a**a**a**a**a**a**b", "/").unwrap();
        assert_eq!(rewrite.apply(&format!("/{}", "a".repeat(16_000))), None);
    }
}
