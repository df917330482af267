//! What is wrong with a configuration, where, and what to do about it.
//!
//! Faults come from rules that know only a value; a place makes a problem of them. Knows no keys.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing wrong (or, for a warning, doubtful) in a configuration.
///
/// Shown as one line: `millpond.toml:12: site[1].origin.sni: "10.0.0.1" is an IP address; leave sni out …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named; empty when there is none (`serve --origin`).
    pub file: PathBuf,
    /// From 1; 0 when no line applies.
    pub line: usize,
    /// The key's path, list items and sites counted from 1, for example `site[2].origin.sni`; empty when no key
    /// applies.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it; empty when the message says it all.
    pub hint: String,
    /// Doubtful, but accepted all the same.
    pub is_warning: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.as_os_str().is_empty() {
            write!(f, "{}:", self.file.display())?;
            if self.line > 0 {
                write!(f, "{}:", self.line)?;
            }
            f.write_str(" ")?;
        }
        if self.is_warning {
            f.write_str("warning: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

/// What is wrong with a value, wherever it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl Fault {
    /// A fault with its hint.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault { message: message.into(), hint: hint.into() }
    }

    /// The problem that this is at a place of a file.
    pub fn at(self, file: &Path, place: Place) -> Problem {
        let Place { line, key } = place;
        let (message, hint) = (one_line(self.message), one_line(self.hint));
        Problem { file: file.to_owned(), line, key, message, hint, is_warning: false }
    }
}

/// A sentence with a text of the operator's in it, whoever has written it: no line of a log, and no end of one.
fn one_line(text: String) -> String {
    if text.len() <= LONGEST && !text.contains(char::is_control) {
        return text;
    }
    let end = text.char_indices().nth(LONGEST).map_or(text.len(), |(end, _)| end);
    let cut = text.get(..end).unwrap_or_default();
    let plain: String = cut
        .chars()
        .map(|letter| if letter.is_control() { letter.escape_debug().to_string() } else { letter.to_string() })
        .collect();
    if end < text.len() { plain + "…" } else { plain }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.hint)
    }
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// From 1; 0 when no line applies.
    pub line: usize,
    /// The key's path.
    pub key: String,
}

impl Place {
    /// No line and no key: the file as a whole.
    pub fn nowhere() -> Place {
        Place::line(0)
    }

    /// A line, where no key can be told.
    pub fn line(line: usize) -> Place {
        Place { line, key: String::new() }
    }
}

/// The problems found so far in one file.
pub(super) struct Problems {
    file: PathBuf,
    found: Vec<Problem>,
}

impl Problems {
    /// None yet.
    pub fn new(file: &Path) -> Problems {
        Problems { file: file.to_owned(), found: Vec::new() }
    }

    /// Notes something that is refused.
    pub fn refuse(&mut self, place: Place, fault: Fault) {
        self.push(place, fault, false);
    }

    /// Notes something doubtful.
    pub fn warn(&mut self, place: Place, fault: Fault) {
        self.push(place, fault, true);
    }

    /// Notes the fault of a value, if it has one, and goes on with `None`.
    pub fn check<T>(&mut self, place: Place, value: Result<T, Fault>) -> Option<T> {
        value.map_err(|fault| self.refuse(place, fault)).ok()
    }

    fn push(&mut self, place: Place, fault: Fault, is_warning: bool) {
        self.found.push(Problem { is_warning, ..fault.at(&self.file, place) });
    }

    /// Something was refused, not only doubted.
    pub fn are_fatal(&self) -> bool {
        self.found.iter().any(|problem| !problem.is_warning)
    }

    /// All of them, by line.
    pub fn into_list(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| problem.line);
        self.found
    }
}

/// A text of the operator's as messages show it: in quotes, control characters escaped, cut where it runs away.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", shorten(text).escape_debug())
}

/// A name of the operator's in the path of a key.
pub(super) fn shown_name(name: &str) -> String {
    shorten(name).escape_debug().to_string()
}

/// At most 80 characters of a text.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The word that was probably meant: the one fewest typing errors away, if they are few for its length.
pub(super) fn nearest<'w>(text: &str, words: &[&'w str]) -> Option<&'w str> {
    // A text this long is no slip of the finger, and comparing it would take time for nothing.
    if text.len() > 64 {
        return None;
    }
    let (errors, word) = words.iter().map(|word| (distance(text, word), *word)).min_by_key(|(errors, _)| *errors)?;
    (errors <= word.chars().count() / 3).then_some(word)
}

/// Typing errors between two words: letters missed, added, replaced, or two neighbours swapped.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_ascii_lowercase().chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let at = |row: &[usize], index: Option<usize>| index.and_then(|index| row.get(index)).copied();
    for (i, letter) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in b.iter().enumerate() {
            let replaced = at(&last, Some(j)).unwrap_or(usize::MAX - 1) + usize::from(letter != other);
            let added = at(&last, Some(j + 1)).unwrap_or(usize::MAX - 1) + 1;
            let missed = at(&row, Some(j)).unwrap_or(usize::MAX - 1) + 1;
            let is_swap = i > 0 && j > 0 && a.get(i - 1) == Some(other) && b.get(j - 1) == Some(letter);
            let swapped = at(&before, j.checked_sub(1)).filter(|_| is_swap).map(|errors| errors + 1);
            row.push(replaced.min(added).min(missed).min(swapped.unwrap_or(usize::MAX)));
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

/// Characters of a message, or of a hint.
const LONGEST: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_typing_errors() {
        for (a, b, expected) in
            [("sni", "sni", 0), ("SNI", "sni", 0), ("", "host", 4), ("hsot", "host", 1), ("domain", "domains", 1)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_word_is_offered_only_if_it_is_near() {
        let words = ["servers", "protocol", "sni", "host"];
        for (text, expected) in
            [("server", Some("servers")), ("protcol", Some("protocol")), ("snl", Some("sni")), ("colour", None)]
        {
            assert_eq!(nearest(text, &words), expected, "{text}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), &words), None);
    }

    #[test]
    fn a_problem_reads_as_one_line() {
        let mut problem = Problem {
            file: "millpond.toml".into(),
            line: 12,
            key: "site[1].origin.sni".into(),
            message: "\"10.0.0.1\" is an IP address".into(),
            hint: "write a name".into(),
            is_warning: false,
        };
        assert_eq!(
            problem.to_string(),
            "millpond.toml:12: site[1].origin.sni: \"10.0.0.1\" is an IP address; write a name"
        );
        problem.is_warning = true;
        problem.hint.clear();
        problem.line = 0;
        assert_eq!(problem.to_string(), "millpond.toml: warning: site[1].origin.sni: \"10.0.0.1\" is an IP address");
    }
}
