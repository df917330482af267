//! The commands: each does its work through the library's public face and says what came of it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::path::Path;

use millpond::config::{Config, OriginConfig, OriginProtocol, ServerConfig, Site, reference_text, starter_file};
use millpond::{Edge, Question, Unexplained};

use crate::cli::{Command, Source, Topic};
use crate::diagnosis::{check_live, doctor, require_healthy};
use crate::failure::Failure;
use crate::failures;
use crate::messages::{answer, complain};
use crate::reloading::Reloads;
use crate::setup;
use crate::signals::Caught;

/// Does what was asked for.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve { source, must_be_healthy } => serve(&source, must_be_healthy),
        Command::Check { config, is_live } => check(&config, is_live),
        Command::Doctor { diagnosis, is_json } => doctor(&diagnosis, is_json),
        Command::Explain { config, question } => explain(&config, &question),
        Command::Init { file } => init(file.as_deref()),
        Command::Demo { is_once } => demo(is_once),
        Command::Failures(asked) => failures::show(&asked),
        Command::Dashboard => setup::dashboard(),
        Command::Service { config, is_socket } => setup::service(&config, is_socket),
        Command::Operate(operation) => crate::operate::run(&operation),
        Command::Help(topic) => help(topic),
        Command::Version => answer(&format!("millpond {}\n", env!("CARGO_PKG_VERSION"))),
    }
}

/// Serves until a signal, then lets what runs finish.
fn serve(source: &Source, must_be_healthy: bool) -> Result<(), Failure> {
    crate::heaps::limit();
    let signals = Caught::catch()?;
    let config = match source {
        Source::File(path) => Config::load_with_door(path)?,
        Source::Origin { url, listen, keep_host } => {
            Config::for_origin(url, *listen, *keep_host).map_err(|problem| vec![problem])?
        }
    };
    for warning in config.warnings() {
        log::warn!("{}", warning.to_string().replacen("warning: ", "", 1));
    }
    if must_be_healthy {
        require_healthy(&config)?;
    }
    let sites = config.sites.clone();
    let edge = Edge::start(config.with_door())?;
    for line in listening(&edge.addresses().http, &edge.addresses().https) {
        log::info!("listening on {line}");
    }
    open_door(&edge);
    for site in sites.iter().take(MOST_SITES) {
        log::info!("serving {}", site_line(site));
    }
    if let Some(more @ 1..) = sites.len().checked_sub(MOST_SITES) {
        log::info!("serving {more} more sites");
    }
    let file = if let Source::File(path) = source { Some(path.as_path()) } else { None };
    let reloads = Reloads::of(edge, file, must_be_healthy);
    let signal = signals.wait(|| reloads.hang_up());
    log::info!("{signal}: finishing what runs; send it again to stop at once");
    let Some(edge) = reloads.end() else { return Ok(()) };
    let stats = edge.stats();
    edge.shutdown();
    log::info!("stopped after {} requests, {} hits, {} fetches", stats.requests, stats.hits, stats.fetches);
    Ok(())
}

/// Says where the operator's door is. The address to sign in with holds the token: it is shown once, and not in the log.
fn open_door(edge: &Edge) {
    let Some(address) = edge.addresses().admin else { return };
    log::info!("API and console on {address}");
    if let Some(sign_in) = edge.sign_in() {
        complain(&format!("\n  sign in:  {sign_in}\n"));
    }
}

/// Says all that is wrong with a file, or that nothing is.
fn check(path: &Path, is_live: bool) -> Result<(), Failure> {
    let config = Config::load_with_door(path)?;
    for warning in config.warnings() {
        complain(warning);
    }
    let (doubts, problems): (Vec<_>, Vec<_>) = Edge::check(&config).into_iter().partition(|problem| problem.is_warning);
    doubts.iter().for_each(complain);
    if !problems.is_empty() {
        return Err(problems.into());
    }
    let mut text = format!("{}: ok\n", path.display());
    for line in listening(&config.listen.http, &config.listen.https) {
        text += &format!("  listens on {line}\n");
    }
    for site in &config.sites {
        text += &format!("  serves {}\n", site_line(site));
    }
    answer(&text)?;
    if is_live { check_live(&config) } else { Ok(()) }
}

/// Tells what would become of a request.
fn explain(path: &Path, question: &Question) -> Result<(), Failure> {
    let config = Config::load(path)?;
    match Edge::explain(&config, question) {
        Ok(explanation) => answer(&explanation.to_string()),
        Err(error @ Unexplained::Malformed(_)) => Err(Failure::Refused(format!("millpond: {error}"))),
        Err(error @ Unexplained::NoSite(_)) => Err(Failure::Failed(format!("millpond: {error}"))),
    }
}

/// Gives a starter file; never writes over anything.
fn init(file: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = file else { return answer(&starter_file()) };
    let shown = path.display();
    let created = OpenOptions::new().write(true).create_new(true).open(path);
    created.and_then(|mut file| file.write_all(starter_file().as_bytes())).map_err(|error| {
        Failure::Failed(match error.kind() {
            ErrorKind::AlreadyExists => format!("millpond: {shown} exists already, and nothing is ever overwritten"),
            _ => format!("millpond: cannot write {shown}: {error}"),
        })
    })?;
    answer(&format!(
        "{shown} is written. Next:\n  set domains and servers in it\n  millpond check --config {shown}\n  millpond serve \
         --config {shown}\n"
    ))
}

#[cfg(feature = "demo")]
fn demo(is_once: bool) -> Result<(), Failure> {
    crate::demo::run(is_once)
}

#[cfg(not(feature = "demo"))]
fn demo(_: bool) -> Result<(), Failure> {
    Err(Failure::Failed("millpond: this program was built without its demo (cargo feature `demo`)".into()))
}

fn help(topic: Topic) -> Result<(), Failure> {
    match topic.text() {
        Some(text) => answer(text),
        None => answer(&reference_text()),
    }
}

/// `http://127.0.0.1:8080` for every address.
pub fn listening(http: &[SocketAddr], https: &[SocketAddr]) -> Vec<String> {
    let http = http.iter().map(|address| format!("http://{address}"));
    http.chain(https.iter().map(|address| format!("https://{address}"))).collect()
}

/// A site in a line: which names, and where their content comes from.
fn site_line(site: &Site) -> String {
    let mut names: Vec<&str> = site.domains.iter().take(MOST_NAMES).map(String::as_str).collect();
    let more = match site.domains.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    if site.is_default {
        names.push(if names.is_empty() { "every name" } else { "every other name" });
    }
    let servers: Vec<String> = site.origin.servers.iter().map(|server| server_text(&site.origin, server)).collect();
    format!("{}{more} from {}", names.join(", "), servers.join(", "))
}

/// A server as it is spoken to, the protocol policy applied.
fn server_text(origin: &OriginConfig, server: &ServerConfig) -> String {
    let text = |client_is_https| {
        let place = origin.destination(server, client_is_https);
        let scheme = if place.is_tls { "https" } else { "http" };
        match place.name.contains(':') {
            true => format!("{scheme}://[{}]:{}", place.name, place.port),
            false => format!("{scheme}://{}:{}", place.name, place.port),
        }
    };
    match origin.protocol {
        Some(OriginProtocol::Follow) => format!("{} or {}, as the client asks", text(false), text(true)),
        _ => text(false),
    }
}

/// Sites named one by one when serving begins.
const MOST_SITES: usize = 20;
/// Names of a site in a line.
const MOST_NAMES: usize = 5;
