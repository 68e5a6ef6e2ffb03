//! The binary as a user meets it.

mod bench;
#[path = "../common/mod.rs"]
mod common;
mod host;
mod refusals;

use std::path::{Path, PathBuf};
use std::process::Output;

use drdiff::files::{tensors, write_tensors};
use drdiff::{Data, Tensor};

use common::{ROOT, command};

/// `drdiff` with arguments.
fn drdiff(arguments: &[&str]) -> Output {
    command().args(arguments).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn fails(arguments: &[&str], code: i32, words: &[&str]) {
    failed(&drdiff(arguments), code, words);
}

/// It ended with this code and one error that says all of `words`.
#[track_caller]
fn failed(output: &Output, code: i32, words: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty(), "it printed {}", text(&output.stdout));
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.contains(word), "`{said}` does not say `{word}`");
    }
}

const TINY: [&str; 6] = ["--model", "tests/data/tiny", "--length", "40", "--steps", "3"];

fn tiny<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["generate", "the"], &TINY[..], more].concat()
}

#[test]
fn text_goes_to_standard_output_and_the_rest_to_standard_error() {
    let output = drdiff(&tiny(&["--device", "cpu", "--seed", "3"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("the"));
    assert!(text(&output.stderr).contains("device: cpu"));
    let again = drdiff(&tiny(&["--device", "cpu", "--seed", "3"]));
    assert_eq!(output.stdout, again.stdout);
}

#[test]
fn json_trace_and_routing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (trace, png, json) = (path("t.json"), path("r.png"), path("r.json"));
    for device in ["cpu", "gpu"] {
        let more = ["--device", device, "--count", "2", "--json", "--trace", &trace, "--routing", &png];
        let output = drdiff(&tiny(&more));
        assert!(output.status.success(), "{}", text(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["texts"].as_array().unwrap().len(), 2);
        assert_eq!(report["texts"][1]["tokens"].as_array().unwrap().len(), 40);
        let events: serde_json::Value = serde_json::from_slice(&std::fs::read(&trace).unwrap()).unwrap();
        let events = events["traceEvents"].as_array().unwrap();
        for op in ["attention", "routed_experts", "vocab_expectation", "solver_step"] {
            assert!(events.iter().any(|event| event["name"] == op), "{op} is in the trace");
        }
        assert!(std::fs::read(&png).unwrap().starts_with(b"\x89PNG"));
    }
    assert!(drdiff(&tiny(&["--device", "cpu", "--routing", &json])).status.success());
    let routing: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(routing["share"].as_array().unwrap().len(), 3, "a share for each step");
    assert_eq!(routing["indices"][0][0].as_array().unwrap().len(), 40 * 2, "top 2 of 40 positions");
}

#[test]
fn wrong_usage_is_2_and_failure_is_1() {
    fails(&["generate", "--no-such-flag"], 2, &["--no-such-flag"]);
    fails(&["no-such-command"], 2, &["no-such-command"]);
    fails(&tiny(&["--device", "no such"]), 2, &["no device `no such`", "cpu"]);
    fails(&tiny(&["--device", "cpu", "--budget", "1.5"]), 2, &["budget is 1.5", "at most 1"]);
    fails(&tiny(&["--device", "cpu", "--count", "0"]), 2, &["count is 0"]);
    fails(&tiny(&["--device", "cpu", "--tier", "coop"]), 2, &["tier `coop`"]);
    fails(&["generate", "the", "--model", "tests/data/tiny", "--device", "cpu", "--length", "0"], 2, &["length is 0"]);
    fails(&["generate", "", "--model", "tests/data/tiny", "--device", "cpu"], 2, &["prompt is empty"]);
    fails(&["generate", "the", "--model", "no/model", "--device", "cpu"], 1, &["no/model", "cannot read"]);
    fails(&["verify", "--op", "no_such_op"], 2, &["no_such_op", "attention"]);
    fails(&["verify", "--op", "noise", "--device", "cpu", "--bounds-checks", "off"], 2, &["--bounds-checks", "GPU"]);
    fails(&tiny(&["--device", "cpu", "--routing", "routing.jpg"]), 2, &["routing.jpg", ".png or .json"]);
    fails(&tiny(&["--device", "cpu", "--count", "18446744073709551615"]), 2, &["1 to 4096"]);
    let lost = drdiff(&tiny(&["--device", "cpu", "--trace", "no/folder/trace.json"]));
    assert_eq!(lost.status.code(), Some(1));
    assert!(text(&lost.stderr).contains("cannot write no/folder/trace.json"));
    assert!(text(&lost.stdout).starts_with("the"), "the text is not lost with the trace");
}

const SCORE: [&str; 10] =
    ["eval", "--model", "tests/data/tiny", "--device", "cpu", "--length", "40", "--draws", "2", "--text"];

#[test]
fn eval_scores_a_text_and_counts_samples() {
    let files = Files::new();
    let path = |name: &str| files.path(name).to_string_lossy().into_owned();
    let (human, plain, json) = (path("text.txt"), path("plain.txt"), path("samples.jsonl"));
    let lines = "the king and the queen went into the city, \n\nand the people said unto them\n".repeat(4);
    std::fs::write(&human, &lines).unwrap();
    std::fs::write(&plain, "the king the king the king").unwrap();
    let generated = drdiff(&tiny(&["--device", "cpu", "--count", "2", "--json"])).stdout;
    std::fs::write(&json, [&generated[..], &generated].concat()).unwrap();

    let more = [&human, "--steps", "3", "--samples", &plain, &json, "--json"];
    let output = drdiff(&[&SCORE[..], &more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let bound = &report["likelihood"]["bound"];
    for value in [&bound["nats_per_token"], &bound["error"], &bound["bits_per_byte"], &report["infill"]["hidden"]] {
        assert!(value.as_f64().unwrap() > 0.0, "{report:#}");
    }
    assert_eq!(report["likelihood"]["bytes"], lines.len() - 4, "empty lines are no text");
    assert_eq!(report["statistics"]["samples"]["texts"], 5, "one file of text, two reports of two texts");
    let alike = &report["statistics"]["alike"];
    assert_eq!(alike["text"]["tokens"], alike["samples"]["tokens"]);
    assert!(report["likelihood"]["bins"][0]["squared_error"].as_f64().unwrap() > 0.0);

    let once = || drdiff(&[&SCORE[..], &[&human, "--infill-windows", "0"]].concat());
    let output = once();
    let said = text(&output.stdout);
    for word in ["bound", "prior", "diffusion", "reconstruction", "nats/token", "distinct-4"] {
        assert!(said.contains(word), "{said}");
    }
    assert!(!said.contains("infill") && text(&output.stderr).contains("tokens/s"));
    assert_eq!(said, text(&once().stdout), "a seed repeats");

    // Counting needs no device.
    let output = drdiff(&["eval", "--model", "tests/data/tiny", "--device", "no such", "--samples", &plain]);
    assert!(output.status.success() && !text(&output.stdout).contains("bound"), "{}", text(&output.stderr));
}

#[test]
fn eval_refuses_what_it_cannot_read() {
    let files = Files::new();
    let path = |name: &str| files.path(name).to_string_lossy().into_owned();
    let (human, binary, empty, json) = (path("text.txt"), path("binary"), path("empty.txt"), path("samples.json"));
    std::fs::write(&human, "the king and the queen").unwrap();
    std::fs::write(&binary, b"the\xff").unwrap();
    std::fs::write(&empty, "\n").unwrap();
    let with = |more: &[&'static str], code: i32, words: &[&str]| {
        fails(&[&SCORE[..], &[&human], more].concat(), code, words);
    };
    fails(&["eval"], 2, &["--text"]);
    fails(&[&SCORE[..], &["missing.txt"]].concat(), 1, &["cannot read missing.txt"]);
    fails(&[&SCORE[..], &[&binary]].concat(), 1, &["not UTF-8 at byte 3"]);
    fails(&[&SCORE[..], &[&empty]].concat(), 1, &["empty.txt", "holds no text"]);
    with(&["--infill", "1"], 2, &["share to hide is 1"]);
    with(&["--windows", "0"], 2, &["number of windows is 0"]);
    with(&["--budget", "0"], 2, &["budget is 0"]);
    let long = ["eval", "--model", "tests/data/tiny", "--device", "cpu", "--text", &human];
    fails(&[&long[..], &["--length", "513"]].concat(), 2, &["length is 513", "512 tokens"]);
    fails(&[&long[..], &["--draws", "0"]].concat(), 2, &["number of draws is 0"]);
    for (content, word) in [
        ("{", "not JSON"),
        ("[]", "lacks `texts`"),
        (r#"{"texts":[{"tokens":[-1]}]}"#, "lacks `texts`"),
        (r#"{"texts":[{"tokens":[288]}]}"#, "below 288"),
        (r#"{"texts":[]}"#, "holds no text"),
        ("", "holds no text"),
    ] {
        std::fs::write(&json, content).unwrap();
        let arguments = ["eval", "--model", "tests/data/tiny", "--samples", &json];
        fails(&arguments, 1, &["samples.json", word]);
    }
}

#[test]
fn verify_counts_and_closes_with_the_sum() {
    let output = drdiff(&["verify", "--device", "gpu", "--op", "noise"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    let last = said.lines().last().unwrap();
    let passed: usize = last.strip_suffix(" passed, 0 failed").unwrap().parse().unwrap();
    assert!(passed >= 60, "{last}");
}

#[test]
fn verify_runs_with_bounds_checks_and_without() {
    let output = drdiff(&["verify", "--device", "gpu", "--op", "noise", "--quick", "--bounds-checks", "both"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    assert!(said.contains("bounds checks: On") && said.contains("bounds checks: Off"), "{said}");
}

/// As a case, the reference would be compared with itself; laws it has to meet like any device.
#[test]
fn verify_of_the_reference_runs_relations_alone() {
    let output = drdiff(&["verify", "--device", "reference", "--op", "rope"]);
    let said = text(&output.stdout);
    assert!(output.status.success() && said.contains("cases: not run"), "{said}{}", text(&output.stderr));
    let line: Vec<_> = said.lines().find(|line| line.starts_with("rope")).unwrap().split_whitespace().collect();
    assert_eq!(line[1..3], ["0", "0"]);
    assert!(line[3].parse::<usize>().unwrap() > 100, "{said}");
}

#[test]
fn info_prints_adapters() {
    let info = text(&drdiff(&["info"]).stdout);
    assert!(info.contains("auto: ") && info.contains("tier core: used"), "{info}");
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, tensors: &[(&str, Tensor)]) -> String {
        let all: Vec<_> = tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.clone())).collect();
        write_tensors(&self.path("in"), &all).unwrap();
        self.path("in").to_string_lossy().into_owned()
    }

    /// The outputs of a call by name.
    fn call(&self, arguments: &[&str]) -> Vec<(String, Tensor)> {
        let path = self.path("out");
        let out = path.to_string_lossy().into_owned();
        let output = drdiff(&[arguments, &["--output", &out]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        tensors(Path::new(&out), &std::fs::read(&out).unwrap()).unwrap()
    }
}

fn get<'a>(all: &'a [(String, Tensor)], name: &str) -> &'a Tensor {
    &all.iter().find(|(key, _)| key == name).unwrap_or_else(|| panic!("the output has `{name}`")).1
}

fn ramp(shape: &[usize], scale: f32) -> Tensor {
    let count = shape.iter().product::<usize>();
    let wave = (0..count).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * scale).collect();
    Tensor::f32(shape, wave).unwrap()
}

/// An op, its inputs, its settings, and names and shapes of its outputs.
type Contract = (&'static str, Vec<(&'static str, Tensor)>, Vec<&'static str>, Vec<(&'static str, Vec<usize>)>);

/// The contract of `drdiff op`: names, shapes and types of every output, equal on all devices.
#[test]
fn op_answers_its_contract() {
    let files = Files::new();
    let u32s = |values: &[u32]| Tensor::u32([values.len()], values.to_vec()).unwrap();
    let calls: Vec<Contract> = vec![
        (
            "attention",
            vec![
                ("q", ramp(&[9, 2, 5], 1.0)),
                ("k", ramp(&[9, 2, 5], 2.0)),
                ("v", ramp(&[9, 2, 5], 1.0)),
                ("globals", u32s(&[0, 4])),
            ],
            vec!["pattern=hsa", "window=1", "dilations=2:2,3:1", "scale=0.7"],
            vec![("out", vec![9, 2, 5]), ("lse", vec![9, 2])],
        ),
        (
            "attention",
            vec![("q", ramp(&[2, 7, 1, 3], 1.0)), ("k", ramp(&[2, 7, 1, 3], 1.0)), ("v", ramp(&[2, 7, 1, 3], 1.0))],
            vec!["pattern=dense"],
            vec![("out", vec![2, 7, 1, 3]), ("lse", vec![2, 7, 1])],
        ),
        (
            "experts",
            vec![
                ("x", ramp(&[6, 4], 1.0)),
                ("router_logits", ramp(&[6, 3], 1.0)),
                ("gate", ramp(&[5, 4], 1.0)),
                ("up", ramp(&[5, 4], 0.5)),
                ("down", ramp(&[4, 5], 1.0)),
                ("widths", u32s(&[2, 0, 3])),
                ("cost_bias", ramp(&[3], 0.1)),
            ],
            vec!["top_k=2"],
            vec![("out", vec![6, 4]), ("indices", vec![6, 2]), ("counts", vec![3])],
        ),
        (
            "vocab_expectation",
            vec![
                ("h", ramp(&[5, 4], 1.0)),
                ("unembed", ramp(&[11, 4], 1.0)),
                ("embed", ramp(&[11, 3], 1.0)),
                ("skip", ramp(&[5, 3], 1.0)),
            ],
            vec![],
            vec![("x0", vec![5, 3]), ("lse", vec![5]), ("entropy", vec![5]), ("token", vec![5])],
        ),
        (
            "solver",
            vec![
                ("x", ramp(&[3, 2], 1.0)),
                ("x0", ramp(&[2, 3, 2], 1.0)),
                ("alpha", Tensor::f32([3], vec![0.1, 0.7, 1.0]).unwrap()),
                ("sigma", Tensor::f32([3], vec![0.99, 0.7, 0.0]).unwrap()),
            ],
            vec!["order=2", "lower_order_final=true"],
            vec![("trajectory", vec![3, 3, 2])],
        ),
        (
            "linear",
            vec![("x", ramp(&[3, 4], 1.0)), ("weight", ramp(&[5, 4], 1.0)), ("bias", ramp(&[5], 1.0))],
            vec![],
            vec![("y", vec![3, 5])],
        ),
    ];
    for (op, inputs, settings, outputs) in calls {
        let input = files.write(&inputs);
        let settings: Vec<_> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let on =
            |device: &str| files.call(&[&["op", op, "--input", &input, "--device", device][..], &settings].concat());
        let (reference, cpu, gpu) = (on("reference"), on("cpu"), on("gpu"));
        assert_eq!(reference.len(), outputs.len(), "{op}");
        for (name, shape) in outputs {
            let want = get(&reference, name);
            assert_eq!(want.desc().shape, shape, "{op} {name}");
            for got in [get(&cpu, name), get(&gpu, name)] {
                match (got.data(), want.data()) {
                    (Data::F32(got), Data::F32(want)) => {
                        got.iter().zip(want).for_each(|(a, b)| assert!((a - b).abs() < 1e-4, "{op} {name}: {a} {b}"));
                    }
                    (got, want) => assert_eq!(got, want, "{op} {name}"),
                }
            }
        }
    }
}

#[test]
fn noise_has_the_published_bits() {
    let files = Files::new();
    for device in ["cpu", "gpu", "reference"] {
        let all = files
            .call(&["op", "noise", "--device", device, "--set", "seed=0", "--set", "stream=0", "--set", "count=4"]);
        // The known answer of Random123 for counter 0 and key 0.
        assert_eq!(get(&all, "bits").as_u32().unwrap(), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(get(&all, "normal").desc().shape, [4]);
    }
}

#[test]
fn op_refuses_bad_files_and_settings_and_writes_nothing() {
    let files = Files::new();
    let out = files.path("out").to_string_lossy().into_owned();
    let bad = files.path("bad").to_string_lossy().into_owned();
    std::fs::write(&bad, b"not safetensors").unwrap();
    let linear = files.write(&[("x", ramp(&[3, 4], 1.0)), ("weight", ramp(&[5, 3], 1.0))]);
    let op = |name: &'static str, more: &[&str], code: i32, words: &[&str]| {
        fails(&[&["op", name, "--device", "cpu", "--output", &out], more].concat(), code, words);
        assert!(!files.path("out").exists(), "nothing was written");
    };
    op("linear", &["--input", &bad], 1, &["not a safetensors file"]);
    op("linear", &["--input", "missing.safetensors"], 1, &["missing.safetensors"]);
    op("linear", &["--input", &linear], 2, &["linear: weight is f32 [5, 3]", "f32 [N, 4] (K = 4 as in x)"]);
    op("noise", &["--set", "count"], 2, &["NAME=VALUE"]);
    op("noise", &["--set", "count=many"], 2, &["`count`", "many"]);
    op("noise", &[], 2, &["`count`", "missing"]);
    op("nothing", &[], 2, &["nothing", "one of"]);
}
