//! The operator's door: closed to whoever shows nothing, wary of browsers, out of the way of clients.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use support::door::{OPEN, json_of};
use support::pop::site;
use support::{Certificates, Client, Door, Origin, Pop, Reply, TempDir};

/// A POP with a door, in front of an origin that answers `hello`.
fn open() -> (Origin, Pop, Door) {
    let origin = Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: max-age=60"], "hello"));
    let pop = Pop::start(&format!("{OPEN}{}", site("a.test", &origin)));
    let door = Door::of(&pop);
    (origin, pop, door)
}

#[test]
fn a_library_opens_no_door_unless_it_is_asked_to() {
    let origin = Origin::plain(|_| Reply::ok("hello"));
    let pop = Pop::of(&origin);
    assert_eq!((pop.edge().addresses().admin, pop.edge().sign_in()), (None, None));
    let closed = Pop::start(&format!("[admin]\nlisten = \"off\"\n{}", site("a.test", &origin)));
    assert_eq!(closed.edge().addresses().admin, None);
}

#[test]
fn without_token_nothing_is_told_but_that_it_lives() {
    let (_origin, _pop, door) = open();
    for (path, text) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let response = door.raw("GET", path, &[], "");
        assert_eq!((response.status, response.text().as_str()), (200, text));
    }
    for path in ["/metrics", "/api/v1/version", "/api/v1/session", "/api/v1/nothing", "/nothing"] {
        for fields in [&[][..], &["Authorization: Bearer 0123"][..], &["Authorization: Basic YTpi"][..]] {
            let response = door.raw("GET", path, fields, "");
            assert_eq!(response.status, 401, "{path} {fields:?}");
            assert!(response.field("www-authenticate").unwrap().starts_with("Bearer"));
            assert_eq!(response.field("content-type"), Some("application/problem+json"));
            assert_eq!(json_of(&response)["status"], 401);
        }
    }
    assert_eq!(door.json("/api/v1/version")["name"], "millpond");
    assert_eq!(door.get("/api/v1/nothing").status, 404);
    let response = door.ask("PUT", "/api/v1/version", "");
    assert_eq!((response.status, response.field("allow")), (405, Some("GET, HEAD")));
    assert_eq!(door.ask("HEAD", "/api/v1/version", "").status, 200);
}

#[test]
fn every_answer_forbids_frames_guesses_and_strangers() {
    let (_origin, _pop, door) = open();
    for response in [
        door.get("/api/v1/version"),
        door.get("/metrics"),
        door.get("/nothing"),
        door.raw("GET", "/api/v1/version", &[], ""),
        door.raw("GET", "/healthz", &[], ""),
        door.raw("GET", "/", &["Content-Length: x"], ""),
        door.ask("CONNECT", "127.0.0.1:80", ""),
    ] {
        let policy = response.field("content-security-policy").unwrap();
        for words in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(words), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(response.field("x-content-type-options"), Some("nosniff"));
        assert_eq!(response.field("referrer-policy"), Some("no-referrer"));
        assert_eq!(response.field("cache-control"), Some("no-store"));
    }
}

#[test]
fn a_name_that_somebody_pointed_here_is_refused() {
    let origin = Origin::plain(|_| Reply::ok("hello"));
    let admin = "[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"console.test\"]\n";
    let pop = Pop::start(&format!("{admin}{}", site("a.test", &origin)));
    let door = Door::of(&pop);
    let ask = |host: &str| {
        let mut client = Client::plain(door.address);
        client.send(format!("GET /api/v1/version HTTP/1.1\r\nHost: {host}\r\n{}\r\n\r\n", door.bearer()));
        client.response().status
    };
    assert_eq!(["127.0.0.1:9", "localhost", "LOCALHOST:9180", "[::1]", "Console.test"].map(ask), [200; 5]);
    assert_eq!(["evil.test", "127.0.0.1.evil.test", "a.test"].map(ask), [421; 3]);
}

#[test]
fn after_ten_guesses_the_right_token_has_to_wait() {
    let (_origin, _pop, door) = open();
    for _ in 0..20 {
        let response = door.raw("POST", "/api/v1/session", &[], "{\"token\":\"old\"}");
        assert_eq!(response.status, 401, "a program with an old token shuts nobody out");
    }
    for number in 1..10 {
        let response = door.raw("POST", "/api/v1/session", &[], &json!({ "token": number.to_string() }).to_string());
        assert_eq!(response.status, 401);
    }
    let response = door.get("/api/v1/version");
    let wait = response.field("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(response.status == 429 && wait.is_some_and(|wait| (1..=6).contains(&wait)), "{response:?}");
}

/// The cookie of a new session, as the browser sends it.
fn sign_in(door: &Door) -> String {
    let response = door.raw("POST", "/api/v1/session", &[], &json!({ "token": door.token }).to_string());
    assert_eq!(response.status, 204, "{response:?}");
    let cookie = response.field("set-cookie").unwrap();
    assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"), "{cookie}");
    format!("Cookie: {}", cookie.split(';').next().unwrap())
}

#[test]
fn a_session_reads_with_its_cookie_and_changes_only_from_its_own_page() {
    let (_origin, _pop, door) = open();
    let cookie = sign_in(&door);
    let read = door.raw("GET", "/api/v1/session", &[&cookie], "");
    assert_eq!((read.status, json_of(&read)), (200, json!({ "signed_in": true })));
    let own = format!("Origin: http://{}", door.address);
    for fields in [
        &[cookie.as_str()][..],
        &[cookie.as_str(), "Origin: http://evil.test"][..],
        &[cookie.as_str(), "Origin: null"][..],
        &[cookie.as_str(), own.as_str(), "Sec-Fetch-Site: cross-site"][..],
        &[cookie.as_str(), own.as_str(), "Sec-Fetch-Site: same-site"][..],
    ] {
        assert_eq!(door.raw("DELETE", "/api/v1/session", fields, "").status, 403, "{fields:?}");
    }
    let left = door.raw("DELETE", "/api/v1/session", &[&cookie, &own, "Sec-Fetch-Site: same-origin"], "");
    assert_eq!(left.status, 204);
    assert!(left.field("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(door.raw("GET", "/api/v1/session", &[&cookie], "").status, 401);
}

#[test]
fn the_token_is_made_once_and_kept_for_this_user_alone() {
    let origin = Origin::plain(|_| Reply::ok("hello"));
    let dir = TempDir::new();
    let state = dir.path().join("state");
    let toml = format!("[state]\ndir = \"{}\"\n{OPEN}{}", state.display(), site("a.test", &origin));
    let first = Pop::start(&toml);
    let door = Door::of(&first);
    let mode = std::fs::metadata(state.join("token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    first.shutdown();
    std::fs::set_permissions(state.join("token"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let second = Pop::start(&toml);
    let mode = std::fs::metadata(state.join("token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "whoever has opened it to others");
    assert_eq!(second.edge().sign_in(), None, "it is shown at the first start alone");
    let door = Door { address: second.edge().addresses().admin.unwrap(), ..door };
    assert_eq!(door.get("/api/v1/version").status, 200);
    second.shutdown();
    // What is no token of ours opens nothing.
    std::fs::write(state.join("token"), "letmein\n").unwrap();
    let third = Pop::start(&toml);
    let newer = Door::of(&third);
    assert_ne!(newer.token, door.token);
    assert_eq!(newer.raw("GET", "/metrics", &["Authorization: Bearer letmein"], "").status, 401);
}

#[test]
fn another_sites_page_cannot_have_the_operator_shut_out() {
    let (_origin, _pop, door) = open();
    for number in 0..20 {
        let body = json!({ "token": number.to_string() }).to_string();
        let fields = ["Origin: http://evil.test", "Sec-Fetch-Site: cross-site"];
        assert_eq!(door.raw("POST", "/api/v1/session", &fields, &body).status, 403);
    }
    assert_eq!(door.get("/api/v1/version").status, 200);
    let own = format!("Origin: http://{}", door.address);
    let body = json!({ "token": door.token }).to_string();
    assert_eq!(door.raw("POST", "/api/v1/session", &[&own, "Sec-Fetch-Site: same-origin"], &body).status, 204);
}

#[test]
fn beyond_this_machine_the_door_wants_tls_or_a_word() {
    let parse = |admin: &str| {
        let text = format!("{admin}\n[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"192.0.2.1\"]\n");
        millpond::config::Config::parse(&text, "scene.toml".as_ref()).map_err(|problems| format!("{problems:?}"))
    };
    let refused = parse("[admin]\nlisten = \"0.0.0.0:0\"").unwrap_err();
    assert!(refused.contains("admin.listen") && refused.contains("insecure = true"), "{refused}");
    assert!(parse("[admin]\nlisten = \"0.0.0.0:0\"\ninsecure = true").is_ok());
    assert!(parse("[admin]\nlisten = \"0.0.0.0:0\"\ncertificate = \"a.pem\"\nkey = \"a.key\"").is_ok());
    assert!(parse("[admin]\nlisten = \"0.0.0.0:0\"\ncertificate = \"a.pem\"").unwrap_err().contains("without key"));
}

#[test]
fn over_tls_the_cookie_stays_on_tls() {
    let certificates = Certificates::new();
    let identity = certificates.identity(&["localhost"]);
    let origin = Origin::plain(|_| Reply::ok("hello"));
    let (certificate, key) = (identity.chain_file.display(), identity.key_file.display());
    let admin = format!("{OPEN}certificate = \"{certificate}\"\nkey = \"{key}\"\n");
    let pop = Pop::start(&format!("{admin}{}", site("a.test", &origin)));
    let door = Door::of(&pop);
    assert!(pop.edge().sign_in().unwrap().starts_with("https://"));
    let body = json!({ "token": door.token }).to_string();
    let mut client = Client::tls(door.address, &certificates.roots(), "localhost");
    let length = body.len();
    client.send(format!("POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"));
    let response = client.response();
    assert_eq!(response.status, 204);
    assert!(response.field("set-cookie").unwrap().ends_with("; Secure"));
}

#[test]
fn a_door_that_is_written_down_must_open_and_the_usual_one_need_not() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\n[admin]\nlisten = \"{}\"\n[[site]]\ndomains = [\"a.test\"]\n[site.origin]\n\
         servers = [\"192.0.2.1\"]\n",
        taken.local_addr().unwrap()
    );
    let config = millpond::config::Config::parse(&text, "scene.toml".as_ref()).unwrap();
    let mut usual = config.clone();
    usual.admin.as_mut().unwrap().is_written = false;
    assert!(millpond::Edge::start(config).is_err());
    assert_eq!(millpond::Edge::start(usual).unwrap().addresses().admin, None);
}

#[test]
fn the_door_does_not_move_while_it_is_open() {
    let (origin, pop, door) = open();
    let listen = "http = \"127.0.0.1:0\"";
    let moved = pop.reload(listen, &format!("[admin]\nlisten = \"127.0.0.1:1\"\n{}", site("a.test", &origin)));
    assert!(moved.unwrap_err().to_string().contains("admin.listen"));
    let named = format!("{OPEN}hosts = [\"console.test\"]\n{}", site("a.test", &origin));
    assert_eq!(pop.reload(listen, &named).unwrap().tables, ["admin"]);
    let mut client = Client::plain(door.address);
    client.send(format!("GET /api/v1/version HTTP/1.1\r\nHost: console.test\r\n{}\r\n\r\n", door.bearer()));
    assert_eq!(client.response().status, 200, "it answers to its new name");
}
