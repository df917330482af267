//! Why the program ends with another status than 0.

use std::fmt;
use std::process::ExitCode;

use millpond::Error;
use millpond::config::Problem;

use crate::cli::Usage;

/// The reason, as text for standard error.
#[derive(Debug)]
pub enum Failure {
    /// Something went wrong on the way: status 1.
    Failed(String),
    /// The command line or the configuration is not accepted: status 2.
    Refused(String),
    /// Something is wrong, and all has been said about it: status 1.
    Told,
}

impl Failure {
    /// The status that goes with it.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Failed(_) | Failure::Told => ExitCode::FAILURE,
            Failure::Refused(_) => ExitCode::from(Usage::EXIT_STATUS),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Failed(text) | Failure::Refused(text) => f.write_str(text),
            Failure::Told => Ok(()),
        }
    }
}

impl From<Usage> for Failure {
    fn from(usage: Usage) -> Failure {
        Failure::Refused(usage.to_string())
    }
}

impl From<Vec<Problem>> for Failure {
    /// One line a problem.
    fn from(problems: Vec<Problem>) -> Failure {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::Refused(lines.join("\n"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Configuration(_) => Failure::Refused(error.to_string()),
            error => Failure::Failed(format!("millpond: {error}")),
        }
    }
}
