//! Every key of the configuration file, once: section, name, kind, default, meaning, example.
//!
//! The reader (`file`), the defaults (`section`), the starter file and the reference text (`starter`) are all made
//! from this one table, so they cannot disagree. It knows nothing of TOML and nothing of what a value is used for.

mod admin;
mod origin;
mod process;
mod request;
mod rules;
mod site;

use super::problem::{Fault, nearest, quoted};
use super::section::Value;
use super::units;

/// One table of the file: its place, meaning and keys.
pub(super) struct Spec {
    /// Its header as it stands in a file, for example `[site.origin]`.
    pub header: &'static str,
    /// What the section is for, in a line or two.
    pub doc: &'static str,
    /// Its keys, in the order of the starter file.
    pub keys: &'static [Key],
}

/// One key of a section.
pub(super) struct Key {
    /// The name as written.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// What holds where the key is absent.
    pub fallback: Fallback,
    /// Its meaning, in a line.
    pub doc: &'static str,
    /// A value as it would stand in a file (TOML).
    pub example: &'static str,
}

/// What a value must be.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number between the two, both included.
    Number(u64, u64),
    /// A list of whole numbers between the two, both included.
    Numbers(u64, u64),
    /// Bytes, `"64KiB"` or a plain number, between the two.
    Size(u64, u64),
    /// `"10%"` of something else, or a size.
    Share,
    /// `"30s"`; more than zero.
    Duration,
    /// `"30s"`, or zero for off.
    DurationOrOff,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A text that is not empty.
    Text,
    /// A list of texts.
    Texts,
    /// A text or a list of texts.
    TextOrTexts,
    /// A status such as 404 or `"5xx"`, or a list of them.
    Statuses,
    /// A table of names that the operator chooses, each with a duration or zero.
    Times,
    /// A table of names that the operator chooses, each with a text.
    Pairs,
    /// A table with keys of its own.
    Table(&'static Spec),
    /// A list of tables: `[[name]]`.
    Tables(&'static Spec),
    /// A list whose items are texts, or tables with keys of their own.
    TextsOrTables(&'static Spec),
}

/// What holds where a key is absent.
#[derive(Clone, Copy)]
pub(super) enum Fallback {
    /// This value, without quotes.
    Value(&'static str),
    /// No value; what that means, in words.
    Means(&'static str),
    /// The key must be there; the words name the exception or the reason.
    Required(&'static str),
}

/// The whole file: its tables, in the order of the starter file.
pub(super) static ROOT: Spec = Spec {
    header: "",
    doc: "",
    keys: &[
        table("listen", Kind::Table(&process::LISTEN)),
        table("site", Kind::Tables(&site::SITE)),
        table("cache", Kind::Table(&process::CACHE)),
        table("log", Kind::Table(&process::LOG)),
        table("workers", Kind::Table(&process::WORKERS)),
        table("limits", Kind::Table(&process::LIMITS)),
        table("state", Kind::Table(&process::STATE)),
        table("debug", Kind::Table(&process::DEBUG)),
        table("admin", Kind::Table(&admin::ADMIN)),
    ],
};

impl Spec {
    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Every table of the file below this one, in order: parents before their children.
    pub fn tables(&'static self) -> Vec<&'static Spec> {
        let mut found = Vec::new();
        for spec in self.keys.iter().filter_map(|key| key.kind.spec()) {
            found.push(spec);
            found.extend(spec.tables());
        }
        found
    }

    /// The table has a header of its own, rather than standing behind a key.
    pub fn is_headed(&self) -> bool {
        self.header.starts_with('[')
    }
}

impl Key {
    /// The key is written as the header of a section.
    pub fn is_headed(&self) -> bool {
        self.kind.spec().is_some_and(Spec::is_headed)
    }

    /// How messages name the key: by its header, if it has one.
    pub fn title(&self) -> String {
        match self.kind.spec().filter(|spec| spec.is_headed()) {
            Some(spec) => spec.header.to_owned(),
            None => format!("`{}`", self.name),
        }
    }

    /// The key must be there.
    pub fn is_required(&self) -> bool {
        matches!(self.fallback, Fallback::Required(_))
    }

    /// The default as a value; `None` where absence has a meaning of its own.
    pub fn default(&self) -> Option<Value> {
        let Fallback::Value(text) = self.fallback else { return None };
        let value = match self.kind {
            Kind::Flag => Ok(Value::Flag(text == "true")),
            Kind::Number(..) => Ok(Value::Number(text.parse().expect("a default number in the table is a number"))),
            kind => kind.read_text(text),
        };
        Some(value.unwrap_or_else(|_| unreachable!("the default of `{}` in the table is valid", self.name)))
    }

    /// The default as it would stand in a file (TOML); `None` where there is none.
    pub fn default_text(&self) -> Option<String> {
        let Fallback::Value(text) = self.fallback else { return None };
        Some(match self.kind {
            Kind::Flag | Kind::Number(..) => text.to_owned(),
            _ => format!("\"{text}\""),
        })
    }
}

impl Kind {
    /// The keys of the tables that such a value is or may hold.
    pub fn spec(self) -> Option<&'static Spec> {
        match self {
            Kind::Table(spec) | Kind::Tables(spec) | Kind::TextsOrTables(spec) => Some(spec),
            _ => None,
        }
    }

    /// Reads a text as this kind.
    pub fn read_text(self, text: &str) -> Result<Value, Fault> {
        match self {
            Kind::Size(min, max) => within(units::size(text)?, min, max, units::show_size).map(Value::Number),
            Kind::Share => units::share(text).map(Value::Share),
            Kind::Duration => match units::duration(text)? {
                time if time.is_zero() => Err(Fault::new(format!("{} is no time at all", quoted(text)), self.advice())),
                time => Ok(Value::Time(time)),
            },
            Kind::DurationOrOff => units::duration(text).map(Value::Time),
            Kind::Choice(words) if words.contains(&text) => Ok(Value::Text(text.to_owned())),
            Kind::Choice(words) => {
                let hint = match nearest(text, words) {
                    Some(word) => format!("did you mean \"{word}\"?"),
                    None => format!("write {}", self.describe()),
                };
                Err(Fault::new(format!("{} is not a choice here", quoted(text)), hint))
            }
            Kind::Text if text.is_empty() => {
                Err(Fault::new("the text is empty", "write a value, or leave the key out"))
            }
            Kind::Text => Ok(Value::Text(text.to_owned())),
            _ => Err(self.mismatch(&format!("the text {}", quoted(text)))),
        }
    }

    /// Reads a whole number as this kind.
    pub fn read_number(self, number: u64) -> Result<Value, Fault> {
        match self {
            Kind::Number(min, max) | Kind::Numbers(min, max) => {
                within(number, min, max, |number| number.to_string()).map(Value::Number)
            }
            Kind::Size(min, max) => within(number, min, max, units::show_size).map(Value::Number),
            Kind::Share => Ok(Value::Share(units::Share::Bytes(number))),
            Kind::DurationOrOff if number == 0 => Ok(Value::Time(std::time::Duration::ZERO)),
            Kind::Duration if number == 0 => Err(Fault::new("0 is no time at all", self.advice())),
            Kind::Duration | Kind::DurationOrOff => {
                Err(Fault::new(format!("{number} has no unit"), format!("write \"{number}s\" for {number} seconds")))
            }
            _ => Err(self.mismatch(&format!("the number {number}"))),
        }
    }

    /// Reads a boolean as this kind.
    pub fn read_flag(self, flag: bool) -> Result<Value, Fault> {
        match self {
            Kind::Flag => Ok(Value::Flag(flag)),
            _ => Err(self.mismatch(if flag { "true" } else { "false" })),
        }
    }

    /// The complaint that the value is of another type.
    pub fn mismatch(self, found: &str) -> Fault {
        Fault::new(format!("this must be {}, not {found}", self.describe()), self.advice())
    }

    /// In words, for messages and the reference: `a size`, `"combined" or "json"`.
    pub fn describe(self) -> String {
        match self {
            Kind::Flag => "true or false".to_owned(),
            Kind::Number(min, max) => format!("a whole number from {min} to {max}"),
            Kind::Numbers(min, max) => format!("a list of whole numbers from {min} to {max}"),
            Kind::Size(..) => "a size".to_owned(),
            Kind::Share => "a share or a size".to_owned(),
            Kind::Duration => "a duration".to_owned(),
            Kind::DurationOrOff => "a duration, or \"0s\" for off".to_owned(),
            Kind::Choice(words) => words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or "),
            Kind::Text => "a text".to_owned(),
            Kind::Texts => "a list of texts".to_owned(),
            Kind::TextOrTexts => "a text or a list of texts".to_owned(),
            Kind::Statuses => "a status or a list of them".to_owned(),
            Kind::Times => "a table of statuses and durations".to_owned(),
            Kind::Table(_) => "a table".to_owned(),
            Kind::Pairs => "a table of names and texts".to_owned(),
            Kind::Tables(spec) if !spec.is_headed() => format!("a list of tables: {}", spec.header),
            Kind::Tables(spec) => format!("a list of tables, each headed {}", spec.header),
            Kind::TextsOrTables(_) => "a list of texts or tables".to_owned(),
        }
    }

    /// How to write such a value.
    fn advice(self) -> String {
        match self {
            Kind::Flag => "write true or false, without quotes".to_owned(),
            Kind::Number(..) => "write a plain number, without quotes".to_owned(),
            Kind::Numbers(min, max) => format!("write [{min}, {max}], without quotes"),
            Kind::Size(..) => "write \"256MiB\", \"64KiB\", \"1GiB\" or a number of bytes".to_owned(),
            Kind::Share => "write \"10%\", or a size such as \"8MiB\"".to_owned(),
            Kind::Duration | Kind::DurationOrOff => "write \"30s\", \"250ms\", \"5m\" or \"1h\"".to_owned(),
            Kind::Choice(_) => format!("write {}", self.describe()),
            Kind::Text => "write the value in double quotes".to_owned(),
            Kind::Texts | Kind::TextsOrTables(_) => "write [\"one\", \"two\"]".to_owned(),
            Kind::TextOrTexts => "write \"one\", or [\"one\", \"two\"]".to_owned(),
            Kind::Statuses => "write 404, \"5xx\", or [404, \"5xx\"]".to_owned(),
            Kind::Times => "write { 404 = \"10s\", 5xx = \"0s\" }".to_owned(),
            Kind::Table(spec) if spec.is_headed() => format!("write its keys under {}", spec.header),
            Kind::Table(_) => "write { key = value }".to_owned(),
            Kind::Pairs => "write { \"name\" = \"value\" }".to_owned(),
            Kind::Tables(spec) if !spec.is_headed() => "write [{ key = value }]".to_owned(),
            Kind::Tables(spec) => format!("write {}, in double brackets, above each one's keys", spec.header),
        }
    }
}

fn within(number: u64, min: u64, max: u64, show: fn(u64) -> String) -> Result<u64, Fault> {
    if (min..=max).contains(&number) {
        return Ok(number);
    }
    let word = if number < min { "too small" } else { "too large" };
    Err(Fault::new(
        format!("{} is {word}", show(number)),
        format!("anything from {} to {} will do", show(min), show(max)),
    ))
}

const fn key(name: &'static str, kind: Kind, fallback: Fallback, doc: &'static str, example: &'static str) -> Key {
    Key { name, kind, fallback, doc, example }
}

const fn table(name: &'static str, kind: Kind) -> Key {
    key(name, kind, Fallback::Means("every key has its default"), "", "")
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn check_defaults(spec: &'static Spec) -> usize {
        let mut count = 0;
        for key in spec.keys {
            count += 1;
            assert_eq!(matches!(key.fallback, Fallback::Value(_)), key.default().is_some(), "{}", key.name);
            if let Some(spec) = key.kind.spec() {
                count += check_defaults(spec);
            }
            let has_words = !key.doc.is_empty() && !key.example.is_empty();
            assert!(has_words || key.is_headed(), "{} lacks words", key.name);
            assert_eq!(spec.keys.iter().filter(|other| other.name == key.name).count(), 1, "{} twice", key.name);
        }
        count
    }

    #[test]
    fn every_default_is_valid_and_every_key_has_words() {
        assert!(check_defaults(&ROOT) > 60);
    }

    #[test]
    fn values_out_of_range_are_refused_with_the_range() {
        let fault = Kind::Number(1, 8).read_number(9).unwrap_err();
        assert_eq!((fault.message.as_str(), fault.hint.as_str()), ("9 is too large", "anything from 1 to 8 will do"));
        let fault = Kind::Size(KIB, MIB).read_text("12").unwrap_err();
        assert_eq!(fault.to_string(), "12B is too small; anything from 1KiB to 1MiB will do");
    }

    #[test]
    fn a_number_without_unit_is_not_a_duration() {
        let fault = Kind::Duration.read_number(30).unwrap_err();
        assert_eq!(fault.to_string(), "30 has no unit; write \"30s\" for 30 seconds");
        assert!(Kind::DurationOrOff.read_number(0).is_ok());
        assert!(Kind::Duration.read_text("0s").is_err());
    }
}
