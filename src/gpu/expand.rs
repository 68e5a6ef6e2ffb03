//! One-line imports of WGSL: `#import lib/NAME.wgsl` stands for that file, once per kernel. The build script compiles
//! this file too, so that shaders read at run time are put together as those built in.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

/// The text of the file at `path` with its imports, which are relative to `root`, in place.
///
/// # Errors
/// Where a file cannot be read, or imports one by a path that is not below `root`: which file, and the reason.
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
            Some(import) => append(root, &imported(root, import.trim()).map_err(|e| (path.to_owned(), e))?, seen, out)?,
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    Ok(())
}

/// Where an imported file is. Names alone: any way round through `..` would be a second spelling of one file, which would
/// then be there twice.
fn imported(root: &Path, import: &str) -> io::Result<PathBuf> {
    let path = Path::new(import);
    match path.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(root.join(path)),
        false => Err(io::Error::other(format!("it imports `{import}`, expected the path of a file below the folder"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_once_and_from_below_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("lib")).unwrap();
        let text = |imports: &str| {
            fs::write(root.join("lib/b.wgsl"), "#import lib/b.wgsl\nb\n").unwrap();
            fs::write(root.join("a.wgsl"), format!("{imports}a\n")).unwrap();
            expand(root, &root.join("a.wgsl"))
        };
        assert_eq!(text("#import lib/b.wgsl\n#import lib//b.wgsl\n").unwrap(), "b\na\n");
        for import in ["lib/../lib/b.wgsl", "../b.wgsl", "/b.wgsl", "./lib/b.wgsl"] {
            let (path, error) = text(&format!("#import {import}\n")).unwrap_err();
            assert!(path.ends_with("a.wgsl") && error.to_string().contains(import), "{error}");
        }
    }
}
