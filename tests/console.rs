//! The console in a real browser, before a real program: what an operator does there, and what becomes of it outside.
//!
//! Needs chromium and chromedriver. Where they are missing the tests say so and pass, unless MILLPOND_BROWSER=required.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;
#[path = "support/webdriver.rs"]
mod webdriver;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use support::{Certificates, Client, LIMIT, Leaf, Origin, OriginTls, Reply, TempDir};
use webdriver::Browser;

/// The browser, or `None` with the reason said aloud.
fn browser() -> Option<Browser> {
    match Browser::start() {
        Ok(browser) => Some(browser),
        Err(why) if std::env::var("MILLPOND_BROWSER").is_ok_and(|word| word == "required") => {
            panic!("a browser is required: {why}")
        }
        Err(why) => {
            eprintln!("NOT TESTED, for there is no browser: {why}");
            None
        }
    }
}

/// A program that serves a configuration file; killed when dropped.
struct Program {
    child: Child,
    /// Where clients come in.
    address: SocketAddr,
    /// The address to sign in with, which holds the token.
    sign_in: String,
    file: PathBuf,
    _folder: TempDir,
}

impl Program {
    #[track_caller]
    fn start(sites: &str) -> Program {
        let folder = TempDir::new();
        let file = folder.write(
            "millpond.toml",
            format!(
                "# Ours.\n[listen]\nhttp = \"127.0.0.1:0\"\n\n[admin]\nlisten = \"127.0.0.1:0\"\n\n[state]\ndir = \"state\"\n{sites}"
            ),
        );
        let mut child = Command::new(env!("CARGO_BIN_EXE_millpond"))
            .args(["serve", "--config", file.to_str().unwrap()])
            .env_remove("MILLPOND_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, said) = mpsc::channel();
        thread::spawn(move || {
            while let Some(Ok(line)) = lines.next() {
                _ = sender.send(line);
            }
        });
        let after = |words: &str| -> String {
            loop {
                let line = said.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("the program did not say {words:?}"));
                if let Some((_, rest)) = line.split_once(words) {
                    return rest.trim().to_owned();
                }
            }
        };
        let address = after("listening on http://").parse().unwrap();
        let sign_in = after("sign in:");
        Program { child, address, sign_in, file, _folder: folder }
    }

    /// What a visitor gets.
    #[track_caller]
    fn get(&self, host: &str, target: &str) -> u16 {
        Client::plain(self.address).get(host, target).status
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    /// `http://127.0.0.1:PORT/`
    fn console(&self) -> String {
        self.sign_in.split('#').next().unwrap().to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Nothing listens there any more.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Presses the button that reviews, waits for the rehearsal, and applies.
#[track_caller]
fn review_and_apply(browser: &Browser, expected_line: &str) {
    browser.wait_for_text("dialog .diff :is(.add, .del)", expected_line);
    browser.wait_for_text("dialog", "The rehearsal went well");
    browser.click("dialog [data-key=apply]");
    browser.wait_for("!document.querySelector('dialog')");
}

/// No line in the browser's log, and not one request to anywhere else.
#[track_caller]
fn nothing_amiss(browser: &Browser, program: &Program) {
    nothing_amiss_but(browser, program, None);
}

/// The same, where the test has provoked answers that the browser logs.
#[track_caller]
fn nothing_amiss_but(browser: &Browser, program: &Program, provoked: Option<&str>) {
    let complaints: Vec<_> = browser
        .complaints()
        .into_iter()
        .filter(|line| provoked.is_none_or(|provoked| !line.contains(provoked)))
        .collect();
    assert_eq!(complaints, [""; 0], "the browser's console");
    let (console, requested) = (program.console(), browser.requested());
    assert!(requested.len() > 30, "too few requests were seen: {requested:?}");
    let elsewhere: Vec<_> =
        requested.iter().filter(|url| !url.starts_with(&console) && !url.starts_with("data:")).collect();
    assert!(elsewhere.is_empty(), "asked elsewhere: {elsewhere:?}");
    let token = program.sign_in.split("#token=").nth(1).unwrap();
    assert!(!browser.run("return location.href").as_str().unwrap().contains(token), "the token stayed in the address");
}

/// The path of a user whose origin speaks HTTPS on a port of its own; then a certificate for another name, healed by the
/// doctor's remedy; then prefetch and purge.
#[test]
fn an_operator_sets_a_port_heals_a_site_prefetches_and_purges() {
    let Some(browser) = browser() else { return };
    let certificates = Certificates::new();
    let answer = |_: &support::Request| Reply::response("200 OK", &["Cache-Control: max-age=600"], "hello");
    let of_port = Origin::tls(OriginTls::new(&certificates.identity(&["port.test"])), answer);
    let ingress = certificates.issue("ingress", &Leaf::names(&["ingress.local"]).self_signed());
    let named = certificates.issue("named", &Leaf::names(&["sni.test"]));
    let of_sni = Origin::tls(OriginTls::new(&ingress).with(&["sni.test"], &named), answer);
    let trust = support::pop::trust(&certificates);
    let program = Program::start(&format!(
        "\n[[site]]\ndomains = [\"port.test\"]\n[site.origin]\nservers = [\"127.0.0.1:{}\"] # the old port\n{trust}\n\
         [[site]]\ndomains = [\"sni.test\"]\n[site.origin]\nservers = [\"127.0.0.1:{}\"]\nprotocol = \"https\"\n\
         host = \"shop.test\"\n{trust}",
        closed_port(),
        of_sni.port(),
    ));
    assert_eq!((program.get("port.test", "/"), program.get("sni.test", "/")), (502, 502));

    browser.open_page(&program.sign_in);
    browser.wait_for_text("h1", "Overview");
    browser.wait_for_text(".tile", "Failed fetches");

    // Domain Names, Manage, Origin Fetch, Origin Protocol Policy, HTTPS, port.
    browser.click("nav a[href='#/domains']");
    browser.wait_for_text("tr[data-row='port.test']", "Fails");
    browser.click("[data-key='manage-port.test']");
    browser.wait_for_text(".tabs [aria-current]", "Origin Fetch");
    browser.click("#policy-switch");
    browser.click("input[name='origin.protocol'][value=https]");
    browser.type_into("input[name='origin.ports.https']", &of_port.port().to_string());
    browser.click("[data-key=review]");
    review_and_apply(&browser, "protocol = \"https\"");
    assert_eq!(program.get("port.test", "/"), 200);
    let text = program.text();
    assert!(text.starts_with("# Ours.\n") && text.contains("# the old port"), "comments stay: {text}");
    browser.wait_for_text(".verdict", "Fetches accept this certificate");

    // The doctor, and its remedy.
    browser.click("nav a[href='#/diagnose']");
    browser.type_into("#target", "sni.test");
    browser.click("[data-key=run]");
    browser.wait_for_text(".notice.bad", "A fetch fails");
    browser.click("[data-key=fix-0]");
    review_and_apply(&browser, "sni = \"sni.test\"");
    browser.wait_for("document.querySelector('.notice.good, .notice.warn') && !document.querySelector('.notice.bad')");
    assert_eq!(program.get("sni.test", "/"), 200);

    // Prefetch, watched to its end.
    browser.click("nav a[href='#/tasks']");
    browser.type_into("#prefetch-urls", "http://port.test/a\nhttp://port.test/b\nhttp://sni.test/c\n");
    browser.click("[data-key=prefetch]");
    browser.wait_for("document.querySelector('.task[data-state=complete]')");
    browser.wait_for_text(".task[data-state=complete]", "3 of 3 URLs");
    let asked = of_port.count();
    assert_eq!((program.get("port.test", "/a"), of_port.count()), (200, asked), "it came from the store");

    // Purge.
    browser.click(".tabs a[href='#/tasks/purge']");
    browser.type_into("#purge-value", "http://port.test/a");
    browser.click("[data-key=purge]");
    browser.wait_for_text(".notice.good", "1 stored response removed");
    assert_eq!((program.get("port.test", "/a"), of_port.count()), (200, asked + 1), "it was fetched again");

    nothing_amiss(&browser, &program);
}

/// From a file without sites to the first answer, wholly in the console; and what the form refuses on the way.
#[test]
fn the_first_site_is_made_in_the_console() {
    let Some(browser) = browser() else { return };
    let origin = Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: max-age=600"], "hello"));
    let program = Program::start("");
    browser.open_page(&program.console());
    browser.type_into("#token", &program.sign_in);
    browser.click("[data-key=sign-in]");
    browser.wait_for_text("h1", "Overview");
    browser.click(".empty a[href='#/domains/new']");
    browser.type_into("[name=domains]", "first.test");
    browser.type_into("[name='origin.servers']", &origin.address().to_string());
    browser.wait_for_text(".targets", &format!("http://{}", origin.address()));
    browser.click("[data-key=review]");
    review_and_apply(&browser, "[[site]]");
    browser.wait_for_text("h1", "first.test");
    browser.wait_for_text(".tabs [aria-current]", "Origin Fetch");
    assert_eq!(program.get("first.test", "/"), 200);
    nothing_amiss(&browser, &program);
}

/// The session ends elsewhere, and the file changes elsewhere: the page stays as it is, and no edit is lost.
#[test]
fn edits_outlive_the_end_of_a_session_and_a_change_by_somebody_else() {
    let Some(browser) = browser() else { return };
    let origin = Origin::plain(|_| Reply::ok("hello"));
    let program = Program::start(&support::pop::site("a.test", &origin));
    browser.open_page(&program.sign_in);
    browser.wait_for_text("h1", "Overview");
    browser.run("location.hash = '#/domains/a.test'");
    browser.type_into("input[name='origin.host']", "other.test");
    browser.run("return fetch('/api/v1/session', { method: 'DELETE' }).then(() => true)");
    fs::write(&program.file, format!("{}\n# And more.\n", program.text())).unwrap();
    browser.click("[data-key=review]");
    browser.wait_for_text("dialog h2", "Sign in again");
    let token = program.sign_in.split("#token=").nth(1).unwrap();
    browser.type_into("dialog #token", token);
    browser.click("dialog [data-key=sign-in]");
    browser.wait_for_text("dialog h2", "The settings have changed meanwhile");
    browser.click("dialog .button.primary");
    review_and_apply(&browser, "host = \"other.test\"");
    let text = program.text();
    assert!(text.contains("host = \"other.test\"") && text.contains("# And more."), "{text}");
}

/// Retries, rewrites, query, fields, health check, least rate, HSTS: in forms, with what is wrong at its own field.
#[test]
fn every_kind_of_setting_has_a_form_and_a_refusal_stands_at_its_field() {
    let Some(browser) = browser() else { return };
    let origin = Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: max-age=600"], "hello"));
    let program = Program::start(&support::pop::site("a.test", &origin));
    browser.open_page(&program.sign_in);
    browser.wait_for_text("h1", "Overview");
    browser.run("location.hash = '#/domains/a.test'");
    browser.wait_for_text(".more-state", "defaults");

    browser.click("[data-more='origin.retries'] > summary");
    browser.run("document.querySelectorAll('details.more').forEach((section) => { section.open = true; })");
    browser.run(
        "const mode = document.querySelector(\"select[name='origin.retry_on.mode']\"); mode.value = 'these';
         mode.dispatchEvent(new Event('change'));",
    );
    browser.type_into("input[name='origin.retry_on']", "200 500,");
    browser.type_into("input[name='origin.timeouts.min_rate']", "quickly");
    browser.type_into("input[name='origin.health.interval']", "30s");
    let add = |words: &str| {
        browser.run(&format!(
            "[...document.querySelectorAll('button')].find((one) => one.textContent === {words:?}).click()"
        ))
    };
    add("Add a rewrite");
    browser.type_into("[aria-label='Path of rewrite 1']", "/old/**");
    browser.type_into("[aria-label='New path of rewrite 1']", "/new/$2");

    // What the server refuses is shown where it was typed, all of it at once.
    browser.click("[data-key=review]");
    browser.wait_for_text(".field-problem", "Status 1: 200 is too small");
    browser.wait_for_text(".field-problem", "\"quickly\" is not a size");
    browser.wait_for_text(".field-problem", "“path” is missing");
    browser.wait_for_text(".field-problem", "Rewrite 1: $2 stands for nothing");
    browser.wait_for("document.activeElement.closest('.chip')?.classList.contains('invalid')");
    browser.wait_for("document.querySelector(\"[name='origin.timeouts.min_rate']\").ariaInvalid === 'true'");
    assert_eq!(browser.run("return document.querySelectorAll('.field-problem:not([hidden])').length"), 4);

    browser.click("[aria-label='Remove 200']");
    browser.type_into("input[name='origin.timeouts.min_rate']", "1KiB");
    browser.type_into("input[name='origin.health.path']", "/up");
    browser.type_into("[aria-label='New path of rewrite 1']", "/new/$1");
    add("Set a parameter");
    browser.type_into(".pair [placeholder='v']", "v");
    browser.type_into(".pair [placeholder='2']", "7");
    add("Add a field");
    browser.type_into(".pair [placeholder='X-Served-By']", "X-Pop");
    browser.type_into(".pair [placeholder='millpond']", "$host");
    browser.click("#main .tabs [data-key=tab-https]");
    browser.wait_for_text("label", "HSTS");
    browser.run(
        "const period = document.querySelector(\"select[name^='response.set']\"); period.value = 'max-age=31536000';
         period.dispatchEvent(new Event('change'));",
    );
    browser.click("[data-key=review]");
    review_and_apply(&browser, "rewrite = [{ from = \"/old/**\", to = \"/new/$1\" }]");
    let text = program.text();
    for line in
        ["retry_on = [500]", "min_rate = \"1KiB\"", "path = \"/up\"", "interval = \"30s\"", "v = \"7\"", "X-Pop"]
    {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let answer = Client::plain(program.address).get("a.test", "/old/page?v=1");
    assert_eq!(answer.field("Strict-Transport-Security"), Some("max-age=31536000"));
    let asked = origin.requests().into_iter().find(|request| request.target.starts_with("/new/")).unwrap();
    assert_eq!((asked.target.as_str(), asked.field("X-Pop")), ("/new/page?v=7", Some("a.test")));

    // And back to what was.
    browser.run("location.hash = '#/settings/versions'");
    browser.click(".versions [data-key^=restore]");
    review_and_apply(&browser, "retry_on = [500]");
    assert!(!program.text().contains("retry_on"), "{}", program.text());
    nothing_amiss_but(&browser, &program, Some("status of 422"));
}

/// The panel of the three names follows an edit before it is applied; and no page is wider than a telephone or lacks names.
#[test]
fn the_names_of_a_fetch_are_judged_as_they_are_typed_and_every_page_fits_a_telephone() {
    let Some(browser) = browser() else { return };
    let certificates = Certificates::new();
    let answer = |_: &support::Request| Reply::response("200 OK", &["Cache-Control: max-age=600"], "hello");
    let ingress = certificates.issue("ingress", &Leaf::names(&["ingress.local"]).self_signed());
    let named = certificates.issue("named", &Leaf::names(&["sni.test"]));
    let origin = Origin::tls(OriginTls::new(&ingress).with(&["sni.test"], &named), answer);
    let program = Program::start(&format!(
        "\n[[site]]\ndomains = [\"sni.test\"]\n[site.origin]\nservers = [\"127.0.0.1:{}\"]\nprotocol = \"https\"\n\
         host = \"shop.test\"\n{}",
        origin.port(),
        support::pop::trust(&certificates),
    ));
    assert_eq!(program.get("sni.test", "/"), 502);
    browser.resize(360);
    browser.open_page(&program.console());
    browser.wait_for("document.querySelector('#token')");
    // The printed address, opened in the very tab that asks for the token.
    browser.open_page(&program.sign_in);
    browser.wait_for_text("h1", "Overview");

    browser.run("location.hash = '#/domains/sni.test'");
    browser.wait_for_text(".verdict", "Fetches refuse this certificate");
    browser.wait_for_text(".pairs-judged .bad", "Not trusted");
    browser.wait_for_text(".name-cells", "ingress.local");
    browser.click("[data-key='remedy-origin.sni']");
    browser.wait_for_text(".verdict.good", "Fetches accept this certificate");
    browser.wait_for("document.activeElement.name === 'origin.sni'");
    assert_eq!(program.get("sni.test", "/"), 502, "nothing is applied yet");
    browser.click("[data-key=review]");
    review_and_apply(&browser, "sni = \"sni.test\"");
    assert_eq!(program.get("sni.test", "/"), 200);

    let pages = "overview domains domains/new domains/sni.test domains/sni.test/cache domains/sni.test/https \
                 domains/sni.test/general diagnose failures tasks tasks/purge explain certificates settings \
                 settings/versions settings/process";
    for (page, width) in pages.split(' ').flat_map(|page| [(page, 360), (page, 1600)]) {
        browser.resize(width);
        browser.run(&format!("location.hash = '#/{page}'"));
        browser.wait_for(&format!("location.hash === '#/{page}' && !document.querySelector('#main .skeleton')"));
        browser.run("document.querySelectorAll('details').forEach((section) => { section.open = true; })");
        let wider = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(wider, 0, "{page} at {width} is wider than the window");
        assert_eq!(browser.run(NAMELESS), serde_json::json!([]), "{page}: controls without a name, or ids twice");
    }
    nothing_amiss(&browser, &program);
}

/// Controls that a screen reader cannot name, descriptions that lead nowhere, and ids that are there twice.
const NAMELESS: &str = "
    const named = (one) => one.ariaLabel || one.getAttribute('aria-labelledby') || one.title
        || [...(one.labels ?? [])].some((label) => label.textContent.trim()) || (!one.labels || one.matches('button')) && one.textContent.trim();
    const controls = [...document.querySelectorAll('button, a[href], input:not([hidden]), select, textarea, summary')];
    const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
    const told = [...document.querySelectorAll('[aria-describedby], [aria-labelledby]')]
        .flatMap((one) => `${one.getAttribute('aria-describedby') ?? ''} ${one.getAttribute('aria-labelledby') ?? ''}`.split(' '));
    return [
        ...controls.filter((one) => !named(one)).map((one) => one.outerHTML),
        ...ids.filter((id, index) => ids.indexOf(id) !== index),
        ...told.filter((id) => id && !ids.includes(id)),
    ];";
