//! The keys of a site's caching: what the operator sets beside, or in the place of, what the origin says.

use super::Fallback::{Means, Value};
use super::{Kind, Spec, key};

/// `[site.cache]`
pub(super) static CACHE: Spec = Spec {
    header: "[site.cache]",
    doc: "How long responses of the site stay, and what their key is. A lifetime comes from the first [[site.rule]] that \
          matches and has a ttl, else from status, else from default_ttl; all are counted from the response's arrival. \
          Nothing here stores what is private, sets a cookie or answers Authorization.",
    keys: &[
        key(
            "precedence",
            Kind::Choice(&["origin", "rule"]),
            Value("origin"),
            "Who wins where both give a lifetime: the origin's s-maxage, max-age or Expires, or ttl and status here.",
            r#""rule""#,
        ),
        key(
            "status",
            Kind::Times,
            Means("none"),
            "Lifetime by status, or by class; the exact status counts before its class. Errors (400, 408, 413, 414, 429, 431, \
             5xx) stay as long as this says, up to 5m, where they are named themselves or as 5xx; others at most 10s.",
            r#"{ 404 = "10s", 5xx = "0s" }"#,
        ),
        key(
            "default_ttl",
            Kind::DurationOrOff,
            Value("0s"),
            "Lifetime where neither the origin nor a rule gives one, in the place of a guess by Last-Modified; for 200, 203, \
             204, 300, 301 and 308. 0s is off.",
            r#""1h""#,
        ),
        key(
            "min_ttl",
            Kind::DurationOrOff,
            Value("0s"),
            "No lifetime is shorter, but for errors, for a ttl of 0s, and where nothing gives one. no-cache stays in force.",
            r#""10s""#,
        ),
        key("max_ttl", Kind::Duration, Means("none"), "No lifetime is longer.", r#""30d""#),
        key(
            "override_no_store",
            Kind::Flag,
            Value("false"),
            "Dangerous: a ttl or status here also wins against no-store, where precedence is \"rule\". Never against private, \
             Set-Cookie or Authorization.",
            "true",
        ),
        key(
            "negative_ttl",
            Kind::DurationOrOff,
            Value("0s"),
            "How long a failed fetch is answered with its cause again before the origin is asked anew; at most 10s. 0s is off.",
            r#""2s""#,
        ),
        key(
            "query",
            Kind::Choice(&["keep", "ignore"]),
            Value("keep"),
            "Whether the query counts. What is ignored or dropped, the origin is not sent either with GET and HEAD.",
            r#""ignore""#,
        ),
        key(
            "query_keep",
            Kind::Texts,
            Means("all"),
            "Only these query parameters count; a * at the end covers all names that begin so.",
            r#"["id", "page"]"#,
        ),
        key(
            "query_drop",
            Kind::Texts,
            Means("none"),
            "These query parameters do not count; a * at the end covers all names that begin so.",
            r#"["utm_*", "fbclid"]"#,
        ),
        key(
            "sort_query",
            Kind::Flag,
            Value("false"),
            "Query parameters in another order are the same; the origin gets them sorted by name.",
            "true",
        ),
        key(
            "key_headers",
            Kind::Texts,
            Means("none"),
            "Request fields that get responses of their own, by their value (up to 1 KiB; longer ones are not cached).",
            r#"["X-Device"]"#,
        ),
        key(
            "key_cookies",
            Kind::Texts,
            Means("none"),
            "Cookies that get responses of their own, by their value (up to 1 KiB; longer ones are not cached).",
            r#"["language"]"#,
        ),
        key(
            "show_key",
            Kind::Flag,
            Value("false"),
            "Show the cache key in Cache-Status to clients on this machine, and to all where expose_errors is set.",
            "true",
        ),
        key(
            "show_lifetime",
            Kind::Flag,
            Value("false"),
            "Show clients how long a stored response is fresh from its making: X-Cache-Lifetime, in seconds, like max-age.",
            "true",
        ),
    ],
};

/// `[[site.rule]]`
pub(super) static RULE: Spec = Spec {
    header: "[[site.rule]]",
    doc: "What holds for some requests or responses. Repeat it: for bypass, and for ttl, the first rule decides that has the \
          key and whose conditions all hold. A path that can be read in two ways (with /../, // or %2f) gets no ttl by \
          path, and every bypass.",
    keys: &[
        key(
            "path",
            Kind::TextOrTexts,
            Means("any"),
            "Condition: one of these covers the path. * is any text within a segment, ** any text, a / at the end the folder.",
            r#"["/static/", "/img/*.png"]"#,
        ),
        key(
            "extension",
            Kind::TextOrTexts,
            Means("any"),
            "Condition: the path ends in one of these.",
            r#"["css", "js"]"#,
        ),
        key(
            "status",
            Kind::Statuses,
            Means("200, 203, 204, 300, 301 and 308"),
            "Condition of ttl: the response has one of these statuses, or classes.",
            r#"[404, "3xx"]"#,
        ),
        key(
            "header",
            Kind::TextOrTexts,
            Means("any"),
            "Condition of bypass: the request has one of these fields, or with =, that value of it.",
            r#"["X-Preview", "X-Stage=test"]"#,
        ),
        key(
            "cookie",
            Kind::TextOrTexts,
            Means("any"),
            "Condition of bypass: the request has one of these cookies, or with =, that value of it.",
            r#"["session", "wordpress_logged_in_*"]"#,
        ),
        key(
            "query",
            Kind::TextOrTexts,
            Means("any"),
            "Condition of bypass: the request has one of these query parameters, or with =, that value of it.",
            r#"["preview=1"]"#,
        ),
        key("ttl", Kind::DurationOrOff, Means("decided elsewhere"), "The lifetime; 0s is none.", r#""30d""#),
        key(
            "bypass",
            Kind::Flag,
            Means("decided elsewhere"),
            "Neither look the response up nor store it; false keeps later rules from doing so.",
            "true",
        ),
    ],
};

/// `[site.response]`
pub(super) static RESPONSE: Spec = Spec {
    header: "[site.response]",
    doc: "Changes to the fields of responses on their way to clients; what is stored stays as it came. Cache-Control, \
          Expires and Pragma of a response that is not stored are left alone. Pages of Millpond's own are not changed.",
    keys: &[
        key(
            "set",
            Kind::Pairs,
            Means("none"),
            "Fields that take the place of any of the same name.",
            r#"{ "X-Frame-Options" = "DENY" }"#,
        ),
        key(
            "add",
            Kind::Pairs,
            Means("none"),
            "Fields to add to what is there.",
            r#"{ "Link" = "</a.css>; rel=preload" }"#,
        ),
        key("remove", Kind::Texts, Means("none"), "Fields to leave out.", r#"["Server", "X-Powered-By"]"#),
    ],
};
