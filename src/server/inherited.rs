//! Listening sockets that a service manager hands over: `LISTEN_FDS` of them, from descriptor 3 on, meant for the process
//! `LISTEN_PID` (the protocol of systemd's `sd_listen_fds`). They outlive this process, so nobody is refused while another
//! one takes its place.

use std::net::SocketAddr;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::Socket;

/// The one that listens on exactly this address, if there is one.
pub fn listener(address: SocketAddr) -> Option<Socket> {
    let count =
        count(std::env::var("LISTEN_PID").ok().as_deref(), std::env::var("LISTEN_FDS").ok().as_deref(), getpid());
    let numbers = FIRST..FIRST.saturating_add(count);
    // A copy, asked of the system by number: a descriptor out of thin air could be anything, which this refuses to be.
    let own = if count > 0 { pidfd_open(getpid(), PidfdFlags::empty()).ok() } else { None }?;
    numbers.into_iter().find_map(|number| {
        let socket = Socket::from(pidfd_getfd(&own, number, PidfdGetfdFlags::empty()).ok()?);
        let is_it = socket.is_listener().ok()? && socket.local_addr().ok()?.as_socket()? == address;
        is_it.then_some(socket)
    })
}

/// How many there are for this process.
fn count(pid: Option<&str>, count: Option<&str>, own: Pid) -> i32 {
    let is_ours = pid.and_then(|pid| pid.parse().ok()) == Some(own.as_raw_nonzero().get());
    let count = count.and_then(|count| count.parse().ok()).filter(|count| (0..=MOST).contains(count));
    count.filter(|_| is_ours).unwrap_or(0)
}

const FIRST: i32 = 3;
const MOST: i32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_taken_only_where_they_are_meant_for_this_process() {
        let own = getpid();
        let pid = own.as_raw_nonzero().to_string();
        let rows = [
            (Some(pid.as_str()), Some("2"), 2),
            (Some(pid.as_str()), Some("0"), 0),
            (Some(pid.as_str()), Some("-1"), 0),
            (Some(pid.as_str()), Some("100000"), 0),
            (Some(pid.as_str()), None, 0),
            (Some("1"), Some("2"), 0),
            (None, Some("2"), 0),
        ];
        for (pid, fds, expected) in rows {
            assert_eq!(count(pid, fds, own), expected, "{pid:?} {fds:?}");
        }
    }
}
