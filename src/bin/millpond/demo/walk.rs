//! The walk: six steps, each a few requests and what they show. Every claim is looked at before it is printed as true.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::origin::{DemoOrigin, POP_NAME};
use super::paper::{Paper, wrapped};
use super::stage::{MISTAKES, Mistake, Pop, Stage};
use super::visitor::{Answer, visit, visit_safely};

/// Walks all steps; returns the claims that did not hold.
pub fn walk(stage: &Stage, paper: &Paper) -> Vec<String> {
    let mut walk = Walk { stage, paper, broken: Vec::new(), steps: 0, is_below_claim: false };
    walk.open();
    let [certificate, plain, tls] = &MISTAKES;
    walk.step("A page is fetched once, then served from memory", keep);
    walk.step("What must not be kept is not kept", pass);
    walk.step("A crowd costs the origin one request", crowd);
    walk.step("HTTPS for visitors", secure);
    walk.step("A 502 says why: the certificate is for another name", |walk| mismatch(walk, certificate));
    walk.step("A 502 says why: the port speaks another protocol", |walk| protocols(walk, plain, tls));
    walk.close();
    walk.broken
}

struct Walk<'a> {
    stage: &'a Stage,
    paper: &'a Paper,
    /// Claims that did not hold.
    broken: Vec<String>,
    steps: usize,
    /// The line above is a claim, so that words need an empty line before them.
    is_below_claim: bool,
}

/// What a step does; an error is one of a visitor's connection.
type Step = io::Result<()>;

fn keep(walk: &mut Walk<'_>) -> Step {
    walk.say(
        "The origin allows this page to be kept for a minute (Cache-Control: max-age=60). Cache-Status tells what became \
         of a request: fwd is why it was forwarded to the origin, ttl how many seconds the answer stays fresh.",
    );
    let first = walk.ask(&walk.stage.before, POP_NAME, "/")?;
    // So that the age of the stored page is to be seen.
    thread::sleep(Duration::from_millis(1100));
    walk.say("Somebody else asks, a second later:");
    let second = walk.ask(&walk.stage.before, POP_NAME, "/")?;
    walk.claim(first.status == 200 && first.tells("Cache-Status", "fwd=uri-miss"), "the first visit was a miss");
    walk.claim(
        second.status == 200 && second.is_hit() && second.field("Age").is_some_and(|age| age != "0"),
        "the second was a hit, and tells its age",
    );
    walk.claim(first.body == second.body, "both got the same page");
    let count = walk.stage.origin.count("/");
    walk.claim(count == 1, &format!("the origin counts {}", times(count, "request")));
    Ok(())
}

fn pass(walk: &mut Walk<'_>) -> Step {
    walk.say("This page is for one visitor alone (Cache-Control: no-store).");
    let first = walk.ask(&walk.stage.before, POP_NAME, "/private")?;
    let second = walk.ask(&walk.stage.before, POP_NAME, "/private")?;
    walk.claim(first.status == 200 && !first.is_hit() && !second.is_hit(), "neither came from memory");
    let count = walk.stage.origin.count("/private");
    walk.claim(count == 2, &format!("the origin counts {}", times(count, "request")));
    Ok(())
}

fn crowd(walk: &mut Walk<'_>) -> Step {
    walk.say(&format!(
        "The origin takes 0.3 s for this page, and it is not in memory yet. {CROWD} visitors ask at once; the first one's \
         fetch serves them all, each as the bytes arrive."
    ));
    let pop = &walk.stage.before;
    let start = Instant::now();
    let answers: Vec<Answer> = thread::scope(|scope| {
        let one = || visit(pop.http, POP_NAME, "/slow");
        let threads: Vec<_> = (0..CROWD)
            .filter_map(|_| thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, one).ok())
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()?.ok()).collect()
    });
    let took = start.elapsed();
    let good = answers.iter().filter(|answer| answer.status == 200).count();
    let led = answers.iter().filter(|answer| answer.tells("Cache-Status", "fwd=") && !is_collapsed(answer)).count();
    let waited = answers.iter().filter(|answer| is_collapsed(answer)).count();
    let hits = answers.iter().filter(|answer| answer.is_hit() && !is_collapsed(answer)).count();
    walk.paper
        .line(&format!("    {}", walk.paper.bold(&format!("GET http://{POP_NAME}/slow   {CROWD} times at once"))));
    walk.paper.line(&format!("      {good} answers 200 OK after {} ms", took.as_millis()));
    walk.paper.line(&format!("      {led} fetched it, {waited} shared that fetch, {hits} found it in memory\n"));
    walk.claim(good == CROWD, &format!("all {CROWD} were served"));
    let count = walk.stage.origin.count("/slow");
    walk.claim(count == 1, &format!("the origin counts {}", times(count, "request")));
    Ok(())
}

fn is_collapsed(answer: &Answer) -> bool {
    answer.tells("Cache-Status", "; collapsed")
}

fn secure(walk: &mut Walk<'_>) -> Step {
    walk.say(
        "Millpond has a certificate of its own for this name. What visitors speak says nothing of what the origin is \
         asked in; this site shares one memory between http and https.",
    );
    let answer = visit_safely(walk.stage.before.https, &walk.stage.ca_file(), POP_NAME, "/")?;
    walk.show(&format!("https://{POP_NAME}/"), &answer);
    walk.claim(answer.status == 200 && answer.is_hit(), "the page came over TLS, from memory");
    Ok(())
}

fn mismatch(walk: &mut Walk<'_>, mistake: &Mistake) -> Step {
    let [shown, ..] = DemoOrigin::NAMES;
    walk.say(&format!(
        "This site's content is on the same origin, but the origin has no certificate for {}: it shows the one for {shown}. \
         Millpond takes nothing from a server that cannot prove its name. Proxy-Status tells the cause and what to set; \
         its details are for clients on this machine, strangers get the type alone.",
        mistake.domain
    ));
    let refused = walk.ask(&walk.stage.before, mistake.domain, "/")?;
    walk.claim(
        refused.status == 502 && refused.tells("Proxy-Status", "error=tls_certificate_error"),
        "the answer is 502, the cause is the certificate",
    );
    walk.claim(refused.tells("Proxy-Status", shown), "the cause names the certificate that was shown");
    mend(walk, mistake)
}

fn protocols(walk: &mut Walk<'_>, plain: &Mistake, tls: &Mistake) -> Step {
    walk.say("Here the configuration says https, but the origin's port speaks plain HTTP.");
    let refused = walk.ask(&walk.stage.before, plain.domain, "/")?;
    walk.claim(
        refused.status == 502 && refused.tells("Proxy-Status", "error=tls_protocol_error"),
        "the answer is 502, the cause is that no TLS is spoken",
    );
    mend(walk, plain)?;
    walk.say(
        "And the reverse. No protocol is set, so the port decides: only 443 means https. This one is not 443, yet it \
         speaks TLS.",
    );
    let refused = walk.ask(&walk.stage.before, tls.domain, "/")?;
    walk.claim(
        refused.status == 502 && refused.tells("Proxy-Status", "error=http_protocol_error"),
        "the answer is 502, the cause is that TLS is spoken",
    );
    let key = "origin.servers";
    let warning = walk.stage.before.warnings.iter().find(|warning| warning.contains(key));
    walk.claim(warning.is_some(), "`millpond check` warns of this before anybody asks");
    mend(walk, tls)
}

/// The line to set, and the same request to the Millpond that has it set.
fn mend(walk: &mut Walk<'_>, mistake: &Mistake) -> Step {
    walk.say("The remedy is one line under [site.origin]:");
    let paper = walk.paper;
    if !mistake.before.is_empty() {
        paper.line(&format!("    {}", paper.red(&format!("- {}", mistake.before))));
    }
    paper.line(&format!("    {}\n", paper.green(&format!("+ {}", mistake.after))));
    walk.say("A second Millpond runs with that line. The same request to it:");
    let answer = walk.ask(&walk.stage.after, mistake.domain, "/")?;
    walk.claim(answer.status == 200, "the answer is 200");
    Ok(())
}

impl Walk<'_> {
    fn open(&self) {
        let Stage { origin, before, after, .. } = self.stage;
        let title = self.paper.bold("Millpond, a demonstration");
        self.paper.text(&format!(
            "
{title}

  An origin server has the content. Millpond stands between it and the visitors: it keeps what may be
  kept, spares the origin, and when a fetch fails it says why. All of it runs on this machine, and no
  network is used.

    visitors  -->  Millpond  -->  origin

    Millpond         http://{}    https://{}
    Millpond again   http://{}    with three lines mended, for steps 5 and 6
    origin           https://{}   http://{}

  Names like {POP_NAME} exist only here: each request goes to one of Millpond's addresses, with
  the name in its Host field.

",
            before.http, before.https, after.http, origin.https, origin.http
        ));
    }

    fn close(&mut self) {
        let (one, two) = (self.stage.before.stats(), self.stage.after.stats());
        let requests = one.requests.saturating_add(two.requests);
        let fetches = one.fetches.saturating_add(two.fetches);
        let failures = one.failures.saturating_add(two.failures);
        self.say(&format!(
            "In all, {requests} requests came and {fetches} fetches went to the origin, {failures} of them in vain, to show \
             why."
        ));
        let words = match self.broken.len() {
            0 => self.paper.green("Every step showed what it should."),
            broken => self.paper.red(&format!("{broken} of the claims above did not hold.")),
        };
        self.paper.line(&format!("  {words}"));
    }

    fn step(&mut self, title: &str, act: impl FnOnce(&mut Self) -> Step) {
        self.steps += 1;
        let heading = self.paper.bold(&format!("{}. {title}", self.steps));
        self.paper.line(&format!("{heading}\n"));
        if let Err(error) = act(self) {
            self.claim(false, &format!("step {} can be walked ({error})", self.steps));
        }
        self.is_below_claim = false;
        self.paper.text("\n");
    }

    /// A paragraph.
    fn say(&mut self, words: &str) {
        let before = if std::mem::take(&mut self.is_below_claim) { "\n" } else { "" };
        self.paper.text(&format!("{before}{}\n\n", wrapped("  ", words)));
    }

    /// A GET and its answer, both shown.
    fn ask(&self, pop: &Pop, host: &str, path: &str) -> io::Result<Answer> {
        let answer = visit(pop.http, host, path)?;
        self.show(&format!("http://{host}{path}"), &answer);
        Ok(answer)
    }

    fn show(&self, url: &str, answer: &Answer) {
        let took = format!("{:.1} ms", answer.took.as_secs_f64() * 1000.0);
        self.paper.line(&format!("    {}", self.paper.bold(&format!("GET {url}"))));
        let word = answer.cache_word();
        self.paper.line(&format!("      {}   {word}   {}", answer.status_text, self.paper.dim(&took)));
        for name in ["Cache-Status", "Age", "Proxy-Status"] {
            if let Some(value) = answer.field(name) {
                self.paper.line(&wrapped(&format!("      {:14}", format!("{name}:")), value));
            }
        }
        self.paper.text("\n");
    }

    /// Prints what is so, or that it is not.
    fn claim(&mut self, is_so: bool, words: &str) {
        self.is_below_claim = true;
        if is_so {
            self.paper.line(&format!("  {} {words}", self.paper.green("ok")));
        } else {
            self.paper.line(&format!("  {} {words}", self.paper.red("NOT SO:")));
            self.broken.push(words.to_owned());
        }
    }
}

fn times(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Visitors of the crowd.
const CROWD: usize = 200;
