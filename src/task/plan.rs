//! What a task is asked to do, checked: addresses of our sites, fields that a client could send, limits.

use std::fmt;
use std::time::Duration;

use crate::policy::redirect::Url;

/// What is to be fetched before anybody asks for it, and how fast.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefetch {
    /// Absolute addresses of sites of ours, as clients would ask for them.
    pub urls: Vec<String>,
    /// A sitemap, or an index of sitemaps (sitemaps.org), in XML, also compressed with gzip: all that it names, as far as it is
    /// ours.
    pub sitemap: Option<String>,
    /// An HLS playlist (RFC 8216) or a DASH manifest (ISO/IEC 23009-1): itself, what it names, and all segments.
    pub manifest: Option<String>,
    /// Fields of every request, for responses that vary by them.
    pub fields: Vec<(String, String)>,
    /// Addresses begun in a second at most; `None` = as many as come.
    pub rate: Option<u32>,
    /// Fetches at once from one site, 1 to 64; `None` = 4.
    pub parallel: Option<u32>,
    /// Only in this time of day.
    pub window: Option<Window>,
    /// Only tell what would be fetched; nothing is sent.
    pub is_dry: bool,
}

/// A time of day in UTC, from a minute up to another one, perhaps over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    start: u32,
    end: u32,
}

/// Why a task cannot be begun or changed: what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskError {
    /// What was asked for means nothing here.
    Unfit(String),
    /// There is no task of that number.
    Unknown,
    /// It is not in a state for that.
    State(String),
    /// There is no room for more.
    Full(String),
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Unknown => f.write_str("there is no such task"),
            TaskError::Unfit(text) | TaskError::State(text) | TaskError::Full(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for TaskError {}

impl Window {
    /// Reads `22:00-06:00`.
    ///
    /// # Errors
    /// [`TaskError::Unfit`] where it is none.
    pub fn parse(text: &str) -> Result<Window, TaskError> {
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let number = |text: &str, most: u32| {
                let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse::<u32>().ok().filter(|number| is_number && *number < most)
            };
            Some(number(hour, 24)? * 60 + number(minute, 60)?)
        };
        let parse = || {
            let (start, end) = text.split_once('-')?;
            Some(Window { start: minute(start)?, end: minute(end)? })
        };
        parse().filter(|window| window.start != window.end).ok_or_else(|| {
            TaskError::Unfit(format!(
                "window: {text:?} is no time of day: write 22:00-06:00, in UTC, from one minute to another"
            ))
        })
    }

    /// How long until it opens; `None` where it is open at `wall` (since the Unix epoch).
    pub fn opens_in(self, wall: Duration) -> Option<Duration> {
        let second = wall.as_secs() % DAY;
        let (start, end) = (u64::from(self.start) * 60, u64::from(self.end) * 60);
        let is_open = if start < end { (start..end).contains(&second) } else { second >= start || second < end };
        (!is_open).then(|| Duration::from_secs((start + DAY).saturating_sub(second) % DAY))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Window { start, end } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60)
    }
}

impl Prefetch {
    /// Refuses what can be known to be wrong before anything is done.
    pub(super) fn check(&self) -> Result<(), TaskError> {
        let refuse = |text: String| Err(TaskError::Unfit(text));
        if self.urls.is_empty() && self.sitemap.is_none() && self.manifest.is_none() {
            return refuse("there is nothing to prefetch: give urls, a sitemap or a manifest".into());
        }
        if self.rate == Some(0) {
            return refuse("the rate is 0: give 1 or more a second, or leave it out".into());
        }
        if self.parallel.is_some_and(|parallel| !(1..=MOST_PARALLEL).contains(&parallel)) {
            return refuse(format!("parallel is 1 to {MOST_PARALLEL} fetches at once"));
        }
        if self.fields.len() > MOST_FIELDS {
            return refuse(format!("there are more than {MOST_FIELDS} fields"));
        }
        self.fields.iter().try_for_each(|(name, value)| check_field(name, value))
    }

    /// What a list of tasks says of it.
    pub(super) fn source(&self) -> String {
        let mut parts = Vec::new();
        match self.urls.as_slice() {
            [] => {}
            [url] => parts.push(shortened(url).to_owned()),
            urls => parts.push(format!("{} URLs", urls.len())),
        }
        parts.extend(self.sitemap.as_deref().map(|url| format!("sitemap {}", shortened(url))));
        parts.extend(self.manifest.as_deref().map(|url| format!("manifest {}", shortened(url))));
        parts.join(", ")
    }
}

/// Why an address cannot be prefetched.
pub fn address(text: &str) -> Result<Url, String> {
    if text.len() > MOST_URL {
        return Err(format!("it is longer than {MOST_URL} bytes"));
    }
    let base = Url { is_https: false, host: "x".into(), port: 80, target: "/".into() };
    let is_absolute = text
        .split_once("://")
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"));
    if !is_absolute {
        return Err("it begins with neither http:// nor https://".into());
    }
    let url = base.resolve(text.as_bytes());
    url.ok_or_else(|| "it is no address; blanks, and what is not ASCII, are written as %XX, in a host as xn--…".into())
}

fn check_field(name: &str, value: &str) -> Result<(), TaskError> {
    let refuse = |why: &str| Err(TaskError::Unfit(format!("field {name:?}: {why}")));
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    // Told without the name, which may be a megabyte.
    if name.len() > LONGEST_NAME {
        return Err(TaskError::Unfit(format!("a field name is longer than {LONGEST_NAME} bytes")));
    }
    if name.is_empty() || !name.bytes().all(is_token) {
        return refuse("this is no field name");
    }
    if !value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) || value.len() > MOST_URL {
        return refuse("the value holds what no field may, or is too long");
    }
    let name = name.to_ascii_lowercase();
    if NOT_OURS.contains(&name.as_str()) || name.starts_with("if-") {
        return refuse("this field is not for whoever asks to set: it frames, conditions or addresses the request");
    }
    Ok(())
}

fn shortened(text: &str) -> &str {
    text.get(..text.len().min(200)).unwrap_or(text)
}

/// Fields that would make something else of the request.
const NOT_OURS: [&str; 12] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "expect",
    "range",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
    "cdn-loop",
    "proxy-connection",
];
const MOST_FIELDS: usize = 32;
const LONGEST_NAME: usize = 256;
const MOST_PARALLEL: u32 = 64;
const MOST_URL: usize = 8 << 10;
const DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_open_from_its_first_minute_to_before_its_last() {
        let at = |hour: u64, minute: u64| Duration::from_secs(20_000 * DAY + hour * 3600 + minute * 60);
        let night = Window::parse("22:00-06:30").unwrap();
        let noon = Window::parse("12:00-13:00").unwrap();
        assert_eq!((night.to_string(), noon.to_string()), ("22:00-06:30".into(), "12:00-13:00".into()));
        let rows = [
            (night, at(22, 0), None),
            (night, at(0, 0), None),
            (night, at(6, 29), None),
            (night, at(6, 30), Some(15 * 60 + 30)),
            (night, at(21, 59), Some(1)),
            (noon, at(12, 59), None),
            (noon, at(13, 0), Some(23 * 60)),
            (noon, at(11, 0), Some(60)),
        ];
        for (window, wall, minutes) in rows {
            assert_eq!(
                window.opens_in(wall),
                minutes.map(|minutes| Duration::from_secs(minutes * 60)),
                "{window} {wall:?}"
            );
        }
        for text in ["", "22:00", "22:00-", "24:00-01:00", "1:00-02:00", "01:60-02:00", "01:00-01:00", "+1:00-02:00"] {
            assert!(Window::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused_with_a_hint() {
        let one = Prefetch { urls: vec!["http://a.test/".into()], ..Prefetch::default() };
        assert_eq!(one.check(), Ok(()));
        let field = |name: &str, value: &str| Prefetch { fields: vec![(name.into(), value.into())], ..one.clone() };
        assert_eq!(field("Accept-Language", "de").check(), Ok(()));
        let rows = [
            Prefetch::default(),
            Prefetch { rate: Some(0), ..one.clone() },
            Prefetch { parallel: Some(0), ..one.clone() },
            Prefetch { parallel: Some(65), ..one.clone() },
            field("", "x"),
            field(&"x".repeat(300_000), "x"),
            field("a b", "x"),
            field("X", "a\r\nHost: b"),
            field("Host", "b.test"),
            field("range", "bytes=0-1"),
            field("If-None-Match", "*"),
        ];
        for row in rows {
            assert!(matches!(row.check(), Err(TaskError::Unfit(_))), "{row:?}");
        }
    }

    #[test]
    fn only_absolute_addresses_are_taken() {
        assert_eq!(address("HTTPS://A.test:8443/x/../y#z").unwrap().text(), "https://a.test:8443/y");
        for text in ["", "/x", "a.test/x", "ftp://a.test/", "http://u@a.test/", "http://a.test/a b", "http:///x"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
