//! What the door may see and do of the house behind it, beyond what the rooms above offer by themselves.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Config, Problem};
use crate::error::Error;
use crate::proxy::Proxy;

/// The whole, as the door knows it. Every call may block for as long as files are read; none waits for a client.
pub trait Control: Send + Sync + 'static {
    /// The CDN; `None` once it stops.
    fn proxy(&self) -> Option<Arc<Proxy>>;

    /// Requests are being served.
    fn is_ready(&self) -> bool;

    /// The configuration file, if there is one, and whether it can be written.
    fn config_file(&self) -> Option<(PathBuf, bool)>;

    /// Client connections open, and times that the system refused to accept one.
    fn connections(&self) -> (usize, u64);

    /// Puts another configuration in force, whole or not at all.
    ///
    /// # Errors
    /// What stands against it.
    fn put_in_force(&self, config: Config) -> Result<Changes, Refused>;

    /// What would be wrong with the files that a configuration names; warnings among them.
    fn check(&self, config: &Config) -> Vec<Problem>;
}

/// What another configuration has changed, in sentences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What is in force now.
    pub changed: Vec<String>,
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
