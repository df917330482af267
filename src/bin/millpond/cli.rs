//! The command line: arguments to a `Command`, and the help that teaches it.
//!
//! Parsed by hand, from one table of commands and options. Opens nothing, prints nothing, knows of the library only what is
//! asked of it: whoever calls it acts on the `Command`, or prints the `Usage` and ends with `Usage::EXIT_STATUS`.

mod asked;
mod given;
mod help;
mod operate;
mod table;
#[cfg(test)]
mod tests;
mod words;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use given::{Given, Line};
use millpond::Question;
pub use operate::{Operation, Place, PrefetchAsked, What};
use table::COMMANDS;
use words::suggestion;

/// What the operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Serve until told to stop.
    Serve {
        /// What to serve.
        source: Source,
        /// Refuse to start where a site would only fail.
        must_be_healthy: bool,
    },
    /// Say what is wrong with a configuration file.
    Check {
        /// The file.
        config: PathBuf,
        /// Look at every origin too.
        is_live: bool,
    },
    /// Say why fetches fail.
    Doctor {
        /// Of what.
        diagnosis: Diagnosis,
        /// As JSON instead of text.
        is_json: bool,
    },
    /// Tell what would become of a request.
    Explain {
        /// The configuration file.
        config: PathBuf,
        /// What is asked.
        question: Question,
    },
    /// Give a starter configuration.
    Init {
        /// The file to write, which must not exist; `None` = print it.
        file: Option<PathBuf>,
    },
    /// Show what Millpond does, on this machine alone.
    Demo {
        /// End after the walk instead of serving on.
        is_once: bool,
    },
    /// Show which fetches failed.
    Failures(Asked),
    /// Print a Grafana dashboard.
    Dashboard,
    /// Print a systemd unit.
    Service {
        /// The configuration file.
        config: PathBuf,
        /// The unit of its sockets.
        is_socket: bool,
    },
    /// Have a running Millpond do something.
    Operate(Operation),
    /// Explain.
    Help(Topic),
    /// Tell the version.
    Version,
}

/// What to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A configuration file.
    File(PathBuf),
    /// One origin, any Host, no file.
    Origin {
        /// `http(s)://host[:port]`, unchecked.
        url: String,
        /// Where clients reach us.
        listen: SocketAddr,
        /// The origin gets the client's Host instead of its own name.
        keep_host: bool,
    },
}

/// What to diagnose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// The site that answers for a domain or URL.
    Site {
        /// The domain or URL, unchecked.
        subject: String,
        /// The configuration file.
        config: PathBuf,
    },
    /// A server that no file names yet.
    Server {
        /// `http(s)://host[:port]`, unchecked.
        url: String,
        /// The server name in TLS, unchecked.
        sni: Option<String>,
        /// The Host, unchecked.
        host: Option<String>,
    },
}

/// Which failures to show, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Of the site that answers for this name; `None` = of all.
    pub domain: Option<String>,
    /// Where the ledger is.
    pub ledger: LedgerPlace,
    /// As JSON, an object a line.
    pub is_json: bool,
}

/// Where a failure ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerPlace {
    /// In the state directory that this configuration file names.
    Config(PathBuf),
    /// In this state directory.
    State(PathBuf),
}

/// What to explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The program as a whole.
    Overview,
    /// Every key of the configuration file; the text is the library's.
    Config,
    /// `serve`
    Serve,
    /// `check`
    Check,
    /// `explain`
    Explain,
    /// `doctor`
    Doctor,
    /// `init`
    Init,
    /// `demo`
    Demo,
    /// `failures`
    Failures,
    /// `dashboard`
    Dashboard,
    /// `service`
    Service,
    /// `prefetch`
    Prefetch,
    /// `purge`
    Purge,
    /// `tasks`
    Tasks,
    /// `help`
    Help,
}

impl Topic {
    /// The explanation; `None` for `Topic::Config`, whose text is the library's `config::reference_text()`.
    pub fn text(self) -> Option<&'static str> {
        help::text(self)
    }
}

/// Why a command line is refused, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "millpond: {}\n{}", self.message, self.hint)
    }
}

impl std::error::Error for Usage {}

impl Usage {
    /// The exit status of a refused command line.
    pub const EXIT_STATUS: u8 = 2;

    fn new(message: impl Into<String>, hint: impl Into<String>) -> Usage {
        Usage { message: message.into(), hint: hint.into() }
    }
}

impl Command {
    /// Reads the arguments, the program's own name left out. None at all asks for the overview.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Usage> {
        let mut arguments = arguments.into_iter();
        let Some(first) = arguments.next() else { return Ok(Command::Help(Topic::Overview)) };
        let first = first.to_string_lossy().into_owned();
        match first.as_str() {
            "-h" | "--help" => return Ok(Command::Help(Topic::Overview)),
            "-V" | "--version" => return Ok(Command::Version),
            _ => {}
        }
        let Some(spec) = COMMANDS.iter().find(|spec| spec.name == first) else {
            return Err(unknown_command(&first));
        };
        match Given::read(spec, arguments)? {
            Line::Given(given) => given.command(),
            Line::Help => Ok(Command::Help(spec.topic)),
            Line::Version => Ok(Command::Version),
        }
    }
}

impl Given {
    fn command(self) -> Result<Command, Usage> {
        match self.spec.topic {
            Topic::Serve => {
                let must_be_healthy = self.option_value("--require-healthy").is_some();
                self.serve().map(|source| Command::Serve { source, must_be_healthy })
            }
            Topic::Check => match self.option_value("--config") {
                Some(config) => {
                    let is_live = self.option_value("--live").is_some();
                    Ok(Command::Check { config: config.into(), is_live })
                }
                None => Err(self.usage("check needs a file".to_owned(), "write millpond check --config FILE")),
            },
            Topic::Explain => self.explain(),
            Topic::Doctor => {
                let is_json = self.option_value("--json").is_some();
                self.diagnosis().map(|diagnosis| Command::Doctor { diagnosis, is_json })
            }
            Topic::Init => Ok(Command::Init { file: self.argument.map(PathBuf::from) }),
            Topic::Demo => Ok(Command::Demo { is_once: self.option_value("--once").is_some() }),
            Topic::Failures => self.failures().map(Command::Failures),
            Topic::Dashboard => Ok(Command::Dashboard),
            Topic::Service => match self.option_value("--config") {
                Some(config) => {
                    let is_socket = self.option_value("--socket").is_some();
                    Ok(Command::Service { config: config.into(), is_socket })
                }
                None => Err(self.usage("service needs a file".to_owned(), "write millpond service --config FILE")),
            },
            Topic::Prefetch | Topic::Purge | Topic::Tasks => self.operation().map(Command::Operate),
            Topic::Help | Topic::Config | Topic::Overview => self.topic().map(Command::Help),
        }
    }

    fn explain(&self) -> Result<Command, Usage> {
        let hint = "write millpond explain URL --config FILE";
        let Some(config) = self.option_value("--config") else {
            return Err(self.usage("explain needs a file".to_owned(), hint));
        };
        let Some(url) = &self.argument else {
            return Err(self.usage("explain needs a URL".to_owned(), hint));
        };
        let status = match self.option_value("--status") {
            Some(value) => {
                let text = self.text("--status", value)?;
                let status = text.parse().ok().filter(|status| (200..600).contains(status));
                status.ok_or_else(|| self.usage(format!("--status: \"{text}\" is no status"), "write 200 to 599"))?
            }
            None => 200,
        };
        let question = Question {
            url: self.text("the URL", url)?,
            fields: self.texts("-H")?,
            response: self.texts("-R")?,
            status,
        };
        Ok(Command::Explain { config: config.into(), question })
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, Usage> {
        let values = self.options.iter().filter(|(given, _)| *given == name);
        values.map(|(_, value)| self.text(name, value)).collect()
    }

    fn serve(&self) -> Result<Source, Usage> {
        let config = self.option_value("--config");
        let origin = self.option_value("--origin");
        match (config, origin) {
            (Some(_), Some(_)) => {
                Err(self.usage("--config and --origin exclude each other".to_owned(), "give one of them"))
            }
            (None, None) => Err(self.usage(
                "serve needs something to serve".to_owned(),
                "write millpond serve --config FILE, or millpond serve --origin https://HOST",
            )),
            (Some(config), None) => {
                if let Some((name, _)) =
                    self.options.iter().find(|(name, _)| ["--listen", "--keep-host"].contains(name))
                {
                    let hint = match *name {
                        "--listen" => "in the file, write http = \"ADDRESS:PORT\" under [listen]",
                        _ => "in the file, leave host out of [site.origin] to send the client's Host",
                    };
                    return Err(self.usage(format!("{name} goes with --origin, not with --config"), hint));
                }
                Ok(Source::File(config.into()))
            }
            (None, Some(origin)) => Ok(Source::Origin {
                url: self.text("--origin", origin)?,
                listen: self.listen()?,
                keep_host: self.option_value("--keep-host").is_some(),
            }),
        }
    }

    fn listen(&self) -> Result<SocketAddr, Usage> {
        let Some(value) = self.option_value("--listen") else {
            return Ok(SocketAddr::from(([127, 0, 0, 1], 8080)));
        };
        let text = self.text("--listen", value)?;
        text.parse().map_err(|_| {
            let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(8080);
            let hint =
                format!("write --listen 127.0.0.1:{port} for this machine alone, --listen 0.0.0.0:{port} for all");
            self.usage(format!("--listen: \"{text}\" is not an IP address with a port"), &hint)
        })
    }

    fn topic(&self) -> Result<Topic, Usage> {
        let Some(argument) = &self.argument else { return Ok(Topic::Overview) };
        let name = argument.to_string_lossy();
        if name == "config" {
            return Ok(Topic::Config);
        }
        match COMMANDS.iter().find(|spec| spec.name == name) {
            Some(spec) => Ok(spec.topic),
            None => {
                let words: Vec<&str> = COMMANDS.iter().map(|spec| spec.name).chain(["config"]).collect();
                let hint = suggestion(&name, &words, |word| format!("millpond help {word}"))
                    .unwrap_or_else(|| format!("there is help for {}", words.join(", ")));
                Err(Usage::new(format!("there is no help for \"{name}\""), hint))
            }
        }
    }
}

fn unknown_command(name: &str) -> Usage {
    let names: Vec<&str> = COMMANDS.iter().map(|spec| spec.name).collect();
    if name.starts_with('-') {
        let owner = COMMANDS.iter().find(|spec| spec.options.iter().any(|option| name.starts_with(option.name)));
        let hint = match owner {
            Some(spec) => format!("did you mean millpond {} {name}?", spec.name),
            None => "a command goes first: see millpond help".to_owned(),
        };
        return Usage::new(format!("{name} is not a command"), hint);
    }
    let hint = suggestion(name, &names, |word| format!("millpond {word}"))
        .unwrap_or_else(|| format!("the commands are {}; see millpond help", names.join(", ")));
    Usage::new(format!("there is no command \"{name}\""), hint)
}
