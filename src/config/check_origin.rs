//! What is impossible or doubtful about the way to an origin: loops, and ports that hardly mean what they say.
//!
//! Rules over values; resolves no name and opens no connection, so what only the network knows is left to the doctor.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::Listen;
use super::names;
use super::problem::{Fault, Place, Problems, quoted};
use super::section::Section;
use super::site::{ClientCertificate, HealthCheck, OriginConfig, OriginProtocol, ServerConfig};

/// Refuses a server that is ourselves, and doubts one that may be or whose port surprises. One note a server.
pub(super) fn server(
    origin: &OriginConfig,
    server: &ServerConfig,
    place: Place,
    domains: &[String],
    listen: &Listen,
    problems: &mut Problems,
) {
    if let Some(fault) = own_listener(origin, server, listen) {
        problems.refuse(place, fault);
    } else if let Some(fault) = own_domain(server, domains).or_else(|| doubtful_port(origin, server)) {
        problems.warn(place, fault);
    }
}

/// Doubts custom ports that no policy uses.
pub(super) fn ports(section: &Section, origin: &OriginConfig, problems: &mut Problems) {
    if origin.protocol.is_none() && section.table("ports").is_written() {
        let fault = Fault::new(
            "custom ports count only where protocol is set",
            "set protocol = \"http\", \"https\" or \"follow\", or put the port behind the server's name",
        );
        problems.warn(section.place("ports"), fault);
    }
}

/// The certificate that an origin sees; `None` if there is none, or a part of it is missing.
pub(super) fn client_certificate(
    section: &Section,
    folder: &Path,
    problems: &mut Problems,
) -> Option<ClientCertificate> {
    if !section.is_written() {
        return None;
    }
    section.require("certificate", problems);
    section.require("key", problems);
    let path = |name| section.text(name).map(|path| folder.join(path));
    Some(ClientCertificate { certificate: path("certificate")?, key: path("key")? })
}

/// The health check; `None` if the file has none.
pub(super) fn health(section: &Section, problems: &mut Problems) -> Option<HealthCheck> {
    if !section.is_written() {
        return None;
    }
    section.require("path", problems);
    let count = |name| u32::try_from(section.number(name)).unwrap_or(u32::MAX);
    if section.is_empty_list("status") {
        problems.refuse(section.place("status"), Fault::new("no status means healthy", "write [200]"));
    }
    Some(HealthCheck {
        path: problems.check(section.place("path"), health_path(&section.text("path")?))?,
        status: section.numbers_if_any("status").unwrap_or_else(|| vec![200]),
        interval: section.time("interval"),
        timeout: section.time("timeout"),
        host: section.text("host").and_then(|host| problems.check(section.place("host"), names::host_header(&host))),
        failures: count("failures"),
        successes: count("successes"),
    })
}

/// A path as it goes into a request line, query included.
fn health_path(text: &str) -> Result<String, Fault> {
    if text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("{} is no path", quoted(text)), "write \"/healthz\": a slash, then visible ASCII"))
}

/// A server that is one of our own listening addresses would be asked by itself, without end.
pub(super) fn own_listener(origin: &OriginConfig, server: &ServerConfig, listen: &Listen) -> Option<Fault> {
    let addresses: Vec<IpAddr> = match server.name.trim_end_matches('.') {
        "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        name => name.parse().into_iter().collect(),
    };
    let ports = [false, true].map(|client_is_https| origin.destination(server, client_is_https).port);
    let ours = listen.http.iter().chain(&listen.https).find(|own| {
        // To connect to the unspecified address is to connect to this machine; to listen on it, to listen on all of
        // the machine's addresses, of which loopback ones are known without asking.
        let is_here = |ip: &IpAddr| *ip == own.ip() || own.ip().is_unspecified() && ip.is_loopback();
        let is_any = |ip: &IpAddr| ip.is_unspecified() && (own.ip().is_loopback() || own.ip().is_unspecified());
        ports.contains(&own.port()) && addresses.iter().any(|ip| is_here(ip) || is_any(ip))
    })?;
    Some(Fault::new(
        format!("the origin would be Millpond itself, which listens on {ours}"),
        "name the server that has the content, or listen on another port",
    ))
}

/// A server by the name that clients ask for: where DNS leads them to us, it leads us to ourselves.
fn own_domain(server: &ServerConfig, domains: &[String]) -> Option<Fault> {
    let name = server.name.trim_end_matches('.');
    let is_name = name.parse::<IpAddr>().is_err();
    (is_name && domains.iter().any(|domain| domain == name)).then(|| {
        Fault::new(
            format!("{} is the accelerated domain itself: once its DNS leads here, fetches loop", quoted(name)),
            "name the origin server by another name or by its address, and set host to the domain",
        )
    })
}

/// A port that hardly means what it says.
fn doubtful_port(origin: &OriginConfig, server: &ServerConfig) -> Option<Fault> {
    let http = origin.destination(server, false);
    let https = origin.destination(server, true);
    match origin.protocol {
        None => match server.port {
            Some(port) if port != 80 && port != 443 => Some(Fault::new(
                format!("without protocol, port {port} means plain HTTP"),
                "set protocol = \"https\" if it speaks TLS, protocol = \"http\" if not",
            )),
            _ => None,
        },
        Some(OriginProtocol::Https) if https.port == 80 => Some(Fault::new(
            "protocol is https, but 80 is the port of plain HTTP",
            "leave the port out (443), or set protocol = \"http\"",
        )),
        Some(OriginProtocol::Http) if http.port == 443 => Some(Fault::new(
            "protocol is http, but 443 is the port of HTTPS",
            "leave the port out (80), or set protocol = \"https\"",
        )),
        Some(OriginProtocol::Follow) if http.port == https.port => Some(Fault::new(
            format!("protocol is follow, but http and https both go to port {}", http.port),
            "give both ports: ports = { http = 80, https = 443 }",
        )),
        Some(_) => None,
    }
}
