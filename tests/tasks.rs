//! Tasks over real sockets: what a prefetch stores, what it says of its failures, how it is steered, what outlives a
//! restart, and that clients do not notice.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use millpond::{Prefetch, Task, TaskError, TaskState, TaskUrl, UrlState, Window};
use support::pop::{is_hit, is_stored, site, site_at};
use support::{Gate, Origin, Pop, Reply, TempDir, wait_until};

const FRESH: &str = "Cache-Control: max-age=600";

fn of(targets: &[&str]) -> Prefetch {
    Prefetch { urls: targets.iter().map(|target| format!("http://a.test{target}")).collect(), ..Prefetch::default() }
}

fn many(count: usize) -> Prefetch {
    Prefetch { urls: (0..count).map(|number| format!("http://a.test/{number}")).collect(), ..Prefetch::default() }
}

fn fresh() -> Origin {
    Origin::plain(|request| Reply::response("200 OK", &[FRESH], &request.target))
}

#[track_caller]
fn begin(pop: &Pop, prefetch: &Prefetch) -> Task {
    pop.edge().prefetch(prefetch).unwrap_or_else(|error| panic!("{error}"))
}

/// Waits for its end.
#[track_caller]
fn ended(pop: &Pop, id: u64) -> Task {
    wait_until(|| pop.edge().task(id).is_some_and(|task| task.ended.is_some()));
    pop.edge().task(id).unwrap()
}

#[track_caller]
fn urls(pop: &Pop, id: u64) -> Vec<TaskUrl> {
    pop.edge().task_urls(id, None, 1000, None).unwrap().items
}

/// What happens to one address.
#[track_caller]
fn only(pop: &Pop, prefetch: &Prefetch) -> TaskUrl {
    let task = begin(pop, prefetch);
    ended(pop, task.id);
    let mut urls = urls(pop, task.id);
    assert_eq!(urls.len(), 1, "{urls:?}");
    urls.remove(0)
}

/// A time of day that is half a day away.
fn not_now() -> Window {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let minute = (now / 60 + 720) % 1440;
    let next = (minute + 1) % 1440;
    Window::parse(&format!("{:02}:{:02}-{:02}:{:02}", minute / 60, minute % 60, next / 60, next % 60)).unwrap()
}

fn with_state(dir: &Path, site: &str) -> String {
    format!("[state]\ndir = \"{}\"\n{site}", dir.display())
}

#[test]
fn what_was_prefetched_is_a_hit() {
    let origin = fresh();
    let pop = Pop::of(&origin);
    let task = begin(&pop, &of(&["/a", "/b?x=1"]));
    assert_eq!((task.total, task.source.as_str()), (2, "2 URLs"));
    let task = ended(&pop, task.id);
    assert_eq!((task.state, task.done, task.failed, task.bytes), (TaskState::Complete, 2, 0, 8));
    assert!(task.started.is_some() && task.started <= task.ended && task.error.is_none());
    for url in urls(&pop, task.id) {
        assert_eq!((url.state, url.status, url.cache), (UrlState::Complete, Some(200), Some("stored")), "{url:?}");
        assert!(url.lifetime.is_some_and(|lifetime| (590..=600).contains(&lifetime)), "{url:?}");
        assert_eq!((url.attempts, url.cause), (1, None));
    }
    assert!(is_hit(&pop.get("/a")) && is_hit(&pop.get("/b?x=1")));
    assert_eq!(origin.count(), 2);
    wait_until(|| pop.stats().requests == 2);
    assert_eq!(pop.stats().hits, 2, "the task's own are no client's");
    let again = only(&pop, &of(&["/a"]));
    assert_eq!((again.cache, origin.count()), (Some("hit"), 2), "{again:?}");
}

#[test]
fn fields_choose_the_variant() {
    let origin = Origin::plain(|request| {
        let language = request.field("accept-language").unwrap_or("none").to_owned();
        Reply::response("200 OK", &[FRESH, "Vary: Accept-Language"], language)
    });
    let pop = Pop::of(&origin);
    let fields = vec![("Accept-Language".to_owned(), "de".to_owned())];
    assert_eq!(only(&pop, &Prefetch { fields, ..of(&["/"]) }).cache, Some("stored"));
    assert!(is_hit(&pop.get_with("/", &["Accept-Language: de"])));
    assert!(!is_hit(&pop.get_with("/", &["Accept-Language: en"])));
}

#[test]
fn every_address_says_what_became_of_it() {
    let down = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let origin = Origin::plain(|request| match request.target.as_str() {
        "/private" => Reply::response("200 OK", &["Cache-Control: private"], "x"),
        "/404" => Reply::response("404 Not Found", &[FRESH], "gone"),
        "/cut" => Reply::bytes(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 10\r\n\r\nhello")).close(),
        "/zero" => Reply::response("200 OK", &["Cache-Control: max-age=0", "ETag: \"a\""], "x"),
        _ => Reply::nothing().reset(),
    });
    let pop = Pop::start(&(site("a.test", &origin) + &site_at("b.test", &down, "", "")));
    #[rustfmt::skip]
    let rows = [
        ("http://a.test/private", UrlState::Complete, Some(200), Some("not-stored"), None, None),
        ("http://a.test/404", UrlState::Failed, Some(404), Some("stored"), None, None),
        ("http://a.test/cut", UrlState::Failed, Some(200), Some("stored"), Some("http_response_incomplete"), Some("body")),
        ("http://a.test/zero", UrlState::Complete, Some(200), Some("stored"), None, None),
        ("http://a.test/reset", UrlState::Failed, Some(502), None, Some("connection_terminated"), Some("response-head")),
        ("http://b.test/", UrlState::Failed, Some(502), None, Some("connection_refused"), Some("connect")),
        ("http://c.test/", UrlState::Failed, None, None, Some("destination_not_found"), None),
        ("http://127.0.0.1:22/", UrlState::Failed, None, None, Some("destination_not_found"), None),
        ("file:///etc/passwd", UrlState::Failed, None, None, Some("destination_not_found"), None),
    ];
    let urls_given = rows.iter().map(|row| row.0.to_owned()).collect();
    let task = begin(&pop, &Prefetch { urls: urls_given, ..Prefetch::default() });
    let task = ended(&pop, task.id);
    assert_eq!((task.state, task.done, task.failed), (TaskState::Failed, 9, 7));
    assert!(task.error.is_some());
    for (row, url) in rows.iter().zip(urls(&pop, task.id)) {
        assert_eq!(url.url, row.0);
        let found = (row.0, url.state, url.status, url.cache, url.cause.as_deref(), url.phase.as_deref());
        // What a cut body leaves for a moment is of no account.
        let expected = (row.0, row.1, row.2, if row.0.ends_with("/cut") { url.cache } else { row.3 }, row.4, row.5);
        assert_eq!(found, expected, "{url:?}");
        assert_eq!(url.detail.is_some(), row.1 == UrlState::Failed, "{url:?}");
    }
    assert!(!is_hit(&pop.get("/private")));
    let page = pop.edge().task_urls(task.id, None, 3, Some(UrlState::Failed)).unwrap();
    assert_eq!((page.items.len(), page.total), (3, 7));
    let rest = pop.edge().task_urls(task.id, page.next, 10, Some(UrlState::Failed)).unwrap();
    assert_eq!((rest.items.len(), rest.next), (4, None));
    assert_eq!(rest.items[0].url, "http://b.test/");
}

#[test]
fn a_sitemap_brings_its_pages_and_those_of_its_parts() {
    let origin = Origin::plain(|request| {
        let loc = |tag: &str, url: &str| format!("<{tag}><loc>{url}</loc></{tag}>");
        let body = match request.target.as_str() {
            "/index.xml" => format!(
                "<sitemapindex>{}{}</sitemapindex>",
                loc("sitemap", "http://a.test/1.xml"),
                loc("sitemap", "http://a.test/2.xml")
            ),
            "/1.xml" => {
                format!("<urlset>{}{}</urlset>", loc("url", "http://a.test/p?a&amp;b"), loc("url", "http://a.test/q"))
            }
            "/2.xml" => {
                format!("<urlset>{}{}</urlset>", loc("url", "http://a.test/q"), loc("url", "http://other.test/"))
            }
            "/none.xml" => "<html/>".to_owned(),
            target => target.to_owned(),
        };
        Reply::response("200 OK", &[FRESH], body)
    });
    let pop = Pop::of(&origin);
    let sitemap = |target: &str| Prefetch { sitemap: Some(format!("http://a.test{target}")), ..Prefetch::default() };
    let task = begin(&pop, &sitemap("/index.xml"));
    let task = ended(&pop, task.id);
    let mut all: Vec<_> = urls(&pop, task.id).into_iter().map(|url| (url.url, url.state)).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("http://a.test/1.xml", UrlState::Complete),
        ("http://a.test/2.xml", UrlState::Complete),
        ("http://a.test/index.xml", UrlState::Complete),
        ("http://a.test/p?a&b", UrlState::Complete),
        ("http://a.test/q", UrlState::Complete),
        ("http://other.test/", UrlState::Failed),
    ];
    assert_eq!(all, expected.map(|(url, state)| (url.to_owned(), state)));
    assert!(is_hit(&pop.get("/p?a&b")));
    let none = only(&pop, &sitemap("/none.xml"));
    assert_eq!(none.state, UrlState::Failed);
    assert!(none.detail.unwrap().contains("no sitemap"));
}

/// `gzip` of a sitemap with /1 and /2.
const GZIPPED: &str = "1f8b0800000000000203b3292dca294e2db1b301d2763639f9c9761925250556fafa897a25a9c525fa8636fa20411b7db03c\
    0e4546288af4a146020050136c295b000000";

#[test]
fn a_sitemap_may_be_a_compressed_file_or_come_compressed() {
    let bytes: Vec<u8> =
        (0..GZIPPED.len()).step_by(2).map(|at| u8::from_str_radix(&GZIPPED[at..at + 2], 16).unwrap()).collect();
    let origin = Origin::plain(move |request| match request.target.as_str() {
        "/index.xml" => {
            let parts = ["file.xml.gz", "coded.xml", "cut.xml.gz", "other.xml.br"];
            let parts = parts.map(|part| format!("<sitemap><loc>http://a.test/{part}</loc></sitemap>")).concat();
            Reply::response("200 OK", &[FRESH], format!("<sitemapindex>{parts}</sitemapindex>"))
        }
        "/file.xml.gz" => Reply::response("200 OK", &[FRESH, "Content-Type: application/gzip"], &bytes),
        "/coded.xml" => Reply::response("200 OK", &[FRESH, "Content-Encoding: gzip"], &bytes),
        "/cut.xml.gz" => Reply::response("200 OK", &[FRESH], &bytes[..50]),
        "/other.xml.br" => Reply::response("200 OK", &[FRESH], [0xff; 9]),
        target => Reply::response("200 OK", &[FRESH], target),
    });
    let pop = Pop::of(&origin);
    let asked = |target: &str| Prefetch { sitemap: Some(format!("http://a.test{target}")), ..Prefetch::default() };
    for target in ["/file.xml.gz", "/coded.xml"] {
        let task = ended(&pop, begin(&pop, &asked(target)).id);
        assert_eq!((task.state, task.total), (TaskState::Complete, 3), "{:?}", urls(&pop, task.id));
    }
    assert!(is_hit(&pop.get("/1")) && is_hit(&pop.get("/2")));
    let task = ended(&pop, begin(&pop, &asked("/index.xml")).id);
    assert_eq!((task.total, task.failed), (7, 2), "{:?}", urls(&pop, task.id));
    for (part, words) in [("cut.xml.gz", "damaged: it breaks off"), ("other.xml.br", "nor compressed with gzip")] {
        let url = urls(&pop, task.id).into_iter().find(|url| url.url.ends_with(part)).unwrap();
        assert!(url.state == UrlState::Failed && url.detail.as_ref().unwrap().contains(words), "{url:?}");
    }
}

#[test]
fn a_manifest_brings_its_segments() {
    let origin = Origin::plain(|request| {
        let body = match request.target.as_str() {
            "/v/main.m3u8" => "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow/i.m3u8\n",
            "/v/low/i.m3u8" => {
                "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:4,\n1.ts\n#EXTINF:4,\n../2.ts\n#EXT-X-ENDLIST\n"
            }
            "/d.mpd" => {
                "<MPD mediaPresentationDuration=\"PT4S\"><Period><AdaptationSet><SegmentTemplate media=\"s-$Number$.m4s\" \
                 duration=\"2\"/><Representation id=\"1\"/></AdaptationSet></Period></MPD>"
            }
            _ => "segment",
        };
        Reply::response("200 OK", &[FRESH], body)
    });
    let pop = Pop::of(&origin);
    let manifest = |target: &str| Prefetch { manifest: Some(format!("http://a.test{target}")), ..Prefetch::default() };
    for target in ["/v/main.m3u8", "/d.mpd"] {
        let task = begin(&pop, &manifest(target));
        assert_eq!(ended(&pop, task.id).state, TaskState::Complete, "{:?}", urls(&pop, task.id));
    }
    for target in ["/v/low/i.m3u8", "/v/low/init.mp4", "/v/low/1.ts", "/v/2.ts", "/s-1.m4s", "/s-2.m4s"] {
        assert!(is_hit(&pop.get(target)), "{target}");
    }
}

#[test]
fn a_dry_run_sends_nothing() {
    let origin = fresh();
    let pop = Pop::of(&origin);
    pop.get("/there");
    let dry =
        Prefetch { is_dry: true, sitemap: Some("http://a.test/s.xml".into()), ..of(&["/there", "/new", "/new2"]) };
    let task = begin(&pop, &dry);
    let task = ended(&pop, task.id);
    assert_eq!((task.state, task.is_dry, task.total), (TaskState::Complete, true, 4));
    let found: Vec<_> = urls(&pop, task.id).into_iter().map(|url| (url.cache, url.reason)).collect();
    assert_eq!(found[1], (Some("hit"), None));
    assert_eq!(
        (found[0].clone(), found[2].clone()),
        ((None, Some("uri-miss".into())), (None, Some("uri-miss".into())))
    );
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_task_can_be_paused_resumed_and_cancelled() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |_| {
        Reply::nothing().wait(&held).then(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 0\r\n\r\n"))
    });
    let pop = Pop::of(&origin);
    let edge = pop.edge();
    let task = begin(&pop, &Prefetch { parallel: Some(2), ..many(6) });
    origin.wait_for_requests(2);
    assert_eq!(edge.pause(task.id).unwrap().state, TaskState::Paused);
    gate.open();
    wait_until(|| edge.task(task.id).unwrap().done == 2);
    assert_eq!((edge.task(task.id).unwrap().state, origin.count()), (TaskState::Paused, 2), "no more than ran");
    assert!(matches!(edge.retry(task.id), Err(TaskError::State(_))));
    assert!(matches!(edge.remove_task(task.id), Err(TaskError::State(_))));
    edge.resume(task.id).unwrap();
    assert_eq!(ended(&pop, task.id).state, TaskState::Complete);
    assert_eq!(origin.count(), 6);
    for refused in [edge.pause(task.id), edge.resume(task.id), edge.cancel(task.id), edge.retry(task.id)] {
        assert!(matches!(refused, Err(TaskError::State(_))), "{refused:?}");
    }
    assert_eq!(edge.pause(99), Err(TaskError::Unknown));
    edge.remove_task(task.id).unwrap();
    assert!(edge.task(task.id).is_none());
}

#[test]
fn a_cancelled_task_ends_at_once_and_can_be_done_after_all() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |_| {
        Reply::nothing().wait(&held).then(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 0\r\n\r\n"))
    });
    let pop = Pop::of(&origin);
    let task = begin(&pop, &Prefetch { parallel: Some(2), ..many(5) });
    origin.wait_for_requests(2);
    assert_eq!(pop.edge().cancel(task.id).unwrap().state, TaskState::Cancelled);
    let task = ended(&pop, task.id);
    assert_eq!((task.done, task.failed), (0, 0), "nobody waits for an origin that is silent");
    assert!(urls(&pop, task.id).iter().all(|url| url.state == UrlState::Cancelled));
    gate.open();
    pop.edge().retry(task.id).unwrap();
    assert_eq!(ended(&pop, task.id).state, TaskState::Complete);
    assert!((0..5).all(|number| is_hit(&pop.get(&format!("/{number}")))));
}

#[test]
fn what_failed_is_done_again_and_nothing_else() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = is_well.clone();
    let origin = Origin::plain(move |request| match request.target.as_str() {
        "/1" if !well.load(Ordering::SeqCst) => Reply::response("500 Oops", &[], ""),
        _ => Reply::response("200 OK", &[FRESH], "x"),
    });
    let pop = Pop::of(&origin);
    let task = begin(&pop, &many(3));
    assert_eq!((ended(&pop, task.id).failed, origin.count()), (1, 3));
    is_well.store(true, Ordering::SeqCst);
    let again = pop.edge().retry(task.id).unwrap();
    assert_eq!((again.failed, again.done), (0, 2));
    let task = ended(&pop, task.id);
    assert_eq!((task.state, task.failed, origin.count()), (TaskState::Complete, 0, 4));
    assert_eq!(urls(&pop, task.id).iter().map(|url| url.attempts).collect::<Vec<_>>(), [1, 2, 1]);
}

#[test]
fn a_restart_in_the_middle_keeps_what_is_done() {
    let dir = TempDir::new();
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |request| {
        let answer = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 0\r\n\r\n");
        match request.target.as_str() {
            "/0" | "/1" => Reply::bytes(answer),
            _ => Reply::nothing().wait(&held).then(answer),
        }
    });
    let toml = with_state(dir.path(), &site("a.test", &origin));
    let pop = Pop::start(&toml);
    let prefetch = Prefetch {
        parallel: Some(1),
        fields: vec![("X-Task".into(), "one two".into())],
        urls: many(4).urls.into_iter().chain(["http://no.test/".to_owned()]).collect(),
        ..Prefetch::default()
    };
    let task = begin(&pop, &prefetch);
    origin.wait_for_requests(3);
    wait_until(|| pop.edge().task(task.id).unwrap().done == 3);
    pop.shutdown();
    gate.open();
    let pop = Pop::start(&toml);
    let task = ended(&pop, task.id);
    assert_eq!((task.state, task.total, task.done, task.failed), (TaskState::Failed, 5, 5, 1));
    let asked = |target: &str| origin.requests().iter().filter(|request| request.target == target).count();
    assert_eq!(
        [asked("/0"), asked("/1"), asked("/2"), asked("/3")],
        [1, 1, 2, 1],
        "what ran is begun anew, what was done is not"
    );
    assert!(origin.requests().iter().all(|request| request.field("x-task") == Some("one two")));
    assert!(begin(&pop, &many(1)).id > task.id);
    pop.shutdown();
    // And once more: an ended task stays one, until it is removed.
    let pop = Pop::start(&toml);
    assert_eq!(pop.edge().task(task.id).unwrap(), task);
    pop.edge().remove_task(task.id).unwrap();
    pop.shutdown();
    assert_eq!(Pop::start(&toml).edge().task(task.id), None);
}

#[test]
fn a_paused_and_a_cancelled_task_stay_so() {
    let dir = TempDir::new();
    let origin = fresh();
    let toml = with_state(dir.path(), &site("a.test", &origin));
    let pop = Pop::start(&toml);
    let never = not_now();
    let [paused, cancelled] = [0; 2].map(|_| begin(&pop, &Prefetch { window: Some(never), ..many(2) }).id);
    pop.edge().pause(paused).unwrap();
    pop.edge().cancel(cancelled).unwrap();
    pop.shutdown();
    let pop = Pop::start(&toml);
    let state = |id| pop.edge().task(id).unwrap().state;
    assert_eq!((state(paused), state(cancelled)), (TaskState::Paused, TaskState::Cancelled));
    assert!(urls(&pop, cancelled).iter().all(|url| url.state == UrlState::Cancelled));
}

#[test]
fn a_damaged_journal_is_set_aside_and_the_others_go_on() {
    let dir = TempDir::new();
    let origin = fresh();
    let toml = with_state(dir.path(), &site("a.test", &origin));
    let pop = Pop::start(&toml);
    let [one, two, three] = [0; 3].map(|_| begin(&pop, &many(3)).id);
    [one, two, three].iter().for_each(|id| _ = ended(&pop, *id));
    pop.shutdown();
    let folder = dir.path().join("tasks");
    let mut bytes = fs::read(folder.join(one.to_string())).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(folder.join(one.to_string()), &bytes).unwrap();
    fs::write(folder.join(two.to_string()), b"[listen]\n").unwrap();
    let pop = Pop::start(&toml);
    assert_eq!(pop.edge().tasks(None, 10, None).items.iter().map(|task| task.id).collect::<Vec<_>>(), [three]);
    assert!(is_stored(&pop.get("/new")), "it serves");
    let names: Vec<String> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let aside = |id: u64| names.iter().find(|name| name.starts_with(&format!("{id}.damaged-")));
    assert_eq!(fs::read(folder.join(aside(one).unwrap())).unwrap(), bytes, "it is kept as it was");
    assert!(aside(two).is_some() && aside(three).is_none());
}

/// The number, the journal's path and its text of a task of three addresses that has ended, in a POP that is stopped.
fn journal_of_three(toml: &str, dir: &TempDir) -> (u64, PathBuf, String) {
    let pop = Pop::start(toml);
    let id = begin(&pop, &many(3)).id;
    ended(&pop, id);
    pop.shutdown();
    let file = dir.path().join("tasks").join(id.to_string());
    let text = fs::read_to_string(&file).unwrap();
    (id, file, text)
}

#[test]
fn a_journal_that_has_grown_long_is_begun_anew() {
    let dir = TempDir::new();
    let origin = Origin::plain(|_| Reply::response("404 Not Found", &[], ""));
    let toml = with_state(dir.path(), &site("a.test", &origin));
    let (id, file, text) = journal_of_three(&toml, &dir);
    // As if it had been retried for years: what came of the last address, over and over.
    let line = text.lines().find(|line| line.starts_with("r\t2\t")).unwrap();
    let long = format!("{line}\n").repeat((17 << 20) / line.len());
    fs::write(&file, format!("{text}{long}")).unwrap();
    let pop = Pop::start(&toml);
    pop.edge().retry(id).unwrap();
    wait_until(|| fs::metadata(&file).unwrap().len() < 10_000);
    let task = ended(&pop, id);
    let urls_before = urls(&pop, id);
    assert!(urls_before.iter().all(|url| (url.state, url.attempts) == (UrlState::Failed, 2)));
    pop.shutdown();
    let pop = Pop::start(&toml);
    assert_eq!((pop.edge().task(id).unwrap(), urls(&pop, id)), (task, urls_before));
}

#[test]
fn a_task_whose_end_was_written_though_an_address_is_left_goes_on() {
    let dir = TempDir::new();
    let origin = fresh();
    let toml = with_state(dir.path(), &site("a.test", &origin));
    let (id, file, text) = journal_of_three(&toml, &dir);
    // As if a retry had been cut off: the address is to be done again, and that the task goes on was not written any more.
    let (done, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("r\t1\t"));
    assert_eq!(done.len(), 1, "{text}");
    fs::write(&file, rest.join("\n") + "\n").unwrap();
    let pop = Pop::start(&toml);
    wait_until(|| pop.edge().task(id).is_some_and(|task| task.done == 3));
    assert_eq!((ended(&pop, id).state, origin.count()), (TaskState::Complete, 4));
}

#[test]
fn no_more_fetches_run_from_one_site_than_the_task_says() {
    let (gate, at_once, most) = (Gate::new(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (held, now, peak) = (gate.clone(), at_once.clone(), most.clone());
    let origin = Origin::plain(move |_| {
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        held.wait();
        now.fetch_sub(1, Ordering::SeqCst);
        Reply::response("200 OK", &[FRESH], "")
    });
    let pop = Pop::of(&origin);
    let all = many(18).urls;
    let [one, two] = [&all[..9], &all[9..]]
        .map(|some| begin(&pop, &Prefetch { parallel: Some(3), urls: some.to_vec(), ..Prefetch::default() }).id);
    gate.wait_for_arrivals(3);
    gate.open();
    [one, two].iter().for_each(|id| _ = ended(&pop, *id));
    assert_eq!(most.load(Ordering::SeqCst), 3, "of all tasks together");
}

#[test]
fn clients_do_not_wait_for_a_task_at_a_stalled_origin() {
    let gate = Gate::new();
    let held = gate.clone();
    let stalled = Origin::plain(move |_| Reply::nothing().wait(&held));
    let other = fresh();
    let workers = "[workers]\nfetchers = 8\nmax_fetches = 6\n";
    let pop = Pop::start(&(workers.to_owned() + &site("a.test", &stalled) + &site("b.test", &other)));
    let task = begin(&pop, &Prefetch { parallel: Some(64), ..many(500) });
    stalled.wait_for_requests(3);
    for number in 0..20 {
        let answer = pop.client().get("b.test", &format!("/{number}"));
        assert!(is_stored(&answer), "{answer:?}");
    }
    // The last fetch of a client may still be ending; nothing of the task queues.
    wait_until(|| pop.stats().fetching == (3, 0));
    assert_eq!(pop.stats().failures, 0);
    pop.edge().cancel(task.id).unwrap();
    gate.open();
}

#[test]
fn what_means_nothing_is_refused_as_a_whole() {
    let pop = Pop::of(&fresh());
    for prefetch in
        [Prefetch::default(), Prefetch { rate: Some(0), ..many(1) }, Prefetch { parallel: Some(65), ..many(1) }]
    {
        assert!(matches!(pop.edge().prefetch(&prefetch), Err(TaskError::Unfit(_))), "{prefetch:?}");
    }
    assert_eq!(pop.edge().tasks(None, 10, None).total, 0);
}

#[test]
fn a_hundred_tasks_are_kept_and_the_oldest_ended_one_leaves() {
    let pop = Pop::of(&fresh());
    let never = not_now();
    let first = begin(&pop, &Prefetch { is_dry: true, ..many(1) }).id;
    ended(&pop, first);
    let rest: Vec<u64> = (0..99).map(|_| begin(&pop, &Prefetch { window: Some(never), ..many(1) }).id).collect();
    let one_more = begin(&pop, &Prefetch { window: Some(never), ..many(1) }).id;
    assert!(pop.edge().task(first).is_none());
    let full = pop.edge().prefetch(&many(1));
    assert!(matches!(full, Err(TaskError::Full(_))), "{full:?}");
    let page = pop.edge().tasks(None, 2, None);
    assert_eq!((page.total, page.items[0].id, page.items[1].id), (100, one_more, rest[98]));
    let next = pop.edge().tasks(page.next, 1000, None);
    assert_eq!((next.items.len(), next.items[0].id, next.next), (98, rest[97], None));
}

#[test]
fn a_hundred_thousand_addresses_are_listed_page_by_page() {
    let pop = Pop::of(&fresh());
    let never = not_now();
    let task = begin(&pop, &Prefetch { window: Some(never), ..many(100_000) });
    assert_eq!(task.total, 100_000);
    let (mut after, mut seen) = (None, 0);
    loop {
        let page = pop.edge().task_urls(task.id, after, 1000, None).unwrap();
        assert!(page.items.len() <= 1000 && page.total == 100_000);
        assert_eq!(page.items[0].url, format!("http://a.test/{seen}"));
        seen += page.items.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, 100_000);
    pop.edge().cancel(task.id).unwrap();
    assert_eq!(ended(&pop, task.id).done, 0);
    let cancelled = pop.edge().task_urls(task.id, None, 1, Some(UrlState::Cancelled)).unwrap();
    assert_eq!(cancelled.total, 100_000);
}
