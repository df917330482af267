//! Prometheus's text format (version 0.0.4): help and type, samples with their labels, histograms that add up.

use std::fmt::Write;

use crate::observe::{BOUNDS, Histogram};

/// A page being written. Writing to a `String` cannot fail, so results are dropped.
pub struct Page(String);

impl Page {
    /// Nothing yet.
    pub fn new() -> Page {
        Page(String::with_capacity(16 << 10))
    }

    /// All that was written.
    pub fn into_text(self) -> String {
        self.0
    }

    /// Begins a metric; its samples follow.
    pub fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Begins a metric that only grows.
    pub fn counter(&mut self, name: &str, help: &str) {
        self.head(name, help, "counter");
    }

    /// Begins a metric that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str) {
        self.head(name, help, "gauge");
    }

    /// One sample of the metric that was begun last.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if index == 0 { '{' } else { ',' }, escaped(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// The samples of a histogram.
    pub fn histogram(&mut self, name: &str, label: (&str, &str), histogram: &Histogram) {
        let mut count = 0_u64;
        for (bound, more) in BOUNDS.iter().map(Some).chain([None]).zip(histogram.buckets) {
            count = count.saturating_add(more);
            let bound = bound.map_or("+Inf".to_owned(), |micros| seconds(*micros));
            self.sample(&format!("{name}_bucket"), &[label, ("le", &bound)], count);
        }
        self.sample(&format!("{name}_sum"), &[label], seconds(histogram.micros));
        self.sample(&format!("{name}_count"), &[label], count);
    }
}

/// `0.00025`
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_below_their_help_with_escaped_labels() {
        let mut page = Page::new();
        page.counter("a_total", "Help.");
        page.sample("a_total", &[("site", "x\"\\\n"), ("b", "c")], 7);
        page.sample("a_total", &[], 8);
        assert_eq!(
            page.0,
            "# HELP a_total Help.\n# TYPE a_total counter\na_total{site=\"x\\\"\\\\\\n\",b=\"c\"} 7\na_total 8\n"
        );
    }

    #[test]
    fn a_histogram_adds_up_and_ends_at_infinity() {
        let mut histogram = Histogram::default();
        for micros in [60, 60, 90_000_000] {
            histogram.add(std::time::Duration::from_micros(micros));
        }
        let mut page = Page::new();
        page.histogram("d_seconds", ("from", "store"), &histogram);
        for line in [
            "d_seconds_bucket{from=\"store\",le=\"0.00005\"} 0\n",
            "d_seconds_bucket{from=\"store\",le=\"0.0001\"} 2\n",
            "d_seconds_bucket{from=\"store\",le=\"60\"} 2\n",
            "d_seconds_bucket{from=\"store\",le=\"+Inf\"} 3\n",
            "d_seconds_sum{from=\"store\"} 90.00012\n",
            "d_seconds_count{from=\"store\"} 3\n",
        ] {
            assert!(page.0.contains(line), "{line}{}", page.0);
        }
    }
}
