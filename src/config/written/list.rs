//! Lists in brackets: their items change one by one, so that those over several lines keep their comments.

use std::ops::Range;

use toml_edit::{Array, RawString};

use super::edit::{new_value, read_value, value_becomes};
use super::value::Value;

/// Which items of a list differ from those that are wanted.
pub(super) struct Changed {
    start: usize,
    now: usize,
    wanted: usize,
}

impl Changed {
    /// Those at both ends that are the same stay.
    pub fn between(now: &[Value], wanted: &[Value]) -> Changed {
        let start = now.iter().zip(wanted).take_while(|(a, b)| a == b).count();
        let most = now.len().min(wanted.len()) - start;
        let end = now.iter().rev().zip(wanted.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
        Changed { start, now: now.len() - end, wanted: wanted.len() - end }
    }

    /// Items that take the place of others.
    pub fn replaced(&self) -> Range<usize> {
        self.start..self.now.min(self.wanted)
    }

    /// Items that are to go.
    pub fn removed(&self) -> Range<usize> {
        self.wanted.min(self.now)..self.now
    }

    /// Items that come, by their place in what is wanted.
    pub fn inserted(&self) -> Range<usize> {
        self.now.min(self.wanted)..self.wanted
    }
}

/// Makes a list say what is wanted.
pub(super) fn becomes(array: &mut Array, wanted: &[Value]) {
    let now: Vec<Value> = array.iter().map(read_value).collect();
    let place = Changed::between(&now, wanted);
    let mut bare = array.clone();
    bare.decor_mut().clear();
    let is_long = bare.to_string().contains('\n');
    for (index, value) in place.replaced().zip(wanted.get(place.replaced()).unwrap_or_default()) {
        if let Some(item) = array.get_mut(index) {
            value_becomes(item, value);
        }
    }
    for index in place.removed().rev() {
        remove(array, index, is_long);
    }
    for (index, value) in place.inserted().zip(wanted.get(place.inserted()).unwrap_or_default()) {
        insert(array, index, new_value(value), is_long);
    }
    if !is_long {
        array.fmt();
    }
}

/// Takes an item out. What stands behind an item on its line stands before the next one in the tree, or at the end.
fn remove(array: &mut Array, index: usize, is_long: bool) {
    if !is_long {
        array.remove(index);
        return;
    }
    close(array);
    let before = prefix(array, index);
    let gap = gap(array, index + 1);
    array.remove(index);
    set_gap(array, index, format!("{}{}", rest_of_line(&before), lines_below(&gap)));
}

fn insert(array: &mut Array, index: usize, value: toml_edit::Value, is_long: bool) {
    if index > array.len() {
        return;
    }
    if !is_long {
        array.insert(index, value);
        return;
    }
    close(array);
    let indent = (0..array.len()).map(|index| prefix(array, index)).find_map(|prefix| {
        let (_, indent) = prefix.rsplit_once('\n')?;
        Some(indent.to_owned())
    });
    let gap = gap(array, index);
    array.insert_formatted(index, value);
    if let Some(value) = array.get_mut(index) {
        let indent = indent.as_deref().unwrap_or("    ");
        *value.decor_mut() = toml_edit::Decor::new(format!("{}\n{indent}", rest_of_line(&gap)), "");
    }
    set_gap(array, index + 1, lines_below(&gap).to_owned());
}

/// Ends the last item with a comma, so that what follows it belongs to the list.
fn close(array: &mut Array) {
    let Some(last) = array.len().checked_sub(1).filter(|_| !array.trailing_comma()) else { return };
    let trailing = text(Some(array.trailing())).to_owned();
    if let Some(value) = array.get_mut(last) {
        let suffix = text(value.decor().suffix()).to_owned();
        value.decor_mut().set_suffix("");
        array.set_trailing(suffix + &trailing);
    }
    array.set_trailing_comma(true);
}

/// What stands before an item, or before the closing bracket.
fn gap(array: &Array, index: usize) -> String {
    if index < array.len() { prefix(array, index) } else { text(Some(array.trailing())).to_owned() }
}

fn set_gap(array: &mut Array, index: usize, gap: String) {
    match array.get_mut(index) {
        Some(value) => value.decor_mut().set_prefix(gap),
        None => array.set_trailing(gap),
    }
}

fn prefix(array: &Array, index: usize) -> String {
    array.get(index).map(|value| text(value.decor().prefix()).to_owned()).unwrap_or_default()
}

fn text(raw: Option<&RawString>) -> &str {
    raw.and_then(RawString::as_str).unwrap_or_default()
}

fn rest_of_line(gap: &str) -> &str {
    gap.split_once('\n').map_or(gap.trim_end(), |(line, _)| line)
}

fn lines_below(gap: &str) -> &str {
    gap.find('\n').and_then(|end| gap.get(end..)).unwrap_or_default()
}
