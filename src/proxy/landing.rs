//! What a fetch lands for those who wait: a response, a cause, or the word to go on alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::observe::FetchTimes;
use crate::origin::{FetchError, Report};
use crate::policy::range::ByteRange;
use crate::status::{CacheStatus, Phase, ProxyError};
use crate::store::{Reader, StoredResponse};

/// The end of a flight, as one of those who waited sees it.
#[derive(Clone)]
pub enum Landing {
    /// A response to answer from.
    Response(Arrived),
    /// A slice with these bytes has come: its manifest as the response, and a reader of the slice.
    Slice(Arrived, ByteRange),
    /// The answer was for one request alone: fetch your own.
    Apart,
    /// Look the store up again; whoever finds nothing leads the next fetch.
    Again,
    /// The fetch failed; the same cause for all.
    Failed(Arc<FetchError>, Trip),
}

/// A response that a fetch brought.
#[derive(Clone)]
pub struct Arrived {
    /// Head, times and body.
    pub response: Arc<StoredResponse>,
    /// A reader that stood before the first byte, so that nothing of the body is gone when the session begins to read,
    /// and the writer knows that it is awaited.
    pub reader: Option<Reader>,
    /// What the cache did, as the lead sees it.
    pub status: CacheStatus,
    /// Why the stored response is served though the origin was asked: its fault.
    pub fault: Option<Arc<FetchError>>,
    /// The way it took.
    pub trip: Trip,
}

/// Where a fetch went and how long its phases took.
#[derive(Clone, Debug, Default)]
pub struct Trip {
    /// The address that answered, or was tried last.
    pub origin: Option<SocketAddr>,
    /// Phase by phase.
    pub times: FetchTimes,
}

impl Trip {
    /// From the report of a fetch that waited `queue` for its fetcher.
    pub fn of(report: &Report, queue: Duration) -> Trip {
        let times = FetchTimes {
            queue: Some(queue),
            dns: happened(report.resolve),
            connect: happened(report.connect),
            tls: happened(report.tls),
            first_byte: happened(report.first_byte),
        };
        Trip { origin: report.address, times }
    }
}

/// A step that was not needed took no time at all.
fn happened(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}

/// A failure that no origin had a part in.
pub fn own_failure(error: ProxyError, phase: Phase, detail: &str) -> FetchError {
    FetchError {
        error,
        phase,
        origin: String::new(),
        address: None,
        detail: detail.to_owned(),
        alert: None,
        rcode: None,
        is_after_request: false,
        facts: Box::default(),
    }
}

/// A fetch that has stood in its queue for so long is not begun: its clients have waited enough, and the origin is behind
/// as it is. They get a 503, or what is stale.
pub fn waited_too_long(waited: Duration) -> Option<FetchError> {
    let detail = "the fetch waited too long for its turn: more are wanted than the site's origin answers";
    (waited > QUEUE_AGE).then(|| own_failure(ProxyError::ConnectionLimitReached, Phase::Queue, detail))
}

const QUEUE_AGE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_is_refused_once_it_has_waited_longer_than_the_queue_may_hold_it() {
        assert_eq!(waited_too_long(QUEUE_AGE), None);
        let error = waited_too_long(QUEUE_AGE + Duration::from_millis(1)).unwrap();
        assert_eq!(
            (error.error.status(), error.error.token(), error.phase),
            (503, "connection_limit_reached", Phase::Queue)
        );
    }
}
