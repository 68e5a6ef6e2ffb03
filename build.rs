//! Writes each kernel of `shaders/` as a constant, imports expanded, and beside it the numbers that it declares.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

#[path = "src/gpu/declared.rs"]
mod declared;
#[path = "src/gpu/expand.rs"]
mod expand;

/// `gpu::Tier` as the files of a slot name it.
const TIERS: [&str; 3] = ["crate::gpu::Tier::Core", "crate::gpu::Tier::Subgroup", "crate::gpu::Tier::Coop"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("shaders");
    println!("cargo::rerun-if-changed={}", root.display());
    let (mut out, mut all) = (String::new(), Vec::new());
    let mut families = list(&root)?;
    families.retain(|path| path.is_dir() && !path.ends_with("lib"));
    for path in families.iter().map(|family| list(family)).collect::<io::Result<Vec<_>>>()?.concat() {
        let name = path.strip_prefix(&root)?.with_extension("");
        let name = name.to_string_lossy().replace('\\', "/");
        let texts = texts(&root, &path)?;
        all.push(kernel(&mut out, &name, &texts)?);
    }
    writeln!(out, "/// Every file, and what it declares.")?;
    writeln!(out, "pub const ALL: &[Declared] = &[{}];", all.join(", "))?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("shaders.rs"), out)?;
    Ok(())
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The text of each tier that has one of its own.
fn texts(root: &Path, path: &Path) -> Result<Vec<(&'static str, String)>, String> {
    let mut texts: Vec<(&str, String)> = Vec::new();
    for (tier, name) in TIERS.into_iter().enumerate() {
        let text = expand::expand(root, path, tier).map_err(|(path, error)| format!("{}: {error}", path.display()))?;
        if texts.last().is_none_or(|(_, last)| *last != text) {
            texts.push((name, text));
        }
    }
    Ok(texts)
}

/// Writes a kernel's constant and module; gives its entry in the list of all.
fn kernel(out: &mut String, name: &str, texts: &[(&str, String)]) -> Result<String, Box<dyn std::error::Error>> {
    let module = name.replace('/', "_");
    let constant = module.to_uppercase();
    let declared = declared::declared(&texts[0].1);
    let declared::Declared { constants, workgroup } =
        declared.map_err(|error| format!("shaders/{name}.wgsl, imports expanded: {error}"))?;
    writeln!(out, "/// `shaders/{name}.wgsl`, imports expanded.")?;
    let tiers: String = texts[1..].iter().map(|(tier, text)| format!("({tier}, {text:?}), ")).collect();
    let text = &texts[0].1;
    writeln!(
        out,
        "pub const {constant}: Source = Source {{ name: {name:?}, text: {text:?}, tiers: &[{tiers}], file: true }};"
    )?;
    writeln!(out, "/// What `shaders/{name}.wgsl` declares.\npub mod {module} {{")?;
    for (constant, value) in &constants {
        writeln!(out, "/// `{constant}` as the file has it.\npub const {constant}: u32 = {value};")?;
    }
    writeln!(out, "/// Threads of a workgroup.\npub const WORKGROUP: [u32; 3] = {workgroup:?};\n}}")?;
    Ok(format!("Declared {{ source: {constant}, constants: &{constants:?}, workgroup: {module}::WORKGROUP }}"))
}
