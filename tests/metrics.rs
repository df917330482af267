//! `/metrics`: the numbers are true, and Prometheus's own tool finds nothing to complain of.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use support::door::OPEN;
use support::pop::{https_table, site, site_at};
use support::{Certificates, Door, Origin, Pop, Reply, wait_until};

/// The value of a sample, written as it stands in the page.
#[track_caller]
fn value(page: &str, sample: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample} in\n{page}")).parse().unwrap()
}

#[test]
fn the_page_counts_what_happened() {
    let origin = Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: max-age=60"], "hello"));
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sites = [site("a.test", &origin), site_at("dead.test", &dead.to_string(), "", "")].concat();
    let pop = Pop::start(&format!("{OPEN}{sites}"));
    let door = Door::of(&pop);
    for _ in 0..3 {
        pop.get("/x");
    }
    pop.client().get("dead.test", "/");
    pop.client().send("nonsense\r\n\r\n");
    let page = || door.get("/metrics").text();
    let hits = "millpond_requests_total{site=\"a.test\",cache=\"hit\"}";
    wait_until(|| value(&page(), hits) == 2.0 && value(&page(), "millpond_refusals_total{status=\"400\"}") == 1.0);
    let page = page();
    for (sample, expected) in [
        ("millpond_requests_total{site=\"a.test\",cache=\"miss\"}", 1.0),
        ("millpond_requests_total{site=\"dead.test\",cache=\"error\"}", 1.0),
        ("millpond_fetches_total{site=\"a.test\"}", 1.0),
        ("millpond_fetches_failed_total{site=\"dead.test\"}", 1.0),
        ("millpond_fetch_failures_total{cause=\"connection_refused\"}", 1.0),
        ("millpond_fetched_bytes_total", 5.0),
        ("millpond_sent_bytes_total{site=\"a.test\"}", 15.0),
        ("millpond_saved_bytes_total{site=\"a.test\"}", 10.0),
        ("millpond_stored_responses", 1.0),
        ("millpond_request_duration_seconds_count{from=\"store\"}", 2.0),
        ("millpond_request_duration_seconds_bucket{from=\"store\",le=\"+Inf\"}", 2.0),
        ("millpond_fetch_phase_seconds_count{phase=\"first_byte\"}", 1.0),
        ("millpond_fetch_pool_limit", 512.0),
        ("millpond_log_lines_dropped_total", 0.0),
        ("millpond_tasks{state=\"complete\"}", 0.0),
        ("millpond_task_urls{state=\"left\"}", 0.0),
    ] {
        assert_eq!(value(&page, sample), expected, "{sample}");
    }
    let keys: f64 = page
        .lines()
        .filter_map(|line| line.strip_prefix("millpond_stored_keys{shard=")?.split(' ').nth(1)?.parse::<f64>().ok())
        .sum();
    assert_eq!(keys, 1.0);
}

#[test]
fn every_limit_towards_clients_is_counted_under_its_name() {
    let origin = Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: max-age=60"], "hello"));
    let limits =
        "[limits]\nrequests_per_connection = 2\nhead_timeout = \"50ms\"\nidle_timeout = \"50ms\"\nrequest_body = 4\n";
    let pop = Pop::start(&format!("{limits}{OPEN}{}", site("a.test", &origin)));
    let door = Door::of(&pop);
    let mut spent = pop.client();
    spent.get("a.test", "/");
    spent.get("a.test", "/");
    assert!(spent.closed());
    let mut half = pop.client();
    half.send("GET / HTTP/1.1\r\nHost:");
    let mut idle = pop.client();
    idle.get("a.test", "/");
    let mut large = pop.client();
    large.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(large.response().status, 413);
    let page = || door.get("/metrics").text();
    for sample in [
        "millpond_limited_total{limit=\"requests_per_connection\"}",
        "millpond_limited_total{limit=\"head_timeout\"}",
        "millpond_limited_total{limit=\"idle_timeout\"}",
        "millpond_refusals_total{status=\"413\"}",
    ] {
        wait_until(|| value(&page(), sample) >= 1.0);
    }
    let page = page();
    for limit in ["connections", "connections_per_address", "handshake_timeout", "upload_rate", "write_stall"] {
        assert_eq!(value(&page, &format!("millpond_limited_total{{limit=\"{limit}\"}}")), 0.0, "{limit}");
    }
}

#[test]
fn promtool_has_no_complaint() {
    let certificates = Certificates::new();
    let identity = certificates.identity(&["a.test"]);
    let origin = Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: max-age=60"], "hello"));
    let sites = format!("{OPEN}{}{}{}", site("a.test", &origin), https_table(&identity), site("b.test", &origin));
    let pop = Pop::start_with_https(&sites);
    pop.get("/");
    pop.get("/");
    let response = Door::of(&pop).get("/metrics");
    assert_eq!(response.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(response.text().contains("millpond_certificate_expiry_timestamp_seconds{side=\"client\",site=\"a.test\""));
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        eprintln!("skipped: there is no promtool here; Debian's package prometheus has it");
        return;
    };
    promtool.stdin.take().unwrap().write_all(&response.body).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_dashboard_asks_for_metrics_that_are_there() {
    let output = Command::new(env!("CARGO_BIN_EXE_millpond")).arg("dashboard").output().unwrap();
    let dashboard: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let certificates = Certificates::new();
    let origin = Origin::plain(|_| Reply::ok("hello"));
    let sites = format!("{OPEN}{}{}", site("a.test", &origin), https_table(&certificates.identity(&["a.test"])));
    let pop = Pop::start_with_https(&sites);
    let door = Door::of(&pop);
    pop.get("/");
    wait_until(|| door.get("/metrics").text().contains("millpond_requests_total{"));
    let page = door.get("/metrics").text();
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(!panel["title"].as_str().unwrap().is_empty());
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            for word in expression.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')) {
                if word.starts_with("millpond_") {
                    let is_there = page
                        .lines()
                        .any(|line| line.starts_with(&format!("{word}{{")) || line.starts_with(&format!("{word} ")));
                    assert!(is_there, "{word} of {:?}", panel["title"]);
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 20, "{asked}");
}
