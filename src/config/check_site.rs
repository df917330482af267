//! From what the file says of one site to a valid `Site`.
//!
//! As in `check`: problems are noted, the walk goes on. Resolves no name and reads no certificate.

use std::path::Path;

use super::check_origin;
use super::check_request;
use super::names;
use super::problem::{Fault, Place, Problems};
use super::section::{Item, Located, Section};
use super::site::{
    CertificateNames, HttpsConfig, OriginConfig, OriginProtocol, RangeFetch, Role, ServerConfig, Timeouts, TlsMin,
    Trust,
};
use super::{Listen, Site};
use crate::policy::Rules;
use crate::policy::edits::RequestEdits;

/// One site. It is good only if no problem is fatal.
pub(super) fn site(number: usize, section: &Section, folder: &Path, listen: &Listen, problems: &mut Problems) -> Site {
    let is_default = section.flag("default");
    let domains = each(section, "domains", names::domain, problems);
    if !is_default {
        section.require("domains", problems);
        if section.is_empty_list("domains") {
            let fault = Fault::new("the list is empty", "name a domain, or set default = true");
            problems.refuse(section.place("domains"), fault);
        }
    }
    if section.flag("share_domains") && !section.table("origin").has("host") {
        let fault = Fault::new(
            "without origin.host the origin's answer may differ by name",
            "set host under [site.origin], so that all names are asked for alike",
        );
        problems.refuse(section.place("share_domains"), fault);
    }
    let origin = origin(section.table("origin"), folder, &domains, listen, problems);
    Site {
        number,
        name: domains.first().cloned().unwrap_or_else(|| "default".to_owned()),
        domains,
        is_default,
        origin,
        https: https(section.table("https"), folder, problems),
        share_schemes: section.flag("share_schemes"),
        share_domains: section.flag("share_domains"),
        rules: Rules {
            store_set_cookie: section.flag("store_set_cookie"),
            ignore_client_cache_control: section.text("client_cache_control").as_deref() == Some("ignore"),
        },
        range_fetch: match section.text("range_fetch").as_deref() {
            Some("whole") => RangeFetch::Whole,
            Some("slices") => RangeFetch::Slices,
            _ => RangeFetch::Pass,
        },
        slice_size: section.number("slice_size"),
        request_body: section.number_if_any("request_body"),
        max_fetches: section.number_if_any("max_fetches").and_then(|number| number.try_into().ok()),
        expose_errors: section.flag("expose_errors"),
        force_https: section.flag("force_https"),
    }
}

fn https(section: &Section, folder: &Path, problems: &mut Problems) -> Option<HttpsConfig> {
    if !section.is_written() {
        return None;
    }
    section.require("certificate", problems);
    section.require("key", problems);
    Some(HttpsConfig { certificate: folder.join(section.text("certificate")?), key: folder.join(section.text("key")?) })
}

fn origin(
    section: &Section,
    folder: &Path,
    domains: &[String],
    listen: &Listen,
    problems: &mut Problems,
) -> OriginConfig {
    let servers = servers(section, problems);
    let origin = OriginConfig {
        servers: servers.iter().map(|(server, _)| server.clone()).collect(),
        host: one(section, "host", names::host_header, problems),
        sni: one(section, "sni", names::sni, problems),
        common_name_whitelist: each(section, "common_name_whitelist", names::whitelist_entry, problems),
        pin: each(section, "pin", names::fingerprint, problems),
        health: check_origin::health(section.table("health"), problems),
        client_certificate: check_origin::client_certificate(section.table("client_certificate"), folder, problems),
        request: check_request::request(section.table("request"), problems),
        ..plain_origin(section, folder)
    };
    // What the ports mean cannot be told where the protocol could not be read.
    if section.has("protocol") && origin.protocol.is_none() {
        return origin;
    }
    for (server, place) in servers {
        check_origin::server(&origin, &server, place, domains, listen, problems);
    }
    check_origin::ports(section, &origin, problems);
    origin
}

/// What of `[site.origin]` cannot be wrong once it is read: everything but names. The defaults if it is absent.
pub(super) fn plain_origin(section: &Section, folder: &Path) -> OriginConfig {
    let port = |name| section.table("ports").number_if_any(name).and_then(|port| u16::try_from(port).ok());
    OriginConfig {
        servers: Vec::new(),
        protocol: match section.text("protocol").as_deref() {
            Some("http") => Some(OriginProtocol::Http),
            Some("https") => Some(OriginProtocol::Https),
            Some("follow") => Some(OriginProtocol::Follow),
            _ => None,
        },
        http_port: port("http"),
        https_port: port("https"),
        host: None,
        sni: None,
        common_name_whitelist: Vec::new(),
        certificate_names: match section.text("certificate_names").as_deref() {
            Some("san") => CertificateNames::San,
            Some("cn") => CertificateNames::Cn,
            _ => CertificateNames::SanOrCn,
        },
        trust: match section.text("trust").as_deref() {
            None | Some("system") => Trust::System,
            Some("bundled") => Trust::Bundled,
            Some(path) => Trust::File(folder.join(path)),
        },
        pin: Vec::new(),
        follow_redirects: section.count("follow_redirects"),
        request: RequestEdits::default(),
        timeouts: timeouts(section.table("timeouts")),
        client_certificate: None,
        tls_min: match section.text("tls_min").as_deref() {
            Some("1.3") => TlsMin::Tls13,
            _ => TlsMin::Tls12,
        },
        retries: section.count("retries"),
        retry_on: section.numbers_if_any("retry_on").unwrap_or_else(|| vec![502, 503, 504]),
        max_connections: section.count("max_connections"),
        health: None,
    }
}

fn timeouts(section: &Section) -> Timeouts {
    Timeouts {
        resolve: section.time("resolve"),
        connect: section.time("connect"),
        tls_handshake: section.time("tls_handshake"),
        first_byte: section.time("first_byte"),
        between_bytes: section.time("between_bytes"),
        head: section.time("head"),
        total: section.time("total"),
        min_rate: section.number("min_rate"),
    }
}

/// The servers, each with its place for what is found about it later.
fn servers(section: &Section, problems: &mut Problems) -> Vec<(ServerConfig, Place)> {
    section.require("servers", problems);
    if section.is_empty_list("servers") {
        problems.refuse(section.place("servers"), Fault::new("the list is empty", "name at least one origin server"));
    }
    let server = |item: &Item| match item {
        Item::Text(Located { text, place }) => {
            let (name, port) = problems.check(place.clone(), names::server(text))?;
            let server = ServerConfig { name, port, role: Role::Primary, weight: 1, host: None, sni: None };
            Some((server, place.clone()))
        }
        Item::Table(section) => Some((server_table(section, problems)?, section.place("address"))),
        Item::Number(_) | Item::Pair(..) | Item::Unreadable => None,
    };
    section.items("servers").iter().filter_map(server).collect()
}

fn server_table(section: &Section, problems: &mut Problems) -> Option<ServerConfig> {
    section.require("address", problems);
    let host = one(section, "host", names::host_header, problems);
    let sni = one(section, "sni", names::sni, problems);
    let (name, port) = one(section, "address", names::server, problems)?;
    let role = match section.text("role").as_deref() {
        Some("backup") => Role::Backup,
        _ => Role::Primary,
    };
    let weight = u32::try_from(section.number("weight")).unwrap_or(u32::MAX);
    Some(ServerConfig { name, port, role, weight, host, sni })
}

/// A text by its rule; `None` if it is absent or wrong.
fn one<T>(section: &Section, name: &str, rule: fn(&str) -> Result<T, Fault>, problems: &mut Problems) -> Option<T> {
    problems.check(section.place(name), rule(&section.text(name)?))
}

/// The texts of a list by their rule, without the wrong ones.
fn each<T>(section: &Section, name: &str, rule: fn(&str) -> Result<T, Fault>, problems: &mut Problems) -> Vec<T> {
    section.texts(name).filter_map(|item| problems.check(item.place.clone(), rule(&item.text))).collect()
}
