//! As written: the reader that walks the TOML of a file along the reference table.
//!
//! The only place that knows TOML. It notes every syntax error, unknown key and wrong type with its line, and hands
//! on sections that hold nothing else than what the reference allows. What the values mean it does not know.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::problem::{Fault, Place, Problems, nearest, quoted, shorten, shown_name};
use super::reference::{Key, Kind, ROOT, Spec};
use super::section::{Content, Item, Located, Origin, Section, Value};

/// Reads a whole file; what is wrong goes to `problems`, what is right into the section.
pub(super) fn read(text: &str, problems: &mut Problems) -> Section {
    let mut reader = Reader { lines: Lines::of(text), problems };
    let whole = Place::nowhere();
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return reader.section(&ROOT, whole, table.get_ref());
    }
    reader.syntax_errors(&errors);
    Section::new(&ROOT, whole, Origin::Unreadable)
}

struct Reader<'p> {
    lines: Lines,
    problems: &'p mut Problems,
}

impl Reader<'_> {
    /// The first error of each line; what follows it on the same line is mostly its echo.
    fn syntax_errors(&mut self, errors: &[toml::de::Error]) {
        let mut seen = Vec::new();
        for error in errors {
            let line = error.span().map_or(0, |span| self.lines.at(&span));
            if seen.contains(&line) || seen.len() == MOST_SYNTAX_ERRORS {
                continue;
            }
            seen.push(line);
            let hint =
                SYNTAX_HINTS.iter().find(|(part, _)| error.message().contains(part)).map_or("", |(_, hint)| hint);
            let fault = Fault::new(format!("this is not TOML: {}", error.message()), hint);
            self.problems.refuse(Place::line(line), fault);
        }
    }

    fn section(&mut self, spec: &'static Spec, place: Place, table: &DeTable<'_>) -> Section {
        let mut section = Section::new(spec, place, Origin::Written);
        for (name, value) in table {
            let line = self.lines.at(&name.span());
            match spec.key(name.get_ref()) {
                Some(key) => {
                    let place = Place { line, key: section.path_of(key.name) };
                    let content = self.content(key, place, value);
                    section.set(key, line, content);
                }
                None => self.unknown(&section, name.get_ref(), line),
            }
        }
        section
    }

    /// What stands behind a key, or `None` after noting why it cannot be read.
    fn content(&mut self, key: &'static Key, place: Place, value: &Spanned<DeValue<'_>>) -> Option<Content> {
        match (key.kind, value.get_ref()) {
            (Kind::Table(spec), DeValue::Table(table)) => {
                let place = Place { line: self.lines.at(&value.span()), ..place };
                Some(Content::Table(self.section(spec, place, table)))
            }
            (Kind::Table(spec), other) => {
                self.problems.refuse(place.clone(), key.kind.mismatch(&describe(other)));
                Some(Content::Table(Section::new(spec, place, Origin::Unreadable)))
            }
            (Kind::Times | Kind::Pairs, DeValue::Table(table)) => Some(Content::Pairs(self.pairs(key, &place, table))),
            (Kind::Statuses, DeValue::Array(array)) => {
                let each = array.iter().enumerate().filter_map(|(index, value)| {
                    let key = format!("{}[{}]", place.key, index + 1);
                    self.status(key, value)
                });
                Some(Content::List(each.collect()))
            }
            (Kind::Statuses, _) => Some(Content::List(self.status(place.key, value).into_iter().collect())),
            (Kind::Tables(_) | Kind::Texts | Kind::TextsOrTables(_) | Kind::TextOrTexts, DeValue::Array(array)) => {
                Some(Content::List(self.items(key, &place, array)))
            }
            (Kind::Numbers(..), DeValue::Array(array)) => Some(Content::List(self.numbers(key, &place, array))),
            (Kind::Numbers(..), DeValue::Integer(number)) => {
                let hint = format!("write {} = [{}]", key.name, shorten(number.as_str()));
                self.problems.refuse(place, Fault::new("this must be a list", hint));
                None
            }
            (Kind::TextOrTexts, DeValue::String(text)) => {
                Some(Content::List(vec![Item::Text(Located { text: text.clone().into_owned(), place })]))
            }
            (Kind::Texts | Kind::TextsOrTables(_), DeValue::String(text)) => {
                let hint = format!("write {} = [{}]", key.name, quoted(text));
                self.problems.refuse(place, Fault::new("this must be a list", hint));
                None
            }
            (kind, value) => self.problems.check(place, read_value(kind, value)).map(Content::Value),
        }
    }

    /// A status, which is a number, or a text such as `5xx`.
    fn status(&mut self, key: String, value: &Spanned<DeValue<'_>>) -> Option<Item> {
        let place = Place { line: self.lines.at(&value.span()), key };
        let text = match value.get_ref() {
            DeValue::String(text) => text.clone().into_owned(),
            DeValue::Integer(integer) => integer.as_str().to_owned(),
            other => {
                self.problems.refuse(place, Kind::Statuses.mismatch(&describe(other)));
                return None;
            }
        };
        Some(Item::Text(Located { text, place }))
    }

    /// The rows of a table whose names the operator chooses.
    fn pairs(&mut self, key: &'static Key, place: &Place, table: &DeTable<'_>) -> Vec<(Located, Value)> {
        let mut pairs = Vec::new();
        for (name, value) in table {
            let path = format!("{}.{}", place.key, shown_name(name.get_ref()));
            let place = Place { line: self.lines.at(&name.span()), key: path };
            let value = match (key.kind, value.get_ref()) {
                (Kind::Times, value) => read_value(Kind::DurationOrOff, value),
                (_, DeValue::String(text)) => Ok(Value::Text(text.clone().into_owned())),
                (_, other) => {
                    Err(Fault::new(format!("this must be a text, not {}", describe(other)), "write it in quotes"))
                }
            };
            if let Some(value) = self.problems.check(place.clone(), value) {
                pairs.push((Located { text: name.get_ref().to_string(), place }, value));
            }
        }
        pairs
    }

    fn items(&mut self, key: &'static Key, place: &Place, array: &DeArray<'_>) -> Vec<Item> {
        let mut items = Vec::new();
        for (index, value) in array.iter().enumerate() {
            let place = Place { line: self.lines.at(&value.span()), key: format!("{}[{}]", place.key, index + 1) };
            match (key.kind, value.get_ref()) {
                (Kind::Tables(spec) | Kind::TextsOrTables(spec), DeValue::Table(table)) => {
                    items.push(Item::Table(self.section(spec, place, table)));
                }
                (Kind::Texts | Kind::TextOrTexts | Kind::TextsOrTables(_), DeValue::String(text)) => {
                    items.push(Item::Text(Located { text: text.clone().into_owned(), place }));
                }
                (kind, other) => {
                    let wanted = match kind {
                        Kind::Tables(_) => "a table",
                        Kind::TextsOrTables(_) => "a text or a table",
                        _ => "a text",
                    };
                    let fault = Fault::new(format!("an item here must be {wanted}, not {}", describe(other)), "");
                    self.problems.refuse(place, fault);
                    items.push(Item::Unreadable);
                }
            }
        }
        items
    }

    fn numbers(&mut self, key: &'static Key, place: &Place, array: &DeArray<'_>) -> Vec<Item> {
        let mut items = Vec::new();
        for (index, value) in array.iter().enumerate() {
            let place = Place { line: self.lines.at(&value.span()), key: format!("{}[{}]", place.key, index + 1) };
            let number = match value.get_ref() {
                DeValue::Integer(_) => read_value(key.kind, value.get_ref()),
                other => Err(Fault::new(format!("an item here must be a number, not {}", describe(other)), "")),
            };
            items.push(match self.problems.check(place, number) {
                Some(Value::Number(number)) => Item::Number(number),
                _ => Item::Unreadable,
            });
        }
        items
    }

    /// Notes a key that the section does not have, and what was probably meant.
    fn unknown(&mut self, section: &Section, name: &str, line: usize) {
        let spec = section.spec();
        let names: Vec<&str> = spec.keys.iter().map(|key| key.name).collect();
        let elsewhere = ROOT.tables().into_iter().find(|other| other.key(name).is_some());
        let hint = if let Some(other) = elsewhere {
            format!("`{name}` belongs in {}", other.header)
        } else if let Some(key) = nearest(name, &names).and_then(|word| spec.key(word)) {
            format!("did you mean {}?", key.title())
        } else {
            format!("known here: {}", names.join(", "))
        };
        let place = Place { line, key: section.path_of(&shown_name(name)) };
        let what = if spec.header.is_empty() { "there is no such section" } else { "there is no such key" };
        self.problems.refuse(place, Fault::new(what, hint));
    }
}

fn read_value(kind: Kind, value: &DeValue<'_>) -> Result<Value, Fault> {
    match value {
        DeValue::String(text) => kind.read_text(text),
        DeValue::Boolean(flag) => kind.read_flag(*flag),
        DeValue::Integer(integer) => match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => kind.read_number(number),
            Err(_) if integer.as_str().starts_with('-') => {
                Err(Fault::new(format!("{} is negative", shorten(integer.as_str())), kind.mismatch("").hint))
            }
            Err(_) => Err(Fault::new(format!("{} is too large", shorten(integer.as_str())), kind.mismatch("").hint)),
        },
        other => Err(kind.mismatch(&describe(other))),
    }
}

/// A value in the words of a message.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text {}", quoted(text)),
        DeValue::Integer(integer) => format!("the number {}", shorten(integer.as_str())),
        DeValue::Float(float) => format!("the number {}", shorten(float.as_str())),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Where each line begins, to tell the line of a byte.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Lines {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index + 1);
        Lines(std::iter::once(0).chain(ends).collect())
    }

    fn at(&self, span: &Range<usize>) -> usize {
        self.0.partition_point(|start| *start <= span.start)
    }
}

/// Beyond these a file is not TOML at all.
const MOST_SYNTAX_ERRORS: usize = 10;
/// What helps with a syntax error, by a part of its message.
const SYNTAX_HINTS: &[(&str, &str)] = &[
    ("must be quoted", "texts stand in double quotes: key = \"value\""),
    ("invalid basic string", "a text ends with the quote that it began with, on the same line"),
    ("key with no value", "write key = value"),
    ("unclosed table", "a section header ends with ], a [[site]] header with ]]"),
    ("duplicate key", "a key or section stands once; each further site begins with a [[site]] of its own"),
];
