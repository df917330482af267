//! Sites made, changed and taken back at the operator's door: written into the file, rehearsed, in force at once.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;

use millpond::Edge;
use millpond::config::Config;
use serde_json::{Value, json};
use support::client::Response;
use support::door::json_of;
use support::{Certificates, Client, Door, Gate, Leaf, Origin, OriginTls, Reply, TempDir};

/// A POP that serves a file, with a state directory beside it.
struct Scene {
    folder: TempDir,
    edge: Edge,
    door: Door,
}

const HEAD: &str = "# The POP of the north.\n[listen]\nhttp = \"127.0.0.1:0\" # any port\n[admin]\nlisten = \
                    \"127.0.0.1:0\"\n[state]\ndir = \"state\"\n";

impl Scene {
    #[track_caller]
    fn new(sites: &str) -> Scene {
        let folder = TempDir::new();
        let path = folder.path().join("m.toml");
        fs::write(&path, format!("{HEAD}{sites}")).unwrap();
        let edge = Edge::start(Config::load_with_door(&path).unwrap()).unwrap();
        let sign_in = edge.sign_in().unwrap();
        let token = sign_in.split_once("#token=").unwrap().1.to_owned();
        let door = Door { address: edge.addresses().admin.unwrap(), token };
        Scene { folder, edge, door }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("m.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// What a client gets under `domain`.
    #[track_caller]
    fn get(&self, domain: &str) -> Response {
        Client::plain(self.edge.addresses().http[0]).get(domain, "/")
    }

    /// A change of the state that is read first.
    #[track_caller]
    fn change(&self, method: &str, target: &str, body: &str) -> (u16, Value) {
        let etag = self.door.get("/api/v1/config").field("etag").unwrap().to_owned();
        self.change_of(&etag, method, target, body)
    }

    #[track_caller]
    fn change_of(&self, etag: &str, method: &str, target: &str, body: &str) -> (u16, Value) {
        let response = self.door.ask_with(method, target, &[&format!("If-Match: {etag}")], body);
        (response.status, json_of(&response))
    }

    #[track_caller]
    fn patch(&self, site: &str, settings: &Value) -> (u16, Value) {
        self.change("PATCH", &format!("/api/v1/sites/{site}"), &settings.to_string())
    }
}

/// The lines that a change adds and takes away.
fn changed(told: &Value) -> Vec<String> {
    let lines = told["diff"].as_array().unwrap().iter().filter(|line| line["kind"] != " ");
    lines.map(|line| format!("{}{}", line["kind"].as_str().unwrap(), line["text"].as_str().unwrap())).collect()
}

fn hello() -> Origin {
    Origin::plain(|request| Reply::response("200 OK", &[], request.field("host").unwrap()))
}

fn site(domain: &str, server: &str) -> String {
    format!("\n# Of {domain}.\n[[site]]\ndomains = [\"{domain}\"]\n[site.origin]\nservers = [\"{server}\"] # here\n")
}

#[test]
fn the_first_site_is_made_wholly_at_the_door() {
    let origin = hello();
    let scene = Scene::new("");
    assert_eq!(scene.get("a.test").status, 421);
    assert_eq!(scene.door.json("/api/v1/sites")["items"], json!([]));
    let wanted =
        json!({ "domains": ["a.test"], "origin": { "servers": [origin.address().to_string()], "host": null } });
    let (status, told) = scene.door.post("/api/v1/sites?dry_run=true", &json!({ "settings": wanted }));
    assert_eq!((status, &told["applied"], &told["rehearsal"]), (200, &json!(false), &Value::Null));
    assert_eq!(scene.get("a.test").status, 421, "nothing is written by looking");
    let (status, told) = scene.door.post("/api/v1/sites", &wanted);
    assert_eq!((status, &told["applied"]), (201, &json!(true)), "{told}");
    assert_eq!(told["rehearsal"]["sites"][0]["ok"], true, "{told}");
    let server = format!("+servers = [\"{}\"]", origin.address());
    assert_eq!(changed(&told), ["+", "+[[site]]", "+domains = [\"a.test\"]", "+", "+[site.origin]", &server]);
    assert_eq!(scene.get("a.test").text(), "a.test");
    assert!(scene.text().starts_with(HEAD), "{}", scene.text());
    let row = &scene.door.json("/api/v1/sites")["items"][0];
    assert_eq!((&row["name"], &row["protocol"], &row["healthy"]), (&json!("a.test"), &json!("by-port"), &json!(true)));
    let (status, told) = scene.door.post("/api/v1/sites", &wanted);
    assert_eq!(status, 409, "{told}");
    // And away again: there may be none as long as the door is open.
    assert_eq!(scene.change("DELETE", "/api/v1/sites/A.test", "").0, 200);
    assert_eq!(scene.get("a.test").status, 421);
    assert_eq!(scene.text().trim_end(), HEAD.trim_end());
    scene.edge.shutdown();
}

#[test]
fn a_new_sni_heals_a_site_and_leaves_every_other_line_alone() {
    let certificates = Certificates::new();
    let secure =
        Origin::tls(OriginTls::new(&certificates.issue("o", &Leaf::names(&["right.test"]))), |_| Reply::ok("healed"));
    let trust = certificates.ca_file().display().to_string();
    let text = format!(
        "{}protocol = \"https\"\ntrust = \"{trust}\"\n# The bucket's name.\nsni = 'wrong.test' # since May\n{}",
        site("a.test", &secure.address().to_string()),
        site("b.test", "192.0.2.1:80")
    );
    let scene = Scene::new(&text);
    assert_eq!(scene.get("a.test").status, 502);
    let row = &scene.door.json("/api/v1/sites")["items"][0];
    assert_eq!((&row["healthy"], &row["sni"]), (&json!(false), &json!("wrong.test")));
    assert_eq!(row["last_failure"]["cause"], "tls_certificate_error");
    let read = scene.door.json("/api/v1/sites/a.test");
    let line = scene.text().lines().position(|line| line.starts_with("sni")).unwrap() + 1;
    assert_eq!(
        (&read["lines"]["origin.sni"], &read["settings"]["origin"]["sni"]),
        (&json!(line), &json!("wrong.test"))
    );
    assert_eq!(read["effective"]["origin"]["timeouts"]["connect"], "3s");
    let (status, told) = scene.patch("a.test", &json!({ "origin": { "sni": "right.test" } }));
    assert_eq!((status, &told["rehearsal"]["healthy"]), (200, &json!(true)), "{told}");
    assert_eq!(changed(&told), ["-sni = 'wrong.test' # since May", "+sni = \"right.test\" # since May"]);
    assert_eq!(scene.text(), format!("{HEAD}{text}").replace("'wrong.test'", "\"right.test\""));
    assert_eq!(scene.get("a.test").text(), "healed");
    scene.edge.shutdown();
}

#[test]
fn the_doctors_own_lines_are_written_where_they_belong() {
    let origin = hello();
    let scene = Scene::new(&site("a.test", &origin.address().to_string()));
    let origin_line = scene.text().lines().position(|line| line == "[site.origin]").unwrap() + 1;
    let fix = |file: &str, section_line: usize| {
        json!({ "changes": [{ "file": file, "line": 0, "key": "site[1].origin.host", "section": "[site.origin]",
            "section_line": section_line, "text": "host = \"h.test\"" }] })
    };
    let own = scene.path().display().to_string();
    let apply = |body: &Value| scene.change("POST", "/api/v1/config/apply_fix", &body.to_string());
    assert_eq!(apply(&fix("/elsewhere.toml", origin_line)).0, 422);
    assert_eq!(apply(&fix(&own, origin_line + 1)).0, 409, "the file is another one by now");
    assert_eq!(apply(&json!({ "changes": [{ "line": 1 }] })).0, 422);
    let (status, told) = apply(&fix(&own, origin_line));
    assert_eq!((status, changed(&told)), (200, vec!["+host = \"h.test\"".to_owned()]), "{told}");
    assert_eq!(scene.get("a.test").text(), "h.test");
    scene.edge.shutdown();
}

#[test]
fn a_bad_change_is_refused_with_its_place_and_writes_nothing() {
    let origin = hello();
    let scene = Scene::new(&site("a.test", &origin.address().to_string()));
    let before = scene.text();
    for (settings, key, what) in [
        (json!({ "origin": { "sni": "10.0.0.1" } }), "site[1].origin.sni", "is an IP address"),
        (json!({ "origin": { "server": ["x"] } }), "site[1].origin.server", "no such key"),
        (json!({ "origin": null }), "site[1].origin", "missing"),
        (json!({ "https": { "certificate": "no.pem", "key": "no.key" } }), "site[1].https.certificate", "cannot read"),
        (json!({ "max_fetches": "many" }), "site[1].max_fetches", "number"),
    ] {
        for target in ["/api/v1/sites/a.test", "/api/v1/sites/a.test?dry_run=true"] {
            let (status, told) = scene.change("PATCH", target, &settings.to_string());
            assert_eq!(status, 422, "{settings} {told}");
            let problems = told["problems"].as_array().unwrap();
            let found = problems.iter().find(|problem| {
                problem["key"].as_str().unwrap().starts_with(key) && problem["what"].as_str().unwrap().contains(what)
            });
            let found = found.unwrap_or_else(|| panic!("{settings} {told}"));
            assert!(found["line"].as_u64().unwrap() > 0 && found["hint"].is_string(), "{found}");
            assert_eq!(found["file"], scene.path().display().to_string());
        }
    }
    let (status, _) = scene.patch("a.test", &json!({ "domains": [null] }));
    assert_eq!(status, 422);
    assert_eq!(scene.change("PUT", "/api/v1/config", "not TOML").0, 422);
    assert_eq!(scene.patch("nobody.test", &json!({})).0, 404);
    assert_eq!(scene.door.get("/api/v1/sites/nobody.test").status, 404);
    assert_eq!(scene.text(), before);
    assert_eq!(scene.door.json("/api/v1/config/versions")["items"], json!([]));
    assert_eq!(scene.get("a.test").status, 200);
    scene.edge.shutdown();
}

#[test]
fn whoever_read_an_older_state_does_not_write_over_a_newer_one() {
    let origin = hello();
    let scene = Scene::new(&site("a.test", &origin.address().to_string()));
    let settings = json!({ "origin": { "host": "h.test" } }).to_string();
    let response = scene.door.ask("PATCH", "/api/v1/sites/a.test", &settings);
    assert_eq!((response.status, json_of(&response)["status"].clone()), (428, json!(428)));
    assert_eq!(scene.door.ask("PUT", "/api/v1/config", "").status, 428);
    let read = scene.door.get("/api/v1/sites/a.test");
    let etag = read.field("etag").unwrap().to_owned();
    // By hand, meanwhile.
    fs::write(scene.path(), scene.text() + "# By hand.\n").unwrap();
    assert_eq!(scene.change_of(&etag, "PATCH", "/api/v1/sites/a.test", &settings).0, 412);
    assert_eq!(scene.change_of(&etag, "DELETE", "/api/v1/sites/a.test", "").0, 412);
    let (status, told) = scene.patch("a.test", &json!({ "origin": { "host": "h.test" } }));
    assert_eq!(status, 200);
    assert!(scene.text().contains("# By hand."));
    let after = scene.door.get("/api/v1/config");
    assert_eq!(after.field("etag"), told["etag"].as_str());
    assert_eq!(after.text(), scene.text());
    // Read anew only where there is something new.
    let etag = after.field("etag").unwrap();
    for target in ["/api/v1/config", "/api/v1/sites/a.test"] {
        let again =
            scene.door.ask_with("GET", target, &["If-None-Match: \"x\"", &format!("If-None-Match: W/{etag}")], "");
        assert_eq!((again.status, again.field("etag"), again.text().as_str()), (304, Some(etag), ""), "{target}");
        assert_eq!(scene.door.ask_with("GET", target, &["If-None-Match: \"x\""], "").status, 200, "{target}");
    }
    // A list may stand on several lines; a weak tag never matches a strong one.
    let check = |lines: &[&str]| scene.door.ask_with("DELETE", "/api/v1/sites/a.test?dry_run=true", lines, "").status;
    let line = format!("If-Match: {etag}");
    assert_eq!(check(&["If-Match: \"x\"", &line]), 200);
    assert_eq!(check(&["If-Match: *"]), 200);
    assert_eq!(check(&[&format!("If-Match: W/{etag}")]), 412);
    scene.edge.shutdown();
}

#[test]
fn an_earlier_version_is_listed_read_and_restored() {
    let origin = hello();
    let scene = Scene::new(&site("a.test", &origin.address().to_string()));
    let before = scene.text();
    let (_, told) = scene.patch("a.test", &json!({ "origin": { "host": "h.test" } }));
    let version = told["version"].as_str().unwrap().to_owned();
    assert_eq!(scene.get("a.test").text(), "h.test");
    let listed = scene.door.json("/api/v1/config/versions");
    assert_eq!((&listed["items"][0]["version"], &listed["items"][0]["bytes"]), (&json!(version), &json!(before.len())));
    let path = format!("/api/v1/config/versions/{version}");
    assert_eq!(scene.door.get(&path).text(), before);
    let (status, told) = scene.change("POST", &format!("{path}/restore?dry_run=true"), "");
    assert_eq!((status, changed(&told)), (200, vec!["-host = \"h.test\"".to_owned()]));
    assert_eq!(scene.get("a.test").text(), "h.test");
    assert_eq!(scene.change("POST", &format!("{path}/restore"), "").0, 200);
    assert_eq!((scene.text(), scene.get("a.test").text()), (before, "a.test".to_owned()));
    assert_eq!(scene.door.json("/api/v1/config/versions")["items"].as_array().unwrap().len(), 2);
    for strange in ["nothing", "..%2F..%2Fm", "000000000000000-0000000000000000"] {
        assert_eq!(scene.door.get(&format!("/api/v1/config/versions/{strange}")).status, 404, "{strange}");
    }
    scene.edge.shutdown();
}

#[test]
fn a_change_that_would_break_a_healthy_site_is_refused_unless_it_is_forced() {
    let origin = hello();
    let scene = Scene::new(&site("a.test", &origin.address().to_string()));
    let before = scene.text();
    // Nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let broken = json!({ "origin": { "servers": [closed] } });
    let (status, told) = scene.patch("a.test", &broken);
    assert_eq!((status, &told["rehearsal"]["healthy"]), (409, &json!(false)), "{told}");
    assert!(told["rehearsal"]["sites"][0]["ending"].as_str().unwrap().contains("refused"), "{told}");
    assert_eq!((scene.text(), scene.get("a.test").status), (before, 200));
    let (status, told) = scene.change("PATCH", "/api/v1/sites/a.test?dry_run=true&rehearse=true", &broken.to_string());
    assert_eq!((status, &told["rehearsal"]["healthy"]), (200, &json!(false)));
    let (status, _) = scene.change("PATCH", "/api/v1/sites/a.test?force=true", &broken.to_string());
    assert_eq!((status, scene.get("a.test").status), (200, 502));
    // What is broken already may be changed to something else that is.
    let (status, _) = scene.patch("a.test", &json!({ "origin": { "servers": [closed], "host": "h.test" } }));
    assert_eq!(status, 200);
    let (status, _) = scene.change(
        "PATCH",
        "/api/v1/sites/a.test?rehearse=false",
        &json!({ "origin": { "servers": [origin.address().to_string()] } }).to_string(),
    );
    assert_eq!((status, scene.get("a.test").text()), (200, "h.test".to_owned()));
    scene.edge.shutdown();
}

#[test]
fn a_rehearsal_says_which_sites_it_does_not_look_at() {
    let origin = hello();
    let scene = Scene::new("");
    let sites: String = (0..17).map(|number| site(&format!("{number}.test"), &origin.address().to_string())).collect();
    let target = "/api/v1/config?dry_run=true&rehearse=true";
    let (status, told) = scene.change("PUT", target, &format!("{}{sites}", scene.text()));
    let rows = told["rehearsal"]["sites"].as_array().unwrap();
    assert_eq!((status, rows.len(), &rows[15]["ok"], &rows[16]["ok"]), (200, 17, &json!(true), &Value::Null), "{told}");
    assert!(rows[16]["ending"].as_str().unwrap().starts_with("not looked at"), "{told}");
    scene.edge.shutdown();
}

#[test]
fn a_change_whose_client_leaves_while_it_is_rehearsed_is_not_made() {
    let (gate, origin) = (Gate::new(), hello());
    let held = gate.clone();
    let silent = Origin::plain(move |_| {
        held.wait();
        Reply::ok("late")
    });
    let scene = Scene::new(&site("a.test", &origin.address().to_string()));
    let (before, etag) = (scene.text(), scene.door.get("/api/v1/config").field("etag").unwrap().to_owned());
    let body = json!({ "origin": { "servers": [silent.address().to_string()] } }).to_string();
    let (address, bearer, length) = (scene.door.address, scene.door.bearer(), body.len());
    let mut client = TcpStream::connect(address).unwrap();
    let head = format!(
        "PATCH /api/v1/sites/a.test HTTP/1.1\r\nHost: {address}\r\n{bearer}\r\nIf-Match: {etag}\r\nContent-Length: \
         {length}\r\nConnection: close\r\n\r\n"
    );
    client.write_all(format!("{head}{body}").as_bytes()).unwrap();
    silent.wait_for_requests(1);
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 409 ") && answer.contains("rehearse=false"), "{answer}");
    assert_eq!((scene.text(), scene.get("a.test").text()), (before, "a.test".to_owned()));
    gate.open();
    scene.edge.shutdown();
}

#[test]
fn what_cannot_be_put_in_force_is_taken_out_of_the_file_again() {
    let origin = hello();
    let scene = Scene::new(&site("a.test", &origin.address().to_string()));
    let before = scene.text();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("http = [\"127.0.0.1:0\", \"{}\"]", taken.local_addr().unwrap());
    let (status, told) = scene.change("PUT", "/api/v1/config", &before.replace("http = \"127.0.0.1:0\"", &listen));
    assert_eq!(status, 422, "{told}");
    assert!(told["detail"].as_str().unwrap().contains("the file is as it was"), "{told}");
    assert_eq!((scene.text(), scene.get("a.test").status), (before, 200));
    scene.edge.shutdown();
}

/// A site whose origin's certificate has another name than its own, which the doctor mends.
struct Sick {
    _certificates: Certificates,
    _origin: Origin,
    site: String,
}

fn sick() -> Sick {
    let certificates = Certificates::new();
    let origin =
        Origin::tls(OriginTls::new(&certificates.issue("o", &Leaf::names(&["right.test"]))), |_| Reply::ok("healed"));
    let trust = certificates.ca_file().display().to_string();
    let site = site("a.test", &origin.address().to_string()) + &format!("protocol = \"https\"\ntrust = \"{trust}\"\n");
    Sick { _certificates: certificates, _origin: origin, site }
}

/// Has the doctor look at the site, and its remedy written.
#[track_caller]
fn healed(scene: &Scene) {
    let told = scene.door.ask("POST", "/api/v1/doctor", "{\"target\":\"a.test\"}").text();
    let last: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    let checks = last["report"]["servers"][0]["checks"].as_array().unwrap();
    let broken = checks.iter().find(|check| check["outcome"] == "BROKEN").unwrap_or_else(|| panic!("{last}"));
    let fix = json!({ "changes": broken["finding"]["fix"]["changes"] }).to_string();
    let (status, told) = scene.change("POST", "/api/v1/config/apply_fix", &fix);
    assert_eq!((status, changed(&told)), (200, vec!["+common_name_whitelist = [\"right.test\"]".to_owned()]), "{told}");
    assert_eq!(scene.get("a.test").text(), "healed");
}

#[test]
fn a_fix_of_the_doctors_heals_a_site_that_others_stood_before() {
    let sick = sick();
    let scene = Scene::new(&(site("b.test", "192.0.2.1:80") + &sick.site));
    assert_eq!(scene.change("DELETE", "/api/v1/sites/b.test", "").0, 200);
    healed(&scene);
    scene.edge.shutdown();
}

#[test]
fn a_fix_of_the_doctors_finds_its_line_after_a_comment_was_written_above_it() {
    let sick = sick();
    let scene = Scene::new(&sick.site);
    fs::write(scene.path(), format!("# One more line.\n{}", scene.text())).unwrap();
    let reloaded = scene.door.ask("POST", "/api/v1/reload", "");
    assert_eq!((reloaded.status, &json_of(&reloaded)["changed"]), (200, &json!([])));
    healed(&scene);
    scene.edge.shutdown();
}

#[test]
fn what_needs_a_restart_is_written_and_said() {
    let origin = hello();
    let scene = Scene::new(&site("a.test", &origin.address().to_string()));
    let text = scene.text() + "[workers]\nfetchers = 7\n[limits]\nrequest_fields = 50\n";
    let (status, told) = scene.change("PUT", "/api/v1/config", &text);
    assert_eq!((status, &told["applied"]), (200, &json!(true)), "{told}");
    assert_eq!(told["restart_needed"].as_array().unwrap().len(), 1, "{told}");
    assert!(told["restart_needed"][0].as_str().unwrap().starts_with("workers.fetchers"), "{told}");
    assert!(told["changed"][0].as_str().unwrap().contains("limits"), "{told}");
    assert_eq!(scene.text(), text);
    // Neither does it stand against what comes after it.
    let reloaded = scene.door.ask("POST", "/api/v1/reload", "");
    let (status, told) = (reloaded.status, json_of(&reloaded));
    assert_eq!((status, told["restart_needed"].as_array().unwrap().len()), (200, 1), "{told}");
    assert_eq!(scene.patch("a.test", &json!({ "origin": { "host": "h.test" } })).0, 200);
    assert_eq!(scene.get("a.test").text(), "h.test");
    scene.edge.shutdown();
}

#[test]
fn what_is_nested_too_deep_or_too_large_for_a_setting_is_refused() {
    let origin = hello();
    let scene = Scene::new(&site("a.test", &origin.address().to_string()));
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for depth in [70, 100, 10_000] {
        let (status, _) = scene.change("PUT", "/api/v1/config", &format!("a = {}", deep(depth)));
        assert_eq!(status, 422, "{depth}");
        let (status, _) = scene.change("PATCH", "/api/v1/sites/a.test", &format!("{{\"domains\": {}}}", deep(depth)));
        assert!([400, 422].contains(&status), "{depth} {status}");
    }
    for number in ["18446744073709551615", "1e400", "1.5", "-1", "9223372036854775807"] {
        let (status, _) = scene.change("PATCH", "/api/v1/sites/a.test", &format!("{{\"max_fetches\": {number}}}"));
        assert!([400, 422].contains(&status), "{number} {status}");
    }
    assert_eq!(scene.patch("a.test", &json!([])).0, 422);
    assert_eq!(scene.patch("a.test", &json!({ "settings": 1 })).0, 422);
    assert_eq!(scene.get("a.test").status, 200);
    scene.edge.shutdown();
}

#[test]
fn without_a_file_sites_are_told_and_nothing_can_be_changed() {
    let origin = hello();
    let config = Config::for_origin(&format!("http://{}", origin.address()), "127.0.0.1:0".parse().unwrap(), false);
    let mut config = config.unwrap().with_door();
    config.admin.as_mut().unwrap().listen = Some("127.0.0.1:0".parse().unwrap());
    let edge = Edge::start(config).unwrap();
    let token = edge.sign_in().unwrap().split_once("#token=").unwrap().1.to_owned();
    let door = Door { address: edge.addresses().admin.unwrap(), token };
    let listed = door.json("/api/v1/sites");
    assert_eq!((&listed["etag"], &listed["items"][0]["name"]), (&Value::Null, &json!("default")));
    assert_eq!(door.json("/api/v1/config/versions")["items"], json!([]));
    for (method, target) in [("GET", "/api/v1/config"), ("DELETE", "/api/v1/sites/default")] {
        assert_eq!(door.ask(method, target, "").status, 409, "{method} {target}");
    }
    edge.shutdown();
}
