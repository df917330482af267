//! Diagnoses with an injected resolver: DNS faults, several addresses, and loops.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::thread;

use super::*;
use crate::origin::LookupFailure;

type Answer = Result<Vec<IpAddr>, LookupFailure>;

fn diagnosed(text: &str, answer: impl Fn() -> Answer + Send + Sync + 'static) -> Report {
    let config = Config::parse(text, "m.toml".as_ref()).unwrap();
    let origins = origins(&config, Resolver::with_lookup(move |_| answer()));
    diagnose_by(&origins, &config, &Subject::parse("a.test").unwrap(), &mut |_| ())
}

fn site(server: &str) -> String {
    format!("[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"{server}\"]\nprotocol = \"http\"\n")
}

/// Answers 200 to everything, one connection after the other.
fn origin(address: &str) -> SocketAddr {
    let listener = TcpListener::bind(address).unwrap();
    let bound = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut room = [0; 4096];
                while stream.read(&mut room).is_ok_and(|count| count > 0) {
                    let head =
                        "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nETag: \"1\"\r\nContent-Length: 0\r\n\r\n";
                    if stream.write_all(head.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    bound
}

#[test]
fn every_fault_of_dns_has_its_words() {
    let rows = [
        (LookupFailure::NoName, "dns_error", "there is no such name", "check the spelling of \"o.test\""),
        (LookupFailure::NoData, "dns_error", "has no address", "give \"o.test\" an A or AAAA record"),
        (LookupFailure::Again, "dns_error", "the name server failed", "the name servers of \"o.test\" fail"),
        (LookupFailure::Timeout, "dns_timeout", "did not answer in time", "/etc/resolv.conf"),
    ];
    for (failure, error, what, fix) in rows {
        let report = diagnosed(&site("o.test"), move || Err(failure));
        let (server, check) = report.first_broken().unwrap();
        let finding = check.finding.as_ref().unwrap();
        assert_eq!((server, check.step, finding.error), ("o.test:80", Step::Dns, Some(error)));
        assert!(finding.what.contains(what), "{finding:?}");
        assert!(finding.fix.to_string().contains(fix), "{finding:?}");
        assert_eq!(finding.commands, ["getent ahosts o.test"]);
        assert!(!report.all().any(|(_, check)| check.step > Step::Dns), "the first broken step ends the run");
    }
}

#[test]
fn dead_addresses_beside_a_living_one_are_a_warning_that_counts_them() {
    let living = origin("127.0.0.1:0");
    let server = format!("o.test:{}", living.port());
    let report = diagnosed(&site(&server), || {
        Ok(vec!["127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap(), "127.0.0.3".parse().unwrap()])
    });
    assert!(report.is_healthy(), "{}", report.text(false));
    let (_, check) = report.all().find(|(_, check)| check.step == Step::Reachability).unwrap();
    assert_eq!(check.outcome, Outcome::Doubtful);
    let what = &check.finding.as_ref().unwrap().what;
    assert!(what.starts_with(&format!("2 of 3 addresses take no connection on port {}", living.port())), "{what}");
    let (_, kept) = report.all().find(|(_, check)| check.step == Step::Cacheability).unwrap();
    assert_eq!(kept.lines[0], "kept for 600 s by max-age in Cache-Control");
    assert_eq!(report.all().map(|(_, check)| check.step.number()).collect::<Vec<_>>(), [0, 1, 2, 3, 7, 8]);
}

#[test]
fn a_name_that_leads_to_our_own_listener_is_a_loop() {
    let text = format!("[listen]\nhttp = \"127.0.0.1:8080\"\n{}", site("o.test:8080"));
    let report = diagnosed(&text, || Ok(vec!["127.0.0.1".parse().unwrap()]));
    let (_, check) = report.first_broken().unwrap();
    let finding = check.finding.as_ref().unwrap();
    assert_eq!((check.step, finding.error), (Step::Dns, Some("proxy_loop_detected")));
    assert!(finding.fix.to_string().contains("m.toml:6: site[1].origin.servers: write"), "{finding:?}");
}

#[test]
fn a_name_that_no_site_answers_for_is_told_with_the_list_to_write() {
    let config = Config::parse(&site("o.test"), "m.toml".as_ref()).unwrap();
    let origins = origins(&config, Resolver::with_lookup(|name| panic!("asked for {name}")));
    let report = diagnose_by(&origins, &config, &Subject::parse("b.test").unwrap(), &mut |_| ());
    let (_, check) = report.first_broken().unwrap();
    let fix = check.finding.as_ref().unwrap().fix.to_string();
    assert_eq!(check.step, Step::Configuration);
    assert!(fix.ends_with("m.toml:2: site[1].domains: write domains = [\"a.test\", \"b.test\"]"), "{fix}");
}

#[test]
fn each_server_has_its_own_run_and_one_that_lives_keeps_the_site_alive() {
    let living = origin("127.0.0.1:0");
    let text = format!(
        "[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [{{ address = \"o.test\", role = \"backup\" }}, \
         \"{living}\"]\nprotocol = \"http\"\n"
    );
    let report = diagnosed(&text, || Err(LookupFailure::NoName));
    let order: Vec<&str> = report.servers.iter().map(|server| server.server.as_str()).collect();
    assert_eq!(order, [&living.to_string(), "o.test:80"], "primary before backup");
    assert!(!report.is_healthy() && !report.is_dead(), "{}", report.text(false));
}

#[test]
fn a_private_server_that_an_outsider_names_is_refused_before_anything_is_dialled() {
    let living = origin("127.0.0.1:0");
    let known = Config::parse(&site(&living.to_string()), "m.toml".as_ref()).unwrap();
    let subject = Subject::parse("a.test").unwrap();
    let run = |server: &str, addresses: &'static [[u8; 4]]| {
        let config = Config::for_server(&format!("http://{server}"), Some("a.test"), None).unwrap();
        let lookup = move |_: &str| Ok(addresses.iter().map(|address| (*address).into()).collect());
        let origins = origins_for_outsiders(&known, Resolver::with_lookup(lookup));
        diagnose_by(&origins, &config, &subject, &mut |_| ())
    };
    for (server, addresses) in [
        ("127.0.0.1:1", &[][..]),
        ("169.254.169.254", &[]),
        ("[::ffff:10.0.0.1]", &[]),
        ("inside.test", &[[10, 0, 0, 1], [192, 168, 0, 1]]),
    ] {
        let report = run(server, addresses);
        let (_, check) = report.first_broken().unwrap();
        let finding = check.finding.as_ref().unwrap();
        assert_eq!((check.step, finding.error), (Step::Dns, Some("destination_ip_prohibited")), "{server}");
        let fix = finding.fix.to_string();
        assert!(fix.contains("list this one in the servers of a site") && fix.contains("any_target"), "{fix}");
    }
    assert!(run(&living.to_string(), &[]).is_healthy(), "what a site configures is its operator's choice");
}

#[test]
fn no_step_begins_once_it_is_broken_off() {
    let text = "[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"127.0.0.1:9\", \"127.0.0.1:10\"]\n";
    let config = Config::parse(text, "m.toml".as_ref()).unwrap();
    let origins = origins(&config, Resolver::system());
    let broken_off_at = |last: usize| {
        let mut told = 0;
        let mut tell = |_: Progress<'_>| {
            told += 1;
            if told < last { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let report = diagnose_while(&origins, &config, &Subject::parse("a.test").unwrap(), &mut tell);
        assert_eq!(told, last);
        report.all().map(|(_, check)| check.step.number()).collect::<Vec<usize>>()
    };
    // Of each step it is told that it begins, and what came of it.
    assert!(broken_off_at(1).is_empty());
    assert_eq!(broken_off_at(2), [0]);
    assert_eq!(broken_off_at(4), [0, 1], "the first server's name");
    assert_eq!(broken_off_at(5), [0, 1], "before it is connected to");
    assert_eq!(broken_off_at(6), [0, 1, 2], "and no other server is looked at");
}
