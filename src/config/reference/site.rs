//! The keys of one site: its domains, its origin, its certificate.

use super::Fallback::{Means, Required, Value};
use super::{Kind, MIB, Spec, TIB, key};

/// `[[site]]`
pub(super) static SITE: Spec = Spec {
    header: "[[site]]",
    doc: "One or more accelerated domain names with one origin. Repeat the section for further sites.",
    keys: &[
        key(
            "domains",
            Kind::Texts,
            Required("unless default = true"),
            "Names that clients ask for. *.example.com is every name below example.com; the most specific site wins.",
            r#"["img.example.com"]"#,
        ),
        key(
            "default",
            Kind::Flag,
            Value("false"),
            "Answer for every name that no site lists. Without such a site unknown names are refused.",
            "true",
        ),
        key("origin", Kind::Table(&ORIGIN), Required("every site has one"), "", ""),
        key("https", Kind::Table(&HTTPS), Means("no certificate: the site's names are unknown on https"), "", ""),
        key("cache", Kind::Table(&super::rules::CACHE), Means("as the origin says"), "", ""),
        key("rule", Kind::Tables(&super::rules::RULE), Means("none"), "", ""),
        key("response", Kind::Table(&super::rules::RESPONSE), Means("as the origin sent it"), "", ""),
        key(
            "force_https",
            Kind::Flag,
            Value("false"),
            "Redirect plain HTTP requests to https (301, or 308 where the method must stay).",
            "true",
        ),
        key(
            "share_schemes",
            Kind::Flag,
            Value("false"),
            "Store one response for http and https alike (the cache key drops the scheme).",
            "true",
        ),
        key(
            "share_domains",
            Kind::Flag,
            Value("false"),
            "Store one response for all names of the site (the cache key drops the name); needs origin.host.",
            "true",
        ),
        key(
            "store_set_cookie",
            Kind::Flag,
            Value("false"),
            "Store responses with Set-Cookie too, where they say that they are shared.",
            "true",
        ),
        key(
            "client_cache_control",
            Kind::Choice(&["honour", "ignore"]),
            Value("honour"),
            "Whether a client's Cache-Control may force a validation with the origin.",
            r#""ignore""#,
        ),
        key(
            "range_fetch",
            Kind::Choice(&["pass", "whole", "slices"]),
            Value("pass"),
            "What a range of something not stored asks of the origin: that range, the whole, or slices of a fixed size.",
            r#""whole""#,
        ),
        key(
            "slice_size",
            Kind::Size(64 << 10, 64 << 20),
            Value("1MiB"),
            "Size of the slices that range_fetch = \"slices\" fetches and stores; each obeys cache.max_response.",
            r#""4MiB""#,
        ),
        key(
            "request_body",
            Kind::Size(0, 64 * TIB),
            Means("limits.request_body"),
            "Largest request body for this site.",
            r#""10GiB""#,
        ),
        key(
            "max_fetches",
            Kind::Number(1, 16384),
            Means("workers.max_fetches"),
            "Most fetches of this site under way at once.",
            "32",
        ),
        key(
            "expose_errors",
            Kind::Flag,
            Value("false"),
            "Show the details of a failed fetch (addresses, certificate names) to every client, not only to local ones.",
            "true",
        ),
    ],
};

/// `[site.origin]`
static ORIGIN: Spec = Spec {
    header: "[site.origin]",
    doc: "Where the site's content comes from, and how it is asked for.",
    keys: &[
        key(
            "servers",
            Kind::TextsOrTables(&SERVER),
            Required("at least one"),
            r#"Origin servers: names or addresses, with ports if they have some; or { address = "…", role = "backup" }."#,
            r#"["origin.example.net"]"#,
        ),
        key(
            "protocol",
            Kind::Choice(&["http", "https", "follow"]),
            Means("the port decides: 443 is https, every other port http"),
            "How to speak to the origin; follow uses the scheme of the client's request.",
            r#""https""#,
        ),
        key(
            "ports",
            Kind::Table(&PORTS),
            Means("the server's own port, else 80 and 443"),
            "Custom ports, used where protocol is set.",
            "{ http = 8080, https = 8443 }",
        ),
        key(
            "host",
            Kind::Text,
            Means("the name that the client asked for"),
            "Host header of origin requests.",
            r#""img.example.com""#,
        ),
        key(
            "sni",
            Kind::Text,
            Means("the Host header, without its port"),
            "Server name in the TLS handshake with the origin, and the name that its certificate must bear.",
            r#""origin.example.net""#,
        ),
        key(
            "common_name_whitelist",
            Kind::Texts,
            Means("none"),
            "Further names to accept in the origin's certificate, exact or *.suffix.",
            r#"["*.oss.example.net"]"#,
        ),
        key(
            "certificate_names",
            Kind::Choice(&["san", "san-or-cn", "cn"]),
            Value("san-or-cn"),
            "Which names of the certificate count: subjectAltName, Common Name where there is none, Common Name alone.",
            r#""san""#,
        ),
        key(
            "trust",
            Kind::Text,
            Value("system"),
            "Who may sign the origin's certificate: \"system\", \"bundled\" (built in), or a CA file (PEM).",
            r#""internal-ca.pem""#,
        ),
        key(
            "pin",
            Kind::Texts,
            Means("none"),
            "Accept exactly these certificates, by SHA-256 fingerprint, whoever signed them and whatever their names.",
            r#"["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]"#,
        ),
        key(
            "client_certificate",
            Kind::Table(&super::origin::CLIENT_CERTIFICATE),
            Means("none"),
            "What Millpond shows an origin that asks who it is (mutual TLS).",
            r#"{ certificate = "client.pem", key = "client.key" }"#,
        ),
        key(
            "tls_min",
            Kind::Choice(&["1.2", "1.3"]),
            Value("1.2"),
            "Lowest version of TLS that is spoken with the origin.",
            r#""1.3""#,
        ),
        key(
            "retries",
            Kind::Number(0, 10),
            Value("2"),
            "How often a fetch that fails moves on to another address or server, where that is safe.",
            "3",
        ),
        key(
            "retry_on",
            Kind::Numbers(400, 599),
            Means("502, 503 and 504"),
            "Statuses of the origin that make a fetch move on, if its method may be repeated; [] is none.",
            "[500, 502, 503, 504]",
        ),
        key(
            "max_connections",
            Kind::Number(0, 65535),
            Value("0"),
            "Most connections to one address of the origin at once, idle ones included; 0 is no limit.",
            "64",
        ),
        key(
            "follow_redirects",
            Kind::Number(0, 10),
            Value("0"),
            "Redirects of the origin that are followed for clients (GET and HEAD), the last response kept under the URL \
             that the client asked for. Private addresses are followed only where they are servers of a site.",
            "3",
        ),
        key("request", Kind::Table(&super::request::REQUEST), Means("requests go on as they came"), "", ""),
        key("timeouts", Kind::Table(&TIMEOUTS), Means("every key has its default"), "", ""),
        key("health", Kind::Table(&super::origin::HEALTH), Means("no check"), "", ""),
    ],
};

/// One table in `servers`.
static SERVER: Spec = Spec {
    header: "servers = [{ … }]",
    doc: "One origin server, where its address alone does not say enough.",
    keys: &[
        key(
            "address",
            Kind::Text,
            Required("every server has one"),
            "Name or IP address, with a port if it has one.",
            r#""192.0.2.7:8443""#,
        ),
        key(
            "role",
            Kind::Choice(&["primary", "backup"]),
            Value("primary"),
            "Backups are asked where no primary answers.",
            r#""backup""#,
        ),
        key("weight", Kind::Number(1, 1000), Value("1"), "Share of requests among servers of the same role.", "3"),
        key("host", Kind::Text, Means("origin.host"), "Host header for this server.", r#""b.example.net""#),
        key("sni", Kind::Text, Means("origin.sni"), "Server name in TLS for this server.", r#""b.example.net""#),
    ],
};

/// `ports = { … }`
static PORTS: Spec = Spec {
    header: "ports = { … }",
    doc: "Custom ports of the origin, used where protocol is set.",
    keys: &[
        key("http", PORT, Means("the server's own port, else 80"), "Port for plain HTTP.", "8080"),
        key("https", PORT, Means("the server's own port, else 443"), "Port for HTTPS.", "8443"),
    ],
};

/// `[site.origin.timeouts]`
static TIMEOUTS: Spec = Spec {
    header: "[site.origin.timeouts]",
    doc: "How long each phase of a fetch may take.",
    keys: &[
        key("resolve", Kind::Duration, Value("5s"), "Looking the server's name up.", r#""2s""#),
        key("connect", Kind::Duration, Value("3s"), "One TCP connection.", r#""1s""#),
        key("tls_handshake", Kind::Duration, Value("5s"), "One TLS handshake.", r#""3s""#),
        key(
            "first_byte",
            Kind::Duration,
            Value("30s"),
            "From the request, or an interim response, to the next byte.",
            r#""10s""#,
        ),
        key("between_bytes", Kind::Duration, Value("30s"), "Between two parts of a response.", r#""10s""#),
        key("head", Kind::Duration, Value("60s"), "From the start to the response head, all attempts.", r#""20s""#),
        key("total", Kind::DurationOrOff, Value("0s"), "The whole response, body included; 0s is off.", r#""10m""#),
        key(
            "min_rate",
            Kind::Size(0, MIB),
            Value("0"),
            "Least bytes a second of a response body, over 20 seconds; 0 is off.",
            "1024",
        ),
    ],
};

/// `[site.https]`
static HTTPS: Spec = Spec {
    header: "[site.https]",
    doc: "The certificate that clients see. Paths are relative to the folder of this file.",
    keys: &[
        key(
            "certificate",
            Kind::Text,
            Required("a certificate comes with its key"),
            "Certificate chain (PEM), the site's own certificate first.",
            r#""certs/example.com.pem""#,
        ),
        key(
            "key",
            Kind::Text,
            Required("a certificate comes with its key"),
            "Private key of the certificate (PEM).",
            r#""certs/example.com.key""#,
        ),
    ],
};

/// A TCP port that a server can listen on.
const PORT: Kind = Kind::Number(1, 65535);
