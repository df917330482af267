//! A request from within: the decisions, the flight and the fetch of a client's, without a client.
//!
//! It runs on a thread of its own, which may wait; so whoever visits is no worker and no fetcher (decisions 10). It is
//! counted in no client's figures and stands in no access log; its fetches count as all others do.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use super::answer::Ask;
use super::decide::Decision;
use super::exchange::{Desk, Turned, admit, begin, first_decision, refuse, resume};
use super::note::Note;
use super::route::key_of;
use super::signal::Signal;
use super::{Local, Proxy};
use crate::cache::Lookup;
use crate::config::Site;
use crate::http1::{HeadLimits, HeadScan, Parsed, RequestHead, Slots};
use crate::observe::{CacheResult, Tally};
use crate::policy::Fields;
use crate::policy::redirect::Url;
use crate::server::{Answer, Call, Payload, Peer, Refusal, Sequence, Step, Stretch};
use crate::status::{Phase, ProxyError};
use crate::store::{Chunk, Next};
use crate::time::Now;
use crate::wake::{Address, Wake};

/// What is to be asked for with GET.
pub struct Errand<'e> {
    /// Of a site of ours.
    pub url: &'e Url,
    /// Further fields, each of which a client could send.
    pub fields: &'e [(String, String)],
}

/// What a visit came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visited {
    /// The status of the answer; 0 where there is none.
    pub status: u16,
    /// What is in the store now.
    pub kept: Option<Kept>,
    /// Why, as a word of policy's closed list; empty where there is nothing to say.
    pub reason: &'static str,
    /// Seconds that the stored response is fresh from now on.
    pub lifetime: Option<u32>,
    /// Bytes of its body.
    pub bytes: u64,
    /// Why the fetch failed, and when.
    pub cause: Option<(ProxyError, Phase)>,
    /// What was seen then.
    pub detail: String,
}

/// What a visit leaves in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// What it brought, or what it found to hold still.
    Stored,
    /// What was there and is fresh: nobody was asked.
    Hit,
    /// Nothing.
    Not,
}

/// Who takes the bytes of the body as they come.
pub type Take<'t> = &'t mut dyn FnMut(&[u8]);

impl Proxy {
    /// The site that answers for a host, in lower case and without port.
    pub fn site_of(&self, host: &str) -> Option<Arc<Site>> {
        self.core.live().router.find(host).cloned()
    }

    /// May a fetch that no client waits for begin now? Only an idle fetcher takes it (decisions 10), and half of them, and of
    /// the site's share, are left to clients.
    pub fn has_idle_fetcher(&self, site: &Site) -> bool {
        self.core.pool.has_spare(site.number, self.core.share_of(site))
    }

    /// Asks as a client would, and waits for all that comes; `take` gets the body. `None` where it was called off.
    pub fn visit(&self, errand: &Errand<'_>, signal: &Arc<Signal>, take: Option<Take<'_>>) -> Option<Visited> {
        let text = errand.text();
        let (mut slots, mut scan) = (Slots::new(), HeadScan::default());
        let head = match RequestHead::parse(&text, &LIMITS, &mut scan, &mut slots) {
            Ok(Parsed::Whole(head)) => head,
            other => return Some(malformed(other.err().map_or("it has no end", |error| error.reason))),
        };
        let mut trip = Trip::new(self, errand.url.is_https, signal);
        let answer = trip.ask(&head)?;
        let key = std::mem::take(&mut trip.local.key);
        let note = answer.note;
        let mut visited = Visited { status: note.status, reason: note.reason, ..Visited::default() };
        if let Some(fetch) = note.fetch {
            (visited.cause, visited.detail) = (fetch.cause, fetch.detail);
        }
        visited.kept = match note.cache {
            CacheResult::Hit | CacheResult::Stale => Some(Kept::Hit),
            CacheResult::Miss | CacheResult::Revalidated | CacheResult::Collapsed => Some(Kept::Stored),
            CacheResult::Pass | CacheResult::Local => Some(Kept::Not),
            CacheResult::Error => None,
        };
        // What is not to be kept is not worth the origin's while, unless somebody wants to read it.
        if visited.kept != Some(Kept::Not) || take.is_some() {
            let is_failed = visited.kept.is_none();
            let end = trip.read(answer.payload, take)?;
            visited.bytes = if is_failed { 0 } else { end.0 };
            if let Some(error) = end.1.filter(|_| visited.cause.is_none()) {
                visited.cause = Some((error, Phase::Body));
                visited.detail = error.sentence().to_owned();
            }
        }
        if let Some(site) = note.site.filter(|_| visited.cause.is_none() && visited.kept != Some(Kept::Not)) {
            self.verify(&mut visited, &site, &key, &head);
        }
        Some(visited)
    }

    /// What a visit would do now; sends nothing and stores nothing.
    pub fn consider(&self, errand: &Errand<'_>) -> Visited {
        let text = errand.text();
        let (mut slots, mut scan) = (Slots::new(), HeadScan::default());
        let head = match RequestHead::parse(&text, &LIMITS, &mut scan, &mut slots) {
            Ok(Parsed::Whole(head)) => head,
            other => return malformed(other.err().map_or("it has no end", |error| error.reason)),
        };
        let nobody = Arc::default();
        let mut trip = Trip::new(self, errand.url.is_https, &nobody);
        let mut desk = Desk::new(&self.core, trip.call());
        let mut note = Note::new(desk.local.next_id(self.core.number), desk.peer, desk.now);
        let site = match admit(&mut desk, &mut note, &head) {
            Ok(site) => site,
            Err(Turned::Away(refusal)) => return refused(&refusal),
            Err(_) => return Visited { reason: "force-https", kept: Some(Kept::Not), ..Visited::default() },
        };
        key_of(&mut desk.local.key, &site, &desk.local.host, &head.target, desk.peer.is_https);
        let ask = Ask::of_head(&head).of_site(&site);
        match first_decision(&mut desk, &ask, &head.target, &site, true) {
            Decision::Serve(stored, ..) | Decision::ServeAndRefresh(stored, ..) => {
                let lifetime = seconds(stored.freshness_at(desk.now).ttl(desk.now));
                let (kept, bytes) = (Some(Kept::Hit), stored.body.length().unwrap_or(0));
                Visited { status: stored.head.status(), kept, lifetime, bytes, ..Visited::default() }
            }
            Decision::ServeParts(parts, _) => {
                let lifetime = seconds(parts.ttl(desk.now));
                Visited { status: 200, kept: Some(Kept::Hit), lifetime, ..Visited::default() }
            }
            Decision::Fetch(_, forward, reason) => {
                let reason = if reason.is_empty() { forward.token() } else { reason };
                Visited { reason, ..Visited::default() }
            }
            Decision::NotCached => Visited { reason: "only-if-cached", kept: Some(Kept::Not), ..Visited::default() },
        }
    }

    /// Whether it is in the store after all: a body may have outgrown it, and purges may have overtaken it.
    fn verify(&self, visited: &mut Visited, site: &Site, key: &[u8], head: &dyn Fields) {
        let (cache, now) = (&self.core.cache, self.core.clock.now());
        let lifetime = match cache.lookup(key, head, None, &site.rules, now) {
            // One that is too large is only held while it is read.
            Lookup::Fresh(stored) if !stored.body.is_kept() => None,
            Lookup::Fresh(stored) | Lookup::Stale(stored, _) | Lookup::Validate(stored, ..) => {
                Some(seconds(stored.freshness_at(now).ttl(now)))
            }
            Lookup::Unsatisfiable => Some(Some(0)),
            Lookup::Miss(_) => {
                let manifest = cache.manifest(key, head);
                manifest.map(|manifest| seconds(manifest.response.freshness_at(now).ttl(now)))
            }
        };
        match lifetime {
            Some(lifetime) => visited.lifetime = lifetime,
            None => visited.kept = Some(Kept::Not),
        }
    }
}

impl Local {
    /// It belongs to a visit, not to a worker: no client waits for what it asks for.
    pub(super) fn is_visitor(&self) -> bool {
        self.worker == VISITOR
    }
}

impl Errand<'_> {
    fn text(&self) -> Vec<u8> {
        let mut text = format!("GET {} HTTP/1.1\r\nHost: {}\r\n", self.url.target, self.url.authority());
        let has = |name: &str| self.fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        for (name, value) in OWN.iter().filter(|(name, _)| !has(name)) {
            text += &format!("{name}: {value}\r\n");
        }
        self.fields.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
        text += "\r\n";
        text.into_bytes()
    }
}

/// What a visit works with: the place of a worker, without its connections.
struct Trip<'t> {
    proxy: &'t Proxy,
    local: Local,
    peer: Peer,
    out: Vec<u8>,
    signal: &'t Arc<Signal>,
    wake: Wake,
}

impl<'t> Trip<'t> {
    fn new(proxy: &'t Proxy, is_https: bool, signal: &'t Arc<Signal>) -> Trip<'t> {
        let live = proxy.core.live();
        let local = Local {
            worker: VISITOR,
            metrics: proxy.core.metrics.clone(),
            log: None,
            tally: Tally::default(),
            spare: Vec::new(),
            live,
            generation: 0,
            key: Vec::new(),
            host: String::new(),
            requests: next_number(),
        };
        let peer = Peer { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), is_https, sni: None };
        let wake = Wake::new(signal.clone(), Address { slot: 0, generation: 0 });
        Trip { proxy, local, peer, out: Vec::new(), signal, wake }
    }

    fn now(&self) -> Now {
        self.proxy.core.clock.now()
    }

    fn call(&mut self) -> Call<'_, Local> {
        let now = self.now();
        Call { local: &mut self.local, now, peer: &self.peer, out: &mut self.out }
    }

    /// The answer, however long its flight takes within its deadline.
    fn ask(&mut self, head: &RequestHead<'_, '_>) -> Option<Answer<Proxy>> {
        let core = &self.proxy.core;
        let mut step = begin(core, self.call(), head);
        loop {
            let exchange = match step {
                Step::Answer(answer) => return Some(answer),
                Step::Await(exchange, _) => exchange,
                Step::Upload(..) => return None,
            };
            // It leaves the wake, or finds what has landed meanwhile.
            let wake = self.wake.clone();
            step = match resume(core, self.call(), exchange, &wake) {
                Step::Await(exchange, until) => {
                    let left = until.saturating_sub(self.now().monotonic);
                    match self.wait(left) {
                        true => Step::Await(exchange, until),
                        false if self.signal.is_off() => return None,
                        false => Step::Answer(refuse(core, self.call(), Some(exchange), TOO_LATE)),
                    }
                }
                step => step,
            };
        }
    }

    /// How many bytes there were, and why there were no more; `None` where it was called off.
    fn read(&mut self, payload: Payload, mut take: Option<Take<'_>>) -> Option<(u64, Option<ProxyError>)> {
        let mut content: Box<dyn FnMut(&Wake) -> Next> = match payload {
            Payload::Stream { reader, skip, length } => {
                let mut stretch = Stretch::new(reader, skip, length);
                Box::new(move |wake| stretch.next(&mut || wake.clone()))
            }
            Payload::Sequence { sequence, length } => limited(sequence, length),
            Payload::Whole(chunk) => {
                let mut whole = Some(chunk).filter(|chunk| !chunk.is_empty());
                Box::new(move |_| whole.take().map_or(Next::Complete, Next::Chunk))
            }
            Payload::Parts { chunks, bodies } => {
                let mut chunks = chunks.into_iter();
                Box::new(move |_| {
                    let _held = &bodies;
                    chunks.next().map_or(Next::Complete, Next::Chunk)
                })
            }
            Payload::Empty | Payload::Absent | Payload::Head(_) => return Some((0, None)),
        };
        let mut bytes = 0_u64;
        loop {
            match content(&self.wake) {
                Next::Chunk(chunk) => {
                    bytes = bytes.saturating_add(chunk.len());
                    if let Some(take) = take.as_mut() {
                        hand_over(&chunk, take);
                    }
                }
                Next::Complete => return Some((bytes, None)),
                Next::Broken(error) => return Some((bytes, Some(error))),
                Next::NotYet => {
                    if !self.wait(LONGEST_STALL) {
                        return (!self.signal.is_off()).then_some((bytes, Some(ProxyError::ConnectionReadTimeout)));
                    }
                }
            }
            if self.signal.is_off() {
                return None;
            }
        }
    }

    fn wait(&self, limit: Duration) -> bool {
        let is_woken = self.signal.wait(limit);
        self.wake.arm();
        is_woken
    }
}

/// A sequence to its declared end; it says itself where that is.
fn limited(mut sequence: Box<dyn Sequence>, length: u64) -> Box<dyn FnMut(&Wake) -> Next> {
    let mut left = length;
    Box::new(move |wake| {
        if left == 0 {
            return Next::Complete;
        }
        let next = sequence.next(&mut || wake.clone());
        match &next {
            Next::Chunk(chunk) => left = left.saturating_sub(chunk.len()),
            Next::Complete => return Next::Broken(ProxyError::HttpResponseIncomplete),
            _ => {}
        }
        next
    })
}

/// The bytes of a chunk, wherever they are.
fn hand_over(chunk: &Chunk, take: Take<'_>) {
    if let Some(bytes) = chunk.bytes() {
        return take(bytes);
    }
    let Chunk::File { file, offset, len } = chunk else { return };
    let (mut room, mut offset, mut left) = (vec![0; PIECE], *offset, *len);
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        // A memory file is whole; of one that is not, less is taken, and what reads it says so.
        let Ok(n @ 1..) = file.read_at(room.get_mut(..wanted).unwrap_or_default(), offset) else { return };
        take(room.get(..n).unwrap_or_default());
        let n = u64::try_from(n).unwrap_or(left);
        (offset, left) = (offset.saturating_add(n), left.saturating_sub(n));
    }
}

fn seconds(ttl: i64) -> Option<u32> {
    Some(u32::try_from(ttl.max(0)).unwrap_or(u32::MAX))
}

fn malformed(why: &str) -> Visited {
    let cause = Some((ProxyError::HttpRequestError, Phase::SendRequest));
    Visited { cause, detail: format!("no request can be made of it: {why}"), ..Visited::default() }
}

fn refused(refusal: &Refusal) -> Visited {
    let cause = Some((ProxyError::HttpRequestDenied, Phase::SendRequest));
    Visited { status: refusal.status, cause, detail: refusal.reason.to_owned(), ..Visited::default() }
}

/// Keeps the numbers of requests apart where several visit at once.
fn next_number() -> u64 {
    static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// What a visit says where it is not told otherwise.
const OWN: [(&str, &str); 2] = [("Accept", "*/*"), ("User-Agent", concat!("millpond/", env!("CARGO_PKG_VERSION")))];
/// No worker has this number.
const VISITOR: usize = 0xfffe;
/// As a client's that is generous.
const LIMITS: HeadLimits = HeadLimits { line: 16 << 10, head: 64 << 10, fields: 100 };
/// The fetch's own deadlines end a body that stalls; this is for what they do not see.
const LONGEST_STALL: Duration = Duration::from_secs(600);
const PIECE: usize = 64 << 10;
const TOO_LATE: Refusal = Refusal { status: 504, reason: "the origin took too long to answer" };
