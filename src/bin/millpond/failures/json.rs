//! A row of the ledger as one JSON object on a line of its own.

use std::time::Duration;

use millpond::FailureRow;

use super::rfc3339;

/// The object, with its line feed. Its members are part of `millpond help failures`.
pub fn object(row: &FailureRow) -> String {
    let example = &row.example;
    let text_or_null = |value: Option<String>| value.map_or("null".to_owned(), |value| text(&value));
    let names: Vec<String> = example.certificate_names.iter().map(|name| text(name)).collect();
    let head = String::from_utf8_lossy(&example.head_start);
    let example = [
        ("time", text(&rfc3339(example.when))),
        ("request", text(&example.request)),
        ("detail", text(&example.detail)),
        ("sni", text_or_null(example.sni.clone())),
        ("alert", example.alert.map_or("null".to_owned(), |alert| alert.to_string())),
        ("rcode", text_or_null(example.rcode.clone())),
        ("certificate_names", format!("[{}]", names.join(","))),
        ("head_start", text(&head)),
    ];
    let times = row.times;
    let phases = [
        ("queue", times.queue),
        ("dns", times.dns),
        ("connect", times.connect),
        ("tls", times.tls),
        ("first_byte", times.first_byte),
    ];
    let seconds: Vec<_> = phases.into_iter().filter_map(|(name, time)| Some((name, seconds(time?)))).collect();
    let row = [
        ("site", text(&row.site)),
        ("server", text(&row.server)),
        ("address", text_or_null(row.address.map(|address| address.to_string()))),
        ("cause", text(row.cause)),
        ("phase", text(row.phase)),
        ("count", row.count.to_string()),
        ("made_good", row.made_good.to_string()),
        ("first", text(&rfc3339(row.first))),
        ("last", text(&rfc3339(row.last))),
        ("last_good", text_or_null(row.last_good.map(rfc3339))),
        ("is_open", row.is_open().to_string()),
        ("failing_addresses", row.failing_addresses.to_string()),
        ("known_addresses", row.known_addresses.to_string()),
        ("seconds", members(&seconds)),
        ("example", members(&example)),
    ];
    format!("{}\n", members(&row))
}

fn members(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn seconds(time: Duration) -> String {
    format!("{}.{:06}", time.as_secs(), time.subsec_micros())
}

/// A JSON string (RFC 8259 §7).
fn text(value: &str) -> String {
    let mut text = String::from("\"");
    for one in value.chars() {
        match one {
            '"' | '\\' => text.extend(['\\', one]),
            ' '..='~' => text.push(one),
            _ => one.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    text.push('"');
    text
}
