//! Tasks and their addresses as others see them: plain values.

use std::time::Duration;

use super::rows::{Row, Rows};
use crate::proxy::Kept;

/// How a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// Nothing of it has begun.
    Pending,
    /// It is under way, or waits for its turn, its rate or its time of day.
    Running,
    /// Nothing more begins until it is resumed.
    Paused,
    /// All its addresses went well.
    Complete,
    /// All its addresses are done, and some failed.
    Failed,
    /// It was ended before all was done.
    Cancelled,
}

/// How one address of a task stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlState {
    /// Not begun.
    #[default]
    Pending,
    /// Under way.
    Running,
    /// Done, whether or not the response may be stored.
    Complete,
    /// It was not fetched, or the answer is an error; the cause says more.
    Failed,
    /// Not done, because the task was cancelled.
    Cancelled,
}

/// A task at one moment. Moments are since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Task {
    /// Its number; numbers rise.
    pub id: u64,
    /// How it stands.
    pub state: TaskState,
    /// When it was asked for.
    pub created: Duration,
    /// When its first address began.
    pub started: Option<Duration>,
    /// When there was nothing left to do.
    pub ended: Option<Duration>,
    /// Addresses known so far: sitemaps and manifests bring more.
    pub total: usize,
    /// Of them, those that are done, failed ones included, and without those that were cancelled.
    pub done: usize,
    /// Of them, those that failed.
    pub failed: usize,
    /// Bytes of bodies.
    pub bytes: u64,
    /// Addresses done in a second, over the last quarter of a minute.
    pub rate: f64,
    /// Seconds that the rest takes at that rate.
    pub seconds_left: Option<u64>,
    /// It only tells what would be fetched.
    pub is_dry: bool,
    /// What was asked for, in a few words.
    pub source: String,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// What came of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskUrl {
    /// As it was given, or found.
    pub url: String,
    /// How it stands.
    pub state: UrlState,
    /// Bytes of its body.
    pub bytes: u64,
    /// The status of the answer.
    pub status: Option<u16>,
    /// `stored`, `hit` (it was there, fresh) or `not-stored`; of a dry run `hit` or nothing.
    pub cache: Option<&'static str>,
    /// Why, as a word of the closed list that Cache-Status uses too.
    pub reason: Option<String>,
    /// Seconds that the response was fresh for when it was done.
    pub lifetime: Option<u32>,
    /// The type of the failure (RFC 9209 §2.3).
    pub cause: Option<String>,
    /// What was being done when it failed.
    pub phase: Option<String>,
    /// What was seen then.
    pub detail: Option<String>,
    /// How often it was tried.
    pub attempts: u8,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In order.
    pub items: Vec<T>,
    /// What to ask for the next part with; `None` at the end.
    pub next: Option<u64>,
    /// How many the list has in all.
    pub total: usize,
}

impl TaskUrl {
    /// The address with that number.
    pub(super) fn of(rows: &Rows, index: usize, row: &Row) -> TaskUrl {
        let text = |word| rows.text_of(word).map(str::to_owned);
        TaskUrl {
            url: rows.url(index).to_owned(),
            state: row.state,
            bytes: row.bytes,
            status: Some(row.status).filter(|status| *status > 0),
            cache: row.kept.map(kept_token),
            reason: text(row.reason),
            lifetime: row.lifetime,
            cause: text(row.cause),
            phase: text(row.phase),
            detail: row.detail.as_deref().map(str::to_owned),
            attempts: row.attempts,
        }
    }
}

/// Its word.
pub(super) fn kept_token(kept: Kept) -> &'static str {
    match kept {
        Kept::Stored => "stored",
        Kept::Hit => "hit",
        Kept::Not => "not-stored",
    }
}

impl TaskState {
    /// Every one, in order.
    pub const ALL: [TaskState; 6] = {
        use TaskState::*;
        [Pending, Running, Paused, Complete, Failed, Cancelled]
    };

    /// Its word.
    pub fn token(self) -> &'static str {
        match self {
            TaskState::Pending => "pending",
            TaskState::Running => "running",
            TaskState::Paused => "paused",
            TaskState::Complete => "complete",
            TaskState::Failed => "failed",
            TaskState::Cancelled => "cancelled",
        }
    }
}

impl UrlState {
    /// Every one, in order.
    pub const ALL: [UrlState; 5] = {
        use UrlState::*;
        [Pending, Running, Complete, Failed, Cancelled]
    };

    /// Its word.
    pub fn token(self) -> &'static str {
        match self {
            UrlState::Pending => "pending",
            UrlState::Running => "running",
            UrlState::Complete => "complete",
            UrlState::Failed => "failed",
            UrlState::Cancelled => "cancelled",
        }
    }
}
