//! One table of the file as written: every value already of the kind that the reference demands, each with its line.
//!
//! Absent keys answer with their defaults, absent tables with empty ones, so whoever builds the valid configuration
//! asks for what it needs and never whether it is there. Knows neither TOML nor what a value is used for.

use std::collections::HashMap;
use std::time::Duration;

use super::problem::{Fault, Place, Problems};
use super::reference::{Fallback, Key, Kind, Spec};
use super::units::Share;

/// One table as written.
pub(super) struct Section {
    spec: &'static Spec,
    place: Place,
    origin: Origin,
    entries: Vec<Entry>,
}

/// Where a table comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The file has it.
    Written,
    /// The file leaves it out.
    Absent,
    /// Something else stands in its place; the problem is already noted.
    Unreadable,
}

/// One key as written.
struct Entry {
    key: &'static Key,
    line: usize,
    /// `None`: it could not be read; the problem is already noted.
    content: Option<Content>,
}

/// What stands behind a key.
pub(super) enum Content {
    /// One value.
    Value(Value),
    /// One table.
    Table(Section),
    /// A list of texts, tables or both.
    List(Vec<Item>),
}

/// A value of the kind that its key demands.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// `true` or `false`
    Flag(bool),
    /// A number, or a size in bytes.
    Number(u64),
    /// A duration.
    Time(Duration),
    /// A share or a size.
    Share(Share),
    /// A text, path or choice.
    Text(String),
}

/// One item of a list.
pub(super) enum Item {
    /// A text.
    Text(Located),
    /// A table.
    Table(Section),
    /// A number.
    Number(u64),
    /// A name of the operator's own and its text.
    Pair(String, Located),
    /// Something else; the problem is already noted.
    Unreadable,
}

/// A text from a list, with its place.
pub(super) struct Located {
    /// The text as written.
    pub text: String,
    /// Where.
    pub place: Place,
}

impl Section {
    /// A table without a key so far; the tables that belong below it are there, and empty.
    pub fn new(spec: &'static Spec, place: Place, origin: Origin) -> Section {
        let below = if origin == Origin::Unreadable { origin } else { Origin::Absent };
        let mut section = Section { spec, place, origin, entries: Vec::new() };
        for key in spec.keys {
            if let Kind::Table(spec) = key.kind {
                let place = Place { line: section.place.line, key: section.path_of(key.name) };
                let content = Content::Table(Section::new(spec, place, below));
                section.set(key, section.place.line, Some(content));
            }
        }
        section
    }

    /// Puts what the file says behind a key.
    pub fn set(&mut self, key: &'static Key, line: usize, content: Option<Content>) {
        self.entries.retain(|entry| entry.key.name != key.name);
        self.entries.push(Entry { key, line, content });
    }

    /// The table that the reference describes.
    pub fn spec(&self) -> &'static Spec {
        self.spec
    }

    /// Where the table begins.
    pub fn here(&self) -> Place {
        self.place.clone()
    }

    /// Where a key stands; the table's own line if it is absent.
    pub fn place(&self, name: &str) -> Place {
        Place { line: self.entry(name).map_or(self.place.line, |entry| entry.line), key: self.path_of(name) }
    }

    /// The whole path of a key: `site[1].origin.sni`.
    pub fn path_of(&self, name: &str) -> String {
        if self.place.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place.key) }
    }

    /// Adds the line of every key that the file has, here and below.
    pub fn gather_lines(&self, lines: &mut HashMap<String, usize>) {
        for entry in &self.entries {
            lines.insert(self.path_of(entry.key.name), entry.line);
            match &entry.content {
                Some(Content::Table(table)) => table.gather_lines(lines),
                Some(Content::List(items)) => items.iter().for_each(|item| {
                    if let Item::Table(table) = item {
                        table.gather_lines(lines);
                    }
                }),
                _ => {}
            }
        }
    }

    /// The file has this table.
    pub fn is_written(&self) -> bool {
        self.origin == Origin::Written
    }

    /// The file has this key, whether or not its value could be read.
    pub fn has(&self, name: &str) -> bool {
        self.origin == Origin::Unreadable || self.entry(name).is_some()
    }

    /// Refuses the table if the key is absent.
    pub fn require(&self, name: &str, problems: &mut Problems) {
        if self.has(name) {
            return;
        }
        let key = self.key(name);
        let why = match key.fallback {
            Fallback::Required(why) => format!("`{name}` is missing: {why}"),
            _ => format!("`{name}` is missing"),
        };
        problems.refuse(self.here(), Fault::new(why, format!("add {name} = {}", key.example)));
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &str) -> bool {
        match self.value(name) {
            Some(Value::Flag(flag)) => flag,
            _ => unreachable!("`{name}` is a flag with a default in the reference"),
        }
    }

    /// A number or a size.
    pub fn number(&self, name: &str) -> u64 {
        self.number_if_any(name).unwrap_or_else(|| unreachable!("`{name}` is a number with a default in the reference"))
    }

    /// A number or a size that may be absent.
    pub fn number_if_any(&self, name: &str) -> Option<u64> {
        match self.value(name)? {
            Value::Number(number) => Some(number),
            _ => unreachable!("`{name}` is a number in the reference"),
        }
    }

    /// A number or a size of things in memory.
    pub fn count(&self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(usize::MAX)
    }

    /// A duration.
    pub fn time(&self, name: &str) -> Duration {
        match self.value(name) {
            Some(Value::Time(time)) => time,
            _ => unreachable!("`{name}` is a duration with a default in the reference"),
        }
    }

    /// A share or a size.
    pub fn share(&self, name: &str) -> Share {
        match self.value(name) {
            Some(Value::Share(share)) => share,
            _ => unreachable!("`{name}` is a share with a default in the reference"),
        }
    }

    /// A text, path or choice, its default where it has one.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::Text(text) => Some(text),
            _ => unreachable!("`{name}` is a text in the reference"),
        }
    }

    /// The table behind a key; an empty one if the file has none.
    pub fn table(&self, name: &str) -> &Section {
        match self.entry(name).and_then(|entry| entry.content.as_ref()) {
            Some(Content::Table(section)) => section,
            _ => unreachable!("`{name}` is a table in the reference"),
        }
    }

    /// The items of a list, none if it is absent.
    pub fn items(&self, name: &str) -> &[Item] {
        match self.entry(name).and_then(|entry| entry.content.as_ref()) {
            Some(Content::List(items)) => items,
            _ => &[],
        }
    }

    /// The key is there with a list that has no item.
    pub fn is_empty_list(&self, name: &str) -> bool {
        let content = self.entry(name).and_then(|entry| entry.content.as_ref());
        matches!(content, Some(Content::List(items)) if items.is_empty())
    }

    /// The texts of a list, none if it is absent.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &Located> {
        self.items(name).iter().filter_map(|item| match item {
            Item::Text(located) => Some(located),
            Item::Table(_) | Item::Number(_) | Item::Pair(..) | Item::Unreadable => None,
        })
    }

    /// The names and texts of a table whose keys are the operator's own, none if it is absent.
    pub fn pairs(&self, name: &str) -> impl Iterator<Item = (&str, &Located)> {
        self.items(name).iter().filter_map(|item| match item {
            Item::Pair(name, located) => Some((name.as_str(), located)),
            Item::Text(_) | Item::Table(_) | Item::Number(_) | Item::Unreadable => None,
        })
    }

    /// The tables of a list, none if it is absent.
    pub fn tables(&self, name: &str) -> impl Iterator<Item = &Section> {
        self.items(name).iter().filter_map(|item| match item {
            Item::Table(section) => Some(section),
            Item::Text(_) | Item::Number(_) | Item::Pair(..) | Item::Unreadable => None,
        })
    }

    /// The numbers of a list; `None` if it is absent.
    pub fn numbers_if_any<T: TryFrom<u64>>(&self, name: &str) -> Option<Vec<T>> {
        let number = |item: &Item| match item {
            Item::Number(number) => T::try_from(*number).ok(),
            Item::Text(_) | Item::Table(_) | Item::Pair(..) | Item::Unreadable => None,
        };
        self.entry(name).map(|_| self.items(name).iter().filter_map(number).collect())
    }

    /// What is written, else the default.
    fn value(&self, name: &str) -> Option<Value> {
        match self.entry(name).and_then(|entry| entry.content.as_ref()) {
            Some(Content::Value(value)) => Some(value.clone()),
            _ => self.key(name).default(),
        }
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.name == name)
    }

    fn key(&self, name: &str) -> &'static Key {
        self.spec.key(name).unwrap_or_else(|| unreachable!("`{name}` is in the reference"))
    }
}
