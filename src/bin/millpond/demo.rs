//! `millpond demo`: an origin and Millpond before it, on this machine alone, and a walk through what that is good for.
//!
//! The stage is set up, the walk is walked, and without `--once` the stage stays until Ctrl-C. Every claim that the walk
//! prints has been looked at; one that does not hold makes the demo fail.

mod origin;
mod paper;
mod stage;
mod visitor;
mod walk;

use crate::failure::Failure;
use crate::signals::Caught;
use paper::Paper;
use stage::Stage;

/// Walks, and serves on until a signal unless `is_once`. Fails if a step did not show what it should.
pub fn run(is_once: bool) -> Result<(), Failure> {
    let signals = Caught::catch()?;
    let stage = Stage::set_up()?;
    let paper = Paper::new();
    let broken = walk::walk(&stage, &paper);
    if !is_once {
        paper.text(&stage.invitation());
        signals.wait(|| ());
        paper.text("\nThe demo ends.\n");
    }
    stage.strike();
    match broken.is_empty() {
        true => Ok(()),
        false => Err(Failure::Failed(format!("millpond: the demo did not show that {}", broken.join(", nor that ")))),
    }
}
