//! The admin API of a running Millpond, asked over plain HTTP on a connection for each request. Every wait has a limit, and
//! so has the answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use millpond::config::Config;
use serde_json::Value;

use crate::cli::Place;
use crate::failure::Failure;

/// The way to the API, with the token.
pub struct Client {
    address: SocketAddr,
    host: String,
    token: String,
}

impl Client {
    /// Where a configuration file or a command line says.
    pub fn new(place: &Place) -> Result<Client, Failure> {
        match place {
            Place::Config(path, token) => Client::of_file(path, token.as_deref()),
            Place::Address(url, token) => {
                let host = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/').to_owned());
                let Some(host) = host.filter(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@'])) else {
                    return refused(&format!("--admin: {url:?} is no address"), "write http://127.0.0.1:9180");
                };
                let mut found = host.to_socket_addrs().map_err(|error| failed(&format!("--admin: {host}: {error}")))?;
                let Some(address) = found.next() else {
                    return Err(failed(&format!("--admin: {host} has no address")));
                };
                Ok(Client { address, host, token: token_of(token)? })
            }
        }
    }

    fn of_file(path: &Path, token: Option<&Path>) -> Result<Client, Failure> {
        let config = Config::load(path)?.with_door();
        let shown = path.display();
        let door = config.admin.as_ref();
        let Some(mut address) = door.and_then(|door| door.listen) else {
            return refused(
                &format!("{shown}: [admin] listen is \"off\""),
                "switch it on, or ask another Millpond with --admin",
            );
        };
        if door.is_some_and(|door| door.https.is_some()) {
            let hint =
                "this command speaks plain HTTP only: use the console or curl, or listen without a certificate here";
            return refused(&format!("{shown}: the admin listener has a certificate"), hint);
        }
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
        Ok(Client { address, host: address.to_string(), token: token_of(&token)? })
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
        let (status, text) = self.exchange(method, target, body).map_err(|error| {
            let hint = "does a Millpond run there, with [admin] switched on?";
            failed(&format!("cannot ask http://{}: {error}; {hint}", self.host))
        })?;
        let value: Value = serde_json::from_slice(&text)
            .map_err(|_| failed(&format!("http://{}{target} answers {status} with what is no JSON", self.host)))?;
        match status {
            200..300 => Ok(value),
            401 => Err(failed("the token is wrong: was the state directory exchanged, or is it another Millpond's?")),
            _ => {
                let detail = member(&value, "detail").as_str().unwrap_or("it does not say why");
                Err(failed(&format!("refused ({status}): {detail}")))
            }
        }
    }

    fn exchange(&self, method: &str, target: &str, body: Option<&Value>) -> std::io::Result<(u16, Vec<u8>)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut socket = TcpStream::connect_timeout(&self.address, CONNECT)?;
        socket.set_read_timeout(Some(ANSWER))?;
        socket.set_write_timeout(Some(ANSWER))?;
        let (host, token) = (&self.host, &self.token);
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
        );
        if !body.is_empty() {
            head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        socket.write_all(format!("{head}\r\n").as_bytes())?;
        socket.write_all(body.as_bytes())?;
        let mut answer = Vec::new();
        socket.take(MOST_ANSWER).read_to_end(&mut answer)?;
        parsed(&answer).ok_or_else(|| std::io::Error::other("the answer is not a whole HTTP response"))
    }
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

const CONNECT: Duration = Duration::from_secs(5);
/// The longest that the API takes for one answer, and a little.
const ANSWER: Duration = Duration::from_secs(130);
const MOST_ANSWER: u64 = 64 << 20;
const MOST_TOKEN: u64 = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

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
