//! `millpond prefetch`, `purge` and `tasks` as their users meet them: what they print, and how they end.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::pop::{is_hit, site};
use support::{Certificates, Client, Gate, LIMIT, Leaf, Origin, Reply, TempDir};

/// A program that serves, with its admin listener and its token.
struct Serving {
    child: Child,
    client: SocketAddr,
    admin: String,
    token: String,
    file: String,
    _dir: TempDir,
}

/// What a run of the program left.
#[derive(Debug)]
struct Run {
    status: i32,
    out: String,
    err: String,
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millpond"));
    command.args(arguments).env_remove("MILLPOND_LOG").stdin(Stdio::null());
    command
}

/// Waits for the end of a program, with a limit.
#[track_caller]
fn ended(child: Child) -> Run {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(LIMIT * 2) else {
        _ = kill_process(pid, Signal::KILL);
        panic!("it did not end");
    };
    let Output { status, stdout, stderr } = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { status: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
}

#[track_caller]
fn run(arguments: &[&str]) -> Run {
    ended(program(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

impl Serving {
    #[track_caller]
    fn start(origin: &Origin) -> Serving {
        Serving::with_door(origin, "127.0.0.1:0", "")
    }

    /// The same with a door of one's own.
    #[track_caller]
    fn with_door(origin: &Origin, listen: &str, door: &str) -> Serving {
        let dir = TempDir::new();
        let state = dir.path().join("state");
        let toml = format!(
            "[listen]\nhttp = \"127.0.0.1:0\"\n[admin]\nlisten = \"{listen}\"\n{door}[state]\ndir = \"{}\"\n{}",
            state.display(),
            site("a.test", origin)
        );
        let file = dir.write("millpond.toml", toml);
        let arguments = ["serve", "--config", file.to_str().unwrap()];
        let mut child = program(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let reader = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || reader.lines().map_while(Result::ok).for_each(|line| _ = sender.send(line)));
        let line_with = |words: &str| loop {
            let line = lines.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("it did not say {words:?}"));
            if line.contains(words) {
                return line;
            }
        };
        let client = line_with("listening on http://").rsplit('/').next().unwrap().parse().unwrap();
        let sign_in = line_with("sign in:");
        let admin = sign_in.split_whitespace().find(|word| word.starts_with("http")).unwrap();
        let admin = admin.split("/#").next().unwrap().to_owned();
        let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        Serving { child, client, admin, token: text(&state.join("token")), file: text(&file), _dir: dir }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let place = ["--admin", &self.admin, "--token-file", &self.token];
        let mut command = program(&[arguments, &place].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Run {
        ended(self.command(arguments).spawn().unwrap())
    }

    /// The same at another address, perhaps with certificates to trust.
    #[track_caller]
    fn run_at(&self, admin: &str, further: &[&str]) -> Run {
        run(&[&["tasks", "--admin", admin, "--token-file", &self.token], further].concat())
    }

    #[track_caller]
    fn is_hit(&self, target: &str) -> bool {
        is_hit(&Client::plain(self.client).get("a.test", target))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn fresh() -> Origin {
    Origin::plain(|request| match request.target.as_str() {
        "/404" => Reply::response("404 Not Found", &[], ""),
        target => Reply::response("200 OK", &["Cache-Control: max-age=600"], target),
    })
}

#[test]
fn prefetch_shows_what_failed_and_ends_with_it() {
    let origin = fresh();
    let serving = Serving::start(&origin);
    let run = serving.run(&["prefetch", "http://a.test/a", "http://a.test/b"]);
    assert_eq!((run.status, run.out.as_str()), (0, "task 1 complete: 2 of 2 addresses, 4 bytes\n"), "{run:?}");
    assert!(serving.is_hit("/a") && serving.is_hit("/b"));
    let run = serving.run(&["prefetch", "http://a.test/404", "http://b.test/", "--json"]);
    let lines: Vec<Value> = run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(run.status, 1, "{run:?}");
    let last = lines.last().unwrap();
    assert_eq!((last["state"].as_str(), last["failed"].as_u64()), (Some("failed"), Some(2)));
    let urls: Vec<_> = lines.iter().filter_map(|line| line["url"].as_str()).collect();
    assert_eq!(urls, ["http://a.test/404", "http://b.test/"]);
    let run = serving.run(&["tasks"]);
    assert_eq!((run.status, run.out.lines().count()), (0, 2), "{run:?}");
    assert!(run.out.starts_with("task 2 failed: 2 of 2 addresses, 2 failed"), "{run:?}");
    let run = serving.run(&["tasks", "2"]);
    assert!(run.status == 1 && run.out.contains("destination_not_found: no site is configured"), "{run:?}");
    let run = serving.run(&["tasks", "--pause", "2"]);
    assert!(run.status == 1 && run.err.contains("it has ended"), "{run:?}");
}

#[test]
fn addresses_come_from_a_file_and_from_standard_input() {
    let origin = fresh();
    let serving = Serving::start(&origin);
    let dir = TempDir::new();
    let file = dir.write("list", "# a list\n\nhttp://a.test/1\r\n  http://a.test/2\n");
    let run = serving.run(&["prefetch", "--file", file.to_str().unwrap(), "--dry-run"]);
    let expected = "would fetch   http://a.test/1  uri-miss\nwould fetch   http://a.test/2  uri-miss\n";
    assert!(run.status == 0 && run.out.starts_with(expected), "{run:?}");
    assert!(run.out.ends_with("task 1 (dry run) complete: 2 of 2 addresses, 0 bytes\n"), "{run:?}");
    assert_eq!(origin.count(), 0);
    let mut child = serving.command(&["prefetch", "--file", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"http://a.test/3\n").unwrap();
    let run = ended(child);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(serving.is_hit("/3"));
}

#[test]
fn purge_says_how_many_and_can_fetch_them_anew() {
    let origin = fresh();
    let serving = Serving::start(&origin);
    assert_eq!(serving.run(&["prefetch", "http://a.test/d/1", "http://a.test/d/2", "http://a.test/e"]).status, 0);
    let run = serving.run(&["purge", "--prefix", "http://a.test/d", "--count"]);
    assert!(run.status == 0 && run.out.starts_with("2 stored responses would be taken"), "{run:?}");
    let run = serving.run(&["purge", "--prefix", "http://a.test/d", "--then-prefetch"]);
    assert!(run.status == 0 && run.out.contains("2 stored responses are removed"), "{run:?}");
    assert!(run.out.contains("complete: 2 of 2"), "{run:?}");
    assert_eq!(origin.count(), 5);
    let run = serving.run(&["purge", "--url", "http://a.test/d/1", "--url", "http://a.test/e", "--json"]);
    assert_eq!((run.status, run.out.lines().count()), (0, 2), "{run:?}");
    assert!(!serving.is_hit("/e") && serving.is_hit("/d/2"));
    let run = serving.run(&["purge", "--url", "http://b.test/"]);
    assert!(run.status == 1 && run.err.contains("no site is configured"), "{run:?}");
}

#[test]
fn an_interrupt_leaves_the_task_to_itself() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |_| {
        Reply::nothing().wait(&held).then("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 0\r\n\r\n")
    });
    let serving = Serving::start(&origin);
    let mut child = serving.command(&["prefetch", "http://a.test/1", "--json"]).spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    assert!(line.contains("\"id\":\"1\""), "{line}");
    origin.wait_for_requests(1);
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    let run = ended(child);
    assert!(run.status == 1 && run.err.contains("task 1 goes on"), "{run:?}");
    gate.open();
    let run = serving.run(&["tasks", "1"]);
    assert!(run.status == 0 && run.out.contains("task 1 complete"), "{run:?}");
}

#[test]
fn of_many_failures_some_are_named_and_the_others_counted() {
    let origin = Origin::plain(|_| Reply::response("404 Not Found", &[], ""));
    let serving = Serving::start(&origin);
    let urls: Vec<String> =
        (0..21).map(|number| format!("http://a.test/{number}")).chain(["a.test/x".into()]).collect();
    let arguments: Vec<&str> = ["prefetch"].into_iter().chain(urls.iter().map(String::as_str)).collect();
    let run = serving.run(&arguments);
    let ending = "and 2 more that failed: millpond tasks 1 --json names every address\n\
                  task 1 failed: 22 of 22 addresses, 22 failed, 0 bytes\n";
    assert!(run.status == 1 && run.out.ends_with(ending), "{run:?}");
    assert_eq!(run.out.lines().count(), 22);
    let run = serving.run(&["tasks", "1", "--json"]);
    assert!(run.out.contains("it begins with neither http:// nor https://"), "{run:?}");
}

/// An origin that answers nothing.
fn silent(gate: &Gate) -> Origin {
    let held = gate.clone();
    Origin::plain(move |_| Reply::nothing().wait(&held))
}

#[test]
fn a_cancelled_task_says_what_of_it_was_done() {
    let gate = Gate::new();
    let origin = silent(&gate);
    let serving = Serving::start(&origin);
    let mut child = serving.command(&["prefetch", "http://a.test/1", "http://a.test/2", "--json"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let run = serving.run(&["tasks", "--cancel", "1"]);
    assert!(run.status == 0 && run.out.starts_with("task 1 cancelled: 0 of 2 addresses, 0 bytes"), "{run:?}");
    assert_ne!(ended(child).status, 0);
    gate.open();
}

#[test]
fn who_follows_a_task_hears_that_it_outlives_a_stop() {
    let gate = Gate::new();
    let origin = silent(&gate);
    let mut serving = Serving::start(&origin);
    let mut child = serving.command(&["prefetch", "http://a.test/1", "--json"]).spawn().unwrap();
    let (mut line, mut out) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
    out.read_line(&mut line).unwrap();
    serving.child.kill().unwrap();
    let run = ended(child);
    assert!(run.status == 1 && run.err.contains("cannot ask http://"), "{run:?}");
    assert!(run.err.contains("task 1 goes on when it runs again: millpond tasks 1"), "{run:?}");
    gate.open();
}

#[test]
fn who_cannot_be_asked_is_told_so() {
    let origin = fresh();
    let serving = Serving::start(&origin);
    let dir = TempDir::new();
    let other = dir.write("token", "0123456789abcdef0123456789abcdef\n");
    let run = ended(
        program(&["tasks", "--admin", &serving.admin, "--token-file", other.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    assert!(run.status == 1 && run.err.contains("the token is wrong"), "{run:?}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let toml = format!("[admin]\nlisten = \"{nobody}\"\n{}", site("a.test", &origin));
    let without = dir.write("a.toml", &toml);
    let with = dir.write("b.toml", format!("{toml}\n[state]\ndir = \"{}\"\n", dir.path().display()));
    let none = dir.path().join("none.toml");
    let no_site = dir.write("c.toml", "[state]\ndir = \"nowhere\"\n");
    let rows = [
        (no_site, 1, "has it been started with this state directory"),
        (without, 2, "no state directory"),
        (with, 1, "cannot ask http://"),
        (none, 2, "name the file that it serves with --config FILE"),
    ];
    for (file, status, words) in rows {
        let run = ended(
            program(&["tasks", "--config", file.to_str().unwrap()])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        assert!(run.status == status && run.err.contains(words), "{run:?}");
    }
}

/// A port that was free a moment ago.
fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_door_with_a_certificate_is_asked_over_https_and_known_by_it() {
    let origin = fresh();
    let (ours, others) = (Certificates::new(), Certificates::new());
    let own = ours.issue("door", &Leaf::names(&["127.0.0.1", "localhost"]));
    let [certificate, key] = [&own.chain_file, &own.key_file].map(|path| path.to_str().unwrap());
    let listen = format!("127.0.0.1:{}", port());
    let serving = Serving::with_door(&origin, &listen, &format!("certificate = \"{certificate}\"\nkey = \"{key}\"\n"));
    let admin = format!("https://{listen}");
    assert_eq!(serving.admin, admin);
    let is_answered = |run: &Run| run.status == 0 && run.err.contains("there are no tasks");
    // The file tells that it is HTTPS, and which certificate it has.
    let by_file = run(&["tasks", "--config", &serving.file]);
    assert!(is_answered(&by_file), "{by_file:?}");
    let [ca, other] = [ours.ca_file(), others.ca_file()].map(|path| path.to_str().unwrap().to_owned());
    let localhost = admin.replace("127.0.0.1", "localhost");
    for (admin, ca) in [(&admin, ca.as_str()), (&admin, certificate), (&localhost, &ca)] {
        let run = serving.run_at(admin, &["--ca", ca]);
        assert!(is_answered(&run), "{admin} {ca}: {run:?}");
    }
    let plain = admin.replace("https", "http");
    let rows = [
        (&admin, &[][..], "give its certificate, or that of its issuer, with --ca FILE"),
        (&admin, &["--ca", &other], "holds neither its certificate nor that of its issuer"),
        (&admin, &["--ca", "/nonexistent.pem"], "/nonexistent.pem"),
        (&plain, &[], "does it want https://"),
    ];
    for (admin, further, words) in rows {
        let run = serving.run_at(admin, further);
        assert!(run.status == 1 && run.err.contains(words), "{admin} {further:?}: {run:?}");
    }
    // Another certificate in its place, which it does not show yet.
    ours.issue("door", &Leaf::names(&["127.0.0.1"]));
    let renewed = run(&["tasks", "--config", &serving.file]);
    assert!(renewed.status == 1 && renewed.err.contains("it shows another one than"), "{renewed:?}");
}

#[test]
fn a_self_signed_certificate_is_trusted_where_it_is_named_and_nowhere_else() {
    let origin = fresh();
    let certificates = Certificates::new();
    let own = certificates.issue("door", &Leaf::names(&["elsewhere.test"]).expired().self_signed());
    let [certificate, key] = [&own.chain_file, &own.key_file].map(|path| path.to_str().unwrap());
    let door = format!("certificate = \"{certificate}\"\nkey = \"{key}\"\n");
    let serving = Serving::with_door(&origin, "127.0.0.1:0", &door);
    let run = serving.run_at(&serving.admin, &["--ca", certificate]);
    assert_eq!(run.status, 0, "{run:?}");
    let run = serving.run_at(&serving.admin, &[]);
    assert!(run.status == 1 && run.err.contains("the server's certificate"), "{run:?}");
    let plain = Serving::start(&origin);
    let run = plain.run_at(&plain.admin.replace("http", "https"), &[]);
    assert!(run.status == 1 && run.err.contains("something else than TLS"), "{run:?}");
}
