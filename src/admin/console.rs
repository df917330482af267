//! The console: its files as they stand in the `console` folder, kept in the program. Nothing is built or fetched for them.

use std::hash::{DefaultHasher, Hasher};

use super::Desk;
use super::api::{Answered, Row};
use super::reply::Reply;
use super::request::Request;

/// Endpoint by endpoint; all are open, for they hold nothing of this machine's.
pub static ROWS: &[Row] = &[
    Row::get("/", |_, request| file("index.html", request)).open(),
    Row::get("/icon.svg", |_, request| file("icon.svg", request)).open(),
    Row::get("/console/{name}", |_: &Desk, request| file(request.parameter(), request)).open(),
];

/// The file of that name; 304 where the client has it already. Its tag changes with its bytes, so no page ever mixes the
/// files of two versions.
fn file(name: &str, request: &Request) -> Answered {
    let Some((_, media_type, content)) = FILES.iter().find(|(known, _, _)| *known == name) else {
        return Err(Reply::missing("the console has no such file"));
    };
    let etag = etag_of(content);
    let is_known = request.knows(&etag);
    let reply = if is_known { Reply::not_modified() } else { Reply::of(200, media_type, content.as_bytes()) };
    Ok(reply.tagged(&etag).with("Cache-Control", "no-cache"))
}

fn etag_of(content: &str) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(content.as_bytes());
    format!("\"{:016x}\"", hasher.finish())
}

/// A file of the folder with its media type.
macro_rules! file {
    ($name:literal, $media_type:expr) => {
        ($name, $media_type, include_str!(concat!("console/", $name)))
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Name, media type, content.
static FILES: &[(&str, &str, &str)] = &[
    file!("index.html", HTML),
    file!("icon.svg", "image/svg+xml"),
    file!("base.css", CSS),
    file!("pages.css", CSS),
    file!("parts.css", CSS),
    file!("tokens.css", CSS),
    file!("api.js", JS),
    file!("certificates.js", JS),
    file!("change.js", JS),
    file!("chart.js", JS),
    file!("checks.js", JS),
    file!("dom.js", JS),
    file!("fields.js", JS),
    file!("form.js", JS),
    file!("form_prefetch.js", JS),
    file!("form_purge.js", JS),
    file!("format.js", JS),
    file!("frame.js", JS),
    file!("icons.js", JS),
    file!("main.js", JS),
    file!("mores.js", JS),
    file!("names.js", JS),
    file!("names_panel.js", JS),
    file!("origin_more.js", JS),
    file!("page_add.js", JS),
    file!("page_certificates.js", JS),
    file!("page_diagnose.js", JS),
    file!("page_domain.js", JS),
    file!("page_domains.js", JS),
    file!("page_explain.js", JS),
    file!("page_failures.js", JS),
    file!("page_overview.js", JS),
    file!("page_settings.js", JS),
    file!("page_task.js", JS),
    file!("page_tasks.js", JS),
    file!("parts.js", JS),
    file!("router.js", JS),
    file!("section_cache.js", JS),
    file!("section_general.js", JS),
    file!("section_https.js", JS),
    file!("section_origin.js", JS),
    file!("servers.js", JS),
    file!("session.js", JS),
    file!("task_view.js", JS),
    file!("theme.js", JS),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_in_the_program() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/console");
        let there: BTreeSet<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let known: BTreeSet<String> = FILES.iter().map(|(name, _, _)| (*name).to_owned()).collect();
        assert_eq!(there, known);
        assert_eq!(known.len(), FILES.len(), "a file is there twice");
    }

    /// What the content security policy would refuse, found before a browser does; and addresses elsewhere.
    #[test]
    fn no_file_holds_inline_code_or_an_address_elsewhere() {
        let refused =
            ["<style", " style=", " onclick=", "javascript:", "eval(", "innerHTML", "insertAdjacentHTML", "@import"];
        for (name, _, content) in FILES {
            let found: Vec<_> = refused.iter().filter(|word| content.contains(**word)).collect();
            assert!(found.is_empty(), "{name} holds {found:?}");
            let elsewhere = content.lines().filter(|line| line.contains("//") && !line.contains("example"));
            let addresses: Vec<_> = elsewhere
                .filter(|line| line.contains("https://") || line.contains("http://"))
                .filter(|line| !line.contains("http://www.w3.org/2000/svg") && !line.contains("://${"))
                .collect();
            assert!(addresses.is_empty(), "{name}: {addresses:?}");
        }
    }

    /// Every import and every link names a file that is served.
    #[test]
    fn no_import_leads_nowhere() {
        let known = |name: &str| FILES.iter().any(|(known, _, _)| *known == name);
        for (name, _, content) in FILES {
            for part in content.split("from \"./").skip(1).chain(content.split("=\"/console/").skip(1)) {
                let target = part.split('"').next().unwrap();
                assert!(known(target), "{name} names {target}");
            }
        }
    }

    /// Whoever adds a setting of sites to the reference adds its field to the console.
    #[test]
    fn every_setting_of_a_site_has_a_field() {
        let text = crate::config::reference_text();
        let scripts: String = FILES.iter().filter(|(_, kind, _)| *kind == JS).map(|(_, _, content)| *content).collect();
        let is_there = |key: &str| {
            ["\"", "."].iter().any(|before| scripts.contains(&format!("{before}{key}\"")))
                || scripts.contains(&format!("{key}:"))
        };
        let lines = text.lines().skip_while(|line| *line != "[[site]]").take_while(|line| *line != "[cache]");
        let keys: Vec<&str> = lines
            .filter_map(|line| line.strip_prefix("  "))
            .filter(|line| line.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && !line.is_empty())
            .collect();
        assert!(keys.len() > 80, "too few keys found: {keys:?}");
        let missing: Vec<_> = keys.iter().filter(|key| !is_there(key)).collect();
        assert!(missing.is_empty(), "no form has a field for {missing:?}");
    }
}
