//! The imports of WGSL: a few files that import each other and others, in all ways to spell a path, with and without
//! parameters; a slot; directives.
#![no_main]

use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use drdiff_fuzz::Folder;
use drdiff_fuzz::json::text;
use libfuzzer_sys::fuzz_target;

#[path = "../../src/gpu/expand.rs"]
mod expand;

static FOLDER: OnceLock<Folder> = OnceLock::new();
/// The first is the kernel's; the last two fill the slot `lib/s`.
const NAMES: [&str; 5] = ["a.wgsl", "lib/b.wgsl", "lib/c.wgsl", "lib/s/core.wgsl", "lib/s/subgroup.wgsl"];
const VALUES: [&str; 2] = ["one", "two.three"];

fuzz_target!(init: {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path().join("lib/s")).expect("a folder can be made");
    let _ = FOLDER.set(folder);
}, |data: &[u8]| {
    // Input that is used up is no finding.
    let _ = run(data);
});

fn run(data: &[u8]) -> Result<()> {
    let Some(folder) = FOLDER.get() else { return Ok(()) };
    let mut u = Unstructured::new(data);
    for name in NAMES {
        match u.ratio(1, 16)? {
            true => folder.remove(name),
            false => drop(folder.write(name, &source(name, &mut u)?)),
        }
    }
    let tier = u.choose_index(expand::TIERS.len())?;
    let path = folder.path().join(NAMES[0]);
    let Ok(expanded) = expand::expand(folder.path(), &path, tier) else { return Ok(()) };
    for left in ["#import ", "#parameters "] {
        assert!(expanded.lines().all(|line| !line.starts_with(left)), "{left} is left: {expanded:?}");
    }
    for name in NAMES {
        let times = expanded.lines().filter(|line| *line == mark(name)).count();
        // Once for each value of its parameters.
        let takes = std::fs::read_to_string(folder.path().join(name)).is_ok_and(|text| text.contains("#parameters"));
        assert!(takes || times <= 1, "{name} is there {times} times: {expanded:?}");
    }
    assert!(expanded.lines().any(|line| line == mark(NAMES[0])), "the file itself is missing: {expanded:?}");
    let directives = expanded.lines().filter(|line| line.starts_with("enable "));
    let first = expanded.lines().take_while(|line| line.starts_with("enable "));
    assert_eq!(directives.count(), first.count(), "a directive is not at the top: {expanded:?}");
    Ok(())
}

fn mark(name: &str) -> String {
    format!("// the text of {name}")
}

fn source(name: &str, u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let ends = *u.choose(&["\n", "\r\n"])?;
    let mut all = mark(name) + ends;
    if name != NAMES[0] && u.ratio(1, 3)? {
        all = all + "#parameters word" + ends + "word" + ends;
    }
    for _ in 0..u.int_in_range(0..=4)? {
        match u.int_in_range(0..=5)? {
            0 => all += &text(u)?,
            1 => all = all + "#import " + &text(u)?,
            2 => {
                let before = *u.choose(&["", "./", "lib/../", "//", " ", "../", "lib/"])?;
                let after = *u.choose(&["", " ", "/", "\u{0}", "/."])?;
                all = all + "#import " + before + u.choose(&NAMES)? + after;
            }
            3 => all = all + "#import " + u.choose(&NAMES)? + " word=" + u.choose(&[VALUES[0], VALUES[1], "word"])?,
            4 => all += *u.choose(&["#import lib/s", "enable f16;", "enable subgroups; "])?,
            _ => all = all + "#import " + u.choose(&NAMES)?,
        }
        all += ends;
    }
    let mut bytes = all.into_bytes();
    if u.ratio(1, 32)? {
        bytes.push(0xff);
    }
    Ok(bytes)
}
