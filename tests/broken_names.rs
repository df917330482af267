//! Broken origins, part 1: names that lead nowhere, and addresses that nobody answers at. Of each: what clients get, the
//! ledger's row, the doctor's finding, and 200 after the remedy.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::net::{IpAddr, SocketAddr, TcpListener};

use millpond::doctor::Step;
use millpond::{LookupFailure, Names};
use support::broken::Changing;
use support::{Broken, Gate, Origin, Reply};

fn content(_: &support::Request) -> Reply {
    Reply::response("200 OK", &["Cache-Control: no-store"], "content")
}

fn loopback() -> Result<Vec<IpAddr>, LookupFailure> {
    Ok(vec!["127.0.0.1".parse().unwrap()])
}

/// `origin.test` is the loopback address, every other name does not exist.
fn known() -> Names {
    Names::by(|name| if name == "origin.test" { loopback() } else { Err(LookupFailure::NoName) })
}

/// `origin.test` fails in this way until it is mended.
fn failing(failure: LookupFailure) -> (Changing, Names) {
    let mended = Changing::new();
    let is_mended = mended.look();
    (mended, Names::by(move |_| if is_mended() { loopback() } else { Err(failure) }))
}

fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_name_that_does_not_exist() {
    let origin = Origin::plain(content);
    let server = format!("orgin.test:{}", origin.port());
    Broken::at(&server, "")
        .names(known())
        .page(502, "dns_error", "resolve")
        .row(&server, None)
        .facts(|example| assert_eq!(example.rcode.as_deref(), Some("NXDOMAIN")))
        .finding(Step::Dns, &["there is no such name", &server])
        .evidence(&["NXDOMAIN"])
        .fix(&["check the spelling of \"orgin.test\"", "servers = [\"NAME:"])
        .moves()
        .cured_by_fix(&[("NAME", "origin.test")]);
}

#[test]
fn a_name_without_an_address() {
    let origin = Origin::plain(content);
    let server = format!("origin.test:{}", origin.port());
    let (mended, names) = failing(LookupFailure::NoData);
    Broken::at(&server, "")
        .names(names)
        .page(502, "dns_error", "resolve")
        .row(&server, None)
        .facts(|example| assert_eq!(example.rcode.as_deref(), Some("NODATA")))
        .finding(Step::Dns, &["the name exists but has no address"])
        .fix(&["give \"origin.test\" an A or AAAA record"])
        .cured_at_origin(|| mended.next());
}

#[test]
fn name_servers_that_fail() {
    let origin = Origin::plain(content);
    let server = format!("origin.test:{}", origin.port());
    let (mended, names) = failing(LookupFailure::Again);
    Broken::at(&server, "")
        .names(names)
        .page(502, "dns_error", "resolve")
        .row(&server, None)
        .facts(|example| assert_eq!(example.rcode.as_deref(), Some("SERVFAIL")))
        .finding(Step::Dns, &["the name server failed (SERVFAIL or REFUSED)"])
        .fix(&["the name servers of \"origin.test\" fail"])
        .cured_at_origin(|| mended.next());
}

#[test]
fn a_resolver_that_says_nothing() {
    let origin = Origin::plain(content);
    let server = format!("origin.test:{}", origin.port());
    let gate = Gate::new();
    let held = gate.clone();
    let names = Names::by(move |_| {
        held.wait();
        loopback()
    });
    Broken::at(&server, "timeouts = { resolve = \"200ms\" }")
        .names(names)
        .page(504, "dns_timeout", "resolve")
        .row(&server, None)
        .facts(|example| assert_eq!(example.rcode, None))
        .finding(Step::Dns, &["the name server did not answer in time"])
        .fix(&["/etc/resolv.conf"])
        .cured_at_origin(|| gate.open());
}

#[test]
fn a_resolver_that_gives_up_by_itself() {
    let origin = Origin::plain(content);
    let server = format!("origin.test:{}", origin.port());
    let (mended, names) = failing(LookupFailure::Timeout);
    Broken::at(&server, "")
        .names(names)
        .page(504, "dns_timeout", "resolve")
        .row(&server, None)
        .finding(Step::Dns, &["did not answer in time"])
        .fix(&["the resolver did not answer"])
        .cured_at_origin(|| mended.next());
}

#[test]
fn a_name_that_leads_back_to_ourselves() {
    let origin = Origin::plain(content);
    let listen = format!("127.0.0.1:{}", closed_port());
    let server = format!("origin.test:{}", listen.rsplit(':').next().unwrap());
    let site = support::pop::site_at("a.test", &server, "", "");
    Broken::at(&server, "")
        .file(&format!("http = \"{listen}\""), site)
        .names(known())
        .page(508, "proxy_loop_detected", "resolve")
        .row(&server, None)
        .finding(Step::Dns, &["the origin is this very Millpond"])
        .fix(&["name the server that has the content", "servers = [\"ORIGIN:PORT\"]"])
        .moves()
        .cured_by_fix(&[("ORIGIN:PORT", &origin.address().to_string())]);
}

#[test]
fn an_address_that_no_packet_is_sent_to() {
    // A group address in the place of a host's: the kernel itself knows no way there.
    let origin = Origin::plain(content);
    let server = format!("origin.test:{}", origin.port());
    let mended = Changing::new();
    let is_mended = mended.look();
    let names = Names::by(move |_| if is_mended() { loopback() } else { Ok(vec!["224.0.0.1".parse().unwrap()]) });
    let address = format!("224.0.0.1:{}", origin.port());
    Broken::at(&server, "")
        .names(names)
        .page(502, "destination_ip_unroutable", "connect")
        .row(&server, Some(&address))
        .finding(Step::Reachability, &[&address, "cannot be reached from here"])
        .fix(&["route"])
        .moves()
        .cured_at_origin(|| mended.next());
}

#[test]
fn a_port_that_nobody_listens_on() {
    let origin = Origin::plain(content);
    let server = format!("127.0.0.1:{}", closed_port());
    Broken::at(&server, "")
        .page(502, "connection_refused", "connect")
        .finding(Step::Reachability, &[&server, "refused the connection"])
        .evidence(&["refuses the connection"])
        .fix(&["start the server on port", "servers = [\"127.0.0.1:PORT\"]"])
        .moves()
        .cured_by_fix(&[("127.0.0.1:PORT", &origin.address().to_string())]);
}

#[test]
fn a_server_that_was_not_started() {
    let address = format!("127.0.0.1:{}", closed_port());
    let mut started = None;
    Broken::at(&format!("origin.test:{}", address.rsplit(':').next().unwrap()), "")
        .names(known())
        .page(502, "connection_refused", "connect")
        .row(&format!("origin.test:{}", address.rsplit(':').next().unwrap()), Some(&address))
        .finding(Step::Reachability, &[&address, "refused the connection"])
        .fix(&["start the server on port"])
        .cured_at_origin_instead(|| started = Some(Origin::start(&address, None, content)));
    drop(started);
}

/// A listener whose kernel throws every packet away, as a firewall does, until the filter is taken off.
fn black_hole() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    // BPF_RET with 0: keep no byte of it.
    socket.attach_filter(&[socket2::SockFilter::new(6, 0, 0, 0)]).unwrap();
    socket.listen(16).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn a_black_hole() {
    let (listener, address) = black_hole();
    let mut opened = None;
    Broken::at(&address.to_string(), "timeouts = { connect = \"200ms\" }")
        .page(504, "connection_timeout", "connect")
        .finding(Step::Reachability, &[&address.to_string(), "did not answer in time"])
        .evidence(&["does not answer"])
        .fix(&["open the way from this machine to port", "firewall"])
        .cured_at_origin(|| {
            listener.detach_filter().unwrap();
            opened = Some(Origin::accepting(listener.into(), content));
        });
    drop(opened);
}

#[test]
fn one_of_three_addresses_dead() {
    let origins = [Origin::start("127.0.0.2:0", None, content)];
    let port = origins[0].port();
    let third = Origin::start(&format!("127.0.0.3:{port}"), None, content);
    let dead = format!("127.0.0.1:{port}");
    let server = format!("origin.test:{port}");
    let names = Names::by(|_| Ok(["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|it| it.parse().unwrap()).to_vec()));
    let mut started = None;
    Broken::at(&server, "")
        .names(names)
        .passes(200)
        .blames("connection_refused", "connect")
        .row(&server, Some(&dead))
        .warning(Step::Reachability, &["1 of 3 addresses take no connection on port"])
        .evidence(&[&dead, "refuses the connection"])
        .fix(&["take the dead addresses out of DNS, or start the server on them"])
        .moves()
        .cured_at_origin(|| started = Some(Origin::start(&dead, None, content)));
    drop((started, third));
}
