//! The failures of one kind at one address, as the ledger tells them: plain values.

use std::net::SocketAddr;
use std::time::Duration;

use super::record::FetchTimes;

/// Failed fetches of one site, from one server and address, for one cause. Moments are times since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureRow {
    /// Name of the site.
    pub site: String,
    /// The server as `name:port`; empty where none was chosen, as for a fetch that waited too long for its turn.
    pub server: String,
    /// The address of it that failed; `None` where there was none, as for a name that cannot be looked up.
    pub address: Option<SocketAddr>,
    /// The type of RFC 9209 §2.3, for example `connection_refused`.
    pub cause: &'static str,
    /// What was being done the last time, for example `connect`.
    pub phase: &'static str,
    /// How often.
    pub count: u64,
    /// How many of them were made good: the same fetch succeeded at another address or server, and no client saw it.
    pub made_good: u64,
    /// The first time.
    pub first: Duration,
    /// The last time.
    pub last: Duration,
    /// The last fetch from this address that went well, to the end of its body; of the server or the site where there is
    /// no address or server. `None`: none is known.
    pub last_good: Option<Duration>,
    /// How many addresses of the server have failed since their last good fetch.
    pub failing_addresses: usize,
    /// How many addresses the server has: its name's at the last failure, or more if more are known by fetches.
    pub known_addresses: usize,
    /// How long the phases took the last time.
    pub times: FetchTimes,
    /// One of them, a late one.
    pub example: FailureExample,
}

impl FailureRow {
    /// No fetch has gone well there since the last failure.
    pub fn is_open(&self) -> bool {
        self.last_good.is_none_or(|good| good < self.last)
    }

    /// No client saw any of them: each time another address or server made it good.
    pub fn is_made_good(&self) -> bool {
        self.made_good >= self.count
    }
}

/// One failed fetch with the facts of the wire, as far as it came. Texts are printable ASCII and cut to a bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailureExample {
    /// When, since the Unix epoch.
    pub when: Duration,
    /// The id of the request, as in the access log; empty if none.
    pub request: String,
    /// What happened, with addresses and certificate names.
    pub detail: String,
    /// The server name sent in the TLS handshake.
    pub sni: Option<String>,
    /// The TLS alert received.
    pub alert: Option<u8>,
    /// The resolver's answer, for example `NXDOMAIN`.
    pub rcode: Option<String>,
    /// Names on the certificates that the server showed, its own first.
    pub certificate_names: Vec<String>,
    /// The first bytes that came where a response head should have been, at most 1 KiB.
    pub head_start: Vec<u8>,
}

impl FailureExample {
    /// The same within its bounds, and fit for a terminal.
    pub(super) fn bounded(&self) -> FailureExample {
        FailureExample {
            when: millis(self.when),
            request: clean(&self.request, WORD),
            detail: clean(&self.detail, DETAIL),
            sni: self.sni.as_deref().map(|name| clean(name, NAME)),
            alert: self.alert,
            rcode: self.rcode.as_deref().map(|rcode| clean(rcode, WORD)),
            certificate_names: bounded_names(&self.certificate_names),
            head_start: self.head_start.iter().copied().take(HEAD_START).collect(),
        }
    }
}

/// The names of a certificate, as many as there is room for.
pub(super) fn bounded_names(names: &[String]) -> Vec<String> {
    let mut left = CERTIFICATE_NAMES;
    let names = names.iter().map(|name| clean(name, NAME)).filter(|name| !name.is_empty());
    let fitting = names.take_while(|name| {
        let fits = name.len() < left;
        left = left.saturating_sub(name.len() + 1);
        fits
    });
    fitting.collect()
}

/// Printable ASCII, everything else as `?`, at most `most` bytes; a text that is cut ends in `...`.
pub(super) fn clean(text: &str, most: usize) -> String {
    let mut clean: String =
        text.chars().map(|one| if matches!(one, ' '..='~') { one } else { '?' }).take(most).collect();
    if text.chars().nth(most).is_some() {
        clean.truncate(most.saturating_sub(3));
        clean.push_str("...");
    }
    clean
}

/// What a file holds of a moment.
pub(super) fn millis(time: Duration) -> Duration {
    Duration::new(time.as_secs(), time.subsec_millis().saturating_mul(1_000_000))
}

/// Host names and the like, in bytes.
pub(super) const NAME: usize = 255;
/// A name with its port.
pub(super) const SERVER: usize = NAME + 8;
/// Request ids, resolver answers.
pub(super) const WORD: usize = 40;
pub(super) const DETAIL: usize = 512;
/// All of them together.
pub(super) const CERTIFICATE_NAMES: usize = 512;
pub(super) const HEAD_START: usize = 1024;
