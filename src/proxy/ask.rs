//! The request that the origin gets: the client's, with the site's edits, under our own conditions.

use std::sync::Arc;

use super::fetch::{Fetch, Goal};
use super::fields::{self, Field, Purpose};
use super::interim;
use super::landing::own_failure;
use crate::origin::{FetchError, Fetched, OriginRequest, Upload};
use crate::policy::Fields;
use crate::policy::template::Facts;
use crate::policy::variant::Vary;
use crate::status::{Phase, ProxyError};

impl Fetch {
    /// Asks the origin, and whoever it redirects to as far as the site follows.
    pub(super) fn ask(&self, conditions: &[Field<'_>]) -> Result<Fetched, FetchError> {
        let (request, site) = (&self.request, &self.site);
        let asked = self.origin_target();
        let target = site
            .origin
            .request
            .target
            .apply(&asked)
            .map_err(|unfit| own_failure(ProxyError::HttpRequestError, Phase::SendRequest, unfit.reason()))?;
        let mut list = self.fields();
        self.edit(&mut list);
        list.extend(conditions.iter().cloned());
        let list = borrowed(&list);
        let upload = request.body.as_ref().map(|body| {
            let body = body.clone();
            Upload { length: body.length(), open: Box::new(move || Ok(Box::new(body.reader()))) }
        });
        let origin_request = OriginRequest { fields: &list, body: upload, ..self.plain_request(&target) };
        let interim = interim::forward(request, self.ticket.as_ref());
        let started = self.core.clock.now();
        let first = self.core.origins.send(site, &origin_request, interim)?;
        self.core.note_way(site, request, &first);
        self.follow(first, &target, started)
    }

    /// The client's request with another target, without fields and body.
    pub(super) fn plain_request<'a>(&'a self, target: &'a str) -> OriginRequest<'a> {
        let request: &'a Arc<_> = &self.request;
        OriginRequest {
            method: request.method(),
            target,
            host: request.host(),
            client_is_https: request.is_https,
            fields: &[],
            body: None,
        }
    }

    /// The fields before the site's edits.
    pub(super) fn fields(&self) -> Vec<Field<'_>> {
        let purpose = if matches!(self.goal, Goal::Pass | Goal::Part) { Purpose::Pass } else { Purpose::Store };
        fields::to_origin(&self.request, purpose, &self.core.identity)
    }

    /// Applies the site's edits of header fields.
    pub(super) fn edit<'a>(&'a self, list: &mut Vec<Field<'a>>) {
        let (request, edits) = (&self.request, &self.site.origin.request.fields);
        if edits.is_empty() {
            return;
        }
        let facts = Facts {
            client: request.client,
            is_https: request.is_https,
            host: request.host(),
            method: request.method(),
            target: request.target(),
            id: &request.id,
            site: &self.site.name,
        };
        edits.apply(list, &facts);
    }

    /// Was the response chosen by a field that we, or the site's edits, give another value for each client of one key? Then
    /// nothing in a request tells whom it suits.
    pub(super) fn varies_by_ours(&self, response: &dyn Fields) -> bool {
        let edits = &self.site.origin.request.fields;
        let shares = (self.site.share_schemes, self.site.share_domains);
        let is_told = |name: &[u8]| {
            let told = [(shares.0, "x-forwarded-proto"), (shares.1, "x-forwarded-host")];
            told.iter().any(|(is_shared, known)| *is_shared && name == known.as_bytes() && !edits.replaces(known))
        };
        (shares.0 || shares.1 || !edits.is_empty())
            && Vary::parse(response).names().any(|name| edits.hides(name, shares) || is_told(name))
    }
}

/// The list as `origin` takes it.
pub(super) fn borrowed<'l>(list: &'l [Field<'_>]) -> Vec<(&'l str, &'l [u8])> {
    list.iter().map(|(name, value)| (*name, value.as_ref())).collect()
}
