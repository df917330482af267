//! The house rules as functions of sources: each looks at all files and returns its offences, one line each.

use std::collections::{BTreeMap, HashSet};

use super::source::{Source, is_word};

/// Which floor each room stands on, and where the names that `lib.rs` re-exports live.
pub struct House {
    floors: BTreeMap<String, usize>,
    exports: BTreeMap<String, String>,
}

/// An outside crate (or a path in it) and the only places that may name it: prefixes of paths below `src`, without `.rs`.
pub type Door = (&'static str, &'static [&'static str]);

pub const MAX_FILE: usize = 400;
pub const MAX_TEST_FILE: usize = 600;
pub const MAX_FUNCTION: usize = 60;

/// All offences against all rules.
pub fn check(sources: &[Source], doors: &[Door]) -> Vec<String> {
    let Some(guide) = sources.iter().find(|source| source.path == "lib.rs") else {
        return vec!["src/lib.rs is missing".into()];
    };
    let house = House::read(guide);
    let mut offences = house.rooms_without_floor(sources);
    for source in sources {
        offences.extend(imports(source, &house));
        offences.extend(outside_crates(source, doors));
        offences.extend(sizes(source));
        offences.extend(unwraps(source));
        offences.extend(unfinished(source));
    }
    offences
}

/// Every dependency must have a door, or nothing would guard it.
pub fn crates_without_door(manifest: &str, doors: &[Door]) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| line.trim() != "[dependencies]").skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('=').map(|(name, _)| name.trim().replace('-', "_")))
        .filter(|name| !name.starts_with('#') && !doors.iter().any(|(door, _)| door == name))
        .map(|name| format!("Cargo.toml: crate `{name}` has no door in tests/layers.rs"))
        .collect()
}

impl House {
    /// Reads the drawing: `// Floor N` comments and the `mod` lines below each; the roof comes last.
    pub fn read(guide: &Source) -> House {
        let mut house = House { floors: BTreeMap::new(), exports: BTreeMap::new() };
        let mut floor = None;
        for line in guide.text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("// Floor ") {
                floor = rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|number| number.parse().ok());
            } else if line.starts_with("// Roof") {
                floor = Some(usize::MAX);
            }
            let declared = line.split(';').filter_map(|part| part.trim().rsplit_once("mod ")).map(|(_, name)| name);
            if let (Some(floor), false) = (floor, line.starts_with("//")) {
                house.floors.extend(declared.map(|name| (name.trim().to_owned(), floor)));
            }
        }
        house.exports = exports(guide);
        house
    }

    /// The room that a name below `crate::` belongs to, and its floor.
    fn room<'a>(&'a self, name: &'a str) -> Option<(&'a str, usize)> {
        let room = self.exports.get(name).map_or(name, String::as_str);
        self.floors.get(room).map(|&floor| (room, floor))
    }

    fn rooms_without_floor(&self, sources: &[Source]) -> Vec<String> {
        let rooms: HashSet<String> = sources.iter().filter_map(|source| source.module().into_iter().next()).collect();
        let mut unknown: Vec<String> =
            rooms.into_iter().filter(|room| room != "bin" && !self.floors.contains_key(room)).collect();
        unknown.sort();
        unknown.iter().map(|room| format!("src/lib.rs: `{room}` stands on no floor")).collect()
    }
}

/// `pub use room::{Name, Other};` in `lib.rs`: each name with its room.
fn exports(guide: &Source) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut index = 0;
    while index < guide.tokens.len() {
        if guide.at(index) != "use" {
            index += 1;
            continue;
        }
        let start = if guide.at(index + 1) == "crate" { index + 3 } else { index + 1 };
        index = start;
        while index < guide.tokens.len() && guide.at(index) != ";" {
            index += 1;
            if is_word(guide.at(index)) && guide.at(index + 1) != "::" {
                found.insert(guide.at(index).to_owned(), guide.at(start).to_owned());
            }
        }
    }
    found
}

/// A module imports only from floors above its own, written as `crate::x`, as `super::x` or inside a `use` tree.
fn imports(source: &Source, house: &House) -> Vec<String> {
    let module = source.module();
    let own = match module.first() {
        None => return Vec::new(),
        Some(room) if room == "bin" => return Vec::new(),
        Some(room) => room,
    };
    let Some((_, floor)) = house.room(own) else { return Vec::new() };
    let mut offences = Vec::new();
    for (name, line) in names_at_root(source) {
        let why = match house.room(&name) {
            Some((room, _)) if room == own => continue,
            Some((_, other)) if other < floor => continue,
            Some((_, other)) if other == floor => "on the same floor",
            Some(_) => "on a floor below",
            None => "which is no room",
        };
        offences.push(format!("src/{}:{line}: `{own}` imports `{name}`, {why}", source.path));
    }
    offences
}

/// Every name that the file takes from the crate's root, with its line.
fn names_at_root(source: &Source) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut inline: Vec<(usize, usize)> = Vec::new();
    let mut depth = 0usize;
    for (index, token) in source.tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => {
                depth += 1;
                if index >= 2 && source.at(index - 2) == "mod" {
                    inline.push((depth, index));
                }
            }
            "}" => {
                inline.pop_if(|(opened, _)| *opened == depth);
                depth = depth.saturating_sub(1);
            }
            "crate" | "super" if index == 0 || source.at(index - 1) != "::" => {
                let level = source.module().len() + inline.len();
                if let Some(at) = root_of_path(source, index, level) {
                    names_in_tree(source, at, &mut found);
                }
            }
            _ => {}
        }
    }
    found
}

/// Where the path that begins at `start` has arrived at the crate's root: the index of what follows; `None` if it stays below.
fn root_of_path(source: &Source, start: usize, level: usize) -> Option<usize> {
    let mut level = if source.at(start) == "crate" { 0 } else { level.saturating_sub(1) };
    let mut index = start + 1;
    while source.at(index) == "::" && source.at(index + 1) == "super" {
        level = level.saturating_sub(1);
        index += 2;
    }
    (level == 0 && source.at(index) == "::").then_some(index + 1)
}

/// The first names of a path or of each branch of a `{…}` tree.
fn names_in_tree(source: &Source, start: usize, found: &mut Vec<(String, usize)>) {
    let mut push = |index: usize| {
        if let Some(token) = source.tokens.get(index).filter(|token| token.text != "self") {
            found.push((token.text.clone(), token.line));
        }
    };
    if source.at(start) != "{" {
        return push(start);
    }
    let mut depth = 0usize;
    for index in start..source.tokens.len() {
        match source.at(index) {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
        let begins_branch = depth == 1 && matches!(source.at(index), "{" | ",") && source.at(index + 1) != "}";
        if begins_branch {
            push(index + 1);
        }
    }
}

/// An outside crate is named only behind its door. Test code may name what it likes.
fn outside_crates(source: &Source, doors: &[Door]) -> Vec<String> {
    let mut offences = Vec::new();
    let own_names = own_names(source);
    for (index, token) in source.tokens.iter().enumerate() {
        let paths = crate_paths(source, index);
        let is_own = own_names.contains(token.text.as_str()) && source.at(index.wrapping_sub(1)) != "::";
        if paths.is_empty() || is_own || source.is_test_code(index) {
            continue;
        }
        for (door, places) in doors.iter().filter(|(door, _)| paths.iter().any(|path| leads_through(path, door))) {
            if !places.iter().any(|place| is_below(&source.path, place)) {
                let places = places.join(", ");
                offences.push(format!("src/{}:{}: `{door}` may be named in: {places}", source.path, token.line));
            }
        }
    }
    offences
}

/// The paths that begin with the word at `index`, one for each branch of a `use` tree; none inside a path or elsewhere.
fn crate_paths(source: &Source, index: usize) -> Vec<String> {
    let before = |back: usize| index.checked_sub(back).map_or("", |at| source.at(at));
    let is_import = before(1) == "use" || before(1) == "::" && before(2) == "use";
    let is_inside = before(1) == "." || before(1) == "::" && !is_import && (is_word(before(2)) || before(2) == ">");
    if !is_word(source.at(index)) || is_inside || !(is_import || source.at(index + 1) == "::") {
        return Vec::new();
    }
    let mut path = source.at(index).to_owned();
    let mut at = index + 1;
    while source.at(at) == "::" && is_word(source.at(at + 1)) {
        path = path + "::" + source.at(at + 1);
        at += 2;
    }
    let mut branches = Vec::new();
    if (source.at(at), source.at(at + 1)) == ("::", "{") {
        names_in_tree(source, at + 1, &mut branches);
    }
    let mut paths: Vec<String> = branches.iter().map(|(branch, _)| format!("{path}::{branch}")).collect();
    paths.push(path);
    paths
}

/// Does a path lead through the door `krate` or `krate::part`?
fn leads_through(path: &str, door: &str) -> bool {
    path.strip_prefix(door).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_below(path: &str, place: &str) -> bool {
    let stem = path.trim_end_matches(".rs");
    stem.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Modules that the file declares or imports from the house: `mod lru;` makes `lru::X` a path of our own.
fn own_names(source: &Source) -> HashSet<&str> {
    let mut own = HashSet::new();
    let mut is_house_import = false;
    for index in 0..source.tokens.len() {
        match source.at(index) {
            "mod" => _ = own.insert(source.at(index + 1)),
            "use" => is_house_import = matches!(source.at(index + 1), "crate" | "super" | "self"),
            ";" => is_house_import = false,
            word if is_house_import && is_word(word) => _ = own.insert(word),
            _ => {}
        }
    }
    own
}

fn sizes(source: &Source) -> Vec<String> {
    let limit = if source.is_test_file() { MAX_TEST_FILE } else { MAX_FILE };
    let lines = source.text.lines().count();
    let mut offences = Vec::new();
    if lines > limit {
        offences.push(format!("src/{}: {lines} lines, the limit is {limit}", source.path));
    }
    for function in source.functions().iter().filter(|function| function.lines > MAX_FUNCTION) {
        let (path, line, name, lines) = (&source.path, function.line, &function.name, function.lines);
        offences.push(format!("src/{path}:{line}: `fn {name}` has {lines} lines, the limit is {MAX_FUNCTION}"));
    }
    offences
}

fn unwraps(source: &Source) -> Vec<String> {
    let is_unwrap =
        |&index: &usize| source.at(index) == "unwrap" && source.at(index + 1) == "(" && source.at(index + 2) == ")";
    let found = (0..source.tokens.len()).filter(is_unwrap).filter(|&index| !source.is_test_code(index));
    found
        .filter_map(|index| source.tokens.get(index))
        .map(|token| format!("src/{}:{}: `unwrap()` outside tests", source.path, token.line))
        .collect()
}

fn unfinished(source: &Source) -> Vec<String> {
    let marks = ["TODO", "FIXME"];
    let has_mark = |line: &str| line.split(|c: char| !c.is_alphanumeric()).any(|word| marks.contains(&word));
    let lines = source.text.lines().enumerate().filter(|(_, line)| has_mark(line));
    lines.map(|(number, line)| format!("src/{}:{}: unfinished: {}", source.path, number + 1, line.trim())).collect()
}
