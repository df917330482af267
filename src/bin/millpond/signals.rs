//! SIGTERM and SIGINT (Ctrl-C): the first asks for an orderly end, a second one ends the program on the spot. SIGHUP has
//! the configuration read anew and the access log opened anew.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::Failure;

/// The signals, caught from now on.
pub struct Caught(Signals);

impl Caught {
    /// Begins to catch them; ask for this before anything starts that must end in order.
    pub fn catch() -> Result<Caught, Failure> {
        let signals = Signals::new([SIGTERM, SIGINT, SIGHUP]);
        signals.map(Caught).map_err(|error| Failure::Failed(format!("millpond: cannot catch signals: {error}")))
    }

    /// Waits for the first that asks for an end, doing `hang_up` for each SIGHUP until then; from then on another ends the
    /// program with status 1.
    pub fn wait(mut self, hang_up: impl Fn()) -> &'static str {
        let asked = self
            .0
            .forever()
            .inspect(|signal| {
                if *signal == SIGHUP {
                    hang_up()
                }
            })
            .find(|signal| *signal != SIGHUP);
        let name = if asked == Some(SIGINT) { "SIGINT" } else { "SIGTERM" };
        // If no thread can be had, the orderly end has its own time limit.
        _ = std::thread::Builder::new().name("second-signal".into()).spawn(move || {
            let hung_up = |signal: &i32| {
                if *signal == SIGHUP {
                    log::warn!("SIGHUP: nothing is reloaded while Millpond stops");
                }
            };
            if self.0.forever().inspect(hung_up).any(|signal| signal != SIGHUP) {
                log::warn!("stopped at once by a second signal");
                std::process::exit(1);
            }
        });
        name
    }
}
