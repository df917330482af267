//! Words that were meant, for arguments with typing errors.

/// `did you mean …?`, if one of the words is at most two typing errors away, and fewer than half its letters.
pub(super) fn suggestion(given: &str, words: &[&str], show: impl Fn(&str) -> String) -> Option<String> {
    if given.len() > 32 {
        return None;
    }
    let (errors, word) = words.iter().map(|word| (distance(given, word), word)).min_by_key(|(errors, _)| *errors)?;
    (errors <= 2 && errors * 2 < word.len()).then(|| format!("did you mean {}?", show(word)))
}

/// Letters missed, added or replaced between two words.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (above, other) in row.iter_mut().skip(1).zip(b.chars()) {
            left = (corner + usize::from(letter != other)).min(left + 1).min(*above + 1);
            corner = std::mem::replace(above, left);
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
