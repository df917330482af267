//! Sites: listed, read, created, changed and deleted in the configuration file.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::Desk;
use super::super::control::CertificateRow;
use super::super::reply::time_text;
use super::super::tree;
use super::change::{MANNERS, Manner, make, matched, problems_reply, settings, snapshot, unwritable};
use super::{Answered, Reply, Request, Row};
use crate::config::written::Written;
use crate::config::{Config, OriginProtocol, Role, ServerConfig, Site};
use crate::observe::{CacheResult, Counts, FailureRow};
use crate::policy::redirect::bracketed;
use crate::settings::Change;

/// Endpoint by endpoint.
pub static ROWS: &[Row] = &[
    Row::get("/api/v1/sites", list).later(list),
    Row::post("/api/v1/sites", create).with_query(MANNERS),
    Row::get("/api/v1/sites/{name}", read).later(read),
    Row::post("/api/v1/sites/{name}", change).with_method("PATCH").with_query(MANNERS),
    Row::post("/api/v1/sites/{name}", delete).with_method("DELETE").with_query(MANNERS).with_body(None),
];

fn list(desk: &Desk, request: &Request) -> Answered {
    let proxy = desk.proxy()?;
    let live = proxy.live();
    let snapshot = desk.settings.as_ref().map(snapshot).transpose()?;
    // A file that is not accepted is not in force either: what is, is told then.
    let written = desk.settings.as_ref().zip(snapshot.as_ref()).and_then(|(it, now)| it.config(&now.text).ok());
    let sites = written.as_ref().map_or(&live.config.sites, |config| &config.sites);
    let facts = Facts {
        desk,
        live: &live.config,
        counts: proxy.metrics().totals().counts(),
        failures: proxy.ledger().rows(),
        certificates: desk.control.certificates(),
        unix: request.now.unix(),
    };
    let items: Vec<Value> = sites.iter().map(|site| facts.row(site)).collect();
    let etag = snapshot.map(|now| now.etag);
    let reply = Reply::json(&json!({ "etag": etag, "items": items }));
    Ok(match etag {
        Some(etag) => reply.tagged(&etag),
        None => reply,
    })
}

fn read(desk: &Desk, request: &Request) -> Answered {
    let settings = settings(desk)?;
    let now = snapshot(settings)?;
    if request.knows(&now.etag) {
        return Ok(Reply::not_modified().tagged(&now.etag));
    }
    let written = Written::parse(&now.text).map_err(|why| match settings.config(&now.text) {
        Err(problems) => problems_reply("the file is not accepted as it is", &problems, None),
        Ok(_) => unwritable(&why),
    })?;
    let site = written.site(request.parameter());
    let found = site.and_then(|site| {
        let name = written.names().into_iter().nth(site)?;
        Some((name, written.settings(site)?, written.effective(site)?, written.lines(site)))
    });
    let (name, own, effective, lines) = found.ok_or_else(|| Reply::missing("no site of the file has that name"))?;
    Ok(Reply::json(&json!({
        "name": name,
        "etag": now.etag,
        "settings": tree::json(own),
        "effective": tree::json(&effective),
        "lines": lines,
    }))
    .tagged(&now.etag))
}

fn create(desk: &Desk, request: &Request) -> Answered {
    let settings = settings(desk)?;
    let before = snapshot(settings)?;
    if request.field("if-match").is_some() {
        request.must_match(&before.etag)?;
    }
    let wanted = tree::settings(&Value::Object(of_site(request)?))?;
    let written = Written::parse(&before.text).map_err(|why| unwritable(&why))?;
    let first = wanted.get("domains").and_then(|domains| domains.items().first()?.text());
    if let Some(name) = first.filter(|name| written.site(name).is_some()) {
        return Err(Reply::conflict(&format!("there is a site for {name:?} already")));
    }
    let location = format!("/api/v1/sites/{}", encoded(first.unwrap_or("default")));
    let manner = Manner::of(request)?;
    let reply = make(desk, request, before, Change::Add(wanted), manner, 201)?;
    Ok(if manner.is_dry { reply } else { reply.with("Location", location) })
}

fn change(desk: &Desk, request: &Request) -> Answered {
    let before = matched(settings(desk)?, request)?;
    let patch = tree::settings(&Value::Object(of_site(request)?))?;
    make(desk, request, before, Change::Patch(request.parameter(), patch), Manner::of(request)?, 200)
}

fn delete(desk: &Desk, request: &Request) -> Answered {
    let before = matched(settings(desk)?, request)?;
    make(desk, request, before, Change::Remove(request.parameter()), Manner::of(request)?, 200)
}

/// The settings in a request body: as they are, or as the `settings` of a site that was read before.
fn of_site(request: &Request) -> Result<Map<String, Value>, Reply> {
    let mut members = request.json(&[])?.0;
    match members.remove("settings") {
        None => Ok(members),
        Some(Value::Object(settings)) => Ok(settings),
        Some(_) => Err(Reply::unfit("\"settings\" must be an object")),
    }
}

/// A name as a segment of a path.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte);
    let bytes =
        name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    bytes.collect()
}

/// What is known of sites besides their settings.
struct Facts<'a> {
    desk: &'a Desk,
    live: &'a Config,
    counts: Counts,
    failures: Vec<FailureRow>,
    certificates: Vec<CertificateRow>,
    unix: i64,
}

impl Facts<'_> {
    fn row(&self, site: &Arc<Site>) -> Value {
        let origin = &site.origin;
        let number = self.live.sites.iter().find(|live| live.name == site.name).map(|live| live.number);
        let counts = number.and_then(|number| self.counts.sites.get(number)).copied().unwrap_or_default();
        let of = |results: &[CacheResult]| -> u64 {
            results.iter().filter_map(|result| counts.requests.get(*result as usize)).sum()
        };
        let failures: Vec<&FailureRow> = self.failures.iter().filter(|row| row.site == site.name).collect();
        let last = failures.iter().max_by_key(|row| row.last);
        let served = of(&[CacheResult::Miss, CacheResult::Pass, CacheResult::Revalidated]);
        json!({
            "name": site.name,
            "domains": site.domains,
            "servers": origin.servers.iter().map(server).collect::<Value>(),
            "protocol": match origin.protocol {
                Some(OriginProtocol::Http) => "http",
                Some(OriginProtocol::Https) => "https",
                Some(OriginProtocol::Follow) => "follow",
                None => "by-port",
            },
            "https": site.https.is_some(),
            "host": origin.host,
            "sni": origin.sni,
            "healthy": self.is_healthy(site, last.copied(), served > 0),
            "last_failure": last.map(|row| json!({ "cause": row.cause, "at": time_text(row.last) })),
            "certificate_days_left": self.days_left(site),
            "requests": counts.requests.iter().sum::<u64>(),
            "hits": of(&[CacheResult::Hit, CacheResult::Stale]),
            "failures": failures.iter().map(|row| row.count).sum::<u64>(),
        })
    }

    /// Of the certificate that clients see; negative once it has ended.
    fn days_left(&self, site: &Site) -> Option<i64> {
        let own = self.certificates.iter().find(|row| row.side == "client" && row.site == site.name)?;
        Some(own.not_after?.saturating_sub(self.unix).div_euclid(DAY))
    }

    /// By the last fetches, else by the last rehearsal; `None`: it is not known.
    fn is_healthy(&self, site: &Site, last: Option<&FailureRow>, has_served: bool) -> Option<bool> {
        match last {
            Some(row) => Some(!row.is_open()),
            None if has_served => Some(true),
            None => self.desk.rehearsals.is_healthy(&site.name),
        }
    }
}

fn server(server: &ServerConfig) -> Value {
    let name = bracketed(&server.name);
    let address = server.port.map_or(name.clone(), |port| format!("{name}:{port}"));
    let role = match server.role {
        Role::Primary => "primary",
        Role::Backup => "backup",
    };
    json!({ "address": address, "role": role })
}

const DAY: i64 = 86_400;
