//! The operator's door: API, console and metrics on a listener of their own.
//!
//! Closed by default: but for the console's own files and two words on health, nothing is answered without the token or a
//! session begun with it. What blocks is done by a few threads of the door's own ([`jobs`]); its worker only answers. What
//! can be asked stands in [`api`], one file a subject; the rest of the house is reached through [`Control`].

mod access;
mod api;
mod console;
mod control;
mod jobs;
mod metrics;
mod prometheus;
mod rehearsal;
mod reply;
mod request;
mod stream;
mod tree;

use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use access::{Access, random_text};
pub use api::MOST_BODY;
pub use control::{Asked, CertificateRow, Changes, Control, Refused, Told, Unexplained};

use access::{Credentials, Denied};
use api::{Endpoint, Work};
use jobs::{Jobs, Pending};
use rehearsal::Rehearsals;
use reply::Reply;
use request::Request;

use crate::http1::RequestHead;
use crate::observe::Counter;
use crate::proxy::{Proxy, reason};
use crate::server::{Answer, Call, Clock, Delivery, Event, Handler, Peer, Refusal, Step, Uploaded};
use crate::settings::Settings;
use crate::time::Now;
use crate::wake::Wake;

/// The door.
pub struct Admin {
    desk: Arc<Desk>,
    jobs: Jobs,
}

/// What endpoints work with, on whichever thread.
pub struct Desk {
    control: Arc<dyn Control>,
    access: Access,
    clock: Clock,
    started: Now,
    /// Diagnoses under way.
    diagnoses: AtomicUsize,
    /// What the last look at all that is stored has found, and when that was (monotonic).
    survey: Mutex<Option<(Duration, serde_json::Value)>>,
    /// The configuration file, if there is one.
    settings: Option<Settings>,
    rehearsals: Rehearsals,
}

/// A request that waits: for its body, or for a job.
pub enum Exchange {
    /// For its body.
    Body(Endpoint, Box<Request>),
    /// For a job; `true` where it is HEAD that asks.
    Job(Pending, bool),
}

impl Admin {
    /// A door to what `control` offers, with that lock and, where there is one, that configuration file.
    pub fn new(control: Arc<dyn Control>, access: Access, settings: Option<Settings>, clock: Clock) -> Admin {
        let desk = Desk {
            control,
            access,
            clock,
            started: clock.now(),
            diagnoses: AtomicUsize::new(0),
            survey: Mutex::default(),
            settings,
            rehearsals: Rehearsals::default(),
        };
        Admin { desk: Arc::new(desk), jobs: Jobs::new(clock) }
    }

    /// Begins no more work, and waits at most `limit` for what is under way.
    pub fn close(&self, limit: Duration) {
        self.jobs.shutdown(limit);
    }

    /// Jobs that panicked; that was contained.
    pub fn panics(&self) -> u64 {
        self.jobs.panics()
    }

    /// The endpoint and what it is asked, once the request may come in.
    fn route(&self, head: &RequestHead<'_, '_>, peer: &Peer, now: Now) -> Result<(Endpoint, Request), Reply> {
        if !self.desk.answers_to(head.host()) {
            let detail = "the door is asked under a name that is not its own; add it to hosts under [admin]";
            return Err(Reply::problem(421, "Unknown host", detail));
        }
        let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
        let mut request = Request::new(head, peer, now);
        let found = Endpoint::find(head.method, path);
        let shown = Credentials {
            authorization: head.field("authorization"),
            cookie: head.field("cookie"),
            origin: head.field("origin"),
            fetch_site: head.field("sec-fetch-site"),
            authority: head.authority,
            is_safe: matches!(head.method, "GET" | "HEAD"),
            peer: peer.address.ip(),
        };
        // Who may not come in learns nothing of what there is.
        let admitted = match found.as_ref().is_ok_and(|(endpoint, _)| endpoint.is_open()) {
            true => access::admit_anyone(&shown),
            false => self.desk.access.admit(&shown, now),
        };
        admitted.map_err(|denied| turned_away(denied, peer.is_https))?;
        let (endpoint, parameters) = found?;
        request.parameters = parameters;
        request.read_query(query, endpoint.query())?;
        Ok((endpoint, request))
    }

    /// Has the endpoint do its work, here or on a thread of its own.
    fn go(&self, call: Call<'_, ()>, endpoint: Endpoint, mut request: Request, is_head: bool) -> Step<Admin> {
        let reply = match endpoint.work() {
            Work::Now(answer) => answer(&self.desk, &request).unwrap_or_else(|refusal| refusal),
            Work::Later(answer) => {
                let desk = self.desk.clone();
                let job = move |responder: jobs::Responder| {
                    request.audience = responder.audience();
                    responder.answer(answer(&desk, &request).unwrap_or_else(|refusal| refusal));
                };
                match self.jobs.submit(job) {
                    Ok(pending) => return Step::Await(Exchange::Job(pending, is_head), until(call.now)),
                    Err(refusal) => refusal,
                }
            }
            Work::Stream(answer) => {
                let desk = self.desk.clone();
                match self.jobs.submit(move |responder| answer(&desk, &request, responder)) {
                    Ok(pending) => return Step::Await(Exchange::Job(pending, is_head), until(call.now)),
                    Err(refusal) => refusal,
                }
            }
        };
        Step::Answer(answered(call.out, reply, is_head, call.now))
    }
}

impl Desk {
    /// The CDN behind the door.
    ///
    /// # Errors
    /// 503 once it stops.
    fn proxy(&self) -> Result<Arc<Proxy>, Reply> {
        self.control.proxy().ok_or_else(|| Reply::problem(503, "Stopping", "Millpond is stopping"))
    }

    /// Where unlinked temporary files are made.
    fn spill_dir(&self) -> PathBuf {
        self.control.proxy().map_or_else(std::env::temp_dir, |proxy| proxy.live().config.cache.temp_dir.clone())
    }

    /// May the door be asked under this name? Any other could be a stranger's page whose name has been pointed here.
    fn answers_to(&self, host: &str) -> bool {
        access::is_plain_host(host)
            || self.control.proxy().is_some_and(|proxy| {
                let live = proxy.live();
                live.config
                    .admin
                    .as_ref()
                    .is_some_and(|door| door.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)))
            })
    }
}

/// What a request gets that may not come in.
fn turned_away(denied: Denied, is_https: bool) -> Reply {
    let challenge = |reply: Reply| reply.with("WWW-Authenticate", "Bearer realm=\"millpond\"");
    match denied {
        Denied::NoCredentials => {
            challenge(Reply::problem(401, "Not signed in", "send Authorization: Bearer and the token, or sign in"))
        }
        Denied::WrongToken => {
            challenge(Reply::problem(401, "Not signed in", "the token is wrong; it is in the state directory"))
        }
        Denied::NoSession => {
            let reply = Reply::problem(401, "Not signed in", "the session is over; sign in again");
            challenge(reply).with("Set-Cookie", access::set_cookie(None, is_https))
        }
        Denied::TooManyAttempts(wait) => {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            let detail = format!(
                "too many different wrong tokens from this address: until {seconds} s have passed, none is looked at, the \
                 right one neither; then one may be tried every six seconds"
            );
            Reply::problem(429, "Too many attempts", &detail).with("Retry-After", seconds.to_string())
        }
        Denied::CrossSite => {
            let detail = "a change must come from the console's own page, or with the token in Authorization";
            Reply::problem(403, "Cross-site request", detail)
        }
    }
}

fn answered(out: &mut Vec<u8>, reply: Reply, is_head: bool, now: Now) -> Answer<Admin> {
    let payload = reply.write(out, is_head, now);
    Answer { payload, close: false, note: () }
}

fn until(now: Now) -> Duration {
    now.monotonic.saturating_add(LONGEST_JOB)
}

impl Handler for Admin {
    type Local = ();
    type Exchange = Exchange;
    type Note = ();

    fn local(&self, _: usize) {}

    fn begin(&self, call: Call<'_, ()>, head: &RequestHead<'_, '_>) -> Step<Admin> {
        let is_head = head.method == "HEAD";
        let has_body = !head.body.is_empty();
        match self.route(head, call.peer, call.now) {
            Ok((endpoint, request)) => match endpoint.most_body() {
                Some(most) if has_body => Step::Upload(Exchange::Body(endpoint, Box::new(request)), most),
                None if has_body => {
                    let reply = Reply::bad("this takes no request body");
                    Step::Answer(Answer { close: true, ..answered(call.out, reply, is_head, call.now) })
                }
                _ => self.go(call, endpoint, request, is_head),
            },
            Err(reply) => Step::Answer(Answer { close: has_body, ..answered(call.out, reply, is_head, call.now) }),
        }
    }

    fn uploaded(&self, call: Call<'_, ()>, exchange: Exchange, body: Uploaded) -> Step<Admin> {
        let reply = match exchange {
            Exchange::Body(endpoint, mut request) => {
                // In memory: the door's limits let no body go to a file.
                match std::io::Read::read_to_end(&mut body.reader(), &mut request.body) {
                    Ok(_) => return self.go(call, endpoint, *request, false),
                    Err(error) => Reply::problem(500, "Request body lost", &error.to_string()),
                }
            }
            Exchange::Job(..) => out_of_turn(),
        };
        Step::Answer(answered(call.out, reply, false, call.now))
    }

    fn resume(&self, call: Call<'_, ()>, exchange: Exchange, wake: &Wake) -> Step<Admin> {
        let Exchange::Job(pending, is_head) = exchange else {
            return Step::Answer(answered(call.out, out_of_turn(), false, call.now));
        };
        match pending.poll(wake) {
            Some(reply) => Step::Answer(answered(call.out, reply, is_head, call.now)),
            None => Step::Await(Exchange::Job(pending, is_head), until(call.now)),
        }
    }

    fn refuse(&self, call: Call<'_, ()>, _: Option<Exchange>, refusal: Refusal) -> Answer<Admin> {
        let detail = if refusal.status == 504 { "the work took too long; it may go on" } else { refusal.reason };
        let reply = Reply::problem(refusal.status, reason(refusal.status), detail);
        Answer { close: true, ..answered(call.out, reply, false, call.now) }
    }

    fn finish(&self, _: &mut (), _: Now, (): (), _: Delivery) {}

    fn half_closed(&self, exchange: &Exchange) {
        if let Exchange::Job(pending, _) = exchange {
            pending.half_close();
        }
    }

    fn abandoned(&self, _: &mut (), _: Now, _: Exchange) {}

    fn count(&self, _: &mut (), event: Event) {
        if let (Event::Panicked, Some(proxy)) = (event, self.desk.control.proxy()) {
            proxy.metrics().add(Counter::Panics, 1);
        }
    }

    fn tick(&self, _: &mut (), _: Now) {}
}

fn out_of_turn() -> Reply {
    Reply::problem(500, "Out of turn", "nothing was waited for")
}

/// The longest that a client waits for a job's first word.
const LONGEST_JOB: Duration = Duration::from_secs(120);
