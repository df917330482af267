//! `/metrics`: the numbers are true, and Prometheus's own tool finds nothing to complain of.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use support::door::OPEN;
use support::pop::{https_table, site, site_at};
use support::{Certificates, Door, Gate, Origin, Pop, Reply, wait_until};

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
        ("millpond_limits_met_total{limit=\"idle_timeout\"}", 0.0),
    ] {
        assert_eq!(value(&page, sample), expected, "{sample}");
    }
    let by_shard = |name: &str| -> f64 {
        let samples =
            page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix("{shard=")?.split(' ').nth(1));
        samples.map(|sample| sample.parse::<f64>().unwrap()).sum()
    };
    assert_eq!(by_shard("millpond_stored_keys"), 1.0);
    // Nothing is being filled, so all that is taken belongs to some shard.
    assert!(value(&page, "millpond_stored_bytes") > 5.0);
    assert_eq!(by_shard("millpond_stored_shard_bytes"), value(&page, "millpond_stored_bytes"));
}

#[test]
fn connections_are_told_apart_by_what_they_are_at() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |request| match request.target.as_str() {
        "/held" => {
            held.wait();
            Reply::ok("late")
        }
        "/large" => Reply::ok("x".repeat(32 << 20)),
        _ => Reply::ok("hello"),
    });
    let certificates = Certificates::new();
    let identity = certificates.identity(&["a.test"]);
    let pop = Pop::start_with_https(&format!("{OPEN}{}{}", site("a.test", &origin), https_table(&identity)));
    let door = Door::of(&pop);
    let states = || {
        let page = door.get("/metrics").text();
        ["handshake", "idle", "reading", "awaiting", "writing"]
            .map(|state| value(&page, &format!("millpond_connections{{side=\"client\",state=\"{state}\"}}")))
    };
    let silent = TcpStream::connect(pop.https()).unwrap();
    let mut idle = pop.client();
    assert_eq!(idle.get("a.test", "/").status, 200);
    let never_used = pop.client();
    let mut in_head = pop.client();
    in_head.send("GET / HTTP/1.1\r\nHost: a.te");
    let mut in_body = pop.client();
    in_body.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf");
    let mut awaiting = pop.client();
    awaiting.send("GET /held HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut writing = pop.client();
    writing.send("GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n");
    wait_until(|| states() == [1.0, 2.0, 2.0, 1.0, 1.0]);
    gate.open();
    assert_eq!(awaiting.response().text(), "late");
    wait_until(|| states() == [1.0, 3.0, 2.0, 0.0, 1.0]);
    drop((silent, idle, never_used, in_head, in_body, awaiting, writing));
    wait_until(|| states() == [0.0; 5]);
}

#[test]
fn every_limit_towards_clients_has_a_count() {
    let origin = Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: max-age=60"], "hello"));
    let limits = "[limits]\nrequests_per_connection = 1\nconnections_per_address = 2\n";
    let pop = Pop::start(&format!("{OPEN}{limits}{}", site("a.test", &origin)));
    let door = Door::of(&pop);
    let met =
        |limit: &str| value(&door.get("/metrics").text(), &format!("millpond_limits_met_total{{limit={limit:?}}}"));
    let mut held = [pop.client(), pop.client()];
    wait_until(|| pop.stats().connections == 2);
    assert!(pop.client().closed());
    for client in &mut held {
        assert_eq!(client.get("a.test", "/").status, 200);
    }
    wait_until(|| met("requests_per_connection") == 2.0);
    assert_eq!(met("connections_per_address"), 1.0);
    for limit in [
        "request_line",
        "request_head",
        "request_fields",
        "request_body",
        "connections",
        "handshake_timeout",
        "head_timeout",
        "idle_timeout",
        "upload_rate",
        "write_stall",
        "download_rate",
    ] {
        assert_eq!(met(limit), 0.0, "{limit}");
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
