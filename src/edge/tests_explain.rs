use std::path::Path;

use super::*;
use crate::server::Clock;

const CONFIG: &str = r#"
[[site]]
domains = ["www.example.com", "*.cdn.example.com"]
[site.cache]
default_ttl = "1m"
query_drop = ["utm_*"]
sort_query = true
key_headers = ["X-Device"]
[[site.rule]]
path = "/static/"
ttl = "1h"
[[site.rule]]
cookie = "session"
bypass = true
[[site.rule]]
extension = "css"
ttl = "2h"
[site.origin]
servers = ["192.0.2.1", { address = "b.example.net:8443", role = "backup", sni = "b.test" }]
protocol = "https"
host = "origin.example.com"
common_name_whitelist = ["*.oss.example.net"]
"#;

#[track_caller]
fn told(url: &str, fields: &[&str], response: &[&str]) -> String {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let question = Question { url: url.to_owned(), fields: owned(fields), response: owned(response), status: 200 };
    let config = Config::parse(CONFIG, Path::new("m.toml")).unwrap();
    match explain(&config, &question, Clock::start().now()) {
        Ok(explanation) => explanation.to_string(),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn a_request_is_explained_from_site_to_names() {
    let text = told("https://WWW.example.com/static/a.css?z&utm_id=1&a", &["X-Device: tv"], &[]);
    let expected = "\
site       www.example.com (www.example.com, *.cdn.example.com)
cache      looked up, and stored if the response may be
key        https|www.example.com|/static/a.css?a&z|tv
asked for  /static/a.css?a&z
rules      1: ttl = 3600 s (decides)
           3: ttl = 7200 s (an earlier rule decides)
freshness  a bare 200 is stored, fresh for 3600 s; from rule 1 (ttl-rule)
variant    one for all requests, unless the response has Vary
origin     https://192.0.2.1:443
  Host     origin.example.com
  names    origin.example.com, *.oss.example.net in subjectAltName, or the Common Name where there is none
  trust    the system's roots
  SNI      origin.example.com
origin     https://b.example.net:8443, backup
  Host     origin.example.com
  names    b.test, *.oss.example.net in subjectAltName, or the Common Name where there is none
  trust    the system's roots
  SNI      b.test
";
    assert_eq!(text, expected);
}

#[test]
fn bypass_and_a_supposed_response_are_told() {
    let text = told("http://a.cdn.example.com?utm_id=1", &["Cookie: session=1"], &[]);
    for line in ["cache      neither looked up nor stored: rule 2 (bypass-rule)", "asked for  /?utm_id=1"] {
        assert!(text.contains(line), "{text}");
    }
    let text = told("http://www.example.com/x", &[], &["Cache-Control: max-age=5", "Vary: Accept"]);
    for line in [
        "rules      none holds",
        "such a 200 is stored, fresh for 5 s; from the origin's max-age",
        "values of the fields",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(told("http://www.example.com/x", &[], &["Cache-Control: private"]).contains("is not stored (private)"));
    assert!(told("http://www.example.com/x", &["Authorization: x"], &[]).contains("is not stored (authorization)"));
    assert!(told("http://www.example.com/x", &["X_Device: tv"], &[]).contains("(key-unusable)"));
}

#[test]
fn what_is_no_request_or_of_no_site_is_said() {
    for url in [
        "www.example.com",
        "ftp://www.example.com/",
        "http:///x",
        "http://a@www.example.com/",
        "http://www.example.com/a b",
    ] {
        assert!(told(url, &[], &[]).starts_with("Malformed"), "{url}");
    }
    for field in ["X", "X A: b", "A: b\r\nC: d", "Host: other"] {
        assert!(told("http://www.example.com/", &[field], &[]).starts_with("Malformed"), "{field}");
    }
    assert!(told("http://other.example/", &[], &[]).starts_with("NoSite"));
}
