//! As many heaps as processors.
//!
//! The C library gives every few threads a heap of their own, up to eight a processor, and each keeps what it once needed.
//! Fetchers come and go by the hundred and allocate much for a moment, so memory would grow for hours, a tenth beyond need.
//! Workers allocate nothing for a hit: they do not miss the heaps.
//!
//! The number can only be set from outside, before the first allocation. So the program starts itself once more, in its
//! place: same process, same open files, one line more in its environment.

use std::num::NonZero;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Starts this program anew with as many heaps as there are processors, unless the environment says something about that
/// already, as it does the second time. Comes back where there is nothing to do, or it cannot be done.
pub fn limit() {
    let is_said = [ARENAS, "GLIBC_TUNABLES"].iter().any(|name| std::env::var_os(name).is_some());
    if is_said || !cfg!(target_env = "gnu") {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let heaps = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| program.clone().into_os_string());
    let error = Command::new(program).arg0(name).args(arguments).env(ARENAS, heaps.to_string()).exec();
    log::debug!("cannot limit the heaps: {error}; memory may grow a little more");
}

const ARENAS: &str = "MALLOC_ARENA_MAX";
