//! The API at the operator's door: every answer as the OpenAPI document describes it, and true.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use serde_json::{Value, json};
use support::door::{OPEN, json_of};
use support::pop::{https_table, site, site_at};
use support::schema::faults;
use support::{Certificates, Client, Door, Gate, Origin, Pop, Reply, TempDir, wait_until};

/// A POP with a door and a configuration file, in front of an origin, with a dead site beside it.
struct Scene {
    origin: Origin,
    pop: Pop,
    door: Door,
    document: Value,
}

impl Scene {
    fn new() -> Scene {
        let origin = Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: max-age=60"], "hello"));
        let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let sites = [site("a.test", &origin), site_at("dead.test", &dead.to_string(), "", "")].concat();
        let pop = Pop::start(&format!("{OPEN}{sites}"));
        let door = Door::of(&pop);
        let document = json_of(&door.raw("GET", "/api/v1/openapi.json", &[], ""));
        Scene { origin, pop, door, document }
    }

    /// The answer to GET, which is as it is described.
    #[track_caller]
    fn get(&self, target: &str) -> Value {
        let value = self.door.json(target);
        self.check("get", target, 200, &value);
        value
    }

    /// The answer to POST with that status, as it is described.
    #[track_caller]
    fn post(&self, target: &str, body: &Value, status: u16) -> Value {
        let (got, value) = self.door.post(target, body);
        assert_eq!(got, status, "{target} {body}: {value}");
        self.check("post", target, status, &value);
        value
    }

    #[track_caller]
    fn check(&self, method: &str, target: &str, status: u16, value: &Value) {
        let path = target.split('?').next().unwrap();
        let responses = &self.document["paths"][path][method]["responses"];
        let problem = &self.document["components"]["responses"]["Problem"];
        let response = if status < 300 { &responses[status.to_string()] } else { problem };
        let content =
            response["content"].as_object().unwrap_or_else(|| panic!("{method} {path} {status} is described"));
        let schema = &content.values().next().unwrap()["schema"];
        let found = faults(&self.document, schema, value, path);
        assert!(found.is_empty(), "{found:#?}\n{value:#}");
    }
}

#[test]
fn every_path_without_parameters_answers_as_it_is_described() {
    let scene = Scene::new();
    scene.pop.get("/");
    scene.pop.get("/");
    scene.pop.client().get("dead.test", "/");
    let mut seen = 0;
    for (path, operations) in scene.document["paths"].as_object().unwrap() {
        let operation = &operations["get"];
        let is_json = operation["responses"]["200"]["content"]["application/json"].is_object();
        let needs_more =
            operation["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["required"] == true));
        if is_json && !needs_more && !path.contains('{') {
            scene.get(path);
            seen += 1;
        }
    }
    assert!(seen >= 9, "{seen}");
}

#[test]
fn every_example_of_a_request_is_one() {
    let scene = Scene::new();
    let operations = scene.document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
    let mut seen = 0;
    for (_, operation) in operations {
        let Some(contents) = operation["requestBody"]["content"].as_object() else { continue };
        for content in contents.values().filter(|content| !content["example"].is_null()) {
            let found = faults(&scene.document, &content["schema"], &content["example"], "example");
            assert!(found.is_empty(), "{found:#?}");
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn the_overview_counts_what_happened() {
    let scene = Scene::new();
    for _ in 0..3 {
        assert_eq!(scene.pop.get("/x").status, 200);
    }
    scene.pop.client().get("dead.test", "/");
    let door = &scene.door;
    wait_until(|| door.json("/api/v1/stats")["by_site"][0]["requests"] == 3);
    let stats = scene.get("/api/v1/stats");
    assert_eq!([&stats["requests"], &stats["hits"], &stats["fetches"], &stats["fetch_failures"]], [4, 2, 2, 1]);
    assert_eq!(stats["hit_ratio"], 0.5);
    assert_eq!([&stats["bytes_from_origin"], &stats["stored"]], [5, 1]);
    assert_eq!(stats["failures_by_cause"], json!([{ "cause": "connection_refused", "count": 1 }]));
    assert_eq!([&stats["responses"]["2xx"], &stats["responses"]["5xx"]], [3, 1]);
    let expected = json!({ "site": "a.test", "requests": 3, "hits": 2, "bytes_sent": 15, "fetches": 1, "failures": 0 });
    assert_eq!(stats["by_site"][0], expected);
    assert_eq!(stats["by_site"][1]["failures"], 1);
}

#[test]
fn a_failure_is_told_with_its_scope_and_what_to_look_at() {
    let scene = Scene::new();
    scene.pop.client().get("dead.test", "/");
    let failures = scene.get("/api/v1/failures?site=dead.test");
    let failure = &failures["items"][0];
    assert_eq!(
        [&failure["cause"], &failure["phase"], &failure["scope"]],
        ["connection_refused", "connect", "one address"]
    );
    assert_eq!([&failure["status"], &failure["count"]], [502, 1]);
    assert_eq!([&failure["ever_good"], &failure["open"]], [false, true]);
    assert!(failure["fix_hint"].as_str().unwrap().contains("port"));
    assert_eq!(scene.get("/api/v1/failures?site=a.test")["items"], json!([]));
    assert_eq!(
        scene.door.get("/api/v1/failures?sites=a.test").status,
        400,
        "a name that is not there is not passed over"
    );
}

#[test]
fn the_cache_tells_of_the_largest_and_the_hottest() {
    let scene = Scene::new();
    scene.pop.get("/cold");
    for _ in 0..4 {
        scene.pop.get("/hot?x=1");
    }
    let cache = scene.get("/api/v1/cache");
    assert_eq!([&cache["stored"], &cache["by_site"][0]["stored"]], [2, 2]);
    assert_eq!(cache["by_site"].as_array().unwrap().len(), 1);
    assert_eq!(
        [&cache["hottest"][0]["url"], &cache["hottest"][0]["hits"]],
        [&json!("http://a.test/hot?x=1"), &json!(3)]
    );
    assert_eq!(cache["largest"].as_array().unwrap().len(), 2);
    assert_eq!(cache["largest"][0]["lifetime_seconds"], 60);
    assert!(cache["bytes"].as_u64() >= cache["by_site"][0]["bytes"].as_u64());
}

#[test]
fn a_url_is_explained_with_what_is_stored_for_it() {
    let scene = Scene::new();
    let ask = |url: &str| scene.post("/api/v1/explain", &json!({ "url": url }), 200);
    assert_eq!(ask("http://a.test/x")["stored"], Value::Null);
    scene.pop.get("/x");
    let told = ask("http://a.test/x");
    assert_eq!([&told["site"], &told["key"], &told["host"]], ["a.test", "http|a.test|/x", "a.test"]);
    assert_eq!([&told["stored"]["lifetime_seconds"], &told["stored"]["fresh"]], [&json!(60), &json!(true)]);
    assert_eq!(told["origin"], format!("http://{}", scene.origin.address()));
    assert!(told["text"].as_str().unwrap().starts_with("site"));
    scene.post("/api/v1/explain", &json!({ "url": "http://other.test/" }), 404);
    scene.post("/api/v1/explain", &json!({ "url": "nonsense" }), 422);
    scene.post("/api/v1/explain", &json!({ "url": "http://a.test/", "methods": "GET" }), 422);
    scene.post("/api/v1/explain", &json!([]), 422);
}

#[test]
fn the_doctor_tells_its_steps_and_then_all() {
    let scene = Scene::new();
    let lines = |body: &Value| {
        let response = scene.door.ask("POST", "/api/v1/doctor", &body.to_string());
        assert_eq!((response.status, response.field("content-type")), (200, Some("application/x-ndjson")));
        let lines: Vec<Value> = response.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines
    };
    let told = lines(&json!({ "target": "dead.test" }));
    assert_eq!(told[0]["event"], "checking");
    assert!(told.iter().any(|line| line["event"] == "check" && line["check"]["name"] == "DNS"), "{told:?}");
    let last = told.last().unwrap();
    assert_eq!((&last["event"], &last["report"]["healthy"]), (&json!("report"), &json!(false)));
    assert!(last["report"]["ending"].as_str().unwrap().contains("refused the connection"));
    // A server of a site may be looked at under other names.
    let told = lines(&json!({ "origin": format!("http://{}", scene.origin.address()), "host": "b.test" }));
    assert_eq!(told.last().unwrap()["report"]["healthy"], true);
}

#[test]
fn the_doctor_looks_at_no_private_server_that_no_site_has() {
    let scene = Scene::new();
    let outside = Origin::plain(|_| Reply::ok("secret"));
    let report = |door: &Door, origin: &str| {
        let response = door.ask("POST", "/api/v1/doctor", &json!({ "origin": origin }).to_string());
        assert_eq!(response.status, 200, "{response:?}");
        let last: Value = serde_json::from_str(response.text().lines().last().unwrap()).unwrap();
        last["report"].clone()
    };
    for host in ["127.0.0.1", "localhost"] {
        let told = report(&scene.door, &format!("http://{host}:{}", outside.port())).to_string();
        assert!(told.contains("destination_ip_prohibited") && told.contains("any_target = true"), "{told}");
    }
    assert_eq!(outside.connections(), 0);
    // Whatever is not private may be looked at before there is a site for it.
    let told = report(&scene.door, "http://nowhere.invalid").to_string();
    assert!(told.contains("dns_") && !told.contains("destination_ip_prohibited"), "{told}");
    scene.post("/api/v1/doctor", &json!({}), 422);
    scene.post("/api/v1/doctor", &json!({ "target": "a b" }), 404);
    scene.post("/api/v1/doctor", &json!({ "target": "a.test", "origin": "http://a.test" }), 422);
    let any = OPEN.to_owned() + "any_target = true\n";
    let pop = Pop::start(&(any + &site("a.test", &scene.origin)));
    let told = report(&Door::of(&pop), &format!("http://{}", outside.address()));
    assert_eq!(told["healthy"], true, "{told}");
}

#[test]
fn a_diagnosis_ends_when_nobody_listens_and_few_run_at_once() {
    let gate = Gate::new();
    let held = gate.clone();
    let first =
        Origin::plain(move |_| Reply::nothing().wait(&held).then("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let second = Origin::plain(|_| Reply::ok("x"));
    let servers = format!("{}\", \"{}", first.address(), second.address());
    let pop = Pop::start(&format!("{OPEN}{}", site_at("a.test", &servers, "", "")));
    let door = Door::of(&pop);
    let body = json!({ "target": "a.test" }).to_string();
    let diagnosis = || {
        let mut client = Client::plain(door.address);
        let head = format!("POST /api/v1/doctor HTTP/1.1\r\nHost: {}\r\n{}\r\n", door.address, door.bearer());
        client.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()));
        assert_eq!(client.head_of("POST").status, 200);
        client
    };
    let listening: Vec<Client> = (0..4).map(|_| diagnosis()).collect();
    gate.wait_for_arrivals(4);
    let busy = door.ask("POST", "/api/v1/doctor", &body);
    assert_eq!((busy.status, busy.field("retry-after")), (503, Some("10")));
    listening.into_iter().for_each(Client::reset);
    // The door's one worker answers in order: behind these two it has seen the others leave.
    assert_eq!([door.get("/api/v1/version").status, door.get("/api/v1/version").status], [200, 200]);
    assert_eq!(second.connections(), 0);
    gate.open();
    let is_free = || door.ask("POST", "/api/v1/doctor", &json!({ "target": "b.test" }).to_string()).status == 200;
    wait_until(is_free);
    // A stop waits for what is under way.
    pop.shutdown();
    assert_eq!(second.connections(), 0, "what nobody waits for is not looked at");
}

#[test]
fn a_text_is_checked_as_the_file_it_would_be() {
    let scene = Scene::new();
    let check = |text: &str| {
        let response = scene.door.ask("POST", "/api/v1/check", text);
        assert_eq!(response.status, 200, "{response:?}");
        let value = json_of(&response);
        scene.check("post", "/api/v1/check", 200, &value);
        value
    };
    let good = check(&site("a.test", &scene.origin));
    assert_eq!((&good["ok"], &good["problems"]), (&json!(true), &json!([])));
    let bad = check("[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"x\"]\nsni = \"10.0.0.1\"\n");
    assert_eq!(bad["ok"], false);
    assert_eq!([&bad["problems"][0]["line"], &bad["problems"][0]["key"]], [&json!(5), &json!("site[1].origin.sni")]);
    let missing = check(&format!(
        "{}[site.https]\ncertificate = \"/none.pem\"\nkey = \"/none.key\"\n",
        site("a.test", &scene.origin)
    ));
    assert!(missing["problems"][0]["what"].as_str().unwrap().contains("/none.pem"));
}

#[test]
fn the_file_is_put_in_force_or_its_problems_are_told() {
    let origin = Origin::plain(|_| Reply::ok("hello"));
    let dir = TempDir::new();
    let text = |domain: &str| format!("[listen]\nhttp = \"127.0.0.1:0\"\n{OPEN}{}", site(domain, &origin));
    let path = dir.write("millpond.toml", text("a.test"));
    let edge = millpond::Edge::start(millpond::config::Config::load(&path).unwrap()).unwrap();
    let token = edge.sign_in().unwrap().split_once("token=").unwrap().1.to_owned();
    let door = Door { address: edge.addresses().admin.unwrap(), token };
    let version = door.json("/api/v1/version");
    assert_eq!((&version["config_file"], &version["writable"]), (&json!(path.display().to_string()), &json!(true)));
    dir.write("millpond.toml", text("b.test"));
    let response = door.ask("POST", "/api/v1/reload", "");
    assert_eq!(response.status, 200);
    let changed = json_of(&response)["changed"].to_string();
    assert!(changed.contains("1 site added (b.test)") && changed.contains("1 site removed (a.test)"), "{changed}");
    dir.write("millpond.toml", text("b.test") + "nonsense = 1\n");
    let response = door.ask("POST", "/api/v1/reload", "");
    let problem = json_of(&response);
    assert_eq!((response.status, &problem["problems"][0]["hint"].is_string()), (422, &true));
    assert!(problem["problems"][0]["what"].as_str().unwrap().contains("no such key"), "{problem}");
    edge.shutdown();
}

#[test]
fn certificates_are_told_with_the_days_they_have_left() {
    let certificates = Certificates::new();
    let identity = certificates.identity(&["a.test"]);
    let origin = Origin::plain(|_| Reply::ok("hello"));
    let sites = format!("{OPEN}{}{}", site("a.test", &origin), https_table(&identity));
    let pop = Pop::start_with_https(&sites);
    let told = Door::of(&pop).json("/api/v1/certificates");
    let row = &told["items"][0];
    assert_eq!([&row["side"], &row["site"], &row["names"][0]], ["client", "a.test", "a.test"]);
    assert!(row["days_left"].as_i64().is_some() && row["state"].is_string(), "{row}");
}

#[test]
fn the_log_level_is_told_and_set() {
    let scene = Scene::new();
    let set = scene.door.ask_with("PUT", "/api/v1/log-level", &[], "{\"level\":\"warn\"}");
    assert_eq!((set.status, json_of(&set)), (200, json!({ "level": "warn" })));
    assert_eq!(scene.get("/api/v1/log-level"), json!({ "level": "warn" }));
    assert_eq!(scene.door.ask("PUT", "/api/v1/log-level", "{\"level\":\"loud\"}").status, 422);
}

#[test]
fn requests_that_mean_nothing_are_refused_with_the_reason() {
    let scene = Scene::new();
    let rows = [
        ("POST", "/api/v1/explain", "{", 400),
        ("POST", "/api/v1/explain", "[1]", 422),
        ("POST", "/api/v1/explain", "", 400),
        ("POST", "/api/v1/explain", "{\"url\":\"http://a.test/\",\"url\":\"http://b.test/\"}", 400),
        ("POST", "/api/v1/reload", "x", 400),
        ("GET", "/api/v1/stats?x=1", "", 400),
        ("GET", "/api/v1/failures?site=a&site=b", "", 400),
        ("GET", "/api/v1/failures?site=%ff", "", 400),
        ("PATCH", "/api/v1/stats", "", 405),
        ("GET", "/api/v1/stats/", "", 404),
    ];
    for (method, target, body, status) in rows {
        let response = scene.door.ask(method, target, body);
        assert_eq!(response.status, status, "{method} {target} {body}");
        assert_eq!(response.field("content-type"), Some("application/problem+json"), "{method} {target}");
        let problem = json_of(&response);
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
    // The second is what curl says of its own accord.
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let typed = scene.door.ask_with("POST", "/api/v1/explain", &[&format!("Content-Type: {kind}")], "{}");
        assert!(typed.status == 415 && typed.text().contains("Content-Type: application/json"), "{typed:?}");
    }
    let packed = scene.door.ask_with("POST", "/api/v1/explain", &["Content-Encoding: gzip"], "{}");
    assert_eq!(packed.status, 415);
}

/// Without a type of its own, what curl sends is a form, which is refused.
#[test]
fn the_manuals_commands_send_their_bodies_as_json() {
    let manual = include_str!("../README.md").replace("\\\n", "");
    let with_body = |line: &&str| line.starts_with("curl ") && line.contains("'{\"");
    let commands: Vec<&str> = manual.lines().filter(with_body).collect();
    assert!(commands.len() >= 3, "{commands:?}");
    for command in commands {
        assert!(command.contains(" --json ") && !command.contains(" -d "), "{command}");
    }
}
