//! A hit without its socket: parse, route, key, look-up, head written, counted.
#![allow(missing_docs, clippy::indexing_slicing, clippy::panic)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use millpond::measured::Hit;

fn hit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hit");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_secs(1));
    let mut hit = Hit::new();
    for (name, request) in [("short", SHORT), ("a browser's fields", BROWSER), ("If-None-Match", CONDITIONAL)] {
        let (head, body) = hit.answer(request.as_bytes());
        assert!(head > 0 && (body == 1024 || request == CONDITIONAL), "{name} is no hit");
        group.bench_function(name, |bencher| bencher.iter(|| hit.answer(black_box(request.as_bytes()))));
    }
    group.finish();
}

const SHORT: &str = "GET /1k HTTP/1.1\r\nHost: www.example.com\r\n\r\n";

const BROWSER: &str = "GET /1k HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    Connection: keep-alive\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: http://www.example.com/index.html\r\n\
    Cookie: session=0123456789abcdef; theme=dark\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Priority: u=0, i\r\n\r\n";

const CONDITIONAL: &str = "GET /1k HTTP/1.1\r\nHost: www.example.com\r\nIf-None-Match: \"66b0c5a0-400\"\r\n\r\n";

criterion_group!(benches, hit);
criterion_main!(benches);
