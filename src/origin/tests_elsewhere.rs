//! Where redirects may lead: which addresses are dialled for which names.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::elsewhere::{Standing, stand_in};
use super::tests_support::*;
use super::*;
use crate::config::CertificateNames;
use crate::policy::redirect::Url;
use crate::status::{Phase, ProxyError};

fn url(host: &str, port: u16) -> Url {
    Url { is_https: false, host: host.into(), port, target: "/x".into() }
}

fn send(origins: &Origins, site: &Site, url: &Url, standing: Standing) -> Result<Fetched, FetchError> {
    origins.send_elsewhere(site, url, standing, &get(), Duration::from_secs(20))
}

#[test]
fn a_target_is_known_by_host_and_port() {
    let mut own = site(&["127.0.0.1:8080".parse().unwrap()]);
    own.origin.servers[0].name = "o.example.".into();
    let other = site(&["10.0.0.7:80".parse().unwrap()]);
    let rows = [
        ("o.example", 8080, Standing::OfSite),
        ("o.example", 8081, Standing::Unknown),
        ("www.o.example", 8080, Standing::Unknown),
        ("10.0.0.7", 80, Standing::Configured),
        ("10.0.0.8", 80, Standing::Unknown),
    ];
    for (host, port, expected) in rows {
        assert_eq!(Standing::of(&url(host, port), &own, [&own, &other].into_iter()), expected, "{host}:{port}");
    }
}

#[test]
fn a_name_that_leads_to_a_private_address_is_refused_after_its_lookup() {
    let (_held, closed) = closed_port();
    for address in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "::ffff:127.0.0.1"] {
        let address: IpAddr = address.parse().unwrap();
        let origins = Origins::new(Resolver::with_lookup(move |_| Ok(vec![address])), Vec::new());
        let error = send(&origins, &site(&[closed]), &url("public.example", closed.port()), Standing::Unknown);
        let error = error.unwrap_err();
        assert_eq!((error.error, error.phase), (ProxyError::DestinationIpProhibited, Phase::Resolve), "{error}");
        for word in ["http://public.example", &address.to_string(), "servers"] {
            assert!(error.detail.contains(word), "{word}: {error}");
        }
    }
}

#[test]
fn the_address_that_was_judged_is_the_one_that_is_dialled() {
    // The second answer would be another: nobody asks for it.
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let origin = ScriptedOrigin::new(vec![answer("HTTP/1.1 204 No Content\r\n\r\n")]);
    let (address, elsewhere) = (origin.address.ip(), IpAddr::from([192, 0, 2, 1]));
    let lookup = move |_: &str| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(vec![elsewhere, address]),
        _ => Ok(vec![elsewhere]),
    };
    let origins = Origins::new(Resolver::with_lookup(lookup), Vec::new());
    let open =
        origins.judged(&url("rebinding.example", 80), Standing::Configured, Instant::now() + Duration::from_secs(9));
    assert_eq!(open.unwrap(), [elsewhere, address]);
    let site = stand_in(
        &site(&[]),
        &url("rebinding.example", origin.address.port()),
        Standing::Unknown,
        &[address],
        Duration::from_secs(9),
    );
    assert_eq!(origins.send(&site, &get(), None).unwrap().head.status, 204);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    origin.finish();
}

#[test]
fn our_own_listeners_are_a_loop_however_they_are_named() {
    let own: SocketAddr = "203.0.113.9:80".parse().unwrap();
    let origins = Origins::new(Resolver::with_lookup(move |_| Ok(vec![own.ip()])), vec![own]);
    for standing in [Standing::Unknown, Standing::Configured, Standing::OfSite] {
        let error = send(&origins, &site(&[]), &url("pop.example", 80), standing).unwrap_err();
        assert_eq!(error.error, ProxyError::ProxyLoopDetected, "{error}");
    }
}

#[test]
fn strangers_get_none_of_the_sites_exceptions() {
    let mut own = site(&[]);
    own.origin.common_name_whitelist = vec!["*.oss.example".into()];
    own.origin.pin = vec![[7; 32]];
    own.origin.certificate_names = CertificateNames::Cn;
    let target = Url { is_https: true, port: 8443, ..url("b.example", 80) };
    let addresses = [IpAddr::from([192, 0, 2, 1])];
    for (standing, is_kept) in [(Standing::OfSite, true), (Standing::Configured, false), (Standing::Unknown, false)] {
        let origin = stand_in(&own, &target, standing, &addresses, Duration::from_secs(1)).origin;
        assert_eq!(
            (origin.pin.len(), origin.common_name_whitelist.len()),
            (usize::from(is_kept), usize::from(is_kept))
        );
        assert_eq!(origin.certificate_names == CertificateNames::Cn, is_kept);
        assert_eq!((origin.host.as_deref(), origin.sni.as_deref()), (Some("b.example:8443"), Some("b.example")));
        assert_eq!(origin.destination(&origin.servers[0], false).port, 8443);
    }
}

#[test]
fn where_outsiders_choose_servers_private_addresses_are_left_out_but_for_those_of_a_site() {
    let private: IpAddr = [10, 0, 0, 1].into();
    let open: IpAddr = [198, 41, 0, 4].into();
    let lookup = move |name: &str| Ok(if name == "both.test" { vec![private, open] } else { vec![private] });
    let known = Arc::new(tests_support::site(&[SocketAddr::new(private, 8080)]));
    let anyone = Origins::new(Resolver::with_lookup(lookup), Vec::new());
    let outsiders = Origins::new(Resolver::with_lookup(lookup), Vec::new()).for_outsiders(&[known]);
    let found = |origins: &Origins, name: &str, port| {
        let (label, host) = (name.to_owned(), name.to_owned());
        let route = Route { name: name.into(), port, label, host, sni: None };
        let found = origins.addresses(&route, Instant::now() + Duration::from_secs(20));
        found.map(|all| all.iter().map(SocketAddr::ip).collect::<Vec<_>>())
    };
    assert_eq!(found(&anyone, "both.test", 80).unwrap(), [private, open]);
    assert_eq!(found(&outsiders, "both.test", 80).unwrap(), [open]);
    assert!(matches!(found(&outsiders, "inside.test", 80), Err(Cause::Prohibited(address, _)) if address == private));
    assert_eq!(found(&outsiders, "10.0.0.1", 8080).unwrap(), [private], "a site has it in its servers");
    assert!(matches!(found(&outsiders, "10.0.0.1", 8081), Err(Cause::Prohibited(..))));
}
