//! Bad files and the exact lines that they get.

use std::path::Path;

use proptest::prelude::*;

use super::{Config, Problem};

fn show(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// The problems of a file, line by line.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let problems = Config::parse(text, Path::new("m.toml")).expect_err("the file is bad");
    let shown = show(&problems);
    let expected: String = expected.iter().map(|line| format!("{line}\n")).collect();
    assert!(shown == expected, "\n--- found\n{shown}--- expected\n{expected}");
}

#[test]
fn all_problems_show_at_once_in_the_order_of_the_file() {
    check(
        r#"
[listen]
http = "8080"
htps = "0.0.0.0:443"
[cache]
memory = "lots"
[limits]
head_timeout = 10
request_fields = 129
[[site]]
domains = ["A.example", "*", "bücher.example"]
sni = "a.example"
[site.origin]
servers = ["https://o.example/", "o.example:0"]
sni = "10.0.0.1"
[[site]]
domains = ["a.example"]
[sites]
"#,
        &[
            "m.toml:3: listen.http: \"8080\" is not an IP address with a port; write \"127.0.0.1:8080\" for this \
             machine alone, \"0.0.0.0:8080\" for all",
            "m.toml:4: listen.htps: there is no such key; did you mean `https`?",
            "m.toml:6: cache.memory: \"lots\" is not a size; write a number and KiB, MiB or GiB, for example \
             \"256MiB\"",
            "m.toml:8: limits.head_timeout: 10 has no unit; write \"10s\" for 10 seconds",
            "m.toml:9: limits.request_fields: 129 is too large; anything from 8 to 128 will do",
            "m.toml:11: site[1].domains[2]: \"*\" alone is no name; set default = true to answer for every name",
            "m.toml:11: site[1].domains[3]: \"bücher.example\" has letters outside ASCII; write the A-label that DNS \
             uses, xn--…, for example as `idn2` prints it",
            "m.toml:12: site[1].sni: there is no such key; `sni` belongs in [site.origin]",
            "m.toml:14: site[1].origin.servers[1]: \"https://o.example/\" is a URL, not a server; write \"o.example\" \
             and set protocol = \"https\"",
            "m.toml:14: site[1].origin.servers[2]: \"o.example:0\" has no port behind its colon; ports go from 1 to \
             65535",
            "m.toml:15: site[1].origin.sni: \"10.0.0.1\" is an IP address; an SNI is a name that the origin's \
             certificate bears, for example the accelerated domain",
            "m.toml:16: site[2].origin: `servers` is missing: at least one; add servers = [\"origin.example.net\"]",
            "m.toml:17: site[2].domains[1]: \"a.example\" is claimed twice: here and as site[1].domains[1] in line \
             11; a name belongs to one site; remove one of them",
            "m.toml:18: sites: there is no such section; did you mean [[site]]?",
        ],
    );
}

#[test]
fn syntax_errors_have_lines_and_only_they_show() {
    for (text, expected) in [
        (
            "[listen\nhttp = 1\n",
            &["m.toml:1: this is not TOML: unclosed table, expected `]`; a section header ends with ], a [[site]] \
               header with ]]"][..],
        ),
        (
            "[cache]\nmemory = 256MiB\nspill_max = lots\nfoo = 1",
            &[
                "m.toml:2: this is not TOML: string values must be quoted, expected literal string; texts stand in \
                 double quotes: key = \"value\"",
                "m.toml:3: this is not TOML: string values must be quoted, expected literal string; texts stand in \
                 double quotes: key = \"value\"",
            ],
        ),
        (
            "[cache]\nmemory = \"1GiB\"\nmemory = \"2GiB\"\n",
            &["m.toml:3: this is not TOML: duplicate key; a key or section stands once; each further site begins \
               with a [[site]] of its own"],
        ),
        (
            "[cache]\r\nmemory: \"1GiB\"\r\n",
            &["m.toml:2: this is not TOML: key with no value, expected `=`; write key = value"],
        ),
        (
            "[cache]\nmemory = \"1GiB\nfoo = 1",
            &["m.toml:2: this is not TOML: invalid basic string, expected `\"`; a text ends with the quote that it \
               began with, on the same line"],
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn a_file_without_site_says_what_to_add() {
    let expected = "m.toml: there is no site; add a [[site]] with domains = [\"www.example.com\"], and under \
                    [site.origin] its servers";
    check("", &[expected]);
    check("site = []", &[expected]);
    check("[admin]\nlisten = \"off\"", &[expected]);
}

#[test]
fn a_file_without_site_is_a_doubt_where_one_can_be_added_at_the_door() {
    let path = Path::new("m.toml");
    for (text, config) in [
        ("[admin]\n", Config::parse("[admin]\n", path)),
        ("", Config::parse_with_door("", path)),
        ("site = []\n[listen]\n", Config::parse_with_door("site = []\n[listen]\n", path)),
    ] {
        let config = config.unwrap_or_else(|problems| panic!("{text} {problems:?}"));
        let doubts: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(doubts, ["m.toml: warning: there is no site; add one in the console, or a [[site]] here"]);
        assert!(config.admin.is_some());
    }
    assert!(Config::parse_with_door("[admin]\nlisten = \"off\"", path).is_err());
}

#[test]
fn an_unreadable_section_is_one_problem() {
    check(
        "cache = 3\nsite = 4",
        &[
            "m.toml:1: cache: this must be a table, not the number 3; write its keys under [cache]",
            "m.toml:2: site: this must be a list of tables, each headed [[site]], not the number 4; write [[site]], \
             in double brackets, above each one's keys",
        ],
    );
    check(
        "[site]\ndomains = [\"a.example\"]",
        &["m.toml:1: site: this must be a list of tables, each headed [[site]], not a table; write [[site]], in \
           double brackets, above each one's keys"],
    );
    check(
        "[[site]]\ndefault = true\norigin = \"o.example\"",
        &["m.toml:3: site[1].origin: this must be a table, not the text \"o.example\"; write its keys under \
             [site.origin]"],
    );
}

#[test]
fn a_site_needs_domains_or_to_be_the_default_and_an_origin() {
    check(
        "[[site]]\n[site.https]\nkey = \"k.pem\"",
        &[
            "m.toml:1: site[1]: `domains` is missing: unless default = true; add domains = [\"img.example.com\"]",
            "m.toml:1: site[1].origin: `servers` is missing: at least one; add servers = [\"origin.example.net\"]",
            "m.toml:2: site[1].https: `certificate` is missing: a certificate comes with its key; add certificate = \
             \"certs/example.com.pem\"",
            "m.toml:2: warning: site[1].https: this certificate is never shown: nothing listens for https; add https \
             = \"0.0.0.0:443\" under [listen]",
        ],
    );
}

#[test]
fn slices_larger_than_what_is_stored_are_doubted() {
    let file = |size: &str| {
        let site = format!("[[site]]\ndomains = [\"a.example\"]\nrange_fetch = \"slices\"\nslice_size = \"{size}\"\n");
        let text = format!("[cache]\nmax_response = \"1MiB\"\n{site}[site.origin]\nservers = [\"o.example\"]\n");
        show(&Config::parse(&text, Path::new("m.toml")).unwrap().warnings)
    };
    assert_eq!(file("1MiB"), "");
    assert_eq!(
        file("2MiB"),
        "m.toml:6: warning: site[1].slice_size: no slice is stored: 2MiB is more than cache.max_response, 1MiB; write a \
         smaller slice_size, or raise cache.max_response\n"
    );
}

#[test]
fn two_default_sites_are_one_too_many() {
    let site = "[[site]]\ndefault = true\n[site.origin]\nservers = [\"o.example\"]\n";
    check(
        &site.repeat(2),
        &["m.toml:6: site[2].default: there is another default site: site[1].default in line 2; only one can answer \
           for all other names; remove one"],
    );
}

#[test]
fn a_missing_file_says_how_to_begin() {
    let problems = Config::load(Path::new("/no/such/millpond.toml")).unwrap_err();
    assert_eq!(
        show(&problems),
        "/no/such/millpond.toml: cannot read the file: No such file or directory (os error 2); \
         `millpond init /no/such/millpond.toml` writes a starter file\n"
    );
}

/// Texts made of the pieces that configuration files are made of.
fn near_toml() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

const PIECES: &[&str] = &[
    "[[site]]\n",
    "[site.origin]\n",
    "[site.https]\n",
    "[listen]\n",
    "[cache]\n",
    "[limits]\n",
    "domains = ",
    "servers = ",
    "http = ",
    "host = ",
    "sni = ",
    "pin = ",
    "memory = ",
    "max_response = ",
    "head_timeout = ",
    "\"a.example\"\n",
    "[\"*.b.example:443\", 1]\n",
    "\"[::1]:80\"\n",
    "[{ address = \"[::1]\" }]\n",
    "\"99999999999999999999s\"\n",
    "\"ü%\"\n",
    "0xFFFFFFFFFFFFFFFF\n",
    "{ a.b.c = 1 }\n",
    "true\n",
    "'",
    "\n",
];

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
        let _ = Config::parse(&text, Path::new("m.toml"));
    }

    #[test]
    fn no_text_like_a_configuration_makes_the_reader_panic(text in near_toml()) {
        let _ = Config::parse(&text, Path::new("m.toml"));
    }

    #[test]
    fn no_value_makes_the_reader_panic(value in "[ -~é]{0,40}", key in 0_usize..8) {
        let keys = ["host", "sni", "pin", "common_name_whitelist", "trust", "protocol", "ports", "timeouts"];
        let origin = format!("{} = [{value:?}]\nservers = [{{ address = {value:?} }}]", keys[key]);
        let limits = format!("[cache]\nmax_response = {value:?}\n[limits]\nhead_timeout = {value:?}");
        let text = format!("[listen]\nhttp = {value:?}\n{limits}\n[[site]]\ndefault = true\n[site.origin]\n{origin}");
        let _ = Config::parse(&text, Path::new("m.toml"));
        let listen = "127.0.0.1:80".parse().unwrap();
        let _ = Config::for_origin(&value, listen, false);
        let _ = Config::for_origin(&format!("http://{value}"), listen, true);
    }
}

#[test]
fn a_debug_token_is_long_and_has_no_blanks_and_is_not_repeated_in_the_problem() {
    let site = "[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"192.0.2.1\"]\n";
    for token in ["short", "long enough but blank", "0123456789abcde\u{e9}"] {
        check(
            &format!("[debug]\ntoken = \"{token}\"\n{site}"),
            &["m.toml:2: debug.token: a token has at least 16 letters, digits or signs, and no blanks; write what \
               `openssl rand -hex 16` prints"],
        );
    }
}

#[test]
fn whatever_a_file_holds_each_of_its_problems_is_one_line_of_bounded_length() {
    for nasty in ["x\\n2026 ERROR all is lost\\u001b[31m".to_owned(), "x/".repeat(100_000), "http://a\\nb/c".to_owned()]
    {
        let text = format!("\"{nasty}\"");
        let values = [
            "[listen]\nhttp = N",
            "[cache]\nmemory = N\nmax_response = N",
            "[log]\nformat = N",
            "[limits]\nhead_timeout = N\nN = 1",
            "[N]\na = 1",
            "[debug]\ntoken = N",
            "[admin]\nlisten = N\nhosts = [N]",
            "[[site]]\ndomains = N",
            "[[site]]\ndomains = [N]\nrange_fetch = N\n[site.origin]\nservers = [N, { address = N, host = N, sni = N }]\nhost \
             = N\nsni = N\npin = [N]\ncommon_name_whitelist = [N]\nprotocol = N\nretry_on = N",
            "[[site]]\n[site.origin]\nservers = N\n[site.origin.health]\npath = N\nhost = N\n[site.origin.timeouts]\nhead = N",
            "[[site]]\n[site.origin.request]\nremove = [N]\nset = { N = N }\nadd = { X = N }\nstrip_prefix = N\npath_prefix = \
             N\nrewrite = [{ from = N, to = N }]\nquery = { remove = [N], set = { N = N } }",
            "[[site]]\n[[site.rule]]\npath = N\nextension = N\nstatus = N\nheader = N\ncookie = N\nquery = N\nttl = N",
            "[[site]]\n[site.cache]\nstatus = { N = N }\nquery_keep = N\nkey_headers = N\nkey_cookies = N\ndefault_ttl = N",
            "[[site]]\n[site.response]\nset = { N = N }\nadd = { X = N }\nremove = N",
        ];
        for value in values {
            for problem in Config::parse(&value.replace('N', &text), Path::new("m.toml")).expect_err(value) {
                let shown = problem.to_string();
                assert!(shown.len() < 1000 && !shown.contains(char::is_control), "{value}: {shown:.2000}");
            }
        }
        let problem =
            Config::for_origin(&nasty.replace("\\n", "\n"), "127.0.0.1:1".parse().unwrap(), false).unwrap_err();
        assert!(problem.to_string().len() < 1000 && !problem.to_string().contains('\n'), "{problem}");
    }
}

#[test]
fn a_file_without_end_is_refused() {
    let problems = Config::load(Path::new("/dev/zero")).unwrap_err();
    assert_eq!(show(&problems), "/dev/zero: cannot read the file: it is larger than 64 MiB\n");
}
