//! The program as its users meet it: command lines, exit statuses, what it prints, how it starts and how it ends.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use support::{Certificates, Client, Gate, LIMIT, Origin, Reply, TempDir, end_of, wait_until};

/// What a run of the program left.
struct Run {
    status: i32,
    out: String,
    err: String,
}

/// Runs the program to its end, which must come within twice the usual limit.
#[track_caller]
fn run(arguments: &[&str]) -> Run {
    let child = program(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = pid_of(&child);
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(LIMIT * 2) else {
        _ = kill_process(pid, Signal::KILL);
        panic!("millpond {arguments:?} did not end");
    };
    let Output { status, stdout, stderr } = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { status: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millpond"));
    command.args(arguments).env_remove("MILLPOND_LOG").stdin(Stdio::null());
    command
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

/// A program that serves until it is told to stop; killed when dropped.
struct Serving {
    child: Child,
    address: SocketAddr,
    lines: mpsc::Receiver<String>,
}

impl Serving {
    #[track_caller]
    fn start(arguments: &[&str]) -> Serving {
        let mut child = program(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut reader = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|len| len > 0) {
                _ = sender.send(std::mem::take(&mut line));
            }
        });
        let mut serving = Serving { child, address: SocketAddr::from(([0; 4], 0)), lines };
        let line = serving.line_with("listening on http://");
        serving.address = line.trim_end().rsplit('/').next().unwrap().parse().unwrap();
        serving
    }

    /// The next line on standard error that has these words in it.
    #[track_caller]
    fn line_with(&self, words: &str) -> String {
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) if line.contains(words) => return line,
                Ok(_) => {}
                Err(_) => panic!("the program did not say {words:?}"),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(pid_of(&self.child), signal).unwrap();
    }

    /// Waits for its end; the exit status.
    #[track_caller]
    fn end(&mut self) -> Option<i32> {
        end_of(&mut self.child)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    for (arguments, part) in [
        (&["--version"][..], concat!("millpond ", env!("CARGO_PKG_VERSION"), "\n")),
        (&["--help"], "millpond demo"),
        (&[], "millpond serve --origin"),
        (&["serve", "--help"], "--keep-host"),
        (&["help", "config"], "common_name_whitelist"),
    ] {
        let Run { status, out, err } = run(arguments);
        assert!(status == 0 && out.contains(part) && err.is_empty(), "{arguments:?}: {status} {out} {err}");
    }
}

#[test]
fn a_wrong_command_line_has_status_2_and_a_hint() {
    for (arguments, part) in [
        (&["sevre"][..], "did you mean millpond serve?"),
        (&["serve"], "serve needs something to serve"),
        (&["check", "m.toml"], "did you mean --config m.toml?"),
        (&["serve", "--origin", "ftp://o.example"], "--origin: "),
    ] {
        let Run { status, out, err } = run(arguments);
        assert!(status == 2 && out.is_empty() && err.contains(part), "{arguments:?}: {status} {out} {err}");
    }
}

#[test]
fn check_reports_every_problem_with_its_place() {
    let dir = TempDir::new();
    let text = "[listen]\nhttp = \"nowhere\"\n[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"o.test\"]\n\
                sni = \"10.0.0.1\"\ncolour = \"red\"\n";
    let path = dir.write("bad.toml", text);
    let path = path.to_str().unwrap();
    for command in ["check", "serve"] {
        let Run { status, out, err } = run(&[command, "--config", path]);
        assert_eq!((status, out.as_str()), (2, ""), "{command}: {err}");
        for place in [":2: listen.http", ":7: site[1].origin.sni: ", ":8: site[1].origin"] {
            assert!(err.lines().any(|line| line.starts_with(&format!("{path}{place}"))), "{command}: {place}: {err}");
        }
        assert_eq!(err.lines().count(), 3, "{err}");
    }
    let Run { status, err, .. } = run(&["check", "--config", "/nowhere/m.toml"]);
    assert!(status == 2 && err.starts_with("/nowhere/m.toml: cannot read the file"), "{err}");
}

#[test]
fn explain_tells_what_would_become_of_a_request_and_sends_nothing() {
    let dir = TempDir::new();
    let file = dir.path().join("m.toml");
    let origin = Origin::plain(|_| Reply::ok("never asked"));
    let text = format!(
        "[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"{}\"]\n[site.cache]\nquery = \"ignore\"\n\
         [[site.rule]]\npath = \"/a/\"\nttl = \"1h\"\n[[site.rule]]\ncookie = \"session\"\nbypass = true\n",
        origin.address()
    );
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let Run { status, out, err } = run(&["explain", "http://a.test/a/b?c", "--config", file]);
    let server = format!("http://{}", origin.address());
    for part in
        ["key        http|a.test|/a/b\n", "fresh for 3600 s; from rule 1 (ttl-rule)", &server, "Host     a.test"]
    {
        assert!(status == 0 && err.is_empty() && out.contains(part), "{part}: {status} {out} {err}");
    }
    let Run { out, .. } = run(&["explain", "http://a.test/a/b?c", "-H", "Cookie: session=1", "--config", file]);
    assert!(out.contains("rule 2 (bypass-rule)") && out.contains("asked for  /a/b?c"), "{out}");
    let supposed =
        ["explain", "http://a.test/a/b", "-R", "Cache-Control: max-age=5", "--status", "404", "--config", file];
    assert!(run(&supposed).out.contains("such a 404 is stored, fresh for 5 s; from the origin's max-age"));
    for (url, expected, part) in [("http://b.test/", 1, "no site answers"), ("b.test", 2, "is no URL")] {
        let Run { status, out, err } = run(&["explain", url, "--config", file]);
        assert!(status == expected && out.is_empty() && err.contains(part), "{url}: {status} {err}");
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn check_reads_certificates_and_warns() {
    let certificates = Certificates::new();
    let one = certificates.identity(&["a.test"]);
    let two = certificates.issue("other", &support::Leaf::names(&["b.test"]));
    let file = |key: &std::path::Path| {
        format!(
            "[listen]\nhttps = \"127.0.0.1:0\"\n[[site]]\ndomains = [\"a.test\"]\n[site.https]\ncertificate = {:?}\n\
             key = {key:?}\n[site.origin]\nservers = [\"127.0.0.1:8443\"]\n",
            one.chain_file
        )
    };
    let dir = TempDir::new();
    let good = dir.write("good.toml", file(&one.key_file));
    let Run { status, out, err } = run(&["check", "--config", good.to_str().unwrap()]);
    assert_eq!(status, 0, "{err}");
    assert!(out.contains("good.toml: ok\n") && out.contains("serves a.test from http://127.0.0.1:8443"), "{out}");
    assert!(err.contains("good.toml:9: warning: site[1].origin.servers[1]: without protocol"), "{err}");
    let bad = dir.write("bad.toml", file(&two.key_file));
    let Run { status, out, err } = run(&["check", "--config", bad.to_str().unwrap()]);
    assert!(status == 2 && out.is_empty(), "{status} {out}");
    assert!(err.lines().last().unwrap().contains("site[1].https.key: "), "{err}");
}

#[test]
fn a_ca_file_that_cannot_be_read_is_refused_before_anybody_asks() {
    let text = "[listen]\nhttp = \"127.0.0.1:0\"\n[[site]]\ndefault = true\n[site.origin]\nservers = \
                [\"127.0.0.1:443\"]\ntrust = \"missing.pem\"\n";
    let dir = TempDir::new();
    let path = dir.write("m.toml", text);
    for command in ["check", "serve"] {
        let Run { status, err, .. } = run(&[command, "--config", path.to_str().unwrap()]);
        assert!(status == 2 && err.contains("site[1].origin.trust: cannot read the CA file"), "{command}: {err}");
    }
}

#[test]
fn init_writes_a_file_that_check_accepts_and_never_writes_over_one() {
    let dir = TempDir::new();
    let path = dir.path().join("millpond.toml");
    let path = path.to_str().unwrap();
    assert_eq!(run(&["init", path]).status, 0);
    let written = std::fs::read_to_string(path).unwrap();
    let Run { status, out, err } = run(&["check", "--config", path]);
    assert!(status == 0 && out.starts_with(&format!("{path}: ok\n")) && err.is_empty(), "{status} {out} {err}");
    assert_eq!(run(&["init"]).out, written);
    dir.write("millpond.toml", "mine");
    let Run { status, err, .. } = run(&["init", path]);
    assert!(status == 1 && err.contains("exists already"), "{status} {err}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "mine");
}

#[test]
fn serve_answers_and_a_sigterm_lets_what_runs_finish() {
    let (halfway, head) = (Gate::new(), Gate::new());
    let origin = Origin::plain({
        let (halfway, head) = (halfway.clone(), head.clone());
        move |request| match request.target.as_str() {
            "/download" => {
                Reply::bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345").wait(&halfway).then("67890")
            }
            "/later" => Reply::nothing().wait(&head).then("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"),
            _ => Reply::response("200 OK", &["Cache-Control: max-age=60"], "hello"),
        }
    });
    let url = format!("http://{}", origin.address());
    let mut serving = Serving::start(&["serve", "--origin", &url, "--listen", "127.0.0.1:0"]);
    assert!(serving.line_with("serving every name").contains(&url));
    let mut client = Client::plain(serving.address);
    let first = client.get("a.test", "/");
    let second = client.get("a.test", "/");
    assert_eq!((first.status, first.text(), second.text()), (200, "hello".into(), "hello".into()));
    assert!(second.field("cache-status").unwrap().contains("hit") && origin.count() == 1);

    let (mut download, mut later) = (Client::plain(serving.address), Client::plain(serving.address));
    download.send("GET /download HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(download.head_of("GET").status, 200);
    assert_eq!(download.body_of_at_least(5), b"12345");
    later.send("GET /later HTTP/1.1\r\nHost: a.test\r\n\r\n");
    head.wait_for_arrivals(1);
    serving.signal(Signal::TERM);
    serving.line_with("SIGTERM");
    wait_until(|| TcpStream::connect_timeout(&serving.address, LIMIT).is_err());
    assert!(client.closed(), "an idle connection is closed");
    head.open();
    let answer = later.response();
    assert_eq!((answer.status, answer.field("connection"), answer.text()), (200, Some("close"), "late".into()));
    halfway.open();
    assert_eq!(download.rest().unwrap(), b"67890");
    assert!(download.closed() && later.closed());
    assert_eq!(serving.end(), Some(0));
}

#[test]
fn a_hangup_opens_the_access_log_anew_and_serving_goes_on() {
    let origin = Origin::plain(|_| Reply::ok("content"));
    let folder = TempDir::new();
    let (log, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let text = format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\n[log]\naccess = \"access.log\"\n[[site]]\ndefault = true\n[site.origin]\n\
         servers = [\"{}\"]\n",
        origin.address()
    );
    let file = folder.write("millpond.toml", text.as_bytes());
    let serving = Serving::start(&["serve", "--config", file.to_str().unwrap()]);
    Client::plain(serving.address).get("a.test", "/before");
    std::fs::rename(&log, &old).unwrap();
    serving.signal(Signal::HUP);
    serving.line_with("opened anew");
    Client::plain(serving.address).get("a.test", "/after");
    wait_until(|| std::fs::read_to_string(&log).is_ok_and(|text| text.contains("/after")));
}

/// A hang-up with a sound file, a broken one, a file whose certificate is gone, and again a sound one.
#[test]
fn a_hangup_reloads_the_file_or_leaves_all_as_it_was() {
    let (origin, certificates, folder) = (Origin::plain(|_| Reply::ok("content")), Certificates::new(), TempDir::new());
    let path = folder.path().join("millpond.toml");
    let write = |domain: &str, more: &str| {
        let server = origin.address();
        let listen = "[listen]\nhttp = \"127.0.0.1:0\"\n";
        let text =
            format!("{listen}[[site]]\ndomains = [\"{domain}\"]\n{more}\n[site.origin]\nservers = [\"{server}\"]\n");
        std::fs::write(&path, text).unwrap();
    };
    write("a.test", "");
    let serving = Serving::start(&["serve", "--config", path.to_str().unwrap()]);
    let mut client = Client::plain(serving.address);
    let mut statuses = || ["a.test", "b.test"].map(|host| client.get(host, "/").status);
    assert_eq!(statuses(), [200, 421]);
    let hang_up = |words: &str| {
        serving.signal(Signal::HUP);
        serving.line_with(words)
    };
    write("b.test", "");
    let line = hang_up("reloaded ");
    assert!(line.contains("1 site added (b.test), 1 site removed (a.test)"), "{line}");
    assert_eq!(statuses(), [421, 200]);
    hang_up("nothing changed");

    write("a.test", "colour = \"red\"");
    let line = hang_up("millpond.toml:5: site[1]");
    assert!(line.contains(" error: ") && line.contains("colour"), "{line}");
    serving.line_with("the old configuration stays in force");
    assert_eq!(statuses(), [421, 200]);

    let identity = certificates.identity(&["a.test"]);
    let https = "[site.https]\ncertificate = \"gone.pem\"\nkey = ";
    write("a.test", &format!("{https}{:?}", identity.key_file));
    hang_up("site[1].https.certificate: cannot read");
    serving.line_with("the old configuration stays in force");
    assert_eq!(statuses(), [421, 200]);

    std::fs::remove_file(&path).unwrap();
    hang_up("cannot read the file");
    write("a.test", "");
    hang_up("1 site removed (b.test)");
    assert_eq!(statuses(), [200, 421]);
}

#[test]
fn with_health_demanded_a_reload_is_refused_where_a_site_would_begin_to_fail() {
    let (origin, gate) = (Origin::plain(|_| Reply::ok("content")), Gate::new());
    let held = gate.clone();
    // Its first look is held until the clients below have been served.
    let slow = Origin::plain(move |_| Reply::nothing().wait(&held).reset());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = TempDir::new();
    let write = |sites: &[(&str, SocketAddr, &str)]| {
        let site = |(domain, server, more): &(&str, SocketAddr, &str)| {
            format!(
                "[[site]]\ndomains = [\"{domain}\"]\n{more}\n[site.origin]\nservers = [\"{server}\"]\nprotocol = \"http\"\n"
            )
        };
        let text: String = sites.iter().map(site).collect();
        folder.write("millpond.toml", format!("[listen]\nhttp = \"127.0.0.1:0\"\n{text}"))
    };
    let healthy = ("a.test", origin.address(), "");
    let path = write(&[healthy]);
    let mut serving = Serving::start(&["serve", "--config", path.to_str().unwrap(), "--require-healthy"]);
    let mut client = Client::plain(serving.address);
    let hang_up = |words: &str| {
        serving.signal(Signal::HUP);
        serving.line_with(words)
    };

    write(&[("a.test", closed, ""), ("b.test", slow.address(), "")]);
    serving.signal(Signal::HUP);
    gate.wait_for_arrivals(1);
    assert_eq!(client.get("a.test", "/").status, 200, "it serves while it rehearses");
    gate.open();
    let line = serving.line_with("a.test: broken at step 2 (reachability): ");
    assert!(
        line.contains("refused the connection") && line.contains("millpond.toml:7: site[1].origin.servers"),
        "{line}"
    );
    serving.line_with("b.test: broken at step ");
    serving.line_with("--require-healthy");
    serving.line_with("the old configuration stays in force");
    assert_eq!((client.get("a.test", "/").status, client.get("b.test", "/").status), (200, 421));

    // What did not change is not looked at, even where it has come to be broken meanwhile.
    let (asked, address) = (origin.count(), origin.address());
    write(&[healthy, ("c.test", address, "")]);
    hang_up("1 site added (c.test)");
    assert!(origin.requests()[asked..].iter().all(|request| request.field("host") == Some("c.test")));
    drop(origin);
    // Broken before the change and after it.
    write(&[("a.test", address, "expose_errors = true"), ("c.test", address, "")]);
    let line = hang_up("a.test: broken at step 2");
    assert!(line.contains("(as it was before)"), "{line}");
    serving.line_with("1 site changed (a.test)");
    assert_eq!(client.get("a.test", "/fresh").status, 502);

    // A signal to stop does not wait for a rehearsal.
    let held = Gate::new();
    let stuck = held.clone();
    let slow = Origin::plain(move |_| Reply::nothing().wait(&stuck).reset());
    write(&[("d.test", slow.address(), "")]);
    serving.signal(Signal::HUP);
    held.wait_for_arrivals(1);
    serving.signal(Signal::TERM);
    assert_eq!(serving.end(), Some(0));
    held.open();
}

/// There is none to read anew: the access log alone is meant then.
/// A newcomer's way: a file without any site, and the address that is printed.
#[test]
fn the_first_site_can_be_made_at_the_address_that_serve_prints() {
    let origin = Origin::plain(|_| Reply::ok("hello"));
    let folder = TempDir::new();
    let file = folder.write("m.toml", "[listen]\nhttp = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n");
    let checked = run(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(checked.status, 0, "{}", checked.err);
    assert!(checked.err.contains("there is no site; add one in the console"), "{}", checked.err);
    let mut serving = Serving::start(&["serve", "--config", file.to_str().unwrap()]);
    let line = serving.line_with("sign in:");
    let (address, token) = line.trim().rsplit_once("http://").unwrap().1.split_once("/#token=").unwrap();
    let address: SocketAddr = address.parse().unwrap();
    let body = format!("{{\"domains\": [\"a.test\"], \"origin\": {{\"servers\": [\"{}\"]}}}}", origin.address());
    let mut door = Client::plain(address);
    door.send(format!(
        "POST /api/v1/sites HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(door.response_to("POST").status, 201);
    assert_eq!(Client::plain(serving.address).get("a.test", "/").text(), "hello");
    serving.signal(Signal::HUP);
    serving.line_with("nothing changed");
    serving.signal(Signal::TERM);
    assert_eq!(serving.end(), Some(0));
}

#[test]
fn a_hangup_without_a_file_leaves_the_origin_as_it_is() {
    let origin = Origin::plain(|_| Reply::ok("content"));
    let url = format!("http://{}", origin.address());
    let mut serving = Serving::start(&["serve", "--origin", &url, "--listen", "127.0.0.1:0"]);
    serving.signal(Signal::HUP);
    serving.line_with("opened anew");
    assert_eq!(Client::plain(serving.address).get("a.test", "/").status, 200);
    serving.signal(Signal::TERM);
    assert_eq!(serving.end(), Some(0));
}

#[test]
fn failures_shows_what_failed_while_it_serves_and_after_its_end() {
    let folder = TempDir::new();
    // Nothing listens there any more.
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site = format!("[[site]]\ndomains = [\"www.a.test\", \"*.a.test\"]\n[site.origin]\nservers = [\"{server}\"]\n");
    let listen = "[listen]\nhttp = \"127.0.0.1:0\"\n";
    let without = folder.write("without.toml", format!("{listen}{site}"));
    let file = folder.write("millpond.toml", format!("{listen}[state]\ndir = \"state\"\n{site}"));
    let (file, state) = (file.to_str().unwrap(), folder.path().join("state"));
    let Run { status, err, .. } = run(&["failures", "--config", file]);
    assert!(status == 1 && err.contains("state/failures") && err.contains("no such file"), "{status} {err}");
    let mut serving = Serving::start(&["serve", "--config", file]);
    let Run { status, out, .. } = run(&["failures", "--config", file]);
    assert_eq!((status, out.as_str()), (0, "no failed fetch is in the ledger\n"));
    for target in ["/1", "/2"] {
        assert_eq!(Client::plain(serving.address).get("www.a.test", target).status, 502);
    }
    serving.signal(Signal::TERM);
    assert_eq!(serving.end(), Some(0));
    let Run { status, out, err } = run(&["failures", "--config", file]);
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    for words in
        ["SITE", "www.a.test", "connection_refused", &server.to_string(), "never seen", "millpond doctor www.a.test"]
    {
        assert!(out.contains(words), "{words} is not in {out}");
    }
    let state = state.to_str().unwrap();
    let domains: [&[&str]; 4] = [
        &["failures", "x.a.test", "--config", file],
        &["failures", "WWW.a.test", "--config", file],
        &["failures", "--state", state],
        &["failures", "www.a.test", "--state", state],
    ];
    for arguments in domains {
        assert!(run(arguments).out.contains(" connection_refused "), "{arguments:?}");
    }
    let json = run(&["failures", "--config", file, "--json"]).out;
    assert!(json.starts_with("{\"site\":\"www.a.test\"") && json.contains("\"count\":2,"), "{json}");
    assert_eq!(run(&["failures", "--state", state, "b.test"]).out, "no failed fetch of b.test is in the ledger\n");
    let Run { status, err, .. } = run(&["failures", "b.test", "--config", file]);
    assert!(status == 2 && err.contains("answers for b.test"), "{status} {err}");
    let Run { status, err, .. } = run(&["failures", "--config", without.to_str().unwrap()]);
    assert!(status == 2 && err.contains("names no state directory") && err.contains("[state]"), "{status} {err}");
    std::fs::write(folder.path().join("state/failures"), "garbage").unwrap();
    let Run { status, err, .. } = run(&["failures", "--config", file]);
    assert!(status == 1 && err.contains("damaged"), "{status} {err}");
    assert_eq!(std::fs::read(folder.path().join("state/failures")).unwrap(), b"garbage", "it is left as it is");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let gate = Gate::new();
    let origin = Origin::plain({
        let gate = gate.clone();
        move |_| Reply::nothing().wait(&gate).then("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    });
    let url = format!("http://{}", origin.address());
    let mut serving = Serving::start(&["serve", "--origin", &url, "--listen", "127.0.0.1:0"]);
    let mut client = Client::plain(serving.address);
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    gate.wait_for_arrivals(1);
    serving.signal(Signal::INT);
    serving.line_with("SIGINT");
    serving.signal(Signal::INT);
    assert_eq!(serving.end(), Some(1));
    gate.open();
}

#[test]
fn an_address_in_use_is_a_failure_that_names_it() {
    let taken = Origin::plain(|_| Reply::ok("")).address().to_string();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let Run { status, err, .. } = run(&["serve", "--origin", &format!("http://{taken}"), "--listen", &address]);
    assert!(status == 1 && err.contains(&format!("cannot listen on {address}")), "{status} {err}");
}

#[cfg(feature = "demo")]
#[test]
fn the_demo_shows_what_it_claims() {
    let Run { status, out, err } = run(&["demo", "--once"]);
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("Every step showed what it should.") && !out.contains("NOT SO"), "{out}");
    assert!(!out.contains('\x1b'), "no styles where no terminal reads");
}

#[test]
fn the_doctor_tells_the_cause_on_standard_output_and_by_its_status() {
    let origin = Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: max-age=60"], "hello"));
    let text = format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\n[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"{}\"]\n\
         protocol = \"http\"\n",
        origin.address()
    );
    let dir = TempDir::new();
    let good = dir.write("good.toml", &text);
    let bad = dir.write("bad.toml", text.replace("\"http\"\n", "\"https\"\n"));
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    let Run { status, out, err } = run(&["doctor", "a.test", "--config", good]);
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    assert!(out.ends_with("healthy: every check passed\n") && !out.contains('\x1b'), "{out}");
    let Run { status, out, err } = run(&["doctor", "http://a.test/x", "--config", bad]);
    assert_eq!((status, err.as_str()), (1, ""), "{out}");
    let last = out.lines().last().unwrap();
    let fix = format!("to mend it: {bad}:7: site[1].origin.protocol: write protocol = \"http\"; to see it: curl ");
    assert!(last.starts_with("broken at step 3 (protocol): ") && last.contains(&fix), "{out}");
    let Run { status, out, .. } = run(&["doctor", "a.test", "--config", bad, "--json"]);
    assert!(status == 1 && out.starts_with("{\"format\":1,") && out.ends_with("}\n"), "{out}");
    let url = format!("http://{}", origin.address());
    let Run { status, out, .. } = run(&["doctor", "--origin", &url, "--host", "a.test"]);
    assert!(status == 0 && out.contains("GET /: 200"), "{out}");
    assert_eq!(origin.requests().last().unwrap().field("host"), Some("a.test"));
    for arguments in [&["doctor", "*.test", "--config", good][..], &["doctor", "--origin", &url, "--sni", "10.0.0.1"]] {
        let Run { status, out, err } = run(arguments);
        assert!(status == 2 && out.is_empty() && !err.is_empty(), "{arguments:?}: {status} {out} {err}");
    }
}

#[test]
fn a_live_check_tells_of_every_site_and_serve_can_demand_health() {
    let origin = Origin::plain(|_| Reply::ok("hello"));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site = |domain: &str, server: SocketAddr| {
        format!("[[site]]\ndomains = [\"{domain}\"]\n[site.origin]\nservers = [\"{server}\"]\nprotocol = \"http\"\n")
    };
    let listen = "[listen]\nhttp = \"127.0.0.1:0\"\n";
    let dir = TempDir::new();
    let good = dir.write("good.toml", format!("{listen}{}", site("a.test", origin.address())));
    let bad = format!("{listen}{}{}", site("a.test", origin.address()), site("b.test", closed));
    let bad = dir.write("bad.toml", bad);
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    let Run { status, out, .. } = run(&["check", "--live", "--config", good]);
    assert!(status == 0 && out.contains("  a.test: healthy"), "{out}");
    let Run { status, out, .. } = run(&["check", "--live", "--config", bad]);
    assert!(status == 1 && out.contains("  b.test: broken at step 2 (reachability): "), "{out}");
    let Run { status, err, .. } = run(&["serve", "--config", bad, "--require-healthy"]);
    assert!(status == 1 && err.contains("millpond: b.test: broken at step 2"), "{status} {err}");
    let serving = Serving::start(&["serve", "--config", good, "--require-healthy"]);
    assert_eq!(Client::plain(serving.address).get("a.test", "/").status, 200);
}

/// Starts the program by way of a shell that hands over the socket on its standard input, as a service manager would.
fn serve_on(socket: &std::net::TcpListener, config: &std::path::Path) -> Child {
    let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" serve --config \"$1\"";
    Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_millpond")])
        .arg(config)
        .stdin(std::os::fd::OwnedFd::from(socket.try_clone().unwrap()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_socket_that_is_handed_over_outlives_the_program_and_no_connection_is_refused() {
    let origin = Origin::plain(|_| Reply::ok("hello"));
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let dir = TempDir::new();
    let file =
        format!("[admin]\nlisten = \"off\"\n[listen]\nhttp = \"{address}\"\n{}", support::pop::site("a.test", &origin));
    let config = dir.write("millpond.toml", file);
    let mut first = serve_on(&socket, &config);
    assert_eq!(Client::plain(address).get("a.test", "/").status, 200);
    _ = kill_process(pid_of(&first), Signal::TERM);
    assert!(first.wait().unwrap().success());
    // Nobody is there, and yet it connects: the answer comes from the next one.
    let mut waiting = Client::plain(address);
    let mut second = serve_on(&socket, &config);
    assert_eq!(waiting.get("a.test", "/").status, 200);
    _ = kill_process(pid_of(&second), Signal::TERM);
    assert!(second.wait().unwrap().success());
}

#[test]
fn a_unit_for_systemd_is_printed_with_what_the_file_needs() {
    let dir = TempDir::new();
    let text = "[listen]\nhttp = \"0.0.0.0:80\"\nhttps = [\"[::]:443\"]\n[state]\ndir = \"/var/lib/millpond\"\n[[site]]\n\
                domains = [\"a.test\"]\n[site.origin]\nservers = [\"192.0.2.1\"]\n[site.https]\ncertificate = \"a.pem\"\n\
                key = \"a.key\"\n";
    let config = dir.write("millpond.toml", text).display().to_string();
    let service = run(&["service", "--config", &config]);
    assert_eq!((service.status, service.err.as_str()), (0, ""));
    for line in [
        "[Service]",
        &format!("serve --config {config}"),
        "ExecReload=/bin/kill -HUP $MAINPID",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "-/var/lib/millpond",
        "SystemCallFilter=pidfd_open pidfd_getfd",
    ] {
        assert!(service.out.contains(line), "{line}\n{}", service.out);
    }
    let socket = run(&["service", "--config", &config, "--socket"]);
    assert!(socket.out.contains("ListenStream=0.0.0.0:80\nListenStream=[::]:443\n"), "{}", socket.out);
    assert_eq!(run(&["service"]).status, 2);
}

#[test]
fn the_address_to_sign_in_is_shown_at_the_first_start_alone() {
    let origin = Origin::plain(|_| Reply::ok("hello"));
    let dir = TempDir::new();
    let file = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n[state]\ndir = \"state\"\n[listen]\nhttp = \"127.0.0.1:0\"\n{}",
        support::pop::site("a.test", &origin)
    );
    let config = dir.write("millpond.toml", file).display().to_string();
    let said = |runs: &str| {
        let child =
            program(&["serve", "--config", &config]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = pid_of(&child);
        let mut lines = Vec::new();
        let mut child = child;
        let mut reader = BufReader::new(child.stderr.take().unwrap()).lines();
        while !lines.iter().any(|line: &String| line.contains("serving a.test")) {
            lines.push(reader.next().unwrap_or_else(|| panic!("{runs}: {lines:?}")).unwrap());
        }
        _ = kill_process(pid, Signal::TERM);
        lines.extend(reader.map_while(Result::ok));
        assert!(child.wait().unwrap().success());
        lines
    };
    let first = said("first");
    let signs: Vec<&String> = first.iter().filter(|line| line.contains("token=")).collect();
    assert_eq!(signs.len(), 1, "{first:?}");
    assert!(signs[0].trim_start().starts_with("sign in:  http://127.0.0.1:"), "not a line of the log: {signs:?}");
    let token = signs[0].split("token=").nth(1).unwrap().trim();
    let second = said("second");
    assert!(!second.iter().any(|line| line.contains("token=") || line.contains(token)), "{second:?}");
    assert!(second.iter().any(|line| line.contains("API and console on 127.0.0.1:")));
}
