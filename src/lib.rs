//! Millpond
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

// Floor 0, words: plain values, no I/O, no clock.
mod error;
mod status;
mod time;
mod wake;
// Floor 1, rules: answers computed from their arguments alone.
pub mod policy;
// Floor 2, parts: each does one job and knows none of its neighbours.
pub mod config;
mod http1;
mod observe;
mod pool;
mod store;
mod tls;
// Floor 3, means: parts joined into a way in, a way out, a memory.
mod cache;
mod origin;
mod server;
// Floor 4, the exchange.
mod proxy;
// Roof: the whole, assembled.
mod edge;
#[doc(hidden)]
pub mod measured;

pub use edge::{Addresses, Edge, Stats};
pub use error::Error;
pub use time::{HttpDate, Now};
