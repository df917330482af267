//! SIGTERM and SIGINT (Ctrl-C): the first asks for an orderly end, a second one ends the program on the spot.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::Failure;

/// Both signals, caught from now on.
pub struct StopSignals(Signals);

impl StopSignals {
    /// Begins to catch them; ask for this before anything starts that must end in order.
    pub fn catch() -> Result<StopSignals, Failure> {
        let signals = Signals::new([SIGTERM, SIGINT]);
        signals.map(StopSignals).map_err(|error| Failure::Failed(format!("millpond: cannot catch signals: {error}")))
    }

    /// Waits for the first one; from then on another ends the program with status 1.
    pub fn wait(mut self) -> &'static str {
        let name = match self.0.forever().next() {
            Some(SIGINT) => "SIGINT",
            _ => "SIGTERM",
        };
        // If no thread can be had, the orderly end has its own time limit.
        _ = std::thread::Builder::new().name("second-signal".into()).spawn(move || {
            if self.0.forever().next().is_some() {
                log::warn!("stopped at once by a second signal");
                std::process::exit(1);
            }
        });
        name
    }
}
