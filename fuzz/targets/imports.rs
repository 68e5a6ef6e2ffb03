//! The imports of WGSL: a few files that import each other and others, in all ways to spell a path.
#![no_main]

use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use drdiff_fuzz::Folder;
use drdiff_fuzz::json::text;
use libfuzzer_sys::fuzz_target;

#[path = "../../src/gpu/expand.rs"]
mod expand;

static FOLDER: OnceLock<Folder> = OnceLock::new();
const NAMES: [&str; 3] = ["a.wgsl", "lib/b.wgsl", "lib/c.wgsl"];

fuzz_target!(init: {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path().join("lib")).expect("a folder can be made");
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
    let Ok(expanded) = expand::expand(folder.path(), &folder.path().join(NAMES[0]), 0) else { return Ok(()) };
    assert!(expanded.lines().all(|line| !line.starts_with("#import ")), "an import is left: {expanded:?}");
    for name in NAMES {
        let times = expanded.lines().filter(|line| *line == mark(name)).count();
        assert!(times <= 1, "{name} is there {times} times: {expanded:?}");
    }
    assert!(expanded.lines().any(|line| line == mark(NAMES[0])), "the file itself is missing: {expanded:?}");
    Ok(())
}

fn mark(name: &str) -> String {
    format!("// the text of {name}")
}

fn source(name: &str, u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let ends = *u.choose(&["\n", "\r\n"])?;
    let mut all = mark(name) + ends;
    for _ in 0..u.int_in_range(0..=4)? {
        match u.int_in_range(0..=3)? {
            0 => all += &text(u)?,
            1 => all = all + "#import " + &text(u)?,
            2 => {
                let before = *u.choose(&["", "./", "lib/../", "//", " ", "../", "lib/"])?;
                let after = *u.choose(&["", " ", "/", "\u{0}", "/."])?;
                all = all + "#import " + before + u.choose(&NAMES)? + after;
            }
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
