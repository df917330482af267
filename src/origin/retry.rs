//! May a failed request be sent again, and where? (decision 12). Pure.

use super::error::{Cause, Failure};
use crate::status::Phase;

/// The verdict on one failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The failure is the answer.
    No,
    /// The same address once more, on a fresh connection; does not count.
    Fresh,
    /// Another address, or another server.
    Elsewhere,
}

/// Before a connection stands any request may try another address. After that only an idempotent one, and only while no
/// byte of a response has come. Bodies are replayable by construction (`Upload`). A reused connection that dies without a
/// word was most likely closed by the origin while it was idle: that says nothing about the origin.
pub fn retry(failure: &Failure, is_idempotent: bool, was_reused: bool) -> Retry {
    match failure.cause {
        Cause::Request(_) | Cause::Upload(_) | Cause::Setting(_) | Cause::Internal(_) | Cause::NoServer => Retry::No,
        _ if is_before_request(failure.phase) => Retry::Elsewhere,
        Cause::Wire(_) if is_idempotent && !failure.has_response => {
            let is_timeout = matches!(failure.cause, Cause::Wire(super::connection::WireFailure::Timeout));
            if was_reused && !is_timeout { Retry::Fresh } else { Retry::Elsewhere }
        }
        _ => Retry::No,
    }
}

/// Is an answer with this status worth a look elsewhere (`retry_on`)? It says that the server did not serve, yet only
/// what may be repeated is (RFC 9110 §9.2.2).
pub fn is_worth_another(retry_on: &[u16], status: u16, is_idempotent: bool) -> bool {
    is_idempotent && retry_on.contains(&status)
}

fn is_before_request(phase: Phase) -> bool {
    matches!(phase, Phase::Queue | Phase::Resolve | Phase::Connect | Phase::TlsHandshake)
}

#[cfg(test)]
mod tests {
    use super::super::connection::WireFailure;
    use super::*;

    #[test]
    fn only_what_may_be_repeated_looks_elsewhere_for_a_better_answer() {
        let rows = [(503, true, true), (503, false, false), (500, true, false), (200, true, false)];
        for (status, is_idempotent, expected) in rows {
            assert_eq!(is_worth_another(&[502, 503, 504], status, is_idempotent), expected, "{status}");
        }
        assert!(!is_worth_another(&[], 503, true));
    }

    fn failure(wire: WireFailure, phase: Phase, has_response: bool) -> Failure {
        Failure { cause: Cause::Wire(wire), phase, address: None, has_response }
    }

    #[test]
    fn who_may_try_again_and_where() {
        use Retry::{Elsewhere, Fresh, No};
        use WireFailure::{Closed, Reset, Timeout};
        let rows = [
            // failure, idempotent, reused, verdict
            (failure(Timeout, Phase::TlsHandshake, false), false, false, Elsewhere),
            (failure(Closed, Phase::ResponseHead, false), true, true, Fresh),
            (failure(Reset, Phase::SendRequest, false), true, true, Fresh),
            (failure(Closed, Phase::ResponseHead, false), true, false, Elsewhere),
            (failure(Timeout, Phase::ResponseHead, false), true, true, Elsewhere),
            (failure(Closed, Phase::ResponseHead, false), false, true, No),
            (failure(Closed, Phase::ResponseHead, true), true, true, No),
            (failure(Closed, Phase::Body, true), true, false, No),
            (Failure::early(Cause::Request(String::new()), Phase::Connect), true, false, No),
            (Failure::early(Cause::Connect(Vec::new()), Phase::Connect), false, false, Elsewhere),
            (Failure::early(Cause::Upgraded, Phase::ResponseHead), true, false, No),
        ];
        for (failure, is_idempotent, was_reused, verdict) in rows {
            assert_eq!(retry(&failure, is_idempotent, was_reused), verdict, "{failure:?}");
        }
    }
}
