//! The certificates of both sides and how long they last: what clients are shown, what origins are shown, and what origins
//! have shown. Told on demand, and in the log where one ends soon or an issuer is another.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::{Config, Problem, Site};
use crate::observe::{CertificateBook, IssuerChange, News, SeenCertificate};
use crate::origin::route;
use crate::proxy::Proxy;
use crate::server::Clock;
use crate::time::HttpDate;
use crate::tls::{CertificateFacts, WARN_DAYS};

/// Who shows a certificate to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateSide {
    /// We, to clients.
    Client,
    /// A server of the origin, to us.
    Origin,
    /// We, to the origin's servers (`client_certificate`).
    ToOrigin,
    /// We, at the operator's door (`[admin]`).
    Admin,
}

impl CertificateSide {
    /// `client`, `origin`, `to-origin` or `admin`.
    pub fn token(self) -> &'static str {
        match self {
            CertificateSide::Client => "client",
            CertificateSide::Origin => "origin",
            CertificateSide::ToOrigin => "to-origin",
            CertificateSide::Admin => "admin",
        }
    }
}

/// How a certificate stands by its dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateState {
    /// It lasts for 21 days at least.
    Good,
    /// It ends in less than 21 days.
    EndsSoon,
    /// It has ended.
    Expired,
    /// It has not begun, or a clock is wrong.
    NotYetValid,
    /// No handshake has shown it yet.
    Unknown,
}

impl CertificateState {
    /// `ok`, `ends-soon`, `expired`, `not-yet-valid` or `unknown`.
    pub fn token(self) -> &'static str {
        match self {
            CertificateState::Good => "ok",
            CertificateState::EndsSoon => "ends-soon",
            CertificateState::Expired => "expired",
            CertificateState::NotYetValid => "not-yet-valid",
            CertificateState::Unknown => "unknown",
        }
    }
}

/// A certificate of a site, or the place of one that is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRow {
    /// Who shows it.
    pub side: CertificateSide,
    /// Name of the site; empty at the operator's door.
    pub site: String,
    /// The origin's server as `name:port`; empty where we show it.
    pub server: String,
    /// The server name that was sent in the handshake with the origin.
    pub sni: Option<String>,
    /// By its dates, now.
    pub state: CertificateState,
    /// What it says; of an origin's, as last seen in a whole handshake (one that resumes a session shows none).
    pub certificate: Option<CertificateDetails>,
    /// Why it was not accepted the last time, if it was not.
    pub refusal: Option<String>,
    /// When this very one was seen first, and last, since the Unix epoch; of origins alone.
    pub seen: Option<(Duration, Duration)>,
    /// The last time that a server came up with an issuer that it had not had of late.
    pub issuer_change: Option<IssuerChange>,
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateDetails {
    /// Its names, Common Names first; of an origin's, as printable ASCII and cut to a bound.
    pub names: Vec<String>,
    /// The issuer's Common Name, else its organisation.
    pub issuer: String,
    /// The issuer's organisation, if it says one.
    pub issuer_organisation: String,
    /// The first second of its validity.
    pub not_before: HttpDate,
    /// The last one.
    pub not_after: HttpDate,
    /// Whole days until then; negative once it has ended.
    pub days_left: i64,
    /// `sha256:` and 64 hexadecimal digits, as in the setting `pin`.
    pub fingerprint: String,
}

/// A certificate of ours.
#[derive(Clone, Debug)]
pub struct OwnCertificate {
    side: CertificateSide,
    site: String,
    facts: CertificateFacts,
}

/// Those of ours that are in force.
#[derive(Default)]
pub struct OwnCertificates(Mutex<Arc<[OwnCertificate]>>);

impl OwnCertificate {
    /// One that a site shows.
    pub fn new(side: CertificateSide, site: &Site, facts: CertificateFacts) -> OwnCertificate {
        OwnCertificate { side, site: site.name.clone(), facts }
    }

    /// The one that the operator's door shows.
    pub fn of_door(facts: CertificateFacts) -> OwnCertificate {
        OwnCertificate { side: CertificateSide::Admin, site: String::new(), facts }
    }

    /// As it stands at `unix`.
    pub fn row(&self, unix: i64) -> CertificateRow {
        let names = &self.facts.names;
        let details = CertificateDetails {
            names: names.all(),
            issuer: names.issuer.clone(),
            issuer_organisation: names.issuer_organisation.clone(),
            not_before: HttpDate(names.not_before),
            not_after: HttpDate(names.not_after),
            days_left: self.facts.days_left(unix),
            fingerprint: self.facts.fingerprint_text(),
        };
        CertificateRow { state: details.state(unix), certificate: Some(details), ..empty(self.side, &self.site) }
    }
}

impl OwnCertificates {
    /// Others are in force.
    pub fn replace(&self, own: Vec<OwnCertificate>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = own.into();
    }

    fn all(&self) -> Arc<[OwnCertificate]> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl CertificateDetails {
    fn state(&self, unix: i64) -> CertificateState {
        match unix {
            _ if self.not_after.0 < unix => CertificateState::Expired,
            _ if self.not_before.0 > unix => CertificateState::NotYetValid,
            _ if self.days_left < WARN_DAYS => CertificateState::EndsSoon,
            _ => CertificateState::Good,
        }
    }
}

impl CertificateRow {
    fn of_origin(seen: &SeenCertificate, unix: i64) -> CertificateRow {
        let (from, to) = seen.validity;
        let facts = CertificateFacts { fingerprint: seen.fingerprint, ..CertificateFacts::default() };
        let details = CertificateDetails {
            names: seen.names.clone(),
            issuer: seen.issuer.clone(),
            issuer_organisation: seen.organisation.clone(),
            not_before: HttpDate(from),
            not_after: HttpDate(to),
            days_left: to.saturating_sub(unix).div_euclid(86_400),
            fingerprint: facts.fingerprint_text(),
        };
        CertificateRow {
            server: seen.server.clone(),
            sni: Some(seen.sni.clone()),
            state: details.state(unix),
            certificate: Some(details),
            refusal: seen.refusal.clone(),
            seen: Some(seen.seen),
            issuer_change: seen.change.clone(),
            ..empty(CertificateSide::Origin, &seen.site)
        }
    }

    /// The sentence for a certificate that ends within 21 days, or has ended; `None` for any other.
    pub fn warning(&self) -> Option<String> {
        let details = self.certificate.as_ref()?;
        let when = match self.state {
            CertificateState::Expired => format!("has expired on {}", date(details.not_after.0)),
            CertificateState::EndsSoon => {
                format!("ends in {} days, on {}", details.days_left, date(details.not_after.0))
            }
            _ => return None,
        };
        let (names, issuer) = (shown(&details.names), &details.issuer);
        Some(match self.side {
            CertificateSide::Client => {
                format!("the certificate that clients of {} see ({names}) {when}: renew it", self.site)
            }
            CertificateSide::ToOrigin => {
                format!("the client certificate that the origin of {} sees ({names}) {when}: renew it", self.site)
            }
            CertificateSide::Admin => format!("the certificate of the operator's door ({names}) {when}: renew it"),
            CertificateSide::Origin => format!(
                "the certificate of {} ({names}, issued by {issuer:?}), an origin of {}, {when}: renew it there, or fetches \
                 fail from then on",
                self.server, self.site
            ),
        })
    }
}

/// The certificates of a configuration, ours first; servers that nothing is known of yet among them.
pub fn rows(config: &Config, own: &OwnCertificates, book: &CertificateBook, unix: i64) -> Vec<CertificateRow> {
    let seen = book.rows();
    let of_origins = config.sites.iter().flat_map(|site| origin_rows(site, &seen, unix));
    own.all().iter().map(|own| own.row(unix)).chain(of_origins).collect()
}

/// Each server of a site that is spoken to in TLS, or may be.
fn origin_rows(site: &Site, seen: &[SeenCertificate], unix: i64) -> Vec<CertificateRow> {
    let mut rows: Vec<CertificateRow> = Vec::new();
    for server in &site.origin.servers {
        let route = route(&site.origin, server, site.domains.first().map_or("", String::as_str), true);
        if route.sni.is_none() || rows.iter().any(|row| row.server == route.label) {
            continue;
        }
        let of_it = seen.iter().filter(|row| row.site == site.name && row.server == route.label);
        rows.extend(of_it.map(|row| CertificateRow::of_origin(row, unix)));
        if rows.iter().all(|row| row.server != route.label) {
            rows.push(CertificateRow { server: route.label, ..empty(CertificateSide::Origin, &site.name) });
        }
    }
    rows
}

fn empty(side: CertificateSide, site: &str) -> CertificateRow {
    CertificateRow {
        side,
        site: site.to_owned(),
        server: String::new(),
        sni: None,
        state: CertificateState::Unknown,
        certificate: None,
        refusal: None,
        seen: None,
        issuer_change: None,
    }
}

/// What a book says of the origins of a configuration, as warnings at their servers' lines.
pub fn problems(config: &Config, book: &CertificateBook, unix: i64) -> Vec<Problem> {
    let seen = book.rows();
    let of_site = |site: &Arc<Site>| {
        let key = format!("site[{}].origin.servers", site.number + 1);
        let rows = origin_rows(site, &seen, unix).into_iter().filter(|row| is_recent(row, unix));
        let told: Vec<Problem> = rows
            .filter_map(|row| row.warning())
            .map(|text| Problem { is_warning: true, ..config.problem_at(key.clone(), text, String::new()) })
            .collect();
        told
    };
    config.sites.iter().flat_map(of_site).collect()
}

/// A server that nobody has asked for long may show another one by now.
fn is_recent(row: &CertificateRow, unix: i64) -> bool {
    let since = |seen: Duration| unix.saturating_sub(i64::try_from(seen.as_secs()).unwrap_or(i64::MAX));
    row.seen.is_none_or(|(_, last)| since(last) < MEMORY)
}

/// Watches over the certificates of a running edge: logs what is new at once, and what ends soon once a day.
pub struct Radar {
    proxy: Arc<Proxy>,
    own: Arc<OwnCertificates>,
    clock: Clock,
    /// When all were looked at last (monotonic).
    looked: Duration,
}

impl Radar {
    /// Logs what is known of origins that end soon; what we show is logged by whoever has read it.
    pub fn start(proxy: Arc<Proxy>, own: Arc<OwnCertificates>, clock: Clock) -> Radar {
        warn_of_origins(&proxy, clock);
        Radar { looked: clock.now().monotonic, proxy, own, clock }
    }

    /// Upkeep, about once a second.
    pub fn round(&mut self) {
        let now = self.clock.now();
        self.proxy.certificates().take_news().iter().for_each(|news| tell(news, now.unix()));
        if now.monotonic.saturating_sub(self.looked) >= BETWEEN_LOOKS {
            self.looked = now.monotonic;
            self.own.all().iter().filter_map(|own| own.row(now.unix()).warning()).for_each(|line| log::warn!("{line}"));
            warn_of_origins(&self.proxy, self.clock);
        }
    }
}

/// Logs the certificates of origins that end soon.
pub fn warn_of_origins(proxy: &Proxy, clock: Clock) {
    let (live, unix) = (proxy.live(), clock.now().unix());
    problems(&live.config, proxy.certificates(), unix).iter().for_each(|problem| log::warn!("{}", problem.message));
}

/// Logs a certificate that was not known before, where there is something to say of it.
fn tell(news: &News, unix: i64) {
    let row = CertificateRow::of_origin(&news.certificate, unix);
    if let Some(line) = row.warning() {
        log::warn!("{line}");
    }
    let Some(change) = row.issuer_change.as_ref().filter(|_| news.is_issuer_new) else { return };
    let line = issuer_line(&row, change);
    // A CA that changes its intermediates does so with every renewal.
    if change.is_same_organisation { log::info!("{line}") } else { log::warn!("{line}") }
}

fn issuer_line(row: &CertificateRow, change: &IssuerChange) -> String {
    format!(
        "the issuer of the certificate of {}, an origin of {}, changed from {:?} to {:?}; if nobody meant to change it, \
         find out who answers there",
        row.server, row.site, change.from, change.to
    )
}

fn shown(names: &[String]) -> String {
    let more = names.len().saturating_sub(MOST_NAMES);
    let list: Vec<String> = names.iter().take(MOST_NAMES).map(|name| format!("{name:?}")).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    if list.is_empty() { "no name".to_owned() } else { format!("{}{more}", list.join(", ")) }
}

/// `2026-12-05T00:00:00Z`
fn date(unix: i64) -> String {
    String::from_utf8_lossy(&HttpDate(unix).rfc3339()).into_owned()
}

const BETWEEN_LOOKS: Duration = Duration::from_secs(86_400);
/// Seconds for which a sighting is believed to hold.
const MEMORY: i64 = 30 * 86_400;
/// Names of a certificate in a line.
const MOST_NAMES: usize = 4;

#[cfg(test)]
#[path = "tests_radar.rs"]
mod tests;
