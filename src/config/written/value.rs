//! Settings as a tree of plain values, as JSON and TOML both have them. Knows neither notation, nor what a setting means.

use std::collections::BTreeMap;

/// One setting, or a tree of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value: in a patch, the key is to go.
    Null,
    /// `true` or `false`
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// Any other number; no setting takes one.
    Float(f64),
    /// A text.
    Text(String),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name.
    Table(Table),
}

/// Values by name.
pub type Table = BTreeMap<String, Value>;

impl Value {
    /// What this becomes by a merge patch (RFC 7396 §2): tables are merged key by key, null takes a key out, everything
    /// else takes the place of what was there.
    pub fn merged(&self, patch: &Value) -> Value {
        let Value::Table(patch) = patch else { return patch.clone() };
        let mut table = match self {
            Value::Table(table) => table.clone(),
            _ => Table::new(),
        };
        for (name, change) in patch {
            match change {
                Value::Null => _ = table.remove(name),
                change => {
                    let merged = table.get(name).unwrap_or(&Value::Null).merged(change);
                    table.insert(name.clone(), merged);
                }
            }
        }
        Value::Table(table)
    }

    /// The value behind the key of a table.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Table(table) => table.get(name),
            _ => None,
        }
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Value] {
        match self {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// It is a table.
    pub fn is_table(&self) -> bool {
        matches!(self, Value::Table(_))
    }

    /// There is a null in it, which TOML has no word for.
    pub fn has_null(&self) -> bool {
        match self {
            Value::Null => true,
            Value::List(items) => items.iter().any(Value::has_null),
            Value::Table(table) => table.values().any(Value::has_null),
            _ => false,
        }
    }

    /// Puts a value at a path, and tables on the way to it where there is nothing yet; a table is merged with one that is
    /// there. `false`: something else stands in the way, and nothing is changed.
    pub fn set(&mut self, path: &[Step], value: Value) -> bool {
        let Some((first, rest)) = path.split_first() else {
            *self = if self.is_table() && value.is_table() { self.merged(&value) } else { value };
            return true;
        };
        match (first, self) {
            (Step::Key(name), Value::Table(table)) => {
                let Some(below) = table.get_mut(name) else {
                    let mut below = if rest.is_empty() { Value::Null } else { Value::Table(Table::new()) };
                    return below.set(rest, value) && table.insert(name.clone(), below).is_none();
                };
                below.set(rest, value)
            }
            (Step::Item(index), Value::List(items)) => items.get_mut(*index).is_some_and(|item| item.set(rest, value)),
            _ => false,
        }
    }
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the key of a table.
    Key(String),
    /// To an item of a list, from 0.
    Item(usize),
}

/// The steps of a path as problems have it, items counted from 1: `site[1].origin.sni`. `None`: it is none.
pub fn path(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for part in text.split('.') {
        let (name, mut rest) = part.split_at_checked(part.find('[').unwrap_or(part.len()))?;
        if name.is_empty() {
            return None;
        }
        steps.push(Step::Key(name.to_owned()));
        while !rest.is_empty() {
            let (number, more) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(Step::Item(number.parse::<usize>().ok()?.checked_sub(1)?));
            rest = more;
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn table(members: &[(&str, Value)]) -> Value {
        Value::Table(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    /// Rows of RFC 7396, appendix A.
    #[test]
    fn patches_merge_as_the_rfc_has_it() {
        let list = |items: &[Value]| Value::List(items.to_vec());
        let rows = [
            (table(&[("a", text("b"))]), table(&[("a", text("c"))]), table(&[("a", text("c"))])),
            (table(&[("a", text("b"))]), table(&[("b", text("c"))]), table(&[("a", text("b")), ("b", text("c"))])),
            (table(&[("a", text("b"))]), table(&[("a", Value::Null)]), table(&[])),
            (table(&[("a", list(&[text("b")]))]), table(&[("a", text("c"))]), table(&[("a", text("c"))])),
            (table(&[("a", text("c"))]), table(&[("a", list(&[text("b")]))]), table(&[("a", list(&[text("b")]))])),
            (
                table(&[("a", table(&[("b", text("c"))]))]),
                table(&[("a", table(&[("b", text("d")), ("c", Value::Null)]))]),
                table(&[("a", table(&[("b", text("d"))]))]),
            ),
            (list(&[text("a")]), table(&[("a", text("b")), ("c", Value::Null)]), table(&[("a", text("b"))])),
            (
                table(&[]),
                table(&[("a", table(&[("bb", table(&[("ccc", Value::Null)]))]))]),
                table(&[("a", table(&[("bb", table(&[]))]))]),
            ),
            (table(&[("a", text("b"))]), list(&[text("c")]), list(&[text("c")])),
        ];
        for (target, patch, expected) in rows {
            assert_eq!(target.merged(&patch), expected, "{target:?} {patch:?}");
        }
    }

    #[test]
    fn a_path_is_read_and_followed() {
        let steps = path("origin.servers[2].sni").unwrap();
        let key = |name: &str| Step::Key(name.to_owned());
        assert_eq!(steps, [key("origin"), key("servers"), Step::Item(1), key("sni")]);
        for wrong in ["", "a..b", "a[0]", "a[x]", "a[1", "[1]"] {
            assert_eq!(path(wrong), None, "{wrong}");
        }
        let mut tree = table(&[("origin", table(&[("servers", Value::List(vec![text("x"), table(&[])]))]))]);
        assert!(tree.set(&steps, text("s.test")));
        assert!(tree.set(&path("cache.default_ttl").unwrap(), text("1h")));
        assert!(!tree.set(&path("origin.servers[1].sni").unwrap(), text("s.test")), "a text has no keys");
        assert!(!tree.set(&path("origin.servers[9]").unwrap(), text("s.test")));
        let servers = Value::List(vec![text("x"), table(&[("sni", text("s.test"))])]);
        let expected =
            table(&[("origin", table(&[("servers", servers)])), ("cache", table(&[("default_ttl", text("1h"))]))]);
        assert_eq!(tree, expected);
    }
}
