//! How an origin is spoken to: protocol policy and ports, Host and SNI, and that clients' HTTPS says nothing about it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::pop::{https_table, site_at, trust};
use support::{Certificates, Client, Origin, OriginTls, Pop, Reply, Response};

/// A plain origin and a TLS one, each naming itself, and the name `a.test` for clients.
struct Stage {
    certificates: Certificates,
    plain: Origin,
    tls: Origin,
}

impl Stage {
    fn new() -> Stage {
        let certificates = Certificates::new();
        let names = ["a.test", "b.test", "h.test", "s.test", "x.wild.test"];
        let identity = certificates.identity(&names);
        let plain = Origin::plain(|_| Reply::ok("plain"));
        let tls = Origin::tls(OriginTls::new(&identity), |_| Reply::ok("tls"));
        Stage { certificates, plain, tls }
    }

    /// A POP for a.test with both listeners; PLAIN and TLS in the lines stand for the origins' ports.
    fn pop(&self, server: &str, of_origin: &str) -> Pop {
        let ports = |text: &str| {
            text.replace("PLAIN", &self.plain.port().to_string()).replace("TLS", &self.tls.port().to_string())
        };
        let of_origin = ports(of_origin) + "\n" + &trust(&self.certificates);
        let https = https_table(&self.certificates.identity(&["a.test"]));
        Pop::start_with_https(&(site_at("a.test", &ports(server), "", &of_origin) + &https))
    }

    /// What a plain client and an HTTPS client get.
    fn both(&self, pop: &Pop) -> [Response; 2] {
        let mut secure = Client::tls(pop.https(), &self.certificates.roots(), "a.test");
        [pop.get("/x"), secure.get("a.test", "/x")]
    }
}

#[test]
fn the_policy_and_the_ports_decide_how_the_origin_is_spoken_to() {
    let stage = Stage::new();
    let ports = "ports = { http = PLAIN, https = TLS }";
    let rows = [
        // server, lines, to a plain client, to an HTTPS client
        ("127.0.0.1", format!("protocol = \"http\"\n{ports}"), "plain", "plain"),
        ("127.0.0.1", format!("protocol = \"https\"\n{ports}"), "tls", "tls"),
        ("127.0.0.1", format!("protocol = \"follow\"\n{ports}"), "plain", "tls"),
        ("127.0.0.1:PLAIN", "protocol = \"http\"".into(), "plain", "plain"),
        ("127.0.0.1:TLS", "protocol = \"https\"".into(), "tls", "tls"),
        // The custom port goes before the server's own.
        ("127.0.0.1:TLS", format!("protocol = \"http\"\n{ports}"), "plain", "plain"),
        ("127.0.0.1:PLAIN", format!("protocol = \"https\"\n{ports}"), "tls", "tls"),
        // No policy: the port decides, and every port but 443 means plain HTTP, whatever the client speaks.
        ("127.0.0.1:PLAIN", String::new(), "plain", "plain"),
    ];
    for (server, lines, to_plain, to_secure) in rows {
        let pop = stage.pop(server, &lines);
        let bodies = stage.both(&pop).map(|response| response.text());
        assert_eq!(bodies, [to_plain, to_secure], "{server} with {lines}");
    }
}

#[test]
fn without_a_policy_a_port_other_than_443_is_asked_in_plain_http_even_if_it_speaks_tls() {
    let stage = Stage::new();
    for response in stage.both(&stage.pop("127.0.0.1:TLS", "")) {
        assert_eq!(response.status, 502);
        assert!(response.field("proxy-status").unwrap().contains("error=http_protocol_error"), "{response:?}");
    }
    assert_eq!(stage.tls.count(), 0);
}

#[test]
fn what_clients_speak_shows_in_x_forwarded_proto_alone() {
    let stage = Stage::new();
    let pop = stage.pop("127.0.0.1:PLAIN", "");
    stage.both(&pop);
    let told: Vec<_> =
        stage.plain.requests().iter().map(|r| r.field("x-forwarded-proto").unwrap().to_owned()).collect();
    assert_eq!(told, ["http", "https"]);
}

#[test]
fn host_and_sni_follow_the_settings_and_default_to_the_name_asked_for() {
    let stage = Stage::new();
    let rows = [
        // lines, Host, SNI
        ("", "a.test", "a.test"),
        ("host = \"h.test\"", "h.test", "h.test"),
        ("host = \"h.test:8443\"", "h.test:8443", "h.test"),
        ("sni = \"s.test\"", "a.test", "s.test"),
        ("host = \"h.test\"\nsni = \"s.test\"", "h.test", "s.test"),
    ];
    for (index, (lines, host, sni)) in rows.into_iter().enumerate() {
        let pop = stage.pop("127.0.0.1:TLS", &format!("protocol = \"https\"\n{lines}"));
        assert_eq!(pop.get("/x").text(), "tls", "{lines}");
        let seen = &stage.tls.requests()[index];
        assert_eq!((seen.field("host"), seen.sni.as_deref()), (Some(host), Some(sni)), "{lines}");
    }
}

#[test]
fn a_server_may_have_a_host_and_a_name_of_its_own() {
    let stage = Stage::new();
    let table = format!("{{ address = \"127.0.0.1:{}\", host = \"h.test\", sni = \"s.test\" }}", stage.tls.port());
    let toml = format!(
        "[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [{table}]\nprotocol = \"https\"\nsni = \"b.test\"\n{}",
        trust(&stage.certificates)
    );
    assert_eq!(Pop::start(&toml).get("/x").text(), "tls");
    let seen = &stage.tls.requests()[0];
    assert_eq!((seen.field("host"), seen.sni.as_deref()), (Some("h.test"), Some("s.test")));
}

#[test]
fn a_wildcard_site_asks_for_the_concrete_name() {
    let stage = Stage::new();
    let lines = format!("protocol = \"https\"\n{}", trust(&stage.certificates));
    let server = format!("127.0.0.1:{}", stage.tls.port());
    let pop = Pop::start(&site_at("*.wild.test", &server, "", &lines));
    assert_eq!(pop.client().get("X.wild.test", "/x").text(), "tls");
    let seen = &stage.tls.requests()[0];
    assert_eq!((seen.field("host"), seen.sni.as_deref()), (Some("x.wild.test"), Some("x.wild.test")));
}

#[test]
fn connections_are_reused_for_the_same_name_and_never_for_another() {
    let stage = Stage::new();
    let lines = format!("protocol = \"https\"\n{}", trust(&stage.certificates));
    let server = format!("127.0.0.1:{}", stage.tls.port());
    let pop = Pop::start(&site_at("a.test\", \"b.test", &server, "", &lines));
    for host in ["a.test", "a.test", "b.test", "b.test", "a.test"] {
        assert_eq!(pop.client().get(host, "/x").text(), "tls");
    }
    let seen: Vec<_> = stage.tls.requests().into_iter().map(|r| (r.connection, r.sni.unwrap())).collect();
    let expected = [(0, "a.test"), (0, "a.test"), (1, "b.test"), (1, "b.test"), (0, "a.test")];
    assert_eq!(seen, expected.map(|(connection, name)| (connection, name.to_owned())));
}

#[test]
fn two_sites_that_trust_differently_share_no_connection() {
    let stage = Stage::new();
    let server = format!("127.0.0.1:{}", stage.tls.port());
    let trusting = format!("protocol = \"https\"\nsni = \"s.test\"\n{}", trust(&stage.certificates));
    let other_ca = Certificates::new();
    let doubting = format!("protocol = \"https\"\nsni = \"s.test\"\n{}", trust(&other_ca));
    let pop = Pop::start(&(site_at("a.test", &server, "", &trusting) + &site_at("b.test", &server, "", &doubting)));
    assert_eq!(pop.get("/x").text(), "tls");
    assert_eq!(pop.client().get("b.test", "/x").status, 502);
    assert_eq!(pop.get("/x").text(), "tls");
    assert_eq!(stage.tls.count(), 2);
}
