//! One site: the configuration of one or more accelerated domain names.
//!
//! Plain values, valid by construction, and the Origin Protocol Policy, which is a rule over them alone.

use std::path::PathBuf;
use std::time::Duration;

/// One site (`[[site]]`): domains with one origin and one set of rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Stands for it where a number is enough. Its place among the sites of the file, from 0; in a running POP the number
    /// that a site of its name had before a reload, so that what is kept by number stays its own.
    pub number: usize,
    /// For logs and metrics: the first domain, or `default`.
    pub name: String,
    /// Exact names and `*.suffix` patterns, lower-case A-labels without final dot; IP literals canonical, IPv6 in
    /// brackets. May be empty for a default site.
    pub domains: Vec<String>,
    /// Answers for every host that no site names (`default = true`).
    pub is_default: bool,
    /// Where its content comes from.
    pub origin: OriginConfig,
    /// HTTPS between clients and us (`[site.https]`); says nothing about the protocol to the origin.
    pub https: Option<HttpsConfig>,
    /// The cache key drops the scheme (decision 1).
    pub share_schemes: bool,
    /// The cache key drops the host (decision 1); then `origin.host` is set.
    pub share_domains: bool,
    /// What the pure policy must know.
    pub rules: crate::policy::Rules,
    /// What a range of something not stored asks of the origin.
    pub range_fetch: RangeFetch,
    /// Bytes of one slice, where `range_fetch` is slices.
    pub slice_size: u64,
    /// Largest request body, bytes, where it differs from `limits.request_body`.
    pub request_body: Option<u64>,
    /// Most fetches under way at once, where it differs from `workers.max_fetches`.
    pub max_fetches: Option<usize>,
    /// Details of failed fetches go to every client, not only to loopback ones.
    pub expose_errors: bool,
    /// Plain HTTP requests are redirected to https (301 or 308).
    pub force_https: bool,
}

/// What the origin is asked for where a client wants a range of something not stored (`range_fetch`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeFetch {
    /// The client's own range; the part that comes is stored where its validator is strong.
    Pass,
    /// The whole, to be stored; the range is cut from it as it arrives.
    Whole,
    /// Slices of `slice_size` bytes, each stored by itself; also for requests without a range.
    Slices,
}

/// Certificate and key that clients see (`[site.https]`). The files are not read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpsConfig {
    /// PEM file of the chain, our own certificate first.
    pub certificate: PathBuf,
    /// PEM file of the private key.
    pub key: PathBuf,
}

/// Where a site's content comes from and how it is asked for (`[site.origin]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginConfig {
    /// At least one.
    pub servers: Vec<ServerConfig>,
    /// `None` = policy off: the port decides (443 HTTPS, any other HTTP).
    pub protocol: Option<OriginProtocol>,
    /// `ports = { http = … }`: used where the policy is on.
    pub http_port: Option<u16>,
    /// `ports = { https = … }`: used where the policy is on.
    pub https_port: Option<u16>,
    /// Host header, with its port if it has one; `None` = the accelerated domain name that the client asked for.
    pub host: Option<String>,
    /// Server name in the TLS handshake; `None` = the Host of the origin request, without its port.
    pub sni: Option<String>,
    /// Further certificate names to accept: exact or `*.suffix`, lower-case.
    pub common_name_whitelist: Vec<String>,
    /// Which names of the certificate count.
    pub certificate_names: CertificateNames,
    /// Who may sign the certificate.
    pub trust: Trust,
    /// SHA-256 fingerprints of leaf certificates that are accepted as they are.
    pub pin: Vec<[u8; 32]>,
    /// Redirects of the origin that are followed for a client (`follow_redirects`); 0 = none.
    pub follow_redirects: usize,
    /// What is changed in requests to the origin (`[site.origin.request]`).
    pub request: crate::policy::edits::RequestEdits,
    /// How long each phase of a fetch may take.
    pub timeouts: Timeouts,
    /// What we show an origin that asks who we are.
    pub client_certificate: Option<ClientCertificate>,
    /// Lowest version of TLS.
    pub tls_min: TlsMin,
    /// Moves to another address or server that one fetch may make.
    pub retries: usize,
    /// Statuses of the origin that make a fetch move on.
    pub retry_on: Vec<u16>,
    /// Connections to one address at once; 0 = no limit.
    pub max_connections: usize,
    /// The health check, if there is one.
    pub health: Option<HealthCheck>,
}

/// Certificate and key that an origin sees (`client_certificate`). The files are not read here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// PEM file of the chain, our own certificate first.
    pub certificate: PathBuf,
    /// PEM file of the private key.
    pub key: PathBuf,
}

/// Lowest version of TLS that is spoken with an origin (`tls_min`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsMin {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// What every server is asked from time to time (`[site.origin.health]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Begins with a slash.
    pub path: String,
    /// Statuses that mean healthy; at least one.
    pub status: Vec<u16>,
    /// Between two checks of one server.
    pub interval: Duration,
    /// For a whole check.
    pub timeout: Duration,
    /// Host header of the check, before every other.
    pub host: Option<String>,
    /// Failed checks in a row that take a server out.
    pub failures: u32,
    /// Good checks in a row that bring it back.
    pub successes: u32,
}

/// One server of `servers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Name (lower-case) or IP literal, without brackets.
    pub name: String,
    /// Port as written, if any.
    pub port: Option<u16>,
    /// Whether it is asked first or last.
    pub role: Role,
    /// Share of requests among servers of the same role, from 1.
    pub weight: u32,
    /// Its own Host header, before the site's.
    pub host: Option<String>,
    /// Its own SNI, before the site's.
    pub sni: Option<String>,
}

/// When a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// First.
    Primary,
    /// Where no primary answers.
    Backup,
}

/// Origin Protocol Policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginProtocol {
    /// Always plain HTTP.
    Http,
    /// Always HTTPS.
    Https,
    /// The scheme of the client's request.
    Follow,
}

/// Which names of an origin's certificate are compared (`certificate_names`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificateNames {
    /// subjectAltName alone.
    San,
    /// subjectAltName; the Common Name where the certificate has none (RFC 9525 and the legacy case).
    SanOrCn,
    /// The Common Name alone.
    Cn,
}

/// Who may sign an origin's certificate (`trust`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The machine's own roots.
    System,
    /// The roots built into the program.
    Bundled,
    /// Those in this PEM file. Not read here.
    File(PathBuf),
}

/// How long each phase of a fetch may take (`[site.origin.timeouts]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Looking the name up.
    pub resolve: Duration,
    /// One TCP connection.
    pub connect: Duration,
    /// One TLS handshake.
    pub tls_handshake: Duration,
    /// From the request sent to the first byte of the response, and from an interim response to what follows it.
    pub first_byte: Duration,
    /// Between two parts of the response.
    pub between_bytes: Duration,
    /// From resolving to the response head, all attempts.
    pub head: Duration,
    /// The whole response; zero = off.
    pub total: Duration,
    /// Least bytes a second of a body, over 20 s; zero = off.
    pub min_rate: u64,
}

/// Where one fetch goes, the policy applied: what TCP and TLS see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Name or IP literal to connect to.
    pub name: String,
    /// TCP port.
    pub port: u16,
    /// HTTPS.
    pub is_tls: bool,
}

impl OriginConfig {
    /// Applies the Origin Protocol Policy to one server.
    ///
    /// Off, the server's port decides: 443 is HTTPS, any other plain HTTP, none port 80. On, the port is the custom
    /// one for the protocol, else the server's own, else 80 or 443.
    pub fn destination(&self, server: &ServerConfig, client_is_https: bool) -> Destination {
        let is_tls = match self.protocol {
            None => server.port == Some(443),
            Some(OriginProtocol::Http) => false,
            Some(OriginProtocol::Https) => true,
            Some(OriginProtocol::Follow) => client_is_https,
        };
        let custom = match (self.protocol, is_tls) {
            (None, _) => None,
            (Some(_), true) => self.https_port,
            (Some(_), false) => self.http_port,
        };
        let port = custom.or(server.port).unwrap_or(if is_tls { 443 } else { 80 });
        Destination { name: server.name.clone(), port, is_tls }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::Config;
    use super::*;

    const HTTP: Option<OriginProtocol> = Some(OriginProtocol::Http);
    const HTTPS: Option<OriginProtocol> = Some(OriginProtocol::Https);
    const FOLLOW: Option<OriginProtocol> = Some(OriginProtocol::Follow);

    /// (policy, server's port, custom ports for http and https, client uses https) → (port, TLS)
    type Row = (Option<OriginProtocol>, Option<u16>, (Option<u16>, Option<u16>), bool, (u16, bool));

    #[test]
    fn the_protocol_policy_decides_port_and_tls() {
        let rows: &[Row] = &[
            // Off: the port decides, whatever the client speaks, and custom ports do not count.
            (None, None, (None, None), false, (80, false)),
            (None, None, (None, None), true, (80, false)),
            (None, Some(80), (None, None), true, (80, false)),
            (None, Some(443), (None, None), false, (443, true)),
            (None, Some(443), (None, None), true, (443, true)),
            (None, Some(8443), (None, None), true, (8443, false)),
            (None, Some(443), (Some(8080), Some(8443)), false, (443, true)),
            (None, None, (Some(8080), Some(8443)), true, (80, false)),
            // http: custom port, else the server's own, else 80.
            (HTTP, None, (None, None), true, (80, false)),
            (HTTP, Some(8000), (None, None), true, (8000, false)),
            (HTTP, Some(443), (None, None), true, (443, false)),
            (HTTP, Some(8000), (Some(8080), Some(8443)), true, (8080, false)),
            (HTTP, None, (None, Some(8443)), true, (80, false)),
            // https: custom port, else the server's own, else 443.
            (HTTPS, None, (None, None), false, (443, true)),
            (HTTPS, Some(8443), (None, None), false, (8443, true)),
            (HTTPS, Some(80), (None, None), false, (80, true)),
            (HTTPS, Some(8000), (Some(8080), Some(9443)), false, (9443, true)),
            (HTTPS, None, (Some(8080), None), false, (443, true)),
            // follow: the client's scheme, with the matching port.
            (FOLLOW, None, (None, None), false, (80, false)),
            (FOLLOW, None, (None, None), true, (443, true)),
            (FOLLOW, None, (Some(8080), Some(8443)), false, (8080, false)),
            (FOLLOW, None, (Some(8080), Some(8443)), true, (8443, true)),
            (FOLLOW, Some(9000), (Some(8080), None), false, (8080, false)),
            (FOLLOW, Some(9000), (Some(8080), None), true, (9000, true)),
        ];
        let listen: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let base = Config::for_origin("http://192.0.2.1", listen, false).unwrap();
        for (protocol, port, (http_port, https_port), client_is_https, (expected, is_tls)) in rows {
            let mut origin = base.sites[0].origin.clone();
            (origin.protocol, origin.http_port, origin.https_port) = (*protocol, *http_port, *https_port);
            origin.servers[0].port = *port;
            assert_eq!(
                origin.destination(&origin.servers[0], *client_is_https),
                Destination { name: "192.0.2.1".into(), port: *expected, is_tls: *is_tls },
                "{protocol:?} {port:?} http={http_port:?} https={https_port:?} client_is_https={client_is_https}"
            );
        }
    }
}
