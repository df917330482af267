//! Validators and the conditions made of them (RFC 9110 §8.8, §13; RFC 9111 §4.3).
//!
//! Two sides: what to ask the origin about a stored response, and what a client's conditions say about it. Does not
//! know whether the stored response may be used at all: that is `reuse`'s, and it comes first.

use std::borrow::Cow;

use super::Fields;
use super::list::trim;
use crate::time::{HttpDate, Now};

/// ETag and Last-Modified of a response. A field that comes twice, or a date that is none, counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators<'v> {
    /// As sent, weak or strong; kept even where it is malformed, for the origin may know it again.
    etag: Option<Cow<'v, [u8]>>,
    last_modified: Option<HttpDate>,
    /// What a client's If-Modified-Since is compared with where there is no Last-Modified (RFC 9111 §4.3.2): the Date,
    /// or else the time of arrival.
    stored_since: Option<HttpDate>,
    /// The date is a strong validator (RFC 9110 §8.8.2.2): at least a second older than the response's Date.
    is_date_strong: bool,
}

/// What is seen of validators on the way through a response's fields.
#[derive(Default)]
struct Seen {
    etags: u32,
    dates: u32,
    last_modified: Option<HttpDate>,
    sent: Option<HttpDate>,
}

impl Seen {
    /// Takes in one field; true where it is the first ETag.
    fn note(&mut self, name: &[u8], value: &[u8], now: HttpDate) -> bool {
        if name.eq_ignore_ascii_case(b"etag") {
            self.etags = self.etags.saturating_add(1);
            return self.etags == 1;
        } else if name.eq_ignore_ascii_case(b"last-modified") {
            self.dates = self.dates.saturating_add(1);
            self.last_modified = HttpDate::parse(value, now).filter(|_| self.dates == 1);
        } else if name.eq_ignore_ascii_case(b"date") {
            self.sent = HttpDate::parse(value, now);
        }
        false
    }

    fn validators(self, etag: Option<Cow<'_, [u8]>>, now: HttpDate) -> Validators<'_> {
        Validators {
            // A star would be no tag in a condition, but mean any response at all (RFC 9110 §13.1.2).
            etag: etag.filter(|etag| self.etags == 1 && !etag.is_empty() && **etag != *b"*"),
            last_modified: self.last_modified,
            stored_since: Some(self.sent.unwrap_or(now)),
            is_date_strong: self.last_modified.zip(self.sent).is_some_and(|(modified, sent)| modified < sent),
        }
    }
}

impl<'v> Validators<'v> {
    /// Reads them from the fields of a response that arrived at `now`.
    pub fn of(fields: &dyn Fields, now: HttpDate) -> Validators<'static> {
        let (mut seen, mut etag) = (Seen::default(), None);
        fields.for_each(&mut |name, value| {
            if seen.note(name, value, now) {
                etag = Some(Cow::Owned(value.to_vec()));
            }
        });
        seen.validators(etag, now)
    }

    /// The same from field lines that stay where they are; copies nothing.
    pub fn of_lines(lines: impl Iterator<Item = (&'v str, &'v [u8])>, now: HttpDate) -> Validators<'v> {
        let (mut seen, mut etag) = (Seen::default(), None);
        for (name, value) in lines {
            if seen.note(name.as_bytes(), value, now) {
                etag = Some(Cow::Borrowed(value));
            }
        }
        seen.validators(etag, now)
    }

    /// The same where the Date is not the origin's: it says nothing about how strong the other date is.
    #[must_use]
    pub fn undated(self) -> Validators<'v> {
        Validators { is_date_strong: false, ..self }
    }

    /// The same of a response that is not stored: a condition by date is the origin's to judge where it says no date.
    #[must_use]
    pub fn of_a_pass(self) -> Validators<'v> {
        Validators { stored_since: None, ..self }
    }

    /// Nothing to validate with.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// Value of the If-None-Match to send (RFC 9111 §4.3.1).
    pub fn if_none_match(&self) -> Option<&[u8]> {
        self.etag.as_deref()
    }

    /// Value of the If-Modified-Since to send (RFC 9111 §4.3.1), as IMF-fixdate whatever the origin's form was
    /// (RFC 9110 §5.6.7).
    pub fn if_modified_since(&self) -> Option<[u8; 29]> {
        self.last_modified.map(HttpDate::format)
    }

    /// Does a 304 with these validators speak of this stored response (RFC 9111 §4.3.4)? Its ETag must be ours; without
    /// one its date must be; without either it can only mean what we asked about.
    pub fn is_freshened_by(&self, update: &Validators<'_>) -> bool {
        match (&update.etag, update.last_modified) {
            (Some(etag), _) => self.etag.as_ref().is_some_and(|ours| Tag::parse(ours).equals_weakly(&Tag::parse(etag))),
            (None, Some(date)) => self.last_modified.is_none_or(|ours| ours == date),
            (None, None) => true,
        }
    }

    /// The ETag, where it is a well-formed strong one.
    pub fn strong_etag(&self) -> Option<&[u8]> {
        self.etag.as_deref().filter(|etag| !Tag::parse(etag).is_weak)
    }

    /// Is there a strong validator: a strong ETag, or, without any ETag, a date that is strong (RFC 9110 §8.8.1)?
    pub fn is_strong(&self) -> bool {
        self.strong_etag().is_some() || (self.etag.is_none() && self.is_date_strong)
    }

    /// Do both speak of the same bytes, by a strong validator that both have (RFC 9110 §8.8.1)? An ETag on one side alone
    /// is no such validator.
    pub fn is_strongly(&self, other: &Validators<'_>) -> bool {
        match (&self.etag, &other.etag) {
            (None, None) => self.is_strong() && other.is_strong() && self.last_modified == other.last_modified,
            _ => self.strong_etag().is_some_and(|ours| other.strong_etag() == Some(ours)),
        }
    }

    /// Does a 304 with these validators choose this response among several (RFC 9111 §4.3.4)? Only by its strong ETag.
    pub fn are_chosen_by(&self, update: &Validators<'_>) -> bool {
        self.strong_etag().is_some_and(|ours| update.strong_etag() == Some(ours))
    }

    /// Is every validator that the answer to a HEAD has the one we stored (RFC 9111 §4.3.5)?
    pub fn agree_with(&self, head: &Validators<'_>) -> bool {
        let is_ours =
            |etag: &[u8]| self.etag.as_ref().is_some_and(|ours| Tag::parse(ours).equals_weakly(&Tag::parse(etag)));
        head.etag.as_deref().is_none_or(is_ours)
            && head.last_modified.is_none_or(|date| self.last_modified == Some(date))
    }

    /// Does an If-Range value let the Range apply (RFC 9110 §13.1.5)? A tag must match strongly; a date must be ours
    /// exactly and be a strong validator.
    pub fn allow_range(&self, if_range: &[u8], now: Now) -> bool {
        match HttpDate::parse(if_range, now.date()) {
            Some(date) => self.is_date_strong && self.last_modified == Some(date),
            None => self.etag.as_ref().is_some_and(|ours| Tag::parse(ours).equals_strongly(&Tag::parse(if_range))),
        }
    }
}

/// What a client's conditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Answer as if there were none.
    Proceed,
    /// 304
    NotModified,
    /// 412
    Failed,
}

/// Evaluates the conditions of a GET or HEAD against a stored response, in the order of RFC 9110 §13.2.2 (its last
/// step, If-Range, is [`Validators::allow_range`]). Conditions apply only where the answer would be a 2xx (§13.2.1).
///
/// If-Match and If-Unmodified-Since are evaluated too, as RFC 9110 §13.1.1 leaves open: a client that resumes a download
/// by them must not be sent parts of another version.
pub fn evaluate(request: &dyn Fields, method: &str, status: u16, stored: &Validators<'_>, now: Now) -> Precondition {
    if !matches!(method, "GET" | "HEAD") || !(200..=299).contains(&status) {
        return Precondition::Proceed;
    }
    let conditions = Conditions::of(request, stored, now.date());
    let is_unmodified = |since: Option<HttpDate>| Some(stored.last_modified? <= since?);
    let is_unmodified_copy = |since: Option<HttpDate>| Some(stored.last_modified.or(stored.stored_since)? <= since?);
    // A date counts only where there is no tag to compare (§13.1.4).
    let is_intact = conditions.if_match.or_else(|| is_unmodified(conditions.if_unmodified_since.date));
    if is_intact == Some(false) {
        Precondition::Failed
    } else if let Some(is_matched) = conditions.if_none_match {
        if is_matched { Precondition::NotModified } else { Precondition::Proceed }
    } else if is_unmodified_copy(conditions.if_modified_since.date) == Some(true) {
        Precondition::NotModified
    } else {
        Precondition::Proceed
    }
}

/// A request's conditions, the tags compared already.
#[derive(Default)]
struct Conditions {
    if_match: Option<bool>,
    if_none_match: Option<bool>,
    if_modified_since: Since,
    if_unmodified_since: Since,
}

/// The date of a condition. What is none, and any that is said more than once, is ignored (RFC 9110 §13.1.3, §13.1.4).
#[derive(Clone, Copy, Default)]
struct Since {
    is_said: bool,
    date: Option<HttpDate>,
}

impl Since {
    fn say(&mut self, value: &[u8], now: HttpDate) {
        self.date = if self.is_said { None } else { HttpDate::parse(value, now) };
        self.is_said = true;
    }
}

impl Conditions {
    fn of(request: &dyn Fields, stored: &Validators<'_>, now: HttpDate) -> Conditions {
        let ours = stored.etag.as_deref().map(Tag::parse);
        let any = |value: &[u8], matches: fn(&Tag<'_>, &Tag<'_>) -> bool| {
            value == b"*" || ours.as_ref().is_some_and(|ours| tags(value).any(|tag| matches(ours, &tag)))
        };
        let mut found = Conditions::default();
        request.for_each(&mut |name, value| {
            if name.eq_ignore_ascii_case(b"if-none-match") {
                found.if_none_match =
                    Some(found.if_none_match == Some(true) || any(value, |ours, tag| ours.equals_weakly(tag)));
            } else if name.eq_ignore_ascii_case(b"if-match") {
                found.if_match =
                    Some(found.if_match == Some(true) || any(value, |ours, tag| ours.equals_strongly(tag)));
            } else if name.eq_ignore_ascii_case(b"if-modified-since") {
                found.if_modified_since.say(value, now);
            } else if name.eq_ignore_ascii_case(b"if-unmodified-since") {
                found.if_unmodified_since.say(value, now);
            }
        });
        found
    }
}

/// An entity-tag (RFC 9110 §8.8.3).
struct Tag<'a> {
    is_weak: bool,
    /// With its quotes. A malformed tag is kept whole, counts as weak, and so equals only its like.
    opaque: &'a [u8],
}

impl<'a> Tag<'a> {
    fn parse(text: &'a [u8]) -> Tag<'a> {
        let (is_weak, opaque) = text.strip_prefix(b"W/").map_or((false, text), |rest| (true, rest));
        match opaque {
            [b'"', inside @ .., b'"'] if !inside.contains(&b'"') => Tag { is_weak, opaque },
            _ => Tag { is_weak: true, opaque: text },
        }
    }

    /// Strong comparison (RFC 9110 §8.8.3.2).
    fn equals_strongly(&self, other: &Tag<'_>) -> bool {
        !self.is_weak && !other.is_weak && self.opaque == other.opaque
    }

    /// Weak comparison (RFC 9110 §8.8.3.2).
    fn equals_weakly(&self, other: &Tag<'_>) -> bool {
        self.opaque == other.opaque
    }
}

/// The tags of one If-Match or If-None-Match line. Not a list of quoted strings: a tag knows no escapes.
fn tags(line: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let mut is_quoted = false;
            let end = rest.iter().position(|&byte| {
                is_quoted ^= byte == b'"';
                byte == b',' && !is_quoted
            });
            let (tag, tail) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, b""));
            rest = tail.get(1..).unwrap_or_default();
            let tag = trim(tag);
            if !tag.is_empty() {
                return Some(Tag::parse(tag));
            }
        }
        None
    })
}

#[cfg(test)]
#[path = "tests_validator.rs"]
mod tests;
