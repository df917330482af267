//! Errors that one client provokes: whatever its fields bring about, other clients get what they would have got without it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::pop::{cache_status, is_hit, is_stored, request, site, site_with};
use support::ranges::{content, ranged};
use support::recorder::{Answer, End, Recorder, answer, echo};
use support::strict::Whole;
use support::{Gate, Origin, Pop, Reply, wait_until};

const FRESH: &str = "Cache-Control: max-age=600";

/// Answers with the status, and lines of its own, where `is_met`; else with something sound.
fn provoked(
    status: &str,
    lines: &'static [&'static str],
    is_met: impl Fn(&Whole) -> bool + Send + Sync + 'static,
) -> Recorder {
    let status = format!("{status} x");
    Recorder::start(move |request| match is_met(request) {
        true => answer(&status, lines, request, "evil").into(),
        false => answer("200 OK", &[FRESH], request, &echo(request)).into(),
    })
}

/// Errors that are about the request.
const OF_REQUESTS: [&str; 20] = [
    "400", "401", "402", "403", "406", "407", "408", "409", "411", "413", "415", "417", "421", "422", "425", "426",
    "428", "429", "431", "499",
];

#[test]
fn an_error_that_a_usual_field_provoked_is_for_its_like_alone() {
    #[rustfmt::skip]
    let names = [
        "User-Agent", "Accept", "Accept-Language", "Accept-Encoding", "Accept-Charset", "Origin", "Referer", "From", "DNT", "Via",
        "Sec-Fetch-Site", "Sec-CH-UA", "Save-Data", "Priority", "Pragma", "X-Requested-With",
    ];
    for (number, name) in names.iter().enumerate() {
        let status = OF_REQUESTS[number % OF_REQUESTS.len()];
        let lower = name.to_ascii_lowercase();
        let recorder = provoked(status, &[FRESH], move |request| {
            request.values(&lower).iter().any(|value| value.contains("evil"))
        });
        let pop = Pop::start(&site("a.test", &recorder.origin));
        let (bad, good) = (format!("{name}: evil"), format!("{name}: good"));
        let attacked = pop.get_with("/", &[&bad]);
        assert_eq!(
            (attacked.status.to_string().as_str(), is_stored(&attacked)),
            (status, true),
            "{name}: {attacked:?}"
        );
        // Whoever asks alike has it from the store; it spares the origin what one client repeats.
        assert!(is_hit(&pop.get_with("/", &[&bad])), "{name}");
        for fields in [&[good.as_str()][..], &[], &["User-Agent: good", "Accept: */*"]] {
            assert_eq!(pop.get_with("/", fields).status, 200, "{name}: {fields:?}");
        }
        // What is good is everybody's again.
        assert!(is_hit(&pop.get_with("/", &[&bad])), "{name}");
        assert_eq!(recorder.requests().len(), 2, "{name}");
    }
}

#[test]
fn each_error_about_the_request_is_for_its_like_alone() {
    for status in OF_REQUESTS {
        let recorder = provoked(status, &[FRESH], |request| request.values("user-agent") == ["evil"]);
        let pop = Pop::start(&site("a.test", &recorder.origin));
        let attacked = pop.get_with("/", &["User-Agent: evil"]);
        assert_eq!((attacked.status.to_string().as_str(), is_stored(&attacked)), (status, true), "{attacked:?}");
        assert_eq!(pop.get_with("/", &["User-Agent: good"]).status, 200, "{status}");
    }
    // What is about the resource is for all.
    for status in ["404", "405", "410", "414", "451", "500", "503"] {
        let recorder = provoked(status, &[FRESH], |_| true);
        let pop = Pop::start(&site("a.test", &recorder.origin));
        assert!(is_stored(&pop.get_with("/", &["User-Agent: one"])), "{status}");
        assert!(is_hit(&pop.get_with("/", &["User-Agent: other", "Accept-Language: en"])), "{status}");
    }
}

#[test]
fn an_error_that_something_missing_provoked_is_for_its_like_alone() {
    for (name, status) in [
        ("User-Agent", "403"),
        ("Accept", "406"),
        ("Cookie", "401"),
        ("Sec-Fetch-Site", "403"),
        ("Api-Version", "400"),
        ("X-Api-Key", "401"),
    ] {
        let lower = name.to_ascii_lowercase();
        let recorder = provoked(status, &[FRESH], move |request| request.values(&lower).is_empty());
        let pop = Pop::start(&site("a.test", &recorder.origin));
        assert!(is_stored(&pop.get("/")), "{name}");
        assert_eq!(pop.get_with("/", &[&format!("{name}: 1")]).status, 200, "{name}");
        // Connection takes nothing away that a hit would then be chosen by.
        let recorder = provoked(status, &[FRESH], |request| request.values("user-agent").is_empty());
        let pop = Pop::start(&site("a.test", &recorder.origin));
        assert!(is_stored(&pop.get_with("/", &["Connection: User-Agent", "User-Agent: good"])));
        assert_eq!(pop.get_with("/", &["User-Agent: good"]).status, 200);
    }
}

#[test]
fn an_error_that_an_unknown_field_provoked_is_for_those_who_send_it() {
    let recorder = provoked("400", &[FRESH], |request| !request.values("attack").is_empty());
    let pop = Pop::start(&site("a.test", &recorder.origin));
    assert!(is_stored(&pop.get_with("/", &["Attack: 1"])));
    assert!(is_hit(&pop.get_with("/", &["Attack: 2"])));
    for fields in [&[][..], &["User-Agent: a"], &["Trace-Id: 7"]] {
        assert_eq!(pop.get_with("/", fields).status, 200, "{fields:?}");
    }
}

#[test]
fn the_response_of_one_client_says_nothing_of_what_others_wait_for() {
    for lines in [&[FRESH][..], &[]] {
        for (status, field) in
            [("400", "X-Attack: 1"), ("403", "User-Agent: evil"), ("404", "X-Attack: 1"), ("500", "X-Attack: 1")]
        {
            let gate = Gate::new();
            let hold = gate.clone();
            let lines: &'static [&'static str] = if lines.is_empty() { &[] } else { &[FRESH] };
            let recorder = Recorder::start(move |request| {
                if !request.values("x-attack").is_empty() || request.values("user-agent") == ["evil"] {
                    return answer(&format!("{status} x"), lines, request, "evil").into();
                }
                hold.wait();
                answer("200 OK", &[FRESH], request, &echo(request)).into()
            });
            let pop = Pop::start(&site("a.test", &recorder.origin));
            assert_eq!(pop.get_with("/", &[field]).status.to_string(), status);
            let mut clients: Vec<_> = (0..10).map(|_| pop.client()).collect();
            for (number, client) in clients.iter_mut().enumerate() {
                client.send(request("GET", "/", &[&format!("User-Agent: {number}")]));
            }
            gate.wait_for_arrivals(1);
            gate.open();
            clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
            assert_eq!(recorder.requests().len(), 2, "{status} {field} {lines:?}");
        }
    }
}

#[test]
fn a_failure_that_a_field_provoked_is_not_remembered_for_others() {
    for field in ["X-Attack: 1", "Content-Type: evil", "Trace-Id: \u{e9}"] {
        let name = field.split(':').next().unwrap().to_ascii_lowercase();
        let recorder = Recorder::start(move |request| match request.values(&name).is_empty() {
            true => answer("200 OK", &[FRESH], request, &echo(request)).into(),
            false => Answer { pieces: vec![b"evil\r\n\r\n".to_vec()], end: End::Close },
        });
        let pop = Pop::start(&format!("{}[site.cache]\nnegative_ttl = \"10s\"", site("a.test", &recorder.origin)));
        assert_eq!(pop.get_with("/", &[field]).status, 502, "{field}");
        assert_eq!(pop.get("/").status, 200, "{field}");
    }
    // One that came without is.
    let recorder = Recorder::start(|_| Answer { pieces: vec![b"evil\r\n\r\n".to_vec()], end: End::Close });
    let pop = Pop::start(&format!("{}[site.cache]\nnegative_ttl = \"10s\"", site("a.test", &recorder.origin)));
    pop.get_with("/", &["User-Agent: a", "Cookie: b=c"]);
    assert!(cache_status(&pop.get("/")).ends_with("detail=negative"));
}

#[test]
fn a_body_sent_with_a_head_is_for_nobody() {
    let recorder = Recorder::start(|request| {
        let line = format!("X-Seen: {}", String::from_utf8_lossy(&request.body));
        answer("200 OK", &[FRESH, "ETag: \"a\"", &line], request, "sound").into()
    });
    let pop = Pop::start(&site("a.test", &recorder.origin));
    pop.get("/");
    let mut client = pop.client();
    client.send("HEAD / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nevil");
    assert_eq!(client.response_to("HEAD").field("x-seen"), Some(""));
    let plain = pop.get("/");
    assert_eq!((is_hit(&plain), plain.field("x-seen")), (true, Some("")));
}

#[test]
fn a_response_chosen_by_what_we_write_ourselves_is_not_shared_across_it() {
    for (of_site, of_origin, vary, is_kept) in [
        ("", "", "X-Forwarded-Proto", true),
        ("share_schemes = true", "", "X-Forwarded-Proto", false),
        ("share_schemes = true", "", "Accept, x-forwarded-proto", false),
        ("share_schemes = true", "", "X-Forwarded-Host", true),
        (
            "share_schemes = true",
            "[site.origin.request]\nset = { X-Forwarded-Proto = \"https\" }",
            "X-Forwarded-Proto",
            true,
        ),
        ("share_domains = true", "host = \"o.test\"", "X-Forwarded-Host", false),
        ("share_domains = true", "host = \"o.test\"", "X-Forwarded-Proto", true),
    ] {
        let line = format!("Vary: {vary}");
        let recorder =
            Recorder::start(move |request| answer("200 OK", &[FRESH, &line], request, &echo(request)).into());
        let pop = Pop::start(&site_with("a.test", &recorder.origin, of_site, of_origin));
        let first = pop.get("/");
        assert_eq!(is_stored(&first), is_kept, "{of_site} {of_origin} {vary}: {first:?}");
        assert_eq!(is_hit(&pop.get("/")), is_kept, "{of_site} {of_origin} {vary}");
    }
}

#[test]
fn a_tag_that_is_a_star_asks_for_nothing() {
    let recorder = Recorder::start(|request| match request.values("if-none-match").is_empty() {
        true => answer("200 OK", &["Cache-Control: max-age=600", "ETag: *"], request, &echo(request)).into(),
        false => Answer::from(b"HTTP/1.1 304 x\r\nETag: *\r\n\r\n".to_vec()),
    });
    let pop = Pop::start(&site("a.test", &recorder.origin));
    pop.get("/");
    pop.get_with("/", &["Cache-Control: no-cache"]);
    assert!(recorder.requests().iter().all(|request| request.values("if-none-match").is_empty()));
}

#[test]
fn clients_force_no_more_than_one_fetch_a_second_of_what_has_no_validator() {
    let recorder = Recorder::echoing();
    let pop = Pop::start(&site("a.test", &recorder.origin));
    pop.get("/");
    let force = || is_hit(&pop.get_with("/", &["Cache-Control: no-cache"]));
    // Where a second passes between two of them, the next ones are tried.
    assert!((0..20).any(|_| !force() && force()));
}

#[test]
fn an_error_for_one_client_leaves_what_is_known_in_slices() {
    const SLICE: usize = 64 << 10;
    for lines in [&[FRESH][..], &[]] {
        let lines: &'static [&'static str] = if lines.is_empty() { &[] } else { &[FRESH] };
        let body = content(4 * SLICE, 0);
        let sent = body.clone();
        let origin = Origin::plain(move |asked| match asked.field("referer") {
            Some("evil") => Reply::response("403 Forbidden", lines, "evil"),
            _ if asked.field("x-attack").is_some() => Reply::response("404 Not Found", lines, "evil"),
            _ => ranged(asked, &[FRESH, "ETag: \"a\""], &sent),
        });
        let pop = Pop::start(&site_with("a.test", &origin, "range_fetch = \"slices\"\nslice_size = \"64KiB\"", ""));
        assert_eq!(pop.get_with("/x", &["Range: bytes=0-9"]).status, 206);
        wait_until(|| pop.stats().fetching == (0, 0));
        let range = format!("Range: bytes={}-", 3 * SLICE);
        assert_eq!(pop.get_with("/x", &["Referer: evil", &range]).status, 403);
        assert_eq!(pop.get_with("/x", &["X-Attack: 1", &range]).status, 404);
        let asked = origin.count();
        assert!(is_hit(&pop.get_with("/x", &["Range: bytes=0-9"])), "{lines:?}");
        assert_eq!(origin.count(), asked, "{lines:?}");
        assert!(pop.get("/x").body == body, "{lines:?}");
        assert_eq!(origin.count(), asked + 3, "{lines:?}");
    }
}
