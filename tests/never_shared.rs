//! Whatever else a response says: one that is private, not to be stored, or not whole reaches nobody but who asked for it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::pop::request;
use support::{Origin, Pop, Reply};

/// How the origin answers one target, for the first time and afterwards.
#[derive(Clone, Debug)]
struct Plan {
    fields: Vec<String>,
    framing: Framing,
    /// The first answer ends before its body does.
    is_cut: bool,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Length,
    Chunked,
    UntilClose,
}

#[derive(Default)]
struct Script {
    plans: HashMap<String, Plan>,
    answers: HashMap<String, usize>,
}

impl Plan {
    /// The answer number `n` to a target; its body tells its number.
    fn reply(&self, n: usize) -> Reply {
        let is_cut = self.is_cut && n == 1;
        let fields: String = self.fields.iter().map(|field| format!("{field}\r\n")).collect();
        let head = |framing: &str| Reply::bytes(format!("HTTP/1.1 200 OK\r\n{fields}{framing}\r\n"));
        let body = format!("n={n};0123456789");
        match (self.framing, is_cut) {
            (Framing::Length, false) => head(&format!("Content-Length: {}\r\n", body.len())).then(body),
            (Framing::Length, true) => head(&format!("Content-Length: {}\r\n", body.len() + 1)).then(body).cut(),
            (Framing::Chunked, is_cut) => {
                let chunk = format!("{:x}\r\n{body}\r\n", body.len());
                let reply = head("Transfer-Encoding: chunked\r\n").then(chunk);
                if is_cut { reply.cut() } else { reply.then("0\r\n\r\n") }
            }
            (Framing::UntilClose, false) => head("").then(body).close(),
            (Framing::UntilClose, true) => head("").then(body).reset(),
        }
    }
}

/// What the answer to a target was, by its number; `None` for one that was cut or failed.
fn number_of(pop: &Pop, target: &str, fields: &[&str]) -> Option<usize> {
    let mut client = pop.client();
    client.send(request("GET", target, fields));
    let response = client.try_response("GET").ok().filter(|response| response.status == 200)?;
    let text = response.text();
    Some(text.strip_prefix("n=")?.split(';').next()?.parse().unwrap())
}

fn plans() -> impl Strategy<Value = (Plan, bool)> {
    let permission = prop::sample::select(vec![
        "public",
        "max-age=600",
        "s-maxage=600",
        "immutable",
        "must-revalidate",
        "stale-if-error=600",
        "stale-while-revalidate=600",
        "no-cache=\"x-a\"",
        "private=\"x-a\"",
        "ext=\"no-store\"",
    ]);
    let restriction = prop::sample::select(vec![
        "private",
        "no-store",
        "PRIVATE=\"\"",
        "No-Store=x",
        "private;",
        "max-age=5 no-store",
        "private=\"x-a\", private",
        "private=\"vary\"",
    ]);
    let others = prop::sample::subsequence(
        vec![
            "ETag: \"a\"",
            "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT",
            "Expires: Fri, 01 Jan 2100 00:00:00 GMT",
            "Vary: Accept",
            "X-A: b",
        ],
        0..=5,
    );
    let framing = prop::sample::select(vec![Framing::Length, Framing::Chunked, Framing::UntilClose]);
    let lists = (prop::collection::vec(permission, 0..5), prop::option::of(restriction), 0..6_usize);
    (lists, others, framing, any::<bool>(), any::<bool>()).prop_map(
        |((mut members, restriction, at), others, framing, is_cut, is_one_line)| {
            if let Some(restriction) = restriction {
                members.insert(at.min(members.len()), restriction);
            }
            let lines =
                if is_one_line { vec![members.join(", ")] } else { members.iter().map(ToString::to_string).collect() };
            let mut fields: Vec<String> = lines.iter().map(|line| format!("Cache-Control: {line}")).collect();
            fields.extend(others.iter().map(ToString::to_string));
            (Plan { fields, framing, is_cut }, restriction.is_some())
        },
    )
}

#[test]
fn private_unstorable_and_incomplete_responses_reach_no_other_client() {
    let script = Arc::new(Mutex::new(Script::default()));
    let plays = Arc::clone(&script);
    let origin = Origin::plain(move |request| {
        let mut script = plays.lock().unwrap();
        let n = script.answers.entry(request.target.clone()).or_default();
        *n += 1;
        let n = *n;
        script.plans[&request.target].reply(n)
    });
    let pop = Pop::of(&origin);
    let (cases, hits) = (Cell::new(0), Cell::new(0));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) };
    let outcome = TestRunner::new(config).run(&plans(), |(plan, is_restricted)| {
        cases.set(cases.get() + 1);
        let target = format!("/{}", cases.get());
        script.lock().unwrap().plans.insert(target.clone(), plan.clone());
        let first = number_of(&pop, &target, &["Accept: a"]);
        let second = number_of(&pop, &target, &["Accept: a"]);
        if plan.is_cut {
            // The second answer is whole, and is not the first with its end missing.
            prop_assert!(first.is_none_or(|n| n > 1), "a cut answer looked whole");
            prop_assert!(second.is_none_or(|n| n > 1), "a cut answer was served again");
        } else {
            prop_assert_eq!(first, Some(1));
        }
        if is_restricted {
            prop_assert!(second.is_none() || second != first, "answer {:?} reached a second client", first);
        }
        hits.set(hits.get() + usize::from(second.is_some() && second == first));
        Ok(())
    });
    outcome.unwrap();
    // What may be shared is: the test would prove nothing with a cache that is never used.
    assert!(hits.get() > 0, "no answer was reused at all");
}
