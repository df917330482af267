//! Lines that an edit did not touch, byte for byte as they were.
//!
//! A document that is written out anew has plain line feeds, no byte order mark, a line feed at its end and no blanks within
//! headers. Where the operator's text has it otherwise, its own lines are taken for all that stayed.

use super::difference::{Kind, steps};

/// The text `old`, changed as `base` (the same, written out) was changed to become `edited`.
pub(super) fn carried(old: &str, base: &str, edited: &str) -> String {
    if old == base {
        return edited.to_owned();
    }
    let body = old.strip_prefix(MARK).unwrap_or(old);
    let (own, base, edited): (Vec<&str>, Vec<&str>, Vec<&str>) = (lines(body), lines(base), lines(edited));
    if own.len() != base.len() {
        return edited.concat();
    }
    let end = if own.first().is_some_and(|line| line.ends_with("\r\n")) { "\r\n" } else { "\n" };
    let mut text = String::with_capacity(old.len());
    text.push_str(if body.len() < old.len() { MARK } else { "" });
    for step in steps(&base, &edited) {
        let is_open = !text.is_empty() && !text.ends_with(['\n', '\u{feff}']);
        match step.kind {
            Kind::Removed => continue,
            _ if is_open => text.push_str(end),
            _ => {}
        }
        match step.kind {
            Kind::Added => {
                text.push_str(edited.get(step.new).map_or("", |line| bare(line)));
                text.push_str(end);
            }
            _ => text.push_str(own.get(step.old).copied().unwrap_or_default()),
        }
    }
    text
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn bare(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

const MARK: &str = "\u{feff}";
