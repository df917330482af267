//! A purge by directory over a million stored responses: how long it takes, with nothing else to do and with a thread that
//! looks up without a pause, and how long one of those looks takes at worst.
//! Takes 2 GB of memory. Not criterion's: every purge needs a store filled anew.
#![allow(missing_docs, clippy::print_stdout)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millpond::measured::Memory;

const COUNT: u64 = 1_000_000;

fn main() {
    for _ in 0..3 {
        let mut memory = Memory::new(COUNT, 4 << 30);
        let start = Instant::now();
        let cpu = cpu_time();
        let taken = memory.purge();
        println!("{taken} purged in {:?}, of them {:?} CPU", start.elapsed(), cpu_time().saturating_sub(cpu));
    }
    for _ in 0..3 {
        let mut memory = Memory::new(COUNT, 4 << 30);
        let mut hits = memory.another();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| {
                let (mut number, mut worst, mut looks) = (0, Duration::ZERO, 0_u64);
                while !is_over.load(Ordering::Relaxed) {
                    number = (number + 7919) % COUNT;
                    let start = Instant::now();
                    hits.find(number);
                    worst = worst.max(start.elapsed());
                    looks += 1;
                }
                (worst, looks)
            });
            let start = Instant::now();
            let cpu = cpu_time();
            let taken = memory.purge();
            let (time, cpu) = (start.elapsed(), cpu_time().saturating_sub(cpu));
            is_over.store(true, Ordering::Relaxed);
            let (worst, looks) = looking.join().unwrap_or_default();
            println!("{taken} purged in {time:?}, of them {cpu:?} CPU; {looks} looks meanwhile, the longest {worst:?}");
        });
    }
}

/// What this thread has had of the processors: of use where they are shared with others.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}
