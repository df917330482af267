//! What a fetch tells the failure ledger: which site, server and address failed and why, or that all went well.

use std::time::Duration;

use super::Core;
use super::landing::Trip;
use super::request::Request;
use crate::config::Site;
use crate::observe::{Failed, FailureExample, FetchTimes};
use crate::origin::{FetchError, OriginBody};
use crate::status::{Phase, ProxyError};

impl Core {
    /// Enters a failed fetch, and what failed before it on its way.
    pub fn blame(&self, site: &Site, request: &Request, error: &FetchError, times: FetchTimes) {
        // A request that cannot be put into HTTP/1.1 is its client's fault, and says nothing of the origin.
        if error.error == ProxyError::HttpRequestError {
            return;
        }
        self.blame_setbacks(site, request, &error.facts.setbacks);
        self.enter(site, request, error, times);
    }

    /// Enters what failed on the way of a fetch that went well in the end: other addresses, other servers.
    pub fn blame_setbacks(&self, site: &Site, request: &Request, setbacks: &[FetchError]) {
        for error in setbacks {
            self.enter(site, request, error, Trip::of(&error.facts.report, Duration::ZERO).times);
        }
    }

    /// One row, or one for each address that did not take the connection.
    fn enter(&self, site: &Site, request: &Request, error: &FetchError, times: FetchTimes) {
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
