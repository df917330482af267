//! What a site changes in the requests that its origin gets: header fields, path and query; and what it cannot change.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::pop::{cache_status, is_hit, is_stored, request, site_with};
use support::{Origin, Pop, Reply, Request};

const KEEP: &str = "Cache-Control: max-age=60";

fn origin() -> Origin {
    Origin::plain(|request| Reply::response("200 OK", &[KEEP], &request.target))
}

/// A POP for a.test whose `[site.origin.request]` has these lines.
fn pop(origin: &Origin, lines: &str) -> Pop {
    Pop::start(&site_with("a.test", origin, "", &format!("[site.origin.request]\n{lines}")))
}

/// What the origin gets for one GET with these field lines.
#[track_caller]
fn sent(lines: &str, target: &str, fields: &[&str]) -> Request {
    let origin = origin();
    assert_eq!(pop(&origin, lines).get_with(target, fields).status, 200);
    origin.requests().remove(0)
}

#[test]
fn fields_are_set_added_and_removed() {
    let lines = r#"
        set = { "X-Real-IP" = "$client_ip", "X-Key" = "s3cret", "X-Forwarded-For" = "via $server_name" }
        add = { "X-More" = "$method $scheme://$host$uri" }
        remove = ["Cookie", "X-Gone"]"#;
    let fields = [
        "Cookie: a=1",
        "x_key: forged",
        "X-KEY: forged",
        "X-Gone: 1",
        "X-More: mine",
        "X-Stays: 1",
        "X-Real-IP: 6.6.6.6",
    ];
    let sent = sent(lines, "/p?q=1", &fields);
    assert_eq!(sent.fields_named("x-real-ip"), ["127.0.0.1"]);
    assert_eq!(sent.fields_named("x-key"), ["s3cret"]);
    assert_eq!(sent.fields_named("x-more"), ["mine", "GET http://a.test/p?q=1"]);
    assert_eq!(sent.fields_named("x-forwarded-for"), ["via a.test"]);
    assert_eq!(sent.fields_named("x-stays"), ["1"]);
    for name in ["cookie", "x-gone", "x_key"] {
        assert_eq!(sent.field(name), None, "{name}");
    }
    assert_eq!(sent.fields_named("host"), ["a.test"]);
    assert_eq!(sent.fields_named("via"), ["1.1 millpond"]);
}

#[test]
fn the_request_id_is_that_of_the_answer() {
    let origin = Origin::plain(|request| Reply::response("200 OK", &[], request.field("x-request-id").unwrap()));
    let pop = pop(&origin, r#"set = { "X-Request-Id" = "$request_id" }"#);
    let [one, two] = [pop.get("/a").text(), pop.get("/b").text()];
    assert!(one != two && one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one} {two}");
}

#[test]
fn paths_and_parameters_change_on_the_way() {
    let lines = r#"
        strip_prefix = "/cdn"
        rewrite = [{ from = "/old/**", to = "/new/$1" }, { from = "/*/img/*.jpg", to = "/$2.webp" }]
        path_prefix = "/bucket"
        query = { set = { v = "2" }, remove = ["token"] }"#;
    for (target, expected) in [
        ("/", "/bucket/?v=2"),
        ("/cdn/old/a/b?token=1&x=%2F", "/bucket/new/a/b?x=%2F&v=2"),
        ("/u/img/cat.jpg?v=1", "/bucket/cat.webp?v=2"),
        ("/cdnx/%41;b?%74oken", "/bucket/cdnx/%41;b?v=2"),
    ] {
        assert_eq!(sent(lines, target, &[]).target, expected, "{target}");
    }
}

#[test]
fn without_edits_the_target_goes_as_it_came() {
    for target in ["/../a?b", "//x", "/?", "/a?&&=%zz"] {
        assert_eq!(sent("add = { X = \"1\" }", target, &[]).target, target);
    }
}

#[test]
fn the_cache_key_stays_that_of_the_clients_url() {
    let origin = origin();
    let pop = pop(&origin, "rewrite = [{ from = \"/*/same\", to = \"/same\" }]");
    for (target, is_first) in [("/a/same", true), ("/b/same", true), ("/a/same", false), ("/b/same", false)] {
        let response = pop.get(target);
        assert_eq!((response.text().as_str(), is_hit(&response)), ("/same", !is_first), "{target}");
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn a_path_that_climbs_out_of_its_prefix_is_refused() {
    let origin = origin();
    let pop = pop(&origin, "path_prefix = \"/bucket\"");
    for target in ["/../other/x", "/a/%2e%2e/x", "/a/..%2f..%2fx"] {
        let response = pop.get(target);
        assert_eq!(response.status, 400, "{target}");
        assert!(response.field("proxy-status").unwrap().contains("error=http_request_error"), "{response:?}");
    }
    assert_eq!(origin.count(), 0);
    assert_eq!(pop.get("/a..b/...").text(), "/bucket/a..b/...");
}

#[test]
fn other_methods_are_edited_too_and_keep_their_bodies() {
    let origin = origin();
    let pop = pop(&origin, "path_prefix = \"/api\"\nset = { Authorization = \"Basic eDp5\" }");
    let mut client = pop.client();
    client.send(request("POST", "/form", &["Content-Length: 3", "Authorization: mine"]) + "abc");
    assert_eq!(client.response().text(), "/api/form");
    let sent = origin.requests().remove(0);
    assert_eq!((sent.target.as_str(), sent.body.as_slice()), ("/api/form", &b"abc"[..]));
    assert_eq!(sent.fields_named("authorization"), ["Basic eDp5"]);
}

#[test]
fn the_sites_own_credentials_do_not_keep_a_response_from_the_store() {
    let origin = origin();
    let pop = pop(&origin, "set = { Authorization = \"Basic eDp5\" }");
    assert!(is_stored(&pop.get("/x")));
    assert!(is_hit(&pop.get("/x")));
    // A client's own would: nothing in the response shares it.
    assert!(!is_stored(&pop.get_with("/y", &["Authorization: Basic eDp5"])));
}

#[test]
fn a_response_chosen_by_what_differs_from_client_to_client_is_not_shared() {
    let origin = Origin::plain(|request| {
        let vary = if request.target == "/port" { "Vary: X-Port" } else { "Vary: X-Site" };
        Reply::response("200 OK", &[KEEP, vary], request.field("x-port").unwrap())
    });
    let pop = pop(&origin, "set = { X-Port = \"$client_port\", X-Site = \"$server_name\" }");
    let response = pop.get("/port");
    assert!(!is_stored(&response) && cache_status(&response).contains("vary"), "{response:?}");
    assert!(!is_hit(&pop.get("/port")));
    assert!(is_stored(&pop.get("/site")));
    assert!(is_hit(&pop.get("/site")));
}
