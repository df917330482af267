//! The names that an operator writes: domains, servers, Host, SNI, whitelist entries, fingerprints.
//!
//! Each rule takes a text and gives the checked form, lower-case, or what is wrong with it. Resolves nothing.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::problem::{Fault, quoted, shown_name};

/// An accelerated domain: a name, `*.suffix` or an address; lower-case, without final dot, IPv6 in brackets.
pub(super) fn domain(text: &str) -> Result<String, Fault> {
    if text == "*" {
        return Err(Fault::new("\"*\" alone is no name", "set default = true to answer for every name"));
    }
    if let Some(address) = ip(text) {
        return Ok(show_ip(address));
    }
    let bare = text.strip_suffix('.').unwrap_or(text);
    match bare.strip_prefix("*.") {
        Some(suffix) => Ok(format!("*.{}", name(suffix)?)),
        None => name(bare),
    }
}

/// `name`, `name:port`, `[v6]:port`: the name or address without brackets, and the port.
pub(super) fn server(text: &str) -> Result<(String, Option<u16>), Fault> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        let hint = match scheme {
            "http" | "https" => format!("write {} and set protocol = \"{scheme}\"", quoted(host)),
            _ => format!("write {}", quoted(host)),
        };
        return Err(Fault::new(format!("{} is a URL, not a server", quoted(text)), hint));
    }
    if text.contains('/') {
        let host = text.split('/').next().unwrap_or_default();
        return Err(Fault::new(
            format!("{} has a path", quoted(text)),
            format!("write {}; requests keep the path that the client asked for", quoted(host)),
        ));
    }
    // An IPv6 address bears colons of its own, so it has a port only behind brackets.
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok((address.to_string(), None));
    }
    let (host, port) = split_port(text)?;
    match ip(host) {
        Some(address) => Ok((address.to_string(), port)),
        None => {
            // A final dot keeps the resolver from trying its search list; it is the operator's to use.
            let bare = host.strip_suffix('.').unwrap_or(host);
            let dot = if bare.len() < host.len() { "." } else { "" };
            Ok((format!("{}{dot}", name(bare)?), port))
        }
    }
}

/// A Host header: `name`, `name:port`, an address, in lower case.
pub(super) fn host_header(text: &str) -> Result<String, Fault> {
    let (host, port) = server(text).map_err(|fault| match text.contains("://") {
        true => Fault::new(format!("{} is a URL, not a Host", quoted(text)), "write the name alone"),
        false => fault,
    })?;
    Ok(with_port(&host, port))
}

/// A server name for TLS (RFC 6066 §3): a name and nothing else.
pub(super) fn sni(text: &str) -> Result<String, Fault> {
    if ip(text).is_some() {
        return Err(Fault::new(
            format!("{} is an IP address", quoted(text)),
            "an SNI is a name that the origin's certificate bears, for example the accelerated domain",
        ));
    }
    if text.contains('*') {
        return Err(Fault::new(
            format!("{} is a wildcard", quoted(text)),
            "an SNI is one whole name; patterns go into common_name_whitelist",
        ));
    }
    if let Some((bare, port)) = text.rsplit_once(':')
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && name(bare).is_ok()
    {
        let hint = format!("write \"{bare}\"; the port stands in servers or ports");
        return Err(Fault::new(format!("{} has a port", quoted(text)), hint));
    }
    name(text)
}

/// `name` or `*.suffix`, the suffix with at least two labels; `*` is exactly one label (decision 29).
pub(super) fn whitelist_entry(text: &str) -> Result<String, Fault> {
    if let Some(address) = ip(text) {
        return Ok(address.to_string());
    }
    if text.bytes().skip(1).any(|byte| byte == b'*') {
        return Err(Fault::new(
            format!("{} has its * in the wrong place", quoted(text)),
            "* stands for one whole label at the left: *.example.com",
        ));
    }
    let Some(suffix) = text.strip_prefix("*.") else { return name(text) };
    let suffix = name(suffix)?;
    if !suffix.contains('.') {
        return Err(Fault::new(
            format!("{} would accept a whole top-level domain", quoted(text)),
            "name at least two labels behind the *: *.example.com",
        ));
    }
    Ok(format!("*.{suffix}"))
}

/// `sha256:` and 64 hexadecimal digits, colons between them allowed as `openssl x509 -fingerprint` writes them.
pub(super) fn fingerprint(text: &str) -> Result<[u8; 32], Fault> {
    let hint = "write \"sha256:\" and the 64 hexadecimal digits of `openssl x509 -noout -fingerprint -sha256`";
    let wrong = |what: &str| Fault::new(format!("{} {what}", quoted(text)), hint);
    let digits = text.strip_prefix("sha256:").ok_or_else(|| wrong("does not begin with sha256:"))?;
    let digits: Vec<u32> = digits
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()
        .ok_or_else(|| wrong("has something other than hexadecimal digits"))?;
    if digits.len() != 64 {
        return Err(wrong(&format!("has {} hexadecimal digits, not 64", digits.len())));
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |sum, digit| sum << 4 | u8::try_from(*digit).unwrap_or_default());
    }
    Ok(bytes)
}

/// An address to listen on: IP and port.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        let hint = match port {
            Some(port) => format!("write \"127.0.0.1:{port}\" for this machine alone, \"0.0.0.0:{port}\" for all"),
            None => "write an address and a port: \"127.0.0.1:8080\", \"[::]:443\"".to_owned(),
        };
        Fault::new(format!("{} is not an IP address with a port", quoted(text)), hint)
    })
}

/// The origin of `serve --origin`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OriginUrl {
    /// `https`.
    pub is_tls: bool,
    /// Host, and port where it is not the scheme's own; IPv6 in brackets.
    pub host: String,
    /// The host, unless it is an IP address.
    pub name: Option<String>,
}

/// A whole URL of an origin, `http(s)://host[:port]`.
pub(super) fn origin_url(text: &str) -> Result<OriginUrl, Fault> {
    let example = "write http://HOST, https://HOST or https://HOST:PORT";
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(Fault::new(format!("{} lacks http:// or https://", quoted(text)), example));
    };
    let is_tls = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return Err(Fault::new(format!("{} is no scheme of an origin", quoted(scheme)), example)),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if let Some(index) = rest.find(['/', '?', '#']) {
        let host = rest.get(..index).unwrap_or_default();
        let hint = format!("write {scheme}://{}; requests keep the path that the client asked for", shown_name(host));
        return Err(Fault::new(format!("{} has a path or a query", quoted(text)), hint));
    }
    if rest.contains('@') {
        return Err(Fault::new("the URL has a user name", "an origin is asked without one: write only the host"));
    }
    if rest.is_empty() {
        return Err(Fault::new(format!("{} has no host", quoted(text)), example));
    }
    let (name, port) = server(rest)?;
    let port = port.filter(|port| *port != if is_tls { 443 } else { 80 });
    let host = with_port(&name, port);
    let name = name.parse::<IpAddr>().is_err().then(|| name.trim_end_matches('.').to_owned());
    Ok(OriginUrl { is_tls, host, name })
}

/// An IP address, with or without the brackets of IPv6.
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

/// A name or address as it stands in a Host header.
fn with_port(host: &str, port: Option<u16>) -> String {
    let host = host.parse().map_or_else(|_| host.to_owned(), show_ip);
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

fn show_ip(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), Fault> {
    if text.starts_with('[') && !text.contains(']') {
        return Err(Fault::new(format!("{} lacks its closing bracket", quoted(text)), "write \"[2001:db8::1]:443\""));
    }
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((_, rest)) => {
            let host = text.get(..text.len() - rest.len()).unwrap_or_default();
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').unwrap_or(rest)) })
        }
        None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let Some(port) = port else { return Ok((host, None)) };
    match port.parse::<u16>() {
        Ok(number) if number > 0 && !port.starts_with('+') => Ok((host, Some(number))),
        _ => Err(Fault::new(format!("{} has no port behind its colon", quoted(text)), "ports go from 1 to 65535")),
    }
}

/// A DNS name as it goes over the wire, lower-case. Underscores are let through: container networks use them.
fn name(text: &str) -> Result<String, Fault> {
    let wrong = |what: &str, hint: &str| Err(Fault::new(format!("{} {what}", quoted(text)), hint));
    if text.is_empty() {
        return Err(Fault::new("the name is empty", "write a name such as \"www.example.com\""));
    }
    if text.contains("://") || text.contains('/') {
        return wrong("is more than a name", "write the name alone, without scheme and path");
    }
    if text.contains(':') {
        return wrong("has a port", "write the name alone; ports stand under [listen] or in servers");
    }
    if text.contains('*') {
        return wrong("has its * in the wrong place", "* stands for whole labels at the left: *.example.com");
    }
    if !text.is_ascii() {
        return wrong(
            "has letters outside ASCII",
            "write the A-label that DNS uses, xn--…, for example as `idn2` prints it",
        );
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if let Some(byte) = text.bytes().find(|byte| !is_allowed(*byte)) {
        let bad = char::from(byte).escape_debug().to_string();
        return wrong(&format!("has '{bad}' in it"), "a name has letters, digits, hyphens and dots");
    }
    if text.len() > 253 {
        return Err(Fault::new(format!("the name has {} letters", text.len()), "a name has at most 253"));
    }
    for label in text.split('.') {
        match label {
            "" => return wrong("has an empty label", "two dots in a row, or one at an end, are a slip"),
            _ if label.len() > 63 => return wrong("has a label of more than 63 letters", "DNS allows 63"),
            _ if label.starts_with('-') || label.ends_with('-') => {
                return wrong("has a hyphen at the end of a label", "labels begin and end with a letter or digit");
            }
            _ => {}
        }
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return wrong("is neither a name nor an IP address", "an IPv4 address has four numbers up to 255");
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        for (text, expected) in [
            ("O.example", Some(("o.example", None))),
            ("o.example.", Some(("o.example.", None))),
            ("o_1.example:80", Some(("o_1.example", Some(80)))),
            ("192.0.2.1:65535", Some(("192.0.2.1", Some(65535)))),
            ("2001:DB8::1", Some(("2001:db8::1", None))),
            ("[2001:db8::1]", Some(("2001:db8::1", None))),
            ("[2001:db8::1]:443", Some(("2001:db8::1", Some(443)))),
            ("[192.0.2.1]:80", None),
            ("[::1]80x", None),
            ("o.example:", None),
            ("o.example:+80", None),
            ("o.example:0", None),
            (":80", None),
            (".", None),
            ("u@o.example", None),
        ] {
            let expected = expected.map(|(name, port)| (name.to_owned(), port));
            assert_eq!(server(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn domains_and_whitelist_entries() {
        for (text, as_domain, as_entry) in [
            ("A.Example", Some("a.example"), Some("a.example")),
            ("a.example.", Some("a.example"), None),
            ("*.example", Some("*.example"), None),
            ("*.a.example", Some("*.a.example"), Some("*.a.example")),
            ("*a.example", None, None),
            ("*.", None, None),
            ("192.0.2.1", Some("192.0.2.1"), Some("192.0.2.1")),
            ("::1", Some("[::1]"), Some("::1")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example"), Some("xn--bcher-kva.example")),
            ("bücher.example", None, None),
        ] {
            assert_eq!(domain(text).ok().as_deref(), as_domain, "{text:?}");
            assert_eq!(whitelist_entry(text).ok().as_deref(), as_entry, "{text:?}");
        }
        assert!(name(&format!("{}.example", "a".repeat(64))).is_err());
        assert!(name(&"a.".repeat(126)).is_err() && name(&["a"; 127].join(".")).is_ok());
        assert!(name(&["a"; 128].join(".")).is_err());
    }

    #[test]
    fn fingerprints_with_and_without_colons() {
        let colons = format!("sha256:{}", ["Ab"; 32].join(":"));
        assert_eq!(fingerprint(&colons), Ok([0xab; 32]));
        assert_eq!(fingerprint(&colons.replace("b:", "b")), Ok([0xab; 32]));
        assert!(fingerprint(&colons.replace("sha256", "sha1")).is_err());
    }
}
