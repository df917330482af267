//! The steps in their order, for one site and server by server; the first broken one ends a server's run, and who asked may
//! end all of it between two steps.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::checks::{Server, Verdict};
use super::remedy::Remedies;
use super::report::{Check, Finding, Outcome, Report, ServerReport, SniRow, Step};
use super::{Progress, Subject};
use crate::config::{Config, Role, Site};
use crate::origin::Origins;
use crate::origin::probe::Probe;
use crate::server::Clock;

/// One diagnosis.
pub struct Run<'a, 'p> {
    origins: &'a Origins,
    config: &'a Config,
    subject: &'a Subject,
    /// The last step to make.
    last: Step,
    progress: &'p mut Told<'p>,
}

/// Who is told how it goes, and may break it off.
type Told<'p> = dyn FnMut(Progress<'_>) -> ControlFlow<()> + 'p;

impl<'a, 'p> Run<'a, 'p> {
    /// A diagnosis of the site that answers for `subject`, up to step `last`.
    pub fn new(
        origins: &'a Origins,
        config: &'a Config,
        subject: &'a Subject,
        last: Step,
        progress: &'p mut Told<'p>,
    ) -> Run<'a, 'p> {
        Run { origins, config, subject, last, progress }
    }

    /// Makes it.
    pub fn report(mut self) -> Report {
        let mut report = Report { subject: self.subject.url(), ..Report::default() };
        let site = self.config.router().find(self.subject.host.trim_matches(['[', ']'])).cloned();
        let site = site.or_else(|| self.config.router().find(&self.subject.host).cloned());
        let Some(site) = site else {
            let verdict = self.unserved();
            let _ = self.told(&mut report, Step::Configuration, verdict);
            return report;
        };
        report.site = Some(site.name.clone());
        if (self.progress)(Progress::Checking { server: "", step: Step::Configuration }).is_break() {
            return report;
        }
        let verdict = self.settings(&site);
        if self.told(&mut report, Step::Configuration, verdict).is_break() || !report.is_healthy() {
            return report;
        }
        let mut order: Vec<usize> = (0..site.origin.servers.len()).collect();
        order.sort_by_key(|index| site.origin.servers.get(*index).map(|server| server.role == Role::Backup));
        for index in order {
            let Some((server, flow)) = self.server(&site, index) else { continue };
            report.servers.push(server);
            if flow.is_break() {
                return report;
            }
        }
        report
    }

    fn told(&mut self, report: &mut Report, step: Step, verdict: Verdict) -> ControlFlow<()> {
        let check = verdict.into_check(step, Duration::ZERO);
        let flow = (self.progress)(Progress::Checked { server: "", check: &check });
        report.checks.push(check);
        flow
    }

    /// No site answers for the name.
    fn unserved(&self) -> Verdict {
        let name = &self.subject.host;
        let what = format!("no site of this configuration answers for {name:?}");
        let fix = match self.config.sites.first() {
            Some(site) => {
                let names = site.domains.iter().chain([name]).map(|name| format!("{name:?}"));
                let value = format!("[{}]", names.collect::<Vec<_>>().join(", "));
                let remedies = Remedies { config: self.config, site, server: 0 };
                Remedies::fix(
                    "name it in the site that is to answer for it",
                    vec![remedies.site_key("domains", &value)],
                )
            }
            None => Remedies::words("write a [[site]] for it"),
        };
        Verdict::broken(Finding { what, fix, error: Some("destination_not_found"), ..Finding::default() })
    }

    /// Step 0.
    fn settings(&self, site: &Site) -> Verdict {
        let ours = format!("site[{}].origin", self.config.place_of(site));
        let doubts: Vec<_> = self.config.warnings().iter().filter(|problem| problem.key.starts_with(&ours)).collect();
        for server in 0..site.origin.servers.len() {
            let probe = Probe::new(self.origins, site, server, &self.subject.host, self.subject.is_https);
            let Some(Err(error)) = probe.map(|probe| probe.check_settings()) else { continue };
            return Verdict::broken(Finding {
                what: error.detail,
                error: Some(error.error.token()),
                fix: Remedies::words("change the setting that is named here"),
                ..Finding::default()
            });
        }
        let servers: Vec<String> =
            site.origin.servers.iter().map(|server| super::remedy::server_text(&server.name, server.port)).collect();
        let line = format!("site {} from {}", site.name, servers.join(", "));
        match doubts.first() {
            None => Verdict::passed(line),
            Some(first) => {
                let mut verdict = Verdict::doubtful(
                    line,
                    Finding {
                        what: first.message.clone(),
                        fix: Remedies::words(first.hint.clone()),
                        evidence: vec![first.key.clone()],
                        ..Finding::default()
                    },
                );
                verdict.lines.extend(doubts.iter().skip(1).map(ToString::to_string));
                verdict
            }
        }
    }

    /// The report on one server, and whether there is to be another.
    fn server(&mut self, site: &Site, index: usize) -> Option<(ServerReport, ControlFlow<()>)> {
        let probe = Probe::new(self.origins, site, index, &self.subject.host, self.subject.is_https)?;
        let report = ServerReport { server: probe.route.label.clone(), ..ServerReport::default() };
        let server = Server {
            probe,
            remedies: Remedies { config: self.config, site, server: index },
            subject: self.subject,
            clock: Clock::start(),
        };
        let mut steps = Steps { report, progress: &mut *self.progress, flow: ControlFlow::Continue(()) };
        steps.run(&server, self.last);
        Some((steps.report, steps.flow))
    }
}

/// The steps for one server.
struct Steps<'s, 'p> {
    report: ServerReport,
    progress: &'s mut Told<'p>,
    /// It was broken off.
    flow: ControlFlow<()>,
}

impl Steps<'_, '_> {
    /// Runs until a step is broken, or all is broken off; `None` says that one of these was.
    fn run(&mut self, server: &Server<'_>, last: Step) -> Option<()> {
        let addresses = self.step(Step::Dns, || server.resolve())?;
        let reached = self.step(Step::Reachability, || server.reach(&addresses))?;
        let (address, others) = server.choose(&reached)?;
        let mut spoken = self.step(Step::Protocol, || server.protocol(address))?;
        if let Some(handshake) = spoken.handshake.take() {
            self.checking(Step::Handshake)?;
            let table = server.matrix(address);
            let started = Instant::now();
            let verdict = server.handshake(address, &handshake, &table);
            let is_broken = verdict.outcome == Outcome::Broken;
            self.checked(Step::Handshake, verdict, handshake.elapsed + started.elapsed())?;
            self.shown(server, table.rows.clone(), table.elapsed)?;
            if is_broken {
                return None;
            }
            let check = || (server.certificate(address, &handshake, &table).beside(&others), Some(()));
            self.step(Step::Certificate, check)?;
        }
        let got = self.step(Step::Http, || server.exchange(address, spoken.got.take()))?;
        if last >= Step::Cacheability {
            self.step(Step::Cacheability, || (server.keeping(&got), Some(())))?;
        }
        Some(())
    }

    fn shown(&mut self, server: &Server<'_>, rows: Vec<SniRow>, elapsed: Duration) -> Option<()> {
        self.checking(Step::SniMatrix)?;
        self.checked(Step::SniMatrix, server.matrix_verdict(&rows), elapsed)?;
        let flow = (self.progress)(Progress::Shown { server: &self.report.server, rows: &rows });
        self.report.sni = rows;
        self.go_on(flow)
    }

    fn step<T>(&mut self, step: Step, check: impl FnOnce() -> (Verdict, Option<T>)) -> Option<T> {
        self.checking(step)?;
        let started = Instant::now();
        let (verdict, value) = check();
        let is_broken = verdict.outcome == Outcome::Broken;
        self.checked(step, verdict, started.elapsed())?;
        value.filter(|_| !is_broken)
    }

    fn checking(&mut self, step: Step) -> Option<()> {
        let flow = (self.progress)(Progress::Checking { server: &self.report.server, step });
        self.go_on(flow)
    }

    fn checked(&mut self, step: Step, verdict: Verdict, elapsed: Duration) -> Option<()> {
        let check: Check = verdict.into_check(step, elapsed);
        let flow = (self.progress)(Progress::Checked { server: &self.report.server, check: &check });
        self.report.checks.push(check);
        self.go_on(flow)
    }

    fn go_on(&mut self, flow: ControlFlow<()>) -> Option<()> {
        self.flow = flow;
        flow.is_continue().then_some(())
    }
}
