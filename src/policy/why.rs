//! Why a response is not stored, not reused, reused although stale, or fresh for so long: a closed list of words, which the
//! README explains to those who read them.

/// The reason of a decision; its [`word`](Why::word) is the `detail` of `Cache-Status` and a column of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Only answers to GET are stored, and those to POST that RFC 9110 §9.3.3 names.
    Method,
    /// This status is never stored: not final, a part, or the answer to a condition (RFC 9111 §3).
    Status,
    /// `must-understand` with a status that we do not know (RFC 9111 §5.2.2.3).
    MustUnderstand,
    /// The response says `no-store` (RFC 9111 §5.2.2.5).
    NoStore,
    /// The client says `no-store` (RFC 9111 §5.2.1.5).
    RequestNoStore,
    /// The response says `private` (RFC 9111 §5.2.2.7).
    Private,
    /// The request had Authorization and nothing in the response shares the answer (RFC 9111 §3.5).
    Authorization,
    /// The response sets a cookie.
    SetCookie,
    /// `Vary: *`, or a Vary that no request can be compared by (RFC 9111 §4.1).
    VaryStar,
    /// No explicit freshness where it is needed, or neither freshness left nor a validator.
    NoFreshness,
    /// A part that cannot be told from one of another version: no strong validator, or no single range of a known length
    /// (RFC 9111 §3.3, §3.4).
    Partial,
    /// An error that unusual fields of the request may have provoked: nobody else is to have it.
    Provoked,
    /// Larger than what may be kept; decided by whoever counts the bytes.
    TooLarge,
    /// The response says `no-cache` (RFC 9111 §5.2.2.4).
    NoCache,
    /// Its freshness lifetime is over (RFC 9111 §4.2).
    Expired,
    /// The client says `no-cache` (RFC 9111 §5.2.1.4).
    RequestNoCache,
    /// Older than the client's `max-age` (RFC 9111 §5.2.1.1).
    RequestMaxAge,
    /// Not fresh for as long as the client's `min-fresh` asks (RFC 9111 §5.2.1.3).
    RequestMinFresh,
    /// Stale, within the client's `max-stale` (RFC 9111 §5.2.1.2).
    MaxStale,
    /// Stale, within the response's `stale-while-revalidate` (RFC 5861 §3).
    StaleWhileRevalidate,
    /// A rule of the operator's sends the request past the cache.
    BypassRule,
    /// The request has something that would make an unsafe key, such as a keyed field of more than 1 KiB.
    KeyUnusable,
    /// The fetch failed a moment ago and is not repeated yet (`negative_ttl`).
    Negative,
    /// The lifetime is that of an operator's rule.
    TtlRule,
    /// The lifetime is the operator's for this status.
    TtlStatus,
    /// The lifetime is the operator's default.
    TtlDefault,
    /// The lifetime was raised to the operator's minimum.
    TtlMin,
    /// The lifetime was cut to the operator's maximum.
    TtlMax,
    /// A range was asked for, and what comes of it is no whole.
    Range,
    /// It is fetched slice by slice.
    Slice,
    /// Another's fetch of the same was for that client alone, so this one is too.
    Apart,
    /// The origin could not be reached or did not answer as it must, and what is stored stands in for it (RFC 9111 §4.2.4).
    OriginFailed,
    /// The same, and nothing is stored that may.
    Failed,
    /// The origin answered with an error, and what is stored stands in for it (RFC 5861 §4).
    Origin5xx,
    /// Too many fetches wait already.
    QueueFull,
    /// The client wants what is stored or nothing (RFC 9111 §5.2.1.7).
    OnlyIfCached,
    /// The request is not served here, or cannot be.
    Refused,
    /// Plain HTTP is sent on to HTTPS.
    ForceHttps,
    /// The request was about this server itself.
    Local,
}

impl Why {
    /// The word for people and logs; a Token of RFC 8941.
    pub fn word(self) -> &'static str {
        match self {
            Why::Method => "method",
            Why::Status => "status",
            Why::MustUnderstand => "must-understand",
            Why::NoStore => "no-store",
            Why::RequestNoStore => "request-no-store",
            Why::Private => "private",
            Why::Authorization => "authorization",
            Why::SetCookie => "set-cookie",
            Why::VaryStar => "vary-star",
            Why::NoFreshness => "no-freshness",
            Why::Partial => "partial",
            Why::Provoked => "provoked",
            Why::TooLarge => "too-large",
            Why::NoCache => "no-cache",
            Why::Expired => "expired",
            Why::RequestNoCache => "request-no-cache",
            Why::RequestMaxAge => "request-max-age",
            Why::RequestMinFresh => "request-min-fresh",
            Why::MaxStale => "max-stale",
            Why::StaleWhileRevalidate => "stale-while-revalidate",
            Why::BypassRule => "bypass-rule",
            Why::KeyUnusable => "key-unusable",
            Why::Negative => "negative",
            Why::TtlRule => "ttl-rule",
            Why::TtlStatus => "ttl-status",
            Why::TtlDefault => "ttl-default",
            Why::TtlMin => "ttl-min",
            Why::TtlMax => "ttl-max",
            Why::Range => "range",
            Why::Slice => "slice",
            Why::Apart => "apart",
            Why::OriginFailed => "origin-failed",
            Why::Failed => "failed",
            Why::Origin5xx => "origin-5xx",
            Why::QueueFull => "queue-full",
            Why::OnlyIfCached => "only-if-cached",
            Why::Refused => "refused",
            Why::ForceHttps => "force-https",
            Why::Local => "local",
        }
    }

    /// True where only the client's wish forces a validation of a response that could be served (decision 6).
    pub fn is_forced(self) -> bool {
        matches!(self, Why::RequestNoCache | Why::RequestMaxAge | Why::RequestMinFresh)
    }
}

#[cfg(test)]
mod tests {
    /// Every word stands in the README's list, and nothing else does.
    #[test]
    fn the_readme_explains_every_word() {
        let words =
            include_str!("why.rs").lines().filter_map(|line| line.trim().strip_prefix("Why::")?.split('"').nth(1));
        let mut words: Vec<&str> = words.collect();
        let readme = include_str!("../../README.md");
        let list = readme.split("`detail=` |").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
        let rows = list.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
        let mut told: Vec<&str> = rows.flat_map(|row| row.split(", ")).map(|word| word.trim_matches('`')).collect();
        words.sort_unstable();
        told.sort_unstable();
        assert!(words.len() > 30, "{words:?}");
        assert_eq!(words, told);
    }
}
