//! A request without a whole, valid answer: what would mend it.

use std::net::SocketAddr;
use std::time::Duration;

use super::checks::{Server, Verdict, finding_of};
use super::commands;
use super::remedy::{Remedies, server_text};
use super::report::Fix;
use super::secure::is_about_ours;
use crate::http1::{HeadLimits, ResponseHead};
use crate::origin::FetchError;
use crate::status::{Phase, ProxyError};

impl Server<'_> {
    /// A fetch that failed after the steps before have passed; with the head, if that had come.
    pub fn failed(&self, address: SocketAddr, error: &FetchError, head: Option<&ResponseHead>) -> Verdict {
        let commands = vec![commands::request(&self.probe.route, address, &self.subject.target)];
        Verdict::broken(finding_of(error, self.remedy_of(error, head), commands))
    }

    fn remedy_of(&self, error: &FetchError, head: Option<&ResponseHead>) -> Fix {
        let is_in_head = error.phase == Phase::ResponseHead;
        match error.error {
            _ if matches!(error.phase, Phase::Resolve | Phase::Connect | Phase::TlsHandshake) => Remedies::words(
                "the fault comes and goes, for the steps before have just passed: look at the server's own log, and at \
                 what millpond failures counts",
            ),
            ProxyError::HttpProtocolError if is_foreign(&error.facts.head_start) => self.other_port(),
            _ if error.facts.setting.is_some() => self.patience(error.facts.setting.unwrap_or_default()),
            ProxyError::HttpResponseIncomplete | ProxyError::ConnectionTerminated if is_in_head => {
                Remedies::words("look at the server's own log: it ended the connection without a whole answer")
            }
            ProxyError::HttpResponseIncomplete if head.is_some_and(has_no_length) => Remedies::words(
                "have the origin send Content-Length or chunks: without them only an orderly end of the connection (over \
                 TLS with close_notify) proves the response whole",
            ),
            ProxyError::HttpResponseTransferCoding if is_in_head => {
                Remedies::words("have the origin send Transfer-Encoding: chunked or a Content-Length, nothing else")
            }
            ProxyError::HttpResponseIncomplete | ProxyError::HttpResponseTransferCoding => {
                Remedies::words("mend the length or the chunks of the response at the origin, or what stands before it")
            }
            ProxyError::HttpResponseHeaderSectionSize => {
                let HeadLimits { head, fields, .. } = HeadLimits::ORIGIN;
                let most = head / 1024;
                Remedies::words(format!(
                    "have the origin send fewer or shorter fields: at most {fields} of them, and {most} KiB in all"
                ))
            }
            ProxyError::HttpResponseTrailerSectionSize => Remedies::words("have the origin send fewer trailers"),
            ProxyError::HttpUpgradeFailed => {
                Remedies::words("have the origin answer with 101 only where a request asks for another protocol")
            }
            ProxyError::TlsAlertReceived if error.alert.is_some_and(is_about_ours) => self.client_certificate_fix(),
            ProxyError::TlsAlertReceived | ProxyError::TlsProtocolError => Remedies::words(
                "look at the server's own log, and at what stands between it and this machine: TLS breaks after a \
                 handshake that went well",
            ),
            ProxyError::ConnectionTerminated => {
                Remedies::words("look at the server's own log: it ended the connection without an answer")
            }
            _ => Remedies::words("mend the response at the origin, so that it is valid HTTP/1.1"),
        }
    }

    /// Something answers there, and it is no HTTP.
    fn other_port(&self) -> Fix {
        let text = format!("{}:PORT", server_text(&self.probe.route.name, None));
        Remedies::fix("write the port on which the server speaks HTTP/1.1", vec![self.remedies.server(&text)])
    }

    /// The key of `timeouts` that ended the fetch, with twice the time.
    fn patience(&self, setting: &'static str) -> Fix {
        let timeouts = &self.probe.site().origin.timeouts;
        let twice = |time: Duration| time.saturating_mul(2);
        let (what, mut changed) = match setting {
            "first_byte" => {
                let first_byte = twice(timeouts.first_byte);
                let what = "make the origin answer sooner, or wait longer for it";
                (what, vec![(setting, duration_text(first_byte))])
            }
            "head" => {
                let what = "make the origin send its response head in one go, or wait longer for it";
                (what, vec![(setting, duration_text(twice(timeouts.head)))])
            }
            "total" => {
                let what = "make the origin send faster, or give its responses more time";
                (what, vec![(setting, duration_text(twice(timeouts.total)))])
            }
            "min_rate" => {
                ("make the origin send faster, or allow less", vec![(setting, (timeouts.min_rate / 2).to_string())])
            }
            _ => {
                let what = "make the origin send without pauses, or wait longer";
                (what, vec![("between_bytes", duration_text(twice(timeouts.between_bytes)))])
            }
        };
        if setting == "first_byte" && twice(timeouts.first_byte) > timeouts.head {
            // All attempts together have no longer than that.
            changed.push(("head", duration_text(twice(timeouts.head).max(twice(timeouts.first_byte)))));
        }
        Remedies::fix(what, self.remedies.timeouts(&changed))
    }
}

/// As the file has it.
pub fn duration_text(time: Duration) -> String {
    if time.subsec_millis() > 0 { format!("\"{}ms\"", time.as_millis()) } else { format!("\"{}s\"", time.as_secs()) }
}

/// What came does not even begin like HTTP/1.
fn is_foreign(head_start: &[u8]) -> bool {
    let shared = head_start.len().min(HTTP.len());
    shared > 0 && head_start.get(..shared) != HTTP.get(..shared)
}

/// The body ends with the connection.
fn has_no_length(head: &ResponseHead) -> bool {
    head.field("content-length").is_none() && head.field("transfer-encoding").is_none()
}

const HTTP: &[u8] = b"HTTP/1.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_http_is_to_be_mended_and_what_does_not_is_another_port() {
        for (start, expected) in [
            (&b"HTTP/1.1 OK"[..], false),
            (b"HTT", false),
            (b"", false),
            (b"HTTP/2 200", true),
            (b"SSH-2.0", true),
            (b"\0\0\x06\x04", true),
            (b"220 mail", true),
        ] {
            assert_eq!(is_foreign(start), expected, "{start:?}");
        }
    }

    #[test]
    fn times_are_written_as_the_file_takes_them() {
        assert_eq!(duration_text(Duration::from_millis(400)), "\"400ms\"");
        assert_eq!(duration_text(Duration::from_secs(60)), "\"60s\"");
        assert_eq!(duration_text(Duration::from_millis(1500)), "\"1500ms\"");
    }
}
