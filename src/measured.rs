//! What `benches/` measures of the inside, wrapped just far enough to be called from outside.
//!
//! For the benches and nobody else: hidden from the documentation, and no promise is made of it. Adds nothing to what it
//! wraps, so that the figures are those of the parts themselves.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, Site};
use crate::http1::{HeadLimits, HeadScan, Parsed, RequestHead, Slots};
use crate::observe::{Ledger, Metrics};
use crate::origin::{OriginRequest, Origins, Resolver};
use crate::policy::directives::ResponseDirectives;
use crate::policy::freshness::{Freshness, Times};
use crate::policy::key::write_key;
use crate::pool::{self, Pool};
use crate::proxy::{Parts, Proxy};
use crate::server::{Call, Clock, Delivery, Handler, Payload, Peer, Step};
use crate::store::{Body, Inserted, Mark, Matches, Plan, Reader, Spill, Store, StoredHead, StoredResponse};
use crate::time::Now;

/// A hit without its socket: parse, route, key, look-up, head written, chunk in hand, counted.
pub struct Hit {
    proxy: Proxy,
    local: <Proxy as Handler>::Local,
    peer: Peer,
    limits: HeadLimits,
    now: Now,
    out: Vec<u8>,
}

impl Hit {
    /// One stored response of 1 KiB for `http://www.example.com/1k`.
    pub fn new() -> Hit {
        let text = "[[site]]\ndomains = [\"www.example.com\"]\n[site.origin]\nservers = [\"127.0.0.1:1\"]\n";
        let config = Config::parse(text, Path::new("")).expect("the text above is valid");
        let limits = HeadLimits {
            line: config.limits.request_line,
            head: config.limits.request_head,
            fields: config.limits.request_fields,
        };
        let clock = Clock::start();
        let parts = Parts {
            origins: Origins::new(Resolver::system(), Vec::new()),
            pool: Pool::new("fetcher", pool::Limits::default(), move || clock.now().monotonic),
            clock,
            metrics: Arc::new(Metrics::new(1)),
            ledger: Arc::new(Ledger::default()),
            certificates: Arc::default(),
            access_log: None,
        };
        let proxy = Proxy::new(config, parts);
        let now = clock.now();
        let mut key = Vec::new();
        write_key(&mut key, Some("http"), Some("www.example.com"), "/1k");
        proxy.store().insert(&key, response(proxy.store(), now));
        let peer = Peer { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)), is_https: false, sni: None };
        Hit { local: proxy.local(0), proxy, peer, limits, now, out: Vec::with_capacity(4096) }
    }

    /// Answers one whole request head; the bytes of the answer's head and of the first chunk of its body, both zero
    /// where it is no hit.
    pub fn answer(&mut self, request: &[u8]) -> (usize, u64) {
        let mut slots = Slots::new();
        let mut scan = HeadScan::default();
        let Ok(Parsed::Whole(head)) = RequestHead::parse(request, &self.limits, &mut scan, &mut slots) else {
            return (0, 0);
        };
        self.out.clear();
        let call = Call { local: &mut self.local, now: self.now, peer: &self.peer, out: &mut self.out };
        let Step::Answer(answer) = self.proxy.begin(call, &head) else { return (0, 0) };
        let body = match answer.payload {
            Payload::Whole(chunk) => chunk.len(),
            _ => 0,
        };
        let delivery = Delivery { bytes: body, is_whole: true, fault: None };
        self.proxy.finish(&mut self.local, self.now, answer.note, delivery);
        (self.out.len(), body)
    }
}

impl Default for Hit {
    fn default() -> Hit {
        Hit::new()
    }
}

/// A store full of responses of 1 KiB.
pub struct Memory {
    store: Store,
    now: Now,
    key: Vec<u8>,
    next: u64,
}

impl Memory {
    /// A store with `count` responses under the numbers from 0, and room for `room` bytes.
    pub fn new(count: u64, room: u64) -> Memory {
        let mut memory = Memory { store: Store::new(room, room), now: Clock::start().now(), key: Vec::new(), next: 0 };
        (0..count).for_each(|_| _ = memory.insert());
        memory
    }

    /// Looks for one by its number.
    pub fn find(&mut self, number: u64) -> bool {
        self.set_key(number);
        self.store.find(&self.key, |_| true).is_some()
    }

    /// Stores one more under the next number, evicting what must go; false where there is no room.
    pub fn insert(&mut self) -> bool {
        self.set_key(self.next);
        self.next += 1;
        let response = response(&self.store, self.now);
        self.store.insert(&self.key, response) == Inserted::Stored
    }

    /// Removes all, as a purge by their directory does; how many that were.
    pub fn purge(&mut self) -> u64 {
        self.set_key(0);
        // All but the number.
        let directory = self.key.len().saturating_sub(20);
        let beginning: Box<[u8]> = self.key.get(..directory).unwrap_or_default().into();
        let matches: Matches = Arc::new(move |key, _| key.starts_with(&beginning));
        self.store.purge(true, &matches)
    }

    /// Another one that looks into the same store.
    pub fn another(&self) -> Memory {
        Memory { store: self.store.clone(), now: self.now, key: Vec::new(), next: 0 }
    }

    /// Responses stored, and bytes charged for them.
    pub fn stats(&self) -> (u64, u64) {
        let stats = self.store.stats();
        (stats.responses, stats.bytes)
    }

    fn set_key(&mut self, number: u64) {
        let digits: [u8; 20] = std::array::from_fn(|place| {
            let digit = number / 10_u64.pow(u32::try_from(19 - place).unwrap_or(0)) % 10;
            b'0' + u8::try_from(digit).unwrap_or(0)
        });
        self.key.clear();
        self.key.extend_from_slice(b"\x05http\x10www.example.com/1k/");
        self.key.extend_from_slice(&digits);
    }
}

/// The way to one origin.
pub struct Fetch {
    origins: Origins,
    site: Arc<Site>,
}

impl Fetch {
    /// The first site of a configuration; `None` where the text is not valid.
    pub fn new(text: &str) -> Option<Fetch> {
        let config = Config::parse(text, Path::new("")).ok()?;
        let site = config.sites.first()?.clone();
        Some(Fetch { origins: Origins::new(Resolver::system(), Vec::new()), site })
    }

    /// One GET and its whole body.
    ///
    /// # Errors
    /// The cause as people read it.
    pub fn get(&self, target: &str, buffer: &mut [u8]) -> Result<u64, String> {
        let host = self.site.domains.first().map_or("", String::as_str);
        let fields: [(&str, &[u8]); 2] = [("Accept", b"*/*"), ("Via", b"1.1 millpond")];
        let request = OriginRequest { method: "GET", target, host, client_is_https: true, fields: &fields, body: None };
        let mut fetched = self.origins.send(&self.site, &request, None).map_err(|error| error.detail)?;
        let mut length = 0;
        loop {
            match fetched.body.read(buffer).map_err(|error| error.detail)? {
                0 => return Ok(length),
                n => length += n as u64,
            }
        }
    }
}

/// A response of 1 KiB with a usual head, fresh for an hour, its body charged to the store.
fn response(store: &Store, now: Now) -> Arc<StoredResponse> {
    let spill = Spill { dir: std::env::temp_dir(), max: 0, window: 0, patience: Duration::ZERO };
    let plan = Plan { kept: true, held: false, length: Some(BODY.len() as u64), spill };
    let (mut writer, body) = Body::open(plan, Some(store.budget()));
    let reader = Reader::new(&body);
    // A body that found no room is not kept, and the store refuses it.
    let _ = writer.push(&BODY);
    writer.finish();
    drop(reader);
    let start = StoredHead::builder(200).field("Date", &now.date().format());
    let head = HEAD.iter().fold(start, |head, (name, value)| head.field(name, value)).build();
    let times = Times { request: now, response: now };
    Arc::new(StoredResponse {
        freshness: Freshness::of(200, &ResponseDirectives::parse(&head), &head, times),
        head,
        variant: None,
        body,
        mark: Mark::default(),
    })
}

const BODY: [u8; 1024] = [b'x'; 1024];
const HEAD: [(&str, &[u8]); 5] = [
    ("Server", b"nginx/1.28.0"),
    ("Content-Type", b"text/plain"),
    ("Last-Modified", b"Fri, 31 Jul 2026 00:00:00 GMT"),
    ("ETag", b"\"66b0c5a0-400\""),
    ("Cache-Control", b"public, max-age=3600"),
];
