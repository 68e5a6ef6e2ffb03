//! The binary where the system refuses memory: at every limit it ends well or says in one line what it lacked.

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use drdiff::Tensor;
use drdiff::files::{read_tensors, write_tensors};

/// `drdiff` on the CPU with at most `kib` KiB of address space.
fn limited(kib: u64, arguments: &[&str]) -> Output {
    let mut command = Command::new("bash");
    command.args(["-c", &format!("ulimit -v {kib}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_drdiff")]);
    command.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    command.env("RAYON_NUM_THREADS", "2").env_remove("DRDIFF_MODEL").output().expect("bash starts")
}

/// Raises the limit until the command ends well three times in a row; `check` sees the folder of its files each time.
#[track_caller]
fn at_every_limit(arguments: &[&str], check: impl Fn(bool)) {
    // Below some limit the loader does not even start a program.
    let starts = |kib: &u64| limited(*kib, &["--version"]).status.success();
    let mut kib = (8..).map(|step| step * 2048).find(starts).unwrap();
    let (mut refused, mut done) = (0, 0);
    while done < 3 {
        let output = limited(kib, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        let errors = said.lines().filter(|line| line.starts_with("error: ")).count();
        match output.status.code() {
            Some(0) => done += 1,
            Some(1) if errors == 1 && said.contains("out of memory") => (refused, done) = (refused + 1, 0),
            code => panic!("{arguments:?} with {kib} KiB ended with {code:?}: {said}"),
        }
        check(output.status.success());
        kib += kib / 12;
    }
    assert!(refused >= 5, "{arguments:?}: {refused}");
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    fn count(&self) -> usize {
        std::fs::read_dir(&self.0).unwrap().count()
    }
}

#[test]
fn an_op() {
    let files = Files::new();
    let (input, output) = (files.text("in.safetensors"), files.text("out.safetensors"));
    let tensor = |rows: usize, x: f32| Tensor::f32([rows, 512], vec![x; rows * 512]).unwrap();
    let tensors = [("x".to_owned(), tensor(2000, 1.0)), ("weight".to_owned(), tensor(1024, 0.5))];
    write_tensors(Path::new(&input), &tensors).unwrap();
    let arguments = ["op", "linear", "--device", "cpu", "--input", &input, "--output", &output];
    at_every_limit(&arguments, |done| {
        assert_eq!(files.count(), if done { 2 } else { 1 }, "a whole file or none");
        if done {
            let read = read_tensors(Path::new(&output)).unwrap();
            assert!(read[0].1.as_f32().unwrap().iter().all(|&y| y == 256.0));
            std::fs::remove_file(&output).unwrap();
        }
    });
}

#[test]
fn a_text() {
    let files = Files::new();
    let (trace, routing) = (files.text("t.json"), files.text("r.png"));
    let arguments = ["generate", "the", "--length", "500", "--steps", "2", "--count", "3", "--device", "cpu", "--json"];
    at_every_limit(&[&arguments[..], &["--trace", &trace, "--routing", &routing]].concat(), |done| {
        let names = files.count();
        assert!(names <= 2 && (!done || names == 2), "two files, nothing beside them");
    });
}

#[test]
fn a_score() {
    let files = Files::new();
    let text = files.text("text.txt");
    std::fs::write(&text, "the king and the queen went into the city\n".repeat(200)).unwrap();
    let arguments = ["eval", "--device", "cpu", "--length", "256", "--windows", "4", "--draws", "1", "--steps", "1"];
    at_every_limit(&[&arguments[..], &["--text", &text, "--samples", &text]].concat(), |_| {});
}

#[test]
fn the_reference() {
    let arguments = ["generate", "the", "--model", "tests/data/tiny", "--device", "reference", "--length", "400"];
    at_every_limit(&[&arguments[..], &["--steps", "1"]].concat(), |_| {});
}
