//! Which key of a site stands in which line.

use std::collections::BTreeMap;

use toml_edit::{Document, Item, Table, Value};

/// Where each line of a text but the first begins.
pub(super) fn starts(text: &str) -> Vec<usize> {
    text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1).collect()
}

/// The line of each key of a site, from 1, by its path below the site; `starts` are those of the document's text.
pub(super) fn of_site(document: &Document<String>, starts: &[usize], site: usize) -> BTreeMap<String, usize> {
    let mut places = Places { starts, found: BTreeMap::new() };
    match document.as_table().get("site") {
        Some(Item::ArrayOfTables(sites)) => {
            if let Some(site) = sites.get(site) {
                places.table("", site);
            }
        }
        Some(Item::Value(Value::Array(sites))) => {
            if let Some(site) = sites.get(site) {
                places.value("", site);
            }
        }
        _ => {}
    }
    places.found
}

struct Places<'s> {
    starts: &'s [usize],
    found: BTreeMap<String, usize>,
}

impl Places<'_> {
    fn note(&mut self, path: &str, span: Option<std::ops::Range<usize>>) {
        if let Some(span) = span {
            let line = self.starts.partition_point(|start| *start <= span.start) + 1;
            self.found.insert(path.to_owned(), line);
        }
    }

    fn table(&mut self, path: &str, table: &Table) {
        for (name, item) in table.iter() {
            let path = below(path, name);
            self.note(&path, table.key(name).and_then(|key| key.span()).or_else(|| item.span()));
            match item {
                Item::Table(table) => {
                    // The header counts, and not the first mention of the name in another one.
                    self.note(&path, table.span().filter(|_| !table.is_implicit()));
                    self.table(&path, table);
                }
                Item::ArrayOfTables(tables) => tables.iter().enumerate().for_each(|(index, table)| {
                    let path = format!("{path}[{}]", index + 1);
                    self.note(&path, table.span());
                    self.table(&path, table);
                }),
                Item::Value(value) => self.value(&path, value),
                Item::None => {}
            }
        }
    }

    fn value(&mut self, path: &str, value: &Value) {
        match value {
            Value::InlineTable(table) => table.iter().for_each(|(name, value)| {
                let path = below(path, name);
                self.note(&path, table.key(name).and_then(|key| key.span()).or_else(|| value.span()));
                self.value(&path, value);
            }),
            Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| {
                let path = format!("{path}[{}]", index + 1);
                self.note(&path, value.span());
                self.value(&path, value);
            }),
            _ => {}
        }
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
