//! Step 7: does the server answer a request, and with what a visitor wants?

use std::net::SocketAddr;

use super::advice::is_host_name;
use super::checks::{Server, Verdict};
use super::commands;
use super::remedy::Remedies;
use super::report::{Change, Finding, Fix, Outcome};
use crate::origin::FetchError;
use crate::origin::probe::Exchanged;
use crate::policy::redirect::bare_host;

impl Server<'_> {
    /// GET, or its answer if that has come already; then HEAD, last because some servers answer that with a body, which
    /// spoils the connection.
    pub fn exchange(
        &self,
        address: SocketAddr,
        got: Option<Result<Exchanged, FetchError>>,
    ) -> (Verdict, Option<Exchanged>) {
        let target = &self.subject.target;
        let got = match got.unwrap_or_else(|| self.probe.exchange("GET", target)) {
            Ok(got) => got,
            Err(error) => return (self.failed(address, &error, None), None),
        };
        let mut verdict = self.judge(address, &got);
        let first_byte = got.report.first_byte.as_millis();
        verdict.lines.retain(|line| !line.is_empty());
        verdict.lines.insert(0, format!("GET {target}: {}, first byte after {first_byte} ms", got.head.status));
        if verdict.outcome == Outcome::Broken {
            return (verdict, None);
        }
        let head = self.probe.exchange("HEAD", target);
        if let (Ok(head), Outcome::Passed) = (&head, verdict.outcome) {
            verdict = self.reused(address, head, verdict);
        }
        verdict = verdict.beside(&got.setbacks);
        if verdict.outcome == Outcome::Passed {
            verdict = self.checked(verdict);
        }
        verdict.lines.push(match head {
            Ok(head) => format!("HEAD {target}: {}", head.head.status),
            Err(error) => format!("HEAD {target}: {}", error.detail),
        });
        let got = (verdict.outcome != Outcome::Broken).then_some(got);
        (verdict, got)
    }

    /// The health check that the site asks for: where it fails at an address, fetches go to others alone.
    fn checked(&self, verdict: Verdict) -> Verdict {
        let Some(health) = &self.probe.site().origin.health else { return verdict };
        let failed: Vec<(SocketAddr, String)> = self.probe.health_check(health);
        let Some((address, words)) = failed.first() else {
            let line = format!("GET {}: as health wants it", health.path);
            return Verdict { lines: verdict.lines.into_iter().chain([line]).collect(), ..verdict };
        };
        let fix = match words.rsplit_once("was answered with ") {
            Some((_, status)) => {
                let statuses: Vec<String> = health.status.iter().map(u16::to_string).collect();
                format!(
                    "name a path in [site.origin.health] that is answered with {}, or write status = [{status}]",
                    statuses.join(" or ")
                )
            }
            None => "make the origin answer its health check".to_owned(),
        };
        let what = format!("the health check fails, so fetches go elsewhere while anything else answers: {words}");
        let commands = vec![commands::request(&self.probe.route, *address, &health.path)];
        let evidence = failed.iter().map(|(_, words)| words.clone()).collect();
        let finding =
            Finding { what, fix: Remedies::words(fix), evidence, commands, error: None, ..Finding::default() };
        // A lone server with a lone address is asked all the same.
        let is_lone = self.remedies.site.origin.servers.len() == 1 && failed.len() == 1;
        let outcome = if is_lone { Outcome::Doubtful } else { Outcome::Broken };
        Verdict { outcome, finding: Some(Finding { error: (!is_lone).then_some(DEAD), ..finding }), ..verdict }
    }

    /// The second request goes over the first one's connection, where the server keeps that open. A fetch that finds it
    /// ended is sent once more, if it may be.
    fn reused(&self, address: SocketAddr, second: &Exchanged, verdict: Verdict) -> Verdict {
        if second.report.attempts < 2 || second.report.is_reused {
            return verdict;
        }
        let what = format!(
            "{}: the server ended a connection that it had kept open, at the second request; GET is sent again, POST fails",
            self.probe.route.label
        );
        let fix = Remedies::words("mend keep-alive at the origin, or have it send Connection: close");
        let commands = vec![commands::request(&self.probe.route, address, &self.subject.target)];
        Verdict {
            outcome: Outcome::Doubtful,
            finding: Some(Finding { what, fix, commands, ..Finding::default() }),
            ..verdict
        }
    }

    /// There is an answer: is it a good one?
    fn judge(&self, address: SocketAddr, got: &Exchanged) -> Verdict {
        if let Err(error) = &got.body {
            return self.failed(address, error, Some(&got.head));
        }
        let status = got.head.status;
        if let Some(verdict) = self.redirected(address, got) {
            return verdict;
        }
        if status >= 400 {
            return self.denied(address, status);
        }
        if matches!(status, 206 | 304) {
            let what = format!("{}: {status} to a request that asked for the whole", self.probe.route.label);
            let fix = Remedies::words("have the origin answer a plain GET with 200 and all of the content");
            return Verdict::doubtful("", Finding { what, fix, ..Finding::default() });
        }
        if let (Some(time), Ok(length)) = (got.is_slow, &got.body) {
            let (label, seconds) = (&self.probe.route.label, time.as_secs());
            let what =
                format!("{label}: the body comes slowly, {length} bytes in {seconds} s, and was not read further");
            let fix = Remedies::words(
                "make the origin send faster; timeouts.total and timeouts.min_rate end fetches of that kind",
            );
            return Verdict::doubtful("", Finding { what, fix, ..Finding::default() });
        }
        let limit = self.probe.site().origin.timeouts.first_byte;
        if got.report.first_byte > limit / 2 {
            let what = format!(
                "{}: the first byte came after {} ms, more than half of timeouts.first_byte",
                self.probe.route.label,
                got.report.first_byte.as_millis()
            );
            let fix = Remedies::words("make the origin answer sooner, before the limit is met");
            return Verdict::doubtful("", Finding { what, fix, ..Finding::default() });
        }
        match got.body {
            Ok(length) => Verdict::passed(format!("{length} bytes of body, framing in order")),
            Err(_) => Verdict::passed(""),
        }
    }

    /// The origin's own 4xx or 5xx. Where another Host or SNI brings a good answer, that is the remedy.
    fn denied(&self, address: SocketAddr, status: u16) -> Verdict {
        let route = &self.probe.route;
        let what = match status {
            421 => {
                format!("{}: 421, the server does not answer for Host {:?} on this connection", route.label, route.host)
            }
            _ => format!("{}: the origin itself answers {status}", route.label),
        };
        let commands = vec![commands::request(route, address, &self.subject.target)];
        let mut evidence = vec![format!("Host sent: {:?}", route.host)];
        evidence.extend(route.sni.as_ref().map(|sni| format!("SNI sent: {sni:?}")));
        if let Some(finding) = self.unknown_client(address, status) {
            let finding = Finding { evidence, commands, ..finding };
            return if matches!(status, 401 | 403) { Verdict::doubtful("", finding) } else { Verdict::broken(finding) };
        }
        let remedy = if matches!(status, 401 | 407 | 429) { None } else { self.other_names() };
        let is_mild = (400..500).contains(&status) && status != 421 && status != 400;
        let fix = match remedy {
            Some((answer, changes)) => {
                evidence.push(format!("with the change it answers {answer}"));
                Remedies::fix("", changes)
            }
            None => Fix { what: words(status).to_owned(), ..Fix::default() },
        };
        let finding = Finding { what, fix, evidence, commands, ..Finding::default() };
        if is_mild { Verdict::doubtful("", finding) } else { Verdict::broken(finding) }
    }

    /// A refusal by a server that asks in the handshake who we are, and goes on without an answer, as nginx does.
    fn unknown_client(&self, address: SocketAddr, status: u16) -> Option<Finding> {
        let sni = self.probe.route.sni.as_deref().filter(|_| matches!(status, 400 | 401 | 403 | 495 | 496))?;
        let (_, seen) = self.probe.watch(address, Some(sni));
        seen.lacks_client_certificate.then(|| Finding {
            what: format!(
                "{}: {status}, and the server has asked for a client certificate, and none is set",
                self.probe.route.label
            ),
            fix: self.client_certificate_fix(),
            ..Finding::default()
        })
    }

    /// Other names that the server answers well under: the Host as SNI, or another Host with the same SNI.
    fn other_names(&self) -> Option<(u16, Vec<Change>)> {
        let route = &self.probe.route;
        let host = bare_host(&route.host);
        let sni = route.sni.as_deref();
        if let Some(answer) =
            sni.filter(|sni| *sni != host && is_host_name(host)).and_then(|_| self.try_names(None, host))
        {
            return Some((answer, vec![self.remedies.named("sni", host)]));
        }
        let candidates = [sni.unwrap_or_default(), &self.subject.host, &route.name];
        let mut tried = vec![route.host.as_str()];
        for name in candidates {
            if tried.contains(&name) || !is_host_name(name) {
                continue;
            }
            tried.push(name);
            let Some(answer) = self.try_names(Some(name), sni.unwrap_or_default()) else { continue };
            let mut changes = vec![self.remedies.named("host", name)];
            // Left out, the SNI would change with the Host.
            let is_sni_set = self.probe.site().origin.sni.is_some()
                || self.probe.site().origin.servers.iter().any(|server| server.sni.is_some());
            changes.extend(sni.filter(|sni| !is_sni_set && *sni != name).map(|sni| self.remedies.named("sni", sni)));
            return Some((answer, changes));
        }
        None
    }

    /// The status under another Host (or the same) and this SNI, if it is a good one.
    fn try_names(&self, host: Option<&str>, sni: &str) -> Option<u16> {
        let is_tls = self.probe.route.sni.is_some();
        let probe = self.probe.with(|site| {
            for server in &mut site.origin.servers {
                server.host = host.map(str::to_owned).or(server.host.take());
                server.sni = is_tls.then(|| sni.to_owned());
            }
        })?;
        let answer = probe.exchange("GET", &self.subject.target).ok()?;
        (answer.head.status < 400).then_some(answer.head.status)
    }
}

/// What clients get where every server fails its check.
const DEAD: &str = "destination_unavailable";

fn words(status: u16) -> &'static str {
    match status {
        401 | 403 | 407 => "give the origin what it asks for: it may allow only known addresses or credentials",
        404 | 410 => "ask for a path that exists, or set host to the name under which the origin has the content",
        421 => "set host and sni to one name that the server serves",
        502 | 504 => "look behind the server: it is a gateway itself, and what it asks does not answer it",
        508 => {
            "the way to the content leads in a circle: name the server that has it in servers, not a proxy before it"
        }
        429 => "have the origin allow more requests from this machine",
        400..500 => {
            "look at the server's own log: it does not like the request; host may be a name that it does not serve"
        }
        _ => "look at the server's own log: the fault is behind it",
    }
}
