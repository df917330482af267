//! Every command and option, once: the parser, the suggestions and the tests read this table.

use super::{Topic, operate};

/// One command and what may follow it.
pub(super) struct CommandSpec {
    pub name: &'static str,
    pub topic: Topic,
    pub options: &'static [OptionSpec],
    /// It takes one argument without dashes.
    pub takes_argument: bool,
}

impl CommandSpec {
    /// It takes any number of arguments without dashes.
    pub(super) fn takes_many(&self) -> bool {
        self.topic == Topic::Prefetch
    }
}

/// One option: its name, and what its value is, if it takes one.
pub(super) struct OptionSpec {
    pub name: &'static str,
    pub value: Option<&'static str>,
    /// It may be given more than once.
    pub is_repeatable: bool,
}

const CONFIG: OptionSpec = OptionSpec { name: "--config", value: Some("FILE"), is_repeatable: false };
const FIELD: OptionSpec = OptionSpec { name: "-H", value: Some("'Name: value'"), is_repeatable: true };

/// Every command, in the order of the help.
pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "serve",
        topic: Topic::Serve,
        options: &[
            CONFIG,
            OptionSpec { name: "--origin", value: Some("URL"), is_repeatable: false },
            OptionSpec { name: "--listen", value: Some("ADDRESS:PORT"), is_repeatable: false },
            OptionSpec { name: "--keep-host", value: None, is_repeatable: false },
            OptionSpec { name: "--require-healthy", value: None, is_repeatable: false },
        ],
        takes_argument: false,
    },
    CommandSpec {
        name: "check",
        topic: Topic::Check,
        options: &[CONFIG, OptionSpec { name: "--live", value: None, is_repeatable: false }],
        takes_argument: false,
    },
    CommandSpec {
        name: "doctor",
        topic: Topic::Doctor,
        options: &[
            CONFIG,
            OptionSpec { name: "--origin", value: Some("URL"), is_repeatable: false },
            OptionSpec { name: "--sni", value: Some("NAME"), is_repeatable: false },
            OptionSpec { name: "--host", value: Some("NAME"), is_repeatable: false },
            OptionSpec { name: "--json", value: None, is_repeatable: false },
        ],
        takes_argument: true,
    },
    CommandSpec {
        name: "explain",
        topic: Topic::Explain,
        options: &[
            CONFIG,
            FIELD,
            OptionSpec { name: "-R", ..FIELD },
            OptionSpec { name: "--status", value: Some("STATUS"), is_repeatable: false },
        ],
        takes_argument: true,
    },
    CommandSpec { name: "init", topic: Topic::Init, options: &[], takes_argument: true },
    CommandSpec {
        name: "demo",
        topic: Topic::Demo,
        options: &[OptionSpec { name: "--once", value: None, is_repeatable: false }],
        takes_argument: false,
    },
    CommandSpec {
        name: "failures",
        topic: Topic::Failures,
        options: &[
            CONFIG,
            OptionSpec { name: "--state", value: Some("DIR"), is_repeatable: false },
            OptionSpec { name: "--json", value: None, is_repeatable: false },
        ],
        takes_argument: true,
    },
    CommandSpec { name: "dashboard", topic: Topic::Dashboard, options: &[], takes_argument: false },
    CommandSpec {
        name: "service",
        topic: Topic::Service,
        options: &[CONFIG, OptionSpec { name: "--socket", value: None, is_repeatable: false }],
        takes_argument: false,
    },
    CommandSpec { name: "prefetch", topic: Topic::Prefetch, options: operate::PREFETCH, takes_argument: true },
    CommandSpec { name: "purge", topic: Topic::Purge, options: operate::PURGE, takes_argument: false },
    CommandSpec { name: "tasks", topic: Topic::Tasks, options: operate::TASKS, takes_argument: true },
    CommandSpec { name: "help", topic: Topic::Help, options: &[], takes_argument: true },
];
