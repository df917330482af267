//! What a fetch tells the failure ledger: which site, server and address failed and why, or that all went well; and the
//! book of certificates, what a server showed.

use std::time::Duration;

use super::Core;
use super::landing::Trip;
use super::request::Request;
use crate::config::Site;
use crate::observe::{Counter, Failed, FailureExample, FetchTimes, Sighting};
use crate::origin::{FetchError, Fetched, OriginBody, Report};
use crate::status::{Phase, ProxyError};

impl Core {
    /// Enters a failed fetch with every attempt that it made: once, or once for each address that did not take the
    /// connection.
    pub fn blame(&self, site: &Site, request: &Request, error: &FetchError, times: FetchTimes) {
        self.witness(site, &error.facts.report);
        for earlier in &error.facts.earlier {
            self.witness(site, &earlier.facts.report);
            self.enter(site, request, earlier, (times_of(earlier), false));
        }
        self.enter(site, request, error, (times, false));
    }

    /// Enters what a fetch met on the way to its answer: failures that no client sees, and what the server showed.
    pub fn note_way(&self, site: &Site, request: &Request, fetched: &Fetched) {
        self.witness(site, &fetched.report);
        for lost in &fetched.lost {
            self.metrics.add(Counter::AttemptsMadeGood, 1);
            self.witness(site, &lost.facts.report);
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

    /// Notes the certificate of a new handshake; there is none on a connection that served before.
    fn witness(&self, site: &Site, report: &Report) {
        let Some(shown) = report.certificate.as_deref() else { return };
        let names = &shown.facts.names;
        let sighting = Sighting {
            site: &site.name,
            server: &report.origin,
            sni: &shown.sni,
            names: &|| names.all(),
            issuer: &names.issuer,
            organisation: &names.issuer_organisation,
            validity: (names.not_before, names.not_after),
            fingerprint: shown.facts.fingerprint,
            refusal: shown.refusal.as_deref(),
        };
        self.certificates.note(&sighting, self.clock.now());
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
