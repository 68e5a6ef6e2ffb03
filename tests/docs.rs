//! What the documents say of the code is so: the tables of the ops are those of their signatures, and the files and links
//! that are named exist.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use drdiff::gpu::Tier;
use drdiff::op::{Accuracy, Entry, Setting};
use drdiff::ops::REGISTRY;

const BEGIN: &str = "<!-- ops: made from the signatures by tests/docs.rs -->\n";
const END: &str = "<!-- ops: end -->\n";
/// Set to write the tables instead of comparing them.
const WRITE: &str = "DRDIFF_WRITE_DOCS";
/// Folders whose files the documents name.
const FOLDERS: [&str; 11] = [
    "benches/",
    "docs/",
    "examples/",
    "fuzz/",
    "models/",
    "reference/",
    "scripts/",
    "shaders/",
    "src/",
    "tests/",
    "tools/",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn accuracy(accuracy: Accuracy) -> String {
    match accuracy {
        Accuracy::Nmse(most) => format!("NMSE at most {most:e}"),
        Accuracy::Absolute(most) => format!("within {most:e}"),
        Accuracy::Exact => "exact".to_owned(),
        Accuracy::NearTie => "exact except at near ties".to_owned(),
    }
}

fn setting(setting: &Setting) -> String {
    let default = if setting.default.is_empty() { "(required)" } else { setting.default };
    format!("| `{}` | {} | {} |\n", setting.name, default.replace('|', "\\|"), setting.meaning.replace('|', "\\|"))
}

/// The kernels by file, with their tiers where there is more than the core.
fn kernels(entry: &Entry) -> String {
    let mut files: Vec<(&str, Vec<Tier>)> = Vec::new();
    for kernel in entry.kernels() {
        let name = kernel.source.name();
        match files.iter_mut().find(|(file, _)| *file == name) {
            Some((_, tiers)) if tiers.contains(&kernel.tier) => {}
            Some((_, tiers)) => tiers.push(kernel.tier),
            None => files.push((name, vec![kernel.tier])),
        }
    }
    let one = |(name, tiers): &(&str, Vec<Tier>)| match tiers[..] {
        [Tier::Core] => format!("`{name}`"),
        _ => format!("`{name}` ({})", tiers.iter().map(|tier| tier.name()).collect::<Vec<_>>().join(", ")),
    };
    files.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn op(entry: &Entry) -> String {
    let signature = entry.signature;
    let mut text = format!("\n### `{}`\n\n{}\n\n```text\n", signature.name, signature.summary);
    let line = signature.to_string();
    let (inputs, outputs) = line.split_once(" -> ").unwrap_or((&line, ""));
    // A line for each tensor.
    for (arrow, side) in [("  ", inputs), ("->", outputs)] {
        for tensor in tensors(side) {
            let _ = writeln!(text, "{arrow} {tensor}");
        }
    }
    text += "```\n\n";
    let written: Vec<_> = signature.written().map(|(name, of)| format!("`{name}` {}", accuracy(of))).collect();
    let _ = writeln!(text, "* Accuracy: {}.\n* Kernels: {}.", written.join(", "), kernels(entry));
    if !signature.settings.is_empty() {
        text += "\n| setting | default | meaning |\n|---|---|---|\n";
        text.extend(signature.settings.iter().map(setting));
    }
    text
}

/// A list of tensors at the commas that stand in no shape.
fn tensors(list: &str) -> Vec<&str> {
    let mut depth = 0;
    let split = list.split(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    split.map(str::trim).filter(|tensor| !tensor.is_empty()).collect()
}

#[test]
fn tables_of_the_ops_are_those_of_their_signatures() {
    let path = root().join("docs/OPS.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("a line that begins the tables");
    let (found, after) = rest.split_once(END).expect("a line that ends the tables");
    let made = REGISTRY.iter().map(op).collect::<String>() + "\n";
    if env::var_os(WRITE).is_some() {
        fs::write(&path, [before, BEGIN, &made, END, after].concat()).unwrap();
        return;
    }
    let differs = found.lines().zip(made.lines()).find(|(found, made)| found != made);
    let (found_line, made_line) = differs.unwrap_or_default();
    assert!(
        found == made,
        "docs/OPS.md is not what the signatures say: `{found_line}` is `{made_line}`; to write it anew: \
         {WRITE}=1 cargo test --test docs"
    );
}

/// The documents: those in the root and below `docs`, and those of tools, crates and the model.
fn pages() -> Vec<PathBuf> {
    let folders = [
        "",
        "docs",
        "docs/results",
        "examples",
        "models",
        "reference",
        "tools/check",
        "tools/cli",
        "tools/eval",
        "tools/train",
    ];
    let files = folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let mut pages: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    assert!(pages.len() > 15, "{pages:?}");
    pages
}

/// What stands between `open` and `close` in a text, code blocks left out.
fn between<'a>(text: &'a str, open: &str, close: char) -> Vec<&'a str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|prose| prose.split(open).skip(1)).filter_map(|rest| rest.split(close).next()).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in between(&text, "](", ')').into_iter().filter(|link| !link.contains("://")) {
            let file = link.split('#').next().unwrap_or_default();
            count += 1;
            assert!(page.parent().unwrap().join(file).exists(), "{}: nothing at {link}", page.display());
        }
    }
    assert!(count > 50, "{count} links are too few to be all");
}

#[test]
fn files_that_are_named_exist() {
    let mut count = 0;
    // What changed is said with names of its time.
    for page in pages().into_iter().filter(|page| !page.ends_with("CHANGELOG.md")) {
        let text = fs::read_to_string(&page).unwrap();
        let spans = text.split("```").step_by(2).flat_map(|prose| prose.split('`').skip(1).step_by(2));
        for name in spans.filter_map(|span| span.split_whitespace().next()) {
            // Capitals stand for what a reader fills in.
            let capitals = name.chars().any(char::is_uppercase) && !name.ends_with(".md");
            let placeholder = capitals || name.contains(['*', '{', '<']);
            if FOLDERS.iter().any(|folder| name.starts_with(folder)) && !placeholder {
                count += 1;
                assert!(root().join(name).exists(), "{}: there is no `{name}`", page.display());
            }
        }
    }
    assert!(count > 30, "{count} names are too few to be all");
}
