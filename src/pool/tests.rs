//! Threads, scripted with channels: a job says that it has begun and ends when the test lets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::*;

/// Longer than any test takes: only a hang meets it.
const LONG: Duration = Duration::from_secs(60);
const SHARE: Share = Share { max_running: 4, max_queued: 8 };

/// A job that reports (name, waited), then waits for its gate to open or close.
struct Scripted {
    name: &'static str,
    began: Sender<(&'static str, Duration)>,
    gate: Receiver<()>,
    is_wanted: Arc<AtomicBool>,
}

impl Job for Scripted {
    fn run(self, turn: Turn) {
        self.began.send((self.name, turn.waited)).unwrap();
        let _ = self.gate.recv();
        assert!(self.name != "panics", "a fetch that panics, as this test wants");
    }

    fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::SeqCst)
    }
}

/// A pool and what its jobs report.
struct Stage {
    pool: Pool<Scripted>,
    began_in: Sender<(&'static str, Duration)>,
    began: Receiver<(&'static str, Duration)>,
    clock: Arc<AtomicU64>,
}

impl Stage {
    fn new(threads: usize) -> Stage {
        let limits = Limits { threads, idle: LONG, ..Limits::default() };
        Stage::with(|clock| Pool::new("test", limits, clock))
    }

    fn with(make: impl FnOnce(Box<dyn Fn() -> Duration + Send + Sync>) -> Pool<Scripted>) -> Stage {
        let clock = Arc::new(AtomicU64::new(0));
        let seconds = clock.clone();
        let pool = make(Box::new(move || Duration::from_secs(seconds.load(Ordering::SeqCst))));
        let (began_in, began) = unbounded();
        Stage { pool, began_in, began, clock }
    }

    /// A job whose gate stays shut until the returned sender is used or dropped.
    fn job(&self, name: &'static str) -> (Scripted, Sender<()>) {
        let (open, gate) = bounded(1);
        (Scripted { name, began: self.began_in.clone(), gate, is_wanted: Arc::new(AtomicBool::new(true)) }, open)
    }

    /// Submits a job that waits at its gate.
    fn hold(&self, site: usize, share: Share, name: &'static str) -> Sender<()> {
        let (job, open) = self.job(name);
        self.pool.submit(site, share, job).unwrap();
        open
    }

    /// Submits a job that ends at once.
    fn pass(&self, site: usize, share: Share, name: &'static str) {
        drop(self.hold(site, share, name));
    }

    fn next(&self) -> &'static str {
        self.began.recv_timeout(LONG).unwrap().0
    }

    fn refusal(&self, site: usize, share: Share) -> Refusal {
        let Err(full) = self.pool.submit(site, share, self.job("refused").0) else { panic!("taken") };
        assert_eq!(full.job.name, "refused", "the caller has its job back");
        full.why
    }
}

#[test]
fn two_sites_are_served_in_turn() {
    let stage = Stage::new(1);
    let gate = stage.hold(9, SHARE, "first");
    assert_eq!(stage.next(), "first");
    for (site, name) in [(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (2, "b2")] {
        stage.pass(site, SHARE, name);
    }
    drop(gate);
    let order: Vec<_> = (0..5).map(|_| stage.next()).collect();
    assert_eq!(order, ["a1", "b1", "a2", "b2", "a3"]);
}

#[test]
fn a_hung_site_holds_its_share_and_no_more() {
    let stage = Stage::new(4);
    let share = Share { max_running: 2, max_queued: 8 };
    let _hung: Vec<_> = (0..6).map(|_| stage.hold(1, share, "hung")).collect();
    assert_eq!([stage.next(), stage.next()], ["hung"; 2]);
    for _ in 0..20 {
        stage.pass(2, share, "fine");
        assert_eq!(stage.next(), "fine");
    }
    let stats = stage.pool.stats();
    assert_eq!(stats.sites[0], SiteStats { site: 1, running: 2, queued: 4, is_answering: false });
    assert!(stats.threads <= 4);
}

#[test]
fn the_last_quarter_waits_for_a_site_that_answers() {
    let stage = Stage::new(4);
    let mut gates: Vec<_> = (0..4).map(|site| stage.hold(site, SHARE, "doubtful")).collect();
    assert_eq!([stage.next(), stage.next(), stage.next()], ["doubtful"; 3]);
    stage.pool.mark(8, true);
    stage.pass(8, SHARE, "answering");
    assert_eq!(stage.next(), "answering");
    assert_eq!(stage.pool.stats().queued, 1, "the fourth doubtful one still waits");
    gates.remove(0).send(()).unwrap();
    assert_eq!(stage.next(), "doubtful");
}

#[test]
fn a_mark_starts_what_waited_for_it() {
    let stage = Stage::new(8);
    let _gates: Vec<_> = (0..8).map(|_| stage.hold(1, Share { max_running: 8, ..SHARE }, "job")).collect();
    for _ in 0..6 {
        stage.next();
    }
    assert_eq!(stage.pool.stats().queued, 2);
    stage.pool.mark(1, true);
    assert_eq!([stage.next(), stage.next()], ["job"; 2], "one thread recruits the other");
}

#[test]
fn a_full_queue_is_said_at_once_and_only_to_its_site() {
    let stage = Stage::new(4);
    let share = Share { max_running: 1, max_queued: 2 };
    let gates: Vec<_> = (0..3).map(|_| stage.hold(1, share, "held")).collect();
    assert_eq!(stage.refusal(1, share), Refusal::Queue);
    assert_eq!(stage.pool.stats().refused, 1);
    stage.pass(2, share, "other");
    assert!([stage.next(), stage.next()].contains(&"other"));
    drop(gates);
}

#[test]
fn a_burst_within_the_share_is_never_refused() {
    let stage = Stage::new(4);
    let share = Share { max_running: 4, max_queued: 0 };
    let _gates: Vec<_> = (0..4).map(|_| stage.hold(1, share, "held")).collect();
    assert_eq!(stage.refusal(1, share), Refusal::Queue);
}

#[test]
fn a_waiting_job_that_nobody_wants_is_not_run() {
    let stage = Stage::new(1);
    let gate = stage.hold(1, SHARE, "first");
    assert_eq!(stage.next(), "first");
    let (job, _open) = stage.job("unwanted");
    let is_wanted = job.is_wanted.clone();
    stage.pool.submit(1, SHARE, job).unwrap();
    stage.pass(1, SHARE, "last");
    is_wanted.store(false, Ordering::SeqCst);
    drop(gate);
    assert_eq!(stage.next(), "last");
    assert_eq!(stage.pool.stats().unwanted, 1);
}

#[test]
fn a_full_queue_gives_way_where_its_oldest_job_is_unwanted() {
    let stage = Stage::new(1);
    let share = Share { max_running: 1, max_queued: 2 };
    let gate = stage.hold(1, share, "first");
    assert_eq!(stage.next(), "first");
    let (job, _open) = stage.job("unwanted");
    let is_wanted = job.is_wanted.clone();
    stage.pool.submit(1, share, job).unwrap();
    stage.pass(1, share, "second");
    assert_eq!(stage.refusal(1, share), Refusal::Queue);
    is_wanted.store(false, Ordering::SeqCst);
    stage.pass(1, share, "third");
    drop(gate);
    assert_eq!([stage.next(), stage.next()], ["second", "third"]);
}

#[test]
fn a_panic_ends_one_job_and_is_counted() {
    let stage = Stage::new(1);
    stage.pass(1, Share { max_running: 1, ..SHARE }, "panics");
    assert_eq!(stage.next(), "panics");
    stage.pass(1, Share { max_running: 1, ..SHARE }, "next");
    assert_eq!(stage.next(), "next");
    assert!(stage.pool.shutdown(LONG));
    let stats = stage.pool.stats();
    assert_eq!((stats.panics, stats.running, stats.threads), (1, 0, 0));
}

#[test]
fn a_job_learns_how_long_it_waited() {
    let stage = Stage::new(1);
    let gate = stage.hold(1, SHARE, "first");
    assert_eq!(stage.began.recv().unwrap(), ("first", Duration::ZERO));
    stage.pass(1, SHARE, "second");
    stage.clock.store(7, Ordering::SeqCst);
    drop(gate);
    assert_eq!(stage.began.recv().unwrap(), ("second", Duration::from_secs(7)));
}

#[test]
fn threads_come_on_demand_and_go_when_idle() {
    let limits = Limits { threads: 8, idle: Duration::ZERO, ..Limits::default() };
    let stage = Stage::with(|clock| Pool::new("test", limits, clock));
    assert_eq!(stage.pool.stats().threads, 0);
    for _ in 0..50 {
        stage.pass(1, SHARE, "job");
        assert_eq!(stage.next(), "job");
    }
    let state = stage.pool.0.lock();
    let (state, waited) = stage.pool.0.ended.wait_timeout_while(state, LONG, |state| state.threads > 0).unwrap();
    assert!(!waited.timed_out() && state.idle.is_empty());
}

#[test]
fn a_pool_that_gets_no_thread_refuses() {
    let limits = Limits { threads: 4, stack: usize::MAX / 4, ..Limits::default() };
    let stage = Stage::with(|clock| Pool::new("test", limits, clock));
    assert_eq!(stage.refusal(1, SHARE), Refusal::NoThread);
    let stats = stage.pool.stats();
    assert_eq!((stats.threads, stats.queued, stats.refused, stats.failed_threads), (0, 0, 1, 1));
}

#[test]
fn a_job_waits_for_a_running_thread_where_no_other_can_be_had() {
    let limits = Limits { threads: 4, idle: LONG, ..Limits::default() };
    let is_first = AtomicBool::new(true);
    let real = spawner("test", limits.stack);
    let once = Box::new(move |body| match is_first.swap(false, Ordering::SeqCst) {
        true => real(body),
        false => Err(io::ErrorKind::WouldBlock.into()),
    });
    let stage = Stage::with(|clock| Pool::with_threads(limits, clock, once));
    let gate = stage.hold(1, SHARE, "first");
    assert_eq!(stage.next(), "first");
    stage.pass(2, SHARE, "second");
    assert_eq!(stage.pool.stats().queued, 1);
    drop(gate);
    assert_eq!(stage.next(), "second");
    assert_eq!(stage.pool.stats().failed_threads, 1);
}

#[test]
fn shutdown_finishes_what_was_taken_and_takes_no_more() {
    let stage = Stage::new(1);
    for name in ["a", "b", "c"] {
        stage.pass(1, SHARE, name);
    }
    assert!(stage.pool.shutdown(LONG));
    assert_eq!([stage.next(), stage.next(), stage.next()], ["a", "b", "c"]);
    assert_eq!(stage.refusal(1, SHARE), Refusal::Closed);
}

#[test]
fn shutdown_leaves_what_does_not_end_in_time() {
    let stage = Stage::new(1);
    let gate = stage.hold(1, SHARE, "stuck");
    assert_eq!(stage.next(), "stuck");
    let (job, waiting) = stage.job("waiting");
    stage.pool.submit(1, SHARE, job).unwrap();
    assert!(!stage.pool.shutdown(Duration::ZERO));
    assert!(waiting.send(()).is_err(), "the waiting job is dropped, and its gate with it");
    drop(gate);
    assert!(stage.pool.shutdown(LONG));
}

#[test]
fn many_submitters_lose_no_job() {
    let stage = Stage::new(3);
    let share = Share { max_running: 2, max_queued: 1_000 };
    thread::scope(|scope| {
        for site in 0..4 {
            let stage = &stage;
            scope.spawn(move || (0..250).for_each(|_| stage.pass(site, share, "job")));
        }
    });
    for _ in 0..1_000 {
        stage.next();
    }
    assert!(stage.pool.shutdown(LONG));
    assert_eq!(stage.pool.stats().running, 0);
}

#[test]
fn work_that_nobody_waits_for_leaves_half_of_all_to_others() {
    // Threads, jobs of others at the same site, its share; how many such jobs are taken one after the other.
    for (threads, others, max_running, expected) in
        [(8, 0, 4, 2), (8, 1, 4, 1), (8, 2, 4, 0), (4, 0, 4, 2), (8, 0, 1, 1)]
    {
        let stage = Stage::new(threads);
        stage.pool.mark(1, true);
        let share = Share { max_running, max_queued: 8 };
        let mut gates: Vec<_> = (0..others).map(|_| stage.hold(1, share, "other")).collect();
        (0..others).for_each(|_| _ = stage.next());
        let mut taken = 0;
        while stage.pool.has_spare(1, share) {
            let (job, open) = stage.job("idle");
            stage.pool.submit_idle(1, share, job).unwrap();
            assert_eq!(stage.next(), "idle", "it begins at once");
            gates.push(open);
            taken += 1;
        }
        assert_eq!(taken, expected, "{threads} threads, {others} others, {max_running} at most");
        let full = stage.pool.submit_idle(1, share, stage.job("idle").0).unwrap_err();
        assert_eq!((full.job.name, full.why), ("idle", Refusal::Queue));
        let gate = stage.hold(1, Share { max_running: 8, ..share }, "client");
        if threads > 4 {
            assert_eq!(stage.next(), "client", "there is room for others");
        }
        drop((gate, gates));
    }
}
