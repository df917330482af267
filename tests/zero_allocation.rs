//! A hit over plain HTTP allocates nothing on the heap: counted on the real session loop, from the read to the writev
//! and on to the next read, with metrics on. Every thread of the process is counted but the client's own.
//!
//! One test, since a second one beside it, or the harness that reports it, would be counted too.
#![allow(unsafe_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use millpond::Edge;
use millpond::config::Config;
use support::{Client, Origin, Reply, TempDir, wait_until};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The system's allocator, watched while [`IS_COUNTING`].
struct Counting;

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);
/// Where the first counted allocation came from, so that a failure tells what to mend.
static FIRST: Mutex<Option<Backtrace>> = Mutex::new(None);

thread_local! {
    /// What this thread allocates is not counted. Const, so that reading it never allocates.
    static IS_EXEMPT: Cell<bool> = const { Cell::new(false) };
}

/// Notes one allocation by the calling thread.
fn note() {
    if !IS_COUNTING.load(Ordering::Relaxed) || IS_EXEMPT.get() {
        return;
    }
    if COUNT.fetch_add(1, Ordering::SeqCst) == 0 {
        IS_EXEMPT.set(true);
        *FIRST.lock().unwrap() = Some(Backtrace::force_capture());
        IS_EXEMPT.set(false);
    }
}

// SAFETY: every call goes to the system's allocator unchanged; noting it allocates at most on its own behalf, once.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What all threads but this one allocate while `work` runs, and from where first.
fn allocations(work: impl FnOnce()) -> (u64, String) {
    COUNT.store(0, Ordering::SeqCst);
    *FIRST.lock().unwrap() = None;
    IS_COUNTING.store(true, Ordering::SeqCst);
    work();
    IS_COUNTING.store(false, Ordering::SeqCst);
    let first = FIRST.lock().unwrap().take().map_or_else(String::new, |trace| trace.to_string());
    (COUNT.load(Ordering::SeqCst), first)
}

/// A kind of hit: the request, and the status that answers it.
struct Kind {
    name: &'static str,
    /// Everything up to the target's path, which the test adds.
    method: &'static str,
    rest: &'static str,
    path: &'static str,
    status: u16,
}

const GET: Kind =
    Kind { name: "plain", method: "GET", rest: "HTTP/1.1\r\nHost: a.test\r\n\r\n", path: "/1k", status: 200 };

const KINDS: [Kind; 10] = [
    GET,
    Kind {
        name: "If-None-Match",
        rest: "HTTP/1.1\r\nHost: a.test\r\nIf-None-Match: \"other\", \"one\"\r\n\r\n",
        status: 304,
        ..GET
    },
    Kind {
        name: "If-Modified-Since",
        rest: "HTTP/1.1\r\nHost: a.test\r\nIf-Modified-Since: Sat, 01 Aug 2026 00:00:00 GMT\r\n\r\n",
        status: 304,
        ..GET
    },
    Kind { name: "a browser's twelve fields", rest: BROWSER, ..GET },
    Kind { name: "a browser's twelve fields against Vary", rest: BROWSER, path: "/vary", ..GET },
    Kind { name: "HEAD", method: "HEAD", ..GET },
    Kind { name: "HTTP/1.0 keep-alive", rest: "HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n", ..GET },
    Kind {
        name: "a range",
        rest: "HTTP/1.1\r\nHost: a.test\r\nRange: bytes=-100\r\nIf-Range: \"one\"\r\n\r\n",
        status: 206,
        ..GET
    },
    Kind { name: "upper-case host with a port", rest: "HTTP/1.1\r\nHost: A.TEST:80\r\n\r\n", ..GET },
    // One that the socket takes at once. A delivery that must wait for its client parks in a box of its own.
    Kind { name: "16 KiB", path: "/16k", ..GET },
];

const BROWSER: &str = "HTTP/1.1\r\n\
    Host: a.test\r\n\
    Connection: keep-alive\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: http://a.test/index.html\r\n\
    Cookie: session=0123456789abcdef; theme=dark\r\n\
    Cache-Control: max-age=1000\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Priority: u=0, i\r\n\r\n";

impl Kind {
    fn request(&self) -> String {
        format!("{} {} {}", self.method, self.path, self.rest)
    }

    /// Asks once; the answer must come from the store.
    fn hit(&self, client: &mut Client, request: &str) {
        client.send(request);
        let response = client.response_to(self.method);
        let from = response.field("cache-status").unwrap_or_default();
        assert!(response.status == self.status && from.contains("hit"), "{}: {} {from}", self.name, response.status);
    }
}

/// Bodies by path: `/1k`, `/16k`, and the rest small with Vary.
fn origin() -> Origin {
    Origin::plain(|request| {
        let vary = if request.target == "/vary" { "Vary: Accept-Encoding, Accept" } else { "X-Any: thing" };
        let size = if request.target == "/16k" { 16 << 10 } else { 1 << 10 };
        let fields = [
            "Cache-Control: public, max-age=3600",
            "Content-Type: text/plain",
            "ETag: \"one\"",
            "Last-Modified: Sat, 01 Aug 2026 00:00:00 GMT",
            vary,
        ];
        Reply::response("200 OK", &fields, vec![b'x'; size])
    })
}

fn toml(origin: &Origin) -> String {
    format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\n[workers]\ncount = 1\n\
         [[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"127.0.0.1:{}\"]\nprotocol = \"http\"\n",
        origin.port()
    )
}

fn edge(origin: &Origin, log: Option<&Path>) -> Edge {
    let mut text = toml(origin);
    if let Some(log) = log {
        write!(text, "[log]\naccess = \"{}\"\n", log.display()).unwrap();
    }
    Edge::start(Config::parse(&text, Path::new("test.toml")).unwrap()).unwrap()
}

#[test]
fn a_hit_over_plain_http_allocates_nothing() {
    IS_EXEMPT.set(true);
    let origin = origin();
    without_log(&origin);
    with_log(&origin);
    with_rules(&origin);
}

fn without_log(origin: &Origin) {
    let edge = edge(origin, None);
    let mut client = Client::plain(edge.addresses().http[0]);
    // The counter counts: a fetch cannot do without the heap.
    let (count, _) = allocations(|| assert_eq!(client.get("a.test", "/1k").status, 200));
    assert!(count > 0);
    client.get("a.test", "/16k");
    client.send(format!("GET /vary {BROWSER}"));
    client.response();
    // What a fetch does after its answer is out is no hit's doing.
    wait_until(|| edge.stats().fetching == (0, 0));
    let mut hits = 0;
    for kind in &KINDS {
        let request = kind.request();
        // Connections that wait for the first time, buffers that find their size.
        (0..10).for_each(|_| kind.hit(&mut client, &request));
        // Another thread may allocate once in its life just now; a hit that does, does so in every round.
        let mut found = (0, String::new());
        for round in 1..=3 {
            found = allocations(|| (0..HITS).for_each(|_| kind.hit(&mut client, &request)));
            hits += HITS + if round == 1 { 10 } else { 0 };
            if found.0 == 0 {
                break;
            }
        }
        let (count, first) = found;
        assert_eq!(count, 0, "{HITS} hits ({}) allocated {count} times, first here:\n{first}", kind.name);
    }
    assert_eq!(origin.count(), 3);
    // The last one is counted after its answer has left.
    wait_until(|| edge.stats().hits == hits);
}

/// With a log every second a buffer goes to the writer, which gives back an empty one: after the first round none is
/// made. The hits counted fit into one buffer, so that a slow writer does not matter.
fn with_log(origin: &Origin) {
    let dir = TempDir::new();
    let log = dir.path().join("access.log");
    let edge = edge(origin, Some(&log));
    let mut client = Client::plain(edge.addresses().http[0]);
    client.get("a.test", "/1k");
    let request = format!("GET /1k {BROWSER}");
    let lines = || std::fs::read_to_string(&log).unwrap_or_default().lines().count();
    for round in 1..=2 {
        (0..HITS_IN_BUFFER).for_each(|_| GET.hit(&mut client, &request));
        wait_until(|| lines() == 1 + round * HITS_IN_BUFFER);
    }
    let (count, first) = allocations(|| (0..HITS_IN_BUFFER).for_each(|_| GET.hit(&mut client, &request)));
    assert_eq!(count, 0, "{HITS_IN_BUFFER} logged hits allocated {count} times, first here:\n{first}");
}

/// With every rule of an operator's that a hit meets: bypass conditions, a query rewritten, a longer key, fields changed.
fn with_rules(origin: &Origin) {
    let text = format!("{}{RULES}", toml(origin));
    let edge = Edge::start(Config::parse(&text, Path::new("test.toml")).unwrap()).unwrap();
    let mut client = Client::plain(edge.addresses().http[0]);
    let request = format!("GET /1k?z=1&utm_id=7&a=2&b=3&c=4 {BROWSER}");
    client.send(&request);
    let first = client.response();
    assert_eq!((first.status, first.field("x-frame-options")), (200, Some("DENY")), "{first:?}");
    wait_until(|| edge.stats().fetching == (0, 0));
    (0..10).for_each(|_| GET.hit(&mut client, &request));
    let mut found = (0, String::new());
    for _ in 0..3 {
        found = allocations(|| (0..HITS).for_each(|_| GET.hit(&mut client, &request)));
        if found.0 == 0 {
            break;
        }
    }
    let (count, first) = found;
    assert_eq!(count, 0, "{HITS} hits under rules allocated {count} times, first here:\n{first}");
}

const RULES: &str = r#"
[site.cache]
precedence = "rule"
query_drop = ["utm_*"]
sort_query = true
key_headers = ["Accept-Language"]
key_cookies = ["theme"]
show_lifetime = true
negative_ttl = "1s"
[[site.rule]]
path = ["/admin/", "**/live/*.m3u8"]
bypass = true
[[site.rule]]
header = "X-Preview"
cookie = "wordpress_logged_in_*"
query = "nocache=1"
bypass = true
[[site.rule]]
extension = "css"
ttl = "1h"
[site.response]
set = { X-Frame-Options = "DENY", Cache-Control = "max-age=60" }
remove = ["Last-Modified-By"]
"#;

const HITS: u64 = 1000;
/// At some 350 bytes a line, less than the 64 KiB of a buffer.
const HITS_IN_BUFFER: usize = 120;
