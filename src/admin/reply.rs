//! An answer of the door: JSON, problem documents (RFC 9457), text, files of the console, streams.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::Problem;
use crate::proxy::{write_field, write_status};
use crate::server::Payload;
use crate::store::{Chunk, Reader};
use crate::time::{HttpDate, Now};

/// Status, fields and content.
pub struct Reply {
    status: u16,
    fields: Vec<(&'static str, Cow<'static, str>)>,
    content: Content,
}

enum Content {
    None,
    Bytes(Cow<'static, [u8]>),
    Stream(Reader),
}

impl Reply {
    /// 200 with a JSON value.
    pub fn json(value: &Value) -> Reply {
        Reply::of(200, "application/json", value.to_string().into_bytes())
    }

    /// Any status with a JSON value.
    pub fn json_of(status: u16, value: &Value) -> Reply {
        Reply::of(status, "application/json", value.to_string().into_bytes())
    }

    /// Any status with plain text.
    pub fn text(status: u16, text: impl Into<String>) -> Reply {
        Reply::of(status, "text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// Any status with content of that media type.
    pub fn of(status: u16, media_type: &'static str, content: impl Into<Cow<'static, [u8]>>) -> Reply {
        Reply { status, fields: vec![("Content-Type", media_type.into())], content: Content::Bytes(content.into()) }
    }

    /// 204.
    pub fn none() -> Reply {
        Reply { status: 204, fields: Vec::new(), content: Content::None }
    }

    /// 304: the client has it already.
    pub fn not_modified() -> Reply {
        Reply { status: 304, fields: Vec::new(), content: Content::None }
    }

    /// 200 with content that arrives bit by bit.
    pub fn stream(media_type: &'static str, reader: Reader) -> Reply {
        Reply { status: 200, fields: vec![("Content-Type", media_type.into())], content: Content::Stream(reader) }
    }

    /// A problem document: what is wrong in this very case, and what to do about it.
    pub fn problem(status: u16, title: &str, detail: &str) -> Reply {
        Reply::problem_with(status, title, detail, &[])
    }

    /// 400: the request itself is wrong.
    pub fn bad(detail: &str) -> Reply {
        Reply::problem(400, "Bad request", detail)
    }

    /// 404.
    pub fn missing(detail: &str) -> Reply {
        Reply::problem(404, "Not found", detail)
    }

    /// 409: not in the state that it is in.
    pub fn conflict(detail: &str) -> Reply {
        Reply::problem(409, "Conflict", detail)
    }

    /// 422: it can be read, but means nothing here.
    pub fn unfit(detail: &str) -> Reply {
        Reply::problem(422, "Unprocessable content", detail)
    }

    /// A problem document with further members.
    pub fn problem_with(status: u16, title: &str, detail: &str, more: &[(&str, Value)]) -> Reply {
        let mut value = json!({ "type": "about:blank", "status": status, "title": title, "detail": detail });
        if let Some(members) = value.as_object_mut() {
            members.extend(more.iter().map(|(name, member)| ((*name).to_owned(), member.clone())));
        }
        Reply::of(status, "application/problem+json", value.to_string().into_bytes())
    }

    /// With one more field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Reply {
        self.fields.push((name, value.into()));
        self
    }

    /// With the entity tag of what it shows.
    #[must_use]
    pub fn tagged(self, etag: &str) -> Reply {
        self.with("ETag", etag.to_owned())
    }

    /// Writes the head to `out`; what follows it is the payload.
    pub fn write(self, out: &mut Vec<u8>, is_head: bool, now: Now) -> Payload {
        write_status(out, self.status);
        write_field(out, "Date", &HttpDate(now.unix()).format());
        for (name, value) in &self.fields {
            write_field(out, name, value.as_bytes());
        }
        for (name, value) in ALWAYS {
            if !self.fields.iter().any(|(known, _)| known == &name) {
                write_field(out, name, value.as_bytes());
            }
        }
        match self.content {
            Content::None => Payload::Absent,
            Content::Bytes(bytes) if is_head => Payload::Head(u64::try_from(bytes.len()).ok()),
            Content::Stream(_) if is_head => Payload::Head(None),
            Content::Bytes(bytes) if bytes.is_empty() => Payload::Empty,
            Content::Bytes(bytes) => Payload::Whole(Chunk::of(bytes.into())),
            Content::Stream(reader) => Payload::Stream { reader, skip: 0, length: None },
        }
    }
}

/// A moment since the Unix epoch as RFC 3339 has it, `2026-11-23T12:00:00Z`.
pub fn time_text(moment: Duration) -> String {
    let date = HttpDate(i64::try_from(moment.as_secs()).unwrap_or(i64::MAX)).rfc3339();
    String::from_utf8_lossy(&date).into_owned()
}

/// A problem of a configuration.
pub fn problem_json(problem: &Problem) -> Value {
    json!({
        "file": problem.file.display().to_string(),
        "line": problem.line,
        "key": problem.key,
        "what": problem.message,
        "hint": problem.hint,
    })
}

/// What every answer of the door says: nothing here is for caches, frames, other sites or guesses about types.
const ALWAYS: [(&str, &str); 6] = [
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
];
