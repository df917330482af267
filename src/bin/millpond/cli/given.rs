//! The arguments of one command, sorted by its table row.

use std::ffi::OsString;

use super::Usage;
use super::table::CommandSpec;
use super::words::suggestion;

/// What a line that begins with a command asks for.
pub(super) enum Line {
    /// The command.
    Given(Given),
    /// Its help.
    Help,
    /// The program's version, as it may be asked for anywhere.
    Version,
}

/// What was given to a command.
pub(super) struct Given {
    pub spec: &'static CommandSpec,
    /// Options with their values; empty for those without one.
    pub options: Vec<(&'static str, OsString)>,
    /// What stands without dashes.
    pub argument: Option<OsString>,
    /// What else does, where a command takes many.
    pub further: Vec<OsString>,
}

impl Given {
    /// Sorts the arguments of a command, unless something else is asked for among them.
    pub fn read(spec: &'static CommandSpec, mut arguments: impl Iterator<Item = OsString>) -> Result<Line, Usage> {
        let mut given = Given { spec, options: Vec::new(), argument: None, further: Vec::new() };
        while let Some(argument) = arguments.next() {
            let text = argument.to_string_lossy().into_owned();
            match text.as_str() {
                "-h" | "--help" => return Ok(Line::Help),
                "-V" | "--version" => return Ok(Line::Version),
                _ => {}
            }
            if text.starts_with('-') && text.len() > 1 {
                given.option(&argument, &text, &mut arguments)?;
            } else {
                given.plain(argument)?;
            }
        }
        Ok(Line::Given(given))
    }

    /// `--name`, `--name value` or `--name=value`.
    fn option(
        &mut self,
        argument: &OsString,
        text: &str,
        rest: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), Usage> {
        let (name, attached) = match text.split_once('=').filter(|_| text.starts_with("--")) {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let Some(option) = self.spec.options.iter().find(|option| option.name == name) else {
            return Err(self.unknown_option(name));
        };
        if !option.is_repeatable && self.option_value(option.name).is_some() {
            return Err(self.usage(format!("{name} is given twice"), "give it once"));
        }
        let value = match (option.value, attached) {
            (None, None) => OsString::new(),
            (None, Some(_)) => return Err(self.usage(format!("{name} takes no value"), "leave the = out")),
            (Some(what), None) => match rest.next() {
                Some(value) if !value.to_string_lossy().starts_with("--") => value,
                _ => return Err(self.usage(format!("{name} lacks its value"), &format!("write {name} {what}"))),
            },
            (Some(_), Some(value)) if argument.to_str().is_some() => value.into(),
            // Cutting at the = would change a path that is not UTF-8.
            (Some(what), Some(_)) => {
                return Err(self.usage(format!("{name}= takes only UTF-8"), &format!("write {name} {what}")));
            }
        };
        if value.is_empty() && option.value.is_some() {
            return Err(self.usage(format!("{name} has an empty value"), "write one, or leave the option out"));
        }
        self.options.push((option.name, value));
        Ok(())
    }

    fn plain(&mut self, argument: OsString) -> Result<(), Usage> {
        let shown = argument.to_string_lossy().into_owned();
        if !self.spec.takes_argument {
            let hint = match self.spec.options.iter().find_map(|option| option.value.map(|_| option.name)) {
                Some(name) => format!("did you mean {name} {shown}?"),
                None => "leave it out".to_owned(),
            };
            return Err(self.usage(format!("{} takes no argument like \"{shown}\"", self.spec.name), &hint));
        }
        if self.argument.is_some() && self.spec.takes_many() {
            self.further.push(argument);
            return Ok(());
        }
        if self.argument.is_some() {
            return Err(self.usage(format!("\"{shown}\" is one argument too many"), "give one"));
        }
        self.argument = Some(argument);
        Ok(())
    }

    /// What was given with an option; empty for one without a value.
    pub fn option_value(&self, name: &str) -> Option<&OsString> {
        self.options.iter().find(|(given, _)| *given == name).map(|(_, value)| value)
    }

    pub fn text(&self, name: &str, value: &OsString) -> Result<String, Usage> {
        let text = value.to_str().ok_or_else(|| self.usage(format!("{name} is not UTF-8"), "write plain text"))?;
        Ok(text.to_owned())
    }

    fn unknown_option(&self, name: &str) -> Usage {
        let words: Vec<&str> = self.spec.options.iter().map(|option| option.name).collect();
        let hint = suggestion(name, &words, str::to_owned).unwrap_or_else(|| match words.as_slice() {
            [] => format!("{} has no options", self.spec.name),
            words => format!("{} knows {}", self.spec.name, words.join(", ")),
        });
        self.usage(format!("{} has no option {name}", self.spec.name), &hint)
    }

    pub fn usage(&self, message: String, hint: &str) -> Usage {
        Usage::new(message, format!("{hint} (see millpond help {})", self.spec.name))
    }
}
