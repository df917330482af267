//! RFC 9111 and its neighbours over real sockets: who may tell us what to store, and what changes what is stored.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use support::pop::{cache_status, is_hit, is_stored};
use support::{Origin, Pop, Reply};

#[test]
fn cdn_cache_control_takes_the_place_of_cache_control_and_is_passed_on() {
    let rows: [(&[&str], bool); 7] = [
        (
            &["Cache-Control: no-store", "CDN-Cache-Control: max-age=600", "Expires: Sun, 06 Nov 1994 08:49:37 GMT"],
            true,
        ),
        (&["Cache-Control: max-age=600", "CDN-Cache-Control: private"], false),
        (&["Cache-Control: no-store", "CDN-Cache-Control: max-age=600, &"], false),
        (&["Cache-Control: max-age=600", "CDN-Cache-Control: no-store;;"], true),
        (&["CDN-Cache-Control: no-store", "Millpond-Cache-Control: max-age=600"], true),
        (&["CDN-Cache-Control: max-age=0", "Cache-Control: max-age=600"], false),
        (&["Pragma: no-cache", "CDN-Cache-Control: public", "CDN-Cache-Control: max-age=600"], true),
    ];
    for (fields, is_stored) in rows {
        let origin = Origin::plain(move |_| Reply::response("200 OK", fields, "hello"));
        let pop = Pop::of(&origin);
        let first = pop.get("/x");
        let second = pop.get("/x");
        assert_eq!(is_hit(&second), is_stored, "{fields:?}: {}", cache_status(&second));
        for response in [&first, &second] {
            for (name, value) in fields.iter().map(|line| line.split_once(": ").unwrap()) {
                assert!(response.fields_named(name).contains(&value), "{name}: {value} in {response:?}");
            }
        }
    }
}

/// GET is answered with the first fields, HEAD with the others (and no Content-Length but theirs).
fn origin_of_get_and_head(get: &'static [&'static str], head: &'static [&'static str]) -> Origin {
    let head: String = head.iter().map(|field| format!("{field}\r\n")).collect();
    Origin::plain(move |request| match request.method.as_str() {
        "HEAD" => Reply::bytes(format!("HTTP/1.1 200 OK\r\n{head}\r\n")),
        _ => Reply::response("200 OK", get, "hello"),
    })
}

#[test]
fn a_head_freshens_the_stored_get_that_it_agrees_with() {
    let get = &["Cache-Control: max-age=0", "ETag: \"a\"", "X-A: 1", "X-B: 1"];
    let rows: [&[&str]; 4] = [
        &["Cache-Control: max-age=600", "X-A: 2"],
        &["Cache-Control: max-age=600", "X-A: 2", "ETag: \"a\"", "Content-Length: 5"],
        &["CDN-Cache-Control: max-age=600", "X-A: 2", "Content-Length: 5"],
        &["Cache-Control: max-age=600", "X-A: 2", "ETag: W/\"a\"", "Content-Encoding: odd"],
    ];
    for head in rows {
        let pop_origin = origin_of_get_and_head(get, head);
        let pop = Pop::of(&pop_origin);
        pop.get("/x");
        assert!(!is_hit(&pop.ask("HEAD", "/x", &[])));
        let found = pop.get("/x");
        assert!(is_hit(&found), "{head:?}: {found:?}");
        assert_eq!((found.text().as_str(), found.field("x-a"), found.field("x-b")), ("hello", Some("2"), Some("1")));
        assert_eq!((found.field("content-encoding"), found.field("etag")), (None, Some("\"a\"")));
        assert_eq!(pop_origin.count(), 2);
    }
}

#[test]
fn a_head_that_disagrees_makes_the_stored_get_invalid() {
    let get = &["Cache-Control: max-age=600", "ETag: \"a\"", "Vary: Accept"];
    let rows: [(&[&str], bool); 6] = [
        (&["Cache-Control: max-age=600", "ETag: \"b\""], false),
        (&["Cache-Control: max-age=600", "Content-Length: 6"], false),
        (&["Cache-Control: max-age=600", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"], false),
        (&["Cache-Control: no-store", "ETag: \"a\""], false),
        (&["Cache-Control: private", "ETag: \"a\""], false),
        (&["Cache-Control: max-age=600", "ETag: \"a\""], true),
    ];
    for (head, is_kept) in rows {
        let origin = origin_of_get_and_head(get, head);
        let pop = Pop::of(&origin);
        pop.get("/x");
        // A variant that the HEAD could not have been answered from stays.
        pop.ask("HEAD", "/x", &["Accept: other", "Cache-Control: no-cache"]);
        assert!(is_hit(&pop.get("/x")), "{head:?}");
        pop.ask("HEAD", "/x", &["Cache-Control: no-cache"]);
        assert_eq!(is_hit(&pop.get("/x")), is_kept, "{head:?}");
    }
}

#[test]
fn a_head_of_one_client_alone_and_one_that_fails_change_nothing() {
    let count = AtomicUsize::new(0);
    let origin = Origin::plain(move |request| match request.method.as_str() {
        "HEAD" if count.fetch_add(1, Ordering::SeqCst) == 0 => {
            Reply::bytes("HTTP/1.1 404 Not Found\r\nETag: \"b\"\r\n\r\n")
        }
        "HEAD" => Reply::bytes("HTTP/1.1 200 OK\r\nX-A: theirs\r\n\r\n"),
        _ => Reply::response("200 OK", &["Cache-Control: max-age=600", "X-A: all"], "hello"),
    });
    let pop = Pop::of(&origin);
    pop.get("/x");
    for field in ["Cache-Control: no-cache", "Cache-Control: no-store, no-cache"] {
        assert!(!is_hit(&pop.ask("HEAD", "/x", &[field])));
        assert_eq!(pop.get("/x").field("x-a"), Some("all"));
    }
    assert!(!is_hit(&pop.ask("HEAD", "/x", &["Cache-Control: no-cache", "Authorization: Basic YTpi"])));
    let found = pop.get("/x");
    assert_eq!((is_hit(&found), found.field("x-a")), (true, Some("all")));
}

/// What the origin says of three languages: each its own tag, told apart by Accept-Language; it knows conditions.
fn origin_of_languages() -> Origin {
    Origin::plain(|request| {
        let language = request.field("accept-language").unwrap_or("en");
        // A dialect has the same text as its language.
        let tag = format!("\"{}\"", language.split('-').next().unwrap());
        let fields = ["Cache-Control: max-age=600", "Vary: Accept-Language", &format!("ETag: {tag}")];
        match request.field("if-none-match") {
            Some(known) if known.split(", ").any(|known| known == tag) => {
                Reply::response("304 Not Modified", &fields, "")
            }
            _ => Reply::response("200 OK", &fields, format!("text in {tag}")),
        }
    })
}

#[test]
fn a_request_for_another_variant_asks_about_all_that_are_stored() {
    let origin = origin_of_languages();
    let pop = Pop::of(&origin);
    let ask = |language: &str| pop.get_with("/x", &[&format!("Accept-Language: {language}")]);
    for (language, asked, text) in [
        ("en", None, "text in \"en\""),
        ("de", Some("\"en\""), "text in \"de\""),
        ("de-AT", Some("\"de\", \"en\""), "text in \"de\""),
        ("en-GB", Some("\"de\", \"en\""), "text in \"en\""),
    ] {
        let response = ask(language);
        assert_eq!((response.status, response.text().as_str()), (200, text));
        assert_eq!(origin.requests().last().unwrap().field("if-none-match"), asked);
        let is_chosen = language.contains('-');
        assert_eq!(cache_status(&response).contains("fwd-status=304"), is_chosen, "{response:?}");
    }
    for (language, text) in [("en", "en"), ("de", "de"), ("de-AT", "de"), ("en-GB", "en")] {
        let response = ask(language);
        assert_eq!((is_hit(&response), response.text()), (true, format!("text in \"{text}\"")));
    }
    assert_eq!(origin.count(), 4);
}

#[test]
fn a_variant_in_a_coding_or_with_a_weak_tag_is_not_offered_to_others() {
    for field in ["Content-Encoding: gzip", "X-Weak: yes"] {
        let tag = if field.starts_with('X') { "ETag: W/\"a\"" } else { "ETag: \"a\"" };
        let origin = Origin::plain(move |_| {
            Reply::response("200 OK", &["Cache-Control: max-age=600", "Vary: Accept-Encoding", tag, field], "coded")
        });
        let pop = Pop::of(&origin);
        pop.get_with("/x", &["Accept-Encoding: gzip"]);
        pop.get("/x");
        assert_eq!(origin.requests()[1].field("if-none-match"), None, "{field}");
    }
}

#[test]
fn a_304_that_speaks_of_nothing_stored_is_asked_again_without_conditions() {
    for (vary, first, second) in [("X-No", "", ""), ("Accept", "", "Accept: other")] {
        let fields = [&format!("Vary: {vary}"), "Cache-Control: max-age=0", "ETag: \"a\""].map(str::to_owned);
        let origin = Origin::plain(move |request| match request.field("if-none-match") {
            Some(_) => Reply::response("304 Not Modified", &["ETag: \"other\""], ""),
            None => Reply::response("200 OK", &fields.each_ref().map(String::as_str), "whole"),
        });
        let pop = Pop::of(&origin);
        for field in [first, second] {
            let field = if field.is_empty() { "X: y" } else { field };
            let response = pop.get_with("/x", &[field]);
            assert_eq!((response.status, response.text().as_str()), (200, "whole"), "{vary}");
        }
        let asked: Vec<_> = origin.requests().iter().map(|request| request.field("if-none-match").is_some()).collect();
        assert_eq!(asked, [false, true, false], "{vary}");
    }
}

#[test]
fn the_answer_to_a_post_that_is_its_targets_own_serves_later_gets() {
    for (field, is_kept) in [("Content-Location: /x", true), ("Content-Location: /y", false), ("X-A: b", false)] {
        let origin = Origin::plain(move |request| {
            Reply::response("200 OK", &["Cache-Control: max-age=600", field], format!("made by {}", request.method))
        });
        let pop = Pop::of(&origin);
        pop.get("/x");
        for _ in 0..2 {
            let posted = pop.ask("POST", "/x", &["Content-Length: 0"]);
            assert_eq!((posted.text().as_str(), is_stored(&posted)), ("made by POST", is_kept), "{field}");
        }
        let found = pop.get("/x");
        let expected = if is_kept { "made by POST" } else { "made by GET" };
        assert_eq!((is_hit(&found), found.text().as_str()), (is_kept, expected), "{field}");
        assert!(is_hit(&pop.ask("HEAD", "/x", &[])));
    }
}

#[test]
fn fields_that_the_response_keeps_for_one_client_reach_nobody_else() {
    let fields = &[
        "Cache-Control: max-age=600, no-cache=\"Set-Cookie\", private=\"x-user\"",
        "Set-Cookie: a=b",
        "X-User: me",
        "X-All: us",
    ];
    let origin = Origin::plain(|_| Reply::response("200 OK", fields, "hello"));
    let pop = Pop::of(&origin);
    let first = pop.get("/x");
    assert_eq!((first.field("set-cookie"), first.field("x-user")), (Some("a=b"), Some("me")));
    let second = pop.get("/x");
    assert!(is_hit(&second), "{second:?}");
    assert_eq!((second.field("set-cookie"), second.field("x-user")), (None, None));
    assert_eq!((second.field("x-all"), second.text().as_str()), (Some("us"), "hello"));
}

#[test]
fn a_304_puts_no_withheld_field_into_the_store() {
    let origin = Origin::plain(|request| {
        let asked = request.field("if-none-match").is_some();
        let fields = &["Cache-Control: max-age=0, private=\"x-user\"", "ETag: \"a\"", "X-User: me", "X-All: us"];
        Reply::response(if asked { "304 Not Modified" } else { "200 OK" }, fields, if asked { "" } else { "hello" })
    });
    let pop = Pop::of(&origin);
    assert_eq!(pop.get("/x").field("x-user"), Some("me"));
    let second = pop.get("/x");
    assert_eq!((second.field("x-user"), second.field("x-all")), (None, Some("us")));
    assert_eq!((second.text().as_str(), origin.count()), ("hello", 2));
}
