//! Who may come in: the token, sessions of the console, names the door answers to, and how often one may try.
//!
//! Decides and remembers; writes nothing and reads no clock.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use crate::server::network_of;
use crate::time::Now;

/// The door's lock.
pub struct Access {
    /// Made anew at each start: what it signs is compared, never stored.
    key: hmac::Key,
    token: hmac::Tag,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Sessions, the oldest first.
    sessions: VecDeque<Session>,
    /// Wrong tokens that count, the oldest first.
    failures: VecDeque<Failure>,
}

/// A wrong token.
struct Failure {
    /// Until then it counts (monotonic): those from one place are forgiven one after the other.
    until: Duration,
    from: IpAddr,
    token: hmac::Tag,
}

struct Session {
    id: hmac::Tag,
    until: Duration,
}

/// What a request shows.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// Authorization.
    pub authorization: Option<&'a [u8]>,
    /// Cookie.
    pub cookie: Option<&'a [u8]>,
    /// Origin (RFC 6454).
    pub origin: Option<&'a [u8]>,
    /// Sec-Fetch-Site.
    pub fetch_site: Option<&'a [u8]>,
    /// Host, with its port.
    pub authority: &'a str,
    /// The method changes nothing.
    pub is_safe: bool,
    /// Who asks.
    pub peer: IpAddr,
}

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It shows nothing: 401.
    NoCredentials,
    /// The token that it shows is wrong: 401.
    WrongToken,
    /// The session that it shows is over, or never was: 401.
    NoSession,
    /// Too many wrong tokens of late from there, and for how long no other one is looked at: 429.
    TooManyAttempts(Duration),
    /// Another site's page sent it with our cookie: 403.
    CrossSite,
}

impl Access {
    /// A door that the token opens. `None` where the system has no randomness.
    pub fn new(token: &str) -> Option<Access> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        let token = hmac::sign(&key, token.as_bytes());
        Some(Access { key, token, state: Mutex::default() })
    }

    /// May this request be served?
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, shown: &Credentials<'_>, now: Now) -> Result<(), Denied> {
        if let Some(token) = shown.authorization.and_then(bearer) {
            return self.try_token(token, shown.peer, now);
        }
        let id = shown.cookie.and_then(session_cookie).ok_or(Denied::NoCredentials)?;
        if !shown.is_safe && !is_same_site(shown) {
            return Err(Denied::CrossSite);
        }
        let mut state = self.lock();
        state.sessions.retain(|session| session.until > now.monotonic);
        let is_known = state.sessions.iter().any(|session| self.is(id, &session.id));
        if is_known { Ok(()) } else { Err(Denied::NoSession) }
    }

    /// Compares a token in constant time; wrong ones are counted by where they come from: ten at once, and one every six
    /// seconds. Beyond that none is looked at, the right one neither: a guess that passes because it is right is the one that
    /// the limit is there for. So whoever shares an address with somebody who guesses waits seconds, and not a minute.
    ///
    /// # Errors
    /// `WrongToken`, or `TooManyAttempts` whatever the token is.
    pub fn try_token(&self, token: &[u8], peer: IpAddr, now: Now) -> Result<(), Denied> {
        let peer = network_of(peer);
        let mut state = self.lock();
        state.failures.retain(|failure| failure.until > now.monotonic);
        let of_peer = || state.failures.iter().filter(|failure| failure.from == peer);
        if of_peer().count() >= MOST_ATTEMPTS {
            let next = of_peer().map(|failure| failure.until).min().unwrap_or_default();
            return Err(Denied::TooManyAttempts(next.saturating_sub(now.monotonic)));
        }
        if self.is(token, &self.token) {
            return Ok(());
        }
        // The same one again is a program with an old token, and no guess: it shuts nobody out.
        if of_peer().any(|failure| self.is(token, &failure.token)) {
            return Err(Denied::WrongToken);
        }
        let last = of_peer().map(|failure| failure.until).max().unwrap_or_default();
        let until = last.max(now.monotonic).saturating_add(FORGIVEN_AFTER);
        if state.failures.len() >= MOST_REMEMBERED {
            state.failures.pop_front();
        }
        state.failures.push_back(Failure { until, from: peer, token: hmac::sign(&self.key, token) });
        Err(Denied::WrongToken)
    }

    /// A new session for who has shown the token; the value of its cookie. `None` where the system has no randomness.
    pub fn begin_session(&self, now: Now) -> Option<String> {
        let id = random_text()?;
        let mut state = self.lock();
        if state.sessions.len() >= MOST_SESSIONS {
            state.sessions.pop_front();
        }
        let until = now.monotonic.saturating_add(SESSION);
        state.sessions.push_back(Session { id: hmac::sign(&self.key, id.as_bytes()), until });
        Some(id)
    }

    /// Ends the session of a cookie.
    pub fn end_session(&self, cookie: Option<&[u8]>) {
        if let Some(id) = cookie.and_then(session_cookie) {
            self.lock().sessions.retain(|session| !self.is(id, &session.id));
        }
    }

    fn is(&self, shown: &[u8], known: &hmac::Tag) -> bool {
        hmac::verify(&self.key, shown, known.as_ref()).is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 256 random bits as 64 hex digits: a token, or the number of a session.
pub fn random_text() -> Option<String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// May this request be served where no token is asked for? Not from another site's page: its guesses at the token would be
/// those of the browser's user, who would be shut out for them.
///
/// # Errors
/// `CrossSite`.
pub fn admit_anyone(shown: &Credentials<'_>) -> Result<(), Denied> {
    let is_browsers = shown.origin.is_some() || shown.fetch_site.is_some_and(|site| site != b"none");
    if shown.is_safe || !is_browsers || is_same_site(shown) { Ok(()) } else { Err(Denied::CrossSite) }
}

/// An address or `localhost`: a name that nobody can point elsewhere.
pub fn is_plain_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

/// The field that gives a browser its session, or takes it away.
pub fn set_cookie(session: Option<&str>, is_https: bool) -> String {
    let (value, age) = session.map_or(("", 0), |session| (session, SESSION.as_secs()));
    let secure = if is_https { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

/// `Bearer …` (RFC 6750 §2.1).
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn session_cookie(cookies: &[u8]) -> Option<&[u8]> {
    let mut pairs = cookies.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    pairs.find_map(|pair| pair.strip_prefix(COOKIE.as_bytes())?.strip_prefix(b"="))
}

/// A request that changes something comes from the console's own page. Browsers send Origin with it; a program that shows
/// a cookie must do so too.
fn is_same_site(shown: &Credentials<'_>) -> bool {
    let origin = shown.origin.and_then(|origin| std::str::from_utf8(origin).ok());
    let is_own = origin
        .and_then(|origin| origin.split_once("://"))
        .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(shown.authority));
    is_own && shown.fetch_site.is_none_or(|site| site == b"same-origin")
}

const COOKIE: &str = "millpond_session";
const SESSION: Duration = Duration::from_secs(12 * 3600);
const MOST_SESSIONS: usize = 64;
/// Ten a minute in the long run.
const FORGIVEN_AFTER: Duration = Duration::from_secs(6);
const MOST_ATTEMPTS: usize = 10;
/// Wrong tokens of all addresses together.
const MOST_REMEMBERED: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// A field, if it is sent.
    type Shown = Option<&'static [u8]>;

    const TOKEN: &str = "0123456789abcdef";

    fn door() -> Access {
        Access::new(TOKEN).unwrap()
    }

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const NOBODY: Credentials<'_> = Credentials {
        authorization: None,
        cookie: None,
        origin: None,
        fetch_site: None,
        authority: "127.0.0.1:9180",
        is_safe: false,
        peer: PEER,
    };

    fn at(seconds: u64) -> Now {
        Now { wall: Duration::ZERO, monotonic: Duration::from_secs(1000 + seconds) }
    }

    #[test]
    fn the_token_opens_and_nothing_else_does() {
        let door = door();
        let rows: [(Option<&str>, Result<(), Denied>); 6] = [
            (Some("Bearer 0123456789abcdef"), Ok(())),
            (Some("bearer  0123456789abcdef "), Ok(())),
            (Some("Bearer 0123456789abcde"), Err(Denied::WrongToken)),
            (Some("Bearer "), Err(Denied::WrongToken)),
            (Some("Basic 0123456789abcdef"), Err(Denied::NoCredentials)),
            (None, Err(Denied::NoCredentials)),
        ];
        for (authorization, expected) in rows {
            let shown = Credentials { authorization: authorization.map(str::as_bytes), ..NOBODY };
            assert_eq!(door.admit(&shown, at(0)), expected, "{authorization:?}");
        }
    }

    #[test]
    fn after_ten_wrong_tokens_six_seconds_have_to_pass_before_the_next() {
        let door = door();
        let wait = |seconds| Err(Denied::TooManyAttempts(Duration::from_secs(seconds)));
        for number in 0..19_u8 {
            assert_eq!(door.try_token(&[b'x', number / 2], PEER, at(0)), Err(Denied::WrongToken), "each counts once");
        }
        let right = |from, seconds| door.try_token(TOKEN.as_bytes(), from, at(seconds));
        assert_eq!([right(PEER, 0), right(PEER, 5), right(PEER, 6)], [wait(6), wait(1), Ok(())]);
        assert_eq!(right("192.0.2.7".parse().unwrap(), 0), Ok(()), "nobody locks others out");
        assert_eq!(door.try_token(b"y", PEER, at(6)), Err(Denied::WrongToken));
        assert_eq!([right(PEER, 6), right(PEER, 12)], [wait(6), Ok(())], "one guess, one wait");
        assert_eq!(door.try_token(b"y", PEER, at(13)), Err(Denied::WrongToken));
        assert_eq!(right(PEER, 13), Ok(()), "the same one again is no guess");
    }

    #[test]
    fn who_goes_on_guessing_has_ten_guesses_a_minute() {
        let door = door();
        let guess = |number: u64| door.try_token(&number.to_be_bytes(), PEER, at(number / 10));
        let looked_at = (0..36_000).filter(|number| guess(*number) == Err(Denied::WrongToken)).count();
        assert!((600..=610).contains(&looked_at), "{looked_at} in an hour");
        let old = (0..600).map(|second| door.try_token(b"an old token", PEER, at(10_000 + second)));
        assert!(old.into_iter().all(|outcome| outcome == Err(Denied::WrongToken)));
        assert_eq!(door.try_token(TOKEN.as_bytes(), PEER, at(10_600)), Ok(()));
    }

    #[test]
    fn a_session_lasts_twelve_hours_and_serves_its_own_page_alone() {
        let door = door();
        let cookie = format!("a=b; millpond_session={}", door.begin_session(at(0)).unwrap());
        let cookie = Some(cookie.as_bytes());
        let read = Credentials { cookie, is_safe: true, ..NOBODY };
        assert_eq!(door.admit(&read, at(1)), Ok(()));
        assert_eq!(
            door.admit(&Credentials { cookie: Some(b"millpond_session=ab"), ..read }, at(1)),
            Err(Denied::NoSession)
        );
        let change = Credentials { is_safe: false, ..read };
        let own = Some(&b"http://127.0.0.1:9180"[..]);
        let rows: [(Shown, Shown, bool); 6] = [
            (own, None, true),
            (own, Some(b"same-origin"), true),
            (own, Some(b"cross-site"), false),
            (Some(b"http://evil.test"), None, false),
            (Some(b"null"), None, false),
            (None, None, false),
        ];
        for (origin, fetch_site, is_admitted) in rows {
            let expected = if is_admitted { Ok(()) } else { Err(Denied::CrossSite) };
            assert_eq!(door.admit(&Credentials { origin, fetch_site, ..change }, at(1)), expected, "{origin:?}");
        }
        assert_eq!(door.admit(&read, at(12 * 3600)), Err(Denied::NoSession));
        let cookie = format!("millpond_session={}", door.begin_session(at(0)).unwrap());
        door.end_session(Some(cookie.as_bytes()));
        assert_eq!(door.admit(&Credentials { cookie: Some(cookie.as_bytes()), ..read }, at(1)), Err(Denied::NoSession));
    }

    #[test]
    fn another_sites_page_cannot_even_guess() {
        let own = Some(&b"http://127.0.0.1:9180"[..]);
        let rows: [(Shown, Shown, bool); 7] = [
            (None, None, true),
            (None, Some(b"none"), true),
            (own, None, true),
            (own, Some(b"same-origin"), true),
            (Some(b"http://evil.test"), None, false),
            (Some(b"null"), Some(b"cross-site"), false),
            (None, Some(b"cross-site"), false),
        ];
        for (origin, fetch_site, is_admitted) in rows {
            let shown = Credentials { origin, fetch_site, ..NOBODY };
            assert_eq!(admit_anyone(&shown).is_ok(), is_admitted, "{origin:?} {fetch_site:?}");
            assert_eq!(admit_anyone(&Credentials { is_safe: true, ..shown }), Ok(()), "reading harms nobody");
        }
    }

    #[test]
    fn sessions_are_few_and_the_oldest_leaves() {
        let door = door();
        let first = format!("millpond_session={}", door.begin_session(at(0)).unwrap());
        (0..64).for_each(|_| assert!(door.begin_session(at(0)).is_some()));
        let shown = Credentials { cookie: Some(first.as_bytes()), is_safe: true, ..NOBODY };
        assert_eq!(door.admit(&shown, at(1)), Err(Denied::NoSession));
    }

    #[test]
    fn addresses_and_localhost_are_nobodys_to_point_elsewhere() {
        let rows = [
            ("127.0.0.1", true),
            ("[::1]", true),
            ("192.0.2.7", true),
            ("LocalHost", true),
            ("evil.test", false),
            ("localhost.evil.test", false),
            ("", false),
        ];
        for (host, expected) in rows {
            assert_eq!(is_plain_host(host), expected, "{host}");
        }
    }

    #[test]
    fn a_cookie_is_for_the_page_alone_and_https_keeps_it_there() {
        assert_eq!(
            set_cookie(Some("ab"), true),
            "millpond_session=ab; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(set_cookie(None, false), "millpond_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
        assert_eq!(random_text().unwrap().len(), 64);
    }
}
