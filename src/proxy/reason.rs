//! The reason phrases of status lines.
//!
//! They mean nothing to a program (RFC 9112 §4), so an origin's own are not kept and these stand in their place. Knows
//! which statuses exist, not which of them we make.

/// The phrase that IANA has registered for `status` (RFC 9110 §15 and others); empty for every other status, which a
/// status line may be (RFC 9112 §4: its SP stays).
pub fn reason(status: u16) -> &'static str {
    let found = REASONS.binary_search_by_key(&status, |(known, _)| *known).ok();
    found.and_then(|index| REASONS.get(index)).map_or("", |(_, phrase)| phrase)
}

/// In the order of statuses; 306 and 418 are registered as unused.
const REASONS: [(u16, &str); 61] = [
    (100, "Continue"),
    (101, "Switching Protocols"),
    (102, "Processing"),
    (103, "Early Hints"),
    (200, "OK"),
    (201, "Created"),
    (202, "Accepted"),
    (203, "Non-Authoritative Information"),
    (204, "No Content"),
    (205, "Reset Content"),
    (206, "Partial Content"),
    (207, "Multi-Status"),
    (208, "Already Reported"),
    (226, "IM Used"),
    (300, "Multiple Choices"),
    (301, "Moved Permanently"),
    (302, "Found"),
    (303, "See Other"),
    (304, "Not Modified"),
    (305, "Use Proxy"),
    (307, "Temporary Redirect"),
    (308, "Permanent Redirect"),
    (400, "Bad Request"),
    (401, "Unauthorized"),
    (402, "Payment Required"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (406, "Not Acceptable"),
    (407, "Proxy Authentication Required"),
    (408, "Request Timeout"),
    (409, "Conflict"),
    (410, "Gone"),
    (411, "Length Required"),
    (412, "Precondition Failed"),
    (413, "Content Too Large"),
    (414, "URI Too Long"),
    (415, "Unsupported Media Type"),
    (416, "Range Not Satisfiable"),
    (417, "Expectation Failed"),
    (421, "Misdirected Request"),
    (422, "Unprocessable Content"),
    (423, "Locked"),
    (424, "Failed Dependency"),
    (425, "Too Early"),
    (426, "Upgrade Required"),
    (428, "Precondition Required"),
    (429, "Too Many Requests"),
    (431, "Request Header Fields Too Large"),
    (451, "Unavailable For Legal Reasons"),
    (500, "Internal Server Error"),
    (501, "Not Implemented"),
    (502, "Bad Gateway"),
    (503, "Service Unavailable"),
    (504, "Gateway Timeout"),
    (505, "HTTP Version Not Supported"),
    (506, "Variant Also Negotiates"),
    (507, "Insufficient Storage"),
    (508, "Loop Detected"),
    (510, "Not Extended"),
    (511, "Network Authentication Required"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::ProxyError;

    #[test]
    fn statuses_stand_in_order_so_that_each_is_found() {
        assert!(REASONS.is_sorted_by(|(a, _), (b, _)| a < b));
        for (status, phrase) in REASONS {
            assert_eq!(reason(status), phrase);
        }
    }

    #[test]
    fn unknown_statuses_have_an_empty_phrase() {
        for status in [0, 99, 104, 209, 306, 418, 509, 599, 999] {
            assert_eq!(reason(status), "", "{status}");
        }
    }

    #[test]
    fn every_status_of_a_failed_fetch_has_its_phrase() {
        for error in ProxyError::ALL {
            assert_ne!(reason(error.status()), "", "{error:?}");
        }
    }
}
