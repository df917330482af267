//! Texts made from the reference table: the starter file, the reference, and the file that `--origin` stands for.

use std::fmt::{Arguments, Write};
use std::net::SocketAddr;

use super::names::OriginUrl;
use super::reference::{Fallback, Key, ROOT, Spec};

/// A commented starter file for `millpond init`: valid as written. Every key that it does not set stands in a comment
/// with its default, or with an example where it has none.
pub fn starter_file() -> String {
    let mut text = String::from(STARTER_HEAD);
    for spec in ROOT.tables().into_iter().filter(|spec| spec.is_headed()) {
        text.push('\n');
        push_wrapped(&mut text, "# ", spec.doc);
        // A section whose necessary keys are not given cannot be opened without breaking the file.
        let is_closed = spec.keys.iter().any(|key| key.is_required() && !key.is_headed() && live(spec, key).is_none());
        push(&mut text, format_args!("{}{}\n", if is_closed { "#" } else { "" }, spec.header));
        for key in spec.keys.iter().filter(|key| !key.is_headed()) {
            match key.fallback {
                // The line below shows the value itself.
                Fallback::Value(_) => push_wrapped(&mut text, "# ", key.doc),
                _ => push_wrapped(&mut text, "# ", &format!("{} {}", key.doc, shown_fallback(key))),
            }
            match live(spec, key) {
                Some(value) => push(&mut text, format_args!("{} = {value}\n", key.name)),
                None => push(&mut text, format_args!("#{} = {}\n", key.name, shown_value(key))),
            }
        }
    }
    text
}

/// The reference for `millpond help config`: every section and key with kind, default, meaning and example.
pub fn reference_text() -> String {
    let mut text = String::from(REFERENCE_HEAD);
    for spec in ROOT.tables() {
        push(&mut text, format_args!("\n{}\n", spec.header));
        push_wrapped(&mut text, "  ", spec.doc);
        for key in spec.keys.iter().filter(|key| !key.is_headed()) {
            push(&mut text, format_args!("\n  {}\n", key.name));
            push_wrapped(&mut text, "      ", key.doc);
            push_wrapped(&mut text, "      ", &format!("Value: {}. {}", key.kind.describe(), shown_fallback(key)));
            push_wrapped(&mut text, "      ", &format!("Example: {} = {}", key.name, key.example));
        }
    }
    text
}

/// The file that `serve --origin URL` stands for.
pub(super) fn file_for_origin(origin: &OriginUrl, listen: SocketAddr, keep_host: bool) -> String {
    let OriginUrl { is_tls, host, name } = origin;
    let mut text = format!("[listen]\nhttp = \"{listen}\"\n[[site]]\ndefault = true\n[site.origin]\n");
    push(&mut text, format_args!("servers = [\"{host}\"]\n"));
    push(&mut text, format_args!("protocol = \"{}\"\n", if *is_tls { "https" } else { "http" }));
    if !keep_host {
        push(&mut text, format_args!("host = \"{host}\"\n"));
    }
    // An address is no SNI; the Host stands in for it.
    if let Some(name) = name {
        push(&mut text, format_args!("sni = \"{name}\"\n"));
    }
    text
}

/// The value that the starter file gives a key.
fn live(spec: &Spec, key: &Key) -> Option<&'static str> {
    LIVE.iter().find(|(header, name, _)| *header == spec.header && *name == key.name).map(|(.., value)| *value)
}

fn shown_value(key: &Key) -> String {
    key.default_text().unwrap_or_else(|| key.example.to_owned())
}

/// What holds without the key, as a sentence.
fn shown_fallback(key: &Key) -> String {
    match key.fallback {
        Fallback::Value(_) => format!("Default: {}.", shown_value(key)),
        Fallback::Means(words) => format!("Default: {words}."),
        Fallback::Required(words) => format!("Required: {words}."),
    }
}

/// Words in lines of at most `WIDTH` characters, each after `prefix`.
fn push_wrapped(text: &mut String, prefix: &str, words: &str) {
    let mut line = String::from(prefix);
    for word in words.split(' ') {
        if line.len() > prefix.len() && line.chars().count() + word.chars().count() > WIDTH {
            push(text, format_args!("{}\n", line.trim_end()));
            line.truncate(prefix.len());
        }
        line.push_str(word);
        line.push(' ');
    }
    push(text, format_args!("{}\n", line.trim_end()));
}

fn push(text: &mut String, words: Arguments<'_>) {
    text.write_fmt(words).expect("writing to a String cannot fail");
}

/// What the starter file sets: section, key, value.
const LIVE: &[(&str, &str, &str)] = &[
    ("[listen]", "http", r#""127.0.0.1:8080""#),
    ("[[site]]", "domains", r#"["www.example.com"]"#),
    ("[site.origin]", "servers", r#"["origin.example.net"]"#),
    ("[site.origin]", "protocol", r#""https""#),
    ("[site.origin]", "host", r#""www.example.com""#),
];

const STARTER_HEAD: &str = r##"# Millpond's configuration (TOML).
#
# Where a "#" touches a key, that key is not set: it shows its default, or an example where there is none. Remove the
# "#" to set it. All other comments are explanations.
#
#   millpond check --config FILE    says what is wrong with this file, line by line
#   millpond serve --config FILE    serves it
#   millpond help config            explains every key
#
# To begin, set domains to the names that your visitors use, and servers to where the content is.
"##;

const REFERENCE_HEAD: &str = r#"The configuration file, section by section. It is TOML.

  Sizes are bytes or "64KiB", "512MiB", "2GiB" (KB, MB, GB are powers of ten).
  Durations are "250ms", "30s", "5m", "1h", "1d".
  Paths are relative to the folder of the file.
  A key that is not listed here is refused, so that no slip of the pen is taken for a setting.
  millpond init writes a file to start from; millpond check --config FILE checks one.
"#;

/// Columns of wrapped text.
const WIDTH: usize = 110;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    #[test]
    fn the_starter_file_is_valid_as_written_and_raises_no_doubt() {
        let config = Config::parse(&starter_file(), Path::new("millpond.toml")).unwrap();
        assert_eq!(config.warnings(), []);
        assert_eq!(config.sites[0].domains, ["www.example.com"]);
    }

    #[test]
    fn the_starter_file_stays_valid_with_every_comment_of_a_setting_removed() {
        let is_setting = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
        let text = starter_file();
        let all: Vec<&str> =
            text.lines().map(|line| if is_setting(line) { line.trim_start_matches('#') } else { line }).collect();
        let config = Config::parse(&all.join("\n"), Path::new("millpond.toml")).map_err(shown).unwrap();
        assert!(config.sites[0].https.is_some());
        assert!(config.sites[0].origin.http_port.is_some());
    }

    #[test]
    fn every_example_is_valid() {
        fn check(spec: &'static Spec, around: &dyn Fn(&str) -> String) {
            for key in spec.keys.iter().filter(|key| !key.is_headed()) {
                let text = around(&format!("{} = {}", key.name, key.example));
                if let Err(problems) = Config::parse(&text, Path::new("millpond.toml")) {
                    let key = format!(".{}: ", key.name);
                    let of_key: Vec<_> = problems
                        .iter()
                        .filter(|problem| !problem.is_warning && problem.to_string().contains(&key))
                        .collect();
                    assert!(of_key.is_empty(), "{of_key:?}\n{text}");
                }
            }
        }
        for spec in ROOT.tables() {
            match spec.header {
                "servers = [{ … }]" => {
                    check(spec, &|line| format!("[[site]]\ndefault = true\n[site.origin]\nservers = [{{ {line} }}]"))
                }
                "ports = { … }" => check(spec, &|line| format!("[[site]]\n[site.origin]\nports = {{ {line} }}")),
                "rewrite = [{ … }]" => {
                    check(spec, &|line| format!("[[site]]\n[site.origin.request]\nrewrite = [{{ {line} }}]"))
                }
                "query = { … }" => {
                    check(spec, &|line| format!("[[site]]\n[site.origin.request]\nquery = {{ {line} }}"))
                }
                header if header.contains("site.") => check(spec, &|line| format!("[[site]]\n{header}\n{line}")),
                "[[site]]" => check(spec, &|line| format!("[[site]]\n{line}\n[site.origin]\nhost = \"a.example\"")),
                header => check(spec, &|line| format!("{header}\n{line}")),
            }
        }
    }

    #[test]
    fn the_reference_names_every_key_and_stays_within_its_width() {
        let text = reference_text();
        for spec in ROOT.tables() {
            for key in spec.keys.iter().filter(|key| !key.is_headed()) {
                assert!(text.contains(&format!("\n  {}\n", key.name)), "{}", key.name);
            }
        }
        assert!(text.lines().chain(starter_file().lines()).all(|line| line.chars().count() <= 120));
    }

    fn shown(problems: Vec<super::super::Problem>) -> String {
        problems.iter().map(|problem| format!("{problem}\n")).collect()
    }
}
