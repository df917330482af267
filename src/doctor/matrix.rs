//! Step 5: which certificate the server shows for which server name.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::advice::is_host_name;
use super::checks::{Server, Verdict, alert_meaning};
use super::report::{Refused, Role, Shown, SniRow};
use crate::origin::probe::{Handshake, Kind};
use crate::policy::redirect::bare_host;
use crate::tls::{NameRule, Reason, Seen, reject_of};

/// What the server shows, name by name.
#[derive(Debug)]
pub struct Table {
    /// For reports.
    pub rows: Vec<SniRow>,
    /// All that was seen for the configured name.
    pub configured: (Handshake, Seen),
    /// How long it took.
    pub elapsed: Duration,
}

impl Server<'_> {
    /// Shakes hands with each name of interest, a few at a time; then with names that certificates bear.
    pub fn matrix(&self, address: SocketAddr) -> Table {
        let started = Instant::now();
        let mut rows = Vec::new();
        let mut configured = None;
        let names = self.names();
        for (row, handshake, seen) in self.look(address, &names) {
            if row.roles.contains(&Role::Configured) {
                configured = Some((handshake, seen));
            }
            rows.push(row);
        }
        let further: Vec<(Option<String>, Vec<Role>)> =
            borne(&rows).into_iter().map(|name| (Some(name), vec![Role::Certificate])).collect();
        rows.extend(self.look(address, &further).into_iter().map(|(row, ..)| row));
        let configured = configured.unwrap_or_else(|| self.probe.watch(address, self.probe.route.sni.as_deref()));
        Table { rows, configured, elapsed: started.elapsed() }
    }

    /// Step 5 as a check.
    pub fn matrix_verdict(&self, rows: &[SniRow]) -> Verdict {
        let mut certificates: Vec<&str> =
            rows.iter().filter_map(|row| Some(row.shown.as_ref().ok()?.fingerprint.as_str())).collect();
        certificates.sort_unstable();
        certificates.dedup();
        let number = match certificates.len() {
            1 => "one certificate".to_owned(),
            number => format!("{number} certificates"),
        };
        Verdict::passed(format!("{number} for {} server names", rows.len()))
    }

    /// The names to try, each with the reasons.
    fn names(&self) -> Vec<(Option<String>, Vec<Role>)> {
        let (route, origin) = (&self.probe.route, &self.probe.site().origin);
        let mut names: Vec<(Option<String>, Vec<Role>)> = Vec::new();
        let mut add = |name: &str, role: Role| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            // An address as the configured name sends no SNI at all, and yet is a row of its own.
            if role != Role::Configured && (!is_host_name(&name) || names.len() >= MAX_NAMES) {
                return;
            }
            match names.iter_mut().find(|(known, _)| known.as_deref() == Some(name.as_str())) {
                Some((_, roles)) => roles.push(role),
                None => names.push((Some(name), vec![role])),
            }
        };
        add(route.sni.as_deref().unwrap_or_default(), Role::Configured);
        add(bare_host(&route.host), Role::Host);
        add(&self.subject.host, Role::Domain);
        add(&route.name, Role::Server);
        origin.common_name_whitelist.iter().for_each(|entry| add(entry, Role::Whitelist));
        names.push((None, vec![Role::Nothing]));
        names
    }

    fn look(&self, address: SocketAddr, names: &[(Option<String>, Vec<Role>)]) -> Vec<(SniRow, Handshake, Seen)> {
        let mut found = Vec::with_capacity(names.len());
        for some in names.chunks(AT_ONCE) {
            thread::scope(|scope| {
                let looks: Vec<_> = some
                    .iter()
                    .map(|(name, _)| scope.spawn(move || self.probe.watch(address, name.as_deref())))
                    .collect();
                for (look, (name, roles)) in looks.into_iter().zip(some) {
                    let Ok((handshake, seen)) = look.join() else { continue };
                    let shown = self.shown(name.as_deref(), &handshake, &seen);
                    found.push((SniRow { asked: name.clone(), roles: roles.clone(), shown }, handshake, seen));
                }
            });
        }
        found
    }

    fn shown(&self, name: Option<&str>, handshake: &Handshake, seen: &Seen) -> Result<Shown, Refused> {
        let Some(leaf) = seen.chain.first() else { return Err(refused(handshake)) };
        let reject = seen.refusal.as_ref().map(|error| (reject_of(error), error));
        let is_misnamed = matches!(&reject, Some((Some(reject), _)) if reject.reason == Reason::NotValidForName);
        let chain = reject.filter(|_| !is_misnamed).map(|(reject, error)| match reject {
            Some(reject) => reject.finding(),
            None => error.to_string(),
        });
        let expected = name.or(self.probe.route.sni.as_deref()).unwrap_or_default();
        Ok(Shown {
            names: leaf.names.all(),
            issuer: leaf.names.issuer.clone(),
            end: leaf.end(),
            days_left: leaf.days_left(self.clock.now().unix()),
            fingerprint: leaf.fingerprint_text(),
            chain,
            is_for_asked: !is_misnamed && leaf.names.is_valid_for(expected, self.rule()),
            is_accepted: seen.refusal.is_none() && handshake.outcome.is_ok(),
            version: handshake.outcome.as_ref().copied().unwrap_or("TLS"),
        })
    }

    /// Which names count, as `tls` has it.
    pub fn rule(&self) -> NameRule {
        crate::origin::probe::name_rule(self.probe.site())
    }
}

fn refused(handshake: &Handshake) -> Refused {
    match &handshake.outcome {
        Ok(_) => Refused { what: "no certificate was shown".into(), alert: None },
        Err((Kind::Alert(alert), _)) => Refused { what: alert_meaning(*alert).to_owned(), alert: Some(*alert) },
        Err((_, error)) => Refused { what: error.detail.clone(), alert: None },
    }
}

/// Names on sound certificates that were not tried yet.
fn borne(rows: &[SniRow]) -> Vec<String> {
    let tried = |name: &str| rows.iter().any(|row| row.asked.as_deref() == Some(name));
    let shown = rows.iter().filter_map(|row| row.shown.as_ref().ok()).filter(|shown| shown.chain.is_none());
    let mut names: Vec<String> = Vec::new();
    for name in shown.flat_map(|shown| &shown.names).map(|name| name.to_ascii_lowercase()) {
        if names.len() < MAX_BORNE
            && is_host_name(&name)
            && name.contains('.')
            && !tried(&name)
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

/// Handshakes at once with one server.
const AT_ONCE: usize = 4;
/// Names from the configuration.
const MAX_NAMES: usize = 12;
/// Names from certificates.
const MAX_BORNE: usize = 3;
