//! The house rules, enforced on the sources: imports point up to the floors drawn in `src/lib.rs`, outside crates have one
//! door each, files and functions stay small, nothing is unwrapped or left unfinished.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "layers/rules.rs"]
mod rules;
#[path = "layers/source.rs"]
mod source;

use std::fs;
use std::path::Path;

use rules::{Door, check, crates_without_door};
use source::Source;

/// Who may name which outside crate (architecture section 3, decisions 27). Test code is exempt.
const DOORS: &[Door] = &[
    ("crossbeam_channel", &["pool", "server", "observe", "edge/keeper"]),
    ("dns_lookup", &["origin/lookup"]),
    ("env_logger", &["bin"]),
    ("httparse", &["http1/head"]),
    // Besides observe, edge and the program: faults of the machine that no exchange could carry to them.
    ("log", &["observe", "edge", "bin", "tls", "admin", "origin/resolver", "origin/health", "origin/checks"]),
    ("lru", &["store/lru"]),
    ("miniz_oxide", &["task/sources/gzip"]),
    ("mio", &["server"]),
    ("rcgen", &["bin/millpond/demo", "bin/millpond/demo_origin", "fuzzed"]),
    ("ring", &["tls", "admin/access", "bin/millpond/demo", "bin/millpond/demo_origin"]),
    ("rustix", &["server", "origin", "store", "edge"]),
    ("rustls", &["tls", "origin", "server", "bin/millpond/demo", "bin/millpond/demo_origin", "fuzzed"]),
    ("rustls_native_certs", &["tls"]),
    ("serde", &["config"]),
    ("serde_json", &["admin", "bin"]),
    ("signal_hook", &["bin"]),
    ("socket2", &["server", "origin"]),
    ("toml", &["config"]),
    ("toml_edit", &["config/written"]),
    ("ureq", &["origin/client", "origin/request", "origin/transport"]),
    ("ureq::unversioned", &["origin/transport"]),
    ("webpki_roots", &["tls"]),
];

#[test]
fn the_house_stands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    read_sources(&root.join("src"), "", &mut sources);
    assert!(sources.len() > 10, "too few sources found: {}", sources.len());
    let mut offences = check(&sources, DOORS);
    offences.extend(crates_without_door(&fs::read_to_string(root.join("Cargo.toml")).unwrap(), DOORS));
    assert!(offences.is_empty(), "{} offences against the house rules:\n{}", offences.len(), offences.join("\n"));
}

fn read_sources(folder: &Path, prefix: &str, sources: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read_sources(&entry.path(), &format!("{name}/"), sources);
        } else if name.ends_with(".rs") {
            sources.push(Source::new(&name, &fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

/// A house of four rooms; the last file is the one under test.
const GUIDE: &str = "
// Floor 0, words.
mod error; mod time;
// Floor 1, parts.
pub mod pool;
mod store;
// Roof: the whole.
mod edge;
pub use error::Error;
pub use edge::{Edge, Stats};
";

/// The offences of one file in the small house, without the `src/path:` part.
fn offences_of(path: &str, text: &str) -> Vec<String> {
    let others = ["error.rs", "time.rs", "pool.rs", "store/mod.rs", "edge.rs"];
    let mut sources = vec![Source::new("lib.rs", GUIDE)];
    sources.extend(others.iter().filter(|other| **other != path).map(|other| Source::new(other, "")));
    sources.push(Source::new(path, text));
    let doors: &[Door] = &[("lru", &["store/lru"]), ("ureq", &["store", "pool"]), ("ureq::unversioned", &["store"])];
    let prefix = format!("src/{path}:");
    check(&sources, doors).iter().map(|o| o.strip_prefix(&prefix).unwrap_or(o).to_owned()).collect()
}

/// Each row: a file, its text, and a part of each offence that must be found, in order; nothing else may be.
fn assert_offences(rows: &[(&str, &str, &[&str])]) {
    for (path, text, expected) in rows {
        let found = offences_of(path, text);
        let agree = found.len() == expected.len() && found.iter().zip(*expected).all(|(f, e)| f.contains(e));
        let start: String = text.chars().take(200).collect();
        assert!(agree, "{path}: {start}\nexpected {expected:#?}\nfound {found:#?}");
    }
}

#[test]
fn imports_from_a_floor_above_pass() {
    assert_offences(&[
        ("pool.rs", "use crate::time::Now; use crate::{Error, error as e};", &[]),
        ("store/lru.rs", "use super::Budget; use super::super::time::Now; use crate::store::x;", &[]),
        ("edge.rs", "use crate::{pool::{Pool, Full}, store::Store, time};", &[]),
        ("pool.rs", "pub(crate) fn f() {} // crate::edge\n/* crate::edge */ const S: &str = \"crate::edge\";", &[]),
        ("bin/main.rs", "use millpond::Edge; fn f() { crate::cli::run() }", &[]),
    ]);
}

#[test]
fn imports_sideways_and_downward_are_offences() {
    assert_offences(&[
        ("pool.rs", "\nuse crate::store::Store;", &["2: `pool` imports `store`, on the same floor"]),
        ("pool.rs", "use super::edge;", &["1: `pool` imports `edge`, on a floor below"]),
        ("time.rs", "use crate::error::Error;", &["same floor"]),
        ("time.rs", "use crate::Error;", &["imports `Error`, on the same floor"]),
        ("pool.rs", "use crate::Stats;", &["imports `Stats`, on a floor below"]),
        ("store/lru.rs", "use super::super::{time, pool::{Pool, error}};", &["imports `pool`"]),
        ("store/mod.rs", "use crate::{\n  time::Now,\n  edge::Edge,\n};", &["3: `store` imports `edge`"]),
        ("store/mod.rs", "fn f(x: &crate::edge::Edge) {}", &["imports `edge`"]),
        (
            "store/mod.rs",
            "mod inner { use super::super::edge; use super::Store; }\nuse super::pool;",
            &["edge", "pool"],
        ),
        ("store/mod.rs", "#[cfg(test)] mod tests { use crate::edge::Edge; }", &["imports `edge`"]),
        ("store/mod.rs", "use crate::nothing::X;", &["imports `nothing`, which is no room"]),
        ("cellar.rs", "", &["src/lib.rs: `cellar` stands on no floor"]),
    ]);
}

#[test]
fn outside_crates_are_named_behind_their_doors_only() {
    assert_offences(&[
        ("store/lru.rs", "use lru::LruCache; use ::lru::X;", &[]),
        ("store/mod.rs", "mod lru; use self::{lru::Shard}; fn f() { lru::g(); x.lru::<u8>(); let lru = 1; }", &[]),
        ("store/mod.rs", "#[cfg(test)] mod tests { use lru::LruCache; }\n#[test] fn t() { lru::f() }", &[]),
        ("store/tests_lru.rs", "use lru::LruCache;", &[]),
        ("pool.rs", "use lru::LruCache;", &["1: `lru` may be named in: store/lru"]),
        ("pool.rs", "use lru;", &["`lru` may"]),
        ("pool.rs", "use ::lru as cache;", &["`lru` may"]),
        ("store/mod.rs", "mod lru; use ::lru::LruCache;", &["`lru` may"]),
        ("pool.rs", "fn f() -> lru::LruCache<u8, u8> {}", &["`lru` may"]),
        ("pool.rs", "#[cfg(not(test))] use lru::LruCache;", &["`lru` may"]),
        ("pool.rs", "#[cfg(test)] use std::io; use lru::X;", &["`lru` may"]),
        ("pool.rs", "use ureq::Agent; use ureq::unversioned::transport::Buffers;", &["`ureq::unversioned` may"]),
        ("pool.rs", "use ureq::{Agent, unversioned::transport};", &["`ureq::unversioned` may"]),
        ("store/mod.rs", "use ureq::{Agent, unversioned::transport};", &[]),
    ]);
}

#[test]
fn sizes_are_limited() {
    let long_file = "// line\n".repeat(401);
    let long_function = format!("fn long(s: [u8; 2]) {{\n{}}}\nfn short();\n", "    f(\"}\", '}');\n".repeat(59));
    let fitting = format!("fn fits() {{\n{}}}\n", "    f();\n".repeat(58));
    assert_offences(&[
        ("pool.rs", &long_file, &[" 401 lines, the limit is 400"]),
        ("store/tests.rs", &long_file, &[]),
        ("store/tests.rs", &"// line\n".repeat(601), &["601 lines, the limit is 600"]),
        ("pool.rs", &long_function, &["1: `fn long` has 61 lines, the limit is 60"]),
        ("pool.rs", &format!("#[cfg(test)]\nmod tests {{\n{long_function}}}"), &["`fn long` has 61"]),
        ("pool.rs", &fitting, &[]),
    ]);
}

#[test]
fn unwraps_and_unfinished_work_are_offences() {
    let unfinished = ["TO", "DO"].concat();
    assert_offences(&[
        ("pool.rs", "fn f() {\n x.unwrap();\n}", &["2: `unwrap()` outside tests"]),
        ("pool.rs", "fn f() { x.unwrap_or(1); x.expect(\"why\"); } // x.unwrap()", &[]),
        ("pool.rs", "#[cfg(test)]\nmod tests { fn f<'a>(s: &'a str) { x.unwrap(); } }", &[]),
        ("pool.rs", "#[cfg(test)] mod tests { fn f() {} }\nfn f() { x.unwrap(); }", &["2: `unwrap()`"]),
        ("pool.rs", &format!("// {unfinished}: later"), &["1: unfinished: //"]),
        ("pool.rs", "fn f(s: r#type) { r#\"x.unwrap()\"#; b'\\''; '\"'; x.unwrap() }", &["`unwrap()`"]),
    ]);
}

#[test]
fn every_dependency_needs_a_door() {
    let manifest =
        "[dependencies]\n# a comment = 1\nlru = \"1\"\nleft-pad = { version = \"1\" }\n[dev-dependencies]\nx = 1\n";
    assert_eq!(
        crates_without_door(manifest, &[("lru", &[])]),
        ["Cargo.toml: crate `left_pad` has no door in tests/layers.rs"]
    );
}
