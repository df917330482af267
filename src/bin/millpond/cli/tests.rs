//! Command lines, good and bad, and what they come to.
#![allow(clippy::unwrap_used)]

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
    Command::Serve(Source::Origin { url: url.into(), listen: listen.parse().unwrap(), keep_host })
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
    check("init", Command::Init { file: None });
    check("init m.toml", Command::Init { file: Some("m.toml".into()) });
    check("demo", Command::Demo { is_once: false });
    check("demo --once", Command::Demo { is_once: true });
    check("check --config m.toml", Command::Check { config: "m.toml".into() });
    let failures = |domain: Option<&str>, ledger, is_json| {
        Command::Failures(Asked { domain: domain.map(str::to_owned), ledger, is_json })
    };
    check("failures --config m.toml", failures(None, LedgerPlace::Config("m.toml".into()), false));
    check("failures a.test --state s --json", failures(Some("a.test"), LedgerPlace::State("s".into()), true));
    check("check --config=a=b.toml", Command::Check { config: "a=b.toml".into() });
}

#[test]
fn serve_takes_a_file_or_an_origin() {
    check("serve --config m.toml", Command::Serve(Source::File("m.toml".into())));
    check("serve --origin https://o.example", origin("https://o.example", "127.0.0.1:8080", false));
    check("serve --keep-host --listen=[::]:80 --origin http://o.example", origin("http://o.example", "[::]:80", true));
}

#[test]
fn a_wrong_command_gets_a_suggestion() {
    refuse("sevre", "millpond: there is no command \"sevre\"\ndid you mean millpond serve?");
    refuse("chek --config m.toml", "millpond: there is no command \"chek\"\ndid you mean millpond check?");
    refuse(
        "proxy",
        "millpond: there is no command \"proxy\"\nthe commands are serve, check, init, demo, failures, help; see millpond help",
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
        ("serve --port 80", "serve has no option --port", "serve knows --config, --origin, --listen, --keep-host"),
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
            let line = example.split(['#', '|', '&']).next().unwrap();
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
    assert_eq!(Command::parse(arguments), Ok(Command::Check { config: path.into() }));
}
