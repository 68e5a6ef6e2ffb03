//! What the system may refuse: threads, standard output, room on a disk.

use std::fs;
use std::process::{Command, Output, Stdio};

use super::{Files, ROOT, command, failed, fails, ramp, text, tiny};

/// Every command that computes, on the CPU and on a GPU.
fn commands(text: &str, input: &str, output: &str) -> Vec<Vec<String>> {
    let mut all = vec![vec!["info".to_owned()]];
    for device in ["cpu", "gpu"] {
        let with = |words: &str, more: &[&str]| {
            let words = words.split(' ').chain(["--device", device]).chain(more.iter().copied());
            words.map(str::to_owned).collect()
        };
        all.push(with("generate the --model tests/data/tiny --length 40 --steps 2", &[]));
        all.push(with("eval --model tests/data/tiny --length 40 --draws 1 --steps 1", &["--text", text]));
        all.push(with("verify --op linear --quick", &[]));
        all.push(with("bench --op noise --runs 1", &[]));
        all.push(with("op linear", &["--input", input, "--output", output]));
    }
    all
}

fn run(arguments: &[String], variable: (&str, &str)) -> Output {
    command().args(arguments).env(variable.0, variable.1).output().expect("the binary starts")
}

#[test]
fn where_no_thread_can_be_had_one_computes() {
    let files = Files::new();
    let path = |name: &str| files.path(name).to_string_lossy().into_owned();
    fs::write(path("text"), "the king and the queen went into the city\n").unwrap();
    let input = files.write(&[("x", ramp(&[40, 9], 1.0)), ("weight", ramp(&[5, 9], 1.0))]);
    for arguments in commands(&path("text"), &input, &path("out")) {
        // A stack that no system grants.
        let output = run(&arguments, ("RUST_MIN_STACK", "100000000000000"));
        let said = text(&output.stderr) + &text(&output.stdout);
        assert!(output.status.success() && !said.contains("panicked"), "{arguments:?}: {said}");
        assert!(said.contains("the CPU computes on one"), "{arguments:?}: {said}");
    }
    let generate = tiny(&["--device", "cpu"]).iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let alone = run(&generate, ("RUST_MIN_STACK", "100000000000000"));
    assert_eq!(alone.stdout, run(&generate, ("RAYON_NUM_THREADS", "3")).stdout, "as many threads, the same text");
}

#[test]
fn more_threads_than_make_sense_are_not_started() {
    let generate = tiny(&["--device", "cpu"]).iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    for (count, words) in [
        ("20000", "RAYON_NUM_THREADS asks for 20000 threads"),
        ("18446744073709551615", "asks for 18446744073709551615 threads"),
        ("many", "RAYON_NUM_THREADS is `many`, expected a number of threads"),
    ] {
        let output = run(&generate, ("RAYON_NUM_THREADS", count));
        assert!(output.status.success() && text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
    let output = run(&generate, ("RAYON_NUM_THREADS", "1"));
    assert!(text(&output.stderr).contains("device: cpu (1 thread, f32)"), "{}", text(&output.stderr));
}

/// `drdiff` started by a shell with a redirection.
fn redirected(arguments: &str, redirection: &str) -> Output {
    let script = format!("exec \"$0\" {arguments} {redirection}");
    let binary = env!("CARGO_BIN_EXE_drdiff");
    Command::new("sh").args(["-c", &script, binary]).current_dir(ROOT).output().expect("a shell starts")
}

#[test]
fn text_that_nobody_can_read_is_an_error() {
    let generate = "generate the --model tests/data/tiny --length 40 --steps 2 --device cpu";
    for arguments in [generate, "info", "verify --op noise --quick --device cpu", "--help", "--version", "op --help"] {
        failed(&redirected(arguments, ">&-"), 1, &["cannot write standard output", "it is closed"]);
        failed(&redirected(arguments, "1</dev/null"), 1, &["cannot write standard output", "it is closed"]);
        failed(&redirected(arguments, ">/dev/full"), 1, &["cannot write standard output", "No space left"]);
        assert!(redirected(arguments, ">/dev/null").status.success(), "{arguments}: to leave it unread is a choice");
        assert!(redirected(arguments, "2>&-").status.success(), "{arguments}: only notes are lost");
    }
    let mut early = command();
    early.args(tiny(&["--device", "cpu"])).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = early.spawn().expect("the binary starts");
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success(), "a reader may leave early");
}

#[test]
fn outputs_that_cannot_be_written() {
    let files = Files::new();
    let path = |name: &str| files.path(name).to_string_lossy().into_owned();
    fs::create_dir(path("folder")).unwrap();
    let noise = |output: &str, code: i32, words: &[&str]| {
        fails(&["op", "noise", "--set", "count=4", "--device", "cpu", "--output", output], code, words);
    };
    noise(&path("folder"), 1, &["cannot write", "folder"]);
    noise(&path("none/out"), 1, &["cannot write", "none/out"]);
    noise("/dev/full", 1, &["cannot write /dev/full", "No space left"]);
    noise("", 2, &["--output"]);
    assert_eq!(fs::read_dir(files.path("")).unwrap().count(), 1, "nothing is left behind");
    // An output in place of its own input.
    let input = files.write(&[("x", ramp(&[3, 4], 1.0)), ("weight", ramp(&[5, 4], 1.0))]);
    let output = super::drdiff(&["op", "linear", "--device", "cpu", "--input", &input, "--output", &input]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let both = ["--trace", "both.json", "--routing", "both.json", "--device", "cpu"];
    fails(&tiny(&both), 2, &["--trace and --routing", "the same file"]);
}
