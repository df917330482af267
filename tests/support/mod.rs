//! What scenes share: certificates made on the fly, a scripted origin, a raw client, gates to hold either at a chosen byte.
//! Only `pop` knows Millpond; both ends speak bytes. Every wait is bounded by [`LIMIT`], so no scene hangs.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

pub mod broken;
pub mod certificates;
pub mod client;
pub mod conformance;
pub mod diagnosis;
pub mod door;
pub mod gate;
pub mod logged;
pub mod openssl;
pub mod origin;
pub mod origin_tls;
pub mod pop;
pub mod ranges;
pub mod recorder;
pub mod reply;
pub mod schema;
pub mod strict;
pub mod temp_dir;
pub mod wire;

use std::process::Child;
use std::time::{Duration, Instant};

pub use broken::Broken;
pub use certificates::{Certificates, Identity, Leaf};
pub use client::{Client, Response};
pub use conformance::Scene;
pub use door::Door;
pub use gate::Gate;
pub use logged::Log;
pub use origin::{Origin, Request};
pub use origin_tls::OriginTls;
pub use pop::Pop;
pub use reply::Reply;
pub use temp_dir::TempDir;

/// The longest that anything here waits.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Waits for a condition that has no event to wait for, yielding the processor between looks.
#[track_caller]
pub fn wait_until(mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < end, "the condition did not come true within {LIMIT:?}");
        std::thread::yield_now();
    }
}

/// The exit status of a program whose end must come soon; `None` where a signal ended it.
#[track_caller]
pub fn end_of(child: &mut Child) -> Option<i32> {
    let mut status = None;
    wait_until(|| {
        status = child.try_wait().unwrap();
        status.is_some() || {
            std::thread::sleep(Duration::from_millis(5));
            false
        }
    });
    status.and_then(|status| status.code())
}
