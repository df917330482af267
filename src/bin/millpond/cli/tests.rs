//! Command lines, good and bad, and what they come to.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn parse(line: &str) -> Result<Command, Usage> {
    Command::parse(line.split_whitespace().map(OsString::from))
}

#[track_caller]
fn check(line: &str, expected: Command) {
    assert_eq!(parse(line), Ok(expected), "{line}");
}

#[track_caller]
fn refuse(line: &str, expected: &str) {
    assert_eq!(parse(line).unwrap_err().to_string(), expected, "{line}");
}

fn origin(url: &str, listen: &str, keep_host: bool) -> Command {
    let source = Source::Origin { url: url.into(), listen: listen.parse().unwrap(), keep_host };
    Command::Serve { source, must_be_healthy: false }
}

#[test]
fn commands_are_read() {
    check("", Command::Help(Topic::Overview));
    check("--help", Command::Help(Topic::Overview));
    check("-h", Command::Help(Topic::Overview));
    check("--version", Command::Version);
    check("-V", Command::Version);
    check("help", Command::Help(Topic::Overview));
    check("help config", Command::Help(Topic::Config));
    check("help serve", Command::Help(Topic::Serve));
    check("help help", Command::Help(Topic::Help));
    check("serve --help", Command::Help(Topic::Serve));
    check("check --config m.toml -h", Command::Help(Topic::Check));
    check("serve --version", Command::Version);
    check("prefetch http://a.test/ -V", Command::Version);
    check("init", Command::Init { file: None });
    check("init m.toml", Command::Init { file: Some("m.toml".into()) });
    check("demo", Command::Demo { is_once: false });
    check("demo --once", Command::Demo { is_once: true });
    check("check --config m.toml", Command::Check { config: "m.toml".into(), is_live: false });
    check("check --config=a=b.toml", Command::Check { config: "a=b.toml".into(), is_live: false });
    check("check --live --config m.toml", Command::Check { config: "m.toml".into(), is_live: true });
    let failures = |domain: Option<&str>, ledger, is_json| {
        Command::Failures(Asked { domain: domain.map(str::to_owned), ledger, is_json })
    };
    check("failures --config m.toml", failures(None, LedgerPlace::Config("m.toml".into()), false));
    check("failures a.test --state s --json", failures(Some("a.test"), LedgerPlace::State("s".into()), true));
}

#[test]
fn serve_takes_a_file_or_an_origin() {
    let file = |must_be_healthy| Command::Serve { source: Source::File("m.toml".into()), must_be_healthy };
    check("serve --config m.toml", file(false));
    check("serve --config m.toml --require-healthy", file(true));
    check("serve --origin https://o.example", origin("https://o.example", "127.0.0.1:8080", false));
    check("serve --keep-host --listen=[::]:80 --origin http://o.example", origin("http://o.example", "[::]:80", true));
}

#[test]
fn explain_takes_a_url_and_any_number_of_fields() {
    let arguments =
        ["explain", "-H", "A: b=c", "http://a/?b=c", "--config", "m", "-R", "C: d", "-H", "E: f", "--status", "404"];
    let text = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let question = Question {
        url: "http://a/?b=c".into(),
        fields: text(&["A: b=c", "E: f"]),
        response: text(&["C: d"]),
        status: 404,
    };
    let expected = Command::Explain { config: "m".into(), question };
    assert_eq!(Command::parse(arguments.map(OsString::from)), Ok(expected));
    let usage = "millpond explain URL --config FILE (see millpond help explain)";
    refuse("explain http://a/", &format!("millpond: explain needs a file\nwrite {usage}"));
    refuse("explain --config m", &format!("millpond: explain needs a URL\nwrite {usage}"));
    refuse(
        "explain http://a/ --config m --status 99",
        "millpond: --status: \"99\" is no status\nwrite 200 to 599 (see millpond help explain)",
    );
}

#[test]
fn the_doctor_looks_at_a_site_or_at_a_server() {
    let site = |subject: &str, config: &str| Diagnosis::Site { subject: subject.into(), config: config.into() };
    let doctor = |diagnosis, is_json| Command::Doctor { diagnosis, is_json };
    check("doctor a.test", doctor(site("a.test", "millpond.toml"), false));
    check("doctor https://a.test/x --config m.toml --json", doctor(site("https://a.test/x", "m.toml"), true));
    let server = |sni: Option<&str>, host: Option<&str>| Diagnosis::Server {
        url: "https://o.test:8443".into(),
        sni: sni.map(str::to_owned),
        host: host.map(str::to_owned),
    };
    check("doctor --origin https://o.test:8443", doctor(server(None, None), false));
    let line = "doctor --origin https://o.test:8443 --sni b.test --host a.test";
    check(line, doctor(server(Some("b.test"), Some("a.test")), false));
}

#[test]
fn a_wrong_command_gets_a_suggestion() {
    refuse("sevre", "millpond: there is no command \"sevre\"\ndid you mean millpond serve?");
    refuse("chek --config m.toml", "millpond: there is no command \"chek\"\ndid you mean millpond check?");
    refuse(
        "proxy",
        "millpond: there is no command \"proxy\"\nthe commands are serve, check, doctor, explain, init, demo, failures, \
         dashboard, service, prefetch, purge, tasks, help; see millpond help",
    );
    refuse("--config m.toml", "millpond: --config is not a command\ndid you mean millpond serve --config?");
    refuse("--verbose", "millpond: --verbose is not a command\na command goes first: see millpond help");
    refuse("help confg", "millpond: there is no help for \"confg\"\ndid you mean millpond help config?");
}

#[test]
fn a_wrong_option_says_what_to_write() {
    for (line, message, hint) in [
        (
            "serve",
            "serve needs something to serve",
            "write millpond serve --config FILE, or millpond serve --origin https://HOST",
        ),
        ("serve --conifg m.toml", "serve has no option --conifg", "did you mean --config?"),
        (
            "serve --port 80",
            "serve has no option --port",
            "serve knows --config, --origin, --listen, --keep-host, --require-healthy",
        ),
        ("serve m.toml", "serve takes no argument like \"m.toml\"", "did you mean --config m.toml?"),
        ("serve --config", "--config lacks its value", "write --config FILE"),
        ("serve --config --origin", "--config lacks its value", "write --config FILE"),
        ("serve --config=", "--config has an empty value", "write one, or leave the option out"),
        ("serve --config a --config b", "--config is given twice", "give it once"),
        ("serve --config a --origin b", "--config and --origin exclude each other", "give one of them"),
        (
            "serve --config a --listen b",
            "--listen goes with --origin, not with --config",
            "in the file, write http = \"ADDRESS:PORT\" under [listen]",
        ),
        (
            "serve --config a --keep-host",
            "--keep-host goes with --origin, not with --config",
            "in the file, leave host out of [site.origin] to send the client's Host",
        ),
        ("serve --origin a --keep-host=yes", "--keep-host takes no value", "leave the = out"),
        (
            "serve --origin a --listen :81",
            "--listen: \":81\" is not an IP address with a port",
            "write --listen 127.0.0.1:81 for this machine alone, --listen 0.0.0.0:81 for all",
        ),
        ("check", "check needs a file", "write millpond check --config FILE"),
        ("check m.toml", "check takes no argument like \"m.toml\"", "did you mean --config m.toml?"),
        (
            "failures a.test",
            "failures must know where the ledger is",
            "write millpond failures --config FILE, or millpond failures --state DIR",
        ),
        ("failures --config a --state b", "--config and --state exclude each other", "give one of them"),
        ("failures --state a --json=1", "--json takes no value", "leave the = out"),
        ("init a b", "\"b\" is one argument too many", "give one"),
        ("init --force", "init has no option --force", "init has no options"),
        ("demo 5", "demo takes no argument like \"5\"", "leave it out"),
    ] {
        let command = line.split_whitespace().next().unwrap();
        refuse(line, &format!("millpond: {message}\n{hint} (see millpond help {command})"));
    }
}

#[test]
fn a_wrong_line_for_the_doctor_says_what_to_write() {
    for (line, message, hint) in [
        (
            "doctor",
            "doctor needs something to look at",
            "write millpond doctor DOMAIN --config FILE, or millpond doctor --origin URL",
        ),
        (
            "doctor a.test --origin https://o.test",
            "a domain and --origin exclude each other",
            "give the domain of a site, or the server that no file names yet",
        ),
        (
            "doctor a.test --sni b.test",
            "--sni and --host go with --origin, not with a domain",
            "in the file, set sni and host under [site.origin]",
        ),
        (
            "doctor --origin https://o.test --config m.toml",
            "--config goes with a domain, not with --origin",
            "leave one of them out",
        ),
    ] {
        refuse(line, &format!("millpond: {message}\n{hint} (see millpond help doctor)"));
    }
}

#[test]
fn every_command_has_help_that_names_its_options() {
    for spec in COMMANDS {
        let text = spec.topic.text().unwrap();
        assert!(text.starts_with(&format!("millpond {}", spec.name)));
        assert!(Topic::Overview.text().unwrap().contains(spec.name));
        for option in spec.options {
            assert!(text.contains(option.name), "{} {}", spec.name, option.name);
        }
        assert!(text.lines().all(|line| line.chars().count() <= 120));
    }
    assert_eq!(Topic::Config.text(), None);
}

#[test]
fn the_examples_of_the_help_are_command_lines() {
    for spec in COMMANDS {
        let text = spec.topic.text().unwrap();
        let examples =
            text.lines().filter_map(|line| line.strip_prefix("  millpond ")).filter(|line| !line.starts_with("m."));
        for example in examples {
            let line = example.split(['#', '|', '&', '>']).next().unwrap();
            assert!(parse(line).is_ok(), "{example}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_path_need_not_be_utf8() {
    use std::os::unix::ffi::OsStringExt;
    let path = OsString::from_vec(b"m\xff.toml".to_vec());
    let arguments = ["check".into(), "--config".into(), path.clone()];
    assert_eq!(Command::parse(arguments), Ok(Command::Check { config: path.into(), is_live: false }));
}

#[test]
fn what_a_running_millpond_is_asked_is_read() {
    let operate = |line: &str| match parse(line) {
        Ok(Command::Operate(operation)) => operation,
        other => panic!("{line}: {other:?}"),
    };
    let of = |what| Operation { place: Place::Config("m.toml".into(), None), what, is_json: false };
    let purge = |scope, values: &[&str], mode, then_prefetch| What::Purge {
        scope,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        origin: None,
        mode,
        then_prefetch,
    };
    assert_eq!(operate("purge --url u --url v --config m.toml"), of(purge("url", &["u", "v"], "hard", false)));
    assert_eq!(
        operate("purge --soft --then-prefetch --site s --config m.toml"),
        of(purge("site", &["s"], "soft", true))
    );
    assert_eq!(operate("purge --count --everything --config m.toml"), of(purge("everything", &[""], "count", false)));
    let group = operate("purge --group g --site https://s --config m.toml").what;
    assert!(matches!(group, What::Purge { scope: "group", origin: Some(origin), .. } if origin == "https://s"));
    assert_eq!(operate("tasks --config m.toml"), of(What::ListTasks));
    assert_eq!(operate("tasks 7 --config m.toml"), of(What::ShowTask("7".into())));
    assert_eq!(operate("tasks --retry 7 --config m.toml"), of(What::Steer("retry", "7".into())));
    let asked = PrefetchAsked {
        urls: vec!["u".into(), "v".into()],
        file: Some("-".into()),
        fields: vec!["A:b".into()],
        rate: Some(5),
        is_dry: true,
        ..PrefetchAsked::default()
    };
    let prefetch = operate("prefetch u --file - v -H A:b --rate 5 --dry-run --json --admin http://h:1 --token-file t");
    let place = Place::Address("http://h:1".into(), "t".into(), None);
    assert_eq!(prefetch, Operation { place, what: What::Prefetch(asked), is_json: true });
    let secure = Place::Address("https://h:1".into(), "t".into(), Some("c".into()));
    assert_eq!(operate("tasks --admin https://h:1 --token-file t --ca c").place, secure);
    assert_eq!(operate("tasks").place, Place::Config("millpond.toml".into(), None));
    for line in [
        "purge",
        "purge --url u --prefix p",
        "purge --url u --hard --soft",
        "purge --url u --count --then-prefetch",
        "purge --group g",
        "prefetch",
        "prefetch u --rate 0",
        "prefetch u --parallel x",
        "prefetch u -H nothing",
        "prefetch u --window 25:00-26:00",
        "prefetch u --admin http://h:1",
        "prefetch u --admin http://h:1 --config m.toml",
        "tasks --admin http://h:1 --token-file t --ca c",
        "tasks --config m.toml --ca c",
        "tasks 7 --retry 7",
        "tasks --pause 7 --retry 7",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}
