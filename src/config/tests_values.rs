//! Bad values, one at a time, and the exact line that each gets.
//!
//! The tables are texts: what is written in the file, then, indented, the problem that it must give.

use std::path::Path;

use super::{Config, Problem};

/// The rows of a table: what is written, and what it gets.
fn rows(table: &str) -> Vec<(&str, String)> {
    let mut rows: Vec<(&str, String)> = Vec::new();
    for line in table.lines() {
        match (line.strip_prefix("    "), rows.last_mut()) {
            (Some(more), Some((_, expected))) if expected.is_empty() => *expected = more.to_owned(),
            (Some(more), Some((_, expected))) => *expected += &format!(" {more}"),
            _ if line.is_empty() => {}
            _ => rows.push((line, String::new())),
        }
    }
    rows
}

fn show(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// The file has this one problem.
#[track_caller]
fn check(text: &str, expected: &str) {
    let problems = Config::parse(text, Path::new("m.toml")).expect_err(text);
    assert_eq!(show(&problems), format!("{expected}\n"), "\n{text}");
}

#[test]
fn wrong_types_say_what_to_write() {
    let site = "[[site]]\ndomains = [\"a.example\"]\n[site.origin]\nservers = [\"o.example\"]";
    for (written, expected) in rows(WRONG_TYPES) {
        let (header, line) = written.split_once(' ').unwrap();
        check(&format!("{header}\n{line}\n{site}"), &format!("m.toml:2: {expected}"));
    }
}

#[test]
fn sites_are_checked() {
    for (line, expected) in rows(SITES) {
        let domains = if line.starts_with("domains") { "default = false" } else { "domains = [\"a.example\"]" };
        let text = format!("[[site]]\n{line}\n{domains}\n[site.origin]\nservers = [\"o.example\"]");
        check(&text, &format!("m.toml:2: site[1].{expected}"));
    }
}

#[test]
fn origins_are_checked() {
    for (line, expected) in rows(ORIGINS) {
        let servers = if line.starts_with("servers") { "" } else { "\nservers = [\"o.example\"]" };
        let protocol = if line.starts_with("protocol") { "" } else { "\nprotocol = \"https\"" };
        let text = format!("[[site]]\ndomains = [\"a.example\"]\n[site.origin]\n{line}{servers}{protocol}");
        check(&text, &format!("m.toml:4: site[1].origin.{expected}"));
    }
}

#[test]
fn ports_are_not_doubted_where_the_protocol_could_not_be_read() {
    check(
        "[[site]]\ndefault = true\n[site.origin]\nservers = [\"o.example:8443\"]\nprotocol = \"tls\"\nports.http = 80",
        "m.toml:5: site[1].origin.protocol: \"tls\" is not a choice here; write \"http\" or \"https\" or \"follow\"",
    );
}

#[test]
fn an_origin_url_that_will_not_do_says_why() {
    for (url, expected) in rows(URLS) {
        let problem = Config::for_origin(url, "127.0.0.1:8080".parse().unwrap(), false).unwrap_err();
        assert_eq!(problem.to_string(), expected);
    }
}

const WRONG_TYPES: &str = r#"
[log] format = "jsn"
    log.format: "jsn" is not a choice here; did you mean "json"?
[log] format = 1
    log.format: this must be "combined" or "json", not the number 1; write "combined" or "json"
[log] access = ""
    log.access: the text is empty; write a value, or leave the key out
[workers] count = "4"
    workers.count: this must be a whole number from 0 to 1024, not the text "4"; write a plain number, without
    quotes
[workers] count = -1
    workers.count: -1 is negative; write a plain number, without quotes
[workers] count = 1.5
    workers.count: this must be a whole number from 0 to 1024, not the number 1.5; write a plain number, without
    quotes
[workers] count = 0xFFFFFFFFFFFFFFFFF
    workers.count: FFFFFFFFFFFFFFFFF is too large; write a plain number, without quotes
[cache] memory = true
    cache.memory: this must be a size, not true; write "256MiB", "64KiB", "1GiB" or a number of bytes
[cache] memory = "1KiB"
    cache.memory: 1KiB is too small; anything from 1MiB to 64TiB will do
[cache] max_response = "0%"
    cache.max_response: "0%" is not a share; write "1%" to "100%", or a size such as "8MiB"
[cache] max_response = "1GiB"
    cache.max_response: 1GiB is more than memory, 256MiB; write a share of it, such as "10%"
[cache] max_response = 0
    cache.max_response: nothing would ever be stored; write a share of memory, such as "10%"
[limits] idle_timeout = "0s"
    limits.idle_timeout: "0s" is no time at all; write "30s", "250ms", "5m" or "1h"
[limits] idle_timeout = "-5s"
    limits.idle_timeout: "-5s" is not a duration; write a whole number and ms, s, m, h or d, for example "30s"
[limits] idle_timeout = 1979-05-27
    limits.idle_timeout: this must be a duration, not a date; write "30s", "250ms", "5m" or "1h"
[limits] request_line = "64KiB"
    limits.request_line: request_line, 64KiB, is more than request_head, 32KiB; the head holds the request line: write
    request_line = "32KiB" or less
[limits] request_head = "8KiB"
    limits.request_head: request_line, 16KiB, is more than request_head, 8KiB; the head holds the request line: write
    request_line = "8KiB" or less
[limits] request_fields = 0
    limits.request_fields: 0 is too small; anything from 8 to 128 will do
[limits] request_body = "1G"
    limits.request_body: "1G" is not a size; write a number and KiB, MiB or GiB, for example "256MiB"
[limits] connections = "many"
    limits.connections: this must be a whole number from 1 to 10000000, not the text "many"; write a plain number,
    without quotes
[limits] connections = 0
    limits.connections: 0 is too small; anything from 1 to 10000000 will do
[limits] requests_per_connection = 9999999999
    limits.requests_per_connection: 9999999999 is too large; anything from 0 to 1000000000 will do
[limits] handshake_timeout = "10M"
    limits.handshake_timeout: "10M" is not a duration; write a whole number and ms, s, m, h or d, for example "30s"
[limits] head_timeout = "400d"
    limits.head_timeout: "400d" is more than a year; write a whole number and ms, s, m, h or d, for example "30s"
[limits] upload_rate = "1GiB"
    limits.upload_rate: 1GiB is too large; anything from 0B to 1MiB will do
[limits] write_stall = 0
    limits.write_stall: 0 is no time at all; write "30s", "250ms", "5m" or "1h"
[limits] colour = 1
    limits.colour: there is no such key; known here: request_line, request_head, request_fields, request_body,
    body_in_memory, connections, connections_per_address, requests_per_connection, head_timeout, handshake_timeout,
    idle_timeout, upload_rate, write_stall, download_rate, shutdown_timeout
[listen] http = 8080
    listen.http: this must be a text or a list of texts, not the number 8080; write "one", or ["one", "two"]
[listen] http = []
    listen.http: no address to listen on; write http = "127.0.0.1:8080", or leave [listen] out
[listen] http = [8080]
    listen.http[1]: an item here must be a text, not the number 8080
[listen] http = "localhost"
    listen.http: "localhost" is not an IP address with a port; write an address and a port: "127.0.0.1:8080",
    "[::]:443"
[listen] http = ["[::1]:80", "[::1]:80"]
    listen.http[2]: [::1]:80 is listened on twice; remove one of them
"#;

const SITES: &str = r#"
domains = "b.example"
    domains: this must be a list; write domains = ["b.example"]
domains = []
    domains: the list is empty; name a domain, or set default = true
domains = ["https://b.example"]
    domains[1]: "https://b.example" is more than a name; write the name alone, without scheme and path
domains = ["b.example:443"]
    domains[1]: "b.example:443" has a port; write the name alone; ports stand under [listen] or in servers
domains = ["b.*.example"]
    domains[1]: "b.*.example" has its * in the wrong place; * stands for whole labels at the left: *.example.com
domains = ["b..example"]
    domains[1]: "b..example" has an empty label; two dots in a row, or one at an end, are a slip
domains = ["-b.example"]
    domains[1]: "-b.example" has a hyphen at the end of a label; labels begin and end with a letter or digit
domains = ["b example"]
    domains[1]: "b example" has ' ' in it; a name has letters, digits, hyphens and dots
domains = ["10.0.0.256"]
    domains[1]: "10.0.0.256" is neither a name nor an IP address; an IPv4 address has four numbers up to 255
domains = ["b\u0000"]
    domains[1]: "b\0" has '\0' in it; a name has letters, digits, hyphens and dots
domains = ["b.example", "B.example."]
    domains[2]: "b.example" is claimed twice: here and as site[1].domains[1] in line 2; a name belongs to one site;
    remove one of them
share_domains = true
    share_domains: without origin.host the origin's answer may differ by name; set host under [site.origin], so that
    all names are asked for alike
default = "yes"
    default: this must be true or false, not the text "yes"; write true or false, without quotes
client_cache_control = "honor"
    client_cache_control: "honor" is not a choice here; did you mean "honour"?
max_fetches = 0
    max_fetches: 0 is too small; anything from 1 to 16384 will do
role = "backup"
    role: there is no such key; `role` belongs in servers = [{ … }]
"#;

const ORIGINS: &str = r#"
retries = 11
    retries: 11 is too large; anything from 0 to 10 will do
retry_on = 503
    retry_on: this must be a list; write retry_on = [503]
retry_on = [200]
    retry_on[1]: 200 is too small; anything from 400 to 599 will do
retry_on = [502, "503"]
    retry_on[2]: an item here must be a number, not the text "503"
retry_on = "503"
    retry_on: this must be a list of whole numbers from 400 to 599, not the text "503"; write [400, 599], without quotes
tls_min = "1.1"
    tls_min: "1.1" is not a choice here; did you mean "1.2"?
client_certificate = { certificate = "c.pem" }
    client_certificate: `key` is missing: a certificate comes with its key; add key = "client.key"
health = { status = [200] }
    health: `path` is missing: a check asks for a path; add path = "/healthz"
health = { path = "healthz" }
    health.path: "healthz" is no path; write "/healthz": a slash, then visible ASCII
health = { path = "/", status = [] }
    health.status: no status means healthy; write [200]
servers = []
    servers: the list is empty; name at least one origin server
servers = "o.example"
    servers: this must be a list; write servers = ["o.example"]
servers = [7]
    servers[1]: an item here must be a text or a table, not the number 7
servers = ["o.example/path"]
    servers[1]: "o.example/path" has a path; write "o.example"; requests keep the path that the client asked for
servers = ["o.example:99999"]
    servers[1]: "o.example:99999" has no port behind its colon; ports go from 1 to 65535
servers = ["[::1"]
    servers[1]: "[::1" lacks its closing bracket; write "[2001:db8::1]:443"
servers = [""]
    servers[1]: the name is empty; write a name such as "www.example.com"
servers = [{ role = "backup" }]
    servers[1]: `address` is missing: every server has one; add address = "192.0.2.7:8443"
servers = [{ address = "o.example", wight = 2 }]
    servers[1].wight: there is no such key; did you mean `weight`?
servers = [{ address = "o.example", sni = "*.a.example" }]
    servers[1].sni: "*.a.example" is a wildcard; an SNI is one whole name; patterns go into common_name_whitelist
servers = ["127.0.0.1:8080"]
    servers[1]: the origin would be Millpond itself, which listens on 127.0.0.1:8080; name the server that has the
    content, or listen on another port
servers = ["localhost:8080"]
    servers[1]: the origin would be Millpond itself, which listens on 127.0.0.1:8080; name the server that has the
    content, or listen on another port
servers = ["0.0.0.0:8080"]
    servers[1]: the origin would be Millpond itself, which listens on 127.0.0.1:8080; name the server that has the
    content, or listen on another port
sni = "a.example:443"
    sni: "a.example:443" has a port; write "a.example"; the port stands in servers or ports
sni = "[::1]"
    sni: "[::1]" is an IP address; an SNI is a name that the origin's certificate bears, for example the accelerated
    domain
host = "https://a.example"
    host: "https://a.example" is a URL, not a Host; write the name alone
host = "a.example\r\nX: 1"
    host: "a.example\r\nX: 1" has no port behind its colon; ports go from 1 to 65535
host = "a b"
    host: "a b" has ' ' in it; a name has letters, digits, hyphens and dots
common_name_whitelist = ["*.com"]
    common_name_whitelist[1]: "*.com" would accept a whole top-level domain; name at least two labels behind the *:
    *.example.com
common_name_whitelist = ["a*.example.com"]
    common_name_whitelist[1]: "a*.example.com" has its * in the wrong place; * stands for one whole label at the
    left: *.example.com
common_name_whitelist = ["*.*.example.com"]
    common_name_whitelist[1]: "*.*.example.com" has its * in the wrong place; * stands for one whole label at the
    left: *.example.com
certificate_names = "none"
    certificate_names: "none" is not a choice here; write "san" or "san-or-cn" or "cn"
protocol = "HTTPS"
    protocol: "HTTPS" is not a choice here; did you mean "https"?
pin = ["9f86"]
    pin[1]: "9f86" does not begin with sha256:; write "sha256:" and the 64 hexadecimal digits of `openssl x509
    -noout -fingerprint -sha256`
pin = ["sha256:9f"]
    pin[1]: "sha256:9f" has 2 hexadecimal digits, not 64; write "sha256:" and the 64 hexadecimal digits of `openssl
    x509 -noout -fingerprint -sha256`
pin = ["sha256:9g"]
    pin[1]: "sha256:9g" has something other than hexadecimal digits; write "sha256:" and the 64 hexadecimal digits
    of `openssl x509 -noout -fingerprint -sha256`
ports = { http = 0 }
    ports.http: 0 is too small; anything from 1 to 65535 will do
ports = { https = 65536 }
    ports.https: 65536 is too large; anything from 1 to 65535 will do
ports = 80
    ports: this must be a table, not the number 80; write { key = value }
compression = "gzip"
    compression: there is no such key; known here: servers, protocol, ports, host, sni, common_name_whitelist,
    certificate_names, trust, pin, client_certificate, tls_min, retries, retry_on, max_connections, follow_redirects,
    request, timeouts, health
timeouts = { total = "0s", connect = "0s" }
    timeouts.connect: "0s" is no time at all; write "30s", "250ms", "5m" or "1h"
"#;

const URLS: &str = r#"
origin.example
    --origin: "origin.example" lacks http:// or https://; write http://HOST, https://HOST or https://HOST:PORT
ftp://o.example
    --origin: "ftp" is no scheme of an origin; write http://HOST, https://HOST or https://HOST:PORT
https://
    --origin: "https://" has no host; write http://HOST, https://HOST or https://HOST:PORT
https://o.example/a
    --origin: "https://o.example/a" has a path or a query; write https://o.example; requests keep the path that the
    client asked for
https://o.example?a
    --origin: "https://o.example?a" has a path or a query; write https://o.example; requests keep the path that the
    client asked for
https://u:p@o.example
    --origin: the URL has a user name; an origin is asked without one: write only the host
https://o.example:x
    --origin: "o.example:x" has no port behind its colon; ports go from 1 to 65535
http://127.0.0.1:8080
    --origin: the origin would be Millpond itself, which listens on 127.0.0.1:8080; name the server that has the
    content, or listen on another port
"#;
