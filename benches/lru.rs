//! The store: finding among few and many, and storing into a full one.
#![allow(missing_docs, clippy::indexing_slicing, clippy::panic)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use millpond::measured::Memory;

fn lru(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lru");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_secs(1));
    for count in [1_000, 100_000] {
        let mut memory = Memory::new(count, 1 << 30);
        assert_eq!(memory.stats().0, count);
        let mut number = 0;
        group.bench_function(format!("find one of {count}"), |bencher| {
            bencher.iter(|| {
                // A step that meets them all, far from the one before.
                number = (number + 7919) % count;
                assert!(memory.find(black_box(number)));
            });
        });
        group
            .bench_function(format!("miss among {count}"), |bencher| bencher.iter(|| memory.find(black_box(u64::MAX))));
    }
    // Charged as it was for as many, so that every further one evicts.
    let room = Memory::new(100_000, 1 << 30).stats().1;
    let mut memory = Memory::new(100_001, room);
    group.bench_function("store and evict among 100000", |bencher| bencher.iter(|| assert!(memory.insert())));
    group.finish();
}

criterion_group!(benches, lru);
criterion_main!(benches);
