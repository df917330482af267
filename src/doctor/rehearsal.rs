//! Many sites of a configuration at once, a few at a time: would any of them answer 502?

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::report::{Report, Step};
use super::run::Run;
use super::{Subject, origins};
use crate::config::{Config, Site};
use crate::origin::{Origins, Resolver};

/// What a change of the configuration would make of one site.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// Steps 0 to 7 under the new configuration.
    pub report: Report,
    /// The same name was served before, and had no server that a fetch could succeed at then either.
    pub was_dead: bool,
}

impl Rehearsal {
    /// Every fetch of the site would fail, which was not so before; a name that no site answered for counts as sound.
    pub fn breaks(&self) -> bool {
        self.report.is_dead() && !self.was_dead
    }
}

/// Runs steps 0 to 7 for every site of the configuration, at most `at_once` at a time; the reports are in the order of
/// the sites. `done` is called on this thread with each report as it comes, and how many sites are still to come.
///
/// A site is asked for `/` under its first domain; where that is a pattern, for `www` in the place of the `*`.
pub fn rehearse(config: &Config, at_once: usize, done: &mut dyn FnMut(&Report, usize)) -> Vec<Report> {
    let origins = origins(config, Resolver::system());
    all(&config.sites, at_once, |site| run(&origins, config, &Subject::of_site(config, site)), done)
}

/// The same for a configuration that is to take the place of `old`: only for the sites that `old` does not have as they
/// are in `new`. Where one is dead, its name is looked at under `old` too. Sends a request or two to each of their servers,
/// and blocks for as long as the sites' own time-outs allow; changes nothing.
///
/// [`Edge::config`](crate::Edge::config) is the one in force, and [`Rehearsal::breaks`] the reason not to reload.
pub fn rehearse_change(old: &Config, new: &Config, at_once: usize) -> Vec<Rehearsal> {
    let origins = [old, new].map(|config| origins(config, Resolver::system()));
    let [before, after] = &origins;
    let look = |site: &Site| {
        let subject = Subject::of_site(new, site);
        let report = run(after, new, &subject);
        let was_dead = report.is_dead() && {
            let report = run(before, old, &subject);
            report.site.is_some() && report.is_dead()
        };
        Rehearsal { report, was_dead }
    };
    all(&new.sites_unlike(old), at_once, look, &mut |_, _| ())
}

fn run(origins: &Origins, config: &Config, subject: &Subject) -> Report {
    Run::new(origins, config, subject, Step::Http, &mut |_| ControlFlow::Continue(())).report()
}

/// What `look` says of each site, in their order, on at most `at_once` threads.
fn all<T: Send>(
    sites: &[Arc<Site>],
    at_once: usize,
    look: impl Fn(&Site) -> T + Sync,
    done: &mut dyn FnMut(&T, usize),
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let mut found: Vec<Option<T>> = sites.iter().map(|_| None).collect();
    thread::scope(|scope| {
        let (sender, arrived) = mpsc::channel();
        for _ in 0..at_once.clamp(1, sites.len().max(1)) {
            let (sender, look, next) = (sender.clone(), &look, &next);
            scope.spawn(move || {
                while let Some((index, site)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    sites.get(index).map(|site| (index, site))
                } {
                    if sender.send((index, look(site))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (left, (index, one)) in (0..sites.len()).rev().zip(arrived) {
            done(&one, left);
            if let Some(slot) = found.get_mut(index) {
                *slot = Some(one);
            }
        }
    });
    found.into_iter().flatten().collect()
}
