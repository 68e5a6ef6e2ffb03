//! Bad input: one clear error that says what, where and what was expected; never a panic, never a partial file.

mod config;
mod parts;
mod tokenizer;
mod weights;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use drdiff::eval::{Corpus, InfillOptions, LikelihoodOptions};
use drdiff::files::{tensors, write_tensors};
use drdiff::graph::Call;
use drdiff::model::Request;
use drdiff::op::Arguments;
use drdiff::ops::REGISTRY;
use drdiff::{Device, DeviceChoice, Error, GpuOptions, Model, Prompt, Sampler, SessionOptions, Tensor, Tier};
use drdiff_check::cases;
use tempfile::TempDir;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny");

/// A copy of the tiny model, to be spoiled.
fn copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(Path::new(TINY).join(file), folder.path().join(file)).unwrap();
    }
    folder
}

fn load(folder: &Path) -> Result<Model, Error> {
    Model::load(folder, &Device::Cpu)
}

/// The error's text and those of its causes.
fn said(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |all, cause| format!("{all}: {cause}"))
}

#[track_caller]
fn refuses(folder: &Path, words: &[&str]) {
    let said = said(&load(folder).expect_err("a spoiled model is refused"));
    for word in words {
        assert!(said.contains(word), "`{said}` does not say `{word}`");
    }
}

fn spoil_config(edit: impl Fn(&mut serde_json::Value)) -> TempDir {
    let folder = copy();
    let path = folder.path().join("config.json");
    let mut config: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    edit(&mut config);
    fs::write(&path, config.to_string()).unwrap();
    folder
}

/// A model whose tokenizer says something else.
fn spoil_tokenizer(edit: impl Fn(&mut serde_json::Value)) -> TempDir {
    let folder = copy();
    let path = folder.path().join("tokenizer.json");
    let mut tokenizer: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    edit(&mut tokenizer);
    fs::write(&path, tokenizer.to_string()).unwrap();
    folder
}

fn spoil_weights(edit: impl Fn(&mut Vec<(String, Tensor)>)) -> TempDir {
    let folder = copy();
    let path = folder.path().join("model.safetensors");
    let mut all = tensors(&path, &fs::read(&path).unwrap()).unwrap();
    edit(&mut all);
    write_tensors(&path, &all).unwrap();
    folder
}

#[test]
fn the_unspoiled_copy_loads() {
    load(copy().path()).unwrap();
    load(spoil_weights(|_| {}).path()).unwrap();
}

#[test]
fn emphasis_without_a_unigram() {
    let bare = spoil_weights(|all| all.retain(|(name, _)| name != "output.unigram"));
    let model = load(bare.path()).unwrap();
    let mut session = model.session(SessionOptions { length: 32, ..Default::default() }).unwrap();
    let sampler = Sampler { emphasis: Some(0.5), ..Default::default() };
    let error = session.generate(&Prompt::prefix("the"), &sampler, |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.is_usage());
    assert!(said(&error).contains("the emphasis is 0.5, expected 0: the model has no `output.unigram`"), "{error}");

    let path = bare.path().join("config.json");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replacen('{', "{\"emphasis\": 0.5,", 1)).unwrap();
    refuses(bare.path(), &["`output.unigram`", "`emphasis` of 0.5"]);
}

#[test]
fn missing_files() {
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let folder = copy();
        fs::remove_file(folder.path().join(file)).unwrap();
        refuses(folder.path(), &[file, "cannot read"]);
    }
    refuses(Path::new("no/such/folder"), &["no/such/folder", "cannot read"]);
}

#[test]
fn contradicting_configurations() {
    let all: [(&str, serde_json::Value, &str); 14] = [
        ("format", "drdiff-9".into(), "drdiff-1"),
        ("heads", 3.into(), "whole heads"),
        ("model_dim", 0.into(), "model_dim"),
        ("rotary_dim", 7.into(), "rotary_dim"),
        ("time_dim", 3.into(), "time_dim"),
        ("top_k", 4.into(), "top_k"),
        ("eos_token", 99_999.into(), "eos_token"),
        ("norm_eps", (-1.0).into(), "norm_eps"),
        ("schedule", serde_json::json!({ "gamma": [0.0, 0.0] }), "strictly increasing"),
        ("levels", serde_json::json!([]), "levels"),
        ("levels", serde_json::json!([{"max_length": 9, "pattern": "dense", "anchors": 0}]), "anchors"),
        ("levels", serde_json::json!([{"max_length": 9, "pattern": "round", "anchors": 1}]), "round"),
        ("budget", serde_json::json!({ "default": 0.5, "lambda": [] }), "budget.lambda"),
        ("anchor_times", serde_json::json!([1.5]), "anchor_times"),
    ];
    for (key, value, word) in all {
        let folder = spoil_config(|config| config[key] = value.clone());
        refuses(folder.path(), &["config.json", word]);
    }
    refuses(spoil_config(|config| config["surprise"] = 1.into()).path(), &["config.json", "surprise"]);
    refuses(spoil_config(|config| config["vocab_size"] = 100.into()).path(), &["tokenizer.json", "expected the 100"]);
    refuses(spoil_config(|config| config["embedding_dim"] = 8.into()).path(), &["expected", "8]"]);
    let folder = copy();
    fs::write(folder.path().join("config.json"), "{ not json").unwrap();
    refuses(folder.path(), &["config.json", "not a configuration"]);
    fs::write(folder.path().join("tokenizer.json"), "[]").unwrap();
    fs::copy(Path::new(TINY).join("config.json"), folder.path().join("config.json")).unwrap();
    refuses(folder.path(), &["tokenizer.json", "not a tokenizer"]);
}

#[test]
fn settings_outside_what_is_accepted() {
    let model = load(Path::new(TINY)).unwrap();
    let session = |length| model.session(SessionOptions { length, ..Default::default() });
    let says = |error: &Error, word: &str| assert!(said(error).contains(word), "`{}` lacks `{word}`", said(error));
    says(&session(0).unwrap_err(), "the length is 0");
    says(&session(513).unwrap_err(), "1 to 512 tokens");
    let generate = |prompt: Prompt, sampler: Sampler| {
        session(32).unwrap().generate(&prompt, &sampler, |_| ControlFlow::Continue(())).unwrap_err()
    };
    let some = || Prompt::prefix("the");
    says(&generate(some(), Sampler { steps: 0, ..Default::default() }), "the number of steps is 0");
    for budget in [0.0, -0.5, 1.5, f64::NAN] {
        let error = generate(some(), Sampler { budget: Some(budget), ..Default::default() });
        says(&error, "the budget is");
        assert!(error.is_usage());
    }
    says(&generate(some(), Sampler { guidance: f32::NAN, ..Default::default() }), "the guidance is NaN");
    for temperature in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let error = generate(some(), Sampler { temperature: Some(temperature), ..Default::default() });
        says(&error, "the temperature is");
    }
    let error = generate(some(), Sampler { sharpen_below: Some(f64::NAN), ..Default::default() });
    says(&error, "the gamma to sharpen below is NaN");
    for emphasis in [-0.1, 4.1, f32::NAN, f32::INFINITY] {
        let error = generate(some(), Sampler { emphasis: Some(emphasis), ..Default::default() });
        says(&error, "the emphasis is");
    }
    says(&generate(Prompt::prefix(""), Sampler::default()), "the prompt is empty");
    says(&generate(Prompt::prefix("the king ".repeat(200)), Sampler::default()), "fewer than the text's length of 32");
    says(&generate(Prompt::tokens(vec![Some(1 << 20); 32]), Sampler::default()), "a prompt token");
    says(&generate(Prompt::tokens(vec![None; 9]).and_suffix("end"), Sampler::default()), "one or the other");
    let long = Request { prompt: Prompt::tokens(vec![None; 31]), length: Some(32), seed: None };
    let error = session(32).unwrap().generate_batch(&[long], &Sampler::default(), |_| ControlFlow::Continue(()));
    says(&error.unwrap_err(), "31 positions");
    let none: [Request; 0] = [];
    let error = session(32).unwrap().generate_batch(&none, &Sampler::default(), |_| ControlFlow::Continue(()));
    says(&error.unwrap_err(), "the batch is empty");
}

#[test]
fn texts_that_cannot_be_scored() {
    let model = load(Path::new(TINY)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.txt");
    let refused = |bytes: &[u8], words: &[&str]| {
        fs::write(&path, bytes).unwrap();
        let said = said(&Corpus::read(&path, model.vocabulary()).unwrap_err());
        assert!(words.iter().chain(&["text.txt"]).all(|word| said.contains(word)), "{said}");
    };
    refused(b"", &["holds no text", "at least one line"]);
    refused(b"\n\r\n\n", &["holds no text"]);
    refused(b"the king\n\xff\xfe", &["not UTF-8 at byte 9"]);
    refused(b"\xff\xfet\0h\0e\0", &["not UTF-8 at byte 0", "UTF-16"]);
    refused(b"\xef\xbb\xbf", &["holds no text"]);
    fs::write(&path, "\u{feff}the king").unwrap();
    let marked = Corpus::read(&path, model.vocabulary()).unwrap();
    assert_eq!(marked, Corpus::new("the king", model.vocabulary()).unwrap(), "a byte-order mark is no text");
    let missing = Corpus::read(&folder.path().join("none.txt"), model.vocabulary()).unwrap_err();
    assert!(said(&missing).contains("none.txt") && matches!(missing, Error::File { .. }));

    let corpus = Corpus::new("the king and the queen", model.vocabulary()).unwrap();
    let ok = LikelihoodOptions { length: 8, draws: 1, ..Default::default() };
    let score = |corpus: &Corpus, options: LikelihoodOptions, word: &str| {
        let error = model.likelihood(corpus, &options, |_, _| ControlFlow::Continue(())).unwrap_err();
        assert!(error.is_usage() && said(&error).contains(word), "`{}` lacks `{word}`", said(&error));
    };
    score(&Corpus::new("", model.vocabulary()).unwrap(), ok.clone(), "0 tokens, expected at least 2");
    score(&corpus, LikelihoodOptions { draws: 0, ..ok.clone() }, "the number of draws is 0");
    score(&corpus, LikelihoodOptions { batch: 0, ..ok.clone() }, "windows of a batch is 0");
    score(&corpus, LikelihoodOptions { windows: Some(0), ..ok.clone() }, "the number of windows is 0");
    score(&corpus, LikelihoodOptions { length: 513, ..ok.clone() }, "1 to 512 tokens");
    score(&corpus, LikelihoodOptions { length: 1, ..ok.clone() }, "the length of a window is 1");
    score(&corpus, LikelihoodOptions { budget: Some(2.0), ..ok.clone() }, "the budget is 2");
    // A vocabulary larger than the model's.
    let shipped = load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models"))).unwrap();
    let foreign = Corpus::new("And it came to pass", shipped.vocabulary()).unwrap();
    score(&foreign, ok, "below 288");

    let ok = InfillOptions { length: 8, ..Default::default() };
    let fill = |options: InfillOptions, word: &str| {
        let error = model.infill(&corpus, &options, |_| ControlFlow::Continue(())).unwrap_err();
        assert!(error.is_usage() && said(&error).contains(word), "`{}` lacks `{word}`", said(&error));
    };
    for share in [0.0, 1.0, -0.3, f64::NAN] {
        fill(InfillOptions { share, ..ok.clone() }, "the share to hide is");
    }
    fill(InfillOptions { filled: 0, ..ok.clone() }, "windows to fill in is 0");
    fill(InfillOptions { sampler: Sampler { steps: 0, ..Default::default() }, ..ok }, "the number of steps is 0");
}

/// Inputs that once crashed or passed in silence.
#[test]
fn sizes_and_values_at_the_edge() {
    let call = |name: &str, arguments: Arguments| {
        let entry = REGISTRY.iter().find(|entry| entry.name() == name).unwrap();
        let outcome = Call::by_name(entry, arguments).and_then(|call| call.prepare(&Device::Cpu, Default::default()));
        said(&outcome.expect_err(name))
    };
    let tensor = |shape: &[usize]| Tensor::zeros(drdiff::Desc::f32(shape)).unwrap();
    let linear = || Arguments::new().with("x", tensor(&[2, 3])).with("weight", tensor(&[4, 3]));
    let gate = linear().with("gate", tensor(&[4])).set("gate_offset", usize::MAX);
    assert!(call("linear", gate).contains("gate"));
    let words = Tensor::u32([4], vec![2; 4]).unwrap();
    assert!(call("linear", linear().with("gate", words)).contains("u32 [4]"));
    for count in [1_000_000_000_000_000_000_u64, 4_611_686_018_427_387_905, u64::MAX] {
        assert!(call("noise", Arguments::new().set("count", count)).contains("out of memory"));
    }
    let empty = Arguments::new().with("x0", tensor(&[1, 4, 0])).with("lengths", Tensor::u32([1], vec![4]).unwrap());
    assert!(call("segment_mean", empty.set("anchors", 2)).contains("at least 1"));
    let step = Tensor::f32([1], vec![0.0]).unwrap();
    let dim = Arguments::new().with("step", step).set("dim", 9_223_372_036_854_775_806_u64);
    assert!(call("time_embedding", dim).contains("65536"));
    let entry = REGISTRY.iter().find(|entry| entry.name() == "solver_step").unwrap();
    for case in cases(entry, &mut drdiff_check::Gen::new(0, entry.name())).into_iter().skip(4).step_by(17) {
        let info = Tensor::u32([1], vec![3]).unwrap();
        assert!(call("solver_step", case.arguments.with("info", info)).contains("expected"));
    }
}

#[test]
fn a_text_that_no_memory_holds() {
    let huge = spoil_config(|config| {
        let last = config["levels"].as_array_mut().unwrap().last_mut().unwrap();
        last["max_length"] = (1 << 24).into();
    });
    let model = load(huge.path()).unwrap();
    let mut session = model.session(SessionOptions { length: 1 << 24, ..Default::default() }).unwrap();
    let requests = vec![Request::default(); 4096];
    let outcome = session.generate_batch(&requests, &Sampler::default(), |_| ControlFlow::Continue(()));
    assert!(matches!(outcome, Err(Error::OutOfMemory { .. })));
}

#[test]
fn what_is_no_regular_file_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let tensors = [("a".to_owned(), Tensor::f32([1], vec![1.0]).unwrap())];
    write_tensors(&link, &tensors).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_ne!(fs::read(&target).unwrap(), b"old");
    write_tensors(Path::new("/dev/null"), &tensors).unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn devices_that_are_not_there() {
    let open =
        |device: &str, tier| Device::open(&GpuOptions { device: device.parse().unwrap(), tier, ..Default::default() });
    for device in ["9999", "256", "no such adapter"] {
        let error = open(device, None).unwrap_err();
        assert!(matches!(&error, Error::NoDevice { wanted, .. } if wanted == device) && error.is_usage());
    }
    for tier in [Tier::Subgroup, Tier::Coop] {
        assert!(matches!(open("cpu", Some(tier)).unwrap_err(), Error::Tier { .. }));
    }
    assert_eq!("cpu".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cpu);
}

#[test]
fn every_op_refuses_nonsense_in_words() {
    for entry in REGISTRY {
        let call = Call::by_name(entry, Arguments::new().set("nonsense", 1));
        let said = said(&call.expect_err("an op without its tensors"));
        assert!(said.contains("expected"), "{}: {said}", entry.name());
        // A good call with one tensor too many, then with a tensor of a shape that suits nothing.
        let case = cases(entry, &mut drdiff_check::Gen::new(0, entry.name())).remove(0);
        let extra = case.arguments.clone().with("nonsense", Tensor::f32([1], vec![0.0]).unwrap());
        let error = Call::by_name(entry, extra).expect_err("a tensor nobody knows");
        assert!(error.to_string().contains("nonsense"), "{}: {error}", entry.name());
        let text = format!("{:?}", case.arguments);
        for name in ["q", "x", "h", "z", "x0", "table", "router_logits", "weight"] {
            // A plain norm takes any shape.
            if entry.name() == "norm" || !text.contains(&format!("\"{name}\"")) {
                continue;
            }
            let wrong = case.arguments.clone().with(name, Tensor::f32([1, 1, 1, 1, 4099], vec![0.5; 4099]).unwrap());
            let outcome = Call::by_name(entry, wrong).and_then(|call| call.prepare(&Device::Cpu, Default::default()));
            assert!(outcome.is_err(), "{} takes a {name} of shape [1, 1, 1, 1, 4099]", entry.name());
        }
    }
}

#[test]
fn settings_that_contradict_their_tensors() {
    let call = |name: &str, arguments: Arguments| {
        let entry = REGISTRY.iter().find(|entry| entry.name() == name).unwrap();
        said(&Call::by_name(entry, arguments).expect_err(name))
    };
    let seeds = Arguments::new().with("seeds", Tensor::u32([1, 2], vec![1, 2]).unwrap()).set("count", 4);
    assert!(call("noise", seeds.set("seed", 7)).contains("`seed` is 7, beside a tensor `seeds`"));
    for (op, offset, of) in
        [("linear", "gate_offset", "gate"), ("norm", "shift_offset", "modulation"), ("experts", "gate_offset", "scale")]
    {
        let entry = REGISTRY.iter().find(|entry| entry.name() == op).unwrap();
        let mut cases = cases(entry, &mut drdiff_check::Gen::new(0, op)).into_iter();
        let bare = cases.find(|case| case.arguments.tensors().all(|(name, _)| name != of)).expect("a case without it");
        let said = call(op, bare.arguments.set(offset, 0));
        assert!(said.contains(offset) && said.contains(&format!("without a tensor `{of}`")), "{said}");
    }
    let x = || Tensor::zeros(drdiff::Desc::f32([3, 1, 4])).unwrap();
    let qkv = || Arguments::new().with("q", x()).with("k", x());
    assert!(call("attention", qkv()).contains("without `v` (it has k, q)"));
    assert!(call("attention", qkv().with("v", x()).set("window", 2)).contains("hsa alone"));
    assert!(call("attention", qkv().with("v", x()).set("scale", "wide")).contains("`wide`, expected a number"));
    for length in [4, u32::MAX, 0] {
        let lengths = Tensor::u32([1], vec![length]).unwrap();
        let mean = Arguments::new().with("x0", Tensor::zeros(drdiff::Desc::f32([1, 3, 2])).unwrap());
        let said = call("segment_mean", mean.with("lengths", lengths).set("anchors", 1));
        assert!(said.contains(&format!("is {length}, expected from the 1 anchors to the 3 rows")), "{said}");
    }
    let eps = Arguments::new().with("x", x()).set("eps", 1e-40_f32);
    let entry = REGISTRY.iter().find(|entry| entry.name() == "norm").unwrap();
    let outcome = Call::by_name(entry, eps).and_then(|call| call.prepare(&Device::Cpu, Default::default()));
    assert!(said(&outcome.unwrap_err()).contains("eps of norm is 1e-40, expected a finite number from 1.1754944e-38"));
}

#[test]
fn a_file_that_cannot_be_written_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("taken");
    fs::create_dir(&target).unwrap();
    let error = write_tensors(&target, &[("a".into(), Tensor::f32([1], vec![1.0]).unwrap())]).unwrap_err();
    assert!(matches!(error, Error::File { doing: "write", .. }));
    let full = folder.path().join("full");
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    let error = write_tensors(&full, &[("a".into(), Tensor::f32([1], vec![1.0]).unwrap())]).unwrap_err();
    assert!(said(&error).contains("full") && said(&error).contains("space"), "{}", said(&error));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing but what was there");
    // A name as long as the system takes.
    let long = folder.path().join("n".repeat(255));
    write_tensors(&long, &[("a".into(), Tensor::f32([1], vec![1.0]).unwrap())]).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}
