//! A POP and a doctor that look names up by a function of the caller's, for tests and nobody else: faults of DNS, names
//! with several addresses, answers that change. No promise is made of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Edge;
use crate::config::Config;
use crate::doctor::{self, Progress, Report, Subject};
use crate::error::Error;
use crate::origin::{Lifetimes, LookupFailure, Resolver};

/// The names of a world of one's own.
pub struct Names(Arc<dyn Fn(&str) -> Result<Vec<IpAddr>, LookupFailure> + Send + Sync>);

impl Names {
    /// Every name is looked up by `lookup`; good answers are kept as ever, failures are forgotten at once.
    pub fn by(lookup: impl Fn(&str) -> Result<Vec<IpAddr>, LookupFailure> + Send + Sync + 'static) -> Names {
        Names(Arc::new(lookup))
    }

    /// [`Edge::start`] with these names.
    ///
    /// # Errors
    /// Those of [`Edge::start`].
    pub fn start(&self, config: Config) -> Result<Edge, Error> {
        Edge::start_by(config, self.resolver())
    }

    /// [`doctor::diagnose`] with these names.
    pub fn diagnose(&self, config: &Config, subject: &Subject, progress: &mut dyn FnMut(Progress<'_>)) -> Report {
        doctor::diagnose_by(&doctor::origins(config, self.resolver()), config, subject, progress)
    }

    /// A new one each time, so that nobody goes by what another has found.
    fn resolver(&self) -> Resolver {
        let lookup = Arc::clone(&self.0);
        let lifetimes = Lifetimes { negative: Duration::ZERO, pause: Duration::ZERO, ..Lifetimes::default() };
        Resolver::with_lifetimes(move |name| lookup(name), lifetimes)
    }
}
