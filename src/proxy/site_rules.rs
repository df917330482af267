//! Where an operator's rules meet an exchange: what goes past the cache, the key, and what the origin is asked.

use std::borrow::Cow;

use super::fetch::Fetch;
use super::route::key_of;
use crate::config::Site;
use crate::http1::ResponseHead;
use crate::policy::directives::RequestDirectives;
use crate::policy::freshness::Times;
use crate::policy::key_text::write_text;
use crate::policy::provoked::may_be_provoked;
use crate::policy::query::QueryRules;
use crate::policy::redirect::{Url, leads_back, location};
use crate::policy::rules::Asked;
use crate::policy::storable::{RequestFacts, Storable, storable_by_rules};
use crate::policy::{Fields, Why};
use crate::server::Peer;
use crate::status::Forward;

/// Why a request is neither looked up nor stored, if so. Completes the key of one that is; `key` is `None` where nothing
/// is looked up anyway.
pub fn past_cache(site: &Site, key: Option<&mut Vec<u8>>, target: &str, fields: &dyn Fields) -> Option<Why> {
    let own = site.rules.own.as_deref()?;
    if own.bypass(&Asked { target, fields }).is_some() {
        return Some(Why::BypassRule);
    }
    key.is_some_and(|key| !own.key.write(key, fields)).then_some(Why::KeyUnusable)
}

/// The client wants what is stored or nothing, and has a say (RFC 9111 §5.2.1.7).
pub fn wants_stored_only(site: &Site, fields: &dyn Fields) -> bool {
    !site.rules.ignore_client_cache_control && RequestDirectives::parse(fields).only_if_cached
}

/// Adds the operator's parts to a key; false where the request can have none.
pub fn add_key_parts(key: &mut Vec<u8>, site: &Site, fields: &dyn Fields) -> bool {
    site.rules.own.as_ref().is_none_or(|own| own.key.write(key, fields))
}

/// What the origin is asked for with GET and HEAD: as the key has it, so that what is stored answers all that share it
/// (reliability 11). What goes past the cache is asked for as it came.
pub fn asked_target(site: &Site, asked: &Asked<'_>, is_bypass: bool) -> String {
    match &site.rules.own {
        Some(own) if !is_bypass => written_target(&own.query, asked.target).into_owned(),
        _ => asked.target.to_owned(),
    }
}

/// The whole key; `None` where the request can have none.
pub fn full_key(site: &Site, host: &str, asked: &Asked<'_>, is_https: bool) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    key_of(&mut key, site, host, asked.target, is_https);
    add_key_parts(&mut key, site, asked.fields).then_some(key)
}

/// A key as people read it.
pub fn shown_key(key: &[u8]) -> String {
    let mut text = Vec::new();
    write_text(&mut text, key);
    String::from_utf8_lossy(&text).into_owned()
}

/// Adds the key to a head that ends with Cache-Status, where the site shows it and the client may see it.
pub fn show_key(out: &mut Vec<u8>, site: &Site, peer: &Peer, key: &[u8]) {
    let is_wanted = site.rules.own.as_ref().is_some_and(|own| own.show_key);
    if !is_wanted || !(site.expose_errors || peer.address.ip().to_canonical().is_loopback()) {
        return;
    }
    out.truncate(out.len().saturating_sub(2));
    out.extend_from_slice(b"; key=\"");
    write_text(out, key);
    out.extend_from_slice(b"\"\r\n");
}

fn written_target<'t>(query: &QueryRules, target: &'t str) -> Cow<'t, str> {
    if query.is_plain() {
        return Cow::Borrowed(target);
    }
    let mut written = Vec::with_capacity(target.len());
    query.write_target(&mut written, target);
    String::from_utf8(written).map_or(Cow::Borrowed(target), Cow::Owned)
}

impl Fetch {
    /// May this response to the request be stored, and for how long?
    pub(super) fn verdict(
        &self,
        facts: &RequestFacts<'_>,
        status: u16,
        response: &dyn Fields,
        times: Times,
    ) -> Storable {
        if self.varies_by_ours(response) {
            return Storable::No(Why::VaryStar);
        }
        let asked = Asked { target: self.request.target(), fields: &*self.request };
        storable_by_rules(facts, &asked, status, response, &self.site.rules, times)
    }

    /// The same of what has just arrived, with an eye on what would keep others from the resource: an error that the request
    /// itself may have provoked, and a redirect that leads back to where it is stored.
    pub(super) fn verdict_on_arrival(&self, head: &ResponseHead, times: Times) -> Storable {
        match self.verdict(&self.facts(), head.status, head, times) {
            Storable::Yes(freshness) if may_be_provoked(head.status, &freshness, &*self.request) => {
                Storable::No(Why::Provoked)
            }
            Storable::Yes(_) if self.leads_back(head).unwrap_or(false) => Storable::No(Why::LeadsBack),
            verdict => verdict,
        }
    }

    fn leads_back(&self, head: &ResponseHead) -> Option<bool> {
        let reference = location(head.status, head.fields())?;
        let client = Url::new(self.request.is_https, self.request.host(), self.request.target())?;
        let names = if self.site.share_domains { self.site.domains.as_slice() } else { &[] };
        Some(leads_back(&client, names, self.site.share_schemes, &client.resolve(reference)?))
    }

    /// What the origin is asked for ([`asked_target`]).
    pub(super) fn origin_target(&self) -> Cow<'_, str> {
        let target = self.request.target();
        let is_looked_up = matches!(self.request.method(), "GET" | "HEAD") && self.request.body.is_none();
        match &self.site.rules.own {
            Some(own) if is_looked_up && self.forward != Forward::Bypass => written_target(&own.query, target),
            _ => Cow::Borrowed(target),
        }
    }

    /// The answer to this very target may stand for its key.
    pub(super) fn is_asked_as_keyed(&self) -> bool {
        let target = self.request.target();
        let mut written = Vec::new();
        match &self.site.rules.own {
            None => true,
            Some(own) => {
                own.query.write_target(&mut written, target);
                written == target.as_bytes() && own.key.write(&mut written, &*self.request)
            }
        }
    }
}
