//! Load and faults: what clients, origins and the machine may do to Millpond, which runs as its own process. Each scene has
//! a short form, which shows that it lives and that others are served, and with `MILLPOND_LONG=1` a long one, which holds
//! it to limits of time and memory and prints figures: `cargo test --release --test faults -- --nocapture --test-threads=1`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

#[path = "faults/clients.rs"]
mod clients;
#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/crowd.rs"]
mod crowd;
#[path = "faults/machine.rs"]
mod machine;
#[path = "faults/memory.rs"]
mod memory;
#[path = "faults/operation.rs"]
mod operation;
#[path = "faults/origins.rs"]
mod origins;
#[path = "faults/rig.rs"]
mod rig;
#[path = "faults/stale.rs"]
mod stale;

use rig::content;
use support::{Origin, Reply};

const FRESH: &str = "Cache-Control: max-age=600";

/// Serves 1,000 bytes of [`content`] at every target, to be stored.
fn sound() -> Origin {
    Origin::plain(|request| Reply::response("200 OK", &[FRESH], content(&request.target, 1000)))
}
