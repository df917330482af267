//! The facts of one exchange, borrowed from whoever holds them while the line is written.
//!
//! It knows no format (see `line`) and judges nothing: texts are the client's bytes as they came.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::status::{Phase, ProxyError};

/// One exchange, at its end.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Number of the exchange, the same as on error pages.
    pub id: RequestId,
    /// Who asked. An IPv4 address mapped into IPv6 is logged as IPv4.
    pub client: IpAddr,
    /// The client came over TLS.
    pub is_https: bool,
    /// Method token; empty where no request line could be read.
    pub method: &'a [u8],
    /// Request target as sent, query and all. It is logged as it is, with whatever secrets the query holds.
    pub target: &'a [u8],
    /// `HTTP/1.1`, `HTTP/1.0`; empty where no request line could be read.
    pub version: &'static str,
    /// Requested host; empty if none was named.
    pub host: &'a [u8],
    /// Referer field (RFC 9110 §10.1.3).
    pub referer: Option<&'a [u8]>,
    /// User-Agent field (RFC 9110 §10.1.5).
    pub user_agent: Option<&'a [u8]>,
    /// Name of the site that answered; empty if none was found.
    pub site: &'a str,
    /// Status sent; 0 where the client left before one was.
    pub status: u16,
    /// Body bytes given to the socket, without head and chunk framing.
    pub bytes: u64,
    /// The answer ended before its body was whole.
    pub is_cut: bool,
    /// What the cache did.
    pub cache: CacheResult,
    /// Why, as a word of policy's closed list; empty if there is nothing to say.
    pub reason: &'static str,
    /// From the first byte of the request to the last of the answer.
    pub duration: Duration,
    /// How long the phases of the fetch took, if there was one.
    pub fetch: FetchTimes,
    /// The address fetched from, or tried last.
    pub origin: Option<SocketAddr>,
    /// Why the fetch, or the answer, failed, and in which phase.
    pub cause: Option<(ProxyError, Phase)>,
}

/// What the cache did with a request, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheResult {
    /// Served from the store.
    Hit,
    /// Fetched in order to be stored.
    Miss,
    /// Fetched, and not for storing.
    Pass,
    /// Served from the store though stale.
    Stale,
    /// Served from the store after the origin answered 304.
    Revalidated,
    /// Served by a fetch that another request had begun.
    Collapsed,
    /// Nothing could be served; the answer is our error page.
    Error,
    /// The cache was not asked: refused requests, redirects of our own.
    Local,
}

impl CacheResult {
    /// All of them; each one's `as usize` is its place.
    pub const ALL: [CacheResult; 8] = {
        use CacheResult::*;
        [Hit, Miss, Pass, Stale, Revalidated, Collapsed, Error, Local]
    };

    /// How many there are.
    pub const COUNT: usize = CacheResult::ALL.len();

    /// The word in logs and metrics.
    pub fn token(self) -> &'static str {
        match self {
            CacheResult::Hit => "hit",
            CacheResult::Miss => "miss",
            CacheResult::Pass => "pass",
            CacheResult::Stale => "stale",
            CacheResult::Revalidated => "revalidated",
            CacheResult::Collapsed => "collapsed",
            CacheResult::Error => "error",
            CacheResult::Local => "local",
        }
    }
}

/// How long each phase of the last attempt took; `None` where it did not happen (a reused connection has no DNS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchTimes {
    /// Waiting for a fetcher.
    pub queue: Option<Duration>,
    /// Resolving the name.
    pub dns: Option<Duration>,
    /// TCP connect.
    pub connect: Option<Duration>,
    /// TLS handshake.
    pub tls: Option<Duration>,
    /// From the request sent to the response's first byte.
    pub first_byte: Option<Duration>,
}

impl FetchTimes {
    /// The phases that happened, in order, with their names in the log.
    pub fn phases(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let all = [
            ("queue", self.queue),
            ("dns", self.dns),
            ("connect", self.connect),
            ("tls", self.tls),
            ("first_byte", self.first_byte),
        ];
        all.into_iter().filter_map(|(name, time)| Some((name, time?)))
    }
}

/// The number of an exchange, the same in the log, on the error page and in metrics' examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub u128);

/// 32 hex digits, or 16 where the upper half is zero.
impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.0 >> 64 == 0 { 16 } else { 32 };
        write!(f, "{:0width$x}", self.0)
    }
}
