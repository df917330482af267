//! What is different between two texts, line by line: a longest common subsequence, bounded in work.

/// How one line came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In both.
    Same,
    /// In the new one alone.
    Added,
    /// In the old one alone.
    Removed,
}

/// One line of a difference, as a unified diff has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffLine {
    /// How it came out.
    pub kind: Kind,
    /// Its number from 1: in the old text where it is removed, in the new one otherwise.
    pub line: usize,
    /// The line without its end.
    pub text: String,
}

/// One step from the old lines to the new ones: the indices are those of the next line of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub kind: Kind,
    pub old: usize,
    pub new: usize,
}

/// The lines that differ, each change with up to three lines of what is around it. Where more than some thousand lines
/// differ, the rest is left out.
pub fn unified(old: &str, new: &str) -> Vec<DiffLine> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let steps = steps(&old, &new);
    let changes: Vec<usize> =
        steps.iter().enumerate().filter(|(_, step)| step.kind != Kind::Same).map(|(index, _)| index).collect();
    let is_near = |index: usize| {
        let next = changes.partition_point(|change| *change < index.saturating_sub(CONTEXT));
        changes.get(next).is_some_and(|change| *change <= index.saturating_add(CONTEXT))
    };
    let near = steps.iter().enumerate().filter(|(index, _)| is_near(*index)).take(MOST_LINES);
    let shown = near.map(|(_, step)| {
        let (lines, index) = if step.kind == Kind::Removed { (&old, step.old) } else { (&new, step.new) };
        DiffLine { kind: step.kind, line: index + 1, text: lines.get(index).copied().unwrap_or_default().to_owned() }
    });
    shown.collect()
}

/// The steps from `old` to `new`; removals come before additions.
pub(super) fn steps<T: PartialEq>(old: &[T], new: &[T]) -> Vec<Step> {
    let before = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - before;
    let after = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let mut walk = Walk::default();
    walk.go(Kind::Same, before);
    let middle = |lines: usize| before..lines - after;
    let (a, b) = (old.get(middle(old.len())).unwrap_or_default(), new.get(middle(new.len())).unwrap_or_default());
    walk.middle(a, b);
    walk.go(Kind::Same, after);
    walk.steps
}

#[derive(Default)]
struct Walk {
    steps: Vec<Step>,
    old: usize,
    new: usize,
}

impl Walk {
    fn go(&mut self, kind: Kind, count: usize) {
        for _ in 0..count {
            self.steps.push(Step { kind, old: self.old, new: self.new });
            self.old += usize::from(kind != Kind::Added);
            self.new += usize::from(kind != Kind::Removed);
        }
    }

    /// Lines whose first and last differ.
    fn middle<T: PartialEq>(&mut self, old: &[T], new: &[T]) {
        // Where one side has no line at all there is nothing to compare, however long the other one is.
        if old.is_empty() || new.is_empty() || old.len().saturating_mul(new.len()) > MOST_CELLS {
            self.go(Kind::Removed, old.len());
            return self.go(Kind::Added, new.len());
        }
        let common = common_lengths(old, new);
        let length = |i: usize, j: usize| common.get(i * (new.len() + 1) + j).copied().unwrap_or(0);
        let (mut i, mut j) = (0, 0);
        while let (Some(a), Some(b)) = (old.get(i), new.get(j)) {
            let kind = match a == b {
                true => Kind::Same,
                false if length(i + 1, j) >= length(i, j + 1) => Kind::Removed,
                false => Kind::Added,
            };
            self.go(kind, 1);
            i += usize::from(kind != Kind::Added);
            j += usize::from(kind != Kind::Removed);
        }
        self.go(Kind::Removed, old.len() - i);
        self.go(Kind::Added, new.len() - j);
    }
}

/// How many lines `old[i..]` and `new[j..]` have in common, row by row.
fn common_lengths<T: PartialEq>(old: &[T], new: &[T]) -> Vec<u32> {
    let width = new.len() + 1;
    let mut below = vec![0u32; width];
    let mut rows = vec![below.clone()];
    for a in old.iter().rev() {
        let mut row = vec![0u32; width];
        for (j, b) in new.iter().enumerate().rev() {
            let at = |row: &[u32], j: usize| row.get(j).copied().unwrap_or(0);
            let length = if a == b { at(&below, j + 1) + 1 } else { at(&below, j).max(at(&row, j + 1)) };
            if let Some(cell) = row.get_mut(j) {
                *cell = length;
            }
        }
        below.clone_from(&row);
        rows.push(row);
    }
    rows.into_iter().rev().flatten().collect()
}

/// Lines shown around a change.
const CONTEXT: usize = 3;
/// Lines of a difference.
const MOST_LINES: usize = 4_000;
/// Pairs of lines that are compared; beyond it all between the first and the last difference counts as changed.
const MOST_CELLS: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(old: &str, new: &str) -> String {
        let sign = |kind| match kind {
            Kind::Same => ' ',
            Kind::Added => '+',
            Kind::Removed => '-',
        };
        unified(old, new).iter().map(|it| format!("{}{} {}\n", sign(it.kind), it.line, it.text)).collect()
    }

    #[test]
    fn a_change_is_shown_with_three_lines_around_it() {
        let old: String = (1..=20).map(|n| format!("line {n}\n")).collect();
        let new = old.replace("line 5\n", "five\n").replace("line 15\n", "");
        let expected = " 2 line 2\n 3 line 3\n 4 line 4\n-5 line 5\n+5 five\n 6 line 6\n 7 line 7\n 8 line 8\n 12 line \
                        12\n 13 line 13\n 14 line 14\n-15 line 15\n 15 line 16\n 16 line 17\n 17 line 18\n";
        assert_eq!(shown(&old, &new), expected);
    }

    #[test]
    fn texts_that_have_little_in_common() {
        for (old, new, expected) in [
            ("", "", ""),
            ("a\n", "a\n", ""),
            ("", "a\nb\n", "+1 a\n+2 b\n"),
            ("a\nb\n", "", "-1 a\n-2 b\n"),
            ("a\nb\nc\n", "c\na\n", "-1 a\n-2 b\n 1 c\n+2 a\n"),
            ("a\nx\nb\n", "a\ny\nx\nb\n", " 1 a\n+2 y\n 3 x\n 4 b\n"),
        ] {
            assert_eq!(shown(old, new), expected, "{old:?} {new:?}");
        }
    }

    #[test]
    fn the_work_is_bounded_and_nothing_is_lost() {
        let old: Vec<usize> = (0..3_000).collect();
        let new: Vec<usize> = (0..3_000).map(|n| if n == 0 || n == 2_999 { n } else { n + 10_000 }).collect();
        let steps = steps(&old, &new);
        let count = |kind| steps.iter().filter(|step| step.kind == kind).count();
        assert_eq!((count(Kind::Same), count(Kind::Removed), count(Kind::Added)), (2, 2_998, 2_998));
    }
}
