//! One fetch from its first name lookup to the response head: servers, addresses, connections, retries.
//!
//! The walk itself; each rule it follows is a pure one elsewhere (`choice`, `health`, `retry`, `error`), and how a
//! connection is had is told in `reach`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ureq::SendBody;

use super::answer::{Answer, Interim};
use super::body::{BodyLimits, Home, OriginBody, RATE_WINDOW};
use super::choice::{Candidates, Route};
use super::connection::Connection;
use super::error::{Cause, Failure, FetchError};
use super::idle::{Key, idle_age};
use super::request::{OriginRequest, Prepared, UploadReader};
use super::retry::{Retry, is_worth_another, retry};
use super::tls_hint::wants_tls;
use super::transport::{Exchange, ExchangeLimits};
use super::{Fetched, Origins, Report};
use crate::config::Site;
use crate::http1::BodyLength;
use crate::status::Phase;

/// One call of [`Origins::send`].
pub struct Walk<'a> {
    pub(super) origins: &'a Origins,
    pub(super) site: &'a Site,
    pub(super) request: &'a OriginRequest<'a>,
    pub(super) prepared: Prepared,
    interim: Option<Interim>,
    /// From resolving to the head, all attempts together.
    pub(super) deadline: Instant,
    /// Moves to another address or server that are still allowed.
    pub(super) moves: usize,
    pub(super) report: Report,
    /// The servers that may still be asked after the present one.
    pub(super) rest: Option<Candidates<'a>>,
    /// The first bytes of a head that was refused.
    head_start: Vec<u8>,
    /// An answer whose status is in `retry_on`: the best there is until another server has a better one.
    spare: Option<Box<Fetched>>,
    /// How many addresses the present server's name has.
    pub(super) addresses: usize,
    /// Attempts that failed at single addresses, while others of the same server were left.
    lost: Vec<FetchError>,
}

/// How one server ended the walk, or did not.
enum Stop {
    /// No other server can make it good.
    Final(Failure),
    /// Another may.
    MoveOn(Failure),
    /// The same, and its answer is kept for want of a better one.
    Answered,
}

/// What has become of a walk so far.
#[derive(Default)]
struct Course {
    /// A server was asked, or tried to.
    is_tried: bool,
    /// The servers that failed, each in its own words.
    failed: Vec<FetchError>,
}

impl Course {
    /// The failure of the last server, with the words of those before it.
    fn last(&mut self) -> Option<FetchError> {
        let mut last = self.failed.pop()?;
        for before in self.failed.iter().rev() {
            last.detail.push_str("; before that: ");
            last.detail.push_str(&before.detail);
        }
        Some(last)
    }
}

impl<'a> Walk<'a> {
    /// Checks the request and starts the clock.
    pub fn new(
        origins: &'a Origins,
        site: &'a Site,
        request: &'a OriginRequest<'a>,
        interim: Option<Interim>,
    ) -> Result<Walk<'a>, FetchError> {
        let refused = |cause| Failure::early(cause, Phase::SendRequest).into_error("");
        Ok(Walk {
            origins,
            site,
            request,
            prepared: Prepared::new(request).map_err(refused)?,
            interim,
            deadline: Instant::now() + site.origin.timeouts.head,
            moves: site.origin.retries,
            report: Report::default(),
            rest: None,
            head_start: Vec::new(),
            spare: None,
            addresses: 0,
            lost: Vec::new(),
        })
    }

    /// Goes from server to server until one answers. What failed on the way comes along, whatever the end.
    pub fn run(mut self) -> Result<Fetched, FetchError> {
        let mut course = Course::default();
        let end = self.go(&mut course);
        let mut lost = std::mem::take(&mut self.lost);
        lost.append(&mut course.failed);
        match end {
            Ok(fetched) => Ok(Fetched { lost, ..fetched }),
            Err(mut error) => {
                error.facts.earlier = lost;
                Err(error)
            }
        }
    }

    /// Those in good standing, then what is left.
    fn go(&mut self, course: &mut Course) -> Result<Fetched, FetchError> {
        let mut resting = Vec::new();
        let (site, request) = (self.site, self.request);
        let turn = self.origins.turn(site);
        let mut candidates = Candidates::new(&site.origin, request.host, request.client_is_https, turn);
        while let Some(route) = candidates.next() {
            match self.survey(&route) {
                Err(failure) => {
                    let error = self.error(failure, &route);
                    course.failed.push(error);
                }
                Ok(found) if found.good.is_empty() => resting.push((route, found.resting)),
                Ok(found) => {
                    self.rest = (site.origin.servers.len() > 1).then(|| candidates.clone());
                    if let Some(end) = self.visit(&route, found.good, course) {
                        return end;
                    }
                }
            }
        }
        if !course.is_tried && !resting.is_empty() {
            self.rest = None;
            let all_dead = |cause| Failure::early(cause, Phase::Connect).into_error("");
            for (route, addresses) in self.last_resort(resting).map_err(all_dead)? {
                if let Some(end) = self.visit(&route, addresses, course) {
                    return end;
                }
            }
        }
        if let Some(spare) = self.spare.take() {
            return Ok(*spare);
        }
        match course.last() {
            Some(error) => Err(error),
            None => Err(Failure::early(Cause::NoServer, Phase::Resolve).into_error("")),
        }
    }

    /// One server, if the fetch may still go there; `Some` is the end of the walk.
    fn visit(
        &mut self,
        route: &Route,
        addresses: Vec<SocketAddr>,
        course: &mut Course,
    ) -> Option<Result<Fetched, FetchError>> {
        if course.is_tried && !self.may_move() {
            return None;
        }
        course.is_tried = true;
        self.report.origin.clone_from(&route.label);
        let (failure, is_final) = match self.try_server(route, addresses) {
            Ok(fetched) => {
                if let Some(spare) = self.spare.take() {
                    spare.body.discard();
                }
                return Some(Ok(fetched));
            }
            Err(Stop::Answered) => return None,
            Err(Stop::Final(failure)) => (failure, true),
            Err(Stop::MoveOn(failure)) => (failure, false),
        };
        let error = self.error(failure, route);
        course.failed.push(error);
        if !is_final {
            return None;
        }
        // The answer of an earlier server, if there is one, beats the failure of this.
        let spare = self.spare.take().map(|spare| Ok(*spare));
        spare.or_else(|| course.last().map(Err))
    }

    /// Goes from address to address of one server.
    fn try_server(&mut self, route: &Route, mut addresses: Vec<SocketAddr>) -> Result<Fetched, Stop> {
        let mut is_fresh = false;
        loop {
            self.begin_attempt();
            let (failure, was_reused) = match self.connect(route, &addresses, is_fresh) {
                Ok((connection, key)) => {
                    let was_reused = connection.is_reused;
                    match self.exchange(route, connection, key) {
                        Ok(fetched) => match self.judge(fetched, &mut addresses) {
                            Some(end) => return end,
                            None => continue,
                        },
                        Err(failure) => (failure, was_reused),
                    }
                }
                Err(failure) => (failure, false),
            };
            match retry(&failure, self.prepared.is_idempotent(), was_reused) {
                Retry::No => return Err(Stop::Final(failure)),
                Retry::Fresh => is_fresh = true,
                Retry::Elsewhere => {
                    // A failed race has tried all addresses; otherwise one of them failed.
                    addresses.retain(|address| failure.address.is_some_and(|failed| failed != *address));
                    if addresses.is_empty() {
                        if !matches!(failure.cause, Cause::ConnectionLimit(_)) {
                            self.origins.resolver.distrust(&route.name);
                        }
                        return Err(Stop::MoveOn(failure));
                    }
                    if !self.may_move() {
                        return Err(Stop::Final(failure));
                    }
                    self.lose(failure, route);
                }
            }
        }
    }

    /// An address failed, and the fetch goes on without it.
    pub(super) fn lose(&mut self, failure: Failure, route: &Route) {
        let error = self.error(failure, route);
        if self.lost.len() < MAX_LOST {
            self.lost.push(error);
        }
    }

    /// An answer has come: it ends the walk, unless its status is one to move on from. `None`: to the next address.
    fn judge(&mut self, fetched: Fetched, addresses: &mut Vec<SocketAddr>) -> Option<Result<Fetched, Stop>> {
        if !is_worth_another(&self.site.origin.retry_on, fetched.head.status, self.prepared.is_idempotent()) {
            return Some(Ok(fetched));
        }
        self.report = fetched.report.clone();
        addresses.retain(|address| Some(*address) != fetched.report.address);
        if let Some(before) = self.spare.replace(Box::new(fetched)) {
            before.body.discard();
        }
        if addresses.is_empty() || !self.may_move() { Some(Err(Stop::Answered)) } else { None }
    }

    /// Spends one of the allowed moves.
    fn may_move(&mut self) -> bool {
        let is_allowed = self.moves > 0 && Instant::now() < self.deadline;
        self.moves = self.moves.saturating_sub(1);
        is_allowed
    }

    /// The times in the report are those of one attempt.
    fn begin_attempt(&mut self) {
        let report = &mut self.report;
        report.attempts += 1;
        (report.address, report.tls_version, report.is_reused) = (None, None, false);
        report.certificate = None;
        (report.connect, report.tls, report.first_byte) = Default::default();
    }

    /// The outside form of a failure, with all that is known of the attempt.
    fn error(&mut self, failure: Failure, route: &Route) -> FetchError {
        let mut error = failure.into_error(&route.label);
        error.facts.report = Report { origin: route.label.clone(), ..self.report.clone() };
        error.facts.sni = self.report.address.and(route.sni.clone());
        error.facts.head_start = std::mem::take(&mut self.head_start);
        error.facts.addresses = self.addresses;
        error
    }

    /// The exchange on one connection, up to the head.
    fn exchange(&mut self, route: &Route, connection: Connection, key: Key) -> Result<Fetched, Failure> {
        let address = Some(connection.address);
        let early = |cause| Failure { cause, phase: Phase::SendRequest, address, has_response: false };
        let timeouts = &self.site.origin.timeouts;
        let limits = ExchangeLimits {
            first_byte: timeouts.first_byte,
            between_bytes: timeouts.between_bytes,
            head: self.deadline,
        };
        let size = self.prepared.head_size(route.host.len());
        let exchange = Exchange::new(connection, Answer::new(self.interim.clone()), limits, size);
        let body = self.upload(&exchange).map_err(early)?;
        let request = self.prepared.build(&route.host, route.sni.is_some(), body).map_err(early)?;
        let started = Instant::now();
        let elapsed = |at: Option<Instant>| at.unwrap_or_else(Instant::now).saturating_duration_since(started);
        let has_upload = self.prepared.upload().is_some();
        let lost = || early(Cause::Internal("the connection was lost between ureq and the pool".into()));
        let mut exchange = exchange.run(request, has_upload).ok_or_else(lost)?;
        self.report.first_byte = elapsed(exchange.first_byte);
        if let Some((cause, phase)) = exchange.failure.take() {
            let input = exchange.connection.input.bytes();
            self.head_start = input.get(..MAX_HEAD_START).unwrap_or(input).to_vec();
            return Err(Failure { cause, phase, address, has_response: exchange.connection.received > 0 });
        }
        self.deliver(route, exchange, key)
    }

    /// A reader on the upload, as ureq wants it.
    fn upload(&self, exchange: &Exchange) -> Result<SendBody<'static>, Cause> {
        let (Some(upload), Some(left)) = (&self.request.body, self.prepared.upload()) else {
            return Ok(SendBody::none());
        };
        let inner = (upload.open)().map_err(|error| Cause::Upload(error.to_string()))?;
        let is_answered = Arc::clone(&exchange.is_answered_early);
        Ok(SendBody::from_owned_reader(UploadReader { inner, left, is_answered }))
    }

    /// The head has come: what kind of body follows, and may the connection serve again?
    fn deliver(&mut self, route: &Route, exchange: Box<Exchange>, key: Key) -> Result<Fetched, Failure> {
        let address = Some(exchange.connection.address);
        let broken = |cause| Failure { cause, phase: Phase::ResponseHead, address, has_response: true };
        let is_cut_short = exchange.is_answered_early.load(Ordering::Relaxed);
        let mut connection = exchange.connection;
        let no_head = || broken(Cause::Internal("ureq ended an exchange without a head".into()));
        let head = exchange.answer.into_head().ok_or_else(no_head)?;
        let length = head.body(self.prepared.method()).map_err(|error| {
            self.head_start = head.start(MAX_HEAD_START).to_vec();
            broken(Cause::Head(error))
        })?;
        let timeouts = &self.site.origin.timeouts;
        let now = Instant::now();
        if !connection.is_tls() && wants_tls(&head, length, &mut connection, now + HINT_WAIT) {
            self.head_start = head.start(MAX_HEAD_START).to_vec();
            return Err(broken(Cause::TlsOnPlainPort));
        }
        let may_serve_again = head.keep_alive && !is_cut_short && length != BodyLength::UntilClose;
        let home = may_serve_again.then(|| Home {
            pool: Arc::clone(&self.origins.idle),
            key,
            age: idle_age(head.field("keep-alive")),
        });
        let end = (!timeouts.total.is_zero()).then(|| now + timeouts.total);
        let limits = BodyLimits {
            between_bytes: timeouts.between_bytes,
            end,
            least_rate: timeouts.min_rate,
            window: RATE_WINDOW,
        };
        let body = Box::new(OriginBody::new(connection, length, limits, home, &route.label));
        Ok(Fetched { head, body, report: std::mem::take(&mut self.report), lost: Vec::new() })
    }
}

/// The idle time of a connection that a request which must not be repeated may still take.
pub(super) const YOUNG: Duration = Duration::from_secs(1);
/// Servers that want TLS send their page together with the head.
const HINT_WAIT: Duration = Duration::from_secs(1);
/// Failed attempts of one fetch that are told of; `retries` is mostly far below.
const MAX_LOST: usize = 16;
/// Bytes of a refused head that are kept for people.
pub const MAX_HEAD_START: usize = 1024;
