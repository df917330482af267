//! Redirects of an origin: one that leads back to where it came from, and where a followed one ends.

use std::net::SocketAddr;

use super::checks::{Server, Verdict, finding_of};
use super::commands;
use super::remedy::Remedies;
use super::report::{Finding, Fix};
use crate::config::OriginProtocol;
use crate::origin::probe::Exchanged;
use crate::origin::{FetchError, Standing};
use crate::policy::redirect::{Turn, Url, location, turn};
use crate::status::ProxyError;

impl Server<'_> {
    /// A redirect that leads back to where it came from, by the very rule of a fetch.
    pub fn redirected(&self, address: SocketAddr, got: &Exchanged) -> Option<Verdict> {
        let (turn, to) = self.turn(got, self.subject.is_https)?;
        match turn {
            Turn::Loop => Some(self.circle(address, got, &to)),
            Turn::Same if got.head.field("set-cookie").is_none() => {
                let what = format!("{}: the origin redirects the URL to itself", self.probe.route.label);
                let fix = Remedies::words("mend the redirect at the origin: it may go by X-Forwarded-Proto or by Host");
                let commands = vec![commands::request(&self.probe.route, address, &self.subject.target)];
                Some(Verdict::broken(Finding { what, fix, commands, ..Finding::default() }))
            }
            // Meant for the client: how does it fare there?
            Turn::OtherScheme if to.is_https => {
                let secure = self.probe.for_https()?.exchange("GET", &self.subject.target);
                match secure {
                    Ok(again) if matches!(self.turn(&again, true), Some((Turn::Loop, _))) => {
                        Some(self.circle(address, &again, &to))
                    }
                    _ => Some(Verdict::passed("visitors over plain HTTP are sent to https")),
                }
            }
            Turn::Elsewhere if self.probe.site().origin.follow_redirects > 0 => self.followed(address, got, to),
            _ => None,
        }
    }

    /// Goes where a fetch of this site would follow.
    fn followed(&self, address: SocketAddr, got: &Exchanged, to: Url) -> Option<Verdict> {
        let mut status = got.head.status;
        let mut at = to;
        let commands = || vec![commands::request(&self.probe.route, address, &self.subject.target)];
        let mut lines = Vec::new();
        for _ in 0..self.probe.site().origin.follow_redirects {
            lines.push(format!("{status} leads to {}", at.text()));
            let is_home = [self.subject.host.as_str(), &self.probe.route.host].iter().any(|name| at.is_on(name));
            let standing = Standing::of(&at, self.probe.site(), self.remedies.config.sites.iter().map(AsRef::as_ref));
            let next = match is_home {
                true => self.probe.exchange("GET", &at.target),
                false => self.probe.exchange_elsewhere(&at, standing),
            };
            let answer = match next {
                Ok(answer) => answer,
                Err(error) => {
                    let mut finding = finding_of(&error, elsewhere_fix(&error, &at), commands());
                    finding.evidence.extend(lines);
                    return Some(Verdict::broken(finding));
                }
            };
            status = answer.head.status;
            let Some(next) = location(status, answer.head.fields()).and_then(|reference| at.resolve(reference)) else {
                break;
            };
            at = next;
        }
        let most = self.probe.site().origin.follow_redirects;
        let is_endless = lines.len() >= most && location_status(status);
        lines.push(match is_endless {
            true => format!("{status} leads to {}, which is not followed", at.text()),
            false => format!("in the end {} answers {status}", at.text()),
        });
        if is_endless {
            let what = format!(
                "{}: the redirects do not end within follow_redirects = {most}; clients get the last one",
                self.probe.route.label
            );
            let fix = Remedies::words("mend the redirects at the origin, or follow more of them");
            let finding = Finding { what, fix, commands: commands(), ..Finding::default() };
            return Some(Verdict { lines, ..Verdict::doubtful("", finding) });
        }
        if status < 400 {
            return Some(Verdict { lines, ..Verdict::passed("") });
        }
        let what = format!("{}: redirects lead to {}, which answers {status}", self.probe.route.label, at.text());
        let fix = Remedies::words("mend the redirect at the origin, or what it leads to");
        let finding = Finding { what, fix, commands: commands(), ..Finding::default() };
        Some(Verdict { lines, ..Verdict::doubtful("", finding) })
    }

    /// What the answer's redirect means, and where it leads.
    fn turn(&self, got: &Exchanged, client_is_https: bool) -> Option<(Turn, Url)> {
        let reference = location(got.head.status, got.head.fields())?;
        let origin = &self.probe.site().origin;
        let target = origin.request.target.apply(&self.subject.target).ok()?;
        let own = origin.servers.iter().filter_map(|server| server.host.as_deref());
        let home: Vec<&str> =
            origin.host.as_deref().into_iter().chain(own).chain([self.subject.host.as_str()]).collect();
        let at = Url::new(got.report.tls_version.is_some(), home.first()?, &target)?;
        let client = Url::new(client_is_https, &self.subject.host, &self.subject.target)?;
        let to = at.resolve(reference)?;
        Some((turn(&client, &at, &home, &to), to))
    }

    fn circle(&self, address: SocketAddr, got: &Exchanged, to: &Url) -> Verdict {
        let error = FetchError::redirect_to_itself(&got.report, to.is_https);
        let mut fix = Remedies::fix("", self.remedies.protocol(to.is_https, to.port));
        let tried = self.probe.with(|site| {
            let origin = &mut site.origin;
            if to.is_https {
                (origin.protocol, origin.https_port) = (Some(OriginProtocol::Https), Some(to.port));
            } else {
                (origin.protocol, origin.http_port) = (Some(OriginProtocol::Http), Some(to.port));
            }
        });
        let scheme = if to.is_https { "https" } else { "http" };
        let mut evidence = vec![format!("{} leads to {}", got.head.status, to.text())];
        match tried.map(|probe| probe.exchange("GET", &self.subject.target)) {
            Some(Ok(answer)) => evidence.push(format!("asked over {scheme} it answers {}", answer.head.status)),
            Some(Err(error)) => fix.what = format!("{scheme} does not work from here yet: {}", error.detail),
            None => {}
        }
        let commands = vec![commands::request(&self.probe.route, address, &self.subject.target)];
        let mut finding = finding_of(&error, fix, commands);
        finding.evidence.extend(evidence);
        Verdict::broken(finding)
    }
}

fn location_status(status: u16) -> bool {
    matches!(status, 301..=303 | 307 | 308)
}

/// A redirect that cannot be followed.
fn elsewhere_fix(error: &FetchError, to: &Url) -> Fix {
    let to = to.text();
    Remedies::words(match error.error {
        ProxyError::DestinationIpProhibited => {
            format!("if {to} is meant, name its host and port in the servers of a site; else mend the redirect")
        }
        ProxyError::TlsCertificateError => {
            format!("have the certificate at {to} name that host, or mend the redirect at the origin")
        }
        _ => format!("mend the redirect at the origin, or what answers at {to}"),
    })
}
