//! Command lines that show a fault by other means than ours: curl, openssl, getent. Pure.

use std::net::SocketAddr;

use crate::origin::probe::Route;
use crate::policy::redirect::bracketed;

/// Every address of a name.
pub fn lookup(name: &str) -> String {
    format!("getent ahosts {}", quoted(name))
}

/// A bare TCP connection.
pub fn connect(address: SocketAddr) -> String {
    format!("curl -v --connect-timeout 5 telnet://{address} </dev/null")
}

/// A handshake with this server name, or with none.
pub fn handshake(address: SocketAddr, sni: Option<&str>) -> String {
    let name = match sni {
        Some(sni) => format!("-servername {}", quoted(sni)),
        None => "-noservername".to_owned(),
    };
    format!("openssl s_client -connect {address} {name} -showcerts </dev/null")
}

/// Names, issuer, dates and fingerprint of what is shown.
pub fn certificate(address: SocketAddr, sni: Option<&str>) -> String {
    let print = "openssl x509 -noout -subject -issuer -dates -ext subjectAltName -fingerprint -sha256";
    format!("{} 2>/dev/null | {print}", handshake(address, sni).replace(" -showcerts", ""))
}

/// A request as a fetch sends it.
pub fn request(route: &Route, address: SocketAddr, target: &str) -> String {
    let (scheme, name) = match &route.sni {
        Some(sni) => ("https", sni.as_str()),
        None => ("http", route.name.as_str()),
    };
    let name = bracketed(name);
    let url = quoted(&format!("{scheme}://{name}:{}{target}", route.port));
    format!("curl -sv -o /dev/null --connect-to ::{address} -H {} {url}", quoted(&format!("Host: {}", route.host)))
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_can_be_copied_into_a_shell() {
        let address = "[2001:db8::1]:8443".parse().unwrap();
        let mut route = Route {
            name: "o.test".into(),
            port: 8443,
            label: "o.test:8443".into(),
            host: "a.test".into(),
            sni: Some("s.test".into()),
        };
        assert_eq!(
            request(&route, address, "/x?y='1'"),
            "curl -sv -o /dev/null --connect-to ::[2001:db8::1]:8443 -H 'Host: a.test' \
             'https://s.test:8443/x?y='\\''1'\\'''"
        );
        route.sni = None;
        assert!(request(&route, address, "/").ends_with(" http://o.test:8443/"));
        assert_eq!(
            handshake(address, None),
            "openssl s_client -connect [2001:db8::1]:8443 -noservername -showcerts </dev/null"
        );
        assert!(
            certificate(address, Some("s.test")).contains(" -servername s.test </dev/null 2>/dev/null | openssl x509")
        );
        assert_eq!(lookup("a;b"), "getent ahosts 'a;b'");
    }
}
