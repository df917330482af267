//! Every site of a configuration at once, a few at a time: would any of them answer 502?

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::report::{Report, Step};
use super::run::Run;
use super::{Subject, origins};
use crate::config::Config;
use crate::origin::Resolver;

/// Runs steps 0 to 7 for every site of the configuration, at most `at_once` at a time; the reports are in the order of
/// the sites. `done` is called on this thread with each report as it comes, and how many sites are still to come.
///
/// A site is asked for `/` under its first domain; where that is a pattern, for `www` in the place of the `*`.
pub fn rehearse(config: &Config, at_once: usize, done: &mut dyn FnMut(&Report, usize)) -> Vec<Report> {
    let origins = origins(config, Resolver::system());
    let next = AtomicUsize::new(0);
    let sites = &config.sites;
    let mut reports: Vec<Option<Report>> = sites.iter().map(|_| None).collect();
    thread::scope(|scope| {
        let (sender, arrived) = mpsc::channel();
        for _ in 0..at_once.clamp(1, sites.len().max(1)) {
            let (sender, origins, next) = (sender.clone(), &origins, &next);
            scope.spawn(move || {
                while let Some((index, site)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    sites.get(index).map(|site| (index, site))
                } {
                    let subject = Subject::of_site(config, site);
                    let report = Run::new(origins, config, &subject, Step::Http, &mut |_| ()).report();
                    if sender.send((index, report)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (left, (index, report)) in (0..sites.len()).rev().zip(arrived) {
            done(&report, left);
            if let Some(slot) = reports.get_mut(index) {
                *slot = Some(report);
            }
        }
    });
    reports.into_iter().flatten().collect()
}
