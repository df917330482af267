//! What is stored: how much, of which sites, the largest and the hottest.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::Desk;
use super::{Answered, Reply, Request, Row};
use crate::policy::key::KeyParts;
use crate::proxy::{Live, Proxy};
use crate::store::StoredResponse;
use crate::time::Now;

/// Endpoint by endpoint.
pub static ROWS: &[Row] = &[Row::get("/api/v1/cache", cache).later(cache)];

fn cache(desk: &Desk, request: &Request) -> Answered {
    let proxy = desk.proxy()?;
    // Held while all is looked at: whoever asks meanwhile gets the same answer.
    let mut last = desk.survey.lock().unwrap_or_else(PoisonError::into_inner);
    let found = match last.take().filter(|(at, _)| request.now.monotonic.saturating_sub(*at) < GOOD_FOR) {
        Some(found) => found,
        None => (desk.clock.now().monotonic, survey(&proxy, request.now)),
    };
    let stats = proxy.store().stats();
    let (_, survey) = last.insert(found);
    let mut answer = survey.clone();
    for (name, value) in
        [("stored", stats.responses), ("bytes", stats.bytes), ("budget", stats.limit), ("evictions", stats.evictions)]
    {
        if let Some(members) = answer.as_object_mut() {
            members.insert(name.to_owned(), value.into());
        }
    }
    Ok(Reply::json(&answer))
}

/// Looks at all that is stored.
fn survey(proxy: &Proxy, now: Now) -> Value {
    let live = proxy.live();
    let mut survey = Survey::new(&live, now);
    proxy.store().survey(&mut |key, response, bytes| survey.see(key, response, bytes));
    let name_of = |number: &usize| live.config.sites.iter().find(|site| site.number == *number).map(|site| &site.name);
    let mut by_site: Vec<_> = survey.by_site.iter().filter_map(|(site, sums)| Some((name_of(site)?, sums))).collect();
    by_site.sort_by_key(|(name, (_, bytes))| (Reverse(*bytes), *name));
    let by_site =
        by_site.into_iter().map(|(name, (stored, bytes))| json!({ "site": name, "stored": stored, "bytes": bytes }));
    let largest = survey.largest.0.iter().map(
        |one| json!({ "url": one.url, "bytes": one.bytes, "age_seconds": one.age, "lifetime_seconds": one.lifetime }),
    );
    let hottest = survey.hottest.0.iter().filter(|one| one.hits > 0);
    let hottest = hottest.map(|one| json!({ "url": one.url, "hits": one.hits, "bytes": one.bytes }));
    json!({
        "by_site": by_site.collect::<Vec<_>>(),
        "largest": largest.collect::<Vec<_>>(),
        "hottest": hottest.collect::<Vec<_>>(),
    })
}

/// What has been seen so far.
struct Survey<'a> {
    live: &'a Live,
    now: Now,
    /// Responses and bytes by the number of their site.
    by_site: HashMap<usize, (u64, u64)>,
    /// The host seen last and the number of its site: hosts come in runs only by chance, but most POPs have few.
    last: Option<(String, Option<usize>)>,
    largest: Top,
    hottest: Top,
}

/// The few that are first, the first of them at the front.
#[derive(Default)]
struct Top(Vec<Seen>);

#[derive(Clone)]
struct Seen {
    rank: u64,
    url: String,
    bytes: u64,
    hits: u64,
    age: u32,
    lifetime: u32,
}

impl<'a> Survey<'a> {
    fn new(live: &'a Live, now: Now) -> Survey<'a> {
        Survey { live, now, by_site: HashMap::new(), last: None, largest: Top::default(), hottest: Top::default() }
    }

    /// Runs under a shard's lock: it allocates only for hosts and for the few that are first.
    fn see(&mut self, key: &[u8], response: &StoredResponse, bytes: u64) {
        let Some(parts) = KeyParts::of(key) else { return };
        if let Some(site) = self.site_of(parts.host.unwrap_or_default()) {
            let (stored, all) = self.by_site.entry(site).or_default();
            (*stored, *all) = (*stored + 1, all.saturating_add(bytes));
        }
        let (hits, now) = (response.mark.hits(), self.now);
        let seen = |rank: u64| {
            let freshness = response.freshness_at(now);
            Seen { rank, url: url_of(&parts), bytes, hits, age: freshness.age(now), lifetime: freshness.lifetime() }
        };
        self.largest.offer(bytes, seen);
        self.hottest.offer(hits, seen);
    }

    fn site_of(&mut self, host: &str) -> Option<usize> {
        if let Some((_, site)) = self.last.as_ref().filter(|(last, _)| last == host) {
            return *site;
        }
        let shared = || self.live.config.sites.iter().find(|site| site.share_domains && site.name == host);
        let site = self.live.router.find(host).or_else(shared).map(|site| site.number);
        self.last = Some((host.to_owned(), site));
        site
    }
}

impl Top {
    /// Takes it in where it is among the first.
    fn offer(&mut self, rank: u64, seen: impl FnOnce(u64) -> Seen) {
        if self.0.len() >= MOST && self.0.last().is_some_and(|last| last.rank >= rank) {
            return;
        }
        let place = self.0.partition_point(|known| known.rank >= rank);
        self.0.insert(place, seen(rank));
        self.0.truncate(MOST);
    }
}

/// `https://www.example.com/a.css`; what a site shares between schemes or domains has a star there.
fn url_of(parts: &KeyParts<'_>) -> String {
    format!("{}://{}{}", parts.scheme.unwrap_or("*"), parts.host.unwrap_or("*"), parts.target)
}

/// Of the largest, and of the hottest.
const MOST: usize = 20;
/// How long one look serves all who ask.
const GOOD_FOR: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_twenty_are_kept_in_order() {
        let mut top = Top::default();
        let seen = |rank: u64| Seen { rank, url: rank.to_string(), bytes: 0, hits: 0, age: 0, lifetime: 0 };
        (0..100_u64).for_each(|number| top.offer(number * 37 % 100, seen));
        let ranks: Vec<u64> = top.0.iter().map(|one| one.rank).collect();
        assert_eq!(ranks, (80..100).rev().collect::<Vec<_>>());
    }
}
