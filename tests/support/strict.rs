//! A second parser of requests, strict to the letter, for what a proxy sends on: it shares no line with `wire`, and takes
//! nothing that two readers could take differently.

/// One request as the bytes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Bytes that it took.
    pub len: usize,
}

/// What the bytes so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The beginning of a request.
    Partial,
    Whole(Whole),
    /// Nothing that may be sent on; the words say what.
    Wrong(String),
}

impl Whole {
    /// All values of that lower-case name.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// Reads the request at the start of `bytes`.
pub fn read(bytes: &[u8]) -> Read {
    match try_read(bytes) {
        Ok(Some(whole)) => Read::Whole(whole),
        Ok(None) => Read::Partial,
        Err(what) => Read::Wrong(what),
    }
}

fn try_read(bytes: &[u8]) -> Result<Option<Whole>, String> {
    let mut lines = Lines { bytes, at: 0 };
    let Some(first) = lines.next()? else { return Ok(None) };
    let (method, target) = request_line(first)?;
    let mut fields = Vec::new();
    loop {
        match lines.next()? {
            None => return Ok(None),
            Some(b"") => break,
            Some(line) => fields.push(field(line)?),
        }
    }
    let mut whole = Whole { method, target, fields, body: Vec::new(), len: lines.at };
    judge(&whole)?;
    let length = body_length(&whole)?;
    let Some(body) = bytes.get(whole.len..whole.len + length) else { return Ok(None) };
    whole.body = body.to_vec();
    whole.len += length;
    Ok(Some(whole))
}

/// Lines that end in CRLF and hold neither CR nor LF nor any other control byte but HTAB.
struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Lines<'b> {
    fn next(&mut self) -> Result<Option<&'b [u8]>, String> {
        let start = self.at;
        for (offset, byte) in self.bytes[start..].iter().enumerate() {
            match (byte, self.bytes.get(start + offset + 1)) {
                (b'\r', Some(b'\n')) => {
                    self.at = start + offset + 2;
                    return Ok(Some(&self.bytes[start..start + offset]));
                }
                (b'\r', None) => return Ok(None),
                (b'\t' | b' '..=b'~' | 0x80.., _) => {}
                (byte, _) => return Err(format!("byte {byte:#04x} at {}", start + offset)),
            }
        }
        Ok(None)
    }
}

fn request_line(line: &[u8]) -> Result<(String, String), String> {
    let text = std::str::from_utf8(line).map_err(|_| "request line beyond ASCII".to_owned())?;
    let parts: Vec<&str> = text.split(' ').collect();
    let [method, target, "HTTP/1.1"] = parts[..] else { return Err(format!("request line {text:?}")) };
    if !is_token(method.as_bytes()) || matches!(method, "CONNECT" | "TRACE") {
        return Err(format!("method {method:?}"));
    }
    // No fragment, backslash, blank or byte beyond ASCII; else as the client sent it (RFC 3986 is wider than servers are).
    let is_fine = |byte: u8| matches!(byte, b'!'..=b'~') && !matches!(byte, b'#' | b'\\');
    match target.starts_with('/') && target.bytes().all(is_fine) {
        true => Ok((method.to_owned(), target.to_owned())),
        false => Err(format!("target {target:?}")),
    }
}

fn field(line: &[u8]) -> Result<(String, String), String> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or("a field line without colon")?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err(format!("field name {:?}", String::from_utf8_lossy(name)));
    }
    let value = value.trim_ascii();
    Ok((String::from_utf8_lossy(name).to_ascii_lowercase(), value.iter().map(|byte| char::from(*byte)).collect()))
}

/// What must be there once, and what must not be there at all.
fn judge(whole: &Whole) -> Result<(), String> {
    let [host] = whole.values("host")[..] else { return Err(format!("Host: {:?}", whole.values("host"))) };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_name) || host != host.to_ascii_lowercase() {
        return Err(format!("Host: {host:?}"));
    }
    for name in ["connection", "keep-alive", "te", "trailer", "upgrade", "proxy-connection", "expect", "http2-settings"]
    {
        if !whole.values(name).is_empty() {
            return Err(format!("{name} goes no further than one hop"));
        }
    }
    Ok(())
}

/// A proxy that reads bodies whole before it sends them on knows their length.
fn body_length(whole: &Whole) -> Result<usize, String> {
    match (&whole.values("content-length")[..], &whole.values("transfer-encoding")[..]) {
        ([], []) => Ok(0),
        ([length], []) if *length == "0" || !length.starts_with('0') => {
            let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            length.parse().ok().filter(|_| is_number).ok_or_else(|| format!("length {length:?}"))
        }
        (lengths, codings) => Err(format!("lengths {lengths:?} and codings {codings:?}")),
    }
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}
