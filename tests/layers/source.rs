//! Reads Rust sources just far enough for the house rules: words and signs with their lines, where test code stands,
//! where functions begin and end. Knows nothing of floors, doors or limits.

use std::ops::Range;

/// One file of `src`.
pub struct Source {
    /// Its path below `src`, with slashes: `store/lru.rs`.
    pub path: String,
    pub text: String,
    pub tokens: Vec<Token>,
    /// Ranges of `tokens` that stand under `#[cfg(test)]`.
    pub test_code: Vec<Range<usize>>,
}

/// A word, a number or one sign (`::` is one), outside comments and literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    /// From 1.
    pub line: usize,
}

/// A function with its body: its name, its first line, and how many lines it takes.
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let tokens = tokens(&without_comments_and_literals(text));
        let test_code = test_code(&tokens);
        Source { path: path.into(), text: text.into(), tokens, test_code }
    }

    /// The module path that the file stands for: `store/lru.rs` → `store`, `lru`; `store/mod.rs` → `store`; `lib.rs` → nothing.
    pub fn module(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs");
        let mut module: Vec<String> = stem.split('/').map(String::from).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            module.pop();
        }
        module
    }

    /// Files named `tests.rs` or `tests_<x>.rs` hold nothing but tests.
    pub fn is_test_file(&self) -> bool {
        self.path.rsplit('/').next().is_some_and(|name| name.starts_with("tests"))
    }

    pub fn is_test_code(&self, index: usize) -> bool {
        self.is_test_file() || self.test_code.iter().any(|range| range.contains(&index))
    }

    /// The token's text, or nothing past the end.
    pub fn at(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |token| &token.text)
    }

    pub fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for (index, token) in self.tokens.iter().enumerate() {
            if token.text != "fn" || !is_word(self.at(index + 1)) {
                continue;
            }
            let end = end_of_item(&self.tokens, index);
            let last = self.tokens.get(end - 1).map_or(token.line, |last| last.line);
            let name = self.at(index + 1).to_owned();
            found.push(Function { name, line: token.line, lines: last - token.line + 1 });
        }
        found
    }
}

/// Is it a word, not a sign or a number?
pub fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The index after the item that begins at `start`: past its first block, or past its `;` when none opens before.
fn end_of_item(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                let is_block = token.text == "}" && depth == 0;
                if is_block && tokens.get(index + 1).is_none_or(|next| next.text != ";") {
                    return index + 1;
                }
            }
            ";" if depth == 0 => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}

fn test_code(tokens: &[Token]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let Some(after) = end_of_test_attribute(tokens, index) else {
            index += 1;
            continue;
        };
        let mut item = after;
        while tokens.get(item).is_some_and(|t| t.text == "#") {
            item = end_of_attribute(tokens, item);
        }
        let end = end_of_item(tokens, item);
        ranges.push(index..end);
        index = end;
    }
    ranges
}

/// `#[cfg(test)]`, `#[cfg(all(test, ..))]` and `#[test]`, but not `#[cfg(not(test))]`.
fn end_of_test_attribute(tokens: &[Token], start: usize) -> Option<usize> {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    if (text(start), text(start + 1)) != ("#", "[") {
        return None;
    }
    let end = end_of_attribute(tokens, start);
    let words = || (start + 2..end).map(text);
    let is_test = match text(start + 2) {
        "test" => true,
        "cfg" => words().any(|word| word == "test") && !words().any(|word| word == "not" || word == "any"),
        _ => false,
    };
    is_test.then_some(end)
}

fn end_of_attribute(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "[" => depth += 1,
            "]" if depth == 1 => return index + 1,
            "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    tokens.len()
}

fn tokens(code: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            let len = match first {
                c if is_part(c) => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                c => c.len_utf8(),
            };
            let (text, after) = rest.split_at(len);
            found.push(Token { text: text.into(), line: number + 1 });
            rest = after.trim_start();
        }
    }
    found
}

/// The same text with comments and the insides of string and character literals blanked out; lines stay where they are.
fn without_comments_and_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let before = out.chars().next_back();
        let len = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => quoted(rest, '"'),
            '\'' => character(rest),
            'r' if !before.is_some_and(|c| c.is_alphanumeric() && c != 'b' || c == '_') => raw_string(rest),
            _ => 0,
        };
        let (blanked, after) = rest.split_at(if len == 0 { first.len_utf8() } else { len });
        match len {
            0 => out.push_str(blanked),
            _ => out.extend(blanked.chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
        }
        rest = after;
    }
    out
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of a literal that begins with `quote` and knows escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal, 1 for a lifetime's apostrophe (blanked, so that `'static` reads as a word).
fn character(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(text, '\''),
        _ => 1,
    }
}

/// The length of `r"…"`, `r#"…"#`; 0 when it is an ordinary word.
fn raw_string(text: &str) -> usize {
    let hashes = text.chars().skip(1).take_while(|&c| c == '#').count();
    let Some(body) = text.get(1 + hashes..).filter(|body| body.starts_with('"')) else { return 0 };
    let close = format!("\"{}", "#".repeat(hashes));
    body.get(1..).and_then(|inside| inside.find(&close)).map_or(text.len(), |at| 1 + hashes + 1 + at + close.len())
}
