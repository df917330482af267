//! Redirects of the origin: which are followed here, which go to the client, and which would send it in circles.
//!
//! A redirect to the site's own name is asked of the site's own servers, as a client's request for it would be, but with
//! the target as the origin wrote it. Any other host is a stranger: it gets no credentials and nothing of what the site
//! sets, and its addresses are judged before they are dialled. What cannot or may not be followed further goes to the
//! client as it came, and is not kept: a chain that is too long, one that bites its tail.

use std::time::Duration;

use super::ask::borrowed;
use super::fetch::Fetch;
use super::fields::{self, Field};
use super::landing::own_failure;
use crate::http1::{BodyLength, ResponseHead};
use crate::origin::{FetchError, Fetched, OriginRequest, Standing};
use crate::policy::freshness::Times;
use crate::policy::redirect::{Turn, Url, location, turn};
use crate::policy::trail::{Trail, restriction};
use crate::status::{Phase, ProxyError};
use crate::time::Now;

/// A chain of redirects that is being followed.
struct Walk {
    /// What the last request asked for, in the scheme that was spoken.
    at: Url,
    /// What was asked for before that.
    behind: Vec<Url>,
    trail: Trail,
    /// A stranger had a word in it: from then on nothing goes along that is not for strangers.
    is_outside: bool,
    /// When the last request was sent.
    asked: Now,
}

/// What is done with a response.
enum Next {
    /// It is the answer.
    Answer,
    /// It is the answer, but a redirect that is for nobody else, or later.
    AnswerOnce,
    Follow(Url),
}

impl Fetch {
    /// From the first response to the one that answers the client. `target` is what the origin was asked for, at `asked`.
    pub(super) fn follow(&self, first: Fetched, target: &str, asked: Now) -> Result<Fetched, FetchError> {
        if location(first.head.status, first.head.fields()).is_none() {
            return Ok(first);
        }
        let Some(at) = Url::new(is_https(&first), self.home().first().copied().unwrap_or_default(), target) else {
            return Ok(first);
        };
        let deadline = asked.monotonic.saturating_add(self.site.origin.timeouts.head);
        let mut walk = Walk { at, behind: Vec::new(), trail: Trail::default(), is_outside: false, asked };
        let mut fetched = first;
        loop {
            match self.next(&walk, &fetched)? {
                Next::Answer => break,
                Next::AnswerOnce => {
                    fetched.head = with_lines(fetched.head, restriction_of_once);
                    break;
                }
                Next::Follow(to) => fetched = self.step(&mut walk, fetched, to, deadline)?,
            }
        }
        Ok(if walk.behind.is_empty() { fetched } else { self.arrive(&walk, fetched) })
    }

    fn next(&self, walk: &Walk, fetched: &Fetched) -> Result<Next, FetchError> {
        let Some(reference) = location(fetched.head.status, fetched.head.fields()) else { return Ok(Next::Answer) };
        let Some(to) = walk.at.resolve(reference) else { return Ok(Next::Answer) };
        let request = &self.request;
        let is_safe = matches!(request.method(), "GET" | "HEAD");
        let is_first_cookie = fetched.head.field("set-cookie").is_some() && request.field("cookie").is_none();
        let home = if walk.is_outside { Vec::new() } else { self.home() };
        let client =
            Url::new(request.is_https, request.authority(), request.target()).unwrap_or_else(|| walk.at.clone());
        if !is_safe {
            // After a form is sent, a redirect to its own page is how it should be.
            return Ok(Next::Answer);
        }
        match turn(&client, &walk.at, &home, &to) {
            // A page that wants a cookie first: whoever comes back with it may get in.
            Turn::Loop if is_first_cookie => return Ok(Next::AnswerOnce),
            Turn::Loop if !walk.is_outside => {
                return Err(FetchError::redirect_to_itself(&fetched.report, to.is_https));
            }
            Turn::OtherScheme if self.site.share_schemes => return Ok(Next::AnswerOnce),
            Turn::OtherScheme => return Ok(Next::Answer),
            Turn::Same => return Ok(Next::AnswerOnce),
            Turn::Elsewhere | Turn::Loop => {}
        }
        let most = self.site.origin.follow_redirects;
        Ok(match most > 0 && request.body.is_none() {
            false => Next::Answer,
            true if walk.behind.len() >= most || walk.behind.contains(&to) => Next::AnswerOnce,
            true => Next::Follow(to),
        })
    }

    /// Leaves one response behind and asks where it led.
    fn step(&self, walk: &mut Walk, passed: Fetched, to: Url, deadline: Duration) -> Result<Fetched, FetchError> {
        let now = self.core.clock.now();
        let times = Times { request: walk.asked, response: now };
        walk.trail.pass(passed.head.status, &passed.head, times);
        give_back(passed);
        let left = deadline.saturating_sub(now.monotonic);
        if left.is_zero() {
            let detail = "the redirects of the origin took longer than timeouts.head";
            return Err(own_failure(ProxyError::HttpResponseTimeout, Phase::ResponseHead, detail));
        }
        let is_home = self.home().iter().any(|authority| to.is_on(authority));
        walk.is_outside |= !is_home;
        walk.asked = now;
        walk.behind.push(std::mem::replace(&mut walk.at, to));
        let list = self.fields_on_the_way(walk.is_outside);
        let list = borrowed(&list);
        let request =
            OriginRequest { client_is_https: walk.at.is_https, fields: &list, ..self.plain_request(&walk.at.target) };
        let core = &self.core;
        if !is_home {
            let live = core.live();
            let standing = Standing::of(&walk.at, &self.site, live.config.sites.iter().map(AsRef::as_ref));
            let fetched = core.origins.send_elsewhere(&self.site, &walk.at, standing, &request, left)?;
            core.note_way(&self.site, &self.request, &fetched);
            return Ok(fetched);
        }
        let mut site = (*self.site).clone();
        site.origin.timeouts.head = left;
        let fetched = core.origins.send(&site, &request, None)?;
        core.note_way(&self.site, &self.request, &fetched);
        walk.at.is_https = is_https(&fetched);
        Ok(fetched)
    }

    /// The response at the end, with what was said on the way there.
    fn arrive(&self, walk: &Walk, mut fetched: Fetched) -> Fetched {
        let times = Times { request: walk.asked, response: self.core.clock.now() };
        let lines = walk.trail.lines(fetched.head.status, &fetched.head, times);
        fetched.head = with_lines(fetched.head, |_| lines);
        // A reference of its own would lead on from the client's URL.
        let reference = location(fetched.head.status, fetched.head.fields()).map(<[u8]>::to_vec);
        if let Some(reference) = reference
            && let Some(to) = walk.at.resolve(&reference)
        {
            let fragment = reference.iter().position(|byte| *byte == b'#').and_then(|start| reference.get(start..));
            let whole = [to.text().as_bytes(), fragment.unwrap_or_default()].concat();
            fetched.head = fetched.head.with_field("Location", &whole, true);
        }
        fetched
    }

    fn fields_on_the_way(&self, is_outside: bool) -> Vec<Field<'_>> {
        let mut list = self.fields();
        if is_outside {
            fields::for_strangers(&mut list);
            self.site.origin.request.fields.take_away(&mut list);
        } else {
            self.edit(&mut list);
        }
        list
    }

    /// The names by which the site's origin goes, the likeliest Host first.
    fn home(&self) -> Vec<&str> {
        let origin = &self.site.origin;
        let of_servers = origin.servers.iter().filter_map(|server| server.host.as_deref());
        origin.host.as_deref().into_iter().chain(of_servers).chain([self.request.authority()]).collect()
    }
}

fn is_https(fetched: &Fetched) -> bool {
    fetched.report.tls_version.is_some()
}

fn restriction_of_once(head: &ResponseHead) -> Vec<(String, Vec<u8>)> {
    restriction(head, "no-store")
}

fn with_lines(head: ResponseHead, lines: impl FnOnce(&ResponseHead) -> Vec<(String, Vec<u8>)>) -> ResponseHead {
    let lines = lines(&head);
    lines.iter().fold(head, |head, (name, value)| head.with_field(name, value, false))
}

/// Reads what little a redirect has for a body, so that its connection can serve again; a longer one is not worth it.
fn give_back(mut passed: Fetched) {
    if matches!(passed.body.length(), BodyLength::Exact(length) if length <= SHORT) {
        let mut room = [0; 1024];
        while passed.body.read(&mut room).is_ok_and(|count| count > 0) {}
    }
}

/// Bytes of a page that a redirect comes with.
const SHORT: u64 = 2048;
