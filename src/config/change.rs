//! What a new configuration changes in the one in force, and what of it a running POP cannot take up: for a reload.
//!
//! Sites are the same where they have the same name. Compares values alone; what lies in the files that they name is not
//! known here.

use std::sync::Arc;

use super::{AdminConfig, CacheConfig, Config, Problem, Site, Workers};

/// What a new configuration changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Names of sites that are new.
    pub added: Vec<String>,
    /// Names of sites that are no more.
    pub removed: Vec<String>,
    /// Names of sites that say something else.
    pub changed: Vec<String>,
    /// Tables besides those of sites that say something else.
    pub tables: Vec<&'static str>,
}

impl Config {
    /// Makes this the successor of `old`: a site that is in both keeps its number, and its very value where nothing of it
    /// changed; the others get numbers from `next`, which none has had before.
    pub(crate) fn succeed(&mut self, old: &Config, next: &mut usize) -> Change {
        let mut left: Vec<&Arc<Site>> = old.sites.iter().collect();
        let mut change = Change { tables: self.changed_tables(old), ..Change::default() };
        for site in &mut self.sites {
            let place = left.iter().position(|known| known.name == site.name);
            let known = place.map(|place| left.swap_remove(place));
            let number = known.map_or(*next, |known| known.number);
            *next += usize::from(known.is_none());
            let renumbered = Arc::new(Site { number, ..Site::clone(site) });
            *site = match known {
                Some(known) if **known == *renumbered => Arc::clone(known),
                Some(_) => {
                    change.changed.push(renumbered.name.clone());
                    renumbered
                }
                None => {
                    change.added.push(renumbered.name.clone());
                    renumbered
                }
            };
        }
        change.removed = old.sites.iter().filter(|site| is_among(&left, site)).map(|site| site.name.clone()).collect();
        change
    }

    /// The sites that `old` does not have as they are here: new ones, and those that say something else.
    pub(crate) fn sites_unlike(&self, old: &Config) -> Vec<Arc<Site>> {
        let is_old = |site: &Site| {
            let known = old.sites.iter().find(|known| known.name == site.name);
            known.is_some_and(|known| Site { number: known.number, ..site.clone() } == **known)
        };
        self.sites.iter().filter(|site| !is_old(site)).cloned().collect()
    }

    /// What of this configuration a POP that runs under `old` cannot take up.
    pub(crate) fn beyond_reload(&self, old: &Config) -> Vec<Problem> {
        let is_fixed = [
            ("workers.count", self.workers.count != old.workers.count),
            ("workers.fetchers", self.workers.fetchers != old.workers.fetchers),
            ("cache.temp_dir", self.cache.temp_dir != old.cache.temp_dir),
            ("cache.spill_max", self.cache.spill_max != old.cache.spill_max),
            ("state.dir", self.state.dir != old.state.dir),
            ("admin.listen", self.moves_door(old)),
        ];
        let fixed = is_fixed.into_iter().filter(|(_, is_changed)| *is_changed);
        let what = "this cannot change while Millpond runs";
        let hint = "take the change back, or restart";
        fixed.map(|(key, _)| self.problem_at(key.to_owned(), what.to_owned(), hint.to_owned())).collect()
    }

    /// Leaves what only a restart can change as it is in `old`; what that is comes back.
    pub(crate) fn keep_fixed(&mut self, old: &Config) -> Vec<Problem> {
        self.keep_door(old);
        let fixed = self.beyond_reload(old);
        (self.workers.count, self.workers.fetchers) = (old.workers.count, old.workers.fetchers);
        self.cache.temp_dir.clone_from(&old.cache.temp_dir);
        self.cache.spill_max = old.cache.spill_max;
        self.state = old.state.clone();
        if self.moves_door(old) {
            self.admin.clone_from(&old.admin);
        }
        fixed
    }

    /// A door that nobody speaks of is the usual one, where there was one at the start.
    pub(crate) fn keep_door(&mut self, old: &Config) {
        if old.admin.is_some() && self.admin.is_none() {
            self.admin = Some(AdminConfig::default());
        }
    }

    /// The door cannot move while somebody may stand in it.
    fn moves_door(&self, old: &Config) -> bool {
        let way = |admin: &AdminConfig| (admin.listen, admin.https.clone());
        self.admin.as_ref().map(way) != old.admin.as_ref().map(way)
    }

    /// Every field is named, so that a new table must say here how it can change.
    fn changed_tables(&self, old: &Config) -> Vec<&'static str> {
        let Config { listen, cache, workers, limits, log, admin, .. } = self;
        let Config { state: _, path: _, sites: _, file: _, lines: _, warnings: _, .. } = self;
        let CacheConfig { memory, max_response, temp_dir: _, spill_max: _ } = cache;
        let Workers { max_fetches, fetch_queue, count: _, fetchers: _ } = workers;
        let door = |admin: &Option<AdminConfig>| admin.as_ref().map(|door| (door.hosts.clone(), door.any_target));
        let tables = [
            ("listen", *listen != old.listen),
            ("cache", (*memory, *max_response) != (old.cache.memory, old.cache.max_response)),
            ("workers", (*max_fetches, *fetch_queue) != (old.workers.max_fetches, old.workers.fetch_queue)),
            ("limits", *limits != old.limits),
            ("log", *log != old.log),
            ("debug", self.debug_token != old.debug_token),
            ("admin", door(admin) != door(&old.admin)),
        ];
        tables.into_iter().filter(|(_, is_changed)| *is_changed).map(|(name, _)| name).collect()
    }
}

fn is_among(sites: &[&Arc<Site>], site: &Arc<Site>) -> bool {
    sites.iter().any(|other| Arc::ptr_eq(other, site))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(head: &str, sites: &[(&str, &str)]) -> Config {
        let mut text = format!("{head}\n");
        for (domain, server) in sites {
            text += &format!("[[site]]\ndomains = [\"{domain}\"]\n[site.origin]\nservers = [\"{server}\"]\n");
        }
        Config::parse(&text, Path::new("m.toml")).unwrap()
    }

    fn numbers(config: &Config) -> Vec<(&str, usize)> {
        config.sites.iter().map(|site| (site.name.as_str(), site.number)).collect()
    }

    #[test]
    fn sites_keep_their_numbers_through_insertion_reordering_and_removal() {
        let old = config("", &[("a.test", "192.0.2.1"), ("b.test", "192.0.2.2"), ("c.test", "192.0.2.3")]);
        let mut next = old.sites.len();
        let mut new = config("", &[("d.test", "192.0.2.4"), ("c.test", "192.0.2.9"), ("a.test", "192.0.2.1")]);
        let change = new.succeed(&old, &mut next);
        assert_eq!(numbers(&new), [("d.test", 3), ("c.test", 2), ("a.test", 0)]);
        let names = |name: &str| vec![name.to_owned()];
        let expected =
            Change { added: names("d.test"), removed: names("b.test"), changed: names("c.test"), tables: vec![] };
        assert_eq!(change, expected);
        assert!(Arc::ptr_eq(&new.sites[2], &old.sites[0]), "what did not change is the same value");
        // One that comes back is another one: numbers are not used twice.
        let mut newer = config("", &[("b.test", "192.0.2.2"), ("a.test", "192.0.2.1")]);
        newer.succeed(&new, &mut next);
        assert_eq!((numbers(&newer), next), (vec![("b.test", 4), ("a.test", 0)], 5));
    }

    #[test]
    fn sites_that_are_as_they_were_are_not_among_the_changed_ones_whatever_their_number() {
        let old = config("", &[("a.test", "192.0.2.1"), ("b.test", "192.0.2.2"), ("c.test", "192.0.2.3")]);
        let new = config("", &[("c.test", "192.0.2.3"), ("d.test", "192.0.2.4"), ("a.test", "192.0.2.9")]);
        let names = |sites: Vec<Arc<Site>>| sites.iter().map(|site| site.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(new.sites_unlike(&old)), ["d.test", "a.test"]);
        assert!(names(old.sites_unlike(&old)).is_empty());
    }

    #[test]
    fn order_comments_and_lines_are_no_change() {
        let old = config("", &[("a.test", "192.0.2.1"), ("b.test", "192.0.2.2")]);
        let mut new = config("# A comment.\n", &[("b.test", "192.0.2.2"), ("a.test", "192.0.2.1")]);
        assert_eq!(new.succeed(&old, &mut 2), Change::default());
    }

    #[test]
    fn tables_that_changed_are_named() {
        let old = config("", &[("a.test", "192.0.2.1")]);
        for (head, table) in [
            ("[listen]\nhttp = \"127.0.0.1:8081\"", "listen"),
            ("[cache]\nmemory = \"1 GiB\"", "cache"),
            ("[workers]\nmax_fetches = 7", "workers"),
            ("[limits]\nrequest_fields = 50", "limits"),
            ("[log]\nformat = \"json\"", "log"),
            ("[debug]\ntoken = \"0123456789abcdef\"", "debug"),
        ] {
            let mut new = config(head, &[("a.test", "192.0.2.1")]);
            assert_eq!(new.succeed(&old, &mut 1), Change { tables: vec![table], ..Change::default() }, "{head}");
            assert!(new.beyond_reload(&old).is_empty(), "{head}");
        }
    }

    #[test]
    fn what_needs_a_restart_can_be_left_as_it_is() {
        let old = config("[admin]\nlisten = \"127.0.0.1:1\"", &[("a.test", "192.0.2.1")]);
        let fixed = "[workers]\ncount = 57\nfetchers = 7\n[cache]\ntemp_dir = \"/elsewhere\"\nspill_max = \"1 MiB\"\n\
                     [state]\ndir = \"s\"\n[admin]\nlisten = \"off\"\n[limits]\nrequest_fields = 50";
        let mut new = config(fixed, &[("a.test", "192.0.2.1")]);
        assert_eq!(new.keep_fixed(&old).len(), 6);
        assert_eq!(new.beyond_reload(&old), []);
        assert_eq!(new.succeed(&old, &mut 1).tables, ["limits"]);
    }

    #[test]
    fn what_needs_a_restart_is_refused_at_its_line() {
        let old = config("", &[("a.test", "192.0.2.1")]);
        for (head, place) in [
            ("[workers]\ncount = 57", "m.toml:2: workers.count: "),
            ("[workers]\n\nfetchers = 7", "m.toml:3: workers.fetchers: "),
            ("[cache]\ntemp_dir = \"/elsewhere\"", "m.toml:2: cache.temp_dir: "),
            ("[cache]\nspill_max = \"1 MiB\"", "m.toml:2: cache.spill_max: "),
        ] {
            let problems = config(head, &[("a.test", "192.0.2.1")]).beyond_reload(&old);
            assert_eq!(problems.len(), 1, "{head}");
            let text = problems[0].to_string();
            assert!(text.starts_with(place) && text.contains("restart"), "{text}");
        }
    }
}
