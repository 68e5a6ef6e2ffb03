//! Expands the one-line imports of `shaders/` and writes each kernel as a constant.
//!
//! A line `#import lib/NAME.wgsl` is replaced by that file, once per kernel. The result is plain WGSL.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("shaders");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut out = String::new();
    let mut families = list(&root)?;
    families.retain(|path| path.is_dir() && !path.ends_with("lib"));
    for family in families {
        for path in list(&family)? {
            let name = path.strip_prefix(&root)?.with_extension("");
            let name = name.to_string_lossy().replace('\\', "/");
            let mut source = String::new();
            expand(&root, &path, &mut BTreeSet::new(), &mut source)?;
            let constant = name.replace('/', "_").to_uppercase();
            writeln!(out, "/// `shaders/{name}.wgsl`, imports expanded.")?;
            writeln!(out, "pub const {constant}: Source = Source {{ name: {name:?}, text: {source:?} }};")?;
        }
    }
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("shaders.rs"), out)?;
    Ok(())
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn expand(
    root: &Path,
    path: &Path,
    seen: &mut BTreeSet<PathBuf>,
    out: &mut String,
) -> Result<(), Box<dyn std::error::Error>> {
    if !seen.insert(path.to_owned()) {
        return Ok(());
    }
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    for line in text.lines() {
        match line.strip_prefix("#import ") {
            Some(import) => expand(root, &root.join(import.trim()), seen, out)?,
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    Ok(())
}
