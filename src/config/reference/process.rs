//! The keys of the process as a whole: listen, cache, log, workers, limits.

use super::Fallback::{Means, Value};
use super::{KIB, Kind, MIB, Spec, TIB, key};

/// `[listen]`
pub(super) static LISTEN: Spec = Spec {
    header: "[listen]",
    doc: "Where clients reach Millpond: IP addresses with ports, one text or a list.",
    keys: &[
        key(
            "http",
            Kind::TextOrTexts,
            Means("\"127.0.0.1:8080\" if https is absent too, else none"),
            "Addresses for plain HTTP. 0.0.0.0 is every IPv4 address of the machine, [::] every one of both families.",
            r#"["0.0.0.0:80", "[::1]:80"]"#,
        ),
        key(
            "https",
            Kind::TextOrTexts,
            Means("none"),
            "Addresses for HTTPS; certificates come from [site.https].",
            r#""0.0.0.0:443""#,
        ),
    ],
};

/// `[cache]`
pub(super) static CACHE: Spec = Spec {
    header: "[cache]",
    doc: "The memory that stored responses live in.",
    keys: &[
        key(
            "memory",
            Kind::Size(MIB, 64 * TIB),
            Value("256MiB"),
            "Budget for stored responses, their heads and bookkeeping included; the least recently used leave first.",
            r#""2GiB""#,
        ),
        key(
            "max_response",
            Kind::Share,
            Value("10%"),
            "Largest response that is stored: a share of `memory` or a size. Larger ones pass through.",
            r#""64MiB""#,
        ),
        key(
            "temp_dir",
            Kind::Text,
            Value("/var/tmp"),
            "Folder for temporary files without names, used by bodies that are not stored. On a drive, not in memory; its last \
             256 MiB, or sixteenth, are left to others.",
            r#""/var/tmp""#,
        ),
        key(
            "spill_max",
            Kind::Size(MIB, 64 * TIB),
            Value("1GiB"),
            "Most bytes that one body that is not stored may hold in its temporary file; one that may be shared is held there whole, up to so many, for those who ask while it arrives.",
            r#""4GiB""#,
        ),
    ],
};

/// `[log]`
pub(super) static LOG: Spec = Spec {
    header: "[log]",
    doc: "The access log: one line a request.",
    keys: &[
        key(
            "access",
            Kind::Text,
            Value("off"),
            "File for the access log; \"-\" is standard output, \"off\" is none.",
            r#""/var/log/millpond/access.log""#,
        ),
        key(
            "format",
            Kind::Choice(&["combined", "json"]),
            Value("combined"),
            "combined: the classic line, then our own fields as name=value; json: one object a line.",
            r#""json""#,
        ),
    ],
};

/// `[workers]`
pub(super) static WORKERS: Spec = Spec {
    header: "[workers]",
    doc: "Threads. Workers serve clients and never wait; fetchers wait for origins.",
    keys: &[
        key("count", Kind::Number(0, 1024), Value("0"), "Worker threads; 0 is one a core.", "4"),
        key(
            "fetchers",
            Kind::Number(1, 16384),
            Value("512"),
            "Most fetcher threads, each with one fetch; started on demand.",
            "1024",
        ),
        key(
            "max_fetches",
            Kind::Number(1, 16384),
            Value("128"),
            "Most fetches that one site may have under way, so that a hung origin leaves room for the others.",
            "64",
        ),
        key(
            "fetch_queue",
            Kind::Number(0, 1_000_000),
            Value("1024"),
            "Most fetches that one site may have waiting; beyond it clients get stale content or a 503.",
            "4096",
        ),
    ],
};

/// `[limits]`
pub(super) static LIMITS: Spec = Spec {
    header: "[limits]",
    doc: "What a client may send and how long it may take.",
    keys: &[
        key("request_line", SMALL, Value("16KiB"), "Longest request line; beyond it 414.", r#""8KiB""#),
        key("request_head", SMALL, Value("32KiB"), "Largest request head; beyond it 431.", r#""64KiB""#),
        key("request_fields", Kind::Number(8, 128), Value("100"), "Most header fields; beyond it 431.", "128"),
        key(
            "request_body",
            Kind::Size(0, 64 * TIB),
            Value("1GiB"),
            "Largest request body; beyond it 413. A site may set its own.",
            r#""64MiB""#,
        ),
        key(
            "body_in_memory",
            Kind::Size(0, 256 * MIB),
            Value("256KiB"),
            "Request bodies beyond this go to a temporary file on their way to the origin.",
            r#""1MiB""#,
        ),
        key(
            "connections",
            Kind::Number(1, 10_000_000),
            Value("60000"),
            "Most client connections at once, as far as descriptors allow; beyond it new ones wait to be accepted.",
            "10000",
        ),
        key(
            "connections_per_address",
            Kind::Number(0, 10_000_000),
            Value("0"),
            "Most connections of one client address at once, of one /64 network with IPv6; beyond it new ones are closed, \
             those that are there stay; 0 is no limit.",
            "100",
        ),
        key(
            "requests_per_connection",
            Kind::Number(0, 1_000_000_000),
            Value("0"),
            "Requests after which a connection is closed; 0 is no limit.",
            "1000",
        ),
        key(
            "head_timeout",
            Kind::Duration,
            Value("10s"),
            "Time for a whole request head, from its first byte; then 408. A new connection has no longer for that byte.",
            r#""5s""#,
        ),
        key(
            "handshake_timeout",
            Kind::Duration,
            Value("10s"),
            "Time for a whole TLS handshake; then the connection is closed.",
            r#""5s""#,
        ),
        key(
            "idle_timeout",
            Kind::Duration,
            Value("60s"),
            "How long a connection stays open on which no byte of a request comes.",
            r#""75s""#,
        ),
        key(
            "upload_rate",
            Kind::Size(0, MIB),
            Value("256"),
            "Least bytes a second of a request body, over 20 seconds; then 408. With 0 one byte in that time will do.",
            "1024",
        ),
        key(
            "write_stall",
            Kind::Duration,
            Value("60s"),
            "How long a client may take no byte of its response; then the connection is closed.",
            r#""30s""#,
        ),
        key(
            "download_rate",
            Kind::Size(0, MIB),
            Value("0"),
            "Least bytes a second that a client must take of its response, over 60 seconds in which it is there; else the \
             connection is closed; 0 is off.",
            "256",
        ),
        key(
            "shutdown_timeout",
            Kind::Duration,
            Value("30s"),
            "How long a stop waits for exchanges under way.",
            r#""2m""#,
        ),
    ],
};

/// `[state]`
pub(super) static STATE: Spec = Spec {
    header: "[state]",
    doc: "What outlives the process: the failure ledger (millpond failures).",
    keys: &[key(
        "dir",
        Kind::Text,
        Means("none: it is kept in memory and forgotten at the end"),
        "Folder for it, one for each Millpond; made where it is missing. If it cannot be written, that is a warning.",
        r#""/var/lib/millpond""#,
    )],
};

/// `[debug]`
pub(super) static DEBUG: Spec = Spec {
    header: "[debug]",
    doc: "Who may see why a fetch failed.",
    keys: &[key(
        "token",
        Kind::Text,
        Means("none: local clients alone, and all of a site with expose_errors"),
        "Who sends it in X-Millpond-Debug sees the details of errors; the origin never gets it. At least 16 characters.",
        r#""4f6e65206f662061206b696e642e2e2e""#,
    )],
};

/// A request line or head.
const SMALL: Kind = Kind::Size(KIB, MIB);
