//! The admin API of a running Millpond, asked over HTTP or HTTPS on a connection for each request. Every wait has a limit,
//! and so has the answer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use millpond::config::Config;
use millpond::{TlsClient, TlsFailure, Trusted};
use serde_json::Value;

use crate::cli::Place;
use crate::failure::Failure;

/// The way to the API, with the token.
pub struct Client {
    /// Tried one after the other.
    addresses: Vec<SocketAddr>,
    /// Host and port.
    host: String,
    token: String,
    secure: Option<Secure>,
}

/// What HTTPS takes.
struct Secure {
    client: TlsClient,
    /// The name that it is to have, or the address.
    name: String,
    /// What to do where its certificate is refused.
    hint: String,
}

/// A connection of either kind.
trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

impl Client {
    /// Where a configuration file or a command line says.
    pub fn new(place: &Place) -> Result<Client, Failure> {
        match place {
            Place::Config(path, token) => Client::of_file(path, token.as_deref()),
            Place::Address(url, token, ca) => Client::of_address(url, token, ca.as_deref()),
        }
    }

    fn of_address(url: &str, token: &Path, ca: Option<&Path>) -> Result<Client, Failure> {
        let Some((is_https, host, name)) = parts(url) else {
            let hint = "write http://127.0.0.1:9180, or https://NAME:9180 where it has a certificate";
            return refused(&format!("--admin: {url:?} is no address with a port"), hint);
        };
        let addresses: Vec<SocketAddr> =
            host.to_socket_addrs().map_err(|error| failed(&format!("--admin: {host}: {error}")))?.collect();
        let trusted = ca.map_or(Trusted::System, |ca| Trusted::File(ca.to_owned()));
        let hint = match ca {
            Some(ca) => format!("{} holds neither its certificate nor that of its issuer", ca.display()),
            None => "give its certificate, or that of its issuer, with --ca FILE".to_owned(),
        };
        let secure = if is_https { Some(Secure::new(&trusted, name, hint)?) } else { None };
        Ok(Client { addresses, host: host.to_owned(), token: token_of(token)?, secure })
    }

    fn of_file(path: &Path, token: Option<&Path>) -> Result<Client, Failure> {
        let shown = path.display();
        if !path.exists() {
            let hint =
                "name the file that it serves with --config FILE, or where it is with --admin URL --token-file FILE";
            return refused(&format!("there is no file {shown}"), hint);
        }
        let config = Config::load_with_door(path)?;
        let door = config.admin.as_ref();
        let Some(mut address) = door.and_then(|door| door.listen) else {
            return refused(
                &format!("{shown}: [admin] listen is \"off\""),
                "switch it on, or ask another Millpond with --admin",
            );
        };
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        let in_state = || config.state.dir.as_ref().map(|dir| dir.join("token"));
        let Some(token): Option<PathBuf> = token.map(PathBuf::from).or_else(in_state) else {
            let hint = "write dir = \"/var/lib/millpond\" under [state] and restart it, or give --token-file FILE";
            return refused(&format!("{shown} names no state directory, so the token is not known"), hint);
        };
        let secure = match door.and_then(|door| door.https.as_ref()) {
            Some(https) => {
                let certificate = https.certificate.clone();
                let hint = format!(
                    "it shows another one than {}: restart it if that was renewed, or is another program there?",
                    certificate.display()
                );
                Some(Secure::new(&Trusted::Exactly(certificate), &address.ip().to_string(), hint)?)
            }
            None => None,
        };
        Ok(Client { addresses: vec![address], host: address.to_string(), token: token_of(&token)?, secure })
    }

    /// The answer to GET.
    pub fn get(&self, target: &str) -> Result<Value, Failure> {
        self.ask("GET", target, None)
    }

    /// The answer to POST.
    pub fn post(&self, target: &str, body: Option<&Value>) -> Result<Value, Failure> {
        self.ask("POST", target, body)
    }

    /// What it answers; a refusal is a failure, in its own words.
    fn ask(&self, method: &str, target: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let (status, text) =
            self.exchange(method, target, body).map_err(|why| failed(&format!("cannot ask {}: {why}", self.url())))?;
        let value: Value = serde_json::from_slice(&text)
            .map_err(|_| failed(&format!("{}{target} answers {status} with what is no JSON", self.url())))?;
        match status {
            200..300 => Ok(value),
            401 => Err(failed("the token is wrong: was the state directory exchanged, or is it another Millpond's?")),
            _ => {
                let detail = member(&value, "detail").as_str().unwrap_or("it does not say why");
                Err(failed(&format!("refused ({status}): {detail}")))
            }
        }
    }

    fn url(&self) -> String {
        format!("{}://{}", if self.secure.is_some() { "https" } else { "http" }, self.host)
    }

    /// Status and content; or why there are none, and what to do.
    fn exchange(&self, method: &str, target: &str, body: Option<&Value>) -> Result<(u16, Vec<u8>), String> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let socket = self.connect().map_err(|error| format!("{error}; {NOBODY}"))?;
        let mut wire: Box<dyn Wire> = match &self.secure {
            Some(secure) => {
                Box::new(secure.client.open(socket, &secure.name).map_err(|failure| secure.words(&failure))?)
            }
            None => Box::new(socket),
        };
        let (host, token) = (&self.host, &self.token);
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
        );
        if !body.is_empty() {
            head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        let mut answer = Vec::new();
        let asked = wire.write_all(format!("{head}\r\n{body}").as_bytes()).and_then(|()| wire.flush());
        // A refusal may come before all is taken, and an end may be abrupt behind a whole answer.
        let read = wire.take(MOST_ANSWER).read_to_end(&mut answer);
        match parsed(&answer) {
            Some(answer) => Ok(answer),
            None if !answer.is_empty() && !answer.starts_with(b"HTTP/") => Err(match self.secure {
                Some(_) => "it does not answer in HTTP: is it a Millpond's?".to_owned(),
                None => format!("it does not answer in HTTP: does it want https://{host}?"),
            }),
            None => Err(match asked.and(read) {
                Err(error) if is_silence(&error) => "it does not answer in time".to_owned(),
                Err(error) => format!("{error}; {NOBODY}"),
                Ok(_) => format!("it closes the connection without a whole answer; {NOBODY}"),
            }),
        }
    }

    /// A connection to the first address that takes one.
    fn connect(&self) -> io::Result<TcpStream> {
        let mut outcome = Err(io::Error::other("the name has no address"));
        for address in &self.addresses {
            outcome = TcpStream::connect_timeout(address, CONNECT);
            if let Ok(socket) = &outcome {
                socket.set_read_timeout(Some(ANSWER))?;
                socket.set_write_timeout(Some(ANSWER))?;
                break;
            }
        }
        outcome
    }
}

impl Secure {
    fn new(trusted: &Trusted, name: &str, hint: String) -> Result<Secure, Failure> {
        let client = TlsClient::new(trusted).map_err(|failure| failed(&failure.to_string()))?;
        Ok(Secure { client, name: name.to_owned(), hint })
    }

    /// Why there is no secure connection, and what to do.
    fn words(&self, failure: &TlsFailure) -> String {
        match failure {
            TlsFailure::Certificate(_) => format!("{failure}; {}", self.hint),
            TlsFailure::NoTls => format!("{failure}: has it no certificate, so that http:// is right?"),
            TlsFailure::UnknownName => {
                format!("{failure}: name it under hosts in its [admin], or ask for its IP address")
            }
            _ => failure.to_string(),
        }
    }
}

/// Of an address its scheme, host with port, and name alone.
fn parts(url: &str) -> Option<(bool, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let is_https = scheme.eq_ignore_ascii_case("https");
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let (name, port) = host.rsplit_once(':')?;
    let is_bracketed = name.starts_with('[') && name.ends_with(']');
    let is_host = !name.is_empty() && (is_bracketed || !name.contains(':')) && !name.contains(['/', '?', '#', '@']);
    let is_known = is_https || scheme.eq_ignore_ascii_case("http");
    (is_known && is_host && port.parse::<u16>().is_ok())
        .then(|| (is_https, host, name.trim_start_matches('[').trim_end_matches(']')))
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Status and content of a response whose connection has ended; the API declares every length.
fn parsed(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let body = answer.get(end.saturating_add(4)..)?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: Option<usize> = length.and_then(|(_, value)| value.trim().parse().ok());
    (length == Some(body.len())).then(|| (status, body.to_vec()))
}

/// The token in a state file of ours, or on a line of its own.
fn token_of(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MOST_TOKEN).read_to_string(&mut text));
    if let Err(error) = read {
        let hint = "has it been started with this state directory, and may this user read it?";
        return Err(failed(&format!("cannot read the token in {}: {error}; {hint}", path.display())));
    }
    let line = text.lines().find(|line| !line.starts_with("millpond token ")).unwrap_or_default().trim();
    if line.is_empty() || !line.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(failed(&format!("{} holds no token", path.display())));
    }
    Ok(line.to_owned())
}

/// A member of an object; null where there is none.
pub fn member<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// A failure in a line.
pub fn failed(what: &str) -> Failure {
    Failure::Failed(format!("millpond: {what}"))
}

fn refused<T>(what: &str, hint: &str) -> Result<T, Failure> {
    Err(Failure::Refused(format!("millpond: {what}\n{hint}")))
}

const NOBODY: &str = "does a Millpond run there, with [admin] switched on?";
const CONNECT: Duration = Duration::from_secs(5);
/// The longest that the API takes for one answer, and a little.
const ANSWER: Duration = Duration::from_secs(130);
const MOST_ANSWER: u64 = 64 << 20;
const MOST_TOKEN: u64 = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_a_host_and_a_port() {
        let rows = [
            ("http://127.0.0.1:9180", Some((false, "127.0.0.1:9180", "127.0.0.1"))),
            ("HTTPS://console.test:443/", Some((true, "console.test:443", "console.test"))),
            ("https://[::1]:9180", Some((true, "[::1]:9180", "::1"))),
            ("https://console.test", None),
            ("https://::1", None),
            ("127.0.0.1:9180", None),
            ("ftp://a:1", None),
            ("http://:1", None),
            ("http://a:70000", None),
            ("http://a:1/#token=x", None),
            ("http://u@a:1", None),
        ];
        for (url, expected) in rows {
            assert_eq!(parts(url), expected, "{url}");
        }
    }

    #[test]
    fn only_whole_responses_are_taken() {
        let whole = b"HTTP/1.1 200 OK\r\nDate: x\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(parsed(whole), Some((200, b"{}".to_vec())));
        for cut in 0..whole.len() {
            assert_eq!(parsed(whole.get(..cut).unwrap_or_default()), None, "{cut}");
        }
        assert_eq!(parsed(b"HTTP/1.1 200 OK\r\n\r\n{}"), None);
    }
}
