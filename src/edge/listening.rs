//! Which listeners there are, and which a new configuration wants: what is the same stays, what is new is bound.

use std::net::SocketAddr;

use crate::admin::Refused;
use crate::config::Config;
use crate::server::Bound;

/// One listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The address as the configuration has it.
    asked: SocketAddr,
    /// For HTTPS.
    pub is_https: bool,
    /// The address with its real port.
    pub address: SocketAddr,
}

/// How to come from the listeners there are to those that a configuration wants.
pub struct Plan {
    /// All, in its order.
    pub listening: Vec<Listening>,
    /// Those of them that are new.
    pub bound: Vec<Bound>,
    /// Where nobody is to listen any more.
    pub gone: Vec<SocketAddr>,
}

impl Listening {
    /// The listeners `bound` for all that a configuration asks for, in its order.
    pub fn of(config: &Config, bound: &[Bound]) -> Vec<Listening> {
        let paired = wanted(config).zip(bound);
        paired.map(|((asked, is_https), bound)| Listening { asked, is_https, address: bound.address() }).collect()
    }
}

impl Plan {
    /// Binds what is new; it does not accept yet. `left` are the listeners there are.
    ///
    /// # Errors
    /// A problem where an address cannot be bound.
    pub fn new(mut left: Vec<Listening>, config: &Config) -> Result<Plan, Refused> {
        let mut plan = Plan { listening: Vec::new(), bound: Vec::new(), gone: Vec::new() };
        for (asked, is_https) in wanted(config) {
            if let Some(place) = left.iter().position(|known| (known.asked, known.is_https) == (asked, is_https)) {
                plan.listening.push(left.remove(place));
                continue;
            }
            let bound = Bound::bind(asked, is_https).map_err(|error| {
                let key = if is_https { "listen.https" } else { "listen.http" };
                let hint = "an address that overlaps one of ours, or turns from http to https, needs a restart";
                Refused::Problems(vec![config.problem_at(key.to_owned(), error.to_string(), hint.to_owned())])
            })?;
            plan.listening.push(Listening { asked, is_https, address: bound.address() });
            plan.bound.push(bound);
        }
        plan.gone = left.iter().map(|gone| gone.address).collect();
        Ok(plan)
    }
}

/// Every address that a configuration asks for, and whether for HTTPS.
pub fn wanted(config: &Config) -> impl Iterator<Item = (SocketAddr, bool)> {
    let http = config.listen.http.iter().map(|address| (*address, false));
    http.chain(config.listen.https.iter().map(|address| (*address, true)))
}
