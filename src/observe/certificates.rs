//! The certificates that origins have shown, as far back as the last one and who issued those before.
//!
//! A certificate is noted where a fetch makes a new handshake; one that is known costs a look-up and a time. An issuer that
//! a server has not had lately is a change, told once. All of it is bounded, and what was seen longest ago leaves first. It
//! knows no file (see `certificate_file`) and reads no clock.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::certificate_file;
use super::failure::{DETAIL, NAME, SERVER, bounded_names, clean, millis};
use crate::time::Now;

/// The book of one running edge, shared by its fetchers.
#[derive(Default)]
pub struct CertificateBook {
    shelves: Mutex<Shelves>,
    changes: AtomicU64,
    has_seen: AtomicBool,
}

/// A certificate in a handshake.
#[derive(Clone, Copy)]
pub struct Sighting<'a> {
    /// Name of the site.
    pub site: &'a str,
    /// The server as `name:port`.
    pub server: &'a str,
    /// The server name sent in the handshake.
    pub sni: &'a str,
    /// Its names, Common Names first.
    pub names: &'a dyn Fn() -> Vec<String>,
    /// The issuer's Common Name, else its organisation.
    pub issuer: &'a str,
    /// The issuer's organisation, if it says one.
    pub organisation: &'a str,
    /// First and last second of its validity, since the Unix epoch.
    pub validity: (i64, i64),
    /// SHA-256 of the whole.
    pub fingerprint: [u8; 32],
    /// Why it was not accepted, if it was not.
    pub refusal: Option<&'a str>,
}

/// The certificate that a server showed last for a server name. Texts are printable ASCII and cut to a bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCertificate {
    /// Name of the site.
    pub site: String,
    /// The server as `name:port`.
    pub server: String,
    /// The server name sent in the handshake.
    pub sni: String,
    /// Its names, Common Names first.
    pub names: Vec<String>,
    /// The issuer's Common Name, else its organisation.
    pub issuer: String,
    /// The issuer's organisation, if it says one.
    pub organisation: String,
    /// First and last second of its validity, since the Unix epoch.
    pub validity: (i64, i64),
    /// SHA-256 of the whole.
    pub fingerprint: [u8; 32],
    /// Why it was not accepted, if it was not.
    pub refusal: Option<String>,
    /// When this very one was seen first, and last.
    pub seen: (Duration, Duration),
    /// The issuers of late, the newest last: servers behind one name may have several.
    pub issuers: Vec<String>,
    /// The last time that an issuer came up that was none of them.
    pub change: Option<IssuerChange>,
}

/// An issuer took the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerChange {
    /// Who issued the certificate before.
    pub from: String,
    /// Who issued the new one.
    pub to: String,
    /// Both say the same organisation: a CA that changes its intermediates.
    pub is_same_organisation: bool,
    /// When the new one was seen first, since the Unix epoch.
    pub at: Duration,
}

/// What whoever logs should look at: a certificate that was not known before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The certificate.
    pub certificate: SeenCertificate,
    /// With it the issuer changed.
    pub is_issuer_new: bool,
}

#[derive(Default)]
struct Shelves {
    sites: HashMap<Box<str>, Vec<SeenCertificate>>,
    count: usize,
    news: Vec<News>,
    /// Certificates that were news of late.
    told: VecDeque<[u8; 32]>,
}

impl CertificateBook {
    /// Notes a certificate.
    pub fn note(&self, sighting: &Sighting<'_>, now: Now) {
        let at = millis(now.wall);
        if self.lock().note(sighting, at) {
            self.changes.fetch_add(1, Ordering::Release);
        } else {
            self.has_seen.store(true, Ordering::Relaxed);
        }
    }

    /// Every certificate, by site, server and server name.
    pub fn rows(&self) -> Vec<SeenCertificate> {
        let mut rows: Vec<SeenCertificate> = self.lock().sites.values().flatten().cloned().collect();
        rows.sort_by(|one, other| (&one.site, &one.server, &one.sni).cmp(&(&other.site, &other.server, &other.sni)));
        rows
    }

    /// What is new since this was asked last.
    pub fn take_news(&self) -> Vec<News> {
        std::mem::take(&mut self.lock().news)
    }

    /// Grows with every certificate that was not known.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Were known ones seen again since this was asked last?
    pub fn take_seen(&self) -> bool {
        self.has_seen.swap(false, Ordering::Relaxed)
    }

    /// All of it as text, for a file.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = Vec::new();
        self.rows().iter().for_each(|row| certificate_file::write(&mut text, row));
        text
    }

    /// Adds what such a text holds: all, or nothing where it is not what [`CertificateBook::encode`] gives.
    ///
    /// # Errors
    /// What is wrong, and the line.
    pub fn restore(&self, text: &[u8]) -> Result<(), String> {
        let rows = certificate_file::read(text)?;
        let mut shelves = self.lock();
        rows.into_iter().for_each(|row| shelves.put(row));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    /// True where something about it is new.
    fn note(&mut self, sighting: &Sighting<'_>, at: Duration) -> bool {
        let is_it = |row: &&mut SeenCertificate| row.server == sighting.server && row.sni == sighting.sni;
        let shelf = self.sites.get_mut(sighting.site);
        let mut before = None;
        if let Some(known) = shelf.and_then(|shelf| shelf.iter_mut().find(is_it)) {
            if known.fingerprint == sighting.fingerprint && known.refusal.is_some() == sighting.refusal.is_some() {
                known.seen.1 = known.seen.1.max(at);
                // The same one may be refused for another reason, once the settings have changed.
                if let Some(words) = sighting.refusal {
                    known.refusal = Some(clean(words, DETAIL));
                }
                return false;
            }
            before = Some(known.clone());
        }
        let certificate = sighting.after(before.as_ref(), at);
        let is_first = before.is_none();
        let is_issuer_new = certificate.change.is_some() && certificate.change != before.and_then(|row| row.change);
        // Servers that take turns behind one name show certificates that are news once.
        let is_news = !self.told.contains(&sighting.fingerprint) || is_issuer_new;
        if is_news && self.news.len() < NEWS {
            self.tell(sighting.fingerprint);
            self.news.push(News { certificate: certificate.clone(), is_issuer_new });
        }
        self.put(certificate);
        is_first || is_news
    }

    fn tell(&mut self, fingerprint: [u8; 32]) {
        self.told.retain(|known| *known != fingerprint);
        if self.told.len() >= TOLD {
            self.told.pop_front();
        }
        self.told.push_back(fingerprint);
    }

    /// In the place of what is known of its server and server name.
    fn put(&mut self, row: SeenCertificate) {
        let shelf = self.sites.entry(row.site.as_str().into()).or_default();
        if let Some(known) = shelf.iter_mut().find(|known| known.server == row.server && known.sni == row.sni) {
            *known = row;
            return;
        }
        if shelf.len() >= OF_SITE {
            let oldest = shelf.iter().enumerate().min_by_key(|(_, row)| row.seen.1).map(|(place, _)| place);
            oldest.map(|place| shelf.swap_remove(place));
            self.count = self.count.saturating_sub(1);
        }
        shelf.push(row);
        self.count += 1;
        if self.count > ALL {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let shelves = self.sites.values_mut();
        let oldest = shelves.filter_map(|shelf| Some((shelf.iter().map(|row| row.seen.1).min()?, shelf)));
        if let Some((seen, shelf)) = oldest.min_by_key(|(seen, _)| *seen) {
            shelf.iter().position(|row| row.seen.1 == seen).map(|place| shelf.swap_remove(place));
            self.count = self.count.saturating_sub(1);
        }
        self.sites.retain(|_, shelf| !shelf.is_empty());
    }
}

impl Sighting<'_> {
    /// The row of a certificate that follows `before`.
    fn after(&self, before: Option<&SeenCertificate>, at: Duration) -> SeenCertificate {
        let (issuer, organisation) = (clean(self.issuer, NAME), clean(self.organisation, NAME));
        let mut issuers = before.map(|row| row.issuers.clone()).unwrap_or_default();
        // One without a name is in no list that comes back from a file.
        let is_new = |row: &&SeenCertificate| row.issuer != issuer && !issuers.contains(&issuer);
        let change = before.filter(is_new).map(|row| IssuerChange {
            from: row.issuer.clone(),
            to: issuer.clone(),
            is_same_organisation: !organisation.is_empty() && organisation == row.organisation,
            at,
        });
        issuers.retain(|known| *known != issuer);
        issuers.push(issuer.clone());
        let surplus = issuers.len().saturating_sub(ISSUERS);
        issuers.drain(..surplus);
        let first = before.filter(|row| row.fingerprint == self.fingerprint).map_or(at, |row| row.seen.0);
        SeenCertificate {
            site: clean(self.site, NAME),
            server: clean(self.server, SERVER),
            sni: clean(self.sni, NAME),
            names: bounded_names(&(self.names)()),
            issuer,
            organisation,
            validity: self.validity,
            fingerprint: self.fingerprint,
            refusal: self.refusal.map(|words| clean(words, DETAIL)),
            seen: (first, at),
            issuers,
            change: change.or_else(|| before.and_then(|row| row.change.clone())),
        }
    }
}

/// No book's text is longer, in bytes.
pub const MAX_BOOK: usize = 16 << 20;
/// Servers and server names of a site, and of all.
const OF_SITE: usize = 32;
const ALL: usize = 1024;
/// Issuers of one server that are no news.
pub(super) const ISSUERS: usize = 4;
/// Certificates that wait for whoever logs them.
const NEWS: usize = 64;
const TOLD: usize = 256;

#[cfg(test)]
#[path = "tests_certificates.rs"]
mod tests;
