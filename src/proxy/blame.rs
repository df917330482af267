//! What a fetch tells the failure ledger: which site, server and address failed and why, or that all went well.

use std::time::Duration;

use super::Core;
use super::landing::Trip;
use super::request::Request;
use crate::config::Site;
use crate::observe::{Counter, Failed, FailureExample, FetchTimes};
use crate::origin::{FetchError, Fetched, OriginBody};
use crate::status::{Phase, ProxyError};

impl Core {
    /// Enters a failed fetch with every attempt that it made: once, or once for each address that did not take the
    /// connection.
    pub fn blame(&self, site: &Site, request: &Request, error: &FetchError, times: FetchTimes) {
        for earlier in &error.facts.earlier {
            self.enter(site, request, earlier, (times_of(earlier), false));
        }
        self.enter(site, request, error, (times, false));
    }

    /// Enters what failed on the way to an answer: no client sees it.
    pub fn blame_lost(&self, site: &Site, request: &Request, fetched: &Fetched) {
        for lost in &fetched.lost {
            self.metrics.add(Counter::AttemptsMadeGood, 1);
            self.enter(site, request, lost, (times_of(lost), true));
        }
    }

    fn enter(&self, site: &Site, request: &Request, error: &FetchError, (times, is_made_good): (FetchTimes, bool)) {
        // A request that cannot be put into HTTP/1.1 is its client's fault, and says nothing of the origin.
        if error.error == ProxyError::HttpRequestError {
            return;
        }
        let now = self.clock.now();
        let example = FailureExample {
            request: request.id.to_string(),
            detail: error.detail.clone(),
            alert: error.alert,
            rcode: error.rcode.map(str::to_owned),
            sni: error.facts.sni.clone(),
            certificate_names: error.facts.certificate_names.clone(),
            head_start: error.facts.head_start.clone(),
            ..FailureExample::default()
        };
        let failed = Failed {
            site: &site.name,
            server: &error.origin,
            address: error.address,
            error: error.error,
            phase: error.phase,
            is_made_good,
            addresses: error.facts.addresses,
            times,
            example: &example,
        };
        if error.facts.refusals.is_empty() {
            return self.ledger.failed(&failed, now);
        }
        for (address, error) in &error.facts.refusals {
            let failed = Failed { address: Some(*address), error: *error, phase: Phase::Connect, ..failed };
            self.ledger.failed(&failed, now);
        }
    }

    /// Enters a fetch whose answer came whole, whatever its status.
    pub fn praise(&self, site: &Site, body: &OriginBody) {
        let (server, address) = body.origin();
        self.ledger.succeeded(&site.name, server, address, self.clock.now());
    }
}

/// What an attempt took that was not the last.
fn times_of(error: &FetchError) -> FetchTimes {
    FetchTimes { queue: None, ..Trip::of(&error.facts.report, Duration::ZERO).times }
}
