//! Tasks and purges at the operator's door: every answer as the OpenAPI document describes it, and true.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::door::{OPEN, json_of};
use support::pop::{is_hit, site, site_with};
use support::schema::faults;
use support::{Door, Origin, Pop, Reply, wait_until};

struct Scene {
    pop: Pop,
    door: Door,
    document: Value,
    _origin: Origin,
}

impl Scene {
    fn new() -> Scene {
        let origin = Origin::plain(|request| match request.target.as_str() {
            "/404" => Reply::response("404 Not Found", &[], ""),
            target => Reply::response("200 OK", &["Cache-Control: max-age=600", "Cache-Groups: \"g\""], target),
        });
        let pop = Pop::start(&format!("{OPEN}{}", site("a.test", &origin)));
        let door = Door::of(&pop);
        let document = json_of(&door.raw("GET", "/api/v1/openapi.json", &[], ""));
        Scene { pop, door, document, _origin: origin }
    }

    /// The answer, which is as `path` is described.
    #[track_caller]
    fn ask(&self, method: &str, path: &str, target: &str, body: &Value, status: u16) -> Value {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let response = self.door.ask_with(method, target, &["Content-Type: application/json"], &text);
        assert_eq!(response.status, status, "{method} {target} {body}: {}", response.text());
        let value = if response.body.is_empty() { Value::Null } else { json_of(&response) };
        let responses = &self.document["paths"][path][method.to_ascii_lowercase()]["responses"];
        assert!(responses.is_object(), "{method} {path} is described");
        let response = match status {
            200..300 => &responses[status.to_string()],
            _ => &self.document["components"]["responses"]["Problem"],
        };
        if let Some(content) = response["content"].as_object() {
            let schema = &content.values().next().unwrap()["schema"];
            let found = faults(&self.document, schema, &value, path);
            assert!(found.is_empty(), "{found:#?}\n{value:#}");
        }
        value
    }

    #[track_caller]
    fn begin(&self, body: &Value, status: u16) -> Value {
        self.ask("POST", "/api/v1/tasks", "/api/v1/tasks", body, status)
    }

    #[track_caller]
    fn task(&self, id: &Value) -> Value {
        self.ask("GET", "/api/v1/tasks/{id}", &format!("/api/v1/tasks/{}", id.as_str().unwrap()), &Value::Null, 200)
    }

    #[track_caller]
    fn ended(&self, id: &Value) -> Value {
        wait_until(|| !self.task(id)["ended"].is_null());
        self.task(id)
    }

    #[track_caller]
    fn purge(&self, body: &Value, status: u16) -> Value {
        self.ask("POST", "/api/v1/purge", "/api/v1/purge", body, status)
    }
}

#[test]
fn a_task_is_begun_watched_and_forgotten() {
    let scene = Scene::new();
    let task = scene
        .begin(&json!({ "kind": "prefetch", "urls": ["http://a.test/a", "http://a.test/404", "http://b.test/"] }), 202);
    let id = &task["id"];
    let task = scene.ended(id);
    assert_eq!((&task["state"], &task["total"], &task["failed"]), (&json!("failed"), &json!(3), &json!(2)));
    let path = format!("/api/v1/tasks/{}", id.as_str().unwrap());
    let urls =
        |query: &str| scene.ask("GET", "/api/v1/tasks/{id}/urls", &format!("{path}/urls{query}"), &Value::Null, 200);
    let first = urls("?limit=1");
    assert_eq!((&first["items"][0]["url"], &first["items"][0]["cache"]), (&json!("http://a.test/a"), &json!("stored")));
    let rest = urls(&format!("?after={}", first["next"].as_str().unwrap()));
    let states =
        rest["items"].as_array().unwrap().iter().map(|url| (&url["status"], &url["cause"])).collect::<Vec<_>>();
    assert_eq!(states, [(&json!(404), &Value::Null), (&Value::Null, &json!("destination_not_found"))]);
    assert_eq!((&rest["next"], &urls("?state=failed")["total"]), (&Value::Null, &json!(2)));
    let list = scene.ask("GET", "/api/v1/tasks", "/api/v1/tasks?state=failed", &Value::Null, 200);
    assert_eq!((&list["total"], &list["items"][0]["id"]), (&json!(1), id));
    for (command, status) in [("pause", 409), ("resume", 409), ("cancel", 409), ("retry", 200)] {
        let pattern = format!("/api/v1/tasks/{{id}}/{command}");
        scene.ask("POST", &pattern, &format!("{path}/{command}"), &Value::Null, status);
    }
    scene.ended(id);
    scene.ask("DELETE", "/api/v1/tasks/{id}", &path, &Value::Null, 204);
    scene.ask("GET", "/api/v1/tasks/{id}", &path, &Value::Null, 404);
    scene.ask("POST", "/api/v1/tasks/{id}/retry", "/api/v1/tasks/none/retry", &Value::Null, 404);
}

#[test]
fn what_means_nothing_is_refused() {
    let scene = Scene::new();
    let url = ["http://a.test/"];
    for body in [
        json!({}),
        json!({ "urls": [] }),
        json!({ "urls": [1] }),
        json!({ "urls": url, "speed": 1 }),
        json!({ "urls": url, "kind": "purge" }),
        json!({ "urls": url, "rate_per_second": 0 }),
        json!({ "urls": url, "rate_per_second": 5_000_000_000_u64 }),
        json!({ "urls": url, "parallel": -1 }),
        json!({ "urls": url, "window": "25:00-01:00" }),
        json!({ "urls": url, "headers": [["Host", "b.test"]] }),
        json!({ "urls": url, "headers": [["X"]] }),
    ] {
        scene.begin(&body, 422);
    }
    for query in ["?state=flying", "?after=x", "?limit=0"] {
        scene.ask("GET", "/api/v1/tasks", &format!("/api/v1/tasks{query}"), &Value::Null, 400);
    }
    for body in [
        json!({}),
        json!({ "scope": "all" }),
        json!({ "scope": "url" }),
        json!({ "scope": "url", "value": "/x" }),
        json!({ "scope": "url", "value": "http://b.test/" }),
        json!({ "scope": "group", "value": "g" }),
        json!({ "scope": "everything", "mode": "softly" }),
        json!({ "scope": "everything", "mode": "count", "then_prefetch": true }),
        json!({ "scope": "everything", "value": "http://a.test/d/" }),
        json!({ "scope": "everything", "value": false }),
        json!({ "scope": "everything", "site": 1 }),
        json!({ "scope": "url", "value": "http://a.test/", "site": "a.test" }),
        json!({ "scope": "prefix", "value": "http://a.test/d?x" }),
        json!({ "scope": "url", "value": "http://b\u{fc}cher.test/" }),
    ] {
        scene.purge(&body, 422);
    }
}

#[test]
fn a_purge_is_told_even_where_nothing_can_be_begun_after_it() {
    let scene = Scene::new();
    scene.pop.get("/d/1");
    // As many tasks as there may be, none of which may begin for an hour at least.
    let hour = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() / 3600;
    let window = format!("{:02}:00-{:02}:00", (hour + 2) % 24, (hour + 3) % 24);
    let task = json!({ "urls": ["http://a.test/x"], "window": window });
    (0..100).for_each(|_| _ = scene.begin(&task, 202));
    let body = json!({ "scope": "url", "value": "http://a.test/d/1", "then_prefetch": true });
    let answer = scene.purge(&body, 200);
    assert_eq!((&answer["count"], &answer["prefetch_task"]), (&json!(1), &Value::Null));
    assert!(answer["prefetch_error"].as_str().unwrap().contains("too many tasks"), "{answer}");
}

#[test]
fn what_a_wildcards_domains_share_is_fetched_anew_by_a_name_that_can_be_asked_for() {
    let origin = Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: max-age=600"], "x"));
    let of_site = site_with("a.test", &origin, "share_domains = true", "host = \"origin.test\"");
    let of_site = of_site.replace("[\"a.test\"]", "[\"*.a.test\", \"www.a.test\"]");
    let pop = Pop::start(&format!("{OPEN}{of_site}"));
    let door = Door::of(&pop);
    pop.client().get("x.a.test", "/d");
    let body = json!({ "scope": "site", "value": "www.a.test", "then_prefetch": true });
    let (status, answer) = door.post("/api/v1/purge", &body);
    assert_eq!((status, &answer["count"]), (200, &json!(1)), "{answer}");
    let path = format!("/api/v1/tasks/{}", answer["prefetch_task"].as_str().unwrap());
    wait_until(|| door.json(&path)["state"] == "complete");
    assert_eq!(door.json(&format!("{path}/urls"))["items"][0]["url"], "http://www.a.test/d");
    assert!(is_hit(&pop.client().get("y.a.test", "/d")));
}

#[test]
fn a_purge_says_how_many_it_took_and_has_them_fetched_anew() {
    let scene = Scene::new();
    let store = || ["/d/1", "/d/2", "/e"].iter().for_each(|target| _ = scene.pop.get(target));
    let scopes = [
        (json!({ "scope": "url", "value": "http://a.test/d/1" }), 1),
        (json!({ "scope": "prefix", "value": "http://a.test/d" }), 2),
        (json!({ "scope": "glob", "value": "http://a.test/*1" }), 1),
        (json!({ "scope": "site", "value": "a.test" }), 3),
        (json!({ "scope": "group", "site": "http://a.test", "value": "g" }), 3),
        (json!({ "scope": "everything" }), 3),
    ];
    for (scope, count) in scopes {
        store();
        let mut body = scope.clone();
        body["mode"] = json!("count");
        assert_eq!(scene.purge(&body, 200)["count"], count, "{scope}");
        body["mode"] = json!("soft");
        body["then_prefetch"] = json!(true);
        let answer = scene.purge(&body, 200);
        assert_eq!(answer["count"], count, "{scope}");
        let task = scene.ended(&answer["prefetch_task"]);
        assert_eq!((&task["state"], &task["total"]), (&json!("complete"), &json!(count)), "{scope}");
        let hits = ["/d/1", "/d/2", "/e"].iter().filter(|target| is_hit(&scene.pop.get(target))).count();
        assert_eq!(hits, 3, "{scope}: all are there, and fresh");
        let answer = scene.purge(&scope, 200);
        assert_eq!((&answer["count"], &answer["prefetch_task"]), (&json!(count), &Value::Null));
        assert_eq!(scene.pop.stats().stored, 3 - count as u64, "{scope}");
    }
}
