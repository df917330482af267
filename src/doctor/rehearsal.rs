//! Many sites of a configuration at once, a few at a time: would any of them answer 502?

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::report::{Report, Step};
use super::run::Run;
use super::{Progress, Subject, origins};
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
    let is_wanted = || true;
    let look = |site: &Site, tell: &dyn Fn(Report)| {
        tell(run(&origins, config, &Subject::of_site(config, site), &is_wanted));
    };
    let mut left = config.sites.len();
    all(&config.sites, at_once, look, &mut |report| {
        left = left.saturating_sub(1);
        done(report, left);
    })
}

/// The same for a configuration that is to take the place of `old`: only for the sites that `old` does not have as they
/// are in `new`. Where one is dead, its name is looked at under `old` too. Sends a request or two to each of their servers,
/// and blocks for as long as the sites' own time-outs allow; changes nothing.
///
/// [`Edge::config`](crate::Edge::config) is the one in force, and [`Rehearsal::breaks`] the reason not to reload.
pub fn rehearse_change(old: &Config, new: &Config, at_once: usize) -> Vec<Rehearsal> {
    rehearse_sites(Some(old), new, &new.sites_unlike(old), at_once, &|| true, &mut |_| ())
}

/// The same for these `sites` of `new`. `told` is called on this thread with what is known of each as it comes: of one that is
/// dead at once, as if it had not been so before, and once more where it was. Once it is not wanted any more, no further step
/// is made, and nothing more is told.
pub fn rehearse_sites(
    old: Option<&Config>,
    new: &Config,
    sites: &[Arc<Site>],
    at_once: usize,
    is_wanted: &(dyn Fn() -> bool + Sync),
    told: &mut dyn FnMut(&Rehearsal),
) -> Vec<Rehearsal> {
    let after = origins(new, Resolver::system());
    let before = old.map(|old| (origins(old, Resolver::system()), old));
    let look = |site: &Site, tell: &dyn Fn(Rehearsal)| {
        let subject = Subject::of_site(new, site);
        let report = run(&after, new, &subject, is_wanted);
        if !is_wanted() {
            return;
        }
        tell(Rehearsal { report: report.clone(), was_dead: false });
        if let Some((before, old)) = before.as_ref().filter(|_| report.is_dead()) {
            let earlier = run(before, old, &subject, is_wanted);
            if is_wanted() && earlier.site.is_some() && earlier.is_dead() {
                tell(Rehearsal { report, was_dead: true });
            }
        }
    };
    all(sites, at_once, look, told)
}

fn run(origins: &Origins, config: &Config, subject: &Subject, is_wanted: &dyn Fn() -> bool) -> Report {
    let mut go_on = |_: Progress<'_>| if is_wanted() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    Run::new(origins, config, subject, Step::Http, &mut go_on).report()
}

/// The last that `look` tells of each site, in their order, on at most `at_once` threads.
fn all<T: Send>(
    sites: &[Arc<Site>],
    at_once: usize,
    look: impl Fn(&Site, &dyn Fn(T)) + Sync,
    told: &mut dyn FnMut(&T),
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
                    // The other end is there until this thread has ended.
                    look(site, &|one| _ = sender.send((index, one)));
                }
            });
        }
        drop(sender);
        for (index, one) in arrived {
            told(&one);
            if let Some(slot) = found.get_mut(index) {
                *slot = Some(one);
            }
        }
    });
    found.into_iter().flatten().collect()
}
