//! Good files: what they mean, their defaults, and the doubts that they raise.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

const SITE: &str = "[[site]]\ndomains = [\"a.example\"]\n[site.origin]\nservers = [\"o.example\"]\n";

#[track_caller]
fn parse(text: &str) -> Config {
    Config::parse(text, Path::new("/etc/millpond/m.toml"))
        .map_err(|problems| problems.iter().map(|problem| format!("{problem}\n")).collect::<String>())
        .unwrap()
}

/// The doubts that a good file raises, without the name of the file.
#[track_caller]
fn check_warnings(text: &str, expected: &[&str]) {
    let found: Vec<String> =
        parse(text).warnings().iter().map(|warning| warning.to_string().replace("/etc/millpond/", "")).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_smallest_file_gets_every_default() {
    let config = parse(SITE);
    assert_eq!(config.listen, Listen { http: vec![SocketAddr::from(([127, 0, 0, 1], 8080))], https: vec![] });
    assert_eq!(
        config.cache,
        CacheConfig {
            memory: 256 << 20,
            max_response: (256 << 20) / 10,
            temp_dir: "/var/tmp".into(),
            spill_max: 1 << 30
        }
    );
    assert_eq!(
        config.workers,
        Workers { count: config.workers.count, fetchers: 512, max_fetches: 128, fetch_queue: 1024 }
    );
    assert!(config.workers.count >= 1);
    assert_eq!(
        config.limits,
        Limits {
            request_line: 16 << 10,
            request_head: 32 << 10,
            request_fields: 100,
            request_body: 1 << 30,
            body_in_memory: 256 << 10,
            connections: 60_000,
            connections_per_address: 0,
            requests_per_connection: 0,
            head_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            upload_rate: 256,
            write_stall: Duration::from_secs(60),
            download_rate: 0,
            shutdown_timeout: Duration::from_secs(30),
        }
    );
    assert_eq!(config.log, LogConfig { format: LogFormat::Combined, access: None });
    assert_eq!(config.state.dir, None);
    assert_eq!(config.warnings(), []);
    assert_eq!(config.path, None);
}

#[test]
fn the_smallest_site_gets_every_default() {
    let config = parse(SITE);
    let [site] = config.sites.as_slice() else { panic!("one site") };
    assert_eq!((site.name.as_str(), site.is_default, &site.https), ("a.example", false, &None));
    assert_eq!((site.request_body, site.max_fetches), (None, None));
    assert!(!(site.share_schemes || site.share_domains || site.expose_errors || site.force_https));
    assert_eq!(site.rules, crate::policy::Rules::default());
    let seconds = Duration::from_secs;
    assert_eq!(
        site.origin,
        OriginConfig {
            servers: vec![ServerConfig {
                name: "o.example".into(),
                port: None,
                role: Role::Primary,
                weight: 1,
                host: None,
                sni: None
            }],
            protocol: None,
            http_port: None,
            https_port: None,
            host: None,
            sni: None,
            common_name_whitelist: vec![],
            certificate_names: CertificateNames::SanOrCn,
            trust: Trust::System,
            pin: vec![],
            follow_redirects: 0,
            request: crate::policy::edits::RequestEdits::default(),
            timeouts: Timeouts {
                resolve: seconds(5),
                connect: seconds(3),
                tls_handshake: seconds(5),
                first_byte: seconds(30),
                between_bytes: seconds(30),
                head: seconds(60),
                total: Duration::ZERO,
                min_rate: 0,
            },
            client_certificate: None,
            tls_min: TlsMin::Tls12,
            retries: 2,
            retry_on: vec![502, 503, 504],
            max_connections: 0,
            health: None,
        }
    );
}

/// A file with something in every corner.
const FULL: &str = r#"
[listen]
http = ["0.0.0.0:80", "[::1]:80"]
https = "0.0.0.0:443"
[cache]
memory = "1GiB"
max_response = "8MiB"
temp_dir = "spill"
[workers]
count = 3
[log]
access = "access.log"
format = "json"
[state]
dir = "state"
[[site]]
domains = ["IMG.example.", "*.static.example", "2001:DB8:0::1"]
share_domains = true
store_set_cookie = true
client_cache_control = "ignore"
range_fetch = "whole"
request_body = "1MiB"
max_fetches = 7
[site.https]
certificate = "c.pem"
key = "/keys/k.pem"
[site.origin]
servers = [
    "O.example:8443",
    { address = "[::1]:9000", role = "backup", weight = 3, host = "H.example:1", sni = "S.example" },
    "2001:db8::2",
]
protocol = "follow"
ports = { http = 8080, https = 8443 }
host = "Img.example"
common_name_whitelist = ["*.OSS.example.net"]
certificate_names = "cn"
trust = "ca.pem"
pin = ["sha256:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"]
timeouts = { connect = "250ms", total = "5m", min_rate = "1KiB" }
client_certificate = { certificate = "client.pem", key = "/keys/client.key" }
tls_min = "1.3"
retries = 0
retry_on = [500, 503]
max_connections = 9
[site.origin.health]
path = "/healthz?deep"
status = [200, 204]
interval = "3s"
host = "H.example:1"
[[site]]
default = true
range_fetch = "slices"
slice_size = "256KiB"
[site.origin]
servers = ["192.0.2.1"]
"#;

#[test]
fn every_setting_arrives_where_it_belongs() {
    let config = parse(FULL);
    assert_eq!((config.listen.http.len(), config.listen.https.len()), (2, 1));
    assert_eq!(config.cache.max_response, 8 << 20);
    assert_eq!(config.cache.temp_dir, PathBuf::from("/etc/millpond/spill"));
    assert_eq!(config.workers.count, 3);
    assert_eq!(config.log.access, Some("/etc/millpond/access.log".into()));
    assert_eq!(config.state.dir, Some("/etc/millpond/state".into()));
    let [site, other] = config.sites.as_slice() else { panic!("two sites") };
    assert_eq!(site.domains, ["img.example", "*.static.example", "[2001:db8::1]"]);
    assert!(site.share_domains && site.rules.store_set_cookie && site.rules.ignore_client_cache_control);
    assert_eq!((site.request_body, site.max_fetches), (Some(1 << 20), Some(7)));
    assert_eq!((site.range_fetch, site.slice_size), (RangeFetch::Whole, 1 << 20));
    assert_eq!((other.range_fetch, other.slice_size), (RangeFetch::Slices, 256 << 10));
    let https = site.https.as_ref().unwrap();
    assert_eq!(https, &HttpsConfig { certificate: "/etc/millpond/c.pem".into(), key: "/keys/k.pem".into() });
    assert_eq!((other.name.as_str(), other.is_default), ("default", true));
}

#[test]
fn every_setting_of_an_origin_arrives_where_it_belongs() {
    let config = parse(FULL);
    let origin = &config.sites[0].origin;
    let server = |name: &str, port| ServerConfig {
        name: name.into(),
        port,
        role: Role::Primary,
        weight: 1,
        host: None,
        sni: None,
    };
    let backup = ServerConfig {
        role: Role::Backup,
        weight: 3,
        host: Some("h.example:1".into()),
        sni: Some("s.example".into()),
        ..server("::1", Some(9000))
    };
    assert_eq!(origin.servers, [server("o.example", Some(8443)), backup, server("2001:db8::2", None)]);
    assert_eq!((origin.http_port, origin.https_port), (Some(8080), Some(8443)));
    assert_eq!(origin.host.as_deref(), Some("img.example"));
    assert_eq!(origin.common_name_whitelist, ["*.oss.example.net"]);
    assert_eq!(origin.certificate_names, CertificateNames::Cn);
    assert_eq!(origin.trust, Trust::File("/etc/millpond/ca.pem".into()));
    assert_eq!(origin.pin, [[0x0f; 32]]);
    assert_eq!(origin.timeouts.connect, Duration::from_millis(250));
    assert_eq!(origin.timeouts.total, Duration::from_secs(300));
    assert_eq!(origin.timeouts.min_rate, 1024);
    let paths = ClientCertificate { certificate: "/etc/millpond/client.pem".into(), key: "/keys/client.key".into() };
    assert_eq!((origin.client_certificate.as_ref(), origin.tls_min), (Some(&paths), TlsMin::Tls13));
    assert_eq!((origin.retries, origin.max_connections), (0, 9));
    assert_eq!(origin.retry_on, [500, 503]);
    let health = HealthCheck {
        path: "/healthz?deep".into(),
        status: vec![200, 204],
        interval: Duration::from_secs(3),
        timeout: Duration::from_secs(5),
        host: Some("h.example:1".into()),
        failures: 3,
        successes: 2,
    };
    assert_eq!(origin.health, Some(health));
}

#[test]
fn one_listener_given_means_only_that_one() {
    let config = parse(&format!("[listen]\nhttps = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\n{SITE}"));
    assert_eq!((config.listen.http.len(), config.listen.https.len()), (0, 2));
}

#[test]
fn ports_that_hardly_mean_what_they_say_are_doubted() {
    for (origin, expected) in [
        (
            "servers = [\"o.example:8443\"]",
            Some(
                "servers[1]: without protocol, port 8443 means plain HTTP; set protocol = \"https\" if it speaks \
                 TLS, protocol = \"http\" if not",
            ),
        ),
        ("servers = [\"o.example:443\"]", None),
        ("servers = [\"o.example:80\"]", None),
        ("servers = [\"o.example:8443\"]\nprotocol = \"https\"", None),
        (
            "servers = [\"o.example:80\"]\nprotocol = \"https\"",
            Some(
                "servers[1]: protocol is https, but 80 is the port of plain HTTP; leave the port out (443), or set \
                 protocol = \"http\"",
            ),
        ),
        (
            "servers = [\"o.example:443\"]\nprotocol = \"http\"",
            Some(
                "servers[1]: protocol is http, but 443 is the port of HTTPS; leave the port out (80), or set \
                 protocol = \"https\"",
            ),
        ),
        (
            "servers = [\"o.example:9000\"]\nprotocol = \"follow\"",
            Some(
                "servers[1]: protocol is follow, but http and https both go to port 9000; give both ports: ports = { \
                 http = 80, https = 443 }",
            ),
        ),
        ("servers = [\"o.example:9000\"]\nprotocol = \"follow\"\nports = { http = 9001 }", None),
        (
            "ports = { http = 8080 }\nservers = [\"o.example\"]",
            Some(
                "ports: custom ports count only where protocol is set; set protocol = \"http\", \"https\" or \
                 \"follow\", or put the port behind the server's name",
            ),
        ),
        (
            "servers = [\"a.example\"]",
            Some(
                "servers[1]: \"a.example\" is the accelerated domain itself: once its DNS leads here, fetches loop; \
                 name the origin server by another name or by its address, and set host to the domain",
            ),
        ),
    ] {
        let expected: Vec<String> =
            expected.iter().map(|words| format!("m.toml:4: warning: site[1].origin.{words}")).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check_warnings(&format!("[[site]]\ndomains = [\"a.example\"]\n[site.origin]\n{origin}"), &expected);
    }
}

#[test]
fn https_with_one_half_missing_is_doubted() {
    check_warnings(
        &format!("[listen]\nhttps = \"127.0.0.1:8443\"\n{SITE}"),
        &[
            "m.toml:2: warning: listen.https: no site has a certificate, so every handshake will fail; add [site.https] \
           with certificate and key to a site",
        ],
    );
    check_warnings(
        &format!("{SITE}[site.https]\ncertificate = \"c.pem\"\nkey = \"k.pem\""),
        &["m.toml:5: warning: site[1].https: this certificate is never shown: nothing listens for https; add https = \
           \"0.0.0.0:443\" under [listen]"],
    );
    check_warnings(
        &SITE.replacen('\n', "\nforce_https = true\n", 1),
        &[
            "m.toml:2: warning: site[1].force_https: clients are sent to https, where this site has no certificate; add \
           [site.https] with certificate and key",
        ],
    );
}

#[test]
fn an_origin_url_is_a_whole_configuration() {
    // (URL, keep the client's Host) → (server, port), Host, SNI, destination's port, TLS
    type Expected = (&'static str, Option<u16>, Option<&'static str>, Option<&'static str>, u16, bool);
    let rows: &[(&str, bool, Expected)] = &[
        ("https://O.example", false, ("o.example", None, Some("o.example"), Some("o.example"), 443, true)),
        ("https://o.example/", true, ("o.example", None, None, Some("o.example"), 443, true)),
        ("HTTP://o.example:80", false, ("o.example", None, Some("o.example"), Some("o.example"), 80, false)),
        (
            "https://o.example:8443",
            false,
            ("o.example", Some(8443), Some("o.example:8443"), Some("o.example"), 8443, true),
        ),
        ("http://127.0.0.1:9000", false, ("127.0.0.1", Some(9000), Some("127.0.0.1:9000"), None, 9000, false)),
        ("https://[::1]", true, ("::1", None, None, None, 443, true)),
        ("http://[::1]:81", false, ("::1", Some(81), Some("[::1]:81"), None, 81, false)),
    ];
    for (url, keep_host, (name, port, host, sni, to_port, is_tls)) in rows {
        let config = Config::for_origin(url, "127.0.0.1:8080".parse().unwrap(), *keep_host).unwrap();
        let site = config.router().find("any.example").cloned().unwrap();
        let (origin, server) = (&site.origin, &site.origin.servers[0]);
        assert_eq!((server.name.as_str(), server.port), (*name, *port), "{url}");
        assert_eq!((origin.host.as_deref(), origin.sni.as_deref()), (*host, *sni), "{url}");
        let expected = Destination { name: (*name).into(), port: *to_port, is_tls: *is_tls };
        assert_eq!(origin.destination(server, false), expected, "{url}");
        assert_eq!(config.warnings(), [], "{url}");
    }
}

#[test]
fn the_doubts_about_an_origin_url_name_the_argument() {
    let config = Config::for_origin("https://o.example:80", "127.0.0.1:8080".parse().unwrap(), false).unwrap();
    assert_eq!(
        config.warnings()[0].to_string(),
        "warning: --origin: protocol is https, but 80 is the port of plain HTTP; leave the port out (443), or set \
         protocol = \"http\""
    );
}
