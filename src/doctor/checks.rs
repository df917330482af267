//! Steps 1 to 3: the name, the addresses, the protocol of the port.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Subject;
use super::commands;
use super::remedy::{Remedies, server_text};
use super::report::{Check, Finding, Fix, Outcome, Step};
use crate::config::OriginProtocol;
use crate::origin::FetchError;
use crate::origin::probe::{Exchanged, Handshake, Kind, Probe, Reached, RefusalKind};
use crate::server::Clock;
use crate::status::ProxyError;

/// One server under diagnosis.
pub struct Server<'a> {
    /// Looks at it.
    pub probe: Probe<'a>,
    /// Writes what mends it.
    pub remedies: Remedies<'a>,
    /// What a client asks for.
    pub subject: &'a Subject,
    /// For certificates and freshness.
    pub clock: Clock,
}

/// What a step came to.
#[derive(Debug)]
pub struct Verdict {
    /// Its outcome.
    pub outcome: Outcome,
    /// What was seen.
    pub lines: Vec<String>,
    /// What is wrong or doubtful.
    pub finding: Option<Finding>,
}

/// What the port spoke.
#[derive(Debug)]
pub struct Spoken {
    /// The handshake of a fetch, where the settings say TLS.
    pub handshake: Option<Handshake>,
    /// The answer to a GET, where they say plain HTTP.
    pub got: Option<Result<Exchanged, FetchError>>,
}

impl Verdict {
    /// All is well, and this was seen.
    pub fn passed(line: impl Into<String>) -> Verdict {
        Verdict { outcome: Outcome::Passed, lines: vec![line.into()], finding: None }
    }

    /// It goes on, but.
    pub fn doubtful(line: impl Into<String>, finding: Finding) -> Verdict {
        Verdict { outcome: Outcome::Doubtful, lines: vec![line.into()], finding: Some(finding) }
    }

    /// It ends here.
    pub fn broken(finding: Finding) -> Verdict {
        Verdict { outcome: Outcome::Broken, lines: vec![finding.what.clone()], finding: Some(finding) }
    }

    /// As a check.
    pub fn into_check(self, step: Step, elapsed: Duration) -> Check {
        Check { step, outcome: self.outcome, lines: self.lines, elapsed, finding: self.finding }
    }
}

impl Verdict {
    /// It went well at one address after all, and these failures came before, at others.
    pub fn beside(mut self, others: &[FetchError]) -> Verdict {
        let (Some(error), Outcome::Passed) = (others.first(), self.outcome) else { return self };
        let count = others.len();
        let details = others.iter().map(|error| error.detail.clone());
        let fix = Remedies::words("make the servers at these addresses like the others, or take them out of DNS");
        self.outcome = Outcome::Doubtful;
        self.finding = Some(Finding {
            what: format!("{count} of the addresses would not do, and fetches move on to another: {}", error.detail),
            fix,
            evidence: details.collect(),
            ..Finding::default()
        });
        self
    }
}

/// The finding of a failed fetch: its words and its type.
pub fn finding_of(error: &FetchError, fix: Fix, commands: Vec<String>) -> Finding {
    let mut evidence: Vec<String> = error.address.map(|address| format!("address {address}")).into_iter().collect();
    evidence.extend(error.alert.map(|alert| format!("TLS alert {alert}, {}", alert_meaning(alert))));
    evidence.extend(error.rcode.map(|rcode| format!("DNS answer {rcode}")));
    evidence.extend(beginning(&error.facts.head_start));
    // Behind the semicolon of its sentence stands a remedy in short; here it is told in full.
    let what = error.detail.split("; ").next().unwrap_or_default().to_owned();
    let token = error.error.token();
    Finding { what, error: Some(token), evidence, fix, alternatives: Vec::new(), commands }
}

/// How an answer begins that is refused or cut.
fn beginning(head_start: &[u8]) -> Option<String> {
    let shown = head_start.get(..MAX_SHOWN).unwrap_or(head_start);
    (!shown.is_empty()).then(|| format!("the answer begins with \"{}\"", shown.escape_ascii()))
}

impl Server<'_> {
    /// Step 1: the addresses.
    pub fn resolve(&self) -> (Verdict, Option<Vec<SocketAddr>>) {
        let name = &self.probe.route.name;
        let addresses = match self.probe.resolve() {
            Ok(addresses) => addresses,
            Err(error) => return (self.unresolved(&error), None),
        };
        if name.parse::<IpAddr>().is_ok() {
            return (Verdict::passed(format!("{name} is an address")), Some(addresses));
        }
        let four = addresses.iter().filter(|address| address.is_ipv4()).count();
        let six = addresses.len() - four;
        let list: Vec<String> = addresses.iter().take(MAX_LISTED).map(|it| it.ip().to_string()).collect();
        let line = format!("{name}: {four} A, {six} AAAA: {}", list.join(", "));
        let mut verdict = Verdict::passed(line);
        let private = addresses.iter().filter(|address| is_private(address.ip())).count();
        if private > 0 {
            verdict.lines.push(format!("{private} of them private or loopback, reached from this machine alone"));
        }
        (verdict, Some(addresses))
    }

    fn unresolved(&self, error: &FetchError) -> Verdict {
        let name = &self.probe.route.name;
        let fix = match (error.error, error.rcode) {
            (ProxyError::ProxyLoopDetected, _) => {
                let what = "name the server that has the content, not this Millpond";
                Remedies::fix(what, vec![self.remedies.server("ORIGIN:PORT")])
            }
            (ProxyError::DestinationIpProhibited, _) => Remedies::words(
                "name a server of the internet, or list this one in the servers of a site first; any_target = true \
                     under [admin] lets the operator's door look at any",
            ),
            (ProxyError::DnsTimeout, _) => {
                Remedies::words("the resolver did not answer: look at /etc/resolv.conf and at the way to its servers")
            }
            (_, Some("NXDOMAIN")) => {
                let port = self.remedies.site.origin.servers.get(self.remedies.server).and_then(|server| server.port);
                let text = server_text("NAME", port);
                let what = format!("check the spelling of {name:?}, or make the name in DNS");
                Remedies::fix(what, vec![self.remedies.server(&text)])
            }
            (_, Some("NODATA")) => Remedies::words(format!("give {name:?} an A or AAAA record in DNS")),
            _ => Remedies::words(format!("the name servers of {name:?} fail: whoever runs them must look")),
        };
        Verdict::broken(finding_of(error, fix, vec![commands::lookup(name)]))
    }

    /// Step 2: every address; those that take connections are for the later steps.
    pub fn reach(&self, addresses: &[SocketAddr]) -> (Verdict, Option<Vec<SocketAddr>>) {
        let reached = self.probe.reach(addresses);
        let lines: Vec<String> = reached.iter().take(MAX_LISTED).map(reached_line).collect();
        let failed: Vec<&Reached> = reached.iter().filter(|it| it.failure.is_some()).collect();
        let commands: Vec<String> = failed.iter().take(3).map(|it| commands::connect(it.address)).collect();
        let good: Vec<SocketAddr> = reached.iter().filter(|it| it.failure.is_none()).map(|it| it.address).collect();
        if good.is_empty() {
            let error = self.probe.unreachable(&reached);
            let mut verdict = Verdict::broken(finding_of(&error, self.unreachable_fix(&reached), commands));
            verdict.lines = lines;
            if let Some(finding) = &mut verdict.finding {
                finding.evidence = verdict.lines.clone();
            }
            return (verdict, None);
        }
        // No route to one family is how most machines are; it costs a fetch nothing.
        let counted = failed.iter().filter(|it| it.failure != Some(RefusalKind::Unroutable)).count();
        let outcome = if counted > 0 { Outcome::Doubtful } else { Outcome::Passed };
        let finding = (counted > 0).then(|| {
            let (all, port) = (reached.len(), self.probe.route.port);
            let fix = Remedies::words("take the dead addresses out of DNS, or start the server on them");
            let what =
                format!("{counted} of {all} addresses take no connection on port {port}; fetches go to the others");
            Finding { what, fix, evidence: lines.clone(), commands, ..Finding::default() }
        });
        (Verdict { outcome, lines, finding }, Some(good))
    }

    /// A port that nobody listens on: is there another one that HTTP mostly lives on?
    fn unreachable_fix(&self, reached: &[Reached]) -> Fix {
        let route = &self.probe.route;
        let is_refused = reached.iter().any(|it| it.failure == Some(RefusalKind::Refused));
        if !is_refused {
            return Remedies::words(format!(
                "open the way from this machine to port {} (firewall, security group, route), or name another address in \
                 servers",
                route.port
            ));
        }
        let others = [443, 80].into_iter().filter(|port| *port != route.port);
        let others: Vec<SocketAddr> = reached
            .first()
            .into_iter()
            .flat_map(|it| others.clone().map(|port| SocketAddr::new(it.address.ip(), port)))
            .collect();
        let open = self.probe.reach(&others).into_iter().find(|it| it.failure.is_none());
        match open {
            Some(open) => {
                let what = format!("port {} is open there", open.address.port());
                let text = server_text(&route.name, Some(open.address.port()));
                Remedies::fix(what, vec![self.remedies.server(&text)])
            }
            None => {
                let what = format!("start the server on port {}, or write the port that it listens on", route.port);
                Remedies::fix(what, vec![self.remedies.server(&format!("{}:PORT", server_text(&route.name, None)))])
            }
        }
    }

    /// Step 3: TLS or plain HTTP?
    pub fn protocol(&self, address: SocketAddr) -> (Verdict, Option<Spoken>) {
        if self.probe.route.sni.is_some() { self.is_tls(address) } else { self.is_plain(address) }
    }

    fn is_tls(&self, address: SocketAddr) -> (Verdict, Option<Spoken>) {
        let route = &self.probe.route;
        let handshake = self.probe.handshake(address);
        if let Err((kind @ (Kind::PlainHttp | Kind::NotTls | Kind::Silent), error)) = &handshake.outcome {
            let plain = self.probe.with(|site| {
                (site.origin.protocol, site.origin.http_port) = (Some(OriginProtocol::Http), Some(route.port));
                site.origin.timeouts.first_byte = site.origin.timeouts.first_byte.min(PATIENCE);
            });
            let is_plain = *kind == Kind::PlainHttp
                || plain.as_ref().is_some_and(|plain| plain.exchange("GET", &self.subject.target).is_ok());
            let command = plain.map(|plain| commands::request(&plain.route, address, &self.subject.target));
            if is_plain {
                let fix = Remedies::fix("", self.remedies.protocol(false, route.port));
                let mut finding = finding_of(error, fix, command.into_iter().collect());
                let what = format!("{}: the port answers plain HTTP, not TLS", route.label);
                let first = std::mem::replace(&mut finding.what, what);
                finding.evidence.extend(Some(first).filter(|_| *kind != Kind::PlainHttp));
                return (Verdict::broken(finding), None);
            }
            if *kind == Kind::NotTls {
                let what = "write the port on which the server speaks HTTPS";
                let text = format!("{}:PORT", server_text(&route.name, None));
                let fix = Remedies::fix(what, vec![self.remedies.server(&text)]);
                let commands = vec![commands::handshake(address, route.sni.as_deref())];
                return (Verdict::broken(finding_of(error, fix, commands)), None);
            }
        }
        let line = match handshake.outcome {
            Err((Kind::Silent, _)) => format!("port {} takes connections and says nothing", route.port),
            _ => format!("port {} speaks TLS", route.port),
        };
        (Verdict::passed(line), Some(Spoken { handshake: Some(handshake), got: None }))
    }

    fn is_plain(&self, address: SocketAddr) -> (Verdict, Option<Spoken>) {
        let route = &self.probe.route;
        let got = self.probe.exchange("GET", &self.subject.target);
        let is_suspect = match &got {
            Ok(got) => got.head.status == 400,
            // What begins like HTTP is HTTP, however broken.
            Err(error) if error.facts.head_start.starts_with(b"HTTP/1.1 400") => true,
            Err(error) => may_be_tls(error.error) && !error.facts.head_start.starts_with(b"HTTP/"),
        };
        let secure = self.probe.with(|site| {
            (site.origin.protocol, site.origin.https_port) = (Some(OriginProtocol::Https), Some(route.port));
            site.origin.timeouts.tls_handshake = site.origin.timeouts.tls_handshake.min(PATIENCE);
        });
        let (Some(secure), true) = (secure, is_suspect) else {
            let line = format!("port {} speaks plain HTTP", route.port);
            return (Verdict::passed(line), Some(Spoken { handshake: None, got: Some(got) }));
        };
        let handshake = secure.handshake(address);
        let is_tls = matches!(handshake.outcome, Ok(_) | Err((Kind::Alert(_) | Kind::Certificate | Kind::Other, _)));
        if !is_tls {
            let line = format!("port {} speaks no TLS", route.port);
            return (Verdict::passed(line), Some(Spoken { handshake: None, got: Some(got) }));
        }
        let fix = Remedies::fix("", self.remedies.protocol(true, route.port));
        let commands = vec![commands::handshake(address, secure.route.sni.as_deref())];
        let what = format!("{}: the port speaks TLS and was asked in plain HTTP", route.label);
        let mut finding = match &got {
            Err(error) => {
                let mut finding = finding_of(error, fix, commands);
                finding.evidence.insert(0, std::mem::replace(&mut finding.what, what));
                finding
            }
            Ok(_) => Finding { what, fix, commands, ..Finding::default() },
        };
        finding.evidence.push(format!("port {} answers a TLS handshake", route.port));
        (Verdict::broken(finding), None)
    }
}

/// May a plain request have failed so because the port speaks TLS?
fn may_be_tls(error: ProxyError) -> bool {
    matches!(
        error,
        ProxyError::HttpProtocolError
            | ProxyError::ConnectionTerminated
            | ProxyError::HttpResponseIncomplete
            | ProxyError::HttpResponseTimeout
    )
}

fn reached_line(reached: &Reached) -> String {
    let what = match reached.failure {
        None => "connects",
        Some(RefusalKind::Refused) => "refuses the connection",
        Some(RefusalKind::Reset) => "resets the connection",
        Some(RefusalKind::Timeout) => "does not answer",
        Some(RefusalKind::Unroutable) => "cannot be reached from here",
        Some(RefusalKind::Own) => "was not tried: this machine is out of sockets or memory",
    };
    format!("{} {what}, {} ms", reached.address, reached.elapsed.as_millis())
}

/// Addresses that the world does not route (RFC 6890).
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(four) => four.is_private() || four.is_loopback() || four.is_link_local() || four.is_unspecified(),
        IpAddr::V6(six) => {
            six.is_loopback() || six.is_unspecified() || six.is_unique_local() || six.is_unicast_link_local()
        }
    }
}

/// What an alert says (RFC 8446 §6), in words.
pub fn alert_meaning(alert: u8) -> &'static str {
    match alert {
        0 => "close_notify: the server ends the connection",
        10 => "unexpected_message: the server did not understand",
        20 => "bad_record_mac: a message arrived changed",
        22 => "record_overflow: a message was too long for it",
        40 => "handshake_failure: no common suite, or a name that the server does not know",
        42 => "bad_certificate: the server does not accept our certificate",
        43 => "unsupported_certificate: our certificate is of a kind that the server does not know",
        44 => "certificate_revoked: our certificate is revoked",
        45 => "certificate_expired: our certificate is not valid now",
        46 => "certificate_unknown: something about our certificate, and the server does not say what",
        47 => "illegal_parameter: the server did not like what it was offered",
        48 => "unknown_ca: the server does not trust our certificate",
        49 => "access_denied: our certificate is good, and not let in",
        50 => "decode_error: the server could not read a message",
        51 => "decrypt_error: a signature does not fit its key",
        70 => "protocol_version: the server speaks only other versions of TLS",
        71 => "insufficient_security: the server wants other suites",
        80 => "internal_error of the server",
        86 => "inappropriate_fallback: the server speaks a later version",
        90 => "user_canceled: the server broke off",
        109 => "missing_extension: the server wants more than it was told",
        110 => "unsupported_extension: the server did not like what it was offered",
        112 => "unrecognized_name: the server does not know the name in the handshake",
        116 => "certificate_required: the server wants a client certificate",
        120 => "no_application_protocol: no HTTP/1.1 on this port",
        _ => "of another kind",
    }
}

/// Bytes of an answer in a line.
const MAX_SHOWN: usize = 160;
/// Addresses in a line.
const MAX_LISTED: usize = 16;
/// How long a look at the other protocol may take.
const PATIENCE: Duration = Duration::from_secs(3);
