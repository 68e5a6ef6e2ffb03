//! Arrows between modules: none uses one that uses it, through any number of others, and rooms use those below.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What may be used from where, lowest first. A room's modules may use each other and rooms below.
const ROOMS: [&str; 13] =
    ["error", "memory", "tensor", "schedule", "host", "gpu", "device", "op", "ops", "graph", "files", "model", "eval"];

/// A module's path from the crate's root: `model`, `architecture`, `langflow`.
type Module = Vec<String>;

/// A text without its tests.
fn code(text: &str) -> String {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or("").to_owned()
}

/// Modules and the text of each, without its tests.
fn modules(folder: &Path, of: &[String], all: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            modules(&path, &[of, &[name]].concat(), all);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        all.insert(if name == "mod" { of.to_vec() } else { [of, &[name]].concat() }, code(&text));
    }
}

/// Every path in `text` that begins with `start`, without `start`; of a list in braces each of its members.
fn paths<'a>(text: &'a str, start: &str) -> Vec<Vec<&'a str>> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut all = Vec::new();
    for line in text.split(';').flat_map(|statement| statement.split(start).skip(1)) {
        let end = line.find(|c| !is_part(c)).unwrap_or(line.len());
        let head: Vec<_> = line[..end].split("::").filter(|part| !part.is_empty()).collect();
        match line[end..].strip_prefix('{') {
            None => all.push(head),
            Some(list) => all.extend(list.split('}').next().unwrap_or("").split(',').map(|member| {
                let member = member.trim().split("::").filter(|part| !part.is_empty());
                head.iter().copied().chain(member).collect()
            })),
        }
    }
    all
}

/// The modules that `module` uses: the longest beginning of each path that is one. What a parent hands on from its
/// children is not seen, so within a room modules name each other themselves.
fn used(module: &Module, text: &str, all: &BTreeMap<Module, String>) -> BTreeSet<Module> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let parent = &module[..module.len() - 1];
    let mut found = BTreeSet::new();
    for (start, base) in [("crate::", &[][..]), ("super::", parent)] {
        for path in paths(&code, start) {
            let whole: Module = base.iter().cloned().chain(path.into_iter().map(str::to_owned)).collect();
            let known = (1..=whole.len()).rev().map(|len| &whole[..len]).find(|prefix| all.contains_key(*prefix));
            found.extend(known.map(<[String]>::to_vec));
        }
    }
    found.remove(module);
    found
}

fn arrows() -> BTreeMap<Module, BTreeSet<Module>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = BTreeMap::new();
    for room in ROOMS {
        let file = source.join(room).with_extension("rs");
        match fs::read_to_string(&file) {
            Ok(text) => drop(all.insert(vec![room.to_owned()], code(&text))),
            Err(_) => modules(&source.join(room), &[room.to_owned()], &mut all),
        }
    }
    all.iter().map(|(module, text)| (module.clone(), used(module, text, &all))).collect()
}

/// A way from `module` back to itself.
fn circle(module: &Module, arrows: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<Module>> {
    let mut ways = vec![vec![module.clone()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in &arrows[&way[way.len() - 1]] {
            let longer = [&way[..], std::slice::from_ref(next)].concat();
            if next == module {
                return Some(longer);
            }
            if seen.insert(next.clone()) {
                ways.push(longer);
            }
        }
    }
    None
}

#[test]
fn no_circle_between_modules() {
    let arrows = arrows();
    let count: usize = arrows.values().map(BTreeSet::len).sum();
    assert!(arrows.len() > 100 && count > 250, "{count} arrows between {} modules are too few to be all", arrows.len());
    for module in arrows.keys() {
        if let Some(way) = circle(module, &arrows) {
            let way: Vec<_> = way.iter().map(|module| module.join("::")).collect();
            panic!("a circle: {}", way.join(" -> "));
        }
    }
}

#[test]
fn rooms_use_those_below() {
    let place = |module: &Module| ROOMS.iter().position(|room| *room == module[0]).unwrap();
    for (module, used) in arrows() {
        for other in used {
            assert!(place(&other) <= place(&module), "{} uses {}", module.join("::"), other.join("::"));
        }
    }
}
