//! What fuzzers feed: each target takes any bytes, and says which promise they broke, if any.
//!
//! For `tests/fuzz.rs`, which runs a bounded number of inputs, and `tests/fuzz/`, which runs libFuzzer; hidden from the
//! documentation, and no promise is made of it. A panic is a fault as well; whoever runs a target sees to that.

mod others;
mod policy;
mod slow;
mod wire;

/// What broke, in words.
pub type Fault = String;

/// A target takes any bytes.
pub type Target = fn(&[u8]) -> Result<(), Fault>;

/// All targets by name.
pub const TARGETS: [(&str, Target); 9] = [
    ("request_head", wire::request_head),
    ("chunked_body", wire::chunked_body),
    ("response_head", wire::response_head),
    ("fetched_response", wire::fetched_response),
    ("cache_fields", policy::cache_fields),
    ("ranges", policy::ranges),
    ("certificate_names", others::certificate_names),
    ("configuration", others::configuration),
    ("client_hello", others::client_hello),
];

/// Runs a target on one input.
///
/// # Errors
/// The promise that was broken.
pub fn run(target: &str, data: &[u8]) -> Result<(), Fault> {
    let (_, target) = TARGETS.iter().find(|(name, _)| *name == target).ok_or("no such target")?;
    target(data)
}

/// What holds, or the fault.
fn hold(is_so: bool, what: impl FnOnce() -> String) -> Result<(), Fault> {
    if is_so { Ok(()) } else { Err(what()) }
}
