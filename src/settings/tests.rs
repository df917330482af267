//! Changes from the proposal to the file and back.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A folder of one test's own.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("millpond-settings-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const FILE: &str = "# Mine.\n[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"192.0.2.1\"] # one\n";

fn settings(folder: &Folder) -> Settings {
    fs::write(folder.path("m.toml"), FILE).unwrap();
    Settings::new(&folder.path("m.toml"), Some(&folder.path("state")))
}

fn sni(name: &str) -> Value {
    let text = Value::Text(name.to_owned());
    let origin = Value::Table([("sni".to_owned(), text)].into());
    Value::Table([("origin".to_owned(), origin)].into())
}

fn propose(settings: &Settings, name: &str) -> Proposal {
    settings.propose(settings.read().unwrap(), Change::Patch("a.test", sni(name))).unwrap()
}

fn now() -> Duration {
    Duration::from_secs(1_000)
}

fn accept(_: Config) -> Result<(), String> {
    Ok(())
}

#[test]
fn a_change_is_written_put_in_force_and_can_be_taken_back() {
    let folder = Folder::new();
    let settings = settings(&folder);
    let proposal = propose(&settings, "s.test");
    let shown: Vec<String> = proposal.diff().into_iter().map(|line| line.text).collect();
    assert_eq!(shown.last().map(String::as_str), Some("sni = \"s.test\""));
    assert_eq!(proposal.changed_sites().len(), 1);
    let after = proposal.after.clone();
    let applied = settings.apply(proposal, now(), |config| {
        // The file says it already when it is put in force.
        assert_eq!(settings.read().unwrap(), after);
        assert_eq!(config.path.as_deref(), Some(folder.path("m.toml").as_path()));
        Ok::<_, String>(config.sites[0].origin.sni.clone())
    });
    let applied = applied.unwrap();
    assert_eq!(applied.in_force.as_deref(), Some("s.test"));
    assert_eq!(settings.read().unwrap().text, format!("{FILE}sni = \"s.test\"\n"));
    let version = applied.version.unwrap();
    assert_eq!(settings.versions().unwrap().len(), 1);
    let old = settings.version(&version).unwrap().unwrap();
    let back = settings.propose(settings.read().unwrap(), Change::Text(old)).unwrap();
    settings.apply(back, now(), accept).unwrap();
    assert_eq!(settings.read().unwrap().text, FILE);
    assert_eq!(settings.versions().unwrap().len(), 2);
}

#[test]
fn what_cannot_be_put_in_force_is_put_back() {
    let folder = Folder::new();
    let settings = settings(&folder);
    let refused = settings.apply(propose(&settings, "s.test"), now(), |_| Err::<(), _>("no".to_owned()));
    assert!(matches!(refused, Err(NotApplied::Refused(why)) if why == "no"));
    assert_eq!(settings.read().unwrap().text, FILE);
}

#[test]
fn a_bad_change_is_told_with_its_line_and_writes_nothing() {
    let folder = Folder::new();
    let settings = settings(&folder);
    let proposal = propose(&settings, "10.0.0.1");
    assert_eq!(proposal.config.as_ref().unwrap_err()[0].line, 6);
    assert!(matches!(settings.apply(proposal, now(), accept), Err(NotApplied::Problems(_))));
    assert_eq!(settings.read().unwrap().text, FILE);
    assert_eq!(settings.versions().unwrap(), []);
}

#[test]
fn whoever_was_faster_is_not_written_over() {
    let folder = Folder::new();
    let settings = settings(&folder);
    let (one, other) = (propose(&settings, "one.test"), propose(&settings, "other.test"));
    settings.apply(one, now(), accept).unwrap();
    assert!(matches!(settings.apply(other, now(), accept), Err(NotApplied::Stale)));
    // By hand.
    let third = propose(&settings, "third.test");
    fs::write(settings.path(), FILE).unwrap();
    assert!(matches!(settings.apply(third, now(), accept), Err(NotApplied::Stale)));
    assert_eq!(settings.read().unwrap().text, FILE);
}

#[test]
fn of_many_writers_each_change_is_made_whole_or_not_at_all() {
    let folder = Folder::new();
    let settings = settings(&folder);
    let made: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let settings = &settings;
                scope.spawn(move || {
                    let change = |round| propose(settings, &format!("w{writer}r{round}.test"));
                    (0..10).filter(|round| settings.apply(change(*round), now(), accept).is_ok()).count()
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert!(made > 0);
    assert_eq!(settings.versions().unwrap().len(), made);
    assert!(settings.read().unwrap().text.starts_with(FILE));
}
