//! What is remembered of an exchange until its answer is delivered, and the one record made of it then.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::Local;
use super::request::Request;
use crate::config::Site;
use crate::http1::{RequestHead, Version};
use crate::observe::{CacheResult, FetchTimes, Record, RequestId};
use crate::server::{Delivery, Peer};
use crate::status::{Phase, ProxyError};
use crate::time::Now;

/// The facts of an exchange whose answer is on its way.
pub struct Note {
    /// The site, where one was found.
    pub site: Option<Arc<Site>>,
    /// The request's number.
    pub id: RequestId,
    /// When its head had arrived (monotonic).
    pub began: Duration,
    /// The status of the answer.
    pub status: u16,
    /// What the cache did.
    pub cache: CacheResult,
    /// Why, as a word of the closed list.
    pub reason: &'static str,
    /// What a fetch took and where it went; none for a hit.
    pub fetch: Option<Box<FetchNote>>,
    /// What the access log says of the request; kept only where there is a log.
    pub line: Option<Box<Line>>,
    /// Who asked.
    pub client: SocketAddr,
    /// Over TLS.
    pub is_https: bool,
}

/// The origin's side of an exchange.
#[derive(Clone, Debug, Default)]
pub struct FetchNote {
    /// Phase by phase.
    pub times: FetchTimes,
    /// Where it went.
    pub origin: Option<SocketAddr>,
    /// Why it failed, and when.
    pub cause: Option<(ProxyError, Phase)>,
    /// What was seen then.
    pub detail: String,
}

/// Method, target, host, referer and user agent in one buffer that goes round between exchanges.
#[derive(Default)]
pub struct Line {
    text: Vec<u8>,
    method: Range<usize>,
    target: Range<usize>,
    host: Range<usize>,
    referer: Option<Range<usize>>,
    user_agent: Option<Range<usize>>,
    version: Option<Version>,
}

impl Line {
    /// The line of a request still in its buffer.
    pub fn of_head(local: &mut Local, head: &RequestHead<'_, '_>) -> Option<Box<Line>> {
        local.log.as_ref()?;
        let mut line = local.spare.pop().unwrap_or_default();
        let (referer, agent) = (head.field("referer"), head.field("user-agent"));
        line.fill([head.method, &head.target, head.authority], referer, agent, head.version);
        Some(line)
    }

    /// The line of a request that was copied.
    pub fn of_request(local: &mut Local, request: &Request) -> Option<Box<Line>> {
        local.log.as_ref()?;
        let mut line = local.spare.pop().unwrap_or_default();
        let (referer, agent) = (request.field("referer"), request.field("user-agent"));
        line.fill([request.method(), request.target(), request.authority()], referer, agent, request.version);
        Some(line)
    }

    fn fill(&mut self, words: [&str; 3], referer: Option<&[u8]>, agent: Option<&[u8]>, version: Version) {
        self.text.clear();
        let text = &mut self.text;
        let mut keep = |bytes: &[u8]| {
            let start = text.len();
            text.extend_from_slice(bytes);
            start..text.len()
        };
        let [method, target, host] = words.map(|word| keep(word.as_bytes()));
        (self.method, self.target, self.host) = (method, target, host);
        self.referer = referer.map(&mut keep);
        self.user_agent = agent.map(&mut keep);
        self.version = Some(version);
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

impl Note {
    /// A note for an exchange that has only begun.
    pub fn new(id: RequestId, peer: &Peer, now: Now) -> Note {
        Note {
            site: None,
            id,
            began: now.monotonic,
            status: 0,
            cache: CacheResult::Local,
            reason: "",
            fetch: None,
            line: None,
            client: peer.address,
            is_https: peer.is_https,
        }
    }

    /// Counts and logs the exchange; the line's buffer goes back to the worker.
    pub fn record(self, local: &mut Local, now: Now, delivery: Delivery) {
        let fetch = self.fetch.as_deref();
        let line = self.line.as_deref().unwrap_or(&NO_LINE);
        let cause = fetch.and_then(|fetch| fetch.cause);
        let record = Record {
            id: self.id,
            client: self.client.ip(),
            is_https: self.is_https,
            method: line.part(&line.method),
            target: line.part(&line.target),
            version: match line.version {
                Some(Version::Http11) => "HTTP/1.1",
                Some(Version::Http10) => "HTTP/1.0",
                None => "",
            },
            host: line.part(&line.host),
            referer: line.referer.as_ref().map(|range| line.part(range)),
            user_agent: line.user_agent.as_ref().map(|range| line.part(range)),
            site: self.site.as_ref().map_or("", |site| site.name.as_str()),
            status: self.status,
            bytes: delivery.bytes,
            is_cut: !delivery.is_whole,
            cache: self.cache,
            reason: self.reason,
            duration: now.monotonic.saturating_sub(self.began),
            fetch: fetch.map(|fetch| fetch.times).unwrap_or_default(),
            origin: fetch.and_then(|fetch| fetch.origin),
            cause: cause.or(delivery.fault.map(|fault| (fault, Phase::Body))),
        };
        local.metrics.block(local.worker).count(&record);
        local.tally.count(self.site.as_ref().map(|site| site.number), &record);
        if let Some(log) = local.log.as_mut() {
            log.write(now, &record);
            if local.spare.len() < SPARE_LINES {
                local.spare.extend(self.line);
            }
        }
    }
}

/// Nothing is known of the request, or nobody asks.
static NO_LINE: Line =
    Line { text: Vec::new(), method: 0..0, target: 0..0, host: 0..0, referer: None, user_agent: None, version: None };
const SPARE_LINES: usize = 64;
