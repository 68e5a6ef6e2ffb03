//! Puts a kernel's text together. The build script compiles this file too, so that shaders read at run time become what
//! those built in are.
//!
//! `#import lib/NAME.wgsl` on a line of its own stands for that file, once per kernel.
//!
//! `#import lib/NAME`, a folder, is a **slot**: it has a file a tier (`core.wgsl`, `subgroup.wgsl`, `coop.wgsl`), all with
//! the same functions, and stands for the one of the kernel's tier, or where there is none, of the next lower tier.
//!
//! `#import lib/NAME.wgsl buffer=query load=load_query` puts words of the caller's in the place of the file's own. The
//! file lists them in a line `#parameters buffer load`; each is given by every import, and as often as the values differ
//! the file is there. A value is a name, or names with dots between them. Comments stay as they are.
//!
//! What WGSL wants first (`enable`, `requires` and `diagnostic` directives) goes to the top, once each, whichever file it
//! is in.

use std::path::{Component, Path, PathBuf};
use std::{fs, io};

/// Files of a slot, without their ending: the tiers from the lowest to the highest.
pub const TIERS: [&str; 3] = ["core", "subgroup", "coop"];

/// What is wrong, and with which file.
pub type Failure = (PathBuf, io::Error);

/// The text for tier `TIERS[tier]` of the file at `path` with its imports, which are relative to `root`, in place.
///
/// # Errors
/// If a file cannot be read, imports one by a path that is not below `root` or imports itself by way of others, or
/// where parameters are not those that the file takes: which file, and the reason.
pub fn expand(root: &Path, path: &Path, tier: usize) -> Result<String, Failure> {
    let mut expansion = Expansion { root, tier, done: Vec::new(), open: Vec::new(), directives: Vec::new() };
    let mut text = String::new();
    expansion.append(&Import { file: path.to_owned(), parameters: Vec::new() }, path, &mut text)?;
    let directives = expansion.directives.iter().flat_map(|directive| [directive.as_str(), "\n"]);
    Ok(directives.collect::<String>() + &text)
}

/// A file and what stands for the words that it lists as parameters, sorted.
#[derive(Clone, PartialEq, Eq)]
struct Import {
    file: PathBuf,
    parameters: Vec<(String, String)>,
}

struct Expansion<'a> {
    root: &'a Path,
    tier: usize,
    done: Vec<Import>,
    /// The files on the way to the one that is being read.
    open: Vec<PathBuf>,
    directives: Vec<String>,
}

impl Expansion<'_> {
    /// Appends a file that `by` imports.
    fn append(&mut self, import: &Import, by: &Path, out: &mut String) -> Result<(), Failure> {
        let file = &import.file;
        if self.open.contains(file) {
            return Err(wrong(by, format!("it imports {}, which imports it in turn", file.display())));
        }
        if self.done.contains(import) {
            return Ok(());
        }
        self.done.push(import.clone());
        self.open.push(file.clone());
        let text = fs::read_to_string(file).map_err(|error| (file.clone(), error))?;
        let (declared, text) = split_parameters(&text);
        check_parameters(import, &declared, &text, by)?;
        for line in text.lines() {
            let line = &*replace_words(line, &import.parameters);
            match line.strip_prefix("#import ") {
                Some(line) => {
                    let next = self.import(line, file)?;
                    self.append(&next, file, out)?;
                }
                None if is_directive(line) => {
                    let line = line.trim_end();
                    if !self.directives.iter().any(|known| known == line) {
                        self.directives.push(line.to_owned());
                    }
                }
                None => {
                    out.push_str(line);
                    out.push('\n');
                }
            }
        }
        self.open.pop();
        Ok(())
    }

    /// What follows `#import ` in the file `by`.
    fn import(&self, line: &str, by: &Path) -> Result<Import, Failure> {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let mut parameters = Vec::new();
        for word in words {
            let Some((parameter, value)) = word.split_once('=').filter(|(_, value)| value.split('.').all(is_name))
            else {
                return Err(wrong(by, format!("it imports `{line}`, expected NAME=VALUE in the place of `{word}`")));
            };
            parameters.push((parameter.to_owned(), value.to_owned()));
        }
        parameters.sort();
        Ok(Import { file: self.resolve(name, by)?, parameters })
    }

    /// The file that an import means. Names alone: any way round through `..` would be a second spelling of one file, which
    /// would then be there twice.
    fn resolve(&self, name: &str, by: &Path) -> Result<PathBuf, Failure> {
        let path = Path::new(name);
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || path.as_os_str().is_empty() {
            return Err(wrong(by, format!("it imports `{name}`, expected the path of a file below the folder")));
        }
        // Components again, so that `lib//a` is `lib/a`.
        let path: PathBuf = self.root.join(path).components().collect();
        if !path.is_dir() {
            return Ok(path);
        }
        let mut tiers = TIERS[..=self.tier].iter().rev().map(|tier| path.join(tier).with_extension("wgsl"));
        let lowest = path.join("core.wgsl");
        Ok(tiers.find(|file| file.is_file()).unwrap_or(lowest))
    }
}

fn wrong(path: &Path, what: String) -> Failure {
    (path.to_owned(), io::Error::other(what))
}

fn is_name(word: &str) -> bool {
    let start = word.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    start && word.chars().all(is_word)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_directive(line: &str) -> bool {
    ["enable ", "requires ", "diagnostic("].iter().any(|start| line.starts_with(start))
}

/// The names in lines `#parameters`, and the text without them.
fn split_parameters(text: &str) -> (Vec<String>, String) {
    let mut names = Vec::new();
    let mut rest = String::with_capacity(text.len());
    for line in text.lines() {
        match line.strip_prefix("#parameters ") {
            Some(line) => names.extend(line.split_whitespace().map(str::to_owned)),
            None => {
                rest.push_str(line);
                rest.push('\n');
            }
        }
    }
    (names, rest)
}

/// Refuses parameters that the file does not take, that are missing, given twice or not used, and values that would
/// change their meaning in the file.
fn check_parameters(import: &Import, declared: &[String], text: &str, by: &Path) -> Result<(), Failure> {
    let given = &import.parameters;
    let takes = if declared.is_empty() { "none".to_owned() } else { declared.join(", ") };
    let file = import.file.display();
    if let Some((name, _)) = given.iter().find(|(name, _)| !declared.contains(name)) {
        return Err(wrong(by, format!("it gives `{name}` to {file}, whose parameters are: {takes}")));
    }
    if let Some(pair) = given.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(wrong(by, format!("it gives `{}` to {file} twice", pair[0].0)));
    }
    if let Some(name) = declared.iter().find(|name| !given.iter().any(|(given, _)| given == *name)) {
        return Err(wrong(by, format!("it imports {file} without `{name}`, whose parameters are: {takes}")));
    }
    let stands =
        |name: &str| text.lines().any(|line| pieces(split_comment(line).0).any(|(word, own)| own && word == name));
    if let Some(name) = declared.iter().find(|name| !stands(name)) {
        return Err(wrong(&import.file, format!("its parameter `{name}` stands nowhere in it")));
    }
    // A local variable of the file, say, would be taken for the caller's.
    let first = |value: &str| value.split('.').next().unwrap_or_default().to_owned();
    let taken = given.iter().map(|(_, value)| first(value)).find(|value| !declared.contains(value) && stands(value));
    match taken {
        Some(name) => {
            Err(wrong(by, format!("it gives {file} the name `{name}`, which that file has a use of its own for")))
        }
        None => Ok(()),
    }
}

/// A line in pieces; true for those that are words of their own, not members of something.
fn pieces(line: &str) -> impl Iterator<Item = (&str, bool)> {
    let (mut rest, mut member) = (line, false);
    std::iter::from_fn(move || {
        let word = rest.starts_with(is_word);
        let end = rest.find(|c| is_word(c) != word).unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        let own = word && !member;
        (rest, member) = (behind, piece.ends_with('.'));
        (!piece.is_empty()).then_some((piece, own))
    })
}

/// The line with each word that has a value replaced by it, except in its comment.
fn replace_words(line: &str, values: &[(String, String)]) -> String {
    let (code, comment) = split_comment(line);
    let value = |(piece, own): (&str, bool)| {
        let value = values.iter().find(|(name, _)| own && name == piece);
        value.map_or(piece, |(_, value)| value).to_owned()
    };
    pieces(code).map(value).collect::<String>() + comment
}

fn split_comment(line: &str) -> (&str, &str) {
    line.split_at(line.find("//").unwrap_or(line.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files by path and text.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn expanded(files: &[(&str, &str)], tier: usize) -> Result<String, String> {
        let folder = folder(files);
        let (root, path) = (folder.path(), folder.path().join("a.wgsl"));
        expand(root, &path, tier).map_err(|(path, error)| {
            let path = path.strip_prefix(root).unwrap().display().to_string();
            format!("{path}: {error}").replace(&format!("{}/", root.display()), "")
        })
    }

    #[test]
    fn a_file_is_there_once_and_from_below_the_folder() {
        let (b, c) = (("lib/b.wgsl", "b\n"), ("lib/c.wgsl", "#import lib/b.wgsl\nc"));
        let text = |imports: &str| expanded(&[("a.wgsl", &format!("{imports}a\n")), b, c], 0);
        assert_eq!(text("#import lib/b.wgsl\n#import lib//b.wgsl\n").unwrap(), "b\na\n");
        assert_eq!(text("#import lib/c.wgsl\n#import lib/b.wgsl \n").unwrap(), "b\nc\na\n");
        for import in ["lib/../lib/b.wgsl", "../b.wgsl", "/b.wgsl", "./lib/b.wgsl"] {
            let error = text(&format!("#import {import}\n")).unwrap_err();
            assert!(error.starts_with("a.wgsl: ") && error.contains(import), "{error}");
        }
        assert!(text("#import  \n").unwrap_err().starts_with("a.wgsl: "));
        assert!(text("#import lib/none.wgsl\n").unwrap_err().starts_with("lib/none.wgsl: "));
    }

    #[test]
    fn a_circle_is_refused() {
        for (b, named) in [("#import lib/b.wgsl", "lib/b.wgsl"), ("#import lib/c.wgsl", "lib/c.wgsl")] {
            let files = [("a.wgsl", "#import lib/b.wgsl\n"), ("lib/b.wgsl", b), ("lib/c.wgsl", "#import lib/b.wgsl\n")];
            let error = expanded(&files, 0).unwrap_err();
            assert!(error.starts_with(&format!("{named}: it imports lib/b.wgsl, which")), "{error}");
        }
    }

    #[test]
    fn directives_come_first_and_once() {
        let a = "// a\n#import lib/b.wgsl\nenable f16;\ndiagnostic(off, derivative_uniformity);\nfn a() {}\n";
        let b = "// b\nrequires subgroup_id;\nenable f16; \n@diagnostic(off, derivative_uniformity)\nfn b() {}\n";
        let top = "requires subgroup_id;\nenable f16;\ndiagnostic(off, derivative_uniformity);\n";
        let rest = "// a\n// b\n@diagnostic(off, derivative_uniformity)\nfn b() {}\nfn a() {}\n";
        assert_eq!(expanded(&[("a.wgsl", a), ("lib/b.wgsl", b)], 0).unwrap(), format!("{top}{rest}"));
    }

    #[test]
    fn a_slot_has_the_file_of_its_tier_or_of_a_lower_one() {
        let a = ("a.wgsl", "#import lib/s\n#import lib/t\n");
        let files = [a, ("lib/s/core.wgsl", "s0"), ("lib/s/subgroup.wgsl", "s1"), ("lib/t/core.wgsl", "t0")];
        let texts = [0, 1, 2].map(|tier| expanded(&files, tier).unwrap());
        assert_eq!(texts, ["s0\nt0\n", "s1\nt0\n", "s1\nt0\n"]);
        let files = [a, ("lib/s/core.wgsl", "s0"), ("lib/s/coop.wgsl", "s2"), ("lib/t/coop.wgsl", "t2")];
        for tier in [0, 1] {
            assert!(expanded(&files, tier).unwrap_err().starts_with("lib/t/core.wgsl: "));
        }
        assert_eq!(expanded(&files, 2).unwrap(), "s2\nt2\n");
    }

    #[test]
    fn parameters_replace_whole_words() {
        let four = "#parameters load buffer\n// load\nfn load(at: u32) -> f32 { return buffer[at] + load_buffer + _buffer.load; } // buffer";
        let a = "#import lib/four.wgsl buffer=query load=load_query\n#import lib/four.wgsl load=load_query buffer=query\n\
                 #import lib/four.wgsl buffer=load load=params.buffer\n";
        let expected = "// load\nfn load_query(at: u32) -> f32 { return query[at] + load_buffer + _buffer.load; } // buffer\n\
                        // load\nfn params.buffer(at: u32) -> f32 { return load[at] + load_buffer + _buffer.load; } // buffer\n";
        assert_eq!(expanded(&[("a.wgsl", a), ("lib/four.wgsl", four)], 0).unwrap(), expected);
        // Handed on.
        let b = "#parameters name\n#import lib/c.wgsl inner=name\n";
        let files =
            [("a.wgsl", "#import lib/b.wgsl name=x\n"), ("lib/b.wgsl", b), ("lib/c.wgsl", "#parameters inner\ninner")];
        assert_eq!(expanded(&files, 0).unwrap(), "x\n");
    }

    #[test]
    fn parameters_are_those_that_the_file_takes() {
        let text = |import: &str, b: &str| {
            let import = format!("#import lib/b.wgsl{import}\n");
            expanded(&[("a.wgsl", import.as_str()), ("lib/b.wgsl", b)], 0).unwrap_err()
        };
        let b = "#parameters one two\none two";
        assert_eq!(text(" one=x", b), "a.wgsl: it imports lib/b.wgsl without `two`, whose parameters are: one, two");
        assert_eq!(text("", b), "a.wgsl: it imports lib/b.wgsl without `one`, whose parameters are: one, two");
        assert_eq!(text(" six=x", b), "a.wgsl: it gives `six` to lib/b.wgsl, whose parameters are: one, two");
        assert_eq!(text(" six=x", "b"), "a.wgsl: it gives `six` to lib/b.wgsl, whose parameters are: none");
        assert_eq!(text(" one=x one=y two=z", b), "a.wgsl: it gives `one` to lib/b.wgsl twice");
        assert_eq!(
            text(" one=x two=y", "#parameters one two\none // two"),
            "lib/b.wgsl: its parameter `two` stands nowhere in it"
        );
        let error = text(" one=x two=y", "#parameters one two\none two x");
        assert_eq!(error, "a.wgsl: it gives lib/b.wgsl the name `x`, which that file has a use of its own for");
        for import in [" one", " one=", " one=4", " one=a..b", " one=a+b", " =x"] {
            let error = text(import, b);
            assert!(error.starts_with("a.wgsl: ") && error.contains(import.trim()) || import == " =x", "{error}");
        }
    }
}
