//! What holds for a site: its own settings, and the defaults of the reference for all others.

use super::super::reference::{Fallback, Key, Kind, Spec};
use super::value::{Table, Value};

/// The settings with a value, or null, for every key of the reference. A table that is absent is null where it has keys
/// without which it is not whole.
pub(super) fn filled(written: &Value, spec: &'static Spec) -> Value {
    let Value::Table(written) = written else { return written.clone() };
    let known = spec.keys.iter().map(|key| (key.name.to_owned(), value(written.get(key.name), key)));
    let mut table: Table = known.collect();
    // What the reference does not know is told too; the file is refused for it elsewhere.
    for (name, value) in written {
        table.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Value::Table(table)
}

fn value(written: Option<&Value>, key: &'static Key) -> Value {
    match (written, key.kind) {
        (Some(written), Kind::Table(spec)) => filled(written, spec),
        (Some(Value::List(items)), Kind::Tables(spec) | Kind::TextsOrTables(spec)) => {
            Value::List(items.iter().map(|item| filled(item, spec)).collect())
        }
        (Some(written), _) => written.clone(),
        (None, Kind::Table(spec)) if !spec.keys.iter().any(Key::is_required) => {
            filled(&Value::Table(Table::new()), spec)
        }
        (None, kind) => default(key, kind),
    }
}

fn default(key: &Key, kind: Kind) -> Value {
    let Fallback::Value(text) = key.fallback else { return Value::Null };
    match kind {
        Kind::Flag => Value::Flag(text == "true"),
        Kind::Number(..) => text.parse().map_or(Value::Null, Value::Number),
        _ => Value::Text(text.to_owned()),
    }
}
