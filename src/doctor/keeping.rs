//! Step 8: how long the answer would be kept, by the very rules of the cache, and why.

use super::checks::{Server, Verdict};
use super::remedy::Remedies;
use super::report::Finding;
use crate::origin::probe::Exchanged;
use crate::policy::directives::RequestDirectives;
use crate::policy::freshness::{Freshness, Source, Times};
use crate::policy::rules::Asked;
use crate::policy::storable::{RequestFacts, Storable, storable_by_rules};
use crate::policy::variant::Vary;
use crate::policy::{Fields, Why};

impl Server<'_> {
    /// What the cache would do with this answer. Never broken: what is not kept is passed on all the same.
    pub fn keeping(&self, got: &Exchanged) -> Verdict {
        let now = self.clock.now();
        let facts = RequestFacts { method: "GET", has_authorization: false, directives: RequestDirectives::default() };
        let times = Times { request: now, response: now };
        let rules = &self.probe.site().rules;
        let asked = Asked { target: &self.subject.target, fields: &Bare };
        let mut verdict = match storable_by_rules(&facts, &asked, got.head.status, &got.head, rules, times) {
            Storable::Yes(freshness) => Verdict::passed(kept(&freshness)),
            Storable::No(why) => {
                let what = format!("not kept ({}): {}", why.word(), meaning(why));
                let fix = Remedies::words(cure(why));
                Verdict::doubtful(what.clone(), Finding { what, fix, ..Finding::default() })
            }
        };
        verdict.lines.extend(self.about(got));
        verdict
    }

    /// Validators, ranges, variants.
    fn about(&self, got: &Exchanged) -> Vec<String> {
        let head = &got.head;
        let text = |name: &str| head.field(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let mut lines = Vec::new();
        let validators: Vec<&str> =
            ["ETag", "Last-Modified"].into_iter().filter(|name| head.field(name).is_some()).collect();
        lines.push(match validators.as_slice() {
            [] => "no ETag and no Last-Modified: once stale it is fetched whole".into(),
            names => format!("{}: once stale it is asked whether it still holds", names.join(" and ")),
        });
        if text("accept-ranges").is_some_and(|value| value.eq_ignore_ascii_case("bytes")) {
            lines.push("the origin serves ranges".into());
        }
        if matches!(Vary::parse(head), Vary::Fields(_)) {
            lines.push(format!("kept by variant, Vary: {}", text("vary").unwrap_or_default()));
        }
        lines.extend(text("cache-control").map(|value| format!("Cache-Control: {value}")));
        lines
    }
}

/// A request without fields.
struct Bare;

impl Fields for Bare {
    fn for_each(&self, _: &mut dyn FnMut(&[u8], &[u8])) {}
}

fn kept(freshness: &Freshness) -> String {
    if freshness.is_no_cache() {
        return "kept, and validated at every use (no-cache)".into();
    }
    let source = match freshness.source() {
        Source::SMaxAge => "by s-maxage in Cache-Control",
        Source::MaxAge => "by max-age in Cache-Control",
        Source::Expires => "by Expires",
        Source::Heuristic => "by a tenth of the time since Last-Modified, for lack of Cache-Control",
        Source::None => "for nothing says how long; it is validated at every use",
        Source::RuleTtl(_) => "by the ttl of a [[site.rule]]",
        Source::StatusTtl => "by its status in [site.cache]",
        Source::DefaultTtl => "by default_ttl",
        Source::MinTtl => "by min_ttl",
        Source::MaxTtl => "by max_ttl",
    };
    format!("kept for {} s {source}", freshness.lifetime())
}

fn meaning(why: Why) -> &'static str {
    match why {
        Why::NoStore => "the response says no-store",
        Why::Private => "the response says private",
        Why::SetCookie => "the response sets a cookie",
        Why::VaryStar => "the response says Vary: *",
        Why::NoFreshness => "nothing says how long it is fresh, and it has no validator",
        Why::NoCache => "the response says no-cache and has no validator",
        Why::Status => "responses with this status are never kept",
        Why::MustUnderstand => "the response says must-understand with a status that is not known here",
        _ => "the rules of RFC 9111 forbid it",
    }
}

fn cure(why: Why) -> &'static str {
    match why {
        Why::NoStore | Why::Private | Why::NoCache => {
            "if it is the same for all, send Cache-Control: public, max-age=600 from the origin instead"
        }
        Why::SetCookie => {
            "send no Set-Cookie with it; or, if the response says public or s-maxage, set store_set_cookie = true"
        }
        Why::VaryStar => "name the fields that it depends on in Vary, such as Accept-Encoding",
        Why::NoFreshness => "send Cache-Control: max-age=600, or an ETag, from the origin",
        _ => "nothing needs to be done",
    }
}
