//! Redirects of the origin: followed as far as the site says, never to where only the operator may point, and told from
//! those that would send a client in circles.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::pop::{cache_status, https_table, is_hit, is_stored, site_at, site_with, trust};
use support::{Certificates, Client, Origin, OriginTls, Pop, Reply, Request, Response};

const KEEP: &str = "Cache-Control: max-age=60";

fn to(status: &str, location: &str, fields: &[&str]) -> Reply {
    let location = format!("Location: {location}");
    Reply::response(status, &[&[location.as_str()], fields].concat(), "moved")
}

fn follow(count: usize) -> String {
    format!("follow_redirects = {count}\n")
}

/// A site for a.test before `first`, and a second that makes `second`'s address a configured one.
fn two_sites(first: &Origin, second: &Origin, of_first: &str) -> String {
    site_with("a.test", first, "", of_first) + &site_with("b.test", second, "", "")
}

#[track_caller]
fn failed(response: &Response, status: u16, error: &str) {
    let cause = response.field("proxy-status").unwrap_or_else(|| panic!("no Proxy-Status in {response:?}"));
    assert!(cause.contains(&format!("error={error};")), "{cause}");
    assert_eq!(response.status, status, "{cause}");
    assert_eq!(response.field("cache-control"), Some("no-store"));
}

#[test]
fn by_default_a_redirect_goes_to_the_client() {
    let origin = Origin::plain(|_| to("302 Found", "/b", &[]));
    let response = Pop::start(&site_with("a.test", &origin, "", "")).get("/a");
    assert_eq!((response.status, response.field("location")), (302, Some("/b")));
    assert_eq!(origin.count(), 1);
}

#[test]
fn the_last_response_is_kept_under_the_clients_url_and_under_no_other() {
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let second = Origin::plain(|_| Reply::response("200 OK", &[KEEP], "content"));
        let target = format!("http://{}/far?x#f", second.address());
        let first = Origin::plain(move |request| match request.target.as_str() {
            "/a" => to(status, "b/c", &[]),
            "/b/c" => to(status, &target, &[]),
            _ => Reply::response("404 Not Found", &[], ""),
        });
        let pop = Pop::start(&two_sites(&first, &second, &follow(2)));
        let response = pop.get("/a");
        assert_eq!((response.status, response.text().as_str()), (200, "content"));
        assert!(is_stored(&response), "{response:?}");
        let again = pop.get("/a");
        assert!(is_hit(&again) && again.text() == "content");
        let targets: Vec<_> = first.requests().iter().map(|request| request.target.clone()).collect();
        assert_eq!(targets, ["/a", "/b/c"]);
        let seen = &second.requests()[0];
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/far?x"));
        assert_eq!(seen.field("host"), Some(second.address().to_string().as_str()));
        // Neither the step between nor the far URL is answered from the store.
        assert!(!is_hit(&pop.get("/b/c")));
        assert!(!is_hit(&pop.client().get("b.test", "/far?x")));
    }
}

#[test]
fn head_is_followed_as_head_and_post_is_not() {
    let origin = Origin::plain(|request| match request.target.as_str() {
        // No body: it would be what an answer to HEAD cannot have.
        "/a" => Reply::response("307 Temporary Redirect", &["Location: /b"], ""),
        _ => Reply::response("200 OK", &["X-There: yes"], ""),
    });
    let pop = Pop::start(&site_with("a.test", &origin, "", &follow(3)));
    assert_eq!(pop.ask("HEAD", "/a", &[]).field("x-there"), Some("yes"));
    assert_eq!(origin.requests()[1].method, "HEAD");
    assert_eq!(pop.ask("POST", "/a", &["Content-Length: 0"]).status, 307);
}

#[test]
fn private_addresses_that_no_site_names_are_refused() {
    let inside = Origin::plain(|_| Reply::ok("secret"));
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"] {
        let target = format!("http://{host}:{}/", inside.port());
        let origin = Origin::plain(move |_| to("302 Found", &target, &[]));
        let pop = Pop::start(&site_with("a.test", &origin, "", &follow(3)));
        let response = pop.get("/a");
        failed(&response, 502, "destination_ip_prohibited");
        assert!(response.text().contains("servers"), "{}", response.text());
    }
    assert_eq!(inside.count(), 0);
    // The same address is fetched from once a site names it, but on no other port.
    let target = format!("http://{}/", inside.address());
    let origin = Origin::plain(move |_| to("302 Found", &target, &[]));
    assert_eq!(Pop::start(&two_sites(&origin, &inside, &follow(3))).get("/a").text(), "secret");
}

#[test]
fn our_own_listener_is_a_loop() {
    let origin = Origin::plain(|request| to("302 Found", request.field("x-target").unwrap(), &[]));
    let pop = Pop::start(&site_with("a.test", &origin, "", &follow(3)));
    let response = pop.get_with("/a", &[&format!("X-Target: http://{}/b", pop.address())]);
    failed(&response, 508, "proxy_loop_detected");
}

#[test]
fn credentials_and_edits_go_to_the_sites_own_servers_alone() {
    let second = Origin::plain(|_| Reply::ok("far"));
    let target = format!("http://{}/far", second.address());
    let first = Origin::plain(move |request| match request.target.as_str() {
        "/p/a" => to("302 Found", "/b", &[]),
        _ => to("302 Found", &target, &[]),
    });
    let lines =
        follow(3) + "[site.origin.request]\npath_prefix = \"/p\"\nset = { X-Key = \"s3cret\" }\nremove = [\"X-Gone\"]";
    let pop = Pop::start(&two_sites(&first, &second, &lines));
    let fields = ["Authorization: Basic x", "Cookie: a=1", "X-Gone: 1", "X-Key: forged", "Accept: text/x"];
    assert_eq!(pop.get_with("/a", &fields).text(), "far");
    let all = |request: &Request| {
        ["authorization", "cookie", "x-key", "x-forwarded-for", "x-gone"]
            .map(|name| request.field(name).map(str::to_owned))
    };
    let home =
        [Some("Basic x"), Some("a=1"), Some("s3cret"), Some("127.0.0.1"), None].map(|value| value.map(str::to_owned));
    let requests = first.requests();
    assert_eq!([all(&requests[0]), all(&requests[1])], [home.clone(), home]);
    // The origin's own references are not edited once more.
    assert_eq!(requests[1].target, "/b");
    let far = &second.requests()[0];
    assert_eq!(all(far), [const { None }; 5]);
    assert_eq!(far.field("accept"), Some("text/x"));
    assert!(far.field("cdn-loop").is_some() && far.field("via").is_some());
}

#[test]
fn beyond_the_limit_the_redirect_goes_to_the_client_whole_and_is_not_kept() {
    let origin = Origin::plain(|request| {
        let next = request.target.trim_start_matches("/dir/").parse::<u32>().map_or(1, |number| number + 1);
        to("301 Moved Permanently", &format!("/dir/{next}#part"), &[KEEP])
    });
    let pop = Pop::start(&site_with("a.test", &origin, "", &follow(2)));
    for asked in [3, 6] {
        let response = pop.get("/start");
        assert_eq!((response.status, response.field("location")), (301, Some("http://a.test/dir/3#part")));
        assert!(!is_stored(&response) && cache_status(&response).contains("no-store"), "{response:?}");
        assert_eq!(origin.count(), asked);
    }
}

#[test]
fn a_chain_that_bites_its_tail_ends_there() {
    let origin = Origin::plain(|request| match request.target.as_str() {
        "/a" => to("301 Moved Permanently", "/b", &[KEEP]),
        _ => to("301 Moved Permanently", "/a", &[KEEP]),
    });
    let pop = Pop::start(&site_with("a.test", &origin, "", &follow(10)));
    let response = pop.get("/a");
    assert_eq!((response.status, response.field("location")), (301, Some("http://a.test/a")));
    assert!(!is_stored(&response));
    assert_eq!(origin.count(), 2);
}

#[test]
fn what_cannot_be_followed_goes_to_the_client_as_it_came() {
    for location in ["ftp://b.test/x", "http://user:pass@b.test/x", "http://b.test:0/", "/a\u{e9}", "mailto:x@b.test"] {
        let origin = Origin::plain(move |_| to("302 Found", location, &[]));
        let response = Pop::start(&site_with("a.test", &origin, "", &follow(3))).get("/a");
        assert_eq!((response.status, response.text().as_str()), (302, "moved"), "{location}");
        assert_eq!(origin.count(), 1, "{location}");
    }
}

#[test]
fn each_step_has_a_say_in_how_long_the_end_is_kept() {
    let rows: [(&[&str], Option<&str>); 6] = [
        (&[], Some("ttl=60")),
        (&["Cache-Control: max-age=5"], Some("ttl=5")),
        (&["Cache-Control: max-age=500"], Some("ttl=60")),
        (&["Cache-Control: no-store"], None),
        (&["Cache-Control: private"], None),
        (&["Set-Cookie: session=1"], None),
    ];
    for (fields, ttl) in rows {
        let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        let origin = Origin::plain(move |request| match request.target.as_str() {
            "/a" => to("302 Found", "/b", &fields.iter().map(String::as_str).collect::<Vec<_>>()),
            _ => Reply::response("200 OK", &[KEEP], "end"),
        });
        let response = Pop::start(&site_with("a.test", &origin, "", &follow(1))).get("/a");
        assert_eq!((response.status, response.text().as_str()), (200, "end"));
        assert_eq!(is_stored(&response), ttl.is_some(), "{response:?}");
        assert!(cache_status(&response).contains(ttl.unwrap_or("no-store")), "{response:?}");
        assert_eq!(response.field("set-cookie"), None);
    }
}

#[test]
fn a_redirect_that_varies_makes_the_end_vary() {
    let origin = Origin::plain(|request| match (request.target.as_str(), request.field("accept-language")) {
        ("/a", Some("de")) => to("302 Found", "/de", &["Vary: Accept-Language"]),
        ("/a", _) => to("302 Found", "/en", &["Vary: Accept-Language"]),
        (target, _) => Reply::response("200 OK", &[KEEP], target),
    });
    let pop = Pop::start(&site_with("a.test", &origin, "", &follow(1)));
    for (language, expected, is_first) in
        [("de", "/de", true), ("en", "/en", true), ("de", "/de", false), ("en", "/en", false)]
    {
        let response = pop.get_with("/a", &[&format!("Accept-Language: {language}")]);
        assert_eq!((response.text().as_str(), is_hit(&response)), (expected, !is_first), "{response:?}");
    }
}

#[test]
fn a_stored_end_is_validated_from_the_start() {
    let origin = Origin::plain(|request| match request.target.as_str() {
        "/a" => to("302 Found", "/b", &[]),
        _ => Reply::response("200 OK", &["Cache-Control: max-age=0", "ETag: \"1\""], "end"),
    });
    let pop = Pop::start(&site_with("a.test", &origin, "", &follow(1)));
    assert!(is_stored(&pop.get("/a")));
    assert_eq!(pop.get("/a").text(), "end");
    let requests = origin.requests();
    let asked: Vec<_> =
        requests.iter().map(|request| (request.target.as_str(), request.field("if-none-match"))).collect();
    // What lies at the end may be another resource this time: its tag means nothing there.
    assert_eq!(asked, [("/a", None), ("/b", None), ("/a", Some("\"1\"")), ("/b", None)]);
}

#[test]
fn the_certificate_of_a_stranger_must_bear_the_strangers_name() {
    let certificates = Certificates::new();
    for (names, status) in [(&["127.0.0.1"][..], 200), (&["a.test", "node.oss.test"], 502)] {
        let far = Origin::tls(OriginTls::new(&certificates.identity(names)), |_| Reply::ok("far"));
        let target = format!("https://{}/", far.address());
        let first = Origin::plain(move |_| to("302 Found", &target, &[]));
        let lines = follow(1) + &trust(&certificates) + "common_name_whitelist = [\"*.oss.test\"]\n";
        let response = Pop::start(&two_sites(&first, &far, &lines)).get("/a");
        assert_eq!(response.status, status, "{names:?}: {}", response.text());
        if status == 502 {
            failed(&response, 502, "tls_certificate_error");
            assert!(response.text().contains("redirects to https://127.0.0.1"), "{}", response.text());
        }
    }
}

/// An origin that sends everything to https, and a POP with both listeners that asks it over http.
struct Circle {
    certificates: Certificates,
    origin: Origin,
}

impl Circle {
    fn new(location: &'static str, fields: &'static [&'static str]) -> Circle {
        let origin = Origin::plain(move |request| {
            to("301 Moved Permanently", &location.replace("TARGET", &request.target), &[&[KEEP], fields].concat())
        });
        Circle { certificates: Certificates::new(), origin }
    }

    fn pop(&self, of_site: &str, of_origin: &str) -> Pop {
        let https = https_table(&self.certificates.identity(&["a.test"]));
        let server = self.origin.address().to_string();
        Pop::start_with_https(
            &(site_at("a.test", &server, of_site, &format!("protocol = \"http\"\n{of_origin}")) + &https),
        )
    }

    fn secure(&self, pop: &Pop, fields: &str) -> Response {
        let mut client = Client::tls(pop.https(), &self.certificates.roots(), "a.test");
        client.send(format!("GET /x?y HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"));
        client.response()
    }
}

#[test]
fn a_redirect_to_itself_under_the_other_scheme_is_explained_and_not_kept() {
    for (of_site, of_origin) in [("", ""), ("", "follow_redirects = 5"), ("share_schemes = true", "")] {
        let circle = Circle::new("https://a.test/x?y", &[]);
        let pop = circle.pop(of_site, of_origin);
        for count in [1, 2] {
            let response = circle.secure(&pop, "");
            failed(&response, 502, "http_protocol_error");
            for word in ["to itself, in a circle", "protocol = &quot;https&quot;", "follow"] {
                let page = response.text().replace('"', "&quot;");
                assert!(page.contains(word), "{word}: {page}");
            }
            assert_eq!(circle.origin.count(), count);
        }
    }
}

#[test]
fn a_client_of_plain_http_gets_its_redirect_to_https() {
    for (of_site, is_kept) in [("", true), ("share_schemes = true", false)] {
        let circle = Circle::new("https://a.test/x?y", &[]);
        let pop = circle.pop(of_site, "follow_redirects = 5");
        let response = pop.get("/x?y");
        assert_eq!((response.status, response.field("location")), (301, Some("https://a.test/x?y")));
        assert_eq!(is_stored(&response), is_kept, "{response:?}");
        // Whoever asks over https does not get it from the store.
        failed(&circle.secure(&pop, ""), 502, "http_protocol_error");
    }
}

#[test]
fn other_redirects_to_https_are_the_clients() {
    for location in ["https://a.test/other", "https://b.test/x?y"] {
        let circle = Circle::new(location, &[]);
        let response = circle.secure(&circle.pop("", ""), "");
        assert_eq!((response.status, response.field("location")), (301, Some(location)));
        assert!(is_stored(&response));
    }
}

#[test]
fn a_redirect_to_itself_that_sets_a_cookie_is_let_through_once() {
    let circle = Circle::new("https://a.test/x?y", &["Set-Cookie: seen=1"]);
    let pop = circle.pop("", "");
    let response = circle.secure(&pop, "");
    assert_eq!((response.status, is_stored(&response)), (301, false));
    failed(&circle.secure(&pop, "Cookie: seen=1\r\n"), 502, "http_protocol_error");
}

#[test]
fn a_redirect_to_the_same_url_in_the_same_scheme_is_never_kept() {
    let circle = Circle::new("TARGET", &[]);
    let pop = circle.pop("", "follow_redirects = 5");
    for count in [1, 2] {
        let response = pop.get("/x?y");
        assert_eq!((response.status, is_stored(&response)), (301, false));
        assert_eq!(circle.origin.count(), count);
    }
}

#[test]
fn after_a_form_a_redirect_to_its_own_page_is_no_circle() {
    let circle = Circle::new("https://a.test/x?y", &[]);
    let pop = circle.pop("", "");
    let mut client = Client::tls(pop.https(), &circle.certificates.roots(), "a.test");
    client.send("POST /x?y HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.response().status, 301);
}
