//! The description of all this (OpenAPI 3.1), put together from the subjects' parts.
//!
//! A part says what an operation takes and brings. What is the same everywhere is added here: that anything may end in a
//! problem document, who may ask, and the parameters of a path.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::super::Desk;
use super::{Answered, Reply, Request, Row, SUBJECTS};

/// The document.
pub fn document(_: &Desk, _: &Request) -> Answered {
    static TEXT: OnceLock<Vec<u8>> = OnceLock::new();
    let text = TEXT.get_or_init(|| built().to_string().into_bytes());
    Ok(Reply::of(200, "application/json", text.as_slice()))
}

/// The whole document.
fn built() -> Value {
    let mut document = parsed(BASE);
    *at(&mut document, &["info", "version"]) = env!("CARGO_PKG_VERSION").into();
    for subject in SUBJECTS {
        let mut part = parsed(subject.description);
        take_in(at(&mut document, &["components", "schemas"]), at(&mut part, &["schemas"]));
        for row in subject.rows {
            let method = row.method.to_ascii_lowercase();
            let operation = at(&mut part, &["paths", row.path, &method]).take();
            *at(&mut document, &["paths", row.path, &method]) = completed(operation, row);
        }
    }
    document
}

/// A part of the document; what is no JSON describes nothing.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// What stands at a path of members, which are made where they are missing.
fn at<'v>(value: &'v mut Value, path: &[&str]) -> &'v mut Value {
    path.iter().fold(value, |value, name| {
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        match value {
            Value::Object(members) => members.entry(*name).or_insert(Value::Null),
            other => other,
        }
    })
}

fn take_in(all: &mut Value, more: &mut Value) {
    if let (Some(all), Some(more)) = (all.as_object_mut(), more.as_object_mut()) {
        all.append(more);
    }
}

fn completed(mut operation: Value, row: &Row) -> Value {
    if row.is_open {
        *at(&mut operation, &["security"]) = json!([]);
    }
    let names = row.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let of_path = names.map(
        |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }),
    );
    let mut parameters = at(&mut operation, &["parameters"]).as_array().cloned().unwrap_or_default();
    for parameter in of_path {
        if !parameters
            .iter()
            .any(|known| (known.get("name"), known.get("in")) == (parameter.get("name"), parameter.get("in")))
        {
            parameters.push(parameter);
        }
    }
    if parameters.is_empty() {
        operation.as_object_mut().map(|members| members.remove("parameters"));
    } else {
        *at(&mut operation, &["parameters"]) = parameters.into();
    }
    *at(&mut operation, &["responses", "default"]) = json!({ "$ref": "#/components/responses/Problem" });
    operation
}

const BASE: &str = include_str!("../openapi/base.json");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_described_and_nothing_else_is() {
        for subject in SUBJECTS.iter().filter(|subject| !subject.description.is_empty()) {
            let part: Value = serde_json::from_str(subject.description).expect("a description is JSON");
            let mut described = 0;
            for row in subject.rows {
                let operation = &part["paths"][row.path][row.method.to_ascii_lowercase()];
                assert!(operation["summary"].is_string(), "{} {} lacks its description", row.method, row.path);
                assert!(
                    operation["responses"].as_object().is_some_and(|all| !all.is_empty()),
                    "{} brings nothing",
                    row.path
                );
                assert_eq!(
                    operation["requestBody"].is_object(),
                    row.body.is_some(),
                    "body of {} {}",
                    row.method,
                    row.path
                );
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let of_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
                let mut names: Vec<_> =
                    of_query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect();
                let mut known = row.query.to_vec();
                names.sort();
                known.sort();
                assert_eq!(names, known, "query of {} {}", row.method, row.path);
                described += 1;
            }
            let all = part["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len());
            assert_eq!(all.sum::<usize>(), described, "{:?} describes what is not there", part["paths"]);
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(members) => members.iter().for_each(|(name, member)| match (name.as_str(), member) {
                    ("$ref", Value::String(reference)) => found.push(reference.clone()),
                    _ => references(member, found),
                }),
                Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let document = built();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 15);
        for reference in found {
            let place = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            assert!(place.is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn only_what_must_be_open_is_open() {
        let rows = SUBJECTS.iter().flat_map(|subject| subject.rows).filter(|row| row.is_open);
        let open: Vec<_> =
            rows.map(|row| (row.method, row.path)).filter(|(_, path)| path.starts_with("/api/")).collect();
        assert_eq!(open, [("POST", "/api/v1/session"), ("GET", "/api/v1/openapi.json")]);
    }
}
