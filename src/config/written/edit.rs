//! From the tables of a file to what they should say, with as little change as can be: what is the same is not touched, a
//! value that changes keeps its place and the comment behind it, comments above a key that goes stay.

use toml_edit::{ArrayOfTables, InlineTable, Item, Key as Name, Table};

use super::super::reference::{Key, Spec};
use super::list;
use super::value::{self, Value};

/// Comments whose key or table is gone, to be put before what follows.
#[derive(Default)]
pub(super) struct Loose(Vec<(isize, String)>);

/// What an item of a file says.
pub(super) fn read(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => read_value(value),
        Item::Table(table) => read_table(table.iter()),
        Item::ArrayOfTables(tables) => Value::List(tables.iter().map(|table| read_table(table.iter())).collect()),
    }
}

/// What the keys of a table say.
pub(super) fn read_table<'t>(members: impl Iterator<Item = (&'t str, &'t Item)>) -> Value {
    let members = members.filter(|(_, item)| !item.is_none());
    Value::Table(members.map(|(name, item)| (name.to_owned(), read(item))).collect())
}

/// What a value says.
pub(super) fn read_value(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => Value::Text(text.value().clone()),
        toml_edit::Value::Integer(number) => Value::Number(*number.value()),
        toml_edit::Value::Float(number) => Value::Float(*number.value()),
        toml_edit::Value::Boolean(flag) => Value::Flag(*flag.value()),
        // No setting is a date; it is told as it stands.
        toml_edit::Value::Datetime(date) => Value::Text(date.value().to_string()),
        toml_edit::Value::Array(array) => Value::List(array.iter().map(read_value).collect()),
        toml_edit::Value::InlineTable(table) => {
            Value::Table(table.iter().map(|(name, value)| (name.to_owned(), read_value(value))).collect())
        }
    }
}

/// Makes a table say what is wanted; `spec` tells which of its keys have headers of their own.
pub(super) fn table_becomes(table: &mut Table, wanted: &value::Table, spec: Option<&'static Spec>, loose: &mut Loose) {
    let gone: Vec<String> = table.iter().map(|(name, _)| name.to_owned()).collect();
    for name in gone.iter().filter(|name| !wanted.contains_key(*name)) {
        remove(table, name, loose);
    }
    for (name, value) in ordered(wanted, spec) {
        let key = spec.and_then(|spec| spec.key(name));
        match table.get_mut(name) {
            Some(item) => item_becomes(item, value, key, loose),
            None => insert(table, name, value, key),
        }
    }
}

fn item_becomes(item: &mut Item, wanted: &Value, key: Option<&'static Key>, loose: &mut Loose) {
    if read(item) == *wanted {
        return;
    }
    let spec = key.and_then(|key| key.kind.spec());
    match (&mut *item, wanted) {
        (Item::Table(table), Value::Table(wanted)) => {
            table_becomes(table, wanted, spec, loose);
            // One without a header of its own is seen by its keys alone.
            if wanted.is_empty() && (table.is_dotted() || table.is_implicit()) {
                *item = Item::Value(new_value(&Value::Table(value::Table::new())));
            }
        }
        (Item::ArrayOfTables(tables), Value::List(wanted)) if is_tables(wanted) => {
            tables_become(tables, wanted, spec, loose);
        }
        (Item::Value(value), wanted) => value_becomes(value, wanted),
        (item, wanted) => *item = new_item(wanted, key),
    }
}

/// Makes a value say what is wanted, in its place and with the comment behind it.
pub(super) fn value_becomes(value: &mut toml_edit::Value, wanted: &Value) {
    if read_value(value) == *wanted {
        return;
    }
    match (&mut *value, wanted) {
        (toml_edit::Value::InlineTable(table), Value::Table(wanted)) => inline_becomes(table, wanted),
        (toml_edit::Value::Array(array), Value::List(wanted)) => list::becomes(array, wanted),
        (value, wanted) => {
            let decor = value.decor().clone();
            *value = new_value(wanted);
            *value.decor_mut() = decor;
        }
    }
}

fn inline_becomes(table: &mut InlineTable, wanted: &value::Table) {
    let gone: Vec<String> = table.iter().map(|(name, _)| name.to_owned()).collect();
    for name in gone.iter().filter(|name| !wanted.contains_key(*name)) {
        table.remove(name);
    }
    for (name, value) in wanted {
        match table.get_mut(name) {
            Some(now) => value_becomes(now, value),
            None => _ = table.insert(name, new_value(value)),
        }
    }
    if wanted.is_empty() {
        table.set_dotted(false);
    }
    // On one line its spaces are made anew; over several lines they are the operator's.
    let mut bare = table.clone();
    bare.decor_mut().clear();
    if !bare.to_string().contains('\n') {
        table.fmt();
    }
}

/// Makes a list of headed tables say what is wanted: those at both ends that stay are not touched.
fn tables_become(tables: &mut ArrayOfTables, wanted: &[Value], spec: Option<&'static Spec>, loose: &mut Loose) {
    let now: Vec<Value> = tables.iter().map(|table| read_table(table.iter())).collect();
    let place = list::Changed::between(&now, wanted);
    for (index, value) in place.replaced().zip(wanted.get(place.replaced()).unwrap_or_default()) {
        if let (Some(table), Value::Table(value)) = (tables.get_mut(index), value) {
            table_becomes(table, value, spec, loose);
        }
    }
    for index in place.removed().rev() {
        loose.above(&tables.remove(index));
    }
    for (index, value) in place.inserted().zip(wanted.get(place.inserted()).unwrap_or_default()) {
        let Value::Table(value) = value else { continue };
        let mut table = new_table(value, spec);
        // Behind all of the table before it, whatever the order in which that one's parts stand.
        let before = index.checked_sub(1).and_then(|before| tables.get(before));
        table.set_position(before.and_then(last_position));
        if index <= tables.len() {
            tables.insert(index, table);
        }
    }
}

fn insert(table: &mut Table, name: &str, value: &Value, key: Option<&'static Key>) {
    let indent = table.get_values().last().and_then(|(path, _)| indent(path.last()?)).filter(|it| !it.is_empty());
    // Below a dotted key a header would open the table a second time.
    let item = if table.is_dotted() { Item::Value(new_value(value)) } else { new_item(value, key) };
    let is_line = item.is_value();
    table.insert(name, item);
    if let (true, Some(indent), Some(mut key)) = (is_line, indent, table.key_mut(name)) {
        key.leaf_decor_mut().set_prefix(indent);
    }
}

/// The white space before a key on its line.
fn indent(key: &Name) -> Option<String> {
    let prefix = key.leaf_decor().prefix()?.as_str()?;
    let (_, last) = prefix.rsplit_once('\n').unwrap_or(("", prefix));
    Some(last.to_owned())
}

fn remove(table: &mut Table, name: &str, loose: &mut Loose) {
    let position = table.position();
    let next = table.iter().skip_while(|(other, _)| *other != name).skip(1).find(|(_, item)| item.is_value());
    let next = next.map(|(name, _)| name.to_owned());
    let Some((key, item)) = table.remove_entry(name) else { return };
    match item {
        Item::Table(table) if !table.is_dotted() => loose.above(&table),
        Item::ArrayOfTables(tables) => tables.iter().for_each(|table| loose.above(table)),
        _ => {
            let words = comments(key.leaf_decor().prefix().and_then(|prefix| prefix.as_str()));
            match next.as_deref().and_then(|next| table.key_mut(next)) {
                Some(mut next) => {
                    let prefix = next.leaf_decor().prefix().and_then(|it| it.as_str()).unwrap_or_default().to_owned();
                    next.leaf_decor_mut().set_prefix(words + &prefix);
                }
                None => loose.0.push((position.unwrap_or_default(), words)),
            }
        }
    }
}

/// Whole lines of comments before something, if there are some.
fn comments(prefix: Option<&str>) -> String {
    let lines = prefix.unwrap_or_default().rsplit_once('\n').map_or("", |(lines, _)| lines);
    if lines.contains('#') { format!("{lines}\n") } else { String::new() }
}

impl Loose {
    /// Of what stands above a table that is gone, all but the words directly above its header: those were about it.
    fn above(&mut self, table: &Table) {
        let prefix = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
        let mut lines: Vec<&str> = prefix.split_inclusive('\n').collect();
        while lines.pop_if(|line| !line.trim().is_empty()).is_some() {}
        self.0.push((table.position().unwrap_or_default(), comments(Some(&lines.concat()))));
    }

    /// Puts the comments before the tables that follow; what nothing follows is the end of the file, and comes back.
    pub fn settle(self, root: &mut Table) -> String {
        let mut end = String::new();
        for (position, words) in self.0.into_iter().rev().filter(|(_, words)| !words.is_empty()) {
            let mut positions = Vec::new();
            positions_in(root, &mut positions);
            let next = positions.into_iter().filter(|other| *other > position).min();
            match next.and_then(|next| at_position(root, next)) {
                Some(table) => {
                    let prefix = table.decor().prefix().and_then(|it| it.as_str()).unwrap_or_default().to_owned();
                    table.decor_mut().set_prefix(words + &prefix);
                }
                None => end = words + &end,
            }
        }
        end
    }
}

/// The place of the last header of a table and all below it, in the order of the file.
pub(super) fn last_position(table: &Table) -> Option<isize> {
    let mut positions = Vec::new();
    positions_in(table, &mut positions);
    positions.into_iter().max()
}

/// The places of all headers that are to be seen.
fn positions_in(table: &Table, found: &mut Vec<isize>) {
    found.extend(table.position().filter(|_| !table.is_implicit() && !table.is_dotted()));
    for (_, item) in table.iter() {
        match item {
            Item::Table(table) => positions_in(table, found),
            Item::ArrayOfTables(tables) => tables.iter().for_each(|table| positions_in(table, found)),
            _ => {}
        }
    }
}

fn at_position(table: &mut Table, position: isize) -> Option<&mut Table> {
    if table.position() == Some(position) && !table.is_implicit() && !table.is_dotted() {
        return Some(table);
    }
    table.iter_mut().find_map(|(_, item)| match item {
        Item::Table(table) => at_position(table, position),
        Item::ArrayOfTables(tables) => tables.iter_mut().find_map(|table| at_position(table, position)),
        _ => None,
    })
}

/// The members in the order of the reference; those it does not know come last.
fn ordered<'v>(members: &'v value::Table, spec: Option<&'static Spec>) -> Vec<(&'v str, &'v Value)> {
    let mut members: Vec<(&str, &Value)> = members.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let rank = |name: &str| spec.and_then(|spec| spec.keys.iter().position(|key| key.name == name));
    members.sort_by_key(|(name, _)| rank(name).unwrap_or(usize::MAX));
    members
}

fn is_tables(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(Value::is_table)
}

fn new_item(value: &Value, key: Option<&'static Key>) -> Item {
    let Some(spec) = key.filter(|key| key.is_headed()).and_then(|key| key.kind.spec()) else {
        return Item::Value(new_value(value));
    };
    match value {
        Value::Table(members) => Item::Table(new_table(members, Some(spec))),
        Value::List(items) if is_tables(items) => {
            let tables = items.iter().filter_map(|item| match item {
                Value::Table(members) => Some(new_table(members, Some(spec))),
                _ => None,
            });
            Item::ArrayOfTables(tables.collect())
        }
        other => Item::Value(new_value(other)),
    }
}

fn new_table(members: &value::Table, spec: Option<&'static Spec>) -> Table {
    let mut table = Table::new();
    for (name, value) in ordered(members, spec) {
        insert(&mut table, name, value, spec.and_then(|spec| spec.key(name)));
    }
    table
}

/// A value as it would be written on one line. There is no null in it.
pub(super) fn new_value(value: &Value) -> toml_edit::Value {
    match value {
        Value::Null => toml_edit::Value::from(""),
        Value::Flag(flag) => toml_edit::Value::from(*flag),
        Value::Number(number) => toml_edit::Value::from(*number),
        Value::Float(number) => toml_edit::Value::from(*number),
        Value::Text(text) => new_text(text),
        Value::List(items) => toml_edit::Value::Array(items.iter().map(new_value).collect()),
        Value::Table(members) => {
            let members = members.iter().map(|(name, value)| (name.as_str(), new_value(value)));
            toml_edit::Value::InlineTable(members.collect())
        }
    }
}

/// A text, always on one line: those over several lines are other texts where lines end otherwise.
fn new_text(text: &str) -> toml_edit::Value {
    if !text.contains(['\n', '\r']) {
        return toml_edit::Value::from(text);
    }
    let escaped: String = text.chars().map(escaped).collect();
    format!("\"{escaped}\"").parse().unwrap_or_else(|_| toml_edit::Value::from(text))
}

fn escaped(c: char) -> String {
    match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    }
}
