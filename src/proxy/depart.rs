//! Off to the origin: joining or leading a flight, coming back from one empty-handed, and refreshing behind an answer.

use std::sync::Arc;

use super::Proxy;
use super::answer::Ask;
use super::decide::{Decision, decide};
use super::error_page::Form;
use super::exchange::{Desk, Exchange};
use super::fetch::{Fetch, Goal};
use super::landing::{Arrived, Landing, Trip, own_failure};
use super::negative::standing;
use super::parts::{self, Assembled};
use super::request::Request;
use super::route::{NOT_CACHED, own};
use crate::cache::{Flights, Role, Ticket};
use crate::config::Site;
use crate::http1::Present;
use crate::observe::{Counter, FetchTimes};
use crate::policy::Why;
use crate::server::Step;
use crate::status::{CacheStatus, Forward, Phase, ProxyError};
use crate::store::{Reader, StoredResponse};

/// Joins or leads a flight, and has a fetcher take off where one is needed.
pub fn depart(desk: &mut Desk<'_>, mut exchange: Exchange, goal: Goal) -> Step<Proxy> {
    if let Some(failure) = exchange.failed_before(desk, &goal) {
        return Step::Answer(exchange.fail_again(desk, &goal, &failure));
    }
    let role = match (&exchange.key, &goal) {
        (Some(key), Goal::Store | Goal::Validate(_)) => desk.core.cache.join(key, &*exchange.request, desk.now),
        (Some(key), Goal::Slice(slice)) => slice.join(desk.core, key, desk.now),
        _ => alone(),
    };
    match role {
        Role::Follow(waiting) => {
            exchange.waiting = Some(waiting);
            exchange.is_lead = false;
            let until = exchange.until;
            Step::Await(exchange, until)
        }
        Role::Lead(ticket, waiting) => {
            exchange.waiting = Some(waiting);
            exchange.is_lead = true;
            lead(desk, exchange, goal, ticket)
        }
        Role::Apart => {
            let Role::Lead(ticket, waiting) = alone() else { return depart(desk, exchange, Goal::Apart) };
            exchange.waiting = Some(waiting);
            exchange.is_lead = true;
            let goal = if let Goal::Store = goal { apart(&exchange.request) } else { goal };
            take_off(desk, exchange, goal, ticket)
        }
    }
}

/// Off to a fetch that nobody else waits for.
pub fn on_its_own(desk: &mut Desk<'_>, mut exchange: Exchange) -> Step<Proxy> {
    exchange.key = None;
    let goal = apart(&exchange.request);
    depart(desk, exchange, goal)
}

/// A range is passed where the key is not coalesced: the whole, however often it were fetched, would not stay.
fn apart(request: &Request) -> Goal {
    if request.present.has_any(Present::RANGE) { Goal::Pass } else { Goal::Apart }
}

fn alone() -> Role<Landing> {
    let (ticket, waiting) = Flights::alone();
    Role::Lead(ticket, waiting)
}

/// A new lead looks once more: the flight before may have landed between its own look and now (decisions 14).
fn lead(desk: &mut Desk<'_>, mut exchange: Exchange, goal: Goal, ticket: Ticket<Landing>) -> Step<Proxy> {
    let goal = match (&exchange.key, goal) {
        (Some(_), goal @ (Goal::Store | Goal::Validate(_) | Goal::Slice(_))) => {
            match decide(
                desk.core,
                &Ask::of_request(&exchange.request),
                exchange.key.as_deref(),
                &exchange.site,
                desk.now,
            ) {
                Decision::Serve(response, reader, status, _) => {
                    ticket.land(Landing::Again, Landing::Again);
                    return serve(desk, exchange, response, reader, status);
                }
                Decision::ServeAndRefresh(response, status) => {
                    ticket.land(Landing::Again, Landing::Again);
                    return serve(desk, exchange, response, None, status);
                }
                Decision::ServeParts(parts, status) => {
                    ticket.land(Landing::Again, Landing::Again);
                    return serve_parts(desk, exchange, *parts, status);
                }
                Decision::Fetch(now, forward, reason)
                    if goal.knows_less_than(&now) && exchange.returns < MOST_RETURNS =>
                {
                    // Somebody who knew it already may fetch this very slice: that flight is another.
                    ticket.land(Landing::Again, Landing::Again);
                    exchange.returns += 1;
                    (exchange.forward, exchange.reason) = (forward, reason);
                    return depart(desk, exchange, now);
                }
                Decision::Fetch(now, ..) => goal.or(now),
                Decision::NotCached => goal,
            }
        }
        (_, goal) => goal,
    };
    take_off(desk, exchange, goal, ticket)
}

fn take_off(desk: &mut Desk<'_>, exchange: Exchange, goal: Goal, ticket: Ticket<Landing>) -> Step<Proxy> {
    let fetch = Fetch {
        core: desk.core.clone(),
        site: exchange.site.clone(),
        request: exchange.request.clone(),
        key: exchange.key.clone(),
        goal,
        forward: exchange.forward,
        ticket: Some(ticket),
        is_second: exchange.returns > 0,
        purge_number: 0,
        is_background: desk.local.is_visitor(),
    };
    let Err(stale) = fetch.submit() else {
        let until = exchange.until;
        return Step::Await(exchange, until);
    };
    if !desk.local.is_visitor() {
        desk.local.metrics.block(desk.local.worker).add(Counter::QueueFull, 1);
    }
    match stale {
        Some(arrived) => Step::Answer(exchange.answer(desk, *arrived)),
        None => {
            let error = own_failure(ProxyError::ConnectionLimitReached, Phase::Queue, QUEUE_FULL);
            if !desk.local.is_visitor() {
                desk.core.blame(&exchange.site, &exchange.request, &error, FetchTimes::default());
            }
            Step::Answer(exchange.fail(desk, &error, &Trip::default()))
        }
    }
}

/// The flight brought nothing for this one: back to the store.
pub fn again(desk: &mut Desk<'_>, mut exchange: Exchange) -> Step<Proxy> {
    exchange.returns += 1;
    if exchange.returns > MOST_RETURNS {
        return on_its_own(desk, exchange);
    }
    let request = exchange.request.clone();
    match decide(desk.core, &Ask::of_request(&request), exchange.key.as_deref(), &exchange.site, desk.now) {
        Decision::Serve(response, reader, status, _) => {
            serve(desk, exchange, response, reader, CacheStatus { collapsed: true, ..status })
        }
        Decision::ServeAndRefresh(response, status) => {
            serve(desk, exchange, response, None, CacheStatus { collapsed: true, ..status })
        }
        Decision::ServeParts(parts, status) => {
            serve_parts(desk, exchange, *parts, CacheStatus { collapsed: true, ..status })
        }
        Decision::NotCached => {
            let note = exchange.into_note(desk.local);
            Step::Answer(own(desk.out, note, Form::of(request.field("accept")), NOT_CACHED, desk.now))
        }
        Decision::Fetch(goal, forward, reason) => {
            exchange.forward = forward;
            exchange.reason = reason;
            depart(desk, exchange, goal)
        }
    }
}

fn serve(
    desk: &mut Desk<'_>,
    exchange: Exchange,
    response: Arc<StoredResponse>,
    reader: Option<Reader>,
    status: CacheStatus,
) -> Step<Proxy> {
    let arrived = Arrived { response, reader, status, fault: None, trip: Trip::default() };
    Step::Answer(exchange.answer(desk, arrived))
}

fn serve_parts(desk: &mut Desk<'_>, exchange: Exchange, parts: Assembled, status: CacheStatus) -> Step<Proxy> {
    let arrived = Arrived { response: parts.response(), reader: None, status, fault: None, trip: Trip::default() };
    parts::answer(desk, exchange, parts, arrived)
}

/// Has a stale response validated while it is served (RFC 5861 §3); one fetch a key. The key is in `local.key`.
pub fn refresh(desk: &Desk<'_>, site: &Arc<Site>, request: Arc<Request>, goal: Goal) {
    let key = desk.local.key.as_slice();
    if standing(desk.core, site, key, desk.now).is_some() {
        return;
    }
    let role = match &goal {
        Goal::Slice(slice) => slice.join(desk.core, key, desk.now),
        _ => desk.core.cache.join(key, &*request, desk.now),
    };
    if let Role::Lead(ticket, _) = role {
        if !is_to_refresh(desk, site, &request) {
            return ticket.land(Landing::Again, Landing::Again);
        }
        let fetch = Fetch {
            core: desk.core.clone(),
            site: site.clone(),
            request,
            key: Some(key.into()),
            goal,
            forward: Forward::Stale,
            ticket: Some(ticket),
            is_second: false,
            purge_number: 0,
            is_background: true,
        };
        // A queue without room only means that the response stays stale a little longer.
        let _ = fetch.submit();
    }
}

/// A new lead looks once more here too: the flight before may have freshened what was stale a moment ago (decisions 14).
fn is_to_refresh(desk: &Desk<'_>, site: &Arc<Site>, request: &Request) -> bool {
    match decide(desk.core, &Ask::of_request(request), Some(desk.local.key.as_slice()), site, desk.now) {
        Decision::Serve(..) | Decision::NotCached => false,
        Decision::ServeParts(_, status) => status.detail == Some(Why::StaleWhileRevalidate.word()),
        Decision::ServeAndRefresh(..) | Decision::Fetch(..) => true,
    }
}

const MOST_RETURNS: u8 = 3;
const QUEUE_FULL: &str = "the site has as many fetches running and waiting as it may (max_fetches, fetch_queue)";
