//! `dashboard` and `service`: what an operator sets up beside Millpond, printed ready for use.

use std::path::{Path, PathBuf};

use millpond::config::Config;

use crate::failure::Failure;
use crate::messages::answer;

/// A Grafana dashboard over the metrics of the operator's door.
pub fn dashboard() -> Result<(), Failure> {
    answer(include_str!("setup/dashboard.json"))
}

/// The systemd unit that serves a configuration file, or that of its sockets.
pub fn service(path: &Path, is_socket: bool) -> Result<(), Failure> {
    let config = Config::load_with_door(path)?;
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    answer(&if is_socket { socket_unit(&config) } else { service_unit(&config, &path) })
}

fn service_unit(config: &Config, path: &Path) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/usr/local/bin/millpond"));
    let folder = path.parent().unwrap_or(Path::new("/"));
    let log = config.log.access.as_ref().filter(|log| log.as_os_str() != "-").and_then(|log| log.parent());
    let mut writable = vec![folder, &config.cache.temp_dir];
    writable.extend(config.state.dir.as_deref().into_iter().chain(log));
    writable.sort();
    writable.dedup();
    let list: Vec<String> = writable.iter().map(|folder| format!("-{}", folder.display())).collect();
    let seconds = config.limits.shutdown_timeout.as_secs().saturating_add(10);
    let fill = [
        ("{folder}", folder.display().to_string()),
        ("{config}", path.display().to_string()),
        ("{program}", program.display().to_string()),
        ("{seconds}", seconds.to_string()),
        ("{writable}", list.join(" ")),
    ];
    fill.iter().fold(include_str!("setup/millpond.service").to_owned(), |unit, (name, text)| unit.replace(name, text))
}

fn socket_unit(config: &Config) -> String {
    let addresses = config.listen.http.iter().chain(&config.listen.https);
    let lines: String = addresses.map(|address| format!("ListenStream={address}\n")).collect();
    format!(
        "\
# /etc/systemd/system/millpond.socket
#
# The addresses are those of [listen]: print this unit anew when they change.

[Unit]
Description=The sockets of Millpond

[Socket]
{lines}BindIPv6Only=ipv6-only
Backlog=4096
NoDelay=yes
ReusePort=no
Service=millpond.service

[Install]
WantedBy=sockets.target
"
    )
}
