//! A clock that jumps while the program runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millpond::HttpDate;

use crate::rig::{Program, is_long, scale};
use crate::support::pop::site;
use crate::support::{Origin, Reply, TempDir, wait_until};
use crate::{FRESH, content};

/// Fault 32. Only the time of day jumps, as where somebody sets it; the clock that counts from the start goes on, as it does
/// everywhere. For this one process libfaketime stands before the system's clock.
#[test]
fn when_the_clock_jumps_no_hit_fails_and_nothing_lives_longer_or_shorter() {
    let Some(library) = libfaketime() else {
        return println!("| 32 clock jump | left out: there is no libfaketime (Debian: apt-get install libfaketime) |");
    };
    let lifetime = scale("Cache-Control: max-age=1", "Cache-Control: max-age=2");
    let origin = Origin::plain(move |request| {
        let fields = if request.target == "/short" { lifetime } else { FRESH };
        Reply::response("200 OK", &[fields], content(&request.target, 1000))
    });
    let fetches = |target: &str| origin.requests().iter().filter(|request| request.target == target).count();
    let clock = TimeOfDay::new();
    let program = clock.started(&library, &site("a.test", &origin));
    let watch = program.watch("/hit");
    let mut slowest = Duration::ZERO;
    // An hour on, then two hours back.
    for offset in [3600, -3600] {
        assert_eq!(program.client().get("a.test", "/short").status, 200);
        let before = fetches("/short");
        clock.set(offset);
        let jumped = Instant::now();
        wait_until(|| (told(&program) - now() - offset).abs() < 60);
        wait_until(|| {
            sleep(Duration::from_millis(20));
            assert!(program.client().get("a.test", "/short").body == content("/short", 1000));
            fetches("/short") > before
        });
        slowest = slowest.max(jumped.elapsed());
    }
    watch.end("32 clock jump", format!("an hour on, two back: refreshed within {slowest:?}"));
    assert_eq!(fetches("/hit"), 1, "ten minutes have not passed");
    assert!(!is_long() || slowest <= Duration::from_secs(6), "{slowest:?}");
}

/// A file that says how far from the truth one program's time of day is.
struct TimeOfDay {
    dir: TempDir,
}

impl TimeOfDay {
    fn new() -> TimeOfDay {
        let clock = TimeOfDay { dir: TempDir::new() };
        clock.set(0);
        clock
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("offset")
    }

    /// So many seconds; never half written.
    fn set(&self, offset: i64) {
        let new = self.dir.write("new", format!("{offset:+}\n"));
        fs::rename(new, self.file()).unwrap();
    }

    #[track_caller]
    fn started(&self, library: &Path, toml: &str) -> Program {
        let (file, on) = (self.file(), Path::new("1"));
        let variables = [
            ("LD_PRELOAD", library),
            ("FAKETIME_TIMESTAMP_FILE", file.as_path()),
            ("FAKETIME_NO_CACHE", on),
            ("FAKETIME_DONT_FAKE_MONOTONIC", on),
            ("DONT_FAKE_MONOTONIC", on),
            ("FAKETIME_DISABLE_SHM", on),
            ("NO_FAKE_STAT", on),
        ];
        Program::with_variables(&variables, toml)
    }
}

/// Where Debian, Fedora, Arch and whoever builds it put the library, the one for programs with threads first.
fn libfaketime() -> Option<PathBuf> {
    let roots = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    let below = roots.iter().flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten());
    let folders: Vec<PathBuf> = roots.iter().cloned().chain(below.map(|entry| entry.path())).collect();
    let names = ["libfaketimeMT.so.1", "libfaketime.so.1"];
    let mut paths = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join("faketime").join(name)));
    paths.find(|path| path.is_file())
}

/// What the program takes for the time of day, in seconds: it dates the answers that it makes itself.
fn told(program: &Program) -> i64 {
    let answer = program.client().get("unknown.test", "/");
    HttpDate::parse(answer.field("date").unwrap().as_bytes(), HttpDate(0)).unwrap().0
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}
