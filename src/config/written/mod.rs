//! The operator's file as it is written, to be changed: sites as trees of values, and texts that say something else with
//! all that was not asked for left as it stands.
//!
//! The only room that writes TOML. Whether a text makes a good configuration, `Config::parse` says; where it comes from and
//! goes to is not known here.

mod difference;
mod edit;
mod effective;
mod faithful;
mod list;
mod places;
#[cfg(test)]
mod tests_change;
#[cfg(test)]
mod tests_random;
mod value;

use std::collections::BTreeMap;
use std::fmt;

use toml_edit::{Document, DocumentMut, Item};

pub use difference::{DiffLine, Kind as LineKind, unified};
pub use value::{Step, Table as Members, Value, path};

use super::names;
use super::reference::{ROOT, Spec};

/// A file as it is written.
#[derive(Clone, Debug)]
pub struct Written {
    text: String,
    document: Document<String>,
    root: Value,
}

/// One line that the doctor would write.
#[derive(Clone, Copy, Debug)]
pub struct Remedy<'a> {
    /// The line where the key stands, from 1; 0 where it is not there yet.
    pub line: usize,
    /// The line of the header that it belongs under; 0 where it is not known.
    pub section_line: usize,
    /// The key, for example `site[1].origin.sni`.
    pub key: &'a str,
    /// The line, for example `sni = "www.example.com"`.
    pub text: &'a str,
}

/// Why a text cannot be changed as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// It is not TOML.
    NotToml(String),
    /// No site has that name.
    NoSite,
    /// What is asked for cannot stand in such a file; the words say why.
    Unfit(String),
    /// The change is about another state of the file.
    Elsewhere(String),
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unwritable::NotToml(words) => write!(f, "the file is not TOML: {words}"),
            Unwritable::NoSite => f.write_str("no site of the file has that name"),
            Unwritable::Unfit(words) | Unwritable::Elsewhere(words) => f.write_str(words),
        }
    }
}

impl Written {
    /// Reads a text.
    ///
    /// # Errors
    /// [`Unwritable::NotToml`]
    pub fn parse(text: &str) -> Result<Written, Unwritable> {
        let document =
            Document::parse(text.to_owned()).map_err(|error| Unwritable::NotToml(error.message().to_owned()))?;
        let root = edit::read_table(document.as_table().iter());
        Ok(Written { text: text.to_owned(), document, root })
    }

    /// The names of the sites, in order: of each the first of its domains, as everywhere else.
    pub fn names(&self) -> Vec<String> {
        self.sites().iter().map(|site| domains(site).next().unwrap_or_else(|| "default".to_owned())).collect()
    }

    /// The site of that name, which may be any of its domains; its number in the file, from 0.
    pub fn site(&self, name: &str) -> Option<usize> {
        let name = normal(name);
        let by_name = self.names().iter().position(|other| *other == name);
        by_name.or_else(|| self.sites().iter().position(|site| domains(site).any(|domain| domain == name)))
    }

    /// What the file says of a site.
    pub fn settings(&self, site: usize) -> Option<&Value> {
        self.sites().get(site)
    }

    /// What holds for a site, defaults included.
    pub fn effective(&self, site: usize) -> Option<Value> {
        self.settings(site).zip(site_spec()).map(|(settings, spec)| effective::filled(settings, spec))
    }

    /// The line of each key that the file has for a site, by its path below it, such as `origin.servers[2].sni`.
    pub fn lines(&self, site: usize) -> BTreeMap<String, usize> {
        places::of_site(&self.document, &places::starts(&self.text), site)
    }

    /// The text with a site changed by a merge patch (RFC 7396).
    ///
    /// # Errors
    /// Where there is no such site, or the result cannot be written as TOML.
    pub fn with_patch(&self, site: usize, patch: &Value) -> Result<String, Unwritable> {
        let settings = self.settings(site).ok_or(Unwritable::NoSite)?.merged(patch);
        self.with_settings(site, settings)
    }

    /// The text with one more site, behind the others.
    ///
    /// # Errors
    /// Where the settings cannot be written as TOML.
    pub fn with_site(&self, settings: &Value) -> Result<String, Unwritable> {
        let mut sites = self.sites().to_vec();
        // As a patch of nothing, so that what is null is absent.
        sites.push(Value::Table(Members::new()).merged(settings));
        self.with_sites(sites)
    }

    /// The text without a site.
    ///
    /// # Errors
    /// Where there is no such site.
    pub fn without_site(&self, site: usize) -> Result<String, Unwritable> {
        let mut sites = self.sites().to_vec();
        if site >= sites.len() {
            return Err(Unwritable::NoSite);
        }
        sites.remove(site);
        self.with_sites(sites)
    }

    /// The text with lines of the doctor's written into it, one after the other.
    ///
    /// # Errors
    /// Where one of them is about another state of the file, or says what cannot be written; also where they are too many.
    pub fn with_remedies(&self, remedies: &[Remedy<'_>]) -> Result<String, Unwritable> {
        if remedies.len() > MOST_REMEDIES {
            return Err(Unwritable::Unfit(format!("these are more than {MOST_REMEDIES} lines: write them by hand")));
        }
        let mut sites = self.sites().to_vec();
        for remedy in remedies {
            let (site, steps) = self.target(remedy)?;
            let value = remedy_value(remedy, &steps)?;
            let done = sites.get_mut(site).is_some_and(|settings| settings.set(&steps, value));
            if !done {
                return Err(Unwritable::Elsewhere(format!("{} has no place for {}", remedy.key, remedy.text)));
            }
        }
        self.with_sites(sites)
    }

    /// Which site a remedy is for, and the path of its key there. The line counts before the number: numbers of sites in
    /// force may be those of an earlier state of the file.
    fn target(&self, remedy: &Remedy<'_>) -> Result<(usize, Vec<Step>), Unwritable> {
        let unfit = || Unwritable::Unfit(format!("{:?} is no key of a site", remedy.key));
        let steps = path(remedy.key).ok_or_else(unfit)?;
        let [Step::Key(first), Step::Item(number), steps @ ..] = steps.as_slice() else { return Err(unfit()) };
        if first != "site" || steps.is_empty() {
            return Err(unfit());
        }
        let key = remedy.key.split_once('.').map(|(_, key)| key).unwrap_or_default();
        let (key, line) = match (remedy.line, key.rsplit_once('.')) {
            (0, Some((section, _))) => (section, remedy.section_line),
            (0, None) => (key, 0),
            (line, _) => (key, line),
        };
        if line == 0 {
            return Ok((*number, steps.to_vec()));
        }
        let starts = places::starts(&self.text);
        let is_there = |site: &usize| places::of_site(&self.document, &starts, *site).get(key) == Some(&line);
        let found = Some(*number).filter(is_there).or_else(|| (0..self.sites().len()).find(is_there));
        let moved = || {
            Unwritable::Elsewhere(format!("{} is not in line {line} any more: reload, and diagnose again", remedy.key))
        };
        Ok((found.ok_or_else(moved)?, steps.to_vec()))
    }

    fn with_settings(&self, site: usize, settings: Value) -> Result<String, Unwritable> {
        let mut sites = self.sites().to_vec();
        *sites.get_mut(site).ok_or(Unwritable::NoSite)? = settings;
        self.with_sites(sites)
    }

    /// The text with these sites in the place of those that it has.
    fn with_sites(&self, sites: Vec<Value>) -> Result<String, Unwritable> {
        if sites.iter().any(Value::has_null) {
            return Err(Unwritable::Unfit("a list cannot hold null: leave the item out".to_owned()));
        }
        let Value::Table(mut wanted) = self.root.clone() else { return Ok(self.text.clone()) };
        match sites.is_empty() {
            true => _ = wanted.remove("site"),
            false => _ = wanted.insert("site".to_owned(), Value::List(sites)),
        }
        let mut document = self.document.clone().into_mut();
        let base = document.to_string();
        let is_longer = wanted.get("site").map_or(0, |sites| sites.items().len()) > self.sites().len();
        let mut loose = edit::Loose::default();
        edit::table_becomes(document.as_table_mut(), &wanted, Some(&ROOT), &mut loose);
        let end = loose.settle(document.as_table_mut());
        let trailing = end + document.trailing().as_str().unwrap_or_default();
        document.set_trailing(trailing);
        if is_longer {
            put_behind_the_end(&mut document);
        }
        let text = faithful::carried(&self.text, &base, &document.to_string());
        // Nothing is ever written that says something else than what was asked for.
        match Written::parse(&text) {
            Ok(written) if written.root == Value::Table(wanted) => Ok(text),
            _ => Err(Unwritable::Unfit("this change cannot be written into the file: edit it by hand".to_owned())),
        }
    }

    fn sites(&self) -> &[Value] {
        self.root.get("site").map_or(&[], Value::items)
    }
}

/// A site that was added as the last table of the file stands behind the comments at its end, not before them.
fn put_behind_the_end(document: &mut DocumentMut) {
    let last = edit::last_position(document.as_table());
    let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
    let Some(sites) = document.as_table_mut().get_mut("site").and_then(Item::as_array_of_tables_mut) else { return };
    let Some(site) = sites.len().checked_sub(1).and_then(|last| sites.get_mut(last)) else { return };
    // The root has no header, but a place.
    let is_last = last.is_none_or(|last| site.position().unwrap_or(last) >= last);
    if is_last && !trailing.is_empty() {
        let gap = if trailing.ends_with('\n') { "\n" } else { "\n\n" };
        site.decor_mut().set_prefix(format!("{trailing}{gap}"));
        document.set_trailing("");
    }
}

/// What a line of the doctor's says, if it is one for that key.
fn remedy_value(remedy: &Remedy<'_>, steps: &[Step]) -> Result<Value, Unwritable> {
    let unfit = || Unwritable::Unfit(format!("{:?} is no line for {}", remedy.text, remedy.key));
    let line = Written::parse(remedy.text).map_err(|_| unfit())?;
    let Value::Table(members) = line.root else { return Err(unfit()) };
    match (members.len(), members.into_iter().next(), steps.last()) {
        (1, Some((name, value)), Some(Step::Key(key))) if name == *key => Ok(value),
        _ => Err(unfit()),
    }
}

/// The domains of a site, as the configuration has them.
fn domains(site: &Value) -> impl Iterator<Item = String> {
    site.get("domains").map_or(&[][..], Value::items).iter().filter_map(Value::text).map(normal)
}

fn normal(name: &str) -> String {
    names::domain(name).unwrap_or_else(|_| name.to_ascii_lowercase())
}

fn site_spec() -> Option<&'static Spec> {
    ROOT.key("site").and_then(|key| key.kind.spec())
}

/// The doctor has a few at once; each is looked for in all sites.
const MOST_REMEDIES: usize = 64;
