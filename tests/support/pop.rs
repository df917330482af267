//! A Millpond on free loopback ports, made from a few lines of its own configuration file.

use std::net::SocketAddr;
use std::path::Path;

use millpond::config::Config;
use millpond::{Edge, Error, OriginStates, Purge, PurgeError, Purged, Reloaded, Stats};

use super::client::{Client, Response};
use super::origin::Origin;
use super::{Certificates, Identity};

/// A running POP; stopped at once when dropped. No scene may have made it panic.
pub struct Pop(Option<Edge>);

impl Pop {
    /// Plain HTTP only; `toml` is all of the file but `[listen]`.
    #[track_caller]
    pub fn start(toml: &str) -> Pop {
        Pop::listening("http = \"127.0.0.1:0\"", toml)
    }

    /// Plain HTTP and HTTPS.
    #[track_caller]
    pub fn start_with_https(toml: &str) -> Pop {
        Pop::listening("http = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"", toml)
    }

    /// The site `a.test` in front of a plain origin.
    #[track_caller]
    pub fn of(origin: &Origin) -> Pop {
        Pop::start(&site("a.test", origin))
    }

    /// With any `[listen]`.
    #[track_caller]
    pub fn listening(listen: &str, toml: &str) -> Pop {
        let text = format!("[listen]\n{listen}\n{toml}");
        let config = Config::parse(&text, Path::new("scene.toml")).unwrap_or_else(|problems| {
            panic!("{text}\n{}", problems.iter().map(|p| format!("{p}\n")).collect::<String>())
        });
        Pop(Some(Edge::start(config).unwrap_or_else(|error| panic!("{text}\n{error}"))))
    }

    /// One that a test has started by itself.
    pub fn running(edge: Edge) -> Pop {
        Pop(Some(edge))
    }

    /// Where it listens for plain HTTP.
    pub fn address(&self) -> SocketAddr {
        self.edge().addresses().http[0]
    }

    /// Where it listens for HTTPS.
    pub fn https(&self) -> SocketAddr {
        self.edge().addresses().https[0]
    }

    /// A new connection for plain HTTP.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::plain(self.address())
    }

    /// GET for `a.test` on a new connection.
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.client().get("a.test", target)
    }

    /// GET for `a.test` on a new connection, with further field lines.
    #[track_caller]
    pub fn get_with(&self, target: &str, fields: &[&str]) -> Response {
        self.ask("GET", target, fields)
    }

    /// Any request without a body, for `a.test`, on a new connection.
    #[track_caller]
    pub fn ask(&self, method: &str, target: &str, fields: &[&str]) -> Response {
        let mut client = self.client();
        client.send(request(method, target, fields));
        client.response_to(method)
    }

    /// What a purge took.
    #[track_caller]
    pub fn purge(&self, purge: &Purge) -> u64 {
        self.try_purge(purge).unwrap_or_else(|error| panic!("{error}")).responses
    }

    pub fn try_purge(&self, purge: &Purge) -> Result<Purged, PurgeError> {
        self.edge().purge(purge)
    }

    pub fn stats(&self) -> Stats {
        self.edge().stats()
    }

    /// What it knows of the way to its origins.
    pub fn origins(&self) -> OriginStates {
        self.edge().origins()
    }

    /// The failure ledger.
    pub fn failures(&self) -> Vec<millpond::FailureRow> {
        self.edge().failures()
    }

    /// Stops in order.
    pub fn shutdown(mut self) {
        self.check_panics();
        self.0.take().expect("it runs until now").shutdown();
    }

    /// Puts `[listen]` as given and the rest of a file in force.
    pub fn reload(&self, listen: &str, toml: &str) -> Result<Reloaded, Error> {
        let text = format!("[listen]\n{listen}\n{toml}");
        let config = Config::parse(&text, Path::new("scene.toml"));
        self.edge().reload(config.unwrap_or_else(|problems| panic!("{text}\n{problems:?}")))
    }

    pub fn edge(&self) -> &Edge {
        self.0.as_ref().expect("it runs until it is shut down")
    }

    #[track_caller]
    fn check_panics(&self) {
        let panics = self.0.as_ref().map_or(0, |edge| edge.stats().panics);
        assert!(panics == 0 || std::thread::panicking(), "{panics} panics were contained");
    }
}

impl Drop for Pop {
    fn drop(&mut self) {
        self.check_panics();
    }
}

/// A request without a body, for `a.test`.
pub fn request(method: &str, target: &str, fields: &[&str]) -> String {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n")
}

/// A site with one domain in front of an origin, by its address.
pub fn site(domain: &str, origin: &Origin) -> String {
    site_with(domain, origin, "", "")
}

/// The same with further lines for `[[site]]` and for `[site.origin]`.
pub fn site_with(domain: &str, origin: &Origin, of_site: &str, of_origin: &str) -> String {
    site_at(domain, &origin.address().to_string(), of_site, of_origin)
}

/// The same with the origin server as written.
pub fn site_at(domain: &str, server: &str, of_site: &str, of_origin: &str) -> String {
    format!("[[site]]\ndomains = [\"{domain}\"]\n{of_site}\n[site.origin]\nservers = [\"{server}\"]\n{of_origin}\n")
}

/// The `[site.https]` table for a certificate.
pub fn https_table(identity: &Identity) -> String {
    let (certificate, key) = (identity.chain_file.display(), identity.key_file.display());
    format!("[site.https]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n")
}

/// The line of `[site.origin]` that trusts the CA of these certificates.
pub fn trust(certificates: &Certificates) -> String {
    format!("trust = \"{}\"\n", certificates.ca_file().display())
}

/// The response's Cache-Status, which every answer of the cache has.
#[track_caller]
pub fn cache_status(response: &Response) -> &str {
    response.field("cache-status").unwrap_or_else(|| panic!("no Cache-Status in {response:?}"))
}

/// Served from the store without asking the origin.
#[track_caller]
pub fn is_hit(response: &Response) -> bool {
    cache_status(response).contains("; hit")
}

/// Came from the origin and is stored now.
#[track_caller]
pub fn is_stored(response: &Response) -> bool {
    cache_status(response).contains("; stored")
}
