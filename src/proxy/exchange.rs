//! One exchange on a worker: route, look up, decide; later, when a flight has landed, answer. Nothing here waits.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{self, Ask};
use super::decide::{Decision, decide};
use super::depart::{again, depart, on_its_own, refresh};
use super::error_page::Form;
use super::fetch::Goal;
use super::fields::hops_left;
use super::landing::{Landing, Trip, own_failure};
use super::note::{Line, Note};
use super::parts::{self, Assembled, Courier};
use super::request::Request;
use super::route::{LOOP, NO_HOST, NOT_CACHED, key_of, options, own, refused_method, route, to_https, values};
use super::site_rules::{past_cache, show_key, wants_stored_only};
use super::{Core, Local, Proxy};
use crate::cache::{Poll, Waiting};
use crate::config::Site;
use crate::http1::{Present, RequestHead};
use crate::observe::CacheResult;
use crate::policy::Why;
use crate::server::{Answer, Call, Peer, Refusal, Step, Uploaded};
use crate::status::{CacheStatus, Forward, Phase, ProxyError};
use crate::time::Now;
use crate::wake::Wake;

/// An exchange that waits: for its request body, then for a flight.
pub struct Exchange {
    pub(super) site: Arc<Site>,
    pub(super) request: Arc<Request>,
    /// The cache key, where the answer may be shared.
    pub(super) key: Option<Box<[u8]>>,
    pub(super) waiting: Option<Waiting<Landing>>,
    pub(super) is_lead: bool,
    pub(super) forward: Forward,
    pub(super) reason: &'static str,
    pub(super) until: Duration,
    /// Flights that sent it back to look again.
    pub(super) returns: u8,
}

/// Where a worker decides: what is shared, what is its own, and the answer it writes.
pub struct Desk<'a> {
    pub core: &'a Arc<Core>,
    pub local: &'a mut Local,
    pub peer: &'a Peer,
    pub now: Now,
    pub out: &'a mut Vec<u8>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(core: &'a Arc<Core>, call: Call<'a, Local>) -> Desk<'a> {
        Desk { core, local: call.local, peer: call.peer, now: call.now, out: call.out }
    }
}

/// Decides on a request whose head lies in the worker's buffer.
pub fn begin(core: &Arc<Core>, call: Call<'_, Local>, head: &RequestHead<'_, '_>) -> Step<Proxy> {
    let mut desk = Desk::new(core, call);
    let mut note = Note::new(desk.local.next_id(core.number), desk.peer, desk.now);
    note.line = Line::of_head(desk.local, head);
    let site = match admit(&mut desk, &mut note, head) {
        Ok(site) => site,
        Err(Turned::Away(refusal)) => {
            return Step::Answer(own(desk.out, note, Form::of(head.field("accept")), refusal, desk.now));
        }
        Err(Turned::Options) => return Step::Answer(options(desk.out, note)),
        Err(Turned::ToHttps) => return Step::Answer(to_https(desk.out, note, head)),
    };
    let has_body = !head.body.is_empty();
    let is_cacheable = matches!(head.method, "GET" | "HEAD") && !has_body && head.target != "*";
    if is_cacheable {
        key_of(&mut desk.local.key, &site, &desk.local.host, &head.target, desk.peer.is_https);
    }
    let ask = Ask::of_head(head).of_site(&site);
    let (response, reader, status, result) = match first_decision(&mut desk, &ask, &head.target, &site, is_cacheable) {
        Decision::Serve(response, reader, status, result) => (response, reader, status, result),
        Decision::ServeAndRefresh(response, status) => {
            let request = Request::copy(head, &desk.local.host, desk.peer, note.id, desk.now.monotonic);
            refresh(&desk, &site, Arc::new(request.into_get()), Goal::Validate(response.clone()));
            (response, None, status, CacheResult::Stale)
        }
        Decision::ServeParts(parts, status) => return serve_parts(&mut desk, note, &site, head, *parts, &status),
        Decision::NotCached => {
            note.site = Some(site);
            return Step::Answer(own(desk.out, note, Form::of(head.field("accept")), NOT_CACHED, desk.now));
        }
        Decision::Fetch(goal, forward, reason) => {
            let exchange = Exchange::new(&mut desk, note, site, head, &goal, (forward, reason));
            return match has_body {
                true => upload(&desk, exchange),
                false => depart(&mut desk, exchange, goal),
            };
        }
    };
    response.mark.note_hit(desk.local.chance());
    let (code, payload) = answer::from_response(desk.out, &ask, &response, reader, &status, desk.now);
    show_key(desk.out, &site, desk.peer, &desk.local.key);
    note.site = Some(site);
    note.status = code;
    note.cache = result;
    note.reason = status.detail.unwrap_or("");
    Step::Answer(Answer { payload, close: false, note })
}

/// Answers from stored parts; those that are still to be fetched need the request after its buffer is gone.
fn serve_parts(
    desk: &mut Desk<'_>,
    mut note: Note,
    site: &Arc<Site>,
    head: &RequestHead<'_, '_>,
    parts: Assembled,
    status: &CacheStatus,
) -> Step<Proxy> {
    let (core, local, peer, now) = (desk.core, &desk.local, desk.peer, desk.now);
    let request = || Request::copy(head, &local.host, peer, note.id, now.monotonic);
    let is_refreshed = status.detail == Some(Why::StaleWhileRevalidate.word());
    if let Some(goal) = is_refreshed.then(|| parts.to_confirm(core, site)).flatten() {
        refresh(desk, site, Arc::new(request().into_get()), goal);
    }
    let key = || local.key.clone().into_boxed_slice();
    let courier = || Courier { core: core.clone(), site: site.clone(), request: Arc::new(request()), key: key() };
    let (code, payload) = parts.write(desk.out, &Ask::of_head(head).of_site(site), status, now, courier);
    show_key(desk.out, site, peer, &desk.local.key);
    note.site = Some(site.clone());
    note.status = code;
    note.cache = if status.detail.is_some() { CacheResult::Stale } else { CacheResult::Hit };
    note.reason = status.detail.unwrap_or("");
    Step::Answer(Answer { payload, close: false, note })
}

/// The operator's rules come before the store.
pub(super) fn first_decision(
    desk: &mut Desk<'_>,
    ask: &Ask<'_>,
    target: &str,
    site: &Site,
    is_cacheable: bool,
) -> Decision {
    let key = is_cacheable.then_some(&mut desk.local.key);
    match past_cache(site, key, target, ask.fields) {
        Some(_) if is_cacheable && wants_stored_only(site, ask.fields) => Decision::NotCached,
        Some(why) => Decision::Fetch(Goal::Pass, Forward::Bypass, why.word()),
        None => decide(desk.core, ask, is_cacheable.then_some(&desk.local.key), site, desk.now),
    }
}

/// Why a request gets its answer before the cache is asked.
pub(super) enum Turned {
    Away(Refusal),
    Options,
    ToHttps,
}

/// The site of a request that may go on; the host is in `local.host` then.
pub(super) fn admit(desk: &mut Desk<'_>, note: &mut Note, head: &RequestHead<'_, '_>) -> Result<Arc<Site>, Turned> {
    if let Some(refusal) = refused_method(head) {
        return Err(Turned::Away(refusal));
    }
    if head.method == "OPTIONS" && head.target == "*" {
        return Err(Turned::Options);
    }
    desk.local.host.clear();
    desk.local.host.push_str(head.host());
    desk.local.host.make_ascii_lowercase();
    let site = route(&desk.local.live, &desk.local.host, desk.peer.sni.as_deref(), head.authority)
        .map_err(Turned::Away)?
        .clone();
    if head.present.has_any(Present::CDN_LOOP) && desk.core.identity.is_loop(values(head, "cdn-loop")) {
        note.site = Some(site);
        return Err(Turned::Away(LOOP));
    }
    if site.force_https && !desk.peer.is_https {
        note.site = Some(site);
        return Err(if head.host().is_empty() { Turned::Away(NO_HOST) } else { Turned::ToHttps });
    }
    if head.method == "OPTIONS" && hops_left(head.fields()) == Some(0) {
        note.site = Some(site);
        return Err(Turned::Options);
    }
    Ok(site)
}

/// The request body comes first, as much of it as the site takes.
fn upload(desk: &Desk<'_>, exchange: Exchange) -> Step<Proxy> {
    let limit = exchange.site.request_body.unwrap_or(desk.local.live.config.limits.request_body);
    Step::Upload(exchange, limit)
}

/// The request body is there: nothing with a body is served from the store, so off it goes.
pub fn uploaded(core: &Arc<Core>, call: Call<'_, Local>, mut exchange: Exchange, body: Uploaded) -> Step<Proxy> {
    let mut desk = Desk::new(core, call);
    // Nobody else holds the request before it departs.
    if let Some(request) = Arc::get_mut(&mut exchange.request) {
        request.body = Some(body);
    }
    exchange.until = wait_until(&exchange.site, desk.now);
    depart(&mut desk, exchange, Goal::Pass)
}

/// Looks whether the flight has landed, and answers.
pub fn resume(core: &Arc<Core>, call: Call<'_, Local>, mut exchange: Exchange, wake: &Wake) -> Step<Proxy> {
    let mut desk = Desk::new(core, call);
    loop {
        let landed = exchange.waiting.as_mut().map_or(Poll::Lost, |waiting| waiting.poll(wake));
        // Asked for after the poll, which left the wake: whatever is told from now on wakes, and nothing is told late.
        if let Some(waiting) = exchange.waiting.as_mut() {
            desk.out.append(&mut waiting.told());
        }
        let step = match landed {
            Poll::Pending => {
                let until = exchange.until;
                return Step::Await(exchange, until);
            }
            Poll::Landed(Landing::Response(arrived)) if exchange.fits(&arrived.response) => {
                Step::Answer(exchange.answer(&mut desk, arrived))
            }
            Poll::Landed(Landing::Slice(arrived, slice)) if exchange.fits(&arrived.response) => {
                parts::landed(&mut desk, exchange, arrived, slice)
            }
            Poll::Landed(Landing::Response(_) | Landing::Slice(..) | Landing::Again) => again(&mut desk, exchange),
            Poll::Landed(Landing::Apart) => on_its_own(&mut desk, exchange),
            Poll::Landed(Landing::Failed(error, trip)) => Step::Answer(exchange.fail(&mut desk, &error, &trip)),
            Poll::Lost => {
                let detail = "the fetch ended without an answer";
                let error = own_failure(ProxyError::ProxyInternalError, Phase::Queue, detail);
                Step::Answer(exchange.fail(&mut desk, &error, &Trip::default()))
            }
        };
        match step {
            // It waits for another flight now, which does not know its wake yet.
            Step::Await(departed, _) => exchange = departed,
            step => return step,
        }
    }
}

/// Answers what the server could not serve.
pub fn refuse(core: &Arc<Core>, call: Call<'_, Local>, exchange: Option<Exchange>, refusal: Refusal) -> Answer<Proxy> {
    let mut desk = Desk::new(core, call);
    match exchange {
        Some(exchange) if refusal.status == 504 => {
            let error = own_failure(ProxyError::HttpResponseTimeout, Phase::ResponseHead, refusal.reason);
            exchange.fail(&mut desk, &error, &Trip::default())
        }
        Some(exchange) => {
            let form = Form::of(exchange.request.field("accept"));
            let mut note = exchange.into_note(desk.local);
            note.cache = CacheResult::Local;
            desk.local.metrics.block(desk.local.worker).refused(refusal.status);
            Answer { close: true, ..own(desk.out, note, form, refusal, desk.now) }
        }
        None => {
            let note = Note::new(desk.local.next_id(core.number), desk.peer, desk.now);
            desk.local.metrics.block(desk.local.worker).refused(refusal.status);
            Answer { close: true, ..own(desk.out, note, Form::Text, refusal, desk.now) }
        }
    }
}

impl Exchange {
    /// An exchange that will wait: the request is copied out of the worker's buffer.
    fn new(
        desk: &mut Desk<'_>,
        note: Note,
        site: Arc<Site>,
        head: &RequestHead<'_, '_>,
        goal: &Goal,
        (forward, reason): (Forward, &'static str),
    ) -> Exchange {
        desk.local.spare.extend(note.line);
        let request = Request::copy(head, &desk.local.host, desk.peer, note.id, desk.now.monotonic);
        let is_shared = matches!(goal, Goal::Store | Goal::Validate(_) | Goal::Part | Goal::Slice(_));
        Exchange {
            until: wait_until(&site, desk.now),
            site,
            request: Arc::new(request),
            key: is_shared.then(|| desk.local.key.clone().into_boxed_slice()),
            waiting: None,
            is_lead: false,
            forward,
            reason,
            returns: 0,
        }
    }
}

/// A session's wait ends a little after the fetch's own deadline, so that the cause comes from the fetch (decisions 12).
fn wait_until(site: &Site, now: Now) -> Duration {
    now.monotonic.saturating_add(site.origin.timeouts.head).saturating_add(WAIT_BEYOND)
}

const WAIT_BEYOND: Duration = Duration::from_secs(1);
