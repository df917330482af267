//! Would sites answer, as they are to be? The doctor's look at them before a change is applied, bounded in time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::jobs::Audience;
use super::reply::Reply;
use crate::config::{Config, Site};
use crate::doctor::rehearse_sites;
use crate::settings::Proposal;

/// Rehearsals under way, and what the latest of each site has shown.
#[derive(Default)]
pub struct Rehearsals {
    running: Arc<AtomicUsize>,
    healthy: Mutex<HashMap<String, bool>>,
}

/// What a rehearsal has shown.
#[derive(Debug, Default)]
pub struct Rehearsal {
    sites: Vec<Shown>,
    /// Sites that answer now, or may, and would not any more.
    pub broken: Vec<String>,
}

#[derive(Debug)]
struct Shown {
    site: String,
    /// `None`: it is not known.
    is_healthy: Option<bool>,
    ending: String,
}

/// What happens while a rehearsal is waited for.
enum Event {
    /// A site has been looked at.
    Seen(String, Outcome),
    /// Who waits has left.
    Left,
}

/// How one site came out.
struct Outcome {
    is_healthy: bool,
    /// It is not, and was so far, or may have been: that could not be seen in time.
    breaks: bool,
    /// The doctor's last line on it.
    ending: String,
}

impl Rehearsals {
    /// Looks at every site that a proposal would bring or change, and where one would not answer, whether it does now.
    /// Takes [`LONGEST`] at most, and ends once its audience has left.
    ///
    /// # Errors
    /// 503 where too many are under way, 409 where nobody waits any more for what it shows.
    pub fn rehearse(&self, proposal: &Proposal, audience: &Audience) -> Result<Rehearsal, Reply> {
        let end = Instant::now() + LONGEST;
        let sites = proposal.changed_sites();
        let (Ok(config), false) = (&proposal.config, sites.is_empty()) else { return Ok(Rehearsal::default()) };
        let looked_at = sites.iter().take(MOST_SITES).cloned().collect();
        let (sender, arrived) = mpsc::channel();
        let sender = Arc::new(sender);
        let leaving = Arc::downgrade(&sender);
        audience.on_leaving(move || {
            if let Some(sender) = leaving.upgrade() {
                let _ = sender.send(Event::Left);
            }
        });
        // Nothing is looked at any more once this is dropped.
        let wanted = Arc::new(());
        self.begin(proposal.old.clone(), config.clone(), looked_at, sender, Arc::downgrade(&wanted))?;
        let mut outcomes = HashMap::new();
        while let Ok(event) = arrived.recv_timeout(end.saturating_duration_since(Instant::now())) {
            match event {
                Event::Seen(site, outcome) => _ = outcomes.insert(site, outcome),
                Event::Left => {
                    let detail = "the connection was closed from there while the sites were rehearsed, so nothing is \
                                  changed: keep it open until the answer, or ask with rehearse=false";
                    return Err(Reply::conflict(detail));
                }
            }
        }
        let names = sites.iter().map(|site| site.name.clone());
        // A site that is new breaks nothing.
        let is_there = |name: &String| proposal.old.iter().flat_map(|old| &old.sites).any(|site| site.name == *name);
        let breaks = |name: &String| outcomes.get(name).is_some_and(|outcome| outcome.breaks) && is_there(name);
        let broken = names.clone().filter(breaks).collect();
        let sites = names.enumerate().map(|(place, site)| shown(site, place < MOST_SITES, &outcomes));
        Ok(Rehearsal { sites: sites.collect(), broken })
    }

    /// Notes what a rehearsal has shown of sites as they are now.
    pub fn note(&self, rehearsal: &Rehearsal) {
        let mut healthy = self.healthy.lock().unwrap_or_else(PoisonError::into_inner);
        if healthy.len() > MOST_NOTES {
            healthy.clear();
        }
        let known = rehearsal.sites.iter().filter_map(|shown| Some((shown.site.clone(), shown.is_healthy?)));
        healthy.extend(known);
    }

    /// What the latest rehearsal of a site has shown, if it had one.
    pub fn is_healthy(&self, site: &str) -> Option<bool> {
        self.healthy.lock().unwrap_or_else(PoisonError::into_inner).get(site).copied()
    }

    /// Has the sites looked at on a thread of its own, which makes no further step once it is not `wanted` any more. Of what
    /// comes for a site, the last holds.
    fn begin(
        &self,
        old: Option<Config>,
        new: Config,
        sites: Vec<Arc<Site>>,
        sender: Arc<mpsc::Sender<Event>>,
        wanted: Weak<()>,
    ) -> Result<(), Reply> {
        let busy = || Reply::problem(503, "Busy", "other rehearsals are under way; try again in a moment");
        let running = Running::begin(&self.running).ok_or_else(busy)?;
        let look = move || {
            let _running = running;
            let is_wanted = || wanted.strong_count() > 0;
            rehearse_sites(old.as_ref(), &new, &sites, AT_ONCE, &is_wanted, &mut |one| {
                let (report, breaks) = (&one.report, one.breaks());
                let outcome = Outcome { is_healthy: !report.is_dead(), breaks, ending: report.ending() };
                // Whoever asked may have gone.
                let _ = sender.send(Event::Seen(report.site.clone().unwrap_or_default(), outcome));
            });
        };
        let thread = std::thread::Builder::new().name("rehearsal".into()).spawn(look);
        thread.map(|_| ()).map_err(|_| busy())
    }
}

/// One rehearsal under way.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(running: &Arc<AtomicUsize>) -> Option<Running> {
        let more = |count: usize| (count < MOST_RUNNING).then_some(count + 1);
        running.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Running(running.clone()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Rehearsal {
    /// As the API tells it.
    pub fn json(&self) -> Value {
        let sites = self
            .sites
            .iter()
            .map(|shown| json!({ "site": shown.site, "ok": shown.is_healthy, "ending": shown.ending }));
        let is_healthy = self.sites.iter().all(|shown| shown.is_healthy != Some(false));
        json!({ "healthy": is_healthy, "sites": sites.collect::<Value>() })
    }
}

fn shown(site: String, is_looked_at: bool, outcomes: &HashMap<String, Outcome>) -> Shown {
    match outcomes.get(&site) {
        Some(outcome) => Shown { site, is_healthy: Some(outcome.is_healthy), ending: outcome.ending.clone() },
        None if is_looked_at => Shown { site, is_healthy: None, ending: "not known in time".to_owned() },
        None => {
            let ending = format!("not looked at: of one change the first {MOST_SITES} sites are");
            Shown { site, is_healthy: None, ending }
        }
    }
}

/// The longest that a change waits for it.
const LONGEST: Duration = Duration::from_secs(20);
/// Sites of one change that are looked at.
const MOST_SITES: usize = 16;
/// Sites looked at at once.
const AT_ONCE: usize = 4;
/// Rehearsals at once.
const MOST_RUNNING: usize = 4;
/// Sites whose latest outcome is remembered.
const MOST_NOTES: usize = 10_000;
