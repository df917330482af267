//! Millpond as its own process, so that its memory, descriptors and processor time can be told from the scene's; a probe that
//! asks for hits all the while.
#![allow(dead_code)]

use std::fmt::Display;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::support::{Client, LIMIT, TempDir, end_of};

#[path = "vitals.rs"]
mod vitals;

pub use vitals::Vitals;

/// The long form is wanted: more of everything, and the limits of time and memory hold.
pub fn is_long() -> bool {
    std::env::var_os("MILLPOND_LONG").is_some_and(|value| value == "1")
}

/// Every byte follows from the target and its place, so that a mixed up or broken body shows.
pub fn content(target: &str, len: usize) -> Vec<u8> {
    let seed = target.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    (0..len as u32).map(|at| (at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8).collect()
}

/// The program of this build, or the one that `MILLPOND_PROGRAM` names.
fn program() -> PathBuf {
    std::env::var_os("MILLPOND_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_millpond").into(), PathBuf::from)
}

/// How much of something, by the form.
pub fn scale<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

/// The program, serving a file of its own; killed when dropped.
pub struct Program {
    child: Child,
    pub http: SocketAddr,
    pub https: Option<SocketAddr>,
    lines: mpsc::Receiver<String>,
    dir: Arc<TempDir>,
    /// The file's beginning.
    head: String,
}

impl Program {
    /// Plain HTTP only; `toml` is all of the file but `[admin]` and `[listen]`.
    #[track_caller]
    pub fn start(toml: &str) -> Program {
        Program::listening("http = \"127.0.0.1:0\"", toml)
    }

    #[track_caller]
    pub fn listening(listen: &str, toml: &str) -> Program {
        let dir = TempDir::new();
        let command = serve(&dir);
        Program::spawn(command, dir, &format!("{NO_DOOR}[listen]\n{listen}"), toml)
    }

    /// With the operator's door, so that its commands reach it.
    #[track_caller]
    pub fn with_door(toml: &str) -> Program {
        let (dir, free) = (TempDir::new(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let door = free.local_addr().unwrap();
        drop(free);
        let head = format!("[admin]\nlisten = \"{door}\"\n[state]\ndir = \"state\"\n[listen]\nhttp = \"127.0.0.1:0\"");
        let command = serve(&dir);
        Program::spawn(command, dir, &head, toml)
    }

    /// Killed without a word, and started again with the same folder.
    #[track_caller]
    pub fn killed(mut self, toml: &str) -> Program {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Program::spawn(serve(&self.dir), self.dir.clone(), &self.head, toml)
    }

    /// Runs another command with the same file, to its end; whether it went well.
    pub fn operate(&self, arguments: &[&str]) -> bool {
        self.code_of(arguments) == Some(0)
    }

    /// The same: the status it ends with; `None` where a signal ended it.
    pub fn code_of(&self, arguments: &[&str]) -> Option<i32> {
        let mut command = Command::new(program());
        command.args(arguments).arg("--config").arg(self.dir.path().join("millpond.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().code()
    }

    /// The same as a user without privileges, where this process has some; `None` where that one may not run it.
    #[track_caller]
    pub fn of_nobody(toml: &str) -> Option<Program> {
        let dir = TempDir::new();
        let mut command = serve(&dir);
        if rustix::process::getuid().is_root() {
            let mut trial = Command::new(program());
            trial.arg("--version").uid(NOBODY).stdout(Stdio::null()).status().ok()?;
            command.uid(NOBODY);
        }
        Some(Program::spawn(command, dir, &format!("{NO_DOOR}[listen]\nhttp = \"127.0.0.1:0\""), toml))
    }

    /// The same as [`Program::start`] where no file may grow beyond so many bytes: a write that would have it fails.
    #[track_caller]
    pub fn with_files_up_to(most: u64, toml: &str) -> Program {
        let dir = TempDir::new();
        let mut command = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" serve --config \"$1\"", most / 512);
        command.args(["-c", &script]).arg(program()).arg(dir.path().join("millpond.toml")).stdin(Stdio::null());
        Program::spawn(command, dir, &format!("{NO_DOOR}[listen]\nhttp = \"127.0.0.1:0\""), toml)
    }

    /// The same as [`Program::start`] with something more in its environment.
    #[track_caller]
    pub fn with_variables(variables: &[(&str, &Path)], toml: &str) -> Program {
        let dir = TempDir::new();
        let mut command = serve(&dir);
        command.envs(variables.iter().copied());
        Program::spawn(command, dir, &format!("{NO_DOOR}[listen]\nhttp = \"127.0.0.1:0\""), toml)
    }

    /// Serves on a socket that it is handed, as a service manager would.
    #[track_caller]
    pub fn on_socket(socket: &std::net::TcpListener, toml: &str) -> Program {
        let dir = TempDir::new();
        let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" serve --config \"$1\"";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(program()).arg(dir.path().join("millpond.toml"));
        command.stdin(std::os::fd::OwnedFd::from(socket.try_clone().unwrap()));
        let head = format!("{NO_DOOR}[listen]\nhttp = \"{}\"", socket.local_addr().unwrap());
        Program::spawn(command, dir, &head, toml)
    }

    #[track_caller]
    fn spawn(mut command: Command, dir: impl Into<Arc<TempDir>>, head: &str, toml: &str) -> Program {
        more_descriptors();
        let dir = dir.into();
        command.env_remove("MILLPOND_LOG").stdout(Stdio::null()).stderr(Stdio::piped());
        let nowhere = SocketAddr::from(([0; 4], 0));
        let (sender, lines) = mpsc::channel();
        fs::write(dir.path().join("millpond.toml"), format!("{head}\n{toml}")).unwrap();
        let mut child = command.spawn().unwrap();
        let mut reader = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|len| len > 0) {
                _ = sender.send(std::mem::take(&mut line));
            }
        });
        let mut program = Program { child, http: nowhere, https: None, lines, dir, head: head.into() };
        let address = |line: String| line.trim_end().rsplit('/').next().unwrap().parse().unwrap();
        program.http = address(program.line_with("listening on http://"));
        if head.contains("https = ") {
            program.https = Some(address(program.line_with("listening on https://")));
        }
        program
    }

    /// The next line on standard error that has these words in it.
    #[track_caller]
    pub fn line_with(&self, words: &str) -> String {
        let mut others = String::new();
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) if line.contains(words) => return line,
                Ok(line) => others += &line,
                Err(_) => panic!("the program did not say {words:?}, but:\n{others}"),
            }
        }
    }

    /// All that it has said and nobody has looked at.
    pub fn said(&self) -> String {
        self.lines.try_iter().collect()
    }

    /// Another file, and SIGHUP; the caller waits for what comes of it.
    pub fn reload(&self, toml: &str) {
        self.write(format!("{}\n{toml}", self.head));
        self.signal(Signal::HUP);
    }

    /// Another file, whatever is in it; nobody is told.
    pub fn write(&self, file: impl AsRef<[u8]>) {
        fs::write(self.dir.path().join("millpond.toml"), file).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// Sets the limit on threads of its user, which that user alone may do where root has not all its privileges.
    #[track_caller]
    pub fn limit_threads(&self, most: &str) {
        let mut command = Command::new("prlimit");
        command.arg(format!("--pid={}", self.child.id())).arg(format!("--nproc={most}:"));
        if rustix::process::getuid().is_root() {
            command.uid(NOBODY);
        }
        let status = command.status().unwrap();
        assert!(status.success(), "{status}");
    }

    pub fn client(&self) -> Client {
        Client::plain(self.http)
    }

    /// The status of its end, which must come soon.
    #[track_caller]
    pub fn end(&mut self) -> Option<i32> {
        end_of(&mut self.child)
    }

    pub fn vitals(&self) -> Vitals {
        Vitals::of(self.child.id())
    }

    /// Begins to ask for a hit of `a.test`, which is fetched first, every 20 ms.
    #[track_caller]
    pub fn watch(&self, target: &str) -> Watch {
        let expected = self.client().get("a.test", target);
        assert_eq!(expected.status, 200, "{target}");
        let begun = Begun::at(self.vitals());
        let (stop, stopped) = mpsc::channel();
        let (address, target, vitals) = (self.http, target.to_owned(), self.vitals());
        let thread = thread::spawn(move || probe(address, &target, &expected.body, &vitals, &stopped));
        Watch { begun, stop, thread }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn serve(dir: &TempDir) -> Command {
    let mut command = Command::new(program());
    command.args(["serve", "--config"]).arg(dir.path().join("millpond.toml")).stdin(Stdio::null());
    command
}

const NO_DOOR: &str = "[admin]\nlisten = \"off\"\n";

/// As many as this process, and so the program too, may have.
fn more_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// A user who has nothing else to run.
const NOBODY: u32 = 64_321;

struct Begun {
    vitals: Vitals,
    at: Instant,
    cpu: Duration,
    resident: u64,
}

impl Begun {
    fn at(vitals: Vitals) -> Begun {
        Begun { at: Instant::now(), cpu: vitals.cpu(), resident: vitals.resident(), vitals }
    }
}

/// A probe under way.
pub struct Watch {
    begun: Begun,
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Probed>,
}

struct Probed {
    times: Vec<Duration>,
    peak: u64,
}

/// What hits and the process were like meanwhile.
pub struct Seen {
    pub hits: usize,
    pub p99: Duration,
    pub worst: Duration,
    /// Most resident memory and memory files beyond the beginning, in KiB.
    pub growth: u64,
    /// Most resident memory and memory files, in KiB.
    pub peak: u64,
    pub descriptors: usize,
    /// Processor time as a share of the time that passed.
    pub cpu: f64,
}

impl Watch {
    /// Ends it, prints a line of the table, and holds hits to it that none failed, in the long form also their 99th
    /// percentile to 250 ms.
    #[track_caller]
    pub fn end(self, name: &str, count: impl Display) -> Seen {
        let seen = self.quietly();
        seen.print(name, count);
        if is_long() {
            assert!(seen.p99 <= Duration::from_millis(250), "{name}: p99 of hits {:?}", seen.p99);
        }
        seen
    }

    /// The same without limits on time.
    #[track_caller]
    pub fn quietly(self) -> Seen {
        _ = self.stop.send(());
        let mut probed = self.thread.join().expect("no hit failed");
        probed.times.sort();
        let at = |share: usize| probed.times.get((probed.times.len() * share / 100).min(probed.times.len() - 1));
        let passed = self.begun.at.elapsed().as_secs_f64();
        let cpu = (self.begun.vitals.cpu() - self.begun.cpu).as_secs_f64();
        Seen {
            hits: probed.times.len(),
            p99: *at(99).unwrap(),
            worst: *probed.times.last().unwrap(),
            growth: probed.peak.saturating_sub(self.begun.resident),
            peak: probed.peak,
            descriptors: self.begun.vitals.descriptors(),
            cpu: cpu / passed,
        }
    }
}

impl Seen {
    pub fn print(&self, name: &str, count: impl Display) {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        println!(
            "| {name} | {count} | {} hits | p99 {:.1} ms | worst {:.1} ms | +{} KiB, peak {} KiB | {} descriptors | CPU {:.0} % |",
            self.hits,
            ms(self.p99),
            ms(self.worst),
            self.growth,
            self.peak,
            self.descriptors,
            self.cpu * 100.0
        );
    }
}

/// Asks on one kept connection and on fresh ones by turns until it is told to stop.
fn probe(address: SocketAddr, target: &str, body: &[u8], vitals: &Vitals, stopped: &mpsc::Receiver<()>) -> Probed {
    let mut kept = Client::plain(address);
    let mut probed = Probed { times: Vec::new(), peak: 0 };
    loop {
        let begin = Instant::now();
        let response = match probed.times.len() % 2 {
            0 => kept.get("a.test", target),
            _ => Client::plain(address).get("a.test", target),
        };
        probed.times.push(begin.elapsed());
        assert!(response.status == 200 && response.body == body, "{:?}", response.head);
        if probed.times.len() % 5 == 1 {
            probed.peak = probed.peak.max(vitals.resident() + vitals.memory_files());
        }
        if stopped.recv_timeout(Duration::from_millis(20)) != Err(mpsc::RecvTimeoutError::Timeout) {
            probed.peak = probed.peak.max(vitals.resident() + vitals.memory_files());
            return probed;
        }
    }
}
