//! What stops a start or a reload.

use std::fmt;

/// Why Millpond cannot start, reload or go on. The text says what is wrong, where, and what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is refused; one line a problem, each with file, line, key and hint.
    Configuration(Vec<String>),
    /// The operating system refused something: what was tried, and its answer.
    Io {
        /// What was being done, for example `listen on 127.0.0.1:80`.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Configuration(problems) => f.write_str(&problems.join("\n")),
            Error::Io { what, source } => write!(f, "cannot {what}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Configuration(_) => None,
            Error::Io { source, .. } => Some(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn every_configuration_problem_has_its_line() {
        let error = Error::Configuration(vec!["a.toml:1: x".into(), "a.toml:9: y".into()]);
        assert_eq!(error.to_string(), "a.toml:1: x\na.toml:9: y");
        assert!(error.source().is_none());
    }

    #[test]
    fn a_refusal_of_the_system_says_what_was_tried() {
        let error = Error::Io { what: "listen on 127.0.0.1:80".into(), source: std::io::ErrorKind::AddrInUse.into() };
        assert_eq!(error.to_string(), "cannot listen on 127.0.0.1:80: address in use");
        assert!(error.source().is_some());
    }
}
