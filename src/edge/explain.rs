//! What would become of a request, told from the configuration alone: nothing is sent, and no store is asked.

use std::fmt;

use crate::config::{CertificateNames, Config, Role, Site, Trust};
use crate::http1::{HeadLimits, HeadScan, Parsed, RequestHead, Slots};
use crate::origin::route;
use crate::policy::directives::RequestDirectives;
use crate::policy::freshness::{Source, Times};
use crate::policy::provoked::{is_of_its_like, may_be_provoked};
use crate::policy::rules::Asked;
use crate::policy::storable::{RequestFacts, Storable, storable_by_rules};
use crate::policy::variant::Vary;
use crate::policy::{Fields, Why};
use crate::proxy::{asked_target, full_key, shown_key};
use crate::time::Now;

/// A request, and a response if one is supposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// `http://` or `https://`, then what a client's address line would say.
    pub url: String,
    /// Fields of the request, each as `Name: value`.
    pub fields: Vec<String>,
    /// Fields of the response that is supposed, each as `Name: value`.
    pub response: Vec<String>,
    /// Its status.
    pub status: u16,
}

/// The answer: what is told, each under its title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Title and text; a title that was there already is empty.
    pub lines: Vec<(&'static str, String)>,
    /// The key that it is looked up by, if it is.
    pub(super) key: Option<Vec<u8>>,
}

/// Why there is nothing to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unexplained {
    /// The question is none: its URL or a field cannot be sent.
    Malformed(String),
    /// No site of the configuration answers for the name.
    NoSite(String),
}

impl fmt::Display for Unexplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Unexplained::Malformed(text) | Unexplained::NoSite(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for Unexplained {}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|(title, text)| writeln!(f, "{title:<10} {text}"))
    }
}

/// Explains; `now` is for dates in the response that is supposed.
pub fn explain(config: &Config, question: &Question, now: Now) -> Result<Explanation, Unexplained> {
    let (is_https, text) = request_text(question)?;
    let mut slots = Slots::new();
    let limits = HeadLimits { line: 1 << 16, head: 1 << 20, fields: 128 };
    let parsed = RequestHead::parse(text.as_bytes(), &limits, &mut HeadScan::default(), &mut slots);
    let head = match parsed {
        Ok(Parsed::Whole(head)) if head.len == text.len() => head,
        Ok(_) => return Err(Unexplained::Malformed("the URL and fields make no request".to_owned())),
        Err(error) => return Err(Unexplained::Malformed(format!("such a request is refused: {}", error.reason))),
    };
    let supposed = Supposed { status: question.status, fields: Lines::read(&question.response)? };
    let host = head.host().to_ascii_lowercase();
    let router = config.router();
    let no_site = || Unexplained::NoSite(format!("no site answers for {host:?}: such a request gets 421"));
    let site = router.find(&host).ok_or_else(no_site)?;
    let mut told = Explanation { lines: Vec::new(), key: None };
    told.site(site, is_https);
    let asked = Asked { target: &head.target, fields: &head };
    told.request(site, &host, is_https, &asked);
    let facts = RequestFacts {
        method: "GET",
        has_authorization: head.field("authorization").is_some(),
        directives: RequestDirectives::parse(&head),
    };
    told.response(site, &asked, &facts, &supposed, now);
    told.origin(site, &host, is_https);
    Ok(told)
}

impl Explanation {
    fn tell(&mut self, title: &'static str, text: impl Into<String>) {
        self.lines.push((title, text.into()));
    }

    fn site(&mut self, site: &Site, is_https: bool) {
        let names = if site.domains.is_empty() { "every name".to_owned() } else { site.domains.join(", ") };
        self.tell("site", format!("{} ({names})", site.name));
        if site.force_https && !is_https {
            self.tell("redirect", "301 or 308 to https; what follows is for one that came by https");
        }
    }

    /// Rules, key and what the origin is asked for.
    fn request(&mut self, site: &Site, host: &str, is_https: bool, asked: &Asked<'_>) {
        let bypass = site.rules.own.as_ref().and_then(|own| own.bypass(asked));
        match (bypass, full_key(site, host, asked, is_https)) {
            (Some(number), _) => {
                self.tell("cache", format!("neither looked up nor stored: rule {number} (bypass-rule)"))
            }
            (None, None) => self.tell("cache", "neither looked up nor stored: no safe key (key-unusable)"),
            (None, Some(key)) => {
                self.tell("cache", "looked up, and stored if the response may be");
                self.tell("key", shown_key(&key));
                self.key = Some(key);
            }
        }
        let target = asked_target(site, asked, bypass.is_some());
        let edited = site.origin.request.target.apply(&target);
        self.tell("asked for", edited.map_or_else(|unfit| format!("nothing: {}", unfit.reason()), Into::into));
    }

    /// The rules, and what they make of the response that is supposed.
    fn response(&mut self, site: &Site, asked: &Asked<'_>, facts: &RequestFacts<'_>, supposed: &Supposed, now: Now) {
        let Supposed { status, fields } = supposed;
        self.rules(site, asked, *status);
        let times = Times { request: now, response: now };
        let what = if fields.0.is_empty() { "a bare" } else { "such a" };
        let verdict = storable_by_rules(facts, asked, *status, fields, &site.rules, times);
        let told = match verdict {
            Storable::Yes(freshness) if may_be_provoked(*status, &freshness, asked.fields) => {
                format!("{what} {status} is not stored for a request with such fields ({})", Why::Provoked.word())
            }
            Storable::Yes(freshness) => {
                let from = source_text(freshness.source());
                let seconds = freshness.lifetime();
                let is_checked = if freshness.is_no_cache() { ", validated before each use" } else { "" };
                format!("{what} {status} is stored, fresh for {seconds} s{is_checked}; {from}")
            }
            Storable::No(why) => format!("{what} {status} is not stored ({})", why.word()),
        };
        self.tell("freshness", told);
        self.tell(
            "variant",
            match Vary::parse(fields) {
                _ if matches!(verdict, Storable::Yes(freshness) if is_of_its_like(*status, &freshness)) => {
                    "one for requests with the same fields: it may be the fault of this one"
                }
                Vary::None => "one for all requests, unless the response has Vary",
                Vary::Any => "none: its Vary can be compared with no other request",
                Vary::Fields(_) => "one for each set of values of the fields in its Vary",
            },
        );
    }

    fn rules(&mut self, site: &Site, asked: &Asked<'_>, status: u16) {
        let applied = site.rules.own.as_ref().map(|own| own.applied(asked, status)).unwrap_or_default();
        if applied.is_empty() {
            self.tell("rules", "none holds");
        }
        let mut title = "rules";
        for rule in applied {
            let decides = |is_first: bool| if is_first { "decides" } else { "an earlier rule decides" };
            let bypass = rule.bypass.map(|bypass| format!("bypass = {bypass} ({})", decides(rule.decides_bypass)));
            let ttl = rule.ttl.map(|ttl| format!("ttl = {ttl} s ({})", decides(rule.decides_ttl)));
            let parts: Vec<String> = bypass.into_iter().chain(ttl).collect();
            self.tell(std::mem::take(&mut title), format!("{}: {}", rule.number, parts.join(", ")));
        }
    }

    fn origin(&mut self, site: &Site, host: &str, is_https: bool) {
        let of_role = |wanted| site.origin.servers.iter().filter(move |server| server.role == wanted);
        for server in of_role(Role::Primary).chain(of_role(Role::Backup)) {
            let route = route(&site.origin, server, host, is_https);
            let scheme = if route.sni.is_some() { "https" } else { "http" };
            let role = if server.role == Role::Backup { ", backup" } else { "" };
            self.tell("origin", format!("{scheme}://{}{role}", route.label));
            self.tell("  Host", route.host);
            let Some(sni) = route.sni else { continue };
            let accepted: Vec<&str> = [sni.as_str()]
                .into_iter()
                .chain(site.origin.common_name_whitelist.iter().map(String::as_str))
                .collect();
            self.tell("  names", format!("{} in {}", accepted.join(", "), names_text(site.origin.certificate_names)));
            self.tell("  trust", trust_text(site));
            self.tell("  SNI", sni);
        }
    }
}

fn source_text(source: Source) -> String {
    match source {
        Source::SMaxAge => "from the origin's s-maxage".to_owned(),
        Source::MaxAge => "from the origin's max-age".to_owned(),
        Source::Expires => "from the origin's Expires".to_owned(),
        Source::Heuristic => "a tenth of its time since Last-Modified".to_owned(),
        Source::None => "nothing gives a lifetime".to_owned(),
        Source::RuleTtl(number) => format!("from rule {number} (ttl-rule)"),
        Source::StatusTtl => "from the site's status table (ttl-status)".to_owned(),
        Source::DefaultTtl => "from default_ttl (ttl-default)".to_owned(),
        Source::MinTtl => "raised to min_ttl (ttl-min)".to_owned(),
        Source::MaxTtl => "cut to max_ttl (ttl-max)".to_owned(),
    }
}

fn names_text(names: CertificateNames) -> &'static str {
    match names {
        CertificateNames::San => "subjectAltName",
        CertificateNames::SanOrCn => "subjectAltName, or the Common Name where there is none",
        CertificateNames::Cn => "the Common Name",
    }
}

fn trust_text(site: &Site) -> String {
    let pins = if site.origin.pin.is_empty() { "" } else { "; or a pinned certificate" };
    match &site.origin.trust {
        Trust::System => format!("the system's roots{pins}"),
        Trust::Bundled => format!("the built-in roots{pins}"),
        Trust::File(path) => format!("{}{pins}", path.display()),
    }
}

/// The request as its head would come over the wire.
fn request_text(question: &Question) -> Result<(bool, String), Unexplained> {
    let wrong = || Unexplained::Malformed(format!("{:?} is no URL: write http://HOST/PATH or https://…", question.url));
    let (scheme, rest) = question.url.split_once("://").ok_or_else(wrong)?;
    let is_https = match scheme {
        "http" => false,
        "https" => true,
        _ => return Err(wrong()),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, path) = rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len())).ok_or_else(wrong)?;
    if authority.is_empty() || authority.contains('@') {
        return Err(wrong());
    }
    let root = if path.starts_with('/') { "" } else { "/" };
    let lines = Lines::read(&question.fields)?;
    let fields: String = lines.0.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    Ok((is_https, format!("GET {root}{path} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n")))
}

/// A response that nobody has sent.
struct Supposed {
    status: u16,
    fields: Lines,
}

/// Field lines as somebody wrote them down.
struct Lines(Vec<(String, String)>);

impl Lines {
    fn read(texts: &[String]) -> Result<Lines, Unexplained> {
        let line = |text: &String| {
            let (name, value) = text.split_once(':').filter(|_| !text.contains(['\r', '\n']))?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        let lines = texts.iter().map(|text| {
            line(text).ok_or_else(|| Unexplained::Malformed(format!("{text:?} is no field: write 'Name: value'")))
        });
        lines.collect::<Result<_, _>>().map(Lines)
    }
}

impl Fields for Lines {
    fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.0.iter().for_each(|(name, value)| each(name.as_bytes(), value.as_bytes()));
    }
}

#[cfg(test)]
#[path = "tests_explain.rs"]
mod tests;
