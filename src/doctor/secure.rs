//! Steps 4 and 6: the handshake with the configured server name, and the certificate that comes of it.

use std::net::SocketAddr;

use super::advice::{Advice, Facts, SPOKEN, Trouble, advise};
use super::checks::{Server, Verdict, finding_of};
use super::commands;
use super::matrix::Table;
use super::remedy::Remedies;
use super::report::{Finding, Fix, SniRow};
use crate::config::{TlsMin, Trust};
use crate::origin::FetchError;
use crate::origin::probe::{Handshake, Kind};
use crate::tls::{CertificateFacts, NameRule, Reason, reject_of};

impl Server<'_> {
    /// Of several addresses the first one whose handshake succeeds, and why it does not at the others. Where it does at
    /// none, the first.
    pub fn choose(&self, reached: &[SocketAddr]) -> Option<(SocketAddr, Vec<FetchError>)> {
        let first = *reached.first()?;
        if reached.len() == 1 || self.probe.route.sni.is_none() {
            return Some((first, Vec::new()));
        }
        let shaken = self.probe.handshakes(reached.get(..MAX_ADDRESSES).unwrap_or(reached));
        let well = shaken.iter().zip(reached).find(|(it, _)| it.outcome.is_ok()).map(|(_, address)| *address);
        let failed = shaken.into_iter().filter_map(|it| it.outcome.err()).map(|(_, error)| error);
        Some(well.map_or_else(|| (first, Vec::new()), |address| (address, failed.collect())))
    }

    /// Step 4, with what the server shows for other names at hand.
    pub fn handshake(&self, address: SocketAddr, handshake: &Handshake, table: &Table) -> Verdict {
        let (watched, seen) = &table.configured;
        let sni = self.probe.route.sni.as_deref().unwrap_or_default();
        let took = handshake.elapsed.as_millis();
        match &handshake.outcome {
            Err((kind, error)) if *kind != Kind::Certificate => {
                let is_ours = matches!(kind, Kind::Alert(alert) if is_about_ours(*alert));
                if seen.lacks_client_certificate || (seen.wants_client_certificate && is_ours) {
                    return self.client_certificate(address, error, seen.lacks_client_certificate);
                }
                self.refused(address, *kind, error, &table.rows)
            }
            // In TLS 1.3 the server's refusal comes after the handshake; a fetch meets it with its request.
            outcome => match &watched.outcome {
                Err((Kind::Alert(_) | Kind::Silent, error)) if seen.wants_client_certificate => {
                    self.client_certificate(address, error, seen.lacks_client_certificate)
                }
                _ => {
                    let version = outcome.as_ref().or(watched.outcome.as_ref()).copied().unwrap_or("TLS");
                    let mut verdict = Verdict::passed(format!("{version} with SNI {sni:?}, {took} ms"));
                    if seen.wants_client_certificate {
                        let did = if seen.lacks_client_certificate { "goes on without" } else { "gets one" };
                        verdict.lines.push(format!("the server asks for a client certificate and {did}"));
                    }
                    verdict
                }
            },
        }
    }

    fn refused(&self, address: SocketAddr, kind: Kind, error: &FetchError, rows: &[SniRow]) -> Verdict {
        let sni = self.probe.route.sni.as_deref();
        let commands = vec![commands::handshake(address, sni)];
        let (fix, alternatives) = match kind {
            Kind::Alert(70) | Kind::Other => (self.version_fix(address), Vec::new()),
            Kind::Alert(120) => {
                let words = "let the server speak HTTP/1.1 on this port (ALPN http/1.1), or name the port that does";
                (Remedies::words(words), Vec::new())
            }
            Kind::Alert(alert) => self.remedies_of(&self.facts(Trouble::Refused(alert), rows, &[])),
            _ => {
                let words = "look at the server's own log, and at what stands between it and this machine";
                (Remedies::words(words), Vec::new())
            }
        };
        let mut finding = Finding { alternatives, ..finding_of(error, fix, commands) };
        let sent = sni.map_or("no SNI was sent".to_owned(), |sni| format!("SNI sent: {sni:?}"));
        finding.evidence.push(sent);
        Verdict::broken(finding)
    }

    /// The server speaks no version of TLS that it was offered: a floor of ours that is too high, or its own age.
    fn version_fix(&self, address: SocketAddr) -> Fix {
        let lower = self.probe.with(|site| site.origin.tls_min = TlsMin::Tls12);
        let is_floor = self.probe.site().origin.tls_min == TlsMin::Tls13;
        let handshake = lower.filter(|_| is_floor).map(|probe| probe.handshake(address));
        match handshake.map(|it| it.outcome) {
            Some(Ok(_) | Err((Kind::Certificate, _))) => Remedies::fix(
                "the server speaks TLS 1.2 and nothing later",
                vec![self.remedies.origin("tls_min", "\"1.2\"")],
            ),
            _ => Remedies::words(SPOKEN),
        }
    }

    fn client_certificate(&self, address: SocketAddr, error: &FetchError, is_missing: bool) -> Verdict {
        let label = &self.probe.route.label;
        let commands = vec![format!(
            "{} -cert client.pem -key client.key",
            commands::handshake(address, self.probe.route.sni.as_deref()).replace(" </dev/null", "")
        )];
        let mut finding = finding_of(error, self.client_certificate_fix(), commands);
        finding.what = match is_missing {
            true => format!("{label}: the server demands a client certificate, and none is set"),
            false => format!("{label}: the server does not accept our client certificate"),
        };
        finding.evidence.insert(0, error.detail.clone());
        Verdict::broken(finding)
    }

    /// A client certificate to be shown, or another one.
    pub fn client_certificate_fix(&self) -> Fix {
        let value = "{ certificate = \"client.pem\", key = \"client.key\" }";
        let what = "have a client certificate issued by a CA that the server trusts";
        Remedies::fix(what, vec![self.remedies.origin("client_certificate", value)])
    }

    /// Step 6.
    pub fn certificate(&self, address: SocketAddr, handshake: &Handshake, table: &Table) -> Verdict {
        let seen = &table.configured.1;
        let mut lines: Vec<String> = seen.chain.iter().enumerate().map(|(depth, it)| self.line(depth, it)).collect();
        let Err((_, error)) = &handshake.outcome else {
            let mut verdict = self.ending_soon(&seen.chain).unwrap_or_else(|| Verdict::passed(""));
            verdict.lines = lines;
            return verdict;
        };
        let reject = seen.refusal.as_ref().and_then(reject_of);
        if seen.refusal.is_none() {
            lines.push("a second handshake was accepted: the servers behind this address differ".into());
        }
        let reason = reject.map_or(Reason::Other, |reject| reject.reason);
        let is_leaf_date = reject.is_none_or(|reject| reject.is_leaf_date());
        let facts = self.facts(Trouble::Certificate(reason), &table.rows, &seen.chain);
        let (fix, alternatives) = self.remedies_of(&Facts { is_leaf_date, ..facts });
        let commands = vec![commands::certificate(address, self.probe.route.sni.as_deref())];
        let mut finding = Finding { alternatives, ..finding_of(error, fix, commands) };
        if let Some(reject) = reject {
            finding.what = format!("{}: {}", self.probe.route.label, reject.finding());
        }
        finding.evidence.extend(lines.iter().cloned());
        let (sni, origin) = (self.probe.route.sni.as_deref().unwrap_or_default(), &self.probe.site().origin);
        let is_named = seen.chain.first().is_none_or(|leaf| leaf.names.is_valid_for(sni, self.rule()));
        if reason != Reason::NotValidForName && !is_named && origin.common_name_whitelist.is_empty() {
            finding.evidence.push(format!("nor does it name {sni:?}"));
        }
        if matches!(reason, Reason::Expired | Reason::NotYetValid) {
            let date = String::from_utf8_lossy(&self.clock.now().date().format()).into_owned();
            finding.evidence.push(format!("the clock of this machine says {date}"));
        }
        let mut verdict = Verdict::broken(finding);
        verdict.lines.extend(lines);
        verdict
    }

    /// A certificate of the chain that ends within [`RADAR_DAYS`].
    fn ending_soon(&self, chain: &[CertificateFacts]) -> Option<Verdict> {
        let now = self.clock.now().unix();
        let soonest = chain.iter().min_by_key(|it| it.names.not_after).filter(|it| it.days_left(now) < RADAR_DAYS)?;
        let days = soonest.days_left(now);
        let when = if days < 0 { "has expired".to_owned() } else { format!("ends in {days} days") };
        let what = format!("{}: the certificate {:?} {when}", self.probe.route.label, soonest.subject());
        let fix = Remedies::words(format!("renew it at the origin before {}", soonest.end()));
        Some(Verdict::doubtful("", Finding { what, fix, ..Finding::default() }))
    }

    /// One certificate of the chain in a line.
    fn line(&self, depth: usize, it: &CertificateFacts) -> String {
        let days = it.days_left(self.clock.now().unix());
        let what = if depth == 0 { "leaf" } else { "intermediate" };
        let names: Vec<String> = it.names.all().iter().take(MAX_NAMES).map(|name| format!("{name:?}")).collect();
        let rest = it.names.all().len().saturating_sub(MAX_NAMES);
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
        let facts: Vec<&str> = [it.key.as_str(), it.signature].into_iter().filter(|word| !word.is_empty()).collect();
        format!(
            "{what} {names}{more}, issued by {:?}, until {} ({days} days), {}",
            it.names.issuer,
            it.end(),
            facts.join(", ")
        )
    }

    fn facts<'f>(&'f self, trouble: Trouble, rows: &'f [SniRow], chain: &'f [CertificateFacts]) -> Facts<'f> {
        let (origin, sni) = (&self.probe.site().origin, self.probe.route.sni.as_deref().unwrap_or_default());
        let is_named = |rule| chain.first().is_some_and(|leaf| leaf.names.is_valid_for(sni, rule));
        Facts {
            trouble,
            sni,
            rows,
            rule: origin.certificate_names,
            has_own_ca: matches!(origin.trust, Trust::File(_)),
            intermediates: chain.len().saturating_sub(1),
            issuer_url: chain.last().and_then(|last| last.issuer_url.as_deref()),
            issuer: chain.last().map_or("", |last| last.names.issuer.as_str()),
            is_named_by_cn: is_named(NameRule::Cn),
            is_named_by_default: is_named(NameRule::SanOrCn),
            is_leaf_date: true,
        }
    }

    /// The best advice, and the others.
    fn remedies_of(&self, facts: &Facts<'_>) -> (Fix, Vec<Fix>) {
        let mut fixes =
            advise(facts).iter().map(|advice: &Advice| self.remedies.of(advice)).collect::<Vec<_>>().into_iter();
        (fixes.next().unwrap_or_default(), fixes.collect())
    }
}

/// Alerts that speak of the certificate of the other side, which is ours (RFC 8446 §6.2).
pub fn is_about_ours(alert: u8) -> bool {
    matches!(alert, 42..=46 | 48 | 49 | 51 | 116)
}

/// Certificates that end sooner are told of.
pub const RADAR_DAYS: i64 = 21;
/// Addresses that hands are shaken with.
const MAX_ADDRESSES: usize = 16;
/// Names of a certificate in a line.
const MAX_NAMES: usize = 8;
