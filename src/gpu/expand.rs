//! One-line imports of WGSL: `#import lib/NAME.wgsl` stands for that file, once per kernel. The build script compiles
//! this file too, so that shaders read at run time are put together as those built in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The text of the file at `path` with its imports, which are relative to `root`, in place.
///
/// # Errors
/// Where a file cannot be read: which one, and the system's reason.
pub fn expand(root: &Path, path: &Path) -> Result<String, (PathBuf, io::Error)> {
    let mut out = String::new();
    append(root, path, &mut BTreeSet::new(), &mut out)?;
    Ok(out)
}

fn append(
    root: &Path,
    path: &Path,
    seen: &mut BTreeSet<PathBuf>,
    out: &mut String,
) -> Result<(), (PathBuf, io::Error)> {
    if !seen.insert(path.to_owned()) {
        return Ok(());
    }
    let text = fs::read_to_string(path).map_err(|error| (path.to_owned(), error))?;
    for line in text.lines() {
        match line.strip_prefix("#import ") {
            Some(import) => append(root, &root.join(import.trim()), seen, out)?,
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    Ok(())
}
