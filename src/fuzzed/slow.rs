//! The rules of messages written down a second time, for comparison: slow, of whole inputs only, split at their line ends
//! and without a state. What one reader takes the other must take, and understand in the same way.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use crate::http1::{BodyLength, HeadLimits};

/// A head that is whole and clean, taken apart at its line ends.
pub struct Head<'d> {
    line: &'d [u8],
    /// Names and values, blanks around values left out.
    pub fields: Vec<(&'d str, &'d [u8])>,
    /// Bytes, with an empty line before it.
    pub len: usize,
}

/// What a request says.
pub struct Request<'d> {
    /// Method, target, authority and host.
    pub words: [Cow<'d, str>; 4],
    pub body: BodyLength,
    pub head: Head<'d>,
}

/// What a response says.
pub struct Response<'d> {
    pub status: u16,
    /// `None` where the fields leave it in doubt.
    pub body: Option<BodyLength>,
    pub head: Head<'d>,
}

/// The request that the input begins with; `None` where it is none, or not whole.
pub fn request<'d>(data: &'d [u8], limits: &HeadLimits) -> Option<Request<'d>> {
    let start = if data.starts_with(b"\r\n") { 2 } else { 0 };
    let mut head = head(data.get(start..)?, &HeadLimits { head: limits.head.checked_sub(start)?, ..*limits })?;
    head.len += start;
    let [method, target, version] =
        std::str::from_utf8(head.line).ok()?.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let is_old = ["HTTP/1.1", "HTTP/1.0"].iter().position(|known| *known == version)? == 1;
    let is_method = is_token(method.as_bytes()) && method.len() <= 32 && method != "CONNECT";
    let is_target =
        !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\');
    let hosts: Vec<&str> = named(&head, "host").map(std::str::from_utf8).collect::<Result<_, _>>().ok()?;
    if !is_method || !is_target || hosts.len() > 1 || (hosts.is_empty() && !is_old) {
        return None;
    }
    let named_host = hosts.first().copied();
    if named_host.is_some_and(|host| host_of(host).is_none()) {
        return None;
    }
    let (path, authority): (Cow<'_, str>, _) = match scheme_end(target) {
        _ if target.starts_with('/') || (target == "*" && method == "OPTIONS") => {
            (target.into(), named_host.unwrap_or_default())
        }
        None => return None,
        Some(end) => {
            let (authority, path) = split(target.get(end..)?, |c| c == '/' || c == '?');
            host_of(authority)?;
            match path {
                "" if method == "OPTIONS" => ("*".into(), authority),
                "" => ("/".into(), authority),
                _ if path.starts_with('?') => (format!("/{path}").into(), authority),
                _ => (path.into(), authority),
            }
        }
    };
    let is_expected = named(&head, "expect").all(|value| value.eq_ignore_ascii_case(b"100-continue"));
    let body = match (coding(&head), length(&head)?) {
        (None, None) => BodyLength::None,
        (None, Some(length)) => BodyLength::Exact(length),
        (Some(true), None) if !is_old => BodyLength::Chunked,
        _ => return None,
    };
    let host = if authority.is_empty() { "" } else { host_of(authority)? };
    (is_expected && has_few_options(&head)).then_some(Request {
        words: [method.into(), path, authority.into(), host.into()],
        body,
        head,
    })
}

/// The response to GET that the input begins with; `None` where it is none, or not whole.
pub fn response(data: &[u8]) -> Option<Response<'_>> {
    let head = head(data, &HeadLimits::ORIGIN)?;
    let (version, rest) = head.line.split_at_checked(9)?;
    let is_old = [&b"HTTP/1.1 "[..], b"HTTP/1.0 "].iter().position(|known| *known == version)? == 1;
    let (code, reason) = rest.split_at_checked(3)?;
    let status = std::str::from_utf8(code).ok()?.parse::<u16>().ok().filter(|_| code.iter().all(u8::is_ascii_digit))?;
    let is_line = (100..600).contains(&status) && (reason.is_empty() || reason.starts_with(b" "));
    let length = length(&head)?;
    let body = match (status, coding(&head), length) {
        (100..=199 | 204 | 304, _, _) => Some(BodyLength::None),
        (_, None, None) => Some(BodyLength::UntilClose),
        (_, None, Some(length)) => Some(BodyLength::Exact(length)),
        (_, Some(true), None) if !is_old => Some(BodyLength::Chunked),
        _ => None,
    };
    (is_line && has_few_options(&head)).then_some(Response { status, body, head })
}

/// The data of the chunked body that the input begins with, and where it ends; `None` where it is none, or not whole.
pub fn chunked(data: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut decoded, mut at) = (Vec::new(), 0);
    loop {
        let line = line_at(data, at)?;
        at += line.len() + 2;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, extension) = line.split_at_checked(digits)?;
        let size = u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        if digits > 16 || size > u64::MAX / 2 || !is_extension(extension) {
            return None;
        }
        if size == 0 {
            break;
        }
        let end = at.checked_add(usize::try_from(size).ok()?)?;
        decoded.extend_from_slice(data.get(at..end)?);
        at = end + 2;
        (data.get(end..at)? == b"\r\n").then_some(())?;
    }
    let (start, mut lines) = (at, 0);
    loop {
        let line = line_at(data, at)?;
        at += line.len() + 2;
        if line.is_empty() {
            return (lines <= 100 && at - start <= (8 << 10) + 1).then_some((decoded, at));
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        (is_token(line.get(..colon)?) && line.iter().all(is_text)).then_some(())?;
        lines += 1;
    }
}

/// Nothing; or blanks, a semicolon, and text whose quotes are closed: 256 bytes at most.
fn is_extension(text: &[u8]) -> bool {
    let Some(start) = text.iter().position(|byte| !matches!(byte, b' ' | b'\t')) else { return text.is_empty() };
    let (mut is_quoted, mut is_guarded) = (false, false);
    for byte in text {
        match byte {
            _ if is_guarded => is_guarded = false,
            b'\\' => is_guarded = is_quoted,
            b'"' => is_quoted = !is_quoted,
            _ => {}
        }
    }
    text.get(start) == Some(&b';') && text.len() <= 256 && text.iter().all(is_text) && !is_quoted
}

fn head<'d>(data: &'d [u8], limits: &HeadLimits) -> Option<Head<'d>> {
    let (mut at, mut lines) = (0, Vec::new());
    loop {
        let line = line_at(data, at)?;
        at += line.len() + 2;
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let (line, rest) = lines.split_first()?;
    let is_clean = lines.iter().all(|line| line.iter().all(is_text) && !matches!(line.first(), Some(b' ' | b'\t')));
    if !is_clean || at > limits.head || line.len() > limits.line || rest.len() > limits.fields {
        return None;
    }
    let field = |line: &&'d [u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = std::str::from_utf8(line.get(..colon).filter(|name| is_token(name))?).ok()?;
        Some((name, blanks_off(line.get(colon + 1..)?)))
    };
    Some(Head { line, fields: rest.iter().map(field).collect::<Option<_>>()?, len: at })
}

/// The line at a place, which ends in CRLF and has no other CR or LF.
fn line_at(data: &[u8], at: usize) -> Option<&[u8]> {
    let rest = data.get(at..)?;
    let line = rest.get(..rest.iter().position(|byte| *byte == b'\n')?)?.strip_suffix(b"\r")?;
    (!line.contains(&b'\r')).then_some(line)
}

fn named<'d>(head: &Head<'d>, wanted: &str) -> impl Iterator<Item = &'d [u8]> {
    head.fields.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value)
}

/// The one Content-Length, if there is one; `None` where it is in doubt.
fn length(head: &Head<'_>) -> Option<Option<u64>> {
    let mut values = named(head, "content-length");
    let (first, second) = (values.next(), values.next());
    let Some(text) = first else { return Some(None) };
    let is_plain = text.iter().all(u8::is_ascii_digit) && text.len() <= 18 && (text == b"0" || !text.starts_with(b"0"));
    let number = std::str::from_utf8(text).ok()?.parse().ok()?;
    (second.is_none() && is_plain).then_some(Some(number))
}

/// Whether Transfer-Encoding says `chunked` and nothing else; `None` where there is none.
fn coding(head: &Head<'_>) -> Option<bool> {
    let values: Vec<_> = named(head, "transfer-encoding").collect();
    (!values.is_empty()).then(|| values.len() == 1 && values.iter().all(|value| value.eq_ignore_ascii_case(b"chunked")))
}

fn has_few_options(head: &Head<'_>) -> bool {
    let options = named(head, "connection").flat_map(|value| value.split(|byte| *byte == b','));
    options.filter(|option| is_token(option.trim_ascii())).count() <= 64
}

fn scheme_end(target: &str) -> Option<usize> {
    let target = target.to_ascii_lowercase();
    ["http://", "https://"].iter().find(|scheme| target.starts_with(**scheme)).map(|scheme| scheme.len())
}

/// The host of `host[:port]`, without the dot at its end.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => authority.split_at_checked(rest.find(']')? + 2)?,
        None => split(authority, |c| c == ':'),
    };
    let is_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| {
            digits.is_empty()
                || (digits.len() <= 5
                    && digits.bytes().all(|byte| byte.is_ascii_digit())
                    && digits.parse::<u16>().is_ok())
        });
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let is_label = |label: &str| {
                !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            };
            host.len() <= 254 && host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
        }
    };
    (is_port && is_host).then_some(host.strip_suffix('.').unwrap_or(host))
}

fn split(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at_checked(text.find(is_end).unwrap_or(text.len())).unwrap_or((text, ""))
}

fn blanks_off(text: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(byte))
}

fn is_text(byte: &u8) -> bool {
    *byte == b'\t' || !byte.is_ascii_control()
}
