//! From what the file says to a configuration that is valid by construction: the process as a whole.
//!
//! Each function takes a section and gives one part of `Config`; what is wrong goes to the problems, a default takes
//! its place, and the walk goes on, so that all problems show at once. Opens no file and no socket.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use super::check_admin;
use super::check_site;
use super::names;
use super::problem::{Fault, Place, Problems};
use super::section::{Located, Section};
use super::site::RangeFetch;
use super::units::show_size;
use super::{CacheConfig, Config, Limits, Listen, LogConfig, LogFormat, Secret, Site, StateConfig, Workers};

/// The whole configuration. It is good only if no problem is fatal.
pub(super) fn config(root: &Section, path: &Path, problems: &mut Problems) -> Config {
    let folder = path.parent().unwrap_or(Path::new(""));
    let listen = listen(root.table("listen"), problems);
    let sites = sites(root, folder, &listen, problems);
    let config = Config {
        path: None,
        file: path.to_owned(),
        lines: {
            let mut lines = HashMap::new();
            root.gather_lines(&mut lines);
            lines
        },
        cache: cache(root.table("cache"), folder, problems),
        workers: workers(root.table("workers")),
        limits: limits(root.table("limits"), problems),
        log: log(root.table("log"), folder),
        state: StateConfig { dir: root.table("state").text("dir").map(|dir| folder.join(dir)) },
        debug_token: debug_token(root.table("debug"), problems),
        admin: check_admin::admin(root.table("admin"), folder, problems),
        listen,
        sites,
        warnings: Vec::new(),
    };
    doubt_slices(root, &config, problems);
    config
}

/// Whoever guesses it sees addresses and names of origins: it must be long, and one that a field of HTTP can hold.
fn debug_token(section: &Section, problems: &mut Problems) -> Option<Secret> {
    let text = section.text("token")?;
    if text.len() < DEBUG_TOKEN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!("a token has at least {DEBUG_TOKEN} letters, digits or signs, and no blanks");
        problems.refuse(section.place("token"), Fault::new(message, "write what `openssl rand -hex 16` prints"));
        return None;
    }
    Some(Secret::new(text))
}

const DEBUG_TOKEN: usize = 16;

fn listen(section: &Section, problems: &mut Problems) -> Listen {
    if !section.has("http") && !section.has("https") {
        return Listen { http: vec![SocketAddr::from(([127, 0, 0, 1], 8080))], https: Vec::new() };
    }
    let mut seen = Vec::new();
    let http = addresses(section.texts("http"), &mut seen, problems);
    let https = addresses(section.texts("https"), &mut seen, problems);
    if let Some(name) = ["http", "https"].into_iter().find(|name| seen.is_empty() && section.is_empty_list(name)) {
        let fault = Fault::new("no address to listen on", "write http = \"127.0.0.1:8080\", or leave [listen] out");
        problems.refuse(section.place(name), fault);
    }
    Listen { http, https }
}

fn addresses<'s>(
    texts: impl Iterator<Item = &'s Located>,
    seen: &mut Vec<SocketAddr>,
    problems: &mut Problems,
) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for Located { text, place } in texts {
        let Some(address) = problems.check(place.clone(), names::listen_address(text)) else { continue };
        // Port 0 asks the system for any free port, so two of them do not meet.
        if address.port() != 0 && seen.contains(&address) {
            problems.refuse(place.clone(), Fault::new(format!("{address} is listened on twice"), "remove one of them"));
            continue;
        }
        seen.push(address);
        found.push(address);
    }
    found
}

fn cache(section: &Section, folder: &Path, problems: &mut Problems) -> CacheConfig {
    let memory = section.number("memory");
    let max_response = section.share("max_response").of(memory);
    if max_response > memory {
        let message = format!("{} is more than memory, {}", show_size(max_response), show_size(memory));
        problems.refuse(section.place("max_response"), Fault::new(message, "write a share of it, such as \"10%\""));
    } else if max_response == 0 {
        let fault = Fault::new("nothing would ever be stored", "write a share of memory, such as \"10%\"");
        problems.refuse(section.place("max_response"), fault);
    }
    CacheConfig {
        memory,
        max_response,
        temp_dir: folder.join(section.text("temp_dir").unwrap_or_default()),
        spill_max: section.number("spill_max"),
    }
}

fn workers(section: &Section) -> Workers {
    let count = match section.count("count") {
        0 => available_parallelism().map_or(1, |cores| cores.get()),
        count => count,
    };
    Workers {
        count,
        fetchers: section.count("fetchers"),
        max_fetches: section.count("max_fetches"),
        fetch_queue: section.count("fetch_queue"),
    }
}

fn limits(section: &Section, problems: &mut Problems) -> Limits {
    let limits = Limits {
        request_line: section.count("request_line"),
        request_head: section.count("request_head"),
        request_fields: section.count("request_fields"),
        request_body: section.number("request_body"),
        body_in_memory: section.count("body_in_memory"),
        connections: section.count("connections"),
        connections_per_address: section.count("connections_per_address"),
        requests_per_connection: section.number("requests_per_connection"),
        head_timeout: section.time("head_timeout"),
        handshake_timeout: section.time("handshake_timeout"),
        idle_timeout: section.time("idle_timeout"),
        upload_rate: section.number("upload_rate"),
        write_stall: section.time("write_stall"),
        download_rate: section.number("download_rate"),
        shutdown_timeout: section.time("shutdown_timeout"),
    };
    if limits.request_line > limits.request_head {
        let name = if section.has("request_line") { "request_line" } else { "request_head" };
        let [line, head] = [limits.request_line, limits.request_head].map(|bytes| show_size(bytes as u64));
        let message = format!("request_line, {line}, is more than request_head, {head}");
        let hint = format!("the head holds the request line: write request_line = \"{head}\" or less");
        problems.refuse(section.place(name), Fault::new(message, hint));
    }
    limits
}

fn log(section: &Section, folder: &Path) -> LogConfig {
    let access = match section.text("access").as_deref() {
        None | Some("off") => None,
        Some("-") => Some("-".into()),
        Some(path) => Some(folder.join(path)),
    };
    let format = match section.text("format").as_deref() {
        Some("json") => LogFormat::Json,
        _ => LogFormat::Combined,
    };
    LogConfig { format, access }
}

fn sites(root: &Section, folder: &Path, listen: &Listen, problems: &mut Problems) -> Vec<Arc<Site>> {
    let mut sites = Vec::new();
    let mut claims = Claims::default();
    for section in root.tables("site") {
        let site = check_site::site(sites.len(), section, folder, listen, problems);
        claims.claim(section, problems);
        sites.push(Arc::new(site));
    }
    doubt_https(root, listen, problems);
    sites
}

/// There must be a site, or a door through which one can be added.
pub(super) fn have_sites(root: &Section, config: &Config, has_door: bool, problems: &mut Problems) {
    if !config.sites.is_empty() || (root.has("site") && !root.is_empty_list("site")) {
        return;
    }
    let what = "there is no site";
    if config.admin.as_ref().map_or(has_door, |door| door.listen.is_some()) {
        problems.warn(root.here(), Fault::new(what, "add one in the console, or a [[site]] here"));
    } else {
        let hint = "add a [[site]] with domains = [\"www.example.com\"], and under [site.origin] its servers";
        problems.refuse(root.here(), Fault::new(what, hint));
    }
}

/// Who answers for which name: each name, and the rest, has at most one site.
#[derive(Default)]
struct Claims {
    domains: HashMap<String, Place>,
    default: Option<Place>,
}

impl Claims {
    fn claim(&mut self, section: &Section, problems: &mut Problems) {
        for Located { text, place } in section.texts("domains") {
            let Ok(domain) = names::domain(text) else { continue };
            if let Some(first) = self.domains.get(&domain) {
                let message =
                    format!("\"{domain}\" is claimed twice: here and as {} in line {}", first.key, first.line);
                problems.refuse(place.clone(), Fault::new(message, "a name belongs to one site; remove one of them"));
            } else {
                self.domains.insert(domain, place.clone());
            }
        }
        if !section.flag("default") {
            return;
        }
        let place = section.place("default");
        match &self.default {
            Some(first) => {
                let message = format!("there is another default site: {} in line {}", first.key, first.line);
                problems.refuse(place, Fault::new(message, "only one can answer for all other names; remove one"));
            }
            None => self.default = Some(place),
        }
    }
}

/// Slices that are larger than what may be stored are of no use.
fn doubt_slices(root: &Section, config: &Config, problems: &mut Problems) {
    let most = config.cache.max_response;
    for (section, site) in root.tables("site").zip(&config.sites) {
        if site.range_fetch == RangeFetch::Slices && site.slice_size > most {
            let sizes = (show_size(site.slice_size), show_size(most));
            let message = format!("no slice is stored: {} is more than cache.max_response, {}", sizes.0, sizes.1);
            let fault = Fault::new(message, "write a smaller slice_size, or raise cache.max_response");
            problems.warn(section.place("slice_size"), fault);
        }
    }
}

/// HTTPS needs both a listener and a certificate; one alone is doubtful.
fn doubt_https(root: &Section, listen: &Listen, problems: &mut Problems) {
    let with_https = || root.tables("site").filter(|site| site.table("https").is_written());
    let section = root.table("listen");
    if !listen.https.is_empty() && with_https().next().is_none() {
        let fault = Fault::new(
            "no site has a certificate, so every handshake will fail",
            "add [site.https] with certificate and key to a site",
        );
        problems.warn(section.place("https"), fault);
    }
    if listen.https.is_empty() && !section.has("https") {
        for site in with_https() {
            let fault = Fault::new(
                "this certificate is never shown: nothing listens for https",
                "add https = \"0.0.0.0:443\" under [listen]",
            );
            problems.warn(site.table("https").here(), fault);
        }
    }
    for site in root.tables("site").filter(|site| site.flag("force_https") && !site.table("https").is_written()) {
        let fault = Fault::new(
            "clients are sent to https, where this site has no certificate",
            "add [site.https] with certificate and key",
        );
        problems.warn(site.place("force_https"), fault);
    }
}
