//! How an exchange that waited ends: answered from what arrived, or with the page of its failure.

use super::answer::{self, Ask};
use super::error_page::{Form, Page};
use super::exchange::{Desk, Exchange};
use super::landing::{Arrived, Trip};
use super::note::{FetchNote, Line, Note};
use super::site_rules::show_key;
use super::{Local, Proxy};
use crate::config::Config;
use crate::http1::Present;
use crate::observe::CacheResult;
use crate::origin::FetchError;
use crate::policy::Why;
use crate::server::{Answer, Payload};
use crate::status::{CacheStatus, ProxyError, ProxyStatus};
use crate::store::StoredResponse;
use crate::time::Now;

impl Exchange {
    /// A response that was fetched for another may differ by a field that Vary names.
    pub fn fits(&self, response: &StoredResponse) -> bool {
        self.is_lead || response.variant.as_deref().is_none_or(|variant| variant.matches(&*self.request))
    }

    /// The answer from a response that arrived.
    pub fn answer(self, desk: &mut Desk<'_>, mut arrived: Arrived) -> Answer<Proxy> {
        let (response, reader) = (arrived.response.clone(), arrived.reader.take());
        self.answer_with(desk, arrived, |out, ask, status, now| {
            answer::from_response(out, ask, &response, reader, status, now)
        })
    }

    /// The same with the head and body that `write` makes of it.
    pub fn answer_with(
        self,
        desk: &mut Desk<'_>,
        arrived: Arrived,
        write: impl FnOnce(&mut Vec<u8>, &Ask<'_>, &CacheStatus, Now) -> (u16, Payload),
    ) -> Answer<Proxy> {
        let request = self.request.clone();
        let collapsed = arrived.status.collapsed || !self.is_lead;
        let status = CacheStatus { collapsed, detail: self.detail(&arrived), ..arrived.status };
        let site = self.site.clone();
        let ask = Ask::of_request(&request).of_site(&site);
        let (code, payload) = write(desk.out, &ask, &status, desk.now);
        if let Some(key) = &self.key {
            show_key(desk.out, &site, desk.peer, key);
        }
        let mut note = self.into_note(desk.local);
        if let Some(fault) = &arrived.fault {
            proxy_status(fault, None).write_field(desk.out);
        }
        note.status = code;
        note.cache = result_of(&status, arrived.fault.is_some());
        note.reason = status.detail.unwrap_or(note.reason);
        let cause = arrived.fault.as_ref().map(|fault| (fault.error, fault.phase));
        let detail = arrived.fault.as_ref().map(|fault| fault.detail.clone()).unwrap_or_default();
        note.fetch =
            Some(Box::new(FetchNote { times: arrived.trip.times, origin: arrived.trip.origin, cause, detail }));
        Answer { payload, close: false, note }
    }

    /// Why it was not stored, else why what was stored was not reused, else whose its lifetime is.
    fn detail(&self, arrived: &Arrived) -> Option<&'static str> {
        let reason = Some(self.reason).filter(|reason| !reason.is_empty());
        let is_kept = arrived.status.stored || arrived.status.hit;
        let other = match is_kept {
            true => arrived.response.freshness.source().why(),
            false => Some(self.never_stored()),
        };
        arrived.status.detail.or(reason.filter(|_| !arrived.status.hit)).or(other.map(Why::word))
    }

    /// Why nobody looked whether the response may be stored.
    fn never_stored(&self) -> Why {
        match self.request.method() {
            "GET" if self.request.present.has_any(Present::RANGE) => Why::Range,
            "GET" => Why::Apart,
            _ => Why::Method,
        }
    }

    /// The page of a failure, with its cause.
    pub fn fail(self, desk: &mut Desk<'_>, error: &FetchError, trip: &Trip) -> Answer<Proxy> {
        let why = match error.error {
            ProxyError::ConnectionLimitReached => Why::QueueFull,
            ProxyError::ProxyInternalError | ProxyError::ProxyConfigurationError => Why::Refused,
            ProxyError::HttpRequestError | ProxyError::HttpRequestDenied => Why::Refused,
            _ => Why::Failed,
        };
        let (forward, detail) = (Some(self.forward), Some(why.word()));
        let cache = CacheStatus { forward, detail, collapsed: !self.is_lead, ..CacheStatus::default() };
        self.fail_as(desk, error, trip, &cache)
    }

    /// The same, with what the cache did; details only for those who may see them.
    pub fn fail_as(self, desk: &mut Desk<'_>, error: &FetchError, trip: &Trip, cache: &CacheStatus) -> Answer<Proxy> {
        let is_exposed = self.site.expose_errors
            || desk.peer.address.ip().to_canonical().is_loopback()
            || holds_token(&desk.local.live.config, self.request.field(DEBUG_FIELD));
        let form = Form::of(self.request.field("accept"));
        let mut note = self.into_note(desk.local);
        note.reason = cache.detail.unwrap_or(note.reason);
        let detail = Some(error.detail.as_str()).filter(|detail| is_exposed && !detail.is_empty());
        let page = Page {
            status: error.error.status(),
            sentence: error.sentence(),
            error: Some(error.error.token()),
            phase: Some(error.phase.token()),
            detail,
            id: note.id,
            now: desk.now,
        };
        let payload = answer::own(desk.out, &page, form, Some(cache), Some(&proxy_status(error, detail)));
        note.status = page.status;
        note.cache = CacheResult::Error;
        let cause = Some((error.error, error.phase));
        let origin = error.address.or(trip.origin);
        note.fetch = Some(Box::new(FetchNote { times: trip.times, origin, cause, detail: error.detail.clone() }));
        Answer { payload, close: false, note }
    }

    /// What the log says of the exchange, should it end here.
    pub fn into_note(self, local: &mut Local) -> Note {
        Note {
            line: Line::of_request(local, &self.request),
            site: Some(self.site),
            id: self.request.id,
            began: self.request.began,
            status: 0,
            cache: CacheResult::Error,
            reason: self.reason,
            fetch: None,
            client: self.request.client,
            is_https: self.request.is_https,
        }
    }
}

/// Does the client send the debug token? No token, no holder.
fn holds_token(config: &Config, sent: Option<&[u8]>) -> bool {
    config.debug_token.as_ref().zip(sent).is_some_and(|(token, sent)| token.is(sent))
}

fn proxy_status<'a>(error: &'a FetchError, details: Option<&'a str>) -> ProxyStatus<'a> {
    ProxyStatus { error: error.error, phase: error.phase, alert: error.alert, rcode: error.rcode, details }
}

fn result_of(status: &CacheStatus, has_fault: bool) -> CacheResult {
    if has_fault || status.detail == Some(Why::Origin5xx.word()) {
        CacheResult::Stale
    } else if status.forward_status == Some(304) {
        CacheResult::Revalidated
    } else if status.collapsed {
        CacheResult::Collapsed
    } else if status.stored {
        CacheResult::Miss
    } else if status.hit {
        CacheResult::Hit
    } else {
        CacheResult::Pass
    }
}

/// In which clients send the debug token; it goes no further.
const DEBUG_FIELD: &str = "x-millpond-debug";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sends_the_very_token_holds_it() {
        let config = |token: &str| {
            let text = format!("{token}[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"192.0.2.1\"]\n");
            Config::parse(&text, "m.toml".as_ref()).unwrap()
        };
        let with = config("[debug]\ntoken = \"0123456789abcdef\"\n");
        let rows = [
            (&with, Some(&b"0123456789abcdef"[..]), true),
            (&with, Some(b"0123456789abcdeg"), false),
            (&with, Some(b""), false),
            (&with, None, false),
            (&config(""), Some(b""), false),
            (&config(""), Some(b"0123456789abcdef"), false),
        ];
        for (config, sent, expected) in rows {
            assert_eq!(holds_token(config, sent), expected, "{sent:?}");
        }
        assert!(!format!("{with:?}").contains("0123456789abcdef"), "nothing shows it");
    }
}
