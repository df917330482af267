//! One broken origin and what everybody must say of it: the client's answer, the ledger's row, the doctor's finding, and
//! 200 once the remedy is applied.

use std::sync::Arc;

use millpond::config::Config;
use millpond::doctor::{Outcome, Report, Step, Subject};
use millpond::{FailureExample, Names};

use super::client::Response;
use super::diagnosis::Diagnosed;
use super::gate::Gate;
use super::origin::Origin;
use super::pop::{Pop, request, site_at, trust};
use super::{Certificates, wait_until};

/// The description of a broken origin. The methods that begin with `cured` run the scene.
pub struct Broken {
    listen: String,
    site: String,
    subject: &'static str,
    names: Names,
    answer: Answer,
    asks: Box<dyn Fn(&Pop) -> Response>,
    /// Server and address of the ledger's row.
    row: (String, Option<String>),
    cause: Option<(&'static str, &'static str)>,
    facts: Box<dyn Fn(&FailureExample)>,
    step: Step,
    outcome: Outcome,
    error: &'static str,
    what: Vec<String>,
    evidence: Vec<String>,
    fix: Vec<String>,
    moves: bool,
    is_primed: bool,
}

/// What a client gets.
enum Answer {
    /// A page of ours: status, type, phase.
    Page(u16, &'static str, &'static str),
    /// A whole answer that has a status and no `Proxy-Status`.
    Plain(u16),
    /// 200 and a body that is cut; the origin waits at the gate until the client has the head.
    Cut(Gate),
}

impl Broken {
    /// The site `a.test` with this server and further lines in `[site.origin]`.
    pub fn at(server: &str, lines: &str) -> Broken {
        Broken {
            listen: "http = \"127.0.0.1:0\"".into(),
            site: site_at("a.test", server, "", lines),
            subject: "a.test",
            names: Names::by(|name| panic!("nobody should ask for {name}")),
            answer: Answer::Plain(200),
            asks: Box::new(|pop| pop.get("/")),
            row: (server.to_owned(), Some(server.to_owned())),
            cause: None,
            facts: Box::new(|_| ()),
            step: Step::Configuration,
            outcome: Outcome::Broken,
            error: "",
            what: Vec::new(),
            evidence: Vec::new(),
            fix: Vec::new(),
            moves: false,
            is_primed: false,
        }
    }

    /// The same with this origin as its server.
    pub fn before(origin: &Origin, lines: &str) -> Broken {
        Broken::at(&origin.address().to_string(), lines)
    }

    /// The same over HTTPS, trusting the CA.
    pub fn https(origin: &Origin, certificates: &Certificates, lines: &str) -> Broken {
        Broken::before(origin, &format!("protocol = \"https\"\n{}{lines}\n", trust(certificates)))
    }

    /// Names are looked up by this function.
    pub fn names(self, names: Names) -> Broken {
        Broken { names, ..self }
    }

    /// The whole file but `[listen]`, in the place of the usual one.
    pub fn file(self, listen: &str, site: String) -> Broken {
        Broken { listen: listen.into(), site, ..self }
    }

    /// What the doctor is asked about.
    pub fn subject(self, subject: &'static str) -> Broken {
        Broken { subject, ..self }
    }

    /// Clients get a page with this status, type and phase; the ledger's row has the same type and phase.
    pub fn page(self, status: u16, error: &'static str, phase: &'static str) -> Broken {
        Broken { answer: Answer::Page(status, error, phase), cause: Some((error, phase)), error, ..self }
    }

    /// Clients get the origin's own answer, and the ledger nothing.
    pub fn passes(self, status: u16) -> Broken {
        Broken { answer: Answer::Plain(status), ..self }
    }

    /// Clients get a head, and then less of the body than was said; the ledger's row is of this type.
    pub fn cut(self, error: &'static str, gate: &Gate) -> Broken {
        Broken { answer: Answer::Cut(gate.clone()), cause: Some((error, "body")), error, ..self }
    }

    /// What the client asks, if not `GET /`.
    pub fn asks(self, asks: impl Fn(&Pop) -> Response + 'static) -> Broken {
        Broken { asks: Box::new(asks), ..self }
    }

    /// Server and address of the ledger's row, if they are not both the server as it is written.
    pub fn row(self, server: &str, address: Option<&str>) -> Broken {
        Broken { row: (server.into(), address.map(str::to_owned)), ..self }
    }

    /// Clients are served, and yet the ledger has a row of this type and phase.
    pub fn blames(self, error: &'static str, phase: &'static str) -> Broken {
        Broken { cause: Some((error, phase)), ..self }
    }

    /// What the ledger's example holds.
    pub fn facts(self, facts: impl Fn(&FailureExample) + 'static) -> Broken {
        Broken { facts: Box::new(facts), ..self }
    }

    /// The doctor's broken step, and parts of its sentence.
    pub fn finding(self, step: Step, what: &[&str]) -> Broken {
        Broken { step, what: owned(what), ..self }
    }

    /// The step is only a warning, for fetches succeed.
    pub fn warning(self, step: Step, what: &[&str]) -> Broken {
        Broken { outcome: Outcome::Doubtful, ..self.finding(step, what) }
    }

    /// Parts of the doctor's evidence.
    pub fn evidence(self, parts: &[&str]) -> Broken {
        Broken { evidence: owned(parts), ..self }
    }

    /// Parts of the doctor's first remedy: its words, and the lines to write.
    pub fn fix(self, parts: &[&str]) -> Broken {
        Broken { fix: owned(parts), ..self }
    }

    /// The remedy leads to another server or port, so what is told of the old one stays open.
    pub fn moves(self) -> Broken {
        Broken { moves: true, ..self }
    }

    /// A good fetch goes before the failure, perhaps in the same millisecond.
    pub fn primed(self) -> Broken {
        Broken { is_primed: true, ..self }
    }

    /// Cured by the doctor's first remedy; blanks that only an operator can fill are filled.
    #[track_caller]
    pub fn cured_by_fix(self, filled: &[(&str, &str)]) {
        self.run(Cure { fix: Some(0), filled, at_origin: Box::new(|| ()), is_only_there: false });
    }

    /// Cured by another of the doctor's remedies, from 1.
    #[track_caller]
    pub fn cured_by_alternative(self, number: usize, filled: &[(&str, &str)]) {
        self.run(Cure { fix: Some(number), filled, at_origin: Box::new(|| ()), is_only_there: false });
    }

    /// Cured where only it can be: at the origin.
    #[track_caller]
    pub fn cured_at_origin(self, mend: impl FnOnce()) {
        self.run(Cure { fix: None, filled: &[], at_origin: Box::new(mend), is_only_there: true });
    }

    /// The same where the file could be changed as well.
    #[track_caller]
    pub fn cured_at_origin_instead(self, mend: impl FnOnce()) {
        self.run(Cure { fix: None, filled: &[], at_origin: Box::new(mend), is_only_there: false });
    }

    /// The doctor's first remedy is written, and the origin does its part.
    #[track_caller]
    pub fn cured_by_fix_and(self, mend: impl FnOnce()) {
        self.run(Cure { fix: Some(0), filled: &[], at_origin: Box::new(mend), is_only_there: true });
    }

    #[track_caller]
    fn run(self, cure: Cure<'_>) {
        let file = format!("[listen]\n{}\n{}", self.listen, self.site);
        let edge = self.names.start(parsed(&file)).unwrap_or_else(|error| panic!("{file}\n{error}"));
        let pop = Pop::running(edge);
        self.check_answer(&pop);
        self.check_ledger(&pop);
        let found = self.diagnosed(&file);
        self.check_finding(&found);
        let cured = self.apply(cure, &found);
        if cured != file {
            pop.edge().reload(parsed(&cured)).unwrap_or_else(|error| panic!("{cured}\n{error}"));
        }
        let mut answer = None;
        wait_until(|| {
            let response = (self.asks)(&pop);
            let is_good = response.status == 200;
            answer = Some(response);
            is_good || cured != file
        });
        assert_eq!(answer.map(|answer| (answer.status, answer.text())).unwrap().0, 200, "{cured}");
        let after = self.diagnosed(&cured);
        after.healthy();
        assert_eq!(self.warned(&after.report), None, "{}", after.report.text(false));
        if self.cause.is_some() && !self.moves {
            wait_until(|| pop.failures().iter().any(|row| self.is_row(row) && !row.is_open()));
        }
    }

    fn diagnosed(&self, file: &str) -> Diagnosed {
        let report = self.names.diagnose(&parsed(file), &Subject::parse(self.subject).unwrap(), &mut |_| ());
        Diagnosed { text: file.to_owned(), report }
    }

    #[track_caller]
    fn check_answer(&self, pop: &Pop) {
        match &self.answer {
            Answer::Page(status, error, phase) => {
                let response = (self.asks)(pop);
                let cause = response.field("proxy-status").unwrap_or_else(|| panic!("{response:?}"));
                let expected = format!("millpond; error={error}; phase={phase}");
                assert!(cause.starts_with(&expected), "expected {expected}, got {cause}");
                assert_eq!(response.status, *status, "{cause}");
                assert!(response.text().contains(error), "{}", response.text());
            }
            Answer::Plain(status) => {
                let response = (self.asks)(pop);
                assert_eq!((response.status, response.field("proxy-status")), (*status, None), "{}", response.text());
            }
            Answer::Cut(gate) => {
                let mut client = pop.client();
                client.send(request("GET", "/", &[]));
                assert_eq!(client.head_of("GET").status, 200);
                gate.open();
                assert!(client.rest().is_err(), "it is not passed for whole");
            }
        }
    }

    fn is_row(&self, row: &millpond::FailureRow) -> bool {
        let (server, address) = &self.row;
        row.server == *server && row.address.map(|it| it.to_string()) == *address
    }

    #[track_caller]
    fn check_ledger(&self, pop: &Pop) {
        let Some((cause, phase)) = self.cause else { return assert_eq!(pop.failures(), []) };
        wait_until(|| !pop.failures().is_empty());
        let rows = pop.failures();
        let row = rows.iter().find(|row| self.is_row(row)).unwrap_or_else(|| panic!("{:?}: {rows:#?}", self.row));
        assert_eq!(rows.len(), 1, "{rows:#?}");
        assert_eq!((row.site.as_str(), row.cause, row.phase, row.count), ("a.test", cause, phase, 1), "{row:#?}");
        assert!(row.is_open() || self.is_primed || matches!(self.answer, Answer::Plain(_)), "{row:#?}");
        let example = &row.example;
        assert!(example.request.len() == 32 && example.detail.len() > 20, "{row:#?}");
        (self.facts)(example);
    }

    #[track_caller]
    fn check_finding(&self, found: &Diagnosed) {
        let text = found.report.text(false);
        let finding = match self.outcome {
            Outcome::Broken => found.broken(self.step, self.error).clone(),
            _ => {
                found.healthy();
                let of_step = found.report.all().map(|(_, check)| check).filter(|check| check.step == self.step);
                let mut doubts = of_step.filter(|check| check.outcome == Outcome::Doubtful);
                doubts.find_map(|check| check.finding.clone()).unwrap_or_else(|| panic!("no warning\n{text}"))
            }
        };
        let fix = finding.fix.to_string();
        let evidence = finding.evidence.join("\n");
        for (parts, told) in [(&self.what, &finding.what), (&self.evidence, &evidence), (&self.fix, &fix)] {
            assert!(!told.is_empty() || parts.is_empty(), "{text}");
            for part in parts {
                assert!(told.contains(part), "{part:?} is not in {told:?}\n{text}");
            }
        }
        assert!(!self.what.is_empty() && !self.fix.is_empty(), "a scene says what it expects");
    }

    /// The warning that this scene is about, if the report has it.
    fn warned(&self, report: &Report) -> Option<String> {
        let mut all = report.all().filter_map(|(_, check)| check.finding.as_ref());
        all.find(|finding| self.what.iter().all(|part| finding.what.contains(part))).map(|it| it.what.clone())
    }

    #[track_caller]
    fn apply(&self, cure: Cure<'_>, found: &Diagnosed) -> String {
        let checks = found.report.all().map(|(_, check)| check);
        let finding = checks.filter(|check| check.step == self.step).find_map(|check| check.finding.as_ref()).unwrap();
        let text = match cure.fix {
            None => {
                let is_named = !finding.fix.changes.is_empty();
                assert!(!is_named || !cure.is_only_there, "the file would mend it too: {}", finding.fix);
                found.text.clone()
            }
            Some(0) => found.with(&finding.fix, cure.filled),
            Some(number) => found.with(&finding.alternatives[number - 1], cure.filled),
        };
        (cure.at_origin)();
        text
    }
}

/// How the fault is mended.
struct Cure<'a> {
    /// The doctor's first remedy, 0, or another one.
    fix: Option<usize>,
    filled: &'a [(&'a str, &'a str)],
    at_origin: Box<dyn FnOnce() + 'a>,
    /// The doctor names no line of the file.
    is_only_there: bool,
}

#[track_caller]
fn parsed(file: &str) -> Config {
    Config::parse(file, "scene.toml".as_ref()).unwrap_or_else(|problems| panic!("{file}\n{problems:?}"))
}

fn owned(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

/// Names that a test answers for, and may change its mind about: a number for each state of the world.
pub struct Changing(Arc<std::sync::atomic::AtomicUsize>);

impl Changing {
    pub fn new() -> Changing {
        Changing(Arc::default())
    }

    /// From now on it is so.
    pub fn next(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }

    /// Is it so?
    pub fn look(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let state = Arc::clone(&self.0);
        move || state.load(std::sync::atomic::Ordering::SeqCst) > 0
    }
}
