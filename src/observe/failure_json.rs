//! A row of the ledger as JSON.

use std::time::Duration;

use super::failure::FailureRow;
use crate::json::{null, object, optional, text, texts};
use crate::time::HttpDate;

impl FailureRow {
    /// One JSON object (RFC 8259) in ASCII, without a line feed; moments as RFC 3339, durations in seconds. Names and meanings
    /// do not change, new ones may come.
    ///
    /// ```text
    /// { "site": NAME, "server": "name:port", "address": "address:port" | null, "cause": RFC 9209 type, "phase": TEXT,
    ///   "count": NUMBER, "made_good": NUMBER, "first": TIME, "last": TIME, "last_good": TIME | null, "is_open": BOOL,
    ///   "failing_addresses": NUMBER, "known_addresses": NUMBER, "seconds": { PHASE: NUMBER },
    ///   "example": { "time": TIME, "request": TEXT, "detail": TEXT, "sni": NAME | null, "alert": NUMBER | null,
    ///                "rcode": TEXT | null, "certificate_names": [TEXT], "head_start": TEXT } }
    /// ```
    pub fn json(&self) -> String {
        let example = &self.example;
        let head = String::from_utf8_lossy(&example.head_start);
        let example = [
            ("time", date(example.when)),
            ("request", text(&example.request)),
            ("detail", text(&example.detail)),
            ("sni", optional(example.sni.as_deref())),
            ("alert", example.alert.map_or_else(null, |alert| alert.to_string())),
            ("rcode", optional(example.rcode.as_deref())),
            ("certificate_names", texts(&example.certificate_names)),
            ("head_start", text(&head)),
        ];
        let seconds: Vec<(&str, String)> = self.times.phases().map(|(name, time)| (name, seconds(time))).collect();
        object(&[
            ("site", text(&self.site)),
            ("server", text(&self.server)),
            ("address", optional(self.address.map(|address| address.to_string()).as_deref())),
            ("cause", text(self.cause)),
            ("phase", text(self.phase)),
            ("count", self.count.to_string()),
            ("made_good", self.made_good.to_string()),
            ("first", date(self.first)),
            ("last", date(self.last)),
            ("last_good", self.last_good.map_or_else(null, date)),
            ("is_open", self.is_open().to_string()),
            ("failing_addresses", self.failing_addresses.to_string()),
            ("known_addresses", self.known_addresses.to_string()),
            ("seconds", object(&seconds)),
            ("example", object(&example)),
        ])
    }
}

fn date(moment: Duration) -> String {
    text(&String::from_utf8_lossy(&HttpDate(i64::try_from(moment.as_secs()).unwrap_or(i64::MAX)).rfc3339()))
}

fn seconds(time: Duration) -> String {
    format!("{}.{:06}", time.as_secs(), time.subsec_micros())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::{FailureExample, FetchTimes};
    use super::*;

    #[test]
    fn a_row_is_one_object() {
        let at = Duration::from_secs(784_111_777);
        let row = FailureRow {
            site: "a.test".into(),
            server: "o.test:443".into(),
            address: "[2001:db8::1]:443".parse::<SocketAddr>().ok(),
            cause: "connection_refused",
            phase: "connect",
            count: 2,
            made_good: 0,
            first: at - Duration::from_secs(7200),
            last: at - Duration::from_secs(180),
            last_good: Some(at),
            failing_addresses: 1,
            known_addresses: 1,
            times: FetchTimes { connect: Some(Duration::from_micros(1500)), ..FetchTimes::default() },
            example: FailureExample {
                detail: "192.0.2.1:443 refused".into(),
                request: "ab".into(),
                head_start: b"a\"\\\n\xff".to_vec(),
                ..FailureExample::default()
            },
        };
        assert_eq!(
            row.json(),
            "{\"site\":\"a.test\",\"server\":\"o.test:443\",\"address\":\"[2001:db8::1]:443\",\"cause\":\"connection_refused\",\
             \"phase\":\"connect\",\"count\":2,\"made_good\":0,\"first\":\"1994-11-06T06:49:37Z\",\"last\":\"1994-11-06T08:46:37Z\",\
             \"last_good\":\"1994-11-06T08:49:37Z\",\"is_open\":false,\"failing_addresses\":1,\"known_addresses\":1,\
             \"seconds\":{\"connect\":0.001500},\"example\":{\"time\":\"1970-01-01T00:00:00Z\",\"request\":\"ab\",\
             \"detail\":\"192.0.2.1:443 refused\",\"sni\":null,\"alert\":null,\"rcode\":null,\"certificate_names\":[],\
             \"head_start\":\"a\\\"\\\\\\u000a\\ufffd\"}}"
        );
    }
}
