//! What is known about one name: good addresses, a failure, and until when each counts.
//!
//! Pure rules over values and `now`, so that a test moves the clock by hand. The C library tells no TTL, hence fixed
//! lifetimes. Refuses to know of threads and locks: `resolver` holds these entries under its mutex.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lookup::LookupFailure;

/// How long answers count.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Good addresses are fresh.
    pub fresh: Duration,
    /// The last good addresses serve on while the name servers fail.
    pub kept: Duration,
    /// The last good addresses serve on though the name is said to be gone.
    pub kept_when_gone: Duration,
    /// "No such name" and "no address" are believed.
    pub negative: Duration,
    /// First pause after a temporary failure; doubles up to [`Lifetimes::fresh`].
    pub pause: Duration,
    /// How long a caller with old addresses in hand waits for new ones.
    pub patience: Duration,
}

impl Default for Lifetimes {
    fn default() -> Lifetimes {
        Lifetimes {
            fresh: Duration::from_secs(30),
            kept: Duration::from_secs(3600),
            kept_when_gone: Duration::from_secs(120),
            negative: Duration::from_secs(5),
            pause: Duration::from_secs(1),
            patience: Duration::from_millis(500),
        }
    }
}

/// Everything known about one name.
#[derive(Clone, Debug)]
pub struct Entry {
    good: Option<Good>,
    failed: Option<Failed>,
    /// A lookup is queued or running.
    pub is_asked: bool,
    /// Counts the lookups that ended; tells a waiting caller that its lookup is over.
    pub answers: u64,
    /// When the name was last wanted, for eviction.
    pub wanted: Instant,
}

#[derive(Clone, Debug)]
struct Good {
    addresses: Arc<[IpAddr]>,
    found: Instant,
    /// The lifetime with its jitter.
    lifetime: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    failure: LookupFailure,
    at: Instant,
    pause: Duration,
}

/// What is known of one name, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameState {
    /// The name.
    pub name: String,
    /// Its last good addresses; empty if it never had any.
    pub addresses: Vec<IpAddr>,
    /// How long ago they were found.
    pub age: Option<Duration>,
    /// Why the last lookup failed, if it did, in words, and how long ago.
    pub failure: Option<(&'static str, Duration)>,
}

/// What an entry can say now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Use these.
    Fresh(Arc<[IpAddr]>),
    /// Use these, and have them looked up again in the background.
    Ageing(Arc<[IpAddr]>),
    /// Ask; wait only a little; if nothing better comes, use these.
    Old(Arc<[IpAddr]>),
    /// Ask in the background, but do not wait: the last lookup failed, these are the last good ones.
    Kept(Arc<[IpAddr]>),
    /// The same within the pause after a failure: do not ask.
    Held(Arc<[IpAddr]>),
    /// The name failed a moment ago; believe it.
    Failed(LookupFailure),
    /// Ask and wait.
    Nothing,
}

impl Entry {
    /// A name never asked for.
    pub fn new(now: Instant) -> Entry {
        Entry { good: None, failed: None, is_asked: false, answers: 0, wanted: now }
    }

    /// The lookup found addresses. `spread` in -1.0..=1.0 moves the lifetime by up to a fifth, so that names asked
    /// together do not expire together.
    pub fn found(&mut self, addresses: Vec<IpAddr>, spread: f64, now: Instant, lifetimes: &Lifetimes) {
        let lifetime = lifetimes.fresh.mul_f64(1.0 + 0.2 * spread.clamp(-1.0, 1.0));
        self.good = Some(Good { addresses: addresses.into(), found: now, lifetime });
        self.failed = None;
        self.ended();
    }

    /// The lookup failed.
    pub fn failed(&mut self, failure: LookupFailure, now: Instant, lifetimes: &Lifetimes) {
        let pause = match (failure, self.failed) {
            (LookupFailure::NoName | LookupFailure::NoData, _) => lifetimes.negative,
            (_, Some(before)) => before.pause.saturating_mul(2).min(lifetimes.fresh),
            (_, None) => lifetimes.pause,
        };
        self.failed = Some(Failed { failure, at: now, pause });
        self.ended();
    }

    /// The addresses did not serve: they must be asked for anew, and are the last resort until then. Not sooner than after
    /// a pause, so that a dead origin costs no lookup a request. True where it is time to ask.
    pub fn distrust(&mut self, now: Instant, lifetimes: &Lifetimes) -> bool {
        let is_due = |good: &&mut Good| now.saturating_duration_since(good.found) >= lifetimes.pause;
        let Some(good) = self.good.as_mut().filter(is_due) else { return false };
        good.lifetime = Duration::ZERO;
        self.failed.is_none_or(|failed| !failed.is_pausing(now))
    }

    /// What to do now.
    pub fn known(&self, now: Instant, lifetimes: &Lifetimes) -> Known {
        let good = self.good.as_ref().map(|good| (good, now.saturating_duration_since(good.found)));
        match (good, self.failed) {
            (Some((good, age)), None) if age < good.lifetime => {
                // From two thirds of the lifetime on, a name in use is looked up again before it expires.
                let is_ageing = age >= good.lifetime.mul_f64(2.0 / 3.0);
                let addresses = Arc::clone(&good.addresses);
                if is_ageing { Known::Ageing(addresses) } else { Known::Fresh(addresses) }
            }
            (Some((good, age)), None) if age < lifetimes.kept => Known::Old(Arc::clone(&good.addresses)),
            (Some((good, age)), Some(failed)) if age < failed.keeps(lifetimes) => {
                let addresses = Arc::clone(&good.addresses);
                if failed.is_pausing(now) { Known::Held(addresses) } else { Known::Kept(addresses) }
            }
            (_, Some(failed)) if failed.is_pausing(now) => Known::Failed(failed.failure),
            _ => Known::Nothing,
        }
    }

    /// The last good addresses while they may still serve.
    pub fn last_good(&self, now: Instant, lifetimes: &Lifetimes) -> Option<Arc<[IpAddr]>> {
        let good = self.good.as_ref()?;
        let kept = self.failed.map_or(lifetimes.kept, |failed| failed.keeps(lifetimes));
        (now.saturating_duration_since(good.found) < kept).then(|| Arc::clone(&good.addresses))
    }

    /// Why the last lookup failed, whether or not that is still believed.
    pub fn last_failure(&self) -> LookupFailure {
        self.failed.map_or(LookupFailure::Again, |failed| failed.failure)
    }

    /// What is known, in plain values.
    pub fn state(&self, name: &str, now: Instant) -> NameState {
        let ago = |at: Instant| now.saturating_duration_since(at);
        NameState {
            name: name.to_owned(),
            addresses: self.good.as_ref().map(|good| good.addresses.to_vec()).unwrap_or_default(),
            age: self.good.as_ref().map(|good| ago(good.found)),
            failure: self.failed.map(|failed| (failed.failure.words(), ago(failed.at))),
        }
    }

    fn ended(&mut self) {
        self.is_asked = false;
        self.answers = self.answers.wrapping_add(1);
    }
}

impl Failed {
    fn is_pausing(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < self.pause
    }

    fn keeps(&self, lifetimes: &Lifetimes) -> Duration {
        match self.failure {
            LookupFailure::NoName | LookupFailure::NoData => lifetimes.kept_when_gone,
            LookupFailure::Again | LookupFailure::Timeout | LookupFailure::System => lifetimes.kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn good_entry(start: Instant) -> Entry {
        let mut entry = Entry::new(start);
        entry.found(vec![ADDRESS], 0.0, start, &Lifetimes::default());
        entry
    }

    #[test]
    fn addresses_age_and_are_renewed_before_they_expire() {
        let start = Instant::now();
        let entry = good_entry(start);
        let set: Arc<[IpAddr]> = Arc::from([ADDRESS]);
        let rows = [
            (0, Known::Fresh(Arc::clone(&set))),
            (19, Known::Fresh(Arc::clone(&set))),
            (20, Known::Ageing(Arc::clone(&set))),
            (29, Known::Ageing(Arc::clone(&set))),
            (30, Known::Old(Arc::clone(&set))),
            (3599, Known::Old(Arc::clone(&set))),
            (3600, Known::Nothing),
        ];
        for (seconds, known) in rows {
            assert_eq!(entry.known(start + Duration::from_secs(seconds), &Lifetimes::default()), known, "{seconds}");
        }
    }

    #[test]
    fn the_last_good_set_outlives_failures_of_the_name_servers_by_an_hour() {
        let start = Instant::now();
        let lifetimes = Lifetimes::default();
        let mut entry = good_entry(start);
        let failed_at = start + Duration::from_secs(25);
        entry.failed(LookupFailure::Again, failed_at, &lifetimes);
        let at = |seconds| entry.known(start + Duration::from_secs(seconds), &lifetimes);
        assert_eq!(at(25), Known::Held(Arc::from([ADDRESS])));
        assert_eq!(at(26), Known::Kept(Arc::from([ADDRESS])));
        assert_eq!(at(3599), Known::Kept(Arc::from([ADDRESS])));
        assert_eq!(at(3600), Known::Nothing);
    }

    #[test]
    fn a_name_said_to_be_gone_is_dropped_after_minutes() {
        let start = Instant::now();
        let lifetimes = Lifetimes::default();
        let mut entry = good_entry(start);
        entry.failed(LookupFailure::NoName, start + Duration::from_secs(118), &lifetimes);
        assert_eq!(entry.known(start + Duration::from_secs(119), &lifetimes), Known::Held(Arc::from([ADDRESS])));
        assert_eq!(entry.known(start + Duration::from_secs(121), &lifetimes), Known::Failed(LookupFailure::NoName));
        assert_eq!(entry.last_good(start + Duration::from_secs(121), &lifetimes), None);
        assert_eq!(entry.known(start + Duration::from_secs(124), &lifetimes), Known::Nothing);
    }

    #[test]
    fn pauses_double_while_name_servers_fail() {
        let start = Instant::now();
        let lifetimes = Lifetimes::default();
        let mut entry = Entry::new(start);
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            entry.failed(LookupFailure::Again, start, &lifetimes);
            let last = start + Duration::from_secs(pause) - Duration::from_millis(1);
            assert_eq!(entry.known(last, &lifetimes), Known::Failed(LookupFailure::Again), "{pause}");
            assert_eq!(entry.known(start + Duration::from_secs(pause), &lifetimes), Known::Nothing, "{pause}");
        }
    }

    #[test]
    fn jitter_moves_the_lifetime_by_a_fifth() {
        let start = Instant::now();
        let mut entry = Entry::new(start);
        entry.found(vec![ADDRESS], 1.0, start, &Lifetimes::default());
        let at = |seconds| entry.known(start + Duration::from_secs(seconds), &Lifetimes::default());
        assert_eq!(at(35), Known::Ageing(Arc::from([ADDRESS])));
        assert_eq!(at(36), Known::Old(Arc::from([ADDRESS])));
    }

    #[test]
    fn distrusted_addresses_are_asked_anew_and_kept_as_last_resort() {
        let start = Instant::now();
        let lifetimes = Lifetimes::default();
        let mut entry = good_entry(start);
        entry.distrust(start, &lifetimes);
        assert_eq!(entry.known(start, &lifetimes), Known::Fresh(Arc::from([ADDRESS])));
        let later = start + lifetimes.pause;
        entry.distrust(later, &lifetimes);
        assert_eq!(entry.known(later, &lifetimes), Known::Old(Arc::from([ADDRESS])));
    }
}
