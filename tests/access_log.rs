//! The access log: one line a request, with what an operator needs to find it again and to see why.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::path::PathBuf;

use support::pop::{request, site, site_at};
use support::{Gate, Origin, Pop, Reply, TempDir, wait_until};

/// A POP that logs to a file of its own: a.test works, sick.test refuses connections.
struct Stage {
    pop: Pop,
    origin: Origin,
    file: PathBuf,
    _dir: TempDir,
}

impl Stage {
    fn new(format: &str) -> Stage {
        let origin = Origin::plain(|asked| match asked.method.as_str() {
            "HEAD" => Reply::bytes("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 5\r\n\r\n"),
            _ => Reply::response("200 OK", &["Cache-Control: max-age=600"], "hello"),
        });
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let dir = TempDir::new();
        let file = dir.path().join("access.log");
        let log = format!("[log]\naccess = \"{}\"\nformat = \"{format}\"\n", file.display());
        let pop = Pop::start(&(site("a.test", &origin) + &site_at("sick.test", &closed.to_string(), "", "") + &log));
        Stage { pop, origin, file, _dir: dir }
    }

    /// Stops the POP and gives the lines.
    fn lines(self) -> Vec<String> {
        self.pop.shutdown();
        drop(self.origin);
        std::fs::read_to_string(&self.file).unwrap().lines().map(str::to_owned).collect()
    }
}

/// The only line with this text in it.
#[track_caller]
fn line<'a>(lines: &'a [String], text: &str) -> &'a str {
    let found: Vec<_> = lines.iter().filter(|line| line.contains(text)).collect();
    assert_eq!(found.len(), 1, "{text} in {lines:#?}");
    found[0]
}

#[track_caller]
fn has(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn combined_lines_tell_the_classic_facts_and_ours() {
    let stage = Stage::new("combined");
    let fields = ["User-Agent: scene/1.0", "Referer: http://r.test/"];
    stage.pop.get_with("/x?first", &fields);
    stage.pop.get_with("/x?second", &fields);
    stage.pop.get_with("/x?second", &["User-Agent: again"]);
    let origin = stage.origin.address().to_string();
    let lines = stage.lines();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    let miss = line(&lines, "/x?first");
    assert!(miss.starts_with("127.0.0.1 - - ["), "{miss}");
    has(miss, &["] \"GET /x?first HTTP/1.1\" 200 5 \"http://r.test/\" \"scene/1.0\" id="]);
    has(miss, &[" scheme=http host=\"a.test\" site=\"a.test\" cache=miss", " time=", " fetch=queue:", "first_byte:"]);
    has(miss, &[&format!(" origin={origin}")]);
    let hit = line(&lines, "\"again\"");
    has(hit, &["\"GET /x?second HTTP/1.1\" 200 5 \"-\"", " cache=hit "]);
    assert!(!hit.contains("fetch=") && !hit.contains("origin="), "{hit}");
}

#[test]
fn json_lines_tell_the_same() {
    let stage = Stage::new("json");
    stage.pop.get_with("/x", &["User-Agent: first"]);
    stage.pop.get_with("/x", &["User-Agent: second"]);
    let lines = stage.lines();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for line in &lines {
        assert!(line.starts_with("{\"time\":\"") && line.ends_with('}'), "{line}");
        has(line, &["\"client\":\"127.0.0.1\"", "\"method\":\"GET\"", "\"host\":\"a.test\"", "\"target\":\"/x\""]);
        has(line, &["\"status\":200", "\"bytes\":5", "\"site\":\"a.test\"", "\"scheme\":\"http\"", "\"seconds\":"]);
    }
    has(
        line(&lines, "\"agent\":\"first\""),
        &["\"cache\":\"miss\"", "\"fetch\":{\"queue\":", "\"origin\":\"127.0.0.1:"],
    );
    has(line(&lines, "\"agent\":\"second\""), &["\"cache\":\"hit\""]);
}

#[test]
fn a_failure_is_found_by_the_request_id_of_its_page_and_tells_its_cause() {
    for format in ["combined", "json"] {
        let stage = Stage::new(format);
        let page = stage.pop.client().get("sick.test", "/x");
        let id = page.field("x-request-id").unwrap().to_owned();
        assert!(page.status == 502 && page.text().contains(&id), "{page:?}");
        let lines = stage.lines();
        let found = line(&lines, &id);
        match format {
            "json" => has(
                found,
                &["\"status\":502", "\"cause\":\"connection_refused\",\"phase\":\"connect\"", ",\"connect\":0."],
            ),
            _ => has(
                found,
                &[
                    "\" 502 ",
                    " cache=error ",
                    " cause=connection_refused phase=connect",
                    ",connect:0.",
                    "site=\"sick.test\"",
                ],
            ),
        }
    }
}

#[test]
fn every_request_has_one_line_whatever_became_of_it() {
    let stage = Stage::new("combined");
    let mut client = stage.pop.client();
    client.get("unknown.test", "/unknown");
    client.send(request("HEAD", "/head", &[]));
    client.response_to("HEAD");
    client.send("POST /post HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
    client.response_to("POST");
    client.send(request("TRACE", "/trace", &[]));
    client.response_to("TRACE");
    client.send(request("GET", "/pipelined", &[]).repeat(3));
    (0..3).for_each(|_| _ = client.response());
    client.send("GET /broken HTTP/1.1\r\nHost : a.test\r\n\r\n");
    let refused = client.response();
    let lines = stage.lines();
    assert_eq!(lines.len(), 8, "{lines:#?}");
    has(line(&lines, "/unknown "), &["\" 421 ", "host=\"unknown.test\" site=\"\""]);
    has(line(&lines, "/head "), &["\"HEAD /head HTTP/1.1\" 200 0 "]);
    has(line(&lines, "/post "), &["\"POST /post HTTP/1.1\" 200 5 ", " cache=pass why=method"]);
    has(line(&lines, "/trace "), &["\" 405 "]);
    has(line(&lines, refused.field("x-request-id").unwrap()), &["\" 400 "]);
    assert_eq!(lines.iter().filter(|line| line.contains("/pipelined ")).count(), 3);
}

#[test]
fn what_clients_write_cannot_forge_a_line() {
    for format in ["combined", "json"] {
        let stage = Stage::new(format);
        let mut client = stage.pop.client();
        let target = "/%0a\"\u{7c}x?\"y";
        let agent = b"a\" 200 \\ \xff\xfe\tb".as_slice();
        let head = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nUser-Agent: ");
        client.send([head.as_bytes(), agent, b"\r\n\r\n"].concat());
        assert_eq!(client.response().status, 200);
        let lines = stage.lines();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", lines[0]);
        match format {
            // Outside of escapes there are as many quotes as the format has itself.
            "json" => has(&lines[0], &["\\\"", "\\\\", "\\ufffd"]),
            _ => assert_eq!(lines[0].matches('"').count(), 6 + 4, "{}", lines[0]),
        }
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_is_noted_as_cut() {
    let gate = Gate::new();
    let held = gate.clone();
    let dir = TempDir::new();
    let file = dir.path().join("access.log");
    let origin = Origin::plain(move |_| {
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 12\r\n\r\nfirst ";
        Reply::bytes(head).wait(&held).then("second")
    });
    let pop = Pop::start(&(site("a.test", &origin) + &format!("[log]\naccess = \"{}\"\n", file.display())));
    let mut client = pop.client();
    client.send(request("GET", "/x", &[]));
    client.head_of("GET");
    client.body_of_at_least(6);
    client.reset();
    wait_until(|| pop.stats().connections == 0);
    gate.open();
    pop.shutdown();
    let text = std::fs::read_to_string(&file).unwrap();
    has(&text, &["\"GET /x HTTP/1.1\" 200 6 ", " cut=yes"]);
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn a_body_that_the_origin_cuts_is_noted_with_its_cause_and_counted_once() {
    let gate = Gate::new();
    let held = gate.clone();
    let dir = TempDir::new();
    let file = dir.path().join("access.log");
    let origin = Origin::plain(move |_| {
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 12\r\n\r\nfirst ";
        Reply::bytes(head).wait(&held).close()
    });
    let pop = Pop::start(&(site("a.test", &origin) + &format!("[log]\naccess = \"{}\"\n", file.display())));
    let mut client = pop.client();
    client.send(request("GET", "/x", &[]));
    client.head_of("GET");
    gate.open();
    assert!(client.rest().is_err());
    wait_until(|| pop.stats().connections == 0);
    assert_eq!(pop.stats().failures_by_cause, [("http_response_incomplete", 1)]);
    pop.shutdown();
    let text = std::fs::read_to_string(&file).unwrap();
    has(&text, &[" cut=yes", " cause=http_response_incomplete phase=body"]);
}

#[test]
fn without_a_log_there_is_none_and_a_path_that_cannot_be_opened_stops_the_start() {
    let origin = Origin::plain(|_| Reply::ok("hello"));
    let dir = TempDir::new();
    let path = dir.path().join("missing").join("access.log");
    let text = format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\n{}[log]\naccess = \"{}\"\n",
        site("a.test", &origin),
        path.display()
    );
    let config = millpond::config::Config::parse(&text, std::path::Path::new("scene.toml")).unwrap();
    let error = millpond::Edge::start(config).err().unwrap().to_string();
    assert!(error.contains("access.log"), "{error}");
    assert_eq!(Pop::of(&origin).get("/x").text(), "hello");
}
