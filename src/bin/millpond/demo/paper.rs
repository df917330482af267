//! Where the walk is written: plain text on standard output, with bold and dim words if a terminal reads it.

use std::io::{self, IsTerminal, Write};

/// Standard output.
pub struct Paper {
    has_styles: bool,
}

impl Paper {
    /// Styles only for a terminal, and not where `NO_COLOR` is set.
    pub fn new() -> Paper {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Paper { has_styles: io::stdout().is_terminal() && !is_unwanted }
    }

    /// Writes text as it is. A reader that went away does not stop the walk: its result still counts.
    pub fn text(&self, text: &str) {
        let mut out = io::stdout().lock();
        _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Writes one line.
    pub fn line(&self, text: &str) {
        self.text(&format!("{text}\n"));
    }

    /// Words that stand out.
    pub fn bold(&self, words: &str) -> String {
        self.styled("1", words)
    }

    /// Words that stand back.
    pub fn dim(&self, words: &str) -> String {
        self.styled("2", words)
    }

    /// Words of success.
    pub fn green(&self, words: &str) -> String {
        self.styled("32", words)
    }

    /// Words of failure.
    pub fn red(&self, words: &str) -> String {
        self.styled("31", words)
    }

    fn styled(&self, style: &str, words: &str) -> String {
        match self.has_styles {
            true => format!("\x1b[{style}m{words}\x1b[0m"),
            false => words.to_owned(),
        }
    }
}

/// Words in lines of at most [`WIDTH`] characters, the first after `first`, the others after as many blanks.
pub fn wrapped(first: &str, words: &str) -> String {
    let margin = " ".repeat(first.chars().count());
    let mut text = String::new();
    let mut line = first.to_owned();
    let mut is_bare = true;
    for word in words.split(' ') {
        if !is_bare && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text += line.trim_end();
            text.push('\n');
            line.clone_from(&margin);
            is_bare = true;
        }
        if !is_bare {
            line.push(' ');
        }
        line += word;
        is_bare = false;
    }
    text + line.trim_end()
}

/// Columns of wrapped text.
const WIDTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_blanks_and_indented() {
        assert_eq!(wrapped("  x  ", "a b"), "  x  a b");
        let text = wrapped("> ", &"12345678 ".repeat(23));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() <= WIDTH));
        assert!(lines.iter().skip(1).all(|line| line.starts_with("  1")), "{text}");
        assert_eq!(wrapped("- ", &"y".repeat(200)).lines().count(), 1);
    }
}
