//! The page for an answer that we make ourselves: one sentence, the type, the phase and the request's number, in the form
//! that the client asked for. Details (addresses, names) are shown only to those allowed to see them.

use std::fmt::Write;

use super::reason::reason;
use crate::json;
use crate::observe::RequestId;
use crate::time::Now;

/// What the page says.
pub struct Page<'a> {
    /// The status that it goes with.
    pub status: u16,
    /// What happened, in one sentence.
    pub sentence: &'a str,
    /// The RFC 9209 type, where the origin side is to blame.
    pub error: Option<&'static str>,
    /// In which phase.
    pub phase: Option<&'static str>,
    /// Addresses, names and the fix; only for those allowed.
    pub detail: Option<&'a str>,
    /// The request's number.
    pub id: RequestId,
    /// When.
    pub now: Now,
}

/// The form of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `text/html`
    Html,
    /// `application/json`
    Json,
    /// `text/plain`
    Text,
}

impl Form {
    /// The form that an Accept field asks for: the first of ours that it names, else HTML for browsers' `*/*` behind
    /// others and text for everyone else.
    pub fn of(accept: Option<&[u8]>) -> Form {
        let accept = accept.map(|value| String::from_utf8_lossy(value).to_ascii_lowercase()).unwrap_or_default();
        let named = accept.split(',').find_map(|range| match range.split(';').next().unwrap_or_default().trim() {
            "text/html" | "application/xhtml+xml" => Some(Form::Html),
            "application/json" | "application/problem+json" => Some(Form::Json),
            "text/plain" | "text/*" => Some(Form::Text),
            _ => None,
        });
        named.unwrap_or(Form::Text)
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Form::Html => "text/html; charset=utf-8",
            Form::Json => "application/json",
            Form::Text => "text/plain; charset=utf-8",
        }
    }
}

impl Page<'_> {
    /// The page's bytes.
    pub fn render(&self, form: Form) -> Vec<u8> {
        match form {
            Form::Html => self.html(),
            Form::Json => self.json(),
            Form::Text => self.text(),
        }
        .into_bytes()
    }

    fn text(&self) -> String {
        let mut out = format!("{} {}\n\n{}.\n\n", self.status, reason(self.status), self.sentence());
        for (name, value) in self.facts() {
            let _ = writeln!(out, "{name}: {value}");
        }
        if let Some(detail) = self.detail {
            let _ = writeln!(out, "detail: {detail}");
        }
        out
    }

    fn json(&self) -> String {
        let mut members = vec![
            ("status".to_owned(), self.status.to_string()),
            ("title".to_owned(), json::text(reason(self.status))),
            ("sentence".to_owned(), json::text(self.sentence())),
        ];
        members.extend(self.facts().iter().map(|(name, value)| (name.replace(' ', "_"), json::text(value))));
        members.extend(self.detail.map(|detail| ("detail".to_owned(), json::text(detail))));
        format!("{}\n", json::object(&members))
    }

    fn html(&self) -> String {
        let title = format!("{} {}", self.status, reason(self.status));
        let mut rows = String::new();
        for (name, value) in self.facts() {
            let _ = write!(rows, "<dt>{name}</dt><dd>{}</dd>", html_text(&value));
        }
        if let Some(detail) = self.detail {
            let _ = write!(rows, "<dt>detail</dt><dd>{}</dd>", html_text(detail));
        }
        format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>{title}</title>\n<style>{STYLE}</style>\n<main><h1>{title}</h1>\
             <p>{}.</p><dl>{rows}</dl></main></html>\n",
            html_text(self.sentence())
        )
    }

    /// Without its full stop, which some sentences bring along and others do not.
    fn sentence(&self) -> &str {
        self.sentence.trim_end_matches('.')
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let date = crate::time::HttpDate(self.now.unix()).format();
        let mut facts = Vec::new();
        facts.extend(self.error.map(|error| ("error", error.to_owned())));
        facts.extend(self.phase.map(|phase| ("phase", phase.to_owned())));
        facts.push(("request id", self.id.to_string()));
        facts.push(("time", String::from_utf8_lossy(&date).into_owned()));
        facts
    }
}

fn html_text(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter => out.push(letter),
        }
        out
    })
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1c2430;background:#f6f8fa}\
main{max-width:40rem;margin:12vh auto;padding:0 1.5rem}h1{font-size:1.6rem}dl{display:grid;grid-template-columns:\
max-content 1fr;gap:.3rem 1rem;font:14px/1.5 ui-monospace,monospace}dt{color:#57606a}dd{margin:0;overflow-wrap:anywhere}\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}dt{color:#8d96a0}}";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn page(detail: Option<&str>) -> Page<'_> {
        let now = Now { wall: Duration::from_secs(784_111_777), monotonic: Duration::ZERO };
        Page {
            status: 502,
            sentence: "The origin's certificate was not accepted",
            error: Some("tls_certificate_error"),
            phase: Some("tls-handshake"),
            detail,
            id: RequestId(0xabc),
            now,
        }
    }

    #[test]
    fn accept_chooses_the_form() {
        let rows: [(&str, Form); 6] = [
            ("text/html,application/xhtml+xml,*/*;q=0.8", Form::Html),
            ("application/json", Form::Json),
            ("*/*", Form::Text),
            ("text/plain;q=0.5", Form::Text),
            ("image/png, Application/JSON;q=1", Form::Json),
            ("", Form::Text),
        ];
        for (accept, form) in rows {
            assert_eq!(Form::of(Some(accept.as_bytes())), form, "{accept}");
        }
        assert_eq!(Form::of(None), Form::Text);
    }

    #[test]
    fn every_form_tells_sentence_type_phase_and_number_and_keeps_the_detail_to_itself() {
        for form in [Form::Html, Form::Json, Form::Text] {
            let text = String::from_utf8(page(None).render(form)).unwrap();
            for part in ["was not accepted", "tls_certificate_error", "tls-handshake", "0000000000000abc", "1994"] {
                assert!(text.contains(part), "{form:?} lacks {part}: {text}");
            }
            assert!(!text.contains("detail"), "{text}");
        }
    }

    #[test]
    fn details_cannot_break_out_of_their_form() {
        let text = page(Some("<b>\"\n\\")).render(Form::Html);
        assert!(String::from_utf8(text).unwrap().contains("&lt;b&gt;&quot;"));
        let text = page(Some("<b>\"\n\\")).render(Form::Json);
        assert!(String::from_utf8(text).unwrap().contains(r#"<b>\"\u000a\\"#));
    }
}
