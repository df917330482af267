//! The rules for a typical response: may it be stored, may it be reused.
#![allow(missing_docs, clippy::indexing_slicing, clippy::panic)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use millpond::Now;
use millpond::policy::directives::RequestDirectives;
use millpond::policy::freshness::Times;
use millpond::policy::reuse::{Reuse, reuse};
use millpond::policy::storable::{RequestFacts, Storable, storable};
use millpond::policy::{Fields, Rules};

/// Field lines written down.
struct Lines(&'static [(&'static str, &'static str)]);

impl Fields for Lines {
    fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.0.iter().for_each(|(name, value)| each(name.as_bytes(), value.as_bytes()));
    }
}

fn policy(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("policy");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_secs(1));
    let now = Now { wall: Duration::from_secs(1_785_542_400), monotonic: Duration::from_secs(1_000) };
    let later = Now { wall: now.wall + MINUTE, monotonic: now.monotonic + MINUTE };
    let times = Times { request: now, response: now };
    let rules = Rules::default();
    let facts = RequestFacts { method: "GET", has_authorization: false, directives: RequestDirectives::default() };
    let decide = || storable(black_box(&facts), 200, black_box(&RESPONSE), &rules, times);
    let Storable::Yes(freshness) = decide() else { panic!("a typical response may be stored") };
    let wish = RequestDirectives::parse(&REQUEST);
    assert_eq!(reuse(Some(&wish), &freshness, &rules, later), Reuse::Fresh);
    group.bench_function("storable", |bencher| bencher.iter(decide));
    group.bench_function("reuse", |bencher| bencher.iter(|| reuse(None, black_box(&freshness), &rules, later)));
    group.bench_function("reuse with a client's directives", |bencher| {
        bencher.iter(|| {
            let wish = RequestDirectives::parse(black_box(&REQUEST));
            reuse(Some(&wish), black_box(&freshness), &rules, later)
        });
    });
    group.finish();
}

const MINUTE: Duration = Duration::from_secs(60);

const RESPONSE: Lines = Lines(&[
    ("Server", "nginx/1.28.0"),
    ("Date", "Sat, 01 Aug 2026 00:00:00 GMT"),
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Length", "1024"),
    ("Last-Modified", "Fri, 31 Jul 2026 00:00:00 GMT"),
    ("ETag", "\"66b0c5a0-400\""),
    ("Vary", "Accept-Encoding"),
    ("Cache-Control", "public, max-age=300, s-maxage=3600, stale-while-revalidate=60"),
    ("Strict-Transport-Security", "max-age=31536000"),
    ("X-Content-Type-Options", "nosniff"),
]);

const REQUEST: Lines = Lines(&[
    ("Host", "www.example.com"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Cache-Control", "max-age=600"),
]);

criterion_group!(benches, policy);
criterion_main!(benches);
