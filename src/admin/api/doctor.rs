//! The doctor, live: its steps go out as they end.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::super::Desk;
use super::super::jobs::Responder;
use super::super::stream::Lines;
use super::{Reply, Request, Row};
use crate::config::Config;
use crate::doctor::{self, Progress, Subject, diagnose_while};
use crate::origin::{Origins, Resolver};
use crate::proxy::Live;

/// Endpoint by endpoint.
pub static ROWS: &[Row] = &[Row::post("/api/v1/doctor", |_, _| Err(Reply::bad("it is streamed"))).streamed(doctor)];

/// What is to be looked at, under whose settings.
enum Patient {
    /// A name of the configuration in force.
    Site(Arc<Live>, Subject),
    /// A server, as if a file named it, and how it may be reached.
    Server(Box<Config>, Subject, Box<Origins>),
}

fn doctor(desk: &Desk, request: &Request, responder: Responder) {
    let patient = match patient(desk, request) {
        Ok(patient) => patient,
        Err(refusal) => return responder.answer(refusal),
    };
    let Some(_turn) = Turn::take(&desk.diagnoses) else {
        let detail = "as many diagnoses as may be are under way already; try again in a moment";
        return responder.answer(Reply::problem(503, "Busy", detail).with("Retry-After", "10"));
    };
    let (mut lines, reply) = Lines::open(desk.spill_dir());
    responder.answer(reply);
    let mut tell = |progress: Progress<'_>| {
        let is_heard = lines.push(&match progress {
            Progress::Checking { server, step } => {
                let place = if server.is_empty() { String::new() } else { format!(" of {server}") };
                json!({ "event": "checking", "text": format!("{}{place}", step.name()) }).to_string()
            }
            Progress::Checked { server, check } => {
                let event = json!({ "event": "check", "server": server });
                with_member(&event.to_string(), "check", &check.json())
            }
            Progress::Shown { .. } => return ControlFlow::Continue(()),
        });
        // Who has left wants no more of it, and its place is another's.
        if is_heard { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let report = match &patient {
        Patient::Site(live, subject) => {
            diagnose_while(&doctor::origins(&live.config, Resolver::system()), &live.config, subject, &mut tell)
        }
        Patient::Server(config, subject, origins) => diagnose_while(origins, config, subject, &mut tell),
    };
    lines.push(&with_member("{\"event\":\"report\"}", "report", &report.json()));
    lines.finish();
}

/// The object with one more member, whose value is JSON already.
fn with_member(object: &str, name: &str, value: &str) -> String {
    format!("{},\"{name}\":{value}}}", object.strip_suffix('}').unwrap_or(object))
}

fn patient(desk: &Desk, request: &Request) -> Result<Patient, Reply> {
    let members = request.json(&["target", "origin", "sni", "host"])?;
    let (target, origin) = (members.text_if("target")?, members.text_if("origin")?);
    let (sni, host) = (members.text_if("sni")?, members.text_if("host")?);
    let live = desk.proxy()?.live();
    match (target, origin) {
        (Some(target), None) if sni.is_none() && host.is_none() => {
            Ok(Patient::Site(live, Subject::parse(target).map_err(|what| Reply::missing(&what))?))
        }
        (None, Some(url)) => {
            let config = Config::for_server(url, host, sni).map_err(|problem| Reply::unfit(&problem.to_string()))?;
            // Whoever asks here stands elsewhere than this machine: private addresses that no site has are not for them,
            // unless the file says so (decisions 3).
            let origins = match live.config.admin.as_ref().is_some_and(|door| door.any_target) {
                true => doctor::origins(&live.config, Resolver::system()),
                false => doctor::origins_for_outsiders(&live.config, Resolver::system()),
            };
            let name = config.sites.first().and_then(|site| site.origin.host.clone()).unwrap_or_default();
            let subject = Subject::parse(&name).map_err(|what| Reply::unfit(&what))?;
            Ok(Patient::Server(Box::new(config), subject, Box::new(origins)))
        }
        _ => Err(Reply::unfit("give either target, a domain or URL of a site; or origin, and with it sni and host")),
    }
}

/// One of the few diagnoses that may run at once.
struct Turn<'a>(&'a AtomicUsize);

impl<'a> Turn<'a> {
    fn take(running: &'a AtomicUsize) -> Option<Turn<'a>> {
        let turn = Turn(running);
        // The drop of a turn that was not granted takes it back.
        (running.fetch_add(1, Ordering::AcqRel) < MOST_DIAGNOSES).then_some(turn)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Fewer than the door has threads.
const MOST_DIAGNOSES: usize = 4;
