//! The operator's door: open on this machine alone unless it is safe to be open elsewhere.

use std::net::SocketAddr;
use std::path::Path;

use super::AdminConfig;
use super::names;
use super::problem::{Fault, Problems};
use super::section::Section;
use super::site::HttpsConfig;

/// `[admin]`; nothing where the file does not speak of it.
pub(super) fn admin(section: &Section, folder: &Path, problems: &mut Problems) -> Option<AdminConfig> {
    if !section.is_written() {
        return None;
    }
    let https = https(section, folder, problems);
    let listen = listen(section, problems);
    let is_exposed = listen.is_some_and(|address| !address.ip().is_loopback());
    let wants_tls = section.has("certificate") || section.has("key");
    if is_exposed && !wants_tls && !section.flag("insecure") {
        let fault = Fault::new(
            "the door would be open to the network without encryption",
            "give certificate and key, or listen on 127.0.0.1, or accept the risk with insecure = true",
        );
        problems.refuse(section.place("listen"), fault);
    }
    let hosts = section.texts("hosts").filter_map(|host| problems.check(host.place.clone(), names::domain(&host.text)));
    Some(AdminConfig {
        listen,
        hosts: hosts.collect(),
        https,
        any_target: section.flag("any_target"),
        is_written: true,
    })
}

fn listen(section: &Section, problems: &mut Problems) -> Option<SocketAddr> {
    let text = section.text("listen").filter(|text| text != "off")?;
    problems.check(section.place("listen"), names::listen_address(&text))
}

fn https(section: &Section, folder: &Path, problems: &mut Problems) -> Option<HttpsConfig> {
    match (section.text("certificate"), section.text("key")) {
        (Some(certificate), Some(key)) => {
            Some(HttpsConfig { certificate: folder.join(certificate), key: folder.join(key) })
        }
        (None, None) => None,
        (certificate, _) => {
            let (name, lacks) = if certificate.is_some() { ("certificate", "key") } else { ("key", "certificate") };
            let fault = Fault::new(format!("{name} without {lacks}"), "a certificate comes with its key: give both");
            problems.refuse(section.place(lacks), fault);
            None
        }
    }
}
