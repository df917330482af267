//! The operator's file, checked: as written, then valid by construction.
//!
//! [`Config::parse`] reads a text along one reference table and reports every problem at once, each with its line, its
//! key and a hint. The same table gives the starter file and the reference text. Nothing here reads a certificate,
//! resolves a name or opens a socket.
//!
//! ```
//! use millpond::config::Config;
//!
//! let text = r#"
//! [[site]]
//! domains = ["www.example.com"]
//! [site.origin]
//! servers = ["origin.example.net"]
//! sni = "10.0.0.1"
//! "#;
//! let problems = Config::parse(text, "millpond.toml".as_ref()).unwrap_err();
//! assert!(problems[0].to_string().starts_with("millpond.toml:6: site[1].origin.sni: \"10.0.0.1\" is an IP address"));
//! ```

mod change;
mod check;
mod check_admin;
mod check_origin;
mod check_request;
mod check_rules;
mod check_site;
mod file;
mod names;
mod problem;
mod reference;
mod router;
mod secret;
mod section;
mod site;
mod starter;
#[cfg(test)]
mod tests_accepted;
#[cfg(test)]
mod tests_problems;
#[cfg(test)]
mod tests_request;
#[cfg(test)]
mod tests_rules;
#[cfg(test)]
mod tests_values;
mod units;
pub(crate) mod written;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use change::Change;
pub use problem::Problem;
pub use router::Router;
pub use secret::Secret;
pub use site::{
    CertificateNames, ClientCertificate, Destination, HealthCheck, HttpsConfig, OriginConfig, OriginProtocol,
    RangeFetch, Role, ServerConfig, Site, Timeouts, TlsMin, Trust,
};
pub use starter::{reference_text, starter_file};

use problem::{Fault, Place, Problems};

/// Everything Millpond needs to run, valid by construction.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from, if any.
    pub path: Option<PathBuf>,
    /// Where clients reach us.
    pub listen: Listen,
    /// The memory of stored responses.
    pub cache: CacheConfig,
    /// Threads.
    pub workers: Workers,
    /// What clients may send and how long it may take.
    pub limits: Limits,
    /// The access log.
    pub log: LogConfig,
    /// What outlives the process.
    pub state: StateConfig,
    /// The operator's door; `None` where the file does not speak of it.
    pub admin: Option<AdminConfig>,
    /// Who may see the details of errors besides local clients: whoever sends this in `X-Millpond-Debug` (`[debug] token`).
    pub debug_token: Option<Secret>,
    /// In the order of the file; none only where the operator's door is open, to add some.
    pub sites: Vec<Arc<Site>>,
    /// What problems call the file.
    file: PathBuf,
    /// The line of each key that is in the file.
    lines: HashMap<String, usize>,
    warnings: Vec<Problem>,
}

/// Where clients reach us (`[listen]`). No address is there twice; port 0 is any free port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// For plain HTTP.
    pub http: Vec<SocketAddr>,
    /// For HTTPS.
    pub https: Vec<SocketAddr>,
}

/// The memory of stored responses (`[cache]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Byte budget of the memory tier.
    pub memory: u64,
    /// Largest stored response (head and body), in bytes; at most `memory`.
    pub max_response: u64,
    /// Where unlinked temporary files are made.
    pub temp_dir: PathBuf,
    /// Most bytes that one response that is not kept may hold in its temporary file.
    pub spill_max: u64,
}

/// Threads (`[workers]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    /// Worker threads, at least one; the cores of the machine where the file says 0 or nothing.
    pub count: usize,
    /// Fetcher threads at most.
    pub fetchers: usize,
    /// Fetches a site may have under way at once, where the site has no number of its own.
    pub max_fetches: usize,
    /// Fetches a site may have waiting.
    pub fetch_queue: usize,
}

/// Limits towards clients (`[limits]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the request line; at most `request_head`.
    pub request_line: usize,
    /// Bytes of the whole request head.
    pub request_head: usize,
    /// Header fields of a request; at most 128.
    pub request_fields: usize,
    /// Bytes of a request body, where the site has no number of its own.
    pub request_body: u64,
    /// Bytes of a request body beyond which it goes to a temporary file.
    pub body_in_memory: usize,
    /// Client connections at once.
    pub connections: usize,
    /// Connections of one client address at once; 0 = no limit.
    pub connections_per_address: usize,
    /// Requests a connection; 0 = no limit.
    pub requests_per_connection: u64,
    /// For a whole request head.
    pub head_timeout: Duration,
    /// For a whole TLS handshake with a client.
    pub handshake_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// Least bytes a second of a request body, over 20 s; 0 = off.
    pub upload_rate: u64,
    /// How long a client may take no byte of its response.
    pub write_stall: Duration,
    /// Least bytes a second that a client must take, over 60 s in which they are there; 0 = off.
    pub download_rate: u64,
    /// How long a stop waits for exchanges under way.
    pub shutdown_timeout: Duration,
}

/// The operator's door (`[admin]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where it listens; `None` = off.
    pub listen: Option<SocketAddr>,
    /// Names, besides `localhost` and IP addresses, that it may be asked under; lower-case.
    pub hosts: Vec<String>,
    /// Its certificate; plain HTTP without one.
    pub https: Option<HttpsConfig>,
    /// Its doctor may look at servers that no site names at private addresses too.
    pub any_target: bool,
    /// The file speaks of it: that it cannot be opened is an error then, else a warning.
    pub is_written: bool,
}

impl Default for AdminConfig {
    /// On this machine alone, port 9180, as nobody asked for.
    fn default() -> AdminConfig {
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 9180)));
        AdminConfig { listen, hosts: Vec::new(), https: None, any_target: false, is_written: false }
    }
}

/// The access log (`[log]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// How a line looks.
    pub format: LogFormat,
    /// `None` = off; `Some("-")` = standard output.
    pub access: Option<PathBuf>,
}

/// What outlives the process (`[state]`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateConfig {
    /// The folder of state files; `None` = all is forgotten at the end.
    pub dir: Option<PathBuf>,
}

/// How a line of the access log looks (`[log] format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// The classic combined line, then our own fields.
    Combined,
    /// One JSON object.
    Json,
}

impl Config {
    /// Reads and checks a file; all problems at once. Does not read certificates (`edge` does).
    pub fn load(path: &Path) -> Result<Config, Vec<Problem>> {
        let config = Config::parse(&read_text(path)?, path)?;
        Ok(Config { path: Some(path.to_owned()), ..config })
    }

    /// The same for a program whose operator's door is open: [`Config::with_door`], and a file without any site is a doubt,
    /// because sites can be added there.
    pub fn load_with_door(path: &Path) -> Result<Config, Vec<Problem>> {
        Config::parse_with_door(&read_text(path)?, path)
    }

    /// [`Config::load_with_door`] for the text of that file.
    pub(crate) fn parse_with_door(text: &str, path: &Path) -> Result<Config, Vec<Problem>> {
        let config = Config::parse_as(text, path, true)?.with_door();
        Ok(Config { path: Some(path.to_owned()), ..config })
    }

    /// The same for text. `path` names it in problems, and its folder is what relative paths in it start from.
    pub fn parse(text: &str, path: &Path) -> Result<Config, Vec<Problem>> {
        Config::parse_as(text, path, false)
    }

    /// `has_door`: there is an operator's door even where the file does not speak of it.
    fn parse_as(text: &str, path: &Path, has_door: bool) -> Result<Config, Vec<Problem>> {
        let mut problems = Problems::new(path);
        let root = file::read(text, &mut problems);
        let config = check::config(&root, path, &mut problems);
        check::have_sites(&root, &config, has_door, &mut problems);
        if problems.are_fatal() {
            return Err(problems.into_list());
        }
        Ok(Config { warnings: problems.into_list(), ..config })
    }

    /// One origin, any Host, no file: `serve --origin URL`, where the URL is `http://host[:port]` or `https://…`.
    ///
    /// The Host is the URL's (with its port, if it has one), or the client's with `keep_host`. The name that the
    /// origin's certificate must bear is the URL's in any case (decision 2).
    pub fn for_origin(url: &str, listen: SocketAddr, keep_host: bool) -> Result<Config, Problem> {
        let of_argument = |problem: Problem| {
            let (file, key) = (PathBuf::new(), "--origin".to_owned());
            Problem { file, line: 0, key, ..problem }
        };
        let origin = names::origin_url(url).map_err(|fault| of_argument(fault.at(Path::new(""), Place::nowhere())))?;
        let text = starter::file_for_origin(&origin, listen, keep_host);
        let mut config = Config::parse(&text, Path::new("")).map_err(|problems| {
            of_argument(problems.into_iter().find(|problem| !problem.is_warning).expect("a refusal has a problem"))
        })?;
        config.warnings = config.warnings.into_iter().map(of_argument).collect();
        Ok(config)
    }

    /// One origin that no file names yet, as `doctor --origin URL --host NAME --sni NAME` has it; it listens nowhere.
    ///
    /// The Host is the URL's and the SNI is the Host's unless they are given.
    pub fn for_server(url: &str, host: Option<&str>, sni: Option<&str>) -> Result<Config, Problem> {
        let of_argument = |fault: Fault, key: &str| {
            let problem = fault.at(Path::new(""), Place::nowhere());
            Problem { key: key.to_owned(), ..problem }
        };
        let checked = |text: Option<&str>, key: &str, rule: fn(&str) -> Result<String, Fault>| {
            text.map(|text| rule(text).map_err(|fault| of_argument(fault, key))).transpose()
        };
        let host = checked(host, "--host", names::host_header)?;
        let sni = checked(sni, "--sni", names::sni)?;
        let mut config = Config::for_origin(url, SocketAddr::from(([127, 0, 0, 1], 0)), false)?;
        for site in &mut config.sites {
            let origin = &mut Arc::make_mut(site).origin;
            // A Host that is given stands for the SNI too.
            origin.sni = sni.clone().or_else(|| origin.sni.take().filter(|_| host.is_none()));
            origin.host = host.clone().or_else(|| origin.host.take());
        }
        Ok(config)
    }

    /// With the operator's door open on this machine alone, where the file does not speak of it: for a program. A library
    /// leaves it closed.
    #[must_use]
    pub fn with_door(self) -> Config {
        Config { admin: Some(self.admin.unwrap_or_default()), ..self }
    }

    /// Doubtful settings that are accepted all the same, by line; for example a port that means plain HTTP only
    /// because `protocol` is absent.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// A problem with what a key names, found by whoever opened it; `key` is its path, as in `site[1].https.key`.
    pub(crate) fn problem_at(&self, key: String, message: String, hint: String) -> Problem {
        let line = self.lines.get(&key).copied().unwrap_or(0);
        Problem { file: self.file.clone(), line, key, message, hint, is_warning: false }
    }

    /// The place of a site in the file, from 1, as keys have it: `site[2].origin.sni`. Its number says nothing of that once
    /// the file was changed while it is in force.
    pub(crate) fn place_of(&self, site: &Site) -> usize {
        self.sites.iter().position(|other| other.name == site.name).unwrap_or(site.number) + 1
    }

    /// Finds the site of a host name.
    pub fn router(&self) -> Router {
        Router::new(&self.sites)
    }
}

fn read_text(path: &Path) -> Result<String, Vec<Problem>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    let whole = read.and_then(|length| match u64::try_from(length).is_ok_and(|length| length <= MOST_BYTES) {
        true => Ok(bytes),
        false => Err(std::io::Error::other(format!("it is larger than {} MiB", MOST_BYTES >> 20))),
    });
    let bytes = whole.map_err(|error| vec![unreadable(path, &error)])?;
    String::from_utf8(bytes).map_err(|error| vec![not_utf8(path, &error)])
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound => format!("`millpond init {}` writes a starter file", path.display()),
        _ => String::new(),
    };
    Fault::new(format!("cannot read the file: {error}"), hint).at(path, Place::nowhere())
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Problem {
    let valid = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
    let line = valid.filter(|byte| **byte == b'\n').count() + 1;
    let fault = Fault::new("this line is not UTF-8", "TOML files are UTF-8: save it so");
    fault.at(path, Place::line(line))
}

/// Tens of thousands of sites; a path to something without end is a slip.
const MOST_BYTES: u64 = 64 << 20;
