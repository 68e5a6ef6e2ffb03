//! Expands the one-line imports of `shaders/` and writes each kernel as a constant.
//!
//! A line `#import lib/NAME.wgsl` is replaced by that file, once per kernel. The result is plain WGSL.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

#[path = "src/gpu/expand.rs"]
mod expand;

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
            let source =
                expand::expand(&root, &path).map_err(|(path, error)| format!("{}: {error}", path.display()))?;
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
