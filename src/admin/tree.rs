//! Settings as JSON: the tree of the file's values there and back.

use serde_json::{Map, Number};

use super::reply::Reply;
use crate::config::written::{Members, Value};

/// The settings that a JSON value stands for.
///
/// # Errors
/// 422 for a number that no setting can be.
pub fn settings(json: &serde_json::Value) -> Result<Value, Reply> {
    Ok(match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(flag) => Value::Flag(*flag),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Number(whole),
            (None, Some(float)) if !number.is_u64() => Value::Float(float),
            _ => return Err(Reply::unfit(&format!("{number} is too large for a setting"))),
        },
        serde_json::Value::String(text) => Value::Text(text.clone()),
        serde_json::Value::Array(items) => Value::List(items.iter().map(settings).collect::<Result<_, _>>()?),
        serde_json::Value::Object(members) => {
            let members = members.iter().map(|(name, value)| Ok((name.clone(), settings(value)?)));
            Value::Table(members.collect::<Result<Members, Reply>>()?)
        }
    })
}

/// Settings as JSON.
pub fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Flag(flag) => (*flag).into(),
        Value::Number(number) => (*number).into(),
        // One that JSON has no word for is no setting either.
        Value::Float(number) => Number::from_f64(*number).map_or(serde_json::Value::Null, Into::into),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Table(members) => {
            members.iter().map(|(name, value)| (name.clone(), json(value))).collect::<Map<_, _>>().into()
        }
    }
}
