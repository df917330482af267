//! A request at the door, copied out of the worker's buffer: its parts are asked for with what they must be, and what is
//! something else becomes the answer that says so.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::jobs::Audience;
use super::reply::Reply;
use crate::http1::RequestHead;
use crate::policy::Fields;
use crate::server::Peer;
use crate::time::Now;

/// A request that may come in.
pub struct Request {
    /// When.
    pub now: Now,
    /// Who asks.
    pub peer: IpAddr,
    /// It came over TLS.
    pub is_https: bool,
    /// Its body, where the endpoint takes one.
    pub body: Vec<u8>,
    /// Who waits for the answer, where a job gives it.
    pub audience: Audience,
    /// The parts of the path that stand for `{…}`, decoded, in order.
    pub parameters: Vec<String>,
    /// The query's pairs, decoded.
    query: Vec<(String, String)>,
    fields: Vec<(String, Vec<u8>)>,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most so many items.
    pub limit: usize,
    /// Those behind this cursor.
    pub after: Option<String>,
}

impl Request {
    /// The head's, for an endpoint with these parameters.
    pub fn new(head: &RequestHead<'_, '_>, peer: &Peer, now: Now) -> Request {
        let mut fields = Vec::new();
        let mut keep = |name: &[u8], value: &[u8]| {
            fields.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()));
        };
        head.for_each(&mut keep);
        Request {
            now,
            peer: peer.address.ip(),
            is_https: peer.is_https,
            body: Vec::new(),
            audience: Audience::default(),
            parameters: Vec::new(),
            query: Vec::new(),
            fields,
        }
    }

    /// Takes in the query; `known` are the names that the endpoint has.
    ///
    /// # Errors
    /// 400 for a name that it does not have, one that is there twice, or bytes that are no text.
    pub fn read_query(&mut self, query: &str, known: &[&str]) -> Result<(), Reply> {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text: &str| decoded(&text.replace('+', " "));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                return Err(Reply::bad("the query holds %XX that is no UTF-8 text"));
            };
            if !known.contains(&name.as_str()) {
                let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Reply::bad(&format!("{name:?} is no query parameter here; there is {list}")));
            }
            if self.query(&name).is_some() {
                return Err(Reply::bad(&format!("the query parameter {name:?} is there twice")));
            }
            self.query.push((name, value));
        }
        Ok(())
    }

    /// All lines of a field that is a list, as one (RFC 9110 §5.3); `None` where it is absent.
    fn list(&self, name: &str) -> Option<String> {
        let lines = self.fields.iter().filter(|(known, _)| known == name);
        let lines: Vec<_> = lines.map(|(_, value)| String::from_utf8_lossy(value)).collect();
        (!lines.is_empty()).then(|| lines.join(","))
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// The value of a query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first `{…}` of the path.
    pub fn parameter(&self) -> &str {
        self.parameters.first().map(String::as_str).unwrap_or_default()
    }

    /// A query parameter that is `true` or `false`; `None` where it is absent.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Reply> {
        match self.query(name) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => Err(Reply::bad(&format!("{name} is true or false, not {other:?}"))),
        }
    }

    /// `limit` and `after`.
    ///
    /// # Errors
    /// 400 where `limit` is no number from 1 to 1000.
    pub fn page(&self) -> Result<Page, Reply> {
        let limit =
            match self.query("limit") {
                None => DEFAULT_PAGE,
                Some(text) => text.parse().ok().filter(|limit| (1..=MOST_PAGE).contains(limit)).ok_or_else(|| {
                    Reply::bad(&format!("limit is a whole number from 1 to {MOST_PAGE}, not {text:?}"))
                })?,
            };
        Ok(Page { limit, after: self.query("after").map(str::to_owned) })
    }

    /// The body as a JSON object with no other members than `known`.
    ///
    /// # Errors
    /// 415 for another media type, 400 where it is no JSON, 422 where it is no such object.
    pub fn json(&self, known: &[&str]) -> Result<Members, Reply> {
        if let Some(media_type) = self.field("content-type")
            && !media_type_of(media_type).eq_ignore_ascii_case(b"application/json")
            && !media_type_of(media_type).eq_ignore_ascii_case(b"application/merge-patch+json")
        {
            return Err(Reply::problem(
                415,
                "Unsupported media type",
                "send Content-Type: application/json, as curl does with --json",
            ));
        }
        if self.field("content-encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
            return Err(Reply::problem(
                415,
                "Unsupported media type",
                "send the JSON as it is, without Content-Encoding",
            ));
        }
        let value: Value = serde_json::from_slice(&self.body)
            .map_err(|error| Reply::bad(&format!("the request body is not JSON: {error}")))?;
        if written_members(&self.body) != members_of(&value) {
            return Err(Reply::bad("an object of the request body has two members of one name: which one counts?"));
        }
        let Value::Object(members) = value else {
            return Err(Reply::unfit("the request body is not a JSON object"));
        };
        if let Some(name) = members.keys().find(|name| !known.is_empty() && !known.contains(&name.as_str())) {
            return Err(Reply::unfit(&format!("{name:?} is no member here; there is {}", known.join(", "))));
        }
        Ok(Members(members))
    }

    /// The body as text.
    ///
    /// # Errors
    /// 400 where it is not UTF-8.
    pub fn text(&self) -> Result<&str, Reply> {
        std::str::from_utf8(&self.body).map_err(|_| Reply::bad("the request body is not UTF-8 text"))
    }

    /// A change is wanted to what has this entity tag now (RFC 9110 §13.1.1).
    ///
    /// # Errors
    /// 428 without `If-Match`, 412 where it names another.
    pub fn must_match(&self, etag: &str) -> Result<(), Reply> {
        let Some(wanted) = self.list("if-match") else {
            let detail = "say in If-Match which state is to be changed: the ETag that you have read";
            return Err(Reply::problem(428, "Precondition required", detail));
        };
        if wanted.split(',').map(str::trim).any(|tag| tag == "*" || tag == etag) {
            return Ok(());
        }
        let detail = "somebody has changed it since you read it: read it anew, and then change it";
        Err(Reply::problem(412, "Precondition failed", detail))
    }

    /// The client has what has this entity tag now (RFC 9110 §13.1.2): 304 answers it.
    pub fn knows(&self, etag: &str) -> bool {
        self.list("if-none-match").is_some_and(|tags| names(&tags, etag))
    }
}

/// Does a list of entity tags name this one? Compared weakly (RFC 9110 §8.8.3.2).
fn names(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Members of all objects in a text that is JSON, as they are written: each has a colon that stands in no text.
fn written_members(json: &[u8]) -> usize {
    let (mut count, mut is_text, mut is_escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_text = !is_text,
            b':' if !is_text => count = count.saturating_add(1),
            _ => {}
        }
    }
    count
}

/// Members of all objects in a value, each name of an object once. The parser has bounded its depth.
fn members_of(value: &Value) -> usize {
    match value {
        Value::Object(members) => {
            members.values().map(members_of).fold(members.len(), |sum, more| sum.saturating_add(more))
        }
        Value::Array(items) => items.iter().map(members_of).sum(),
        _ => 0,
    }
}

/// The members of a JSON object, each asked for with its type. A member that is null counts as absent.
pub struct Members(pub Map<String, Value>);

impl Members {
    /// A member as it is.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// 422 where it is absent or something else; so too below.
    pub fn text(&self, name: &str) -> Result<&str, Reply> {
        self.text_if(name)?.ok_or_else(|| Reply::unfit(&format!("{name:?} is missing: a text")))
    }

    /// A text, if there is one.
    pub fn text_if(&self, name: &str) -> Result<Option<&str>, Reply> {
        self.value(name).map(|value| value.as_str().ok_or_else(|| wrong(name, "a text"))).transpose()
    }

    /// `true` or `false`.
    pub fn flag_if(&self, name: &str) -> Result<Option<bool>, Reply> {
        self.value(name).map(|value| value.as_bool().ok_or_else(|| wrong(name, "true or false"))).transpose()
    }

    /// A whole number that is not negative.
    pub fn number_if(&self, name: &str) -> Result<Option<u64>, Reply> {
        self.value(name).map(|value| whole(value).ok_or_else(|| wrong(name, "a whole number"))).transpose()
    }

    /// One of these words.
    pub fn choice_if(&self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Reply> {
        let Some(text) = self.text_if(name)? else { return Ok(None) };
        let word = words.iter().find(|word| **word == text);
        word.map(|word| Some(*word)).ok_or_else(|| wrong(name, &format!("one of {}", words.join(", "))))
    }

    /// A list of texts; empty where it is absent.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Reply> {
        let Some(value) = self.value(name) else { return Ok(Vec::new()) };
        let texts = value.as_array().map(|list| list.iter().map(|item| item.as_str().map(str::to_owned)));
        texts.and_then(Iterator::collect).ok_or_else(|| wrong(name, "a list of texts"))
    }

    /// A list of pairs of texts, such as fields of a request; empty where it is absent.
    pub fn pairs(&self, name: &str) -> Result<Vec<(String, String)>, Reply> {
        let Some(value) = self.value(name) else { return Ok(Vec::new()) };
        let pair = |item: &Value| match item.as_array()?.as_slice() {
            [one, two] => Some((one.as_str()?.to_owned(), two.as_str()?.to_owned())),
            _ => None,
        };
        let pairs = value.as_array().and_then(|list| list.iter().map(pair).collect());
        pairs.ok_or_else(|| wrong(name, "a list of [name, value]"))
    }
}

/// A whole number, also where it is written as `7.0` (JSON knows no difference).
fn whole(value: &Value) -> Option<u64> {
    let written = || value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..9e15).contains(number));
    value.as_u64().or_else(|| written().map(|number| number as u64))
}

fn wrong(name: &str, kind: &str) -> Reply {
    Reply::unfit(&format!("{name:?} must be {kind}"))
}

fn media_type_of(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

/// `%XX` as the bytes that they stand for; `None` where that is no UTF-8 text.
pub fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

const DEFAULT_PAGE: usize = 100;
const MOST_PAGE: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Members {
        Members(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn members_are_what_they_must_be_or_refused() {
        let given =
            members(r#"{"t":"x","n":7,"f":7.0,"h":7.5,"m":-1,"b":true,"l":["a"],"p":[["a","b"]],"z":null,"e":"big"}"#);
        assert_eq!((given.text("t").ok(), given.text("n").is_err(), given.text("z").is_err()), (Some("x"), true, true));
        assert_eq!((given.text_if("z").ok(), given.text_if("absent").ok()), (Some(None), Some(None)));
        assert_eq!([given.number_if("n").ok(), given.number_if("f").ok()], [Some(Some(7)); 2]);
        assert!(["h", "m", "t"].iter().all(|name| given.number_if(name).is_err()));
        assert_eq!((given.flag_if("b").ok(), given.flag_if("n").is_err()), (Some(Some(true)), true));
        assert_eq!(given.texts("l").ok(), Some(vec!["a".to_owned()]));
        assert!(given.texts("p").is_err() && given.pairs("l").is_err());
        assert_eq!(given.pairs("p").ok(), Some(vec![("a".to_owned(), "b".to_owned())]));
        assert_eq!(given.choice_if("e", &["big", "small"]).ok(), Some(Some("big")));
        assert!(given.choice_if("t", &["big", "small"]).is_err());
    }

    #[test]
    fn a_name_that_is_there_twice_is_noticed_at_any_depth() {
        let rows = [
            (r#"{"a":1,"b":{"a":[{"a":":"}]}}"#, false),
            (r#"{"a\\":"\":{\\","b":":"}"#, false),
            (r#"{"a":1,"a":1}"#, true),
            (r#"{"a":1,"\u0061":1}"#, true),
            (r#"{"b":[{"c":{"a":1,"a":2}}]}"#, true),
        ];
        for (text, expected) in rows {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(written_members(text.as_bytes()) != members_of(&value), expected, "{text}");
        }
    }

    #[test]
    fn a_tag_is_found_in_a_list() {
        let rows =
            [("\"a\"", true), ("W/\"a\"", true), ("\"b\", \"a\"", true), ("*", true), ("\"b\"", false), ("a", false)];
        for (tags, expected) in rows {
            assert_eq!(names(tags, "\"a\""), expected, "{tags}");
        }
    }

    #[test]
    fn percent_stands_for_bytes_that_are_text() {
        let rows = [
            ("a%20b", Some("a b")),
            ("%c3%A9", Some("\u{e9}")),
            ("100%25", Some("100%")),
            ("%ff", None),
            ("%4", None),
            ("%+1", None),
            ("%zz", None),
        ];
        for (text, expected) in rows {
            assert_eq!(decoded(text).as_deref(), expected, "{text}");
        }
    }
}
