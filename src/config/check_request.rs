//! From `[site.origin.request]` to edits that cannot fail for what the operator wrote.

use super::problem::{Fault, Place, Problems};
use super::section::{Located, Section};
use crate::policy::edits::{FieldEdits, RequestEdits, editable_name};
use crate::policy::rewrite::{ParameterEdits, Rewrite, TargetEdits};
use crate::policy::template::{Mistake, Template};

/// The edits of one site.
pub(super) fn request(section: &Section, problems: &mut Problems) -> RequestEdits {
    let fields = FieldEdits {
        remove: names(section, problems),
        set: fields(section, "set", problems),
        add: fields(section, "add", problems),
    };
    twice(&fields, section, problems);
    RequestEdits { fields, target: target(section, problems) }
}

fn names(section: &Section, problems: &mut Problems) -> Vec<Box<str>> {
    let name = |item: &Located| checked(editable_name(&item.text), item.place.clone(), problems);
    section.texts("remove").filter_map(name).collect()
}

fn fields(section: &Section, key: &str, problems: &mut Problems) -> Vec<(Box<str>, Template)> {
    let mut found = Vec::new();
    for (name, Located { text, place }) in section.pairs(key) {
        let name = checked(editable_name(name), place.clone(), problems);
        let value = checked(Template::parse(text), place.clone(), problems);
        found.extend(name.zip(value));
    }
    at_most(&found, section, key, problems);
    found
}

/// A name that is set needs no removing, and one that is set twice in other letters has two meanings.
fn twice(edits: &FieldEdits, section: &Section, problems: &mut Problems) {
    let mut seen: Vec<&str> = Vec::new();
    for (name, _) in &edits.set {
        if seen.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            let fault = Fault::new(format!("{name} is set twice"), "remove one of them, or name it under add");
            problems.refuse(section.place("set"), fault);
        }
        seen.push(name);
    }
}

fn target(section: &Section, problems: &mut Problems) -> TargetEdits {
    let mut rewrites = Vec::new();
    for rule in section.tables("rewrite") {
        rule.require("from", problems);
        rule.require("to", problems);
        if let Some((from, to)) = rule.text("from").zip(rule.text("to")) {
            rewrites.extend(checked(Rewrite::parse(&from, &to), rule.here(), problems));
        }
    }
    at_most(&rewrites, section, "rewrite", problems);
    let edits = TargetEdits::new(rewrites, parameters(section.table("query"), problems));
    let edits = with_prefix(edits, section, "strip_prefix", TargetEdits::stripping, problems);
    with_prefix(edits, section, "path_prefix", TargetEdits::prefixed, problems)
}

fn with_prefix(
    edits: TargetEdits,
    section: &Section,
    key: &str,
    apply: fn(TargetEdits, &str) -> Result<TargetEdits, Mistake>,
    problems: &mut Problems,
) -> TargetEdits {
    let Some(prefix) = section.text(key) else { return edits };
    checked(apply(edits.clone(), &prefix), section.place(key), problems).unwrap_or(edits)
}

fn parameters(section: &Section, problems: &mut Problems) -> ParameterEdits {
    let pairs = |key: &str| section.pairs(key).map(|(name, value)| (name.into(), value.text.as_str().into())).collect();
    let edits = ParameterEdits {
        remove: section.texts("remove").map(|item| item.text.as_str().into()).collect(),
        set: pairs("set"),
        add: pairs("add"),
    };
    at_most(&edits.set, section, "set", problems);
    at_most(&edits.add, section, "add", problems);
    edits
}

/// Each is gone through for every fetch.
fn at_most<T>(list: &[T], section: &Section, key: &str, problems: &mut Problems) {
    if list.len() > MOST {
        let fault = Fault::new(format!("{} are too many", list.len()), format!("at most {MOST} will do"));
        problems.refuse(section.place(key), fault);
    }
}

fn checked<T>(value: Result<T, Mistake>, place: Place, problems: &mut Problems) -> Option<T> {
    problems.check(place, value.map_err(|mistake| Fault::new(mistake.message, mistake.hint)))
}

const MOST: usize = 32;
