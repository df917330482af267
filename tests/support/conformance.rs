//! Conformance as tables: a case is a few lines, each one request with what the origin says and what the client must get.
//!
//! A line reads `request => origin => outcome`, each a list with ` | ` between its members:
//!
//! - The request: a method, then fields. Its path is the case's own, `$path`; `GET b` asks for a neighbour of that.
//! - The origin's responses, one or more with ` && ` between them: a status, then fields; `close` cuts the connection
//!   without a byte. Empty where it must not be asked. The body of the case's n-th response is `reply n`, unless `= text`
//!   gives another; `~` leaves it out. `interim 103 Name: value` comes before.
//! - The outcome: a status and words, then fields. `#n` is the body of the n-th response, `= text` a body as written,
//!   `!word` and `!Field` are absent. Words stand in Cache-Status (`hit`, `stored`, `fwd=stale`, `detail=expired`).
//!   `asked Field: value` and `asked !Field` are about the last request that the origin got. `later`: it is asked behind
//!   the answer. `Field: *` is any value. Of `ttl` and `Age` a few seconds may be gone. `interim 103 Name: value` came before.
//!
//! The line `expire` makes what is stored stale from now on. `{date-60}` is the HTTP-date a minute ago, `{rfc850-60}` and
//! `{asctime-60}` the same in the obsolete forms.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use millpond::{HttpDate, Purge, Scope};

use super::client::Response;
use super::origin::{Origin, Request};
use super::pop::{Pop, site_with};
use super::reply::Reply;
use super::wait_until;

/// An origin that says what the case at hand has it say, and a POP in front of it.
pub struct Scene {
    origin: Origin,
    pop: Pop,
    script: Arc<Mutex<Script>>,
}

/// A name, with its section, and the lines.
pub type Case<'a> = (&'a str, &'a [&'a str]);

#[derive(Default)]
struct Script {
    /// What is still to be said, by path.
    replies: HashMap<String, VecDeque<Said>>,
    cases: usize,
}

#[derive(Clone)]
enum Said {
    Reply(Reply),
    /// Whoever asks, and however often.
    Close,
}

impl Scene {
    /// The site `a.test` with further lines.
    #[track_caller]
    pub fn new(of_site: &str) -> Scene {
        let script = Arc::new(Mutex::new(Script::default()));
        let said = Arc::clone(&script);
        let origin = Origin::plain(move |request| said.lock().unwrap().next(request));
        let pop = Pop::start(&site_with("a.test", &origin, of_site, ""));
        Scene { origin, pop, script }
    }

    /// Plays all cases and tells of all that fail.
    #[track_caller]
    pub fn check(&self, cases: &[Case<'_>]) {
        let told: Vec<String> = cases
            .iter()
            .filter_map(|(name, lines)| self.play(lines).err().map(|why| format!("{name}: {why}")))
            .collect();
        assert!(told.is_empty(), "{} of {} cases failed\n{}", told.len(), cases.len(), told.join("\n"));
    }

    /// The same lines for many values: `$1`, `$2` and so on stand for the members of each row.
    #[track_caller]
    pub fn check_rows<const N: usize>(&self, lines: &[&str], rows: &[[&str; N]]) {
        let fill = |line: &&str, row: &[&str; N]| {
            row.iter()
                .enumerate()
                .fold(line.to_string(), |line, (at, value)| line.replace(&format!("${}", at + 1), value))
        };
        let mut told = Vec::new();
        for row in rows {
            let lines: Vec<String> = lines.iter().map(|line| fill(line, row)).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            told.extend(self.play(&lines).err().map(|why| format!("{row:?}: {why}")));
        }
        assert!(told.is_empty(), "{} of {} rows failed\n{}", told.len(), rows.len(), told.join("\n"));
    }

    fn play(&self, lines: &[&str]) -> Result<(), String> {
        let mut script = self.script.lock().unwrap();
        script.cases += 1;
        let path = format!("/{}/a", script.cases);
        drop(script);
        let mut said = 0;
        for line in lines {
            let line = dated(line).replace("$path", &path);
            self.step(&line, &path, &mut said).map_err(|why| format!("{line}\n    {why}"))?;
        }
        Ok(())
    }

    fn step(&self, line: &str, path: &str, said: &mut usize) -> Result<(), String> {
        let neighbour =
            |name: Option<&str>| name.map_or(path.to_owned(), |name| path.replace("/a", &format!("/{name}")));
        if let Some(name) = line.strip_prefix("expire") {
            let path = neighbour(Some(name.trim()).filter(|name| !name.is_empty()));
            self.pop.purge(&Purge::soft(Scope::Url(format!("http://a.test{path}"))));
            return Ok(());
        }
        let [request, origin, outcome] = line.split("=>").map(str::trim).collect::<Vec<_>>()[..] else {
            return Err("not a line of three parts".to_owned());
        };
        let replies: Vec<Said> = origin
            .split(" && ")
            .map(str::trim)
            .filter(|reply| !reply.is_empty())
            .map(|reply| {
                *said += 1;
                reply_of(reply, *said)
            })
            .collect();
        let (count, closes) = (replies.len(), replies.iter().any(|said| matches!(said, Said::Close)));
        let mut members = request.split(" | ");
        let mut target = members.next().unwrap_or_default().split(' ');
        let (method, path) = (target.next().unwrap_or_default(), neighbour(target.next()));
        let fields: Vec<&str> = members.collect();
        self.script.lock().unwrap().replies.insert(path.clone(), replies.into());
        let before = self.origin.count();
        let response = self.pop.ask(method, &path, &fields);
        if outcome.contains(" later") {
            wait_until(|| self.origin.count() >= before + count);
        }
        let asked = self.origin.requests().split_off(before);
        let told = format!("{response:?}, asked {}", asked.len());
        if asked.len() != count && !(closes && asked.len() > count) {
            return Err(format!("the origin was asked {} times: {}", asked.len(), summary(&response)));
        }
        outcome
            .split(" | ")
            .enumerate()
            .try_for_each(|(at, member)| match at {
                0 => words(member, &response),
                _ => field(member, &response, asked.last()),
            })
            .map_err(|why| format!("{why}: {}", if told.len() > 900 { summary(&response) } else { told.clone() }))
    }
}

impl Script {
    fn next(&mut self, request: &Request) -> Reply {
        let Some(said) = self.replies.get_mut(&request.target) else {
            return Reply::response("500 Unexpected", &[], "");
        };
        if let Some(Said::Close) = said.front() {
            return Reply::nothing().close();
        }
        match said.pop_front() {
            Some(Said::Reply(reply)) => reply,
            _ => Reply::response("500 Unexpected", &["Cache-Control: no-store"], "nobody should have asked"),
        }
    }
}

fn reply_of(text: &str, number: usize) -> Said {
    if text == "close" {
        return Said::Close;
    }
    let mut members: Vec<&str> = text.split(" | ").collect();
    let status = members.remove(0);
    let mut body = Some(format!("reply {number}"));
    let mut interim = String::new();
    members.retain(|member| match member.strip_prefix("= ") {
        Some(other) => {
            body = Some(other.to_owned());
            false
        }
        None if *member == "~" => {
            body = None;
            false
        }
        None => match member.strip_prefix("interim ").and_then(|rest| rest.split_once(' ')) {
            Some((status, field)) => {
                interim += &format!("HTTP/1.1 {status} Soon\r\n{field}\r\n\r\n");
                false
            }
            None => true,
        },
    });
    let has_none = status.starts_with("304") || status.starts_with("204");
    let body = body.filter(|_| !has_none);
    let length = body.as_ref().map(|body| format!("Content-Length: {}\r\n", body.len())).unwrap_or_default();
    let fields: String = members.iter().map(|field| format!("{field}\r\n")).collect();
    let head = format!("{interim}HTTP/1.1 {status} Said\r\n{fields}{length}\r\n");
    Said::Reply(Reply::bytes(head).then(body.unwrap_or_default()))
}

/// The first member of an outcome: the status, the body, and words of Cache-Status.
fn words(text: &str, response: &Response) -> Result<(), String> {
    let cache = response.field("cache-status").unwrap_or_default();
    let has = |word: &str| cache.split("; ").any(|known| known == word || is_near(word, known));
    let mut words = text.split(' ');
    let status = words.next().unwrap_or_default();
    if status != response.status.to_string() {
        return Err(format!("the status is not {status}"));
    }
    for word in words {
        let is_so = match word.strip_prefix('!') {
            _ if word == "later" => true,
            Some(absent) => !has(absent),
            None => match word.strip_prefix('#') {
                Some(number) => response.text() == format!("reply {number}"),
                None => has(word),
            },
        };
        if !is_so {
            return Err(format!("not so: {word}"));
        }
    }
    Ok(())
}

fn field(text: &str, response: &Response, asked: Option<&Request>) -> Result<(), String> {
    let wrong = |found: &[&str]| Err(format!("not so: {text}, but {found:?}"));
    if let Some((status, line)) = text.strip_prefix("interim ").and_then(|rest| rest.split_once(' ')) {
        let has = |came: &Response| {
            came.status.to_string() == status && {
                let (name, value) = line.split_once(": ").unwrap_or((line, ""));
                came.field(name) == Some(value)
            }
        };
        return if response.interim.iter().any(has) { Ok(()) } else { wrong(&["interim"]) };
    }
    if let Some(body) = text.strip_prefix("= ") {
        return if response.text() == body { Ok(()) } else { wrong(&[&response.text()]) };
    }
    let (wanted, found) = match text.strip_prefix("asked ") {
        Some(wanted) => (wanted, asked.map(|request| &request.fields)),
        None => (text, Some(&response.fields)),
    };
    let name = wanted.trim_start_matches('!').split(": ").next().unwrap_or_default();
    let found = found.map(|fields| super::wire::fields_named(fields, name)).unwrap_or_default();
    let is_so = match (wanted.starts_with('!'), wanted.split_once(": ")) {
        (true, _) => found.is_empty(),
        (false, Some((_, "*"))) => !found.is_empty(),
        (false, Some(("Age", age))) => found.first().is_some_and(|found| is_near(found, age)),
        (false, value) => found.join(", ") == value.map_or("", |(_, value)| value) && !found.is_empty(),
    };
    if is_so { Ok(()) } else { wrong(&found) }
}

/// The same number, or up to five less: time passes between two requests.
fn is_near(most: &str, found: &str) -> bool {
    let number = |text: &str| text.trim_start_matches("ttl=").parse::<i64>().ok();
    let is_age_or_ttl = most.starts_with("ttl=") == found.starts_with("ttl=");
    is_age_or_ttl && number(most).zip(number(found)).is_some_and(|(most, found)| (most - 5..=most).contains(&found))
}

fn summary(response: &Response) -> String {
    let head = String::from_utf8_lossy(&response.head).replace("\r\n", "; ");
    head.chars().take(700).collect()
}

/// The dates filled in.
fn dated(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once('{') {
        let (inside, after) = behind.split_once('}').unwrap_or((behind, ""));
        let at = inside.find(['+', '-']).unwrap_or(inside.len());
        let (form, offset) = inside.split_at(at);
        out.push_str(before);
        out.push_str(&date(form, offset.parse().unwrap_or(0)));
        rest = after;
    }
    out + rest
}

fn date(form: &str, offset: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let imf = String::from_utf8(HttpDate(now.cast_signed() + offset).format().to_vec()).unwrap();
    let [weekday, day, month, year, time, zone] = imf.split(' ').collect::<Vec<_>>()[..] else { return imf };
    let weekday = weekday.trim_end_matches(',');
    let long = match weekday {
        "Tue" => "Tuesday".to_owned(),
        "Wed" => "Wednesday".to_owned(),
        "Thu" => "Thursday".to_owned(),
        "Sat" => "Saturday".to_owned(),
        short => format!("{short}day"),
    };
    match form {
        "rfc850" => format!("{long}, {day}-{month}-{} {time} {zone}", &year[2..]),
        "asctime" => format!("{weekday} {month} {:>2} {time} {year}", day.trim_start_matches('0')),
        _ => imf,
    }
}
