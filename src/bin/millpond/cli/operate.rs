//! Commands for a Millpond that runs: `prefetch`, `purge`, `tasks`.

use std::path::PathBuf;

use millpond::Window;

use super::given::Given;
use super::table::OptionSpec;
use super::{Topic, Usage};

/// What a running Millpond is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Which one.
    pub place: Place,
    /// What.
    pub what: What,
    /// As JSON, an object a line.
    pub is_json: bool,
}

/// Where the operator's door of a running Millpond is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where this configuration file says; the token is in its state directory, unless it is given.
    Config(PathBuf, Option<PathBuf>),
    /// `http://host:port` or `https://host:port`, unchecked, the file with the token, and the one with certificates that
    /// are trusted.
    Address(String, PathBuf, Option<PathBuf>),
}

/// The work itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Fetch before anybody asks.
    Prefetch(PrefetchAsked),
    /// Take out of use.
    Purge {
        /// The member `scope` of the API.
        scope: &'static str,
        /// Its values; one request each.
        values: Vec<String>,
        /// Of a group, its origin.
        origin: Option<String>,
        /// `hard`, `soft` or `count`.
        mode: &'static str,
        /// Fetch anew what was taken.
        then_prefetch: bool,
    },
    /// List them all.
    ListTasks,
    /// Show one, and follow it to its end.
    ShowTask(String),
    /// `pause`, `resume`, `cancel` or `retry` one.
    Steer(&'static str, String),
}

/// What is to be prefetched, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefetchAsked {
    /// Addresses.
    pub urls: Vec<String>,
    /// A file of them, a line each; `-` is standard input.
    pub file: Option<PathBuf>,
    /// A sitemap.
    pub sitemap: Option<String>,
    /// An HLS or DASH manifest.
    pub manifest: Option<String>,
    /// Fields, `Name: value`.
    pub fields: Vec<String>,
    /// Addresses a second.
    pub rate: Option<u32>,
    /// Fetches at once from a site.
    pub parallel: Option<u32>,
    /// A time of day.
    pub window: Option<String>,
    /// Only tell.
    pub is_dry: bool,
}

const fn flag(name: &'static str) -> OptionSpec {
    OptionSpec { name, value: None, is_repeatable: false }
}

const fn value(name: &'static str, value: &'static str) -> OptionSpec {
    OptionSpec { name, value: Some(value), is_repeatable: false }
}

const fn values(name: &'static str, value: &'static str) -> OptionSpec {
    OptionSpec { name, value: Some(value), is_repeatable: true }
}

/// The options of `prefetch`.
pub(super) const PREFETCH: &[OptionSpec] = &[
    value("--config", "FILE"),
    value("--admin", "URL"),
    value("--token-file", "FILE"),
    value("--ca", "FILE"),
    value("--file", "FILE"),
    value("--sitemap", "URL"),
    value("--manifest", "URL"),
    values("-H", "'Name: value'"),
    value("--rate", "N"),
    value("--parallel", "N"),
    value("--window", "HH:MM-HH:MM"),
    flag("--dry-run"),
    flag("--json"),
];
/// The options of `purge`.
pub(super) const PURGE: &[OptionSpec] = &[
    value("--config", "FILE"),
    value("--admin", "URL"),
    value("--token-file", "FILE"),
    value("--ca", "FILE"),
    values("--url", "URL"),
    values("--prefix", "URL"),
    values("--glob", "PATTERN"),
    value("--site", "SITE"),
    values("--group", "NAME"),
    flag("--everything"),
    flag("--hard"),
    flag("--soft"),
    flag("--count"),
    flag("--then-prefetch"),
    flag("--json"),
];
/// The options of `tasks`.
pub(super) const TASKS: &[OptionSpec] = &[
    value("--config", "FILE"),
    value("--admin", "URL"),
    value("--token-file", "FILE"),
    value("--ca", "FILE"),
    value("--pause", "ID"),
    value("--resume", "ID"),
    value("--cancel", "ID"),
    value("--retry", "ID"),
    flag("--json"),
];

impl Given {
    /// The operation that was asked for.
    pub(super) fn operation(&self) -> Result<Operation, Usage> {
        let what = match self.spec.topic {
            Topic::Prefetch => What::Prefetch(self.prefetch()?),
            Topic::Purge => self.purge()?,
            _ => self.tasks()?,
        };
        Ok(Operation { place: self.place()?, what, is_json: self.has("--json") })
    }

    fn has(&self, name: &str) -> bool {
        self.option_value(name).is_some()
    }

    fn text_of(&self, name: &str) -> Result<Option<String>, Usage> {
        self.option_value(name).map(|value| self.text(name, value)).transpose()
    }

    fn place(&self) -> Result<Place, Usage> {
        let file = |name| self.option_value(name).map(PathBuf::from);
        let (token, ca) = (file("--token-file"), file("--ca"));
        match (file("--config"), self.text_of("--admin")?, token) {
            (Some(_), Some(_), _) => {
                Err(self.usage("--config and --admin exclude each other".into(), "give one of them"))
            }
            (None, Some(url), Some(token)) => {
                if ca.is_some() && !is_secure(&url) {
                    let hint = "write --admin https://HOST:PORT, or leave --ca out";
                    return Err(self.usage("--ca is for an --admin that is https".into(), hint));
                }
                Ok(Place::Address(url, token, ca))
            }
            (None, Some(_), None) => {
                let hint = "add --token-file FILE: the file token in the state directory of that Millpond";
                Err(self.usage("--admin needs the token".into(), hint))
            }
            (_, None, _) if ca.is_some() => {
                let hint = "leave it out: the certificate that the configuration file names is trusted";
                Err(self.usage("--ca goes with --admin".into(), hint))
            }
            (config, None, token) => Ok(Place::Config(config.unwrap_or_else(|| "millpond.toml".into()), token)),
        }
    }

    fn prefetch(&self) -> Result<PrefetchAsked, Usage> {
        let number = |name: &'static str| {
            let parse = |text: String| {
                let number = text.parse().ok().filter(|number| *number > 0);
                number.ok_or_else(|| self.usage(format!("{name}: \"{text}\" is no number"), "write 1 or more"))
            };
            self.text_of(name)?.map(parse).transpose()
        };
        let arguments = self.argument.iter().chain(&self.further);
        let asked = PrefetchAsked {
            urls: arguments.map(|url| self.text("the URL", url)).collect::<Result<_, _>>()?,
            file: self.option_value("--file").map(PathBuf::from),
            sitemap: self.text_of("--sitemap")?,
            manifest: self.text_of("--manifest")?,
            fields: self.texts("-H")?,
            rate: number("--rate")?,
            parallel: number("--parallel")?,
            window: self.window()?,
            is_dry: self.has("--dry-run"),
        };
        if asked.urls.is_empty() && asked.file.is_none() && asked.sitemap.is_none() && asked.manifest.is_none() {
            let hint = "give URLs, --file FILE, --sitemap URL or --manifest URL";
            return Err(self.usage("prefetch needs something to fetch".into(), hint));
        }
        if let Some(field) = asked.fields.iter().find(|field| !field.contains(':')) {
            return Err(self.usage(format!("-H: \"{field}\" is no field"), "write -H 'Name: value'"));
        }
        Ok(asked)
    }

    /// A time of day, as it was written.
    fn window(&self) -> Result<Option<String>, Usage> {
        let window = self.text_of("--window")?;
        if let Some(text) = window.as_deref().filter(|text| Window::parse(text).is_err()) {
            let hint = "write --window 22:00-06:00, in UTC, from one minute to another";
            return Err(self.usage(format!("--window: \"{text}\" is no time of day"), hint));
        }
        Ok(window)
    }

    fn purge(&self) -> Result<What, Usage> {
        let modes = [("--hard", "hard"), ("--soft", "soft"), ("--count", "count")];
        let mut given = modes.iter().filter(|(name, _)| self.has(name));
        let mode = given.next().map_or("hard", |(_, mode)| mode);
        if given.next().is_some() {
            return Err(self.usage("--hard, --soft and --count exclude each other".into(), "give one of them"));
        }
        let then_prefetch = self.has("--then-prefetch");
        if then_prefetch && mode == "count" {
            return Err(self.usage("--count takes nothing to prefetch anew".into(), "leave --then-prefetch out"));
        }
        let origin = self.text_of("--site")?;
        let group = self.texts("--group")?;
        let is_group = !group.is_empty();
        let scopes = [
            ("url", self.texts("--url")?),
            ("prefix", self.texts("--prefix")?),
            ("glob", self.texts("--glob")?),
            ("group", group),
            ("site", origin.iter().filter(|_| !is_group).cloned().collect()),
            ("everything", self.option_value("--everything").map(|_| String::new()).into_iter().collect()),
        ];
        let mut scopes = scopes.into_iter().filter(|(_, values)| !values.is_empty());
        let hint = "give --url, --prefix, --glob, --site, --group with --site, or --everything";
        let Some((scope, values)) = scopes.next() else {
            return Err(self.usage("purge needs to know what".into(), hint));
        };
        if scopes.next().is_some() {
            return Err(self.usage("purge takes one sort of scope at once".into(), hint));
        }
        if is_group && origin.is_none() {
            let hint = "add --site ORIGIN, such as https://www.example.com: groups are those of one origin (RFC 9875)";
            return Err(self.usage("--group needs to know whose".into(), hint));
        }
        Ok(What::Purge { scope, values, origin: origin.filter(|_| is_group), mode, then_prefetch })
    }

    fn tasks(&self) -> Result<What, Usage> {
        let commands = [("--pause", "pause"), ("--resume", "resume"), ("--cancel", "cancel"), ("--retry", "retry")];
        let mut given = commands.iter().filter(|(name, _)| self.has(name));
        let steer = given.next();
        if given.next().is_some() || (steer.is_some() && self.argument.is_some()) {
            return Err(self.usage("tasks does one thing at once".into(), "give an ID, or one of the options with one"));
        }
        match (steer, &self.argument) {
            (Some((name, command)), _) => Ok(What::Steer(command, self.text_of(name)?.unwrap_or_default())),
            (None, Some(id)) => Ok(What::ShowTask(self.text("ID", id)?)),
            (None, None) => Ok(What::ListTasks),
        }
    }
}

/// The address is one of HTTPS.
fn is_secure(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("https"))
}
