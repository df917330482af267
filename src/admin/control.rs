//! What the door may see and do of the house behind it, beyond what the rooms above offer by themselves.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Config, Problem};
use crate::error::Error;
use crate::proxy::Proxy;
use crate::server::Counts;
use crate::task::Tasks;

/// The whole, as the door knows it. Every call may block for as long as files are read; none waits for a client.
pub trait Control: Send + Sync + 'static {
    /// The CDN; `None` once it stops.
    fn proxy(&self) -> Option<Arc<Proxy>>;

    /// The tasks; `None` once they stop.
    fn tasks(&self) -> Option<Arc<Tasks>>;

    /// Requests are being served.
    fn is_ready(&self) -> bool;

    /// The configuration file, if there is one, and whether it can be written.
    fn config_file(&self) -> Option<(PathBuf, bool)>;

    /// What the server towards clients counts.
    fn clients(&self) -> &Counts;

    /// Puts another configuration in force, whole or not at all, but for what only a restart can change.
    ///
    /// # Errors
    /// What stands against it.
    fn put_in_force(&self, config: Config) -> Result<Changes, Refused>;

    /// What would become of a request, by the configuration in force.
    ///
    /// # Errors
    /// Where the question makes no request, or no site answers for its name.
    fn explain(&self, asked: &Asked) -> Result<Told, Unexplained>;

    /// The certificates that we show, and those that origins have shown.
    fn certificates(&self) -> Vec<CertificateRow>;

    /// What would be wrong with the files that a configuration names; warnings among them.
    fn check(&self, config: &Config) -> Vec<Problem>;
}

/// What another configuration has changed, in sentences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What is in force now.
    pub changed: Vec<String>,
    /// What is written down but needs a restart.
    pub restart_needed: Vec<String>,
}

/// A request, and a response if one is supposed.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `http://` or `https://`, then what a client's address line would say.
    pub url: String,
    /// Fields of the request, each as `Name: value`.
    pub fields: Vec<String>,
    /// Fields of the response that is supposed, each as `Name: value`.
    pub response: Vec<String>,
    /// Its status.
    pub status: u16,
}

/// What becomes of it.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Titles and texts; a title that was there already is empty.
    pub lines: Vec<(&'static str, String)>,
    /// The same as a terminal shows it.
    pub text: String,
    /// The key that it is looked up by, if it is.
    pub key: Option<Vec<u8>>,
}

impl Told {
    /// The lines about rules.
    pub fn rules(&self) -> Vec<&str> {
        let begin = self.lines.iter().skip_while(|(title, _)| *title != "rules");
        let rules = begin.enumerate().take_while(|(index, (title, _))| *index == 0 || title.is_empty());
        rules.map(|(_, (_, text))| text.as_str()).filter(|text| *text != "none holds").collect()
    }
}

/// Why there is nothing to tell.
#[derive(Clone, Debug)]
pub enum Unexplained {
    /// The question is none.
    Malformed(String),
    /// No site answers for the name.
    NoSite(String),
}

/// One certificate; moments are seconds since the Unix epoch.
#[derive(Clone, Debug, Default)]
pub struct CertificateRow {
    /// `client`: we show it to clients; `origin`: an origin shows it; `to-origin`: we show it to origins; `admin`: this door
    /// shows it.
    pub side: &'static str,
    /// Name of the site; empty where the door shows it.
    pub site: String,
    /// The origin server, `host:port`.
    pub server: Option<String>,
    /// The server name that the origin was asked for.
    pub sni: Option<String>,
    /// `ok`, `ends-soon`, `expired`, `not-yet-valid` or `unknown`.
    pub state: &'static str,
    /// Names on it.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: Option<String>,
    /// Where its validity begins.
    pub not_before: Option<i64>,
    /// Where its validity ends.
    pub not_after: Option<i64>,
    /// Days until then.
    pub days_left: Option<i64>,
    /// `sha256:…`
    pub fingerprint: Option<String>,
    /// Why it was not accepted the last time, if it was not.
    pub refusal: Option<String>,
}

/// Why a configuration is not put in force.
#[derive(Debug)]
pub enum Refused {
    /// Something in it.
    Problems(Vec<Problem>),
    /// Something else.
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::Failed(error)
    }
}

impl From<Refused> for Error {
    /// A line a problem.
    fn from(refused: Refused) -> Error {
        match refused {
            Refused::Problems(problems) => Error::Configuration(problems.iter().map(ToString::to_string).collect()),
            Refused::Failed(error) => error,
        }
    }
}
