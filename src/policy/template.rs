//! Texts with variables, as the operator writes them into fields of the origin request: `"$scheme://$host$uri"`.
//!
//! A template is read once, when the configuration is; what it can name is the closed list of [`Variable`]. No value can
//! hold a control byte: literals are checked here, and no part of a request that a variable stands for can have one.

use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;

/// A text in parts. Rendering it cannot fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Box<[Part]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Variable(Variable),
}

/// What a template can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `$client_ip`: the client's address; one of IPv4 as such.
    ClientIp,
    /// `$client_port`
    ClientPort,
    /// `$scheme`: `http` or `https`, as the client asked.
    Scheme,
    /// `$host`: the name that the client asked for, in lower case, without port.
    Host,
    /// `$method`
    Method,
    /// `$request_id`: as in the access log.
    RequestId,
    /// `$uri`: path and query as the client sent them.
    Uri,
    /// `$path`: the path alone.
    Path,
    /// `$query`: what is behind the question mark; may be empty.
    Query,
    /// `$server_name`: the first domain of the site, or `default`.
    ServerName,
}

/// The request that a template is rendered for.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Who sent it.
    pub client: SocketAddr,
    /// It came over TLS.
    pub is_https: bool,
    /// The lower-case name asked for, without port.
    pub host: &'a str,
    /// The method token.
    pub method: &'a str,
    /// Path and query as sent.
    pub target: &'a str,
    /// Its number, as people see it.
    pub id: &'a dyn Display,
    /// The site's name.
    pub site: &'a str,
}

/// What is wrong with something that the operator wrote, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Mistake {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Mistake {
        Mistake { message: message.into(), hint: hint.into() }
    }
}

impl Variable {
    /// The closed list, each with the name behind its dollar.
    pub const ALL: [(&'static str, Variable); 10] = [
        ("client_ip", Variable::ClientIp),
        ("client_port", Variable::ClientPort),
        ("scheme", Variable::Scheme),
        ("host", Variable::Host),
        ("method", Variable::Method),
        ("request_id", Variable::RequestId),
        ("uri", Variable::Uri),
        ("path", Variable::Path),
        ("query", Variable::Query),
        ("server_name", Variable::ServerName),
    ];

    fn named(name: &str) -> Result<Variable, Mistake> {
        let found = Variable::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, variable)| *variable).ok_or_else(|| {
            let known: Vec<String> = Variable::ALL.iter().map(|(known, _)| format!("${known}")).collect();
            Mistake::new(format!("there is no variable ${name}"), format!("there are {}", known.join(", ")))
        })
    }
}

impl Template {
    /// Reads a text: `$name` is a variable (`${name}` where letters follow), `$$` a dollar.
    pub fn parse(text: &str) -> Result<Template, Mistake> {
        if text.is_empty() || text.len() > MAX_TEXT {
            let hint = "write the value, or name the field under remove";
            return Err(Mistake::new(format!("a value has 1 to {MAX_TEXT} bytes"), hint));
        }
        if let Some(byte) = text.bytes().find(|byte| !byte.is_ascii_graphic() && *byte != b' ') {
            let hint = "field values are printable ASCII here";
            return Err(Mistake::new(format!("byte 0x{byte:02x} cannot stand in a field value"), hint));
        }
        if text.trim_ascii() != text {
            return Err(Mistake::new("blanks at its ends are no part of a field value", "remove them"));
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('$') {
            literal.push_str(before);
            if let Some(behind) = behind.strip_prefix('$') {
                literal.push('$');
                rest = behind;
                continue;
            }
            let (name, behind) = variable_name(behind)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal).into()));
            }
            parts.push(Part::Variable(Variable::named(name)?));
            rest = behind;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        if parts.len() > MAX_PARTS {
            return Err(Mistake::new("too many variables in one value", format!("{} will do", MAX_PARTS / 2)));
        }
        Ok(Template(parts.into()))
    }

    /// The value for one request.
    pub fn render(&self, facts: &Facts<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        for part in &self.0 {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Variable(variable) => facts.write(*variable, &mut out),
            }
        }
        out
    }

    /// Does its value differ between requests of one cache key? `shares` tells what the key leaves out: the scheme, the
    /// host.
    pub fn depends_on_client(&self, shares: (bool, bool)) -> bool {
        self.0.iter().any(|part| match part {
            Part::Variable(Variable::ClientIp | Variable::ClientPort | Variable::RequestId) => true,
            Part::Variable(Variable::Scheme) => shares.0,
            Part::Variable(Variable::Host) => shares.1,
            _ => false,
        })
    }
}

impl Facts<'_> {
    fn write(&self, variable: Variable, out: &mut Vec<u8>) {
        let (path, query) = self.target.split_once('?').unwrap_or((self.target, ""));
        let text = match variable {
            Variable::Scheme if self.is_https => "https",
            Variable::Scheme => "http",
            Variable::Host => self.host,
            Variable::Method => self.method,
            Variable::Uri => self.target,
            Variable::Path => path,
            Variable::Query => query,
            Variable::ServerName => self.site,
            // Writing to memory does not fail.
            Variable::ClientIp => return drop(write!(out, "{}", self.client.ip().to_canonical())),
            Variable::ClientPort => return drop(write!(out, "{}", self.client.port())),
            Variable::RequestId => return drop(write!(out, "{}", self.id)),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// The name behind a dollar, and what follows it.
fn variable_name(text: &str) -> Result<(&str, &str), Mistake> {
    let hint = "write $$ for a dollar, $host or ${host} for a variable";
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}').ok_or_else(|| Mistake::new("a ${ without its }", hint));
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    match text.split_at_checked(end) {
        Some((name, behind)) if !name.is_empty() => Ok((name, behind)),
        _ => Err(Mistake::new("a lone $", hint)),
    }
}

/// Bytes of a template.
const MAX_TEXT: usize = 4096;
/// Literals and variables of a template: a variable may stand for a whole request line.
const MAX_PARTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts() -> Facts<'static> {
        Facts {
            client: "[::ffff:192.0.2.1]:4711".parse().unwrap(),
            is_https: true,
            host: "a.test",
            method: "GET",
            target: "/x/y?q=1?2",
            id: &"0af7",
            site: "*.test",
        }
    }

    fn show(text: &str) -> String {
        String::from_utf8(Template::parse(text).unwrap().render(&facts())).unwrap()
    }

    #[test]
    fn variables_stand_for_parts_of_the_request() {
        let rows = [
            ("$client_ip", "192.0.2.1"),
            ("$client_ip:$client_port", "192.0.2.1:4711"),
            ("$scheme://$host$uri", "https://a.test/x/y?q=1?2"),
            ("$method $path [$query]", "GET /x/y [q=1?2]"),
            ("${host}name", "a.testname"),
            ("$request_id; $server_name", "0af7; *.test"),
            ("$$host costs 5$$", "$host costs 5$"),
            ("plain", "plain"),
        ];
        for (text, expected) in rows {
            assert_eq!(show(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused_with_a_hint() {
        let long = "x".repeat(4097);
        let many = "$host".repeat(17);
        for (text, word) in [
            ("", "1 to 4096"),
            (long.as_str(), "1 to 4096"),
            (many.as_str(), "too many"),
            ("$", "lone"),
            ("a$ b", "lone"),
            ("${host", "without"),
            ("$clientip", "no variable $clientip"),
            ("$Host", "no variable $Host"),
            ("a\r\nb: c", "0x0d"),
            ("tab\there", "0x09"),
            ("nul\0", "0x00"),
            ("caf\u{e9}", "0xc3"),
            (" x", "blanks"),
        ] {
            let mistake = Template::parse(text).unwrap_err();
            assert!(mistake.message.contains(word) && !mistake.hint.is_empty(), "{text}: {mistake:?}");
        }
    }

    #[test]
    fn what_differs_between_requests_of_one_key_is_known() {
        for (text, shares, expected) in [
            ("$client_ip", (false, false), true),
            ("$request_id", (false, false), true),
            ("$client_port", (false, false), true),
            ("$scheme", (false, true), false),
            ("$scheme", (true, false), true),
            ("$host", (true, false), false),
            ("$host", (false, true), true),
            ("$uri$path$query$method$server_name x", (true, true), false),
        ] {
            assert_eq!(Template::parse(text).unwrap().depends_on_client(shares), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_value_ever_holds_a_control_byte(text in ".{0,60}", near in "[$a-z_{}\\x00-\\x7f]{0,20}") {
            for text in [text, near] {
                if let Ok(template) = Template::parse(&text) {
                    prop_assert!(template.render(&facts()).iter().all(|byte| (b' '..=b'~').contains(byte)));
                }
            }
        }
    }
}
