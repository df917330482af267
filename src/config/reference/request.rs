//! The keys of `[site.origin.request]`: what a site changes in the requests that its origin gets.

use super::Fallback::{Means, Required};
use super::{Kind, Spec, key};

/// `[site.origin.request]`
pub(super) static REQUEST: Spec = Spec {
    header: "[site.origin.request]",
    doc: "What is changed in requests to the origin. Values of header fields may hold variables: $client_ip, $client_port, \
          $scheme, $host, $method, $request_id, $uri (path and query), $path, $query, $server_name; $$ is a dollar. One \
          fetch may serve many clients: the origin sees the values of the one that caused it.",
    keys: &[
        key(
            "set",
            Kind::Pairs,
            Means("none"),
            "Header fields to send, in the place of what the client sent under these names.",
            r#"{ "X-Real-IP" = "$client_ip" }"#,
        ),
        key("add", Kind::Pairs, Means("none"), "Header fields to send besides.", r#"{ "X-Served-By" = "millpond" }"#),
        key("remove", Kind::Texts, Means("none"), "Header fields that are not sent on.", r#"["Cookie"]"#),
        key(
            "strip_prefix",
            Kind::Text,
            Means("none"),
            "What is taken off paths that begin so, in whole segments; first of all.",
            r#""/cdn""#,
        ),
        key(
            "rewrite",
            Kind::Tables(&REWRITE),
            Means("none"),
            "Paths to change; the first whose pattern fits the whole path counts.",
            r#"[{ from = "/old/**", to = "/new/$1" }]"#,
        ),
        key(
            "path_prefix",
            Kind::Text,
            Means("none"),
            "What is put before every path; last of all. Paths with .. segments are refused then.",
            r#""/bucket""#,
        ),
        key(
            "query",
            Kind::Table(&QUERY),
            Means("the client's query"),
            "Parameters to change.",
            "{ remove = [\"token\"] }",
        ),
    ],
};

/// `rewrite = [{ … }]`
static REWRITE: Spec = Spec {
    header: "rewrite = [{ … }]",
    doc: "One rule. The cache key stays that of the client's URL.",
    keys: &[
        key(
            "from",
            Kind::Text,
            Required("a rule has a pattern"),
            "The path: * is anything within a segment, ** anything at all.",
            r#""/old/*""#,
        ),
        key(
            "to",
            Kind::Text,
            Required("a rule has a new path"),
            "The new path; $1 to $9 are what the wildcards stood for, $$ is a dollar.",
            r#""/new/path""#,
        ),
    ],
};

/// `query = { … }`
static QUERY: Spec = Spec {
    header: "query = { … }",
    doc: "Changes of the query's parameters. Plain texts, percent-encoded as needed.",
    keys: &[
        key("set", Kind::Pairs, Means("none"), "Parameters with one value each.", r#"{ v = "2" }"#),
        key("add", Kind::Pairs, Means("none"), "Parameters to add.", r#"{ via = "cdn" }"#),
        key("remove", Kind::Texts, Means("none"), "Parameters that are not sent on.", r#"["token"]"#),
    ],
};
