//! As much of JSON Schema as the OpenAPI document uses: does an answer look as it is described?

use serde_json::Value;

/// What is wrong with `value`, each with its place; nothing where it fits. References lead into `document`. What an object
/// has beyond its described properties counts as wrong too: it is not described.
pub fn faults(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).expect("a reference leads somewhere");
        return faults(document, target, value, place);
    }
    let mut found = Vec::new();
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = choices.iter().filter(|choice| faults(document, choice, value, place).is_empty()).count();
        if fits != 1 {
            let of_first = faults(document, &choices[0], value, place);
            found.push(format!("{place}: fits {fits} of the choices: {of_first:?}"));
        }
        return found;
    }
    if !has_type(&schema["type"], value) {
        return vec![format!("{place}: {value} is no {}", schema["type"])];
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{place}: {value} is none of {words:?}"));
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        found.push(format!("{place}: {number} is below {least}"));
    }
    if let Some(items) = value.as_array() {
        for (index, item) in items.iter().enumerate() {
            found.extend(faults(document, &schema["items"], item, &format!("{place}[{index}]")));
        }
    }
    if let (Some(members), Some(properties)) = (value.as_object(), schema["properties"].as_object()) {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !members.contains_key(name.as_str().unwrap()) {
                found.push(format!("{place}: {name} is missing"));
            }
        }
        for (name, member) in members {
            match properties.get(name) {
                Some(property) => found.extend(faults(document, property, member, &format!("{place}.{name}"))),
                None => found.push(format!("{place}: {name} is not described")),
            }
        }
    }
    found
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    match wanted {
        Value::String(word) => is_of(word, value),
        Value::Array(words) => words.iter().any(|word| is_of(word.as_str().unwrap(), value)),
        _ => true,
    }
}

fn is_of(word: &str, value: &Value) -> bool {
    match word {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => panic!("{word} is no type"),
    }
}
