//! Several servers, seen from one fetch: who is asked, who is not, and how often. No keeper runs here, so no probe does.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use super::tests_support::*;
use super::*;
use crate::config::Role;
use crate::status::{Phase, ProxyError};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SICK: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nsick";

/// Answers every request on its connection with the same bytes.
fn always(bytes: &'static [u8]) -> Script {
    script(move |mut stream: TcpStream| {
        while read_head(&mut stream).starts_with("GET") {
            stream.write_all(bytes).unwrap();
        }
    })
}

/// The servers, the first one primary and the others backups, so that the order is plain.
fn in_order(addresses: &[SocketAddr]) -> Site {
    let mut site = site(addresses);
    site.origin.servers.iter_mut().skip(1).for_each(|server| server.role = Role::Backup);
    site
}

/// Connections tried by one GET, and where it ended.
fn attempts(origins: &Origins, site: &Site) -> (u32, Option<SocketAddr>) {
    let mut fetched = origins.send(site, &get(), None).unwrap();
    read_all(&mut fetched.body).unwrap();
    (fetched.report.attempts, fetched.report.address)
}

#[test]
fn a_dead_address_is_left_out_while_another_lives() {
    let (_held, closed) = closed_port();
    let origin = ScriptedOrigin::new(vec![always(OK)]);
    let origins = origins();
    let site = in_order(&[closed, origin.address]);
    let tried: Vec<u32> = (0..4).map(|_| attempts(&origins, &site).0).collect();
    assert_eq!(tried, [2, 2, 1, 1], "two refusals in a row, then none");
    let state = &origins.health()[0];
    assert_eq!((state.address, state.failures, state.failure), (closed, 2, "refused the connection"));
    assert!(state.dead_for.is_some());
}

#[test]
fn one_connect_that_runs_out_of_time_is_the_only_one() {
    let (_socket, _fill, silent) = silent_port();
    let origin = ScriptedOrigin::new(vec![always(OK)]);
    let origins = origins();
    let mut site = in_order(&[silent, origin.address]);
    site.origin.timeouts.connect = Duration::from_millis(300);
    let tried: Vec<u32> = (0..3).map(|_| attempts(&origins, &site).0).collect();
    assert_eq!(tried, [2, 1, 1]);
    assert_eq!(origins.health()[0].dead_for, None, "one failure makes a suspect");
}

#[test]
fn when_one_finds_an_address_silent_those_who_wait_for_it_go_on() {
    let (_socket, _fill, silent) = silent_port();
    let origin = ScriptedOrigin::new(vec![always(OK)]);
    let origins = origins();
    // Two sites with one dead address in common: one is quick to give up, the other would wait for minutes.
    let mut patient = in_order(&[silent, origin.address]);
    (patient.origin.timeouts.connect, patient.origin.timeouts.head) =
        (Duration::from_secs(600), Duration::from_secs(900));
    let mut quick = site(&[silent]);
    quick.origin.timeouts.connect = Duration::from_millis(300);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| attempts(&origins, &patient));
        assert_eq!(fetch(&origins, &quick).unwrap_err().error, ProxyError::ConnectionTimeout);
        assert_eq!(waiting.join().unwrap(), (2, Some(origin.address)));
    });
}

#[test]
fn with_all_addresses_dead_the_answer_comes_at_once_and_one_request_a_second_goes_through() {
    let [a, b] = [closed_port(), closed_port()];
    let origins = origins();
    let site = site(&[a.1, b.1]);
    for _ in 0..2 {
        assert_eq!(fetch(&origins, &site).unwrap_err().error, ProxyError::ConnectionRefused);
    }
    // The first after that is the trial.
    assert_eq!(fetch(&origins, &site).unwrap_err().error, ProxyError::ConnectionRefused);
    let error = fetch(&origins, &site).unwrap_err();
    assert_eq!((error.error, error.phase), (ProxyError::DestinationUnavailable, Phase::Connect));
    assert_eq!((error.error.status(), error.facts.report.attempts), (503, 0));
    assert!(error.detail.contains(&a.1.to_string()) && error.detail.contains("refused"), "{error}");
}

#[test]
fn the_only_address_is_left_out_for_silence_but_not_for_refusals() {
    let (_held, closed) = closed_port();
    let origins = origins();
    for _ in 0..5 {
        assert_eq!(fetch(&origins, &site(&[closed])).unwrap_err().error, ProxyError::ConnectionRefused);
    }
    let (_socket, _fill, silent) = silent_port();
    let mut site = site(&[silent]);
    site.origin.timeouts.connect = Duration::from_millis(50);
    // Two failures, then the trial, then none.
    let errors: Vec<ProxyError> = (0..4).map(|_| fetch(&origins, &site).unwrap_err().error).collect();
    assert_eq!(errors[..3], [ProxyError::ConnectionTimeout; 3]);
    assert_eq!(errors[3], ProxyError::DestinationUnavailable);
}

#[test]
fn a_probe_clears_a_suspect() {
    let origin = ScriptedOrigin::new(vec![script(drop), always(OK)]);
    let origins = origins();
    connector::Onlooker::overtaken(&*origins.health, origin.address);
    assert_eq!(origins.health().len(), 1);
    origins.keep(&[]);
    let end = Instant::now() + Duration::from_secs(20);
    while !origins.health().is_empty() {
        assert!(Instant::now() < end);
        std::thread::yield_now();
    }
    assert_eq!(fetch(&origins, &site(&[origin.address])).unwrap().1, b"ok");
}

#[test]
fn an_answer_to_retry_on_moves_on_and_is_passed_on_where_there_is_nothing_better() {
    let (_held, closed) = closed_port();
    let origins = origins();
    // The second server has a better answer; the connection of the first serves again.
    let (sick, well) = (ScriptedOrigin::new(vec![always(SICK)]), ScriptedOrigin::new(vec![always(OK)]));
    let site_of_two = in_order(&[sick.address, well.address]);
    for reused in [false, true] {
        let mut fetched = origins.send(&site_of_two, &get(), None).unwrap();
        let report = fetched.report;
        assert_eq!((fetched.head.status, report.attempts, report.is_reused), (200, 2, reused));
        assert_eq!(read_all(&mut fetched.body).unwrap(), b"ok");
    }
    // The second cannot be reached, or is there no second: each gets one request, and the answer is passed on.
    for servers in [vec![sick.address, closed], vec![sick.address]] {
        let mut fetched = origins.send(&in_order(&servers), &get(), None).unwrap();
        assert_eq!((fetched.head.status, fetched.report.origin), (503, sick.address.to_string()));
        assert_eq!(read_all(&mut fetched.body).unwrap(), b"sick");
    }
}

#[test]
fn what_may_not_be_repeated_or_has_no_move_left_keeps_its_answer() {
    type Change = fn(&mut Site);
    let rows: [(&str, Change); 4] = [
        ("POST", |_| ()),
        ("PATCH", |_| ()),
        ("GET", |site| site.origin.retries = 0),
        ("GET", |site| site.origin.retry_on = Vec::new()),
    ];
    for (method, change) in rows {
        let sick = ScriptedOrigin::new(vec![answer(SICK)]);
        let well = ScriptedOrigin::new(vec![answer(OK)]);
        let mut site = in_order(&[sick.address, well.address]);
        change(&mut site);
        let mut fetched = origins().send(&site, &request(method), None).unwrap();
        assert_eq!((fetched.head.status, fetched.report.attempts), (503, 1), "{method}");
        assert_eq!(read_all(&mut fetched.body).unwrap(), b"sick");
    }
}

#[test]
fn a_post_goes_on_before_a_connection_stands_and_never_after() {
    let (_held, closed) = closed_port();
    let well = ScriptedOrigin::new(vec![answer(OK)]);
    let fetched = origins().send(&in_order(&[closed, well.address]), &request("POST"), None).unwrap();
    assert_eq!((fetched.head.status, fetched.report.attempts), (200, 2));
    let dying = ScriptedOrigin::new(vec![script(|mut stream| drop(read_head(&mut stream)))]);
    let well = ScriptedOrigin::new(vec![answer(OK)]);
    let error = origins().send(&in_order(&[dying.address, well.address]), &request("POST"), None).unwrap_err();
    assert_eq!((error.error, error.facts.report.attempts), (ProxyError::ConnectionTerminated, 1));
}

#[test]
fn retries_bound_the_moves() {
    for (retries, expected) in [(0, 1), (1, 2), (3, 4), (10, 4)] {
        let ports: Vec<_> = (0..4).map(|_| closed_port()).collect();
        let addresses: Vec<SocketAddr> = ports.iter().map(|(_, address)| *address).collect();
        let mut site = site(&addresses);
        site.origin.retries = retries;
        let error = fetch(&origins(), &site).unwrap_err();
        assert_eq!(error.facts.report.attempts, expected, "{retries}");
    }
}

#[test]
fn a_refused_head_is_kept_for_the_one_who_looks_for_the_fault() {
    let garbage = [b"HTTP/1.1 two hundred\r\n".to_vec(), b"x".repeat(5000)].concat();
    let origin = ScriptedOrigin::new(vec![answer(garbage.clone())]);
    let error = fetch(&origins(), &site(&[origin.address])).unwrap_err();
    assert_eq!(error.facts.head_start, garbage[..1024]);
    assert_eq!((error.facts.sni.as_deref(), error.facts.report.address), (None, Some(origin.address)));
    assert!(!error.facts.report.first_byte.is_zero());
}

#[test]
fn an_origin_that_drips_is_cut_off() {
    let origin = ScriptedOrigin::new(vec![script(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000000\r\n\r\n").unwrap();
        while stream.write_all(b"x").is_ok() {}
    })]);
    let site = site(&[origin.address]);
    let fetched = origins().send(&site, &get(), None).unwrap();
    // The same body with a window that a test can wait for.
    let error = read_all(&mut fetched.body.with_rate(1 << 30, Duration::from_millis(50))).unwrap_err();
    assert_eq!((error.error, error.phase), (ProxyError::ConnectionReadTimeout, Phase::Body));
    assert!(error.detail.contains("timeouts.min_rate"), "{error}");
}

/// Where and why the attempts failed that others made good, each address by itself.
fn lost(fetched: &Fetched) -> Vec<(Option<SocketAddr>, ProxyError, Phase)> {
    let one = |error: &FetchError| match &error.facts.refusals[..] {
        [] => vec![(error.address, error.error, error.phase)],
        refusals => refusals.iter().map(|(address, cause)| (Some(*address), *cause, Phase::Connect)).collect(),
    };
    fetched.lost.iter().flat_map(one).collect()
}

#[test]
fn addresses_that_fail_while_another_of_the_name_answers_are_told_with_their_number() {
    let origin = ScriptedOrigin::new(vec![answer(OK)]);
    let port = origin.address.port();
    let addresses = [[127, 0, 0, 2], [127, 0, 0, 3], [127, 0, 0, 1]].map(|ip| SocketAddr::from((ip, port)));
    let origins =
        Origins::new(Resolver::with_lookup(move |_| Ok(addresses.map(|address| address.ip()).to_vec())), Vec::new());
    let mut site = site(&[origin.address]);
    site.origin.servers[0].name = "o.test".into();
    let fetched = origins.send(&site, &get(), None).unwrap();
    let refused = |index: usize| (Some(addresses[index]), ProxyError::ConnectionRefused, Phase::Connect);
    assert_eq!((fetched.report.address, lost(&fetched)), (Some(addresses[2]), vec![refused(0), refused(1)]));
    let error = &fetched.lost[0];
    assert_eq!((error.origin.as_str(), error.facts.addresses), (format!("o.test:{port}").as_str(), 3));
}

#[test]
fn servers_that_fail_before_another_answers_are_told_and_a_good_fetch_tells_nothing() {
    let (_held, closed) = closed_port();
    let rude = ScriptedOrigin::new(vec![script(|mut stream| drop(read_head(&mut stream)))]);
    let origin = ScriptedOrigin::new(vec![always(OK), answer(OK)]);
    let origins = origins();
    let mut fetched = origins.send(&in_order(&[closed, rude.address, origin.address]), &get(), None).unwrap();
    let expected = vec![
        (Some(closed), ProxyError::ConnectionRefused, Phase::Connect),
        (Some(rude.address), ProxyError::ConnectionTerminated, Phase::ResponseHead),
    ];
    assert_eq!(lost(&fetched), expected);
    read_all(&mut fetched.body).unwrap();
    let good = origins.send(&site(&[origin.address]), &get(), None).unwrap();
    assert!(good.report.is_reused && good.lost.capacity() == 0);
}

#[test]
fn a_fetch_that_fails_in_the_end_tells_of_all_its_attempts() {
    let ([a, b], rude) = ([closed_port(), closed_port()], ScriptedOrigin::new(vec![script(drop)]));
    let site = in_order(&[a.1, rude.address, b.1]);
    let error = origins().send(&site, &get(), None).unwrap_err();
    assert_eq!((error.error, error.origin.as_str()), (ProxyError::ConnectionRefused, b.1.to_string().as_str()));
    let earlier: Vec<_> = error.facts.earlier.iter().map(|error| (error.origin.clone(), error.error)).collect();
    let cause = [ProxyError::ConnectionRefused, ProxyError::ConnectionTerminated];
    assert_eq!(earlier, [(a.1.to_string(), cause[0]), (rude.address.to_string(), cause[1])]);
    let places: Vec<_> = [b.1, rude.address, a.1].iter().map(|at| error.detail.find(&at.to_string())).collect();
    assert!(places.is_sorted() && places.iter().all(Option::is_some), "{}", error.detail);
}

#[test]
fn the_answer_of_a_sick_server_beats_the_failure_of_the_next_which_is_told() {
    let (_held, closed) = closed_port();
    let sick = ScriptedOrigin::new(vec![answer(SICK)]);
    let fetched = origins().send(&in_order(&[sick.address, closed]), &get(), None).unwrap();
    assert_eq!(fetched.head.status, 503);
    assert_eq!(lost(&fetched), [(Some(closed), ProxyError::ConnectionRefused, Phase::Connect)]);
}
