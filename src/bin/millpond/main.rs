//! The program `millpond`: read the command line, act on it, end with a status.
//!
//! Status 0: all is well. 1: something failed. 2: the command line or the configuration is refused. What was asked for
//! goes to standard output, everything else to standard error.

mod cli;
mod commands;
#[cfg(feature = "demo")]
mod demo;
mod diagnosis;
mod failure;
mod failures;
mod heaps;
mod messages;
mod operate;
mod reloading;
mod setup;
mod signals;

use std::process::ExitCode;

fn main() -> ExitCode {
    messages::start();
    let outcome = cli::Command::parse(std::env::args_os().skip(1)).map_err(Into::into).and_then(commands::run);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, failure::Failure::Told) {
                messages::complain(&failure);
            }
            failure.exit_code()
        }
    }
}
