//! The keeper: one thread for upkeep that nobody waits for.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::kept::Kept;
use super::radar::Radar;
use crate::error::Error;
use crate::proxy::Proxy;

/// Closes idle origin connections in time, keeps what outlives the process, and watches over certificates, once a second,
/// until it is dropped.
pub struct Keeper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the system says where it gives no thread.
    pub fn start(proxy: Arc<Proxy>, mut kept: Kept, mut radar: Radar) -> Result<Keeper, Error> {
        let (stop, stopped) = bounded::<()>(0);
        let keep = move || {
            while stopped.recv_timeout(ROUND) == Err(RecvTimeoutError::Timeout) {
                proxy.keep();
                radar.round();
                kept.round();
            }
            kept.end();
        };
        let thread = std::thread::Builder::new()
            .name("keeper".into())
            .stack_size(128 << 10)
            .spawn(keep)
            .map_err(|source| Error::Io { what: "start the keeper".into(), source })?;
        Ok(Keeper { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const ROUND: Duration = Duration::from_secs(1);
