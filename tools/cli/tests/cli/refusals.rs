//! What strangers type.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use drdiff::Tensor;

use super::{Files, SCORE, command, drdiff, failed, fails, ramp, text, tiny};

#[test]
fn a_device_is_an_index_or_part_of_a_name() {
    let files = Files::new();
    let out = files.path("out").to_string_lossy().into_owned();
    let plain = files.path("text").to_string_lossy().into_owned();
    fs::write(&plain, "the king and the queen").unwrap();
    let score: Vec<_> = SCORE.iter().filter(|word| !["--device", "cpu"].contains(word)).copied().collect();
    let commands: [Vec<&str>; 5] = [
        vec!["generate", "the", "--model", "tests/data/tiny", "--length", "40"],
        vec!["verify", "--op", "noise", "--quick"],
        vec!["bench", "--op", "noise", "--runs", "1"],
        vec!["op", "noise", "--set", "count=4", "--output", &out],
        [&score[..], &[&plain]].concat(),
    ];
    for command in &commands {
        let with = |device: &'static str| [&command[..], &["--device", device]].concat();
        // An index past the end, and what only a driver's version has.
        for device in ["9", "256", "19.1.7", "256 bits", "00ff:65:00.0"] {
            fails(&with(device), 2, &[&format!("no device `{device}`"), "cpu, reference"]);
        }
        for device in ["", " ", "(LLVM)"] {
            fails(&with(device), 2, &["--device", "an adapter's index, its PCI bus id, or part of its name"]);
        }
    }
    assert!(!files.path("out").exists());
    // By index, by name, by the whole name as `info` lists it.
    let info = text(&drdiff(&["info"]).stdout);
    let name = info.lines().next().unwrap().strip_prefix("0: ").unwrap();
    let kinds = ["Cpu", "DiscreteGpu", "IntegratedGpu", "VirtualGpu", "Other"];
    let end = kinds.iter().find_map(|kind| name.find(&format!(" ({kind}, "))).expect("the kind of device");
    let name = &name[..end];
    for device in ["0", " 0 ", name] {
        let output = drdiff(&["op", "noise", "--set", "count=4", "--output", &out, "--device", device]);
        assert!(text(&output.stderr).contains(name), "{device}: {}", text(&output.stderr));
    }
}

#[test]
fn settings_and_tensors_come_once_and_by_name() {
    let files = Files::new();
    let out = files.path("out").to_string_lossy().into_owned();
    let set = |op: &'static str, input: Option<&str>, settings: &[&str], words: &[&str]| {
        let mut arguments = vec!["op", op, "--device", "cpu", "--output", &out];
        arguments.extend(input.iter().flat_map(|&input| ["--input", input]));
        arguments.extend(settings.iter().flat_map(|&setting| ["--set", setting]));
        fails(&arguments, 2, words);
        assert!(!files.path("out").exists(), "nothing was written");
    };
    set("noise", None, &["count=4", "count=4"], &["`count` is given twice, as `4` and `4`"]);
    set("noise", None, &["count=4", " count = 5"], &["`count` is given twice"]);
    for setting in ["", "=", "=1", " =1", "count"] {
        set("noise", None, &[setting], &["a setting is", "NAME=VALUE"]);
    }
    for count in
        ["count=-1", "count=0x10", "count=1.5", "count=", "count=1e3", "count=nan", "count=99999999999999999999"]
    {
        set("noise", None, &[count], &["the setting `count` is", "expected a whole number, 0 or more"]);
    }
    set(
        "noise",
        None,
        &["count=4", "seed=-1"],
        &["the setting `seed`", "a whole number from 0 to 18446744073709551615"],
    );
    let rows = || ramp(&[5, 1, 4], 1.0);
    let two = files.write(&[("q", rows()), ("k", rows())]);
    set("attention", Some(&two), &[], &["without `v` (it has k, q)"]);
    let three = files.write(&[("q", rows()), ("k", rows()), ("v", rows())]);
    set("attention", Some(&three), &["window=-1", "pattern=hsa"], &["`window` is `-1`", "a whole number"]);
    set("attention", Some(&three), &["window=1"], &["pattern=dense", "hsa alone"]);
    set("attention", Some(&three), &["scale=nan"], &["scale of attention is NaN", "a finite number"]);
    set("attention", Some(&three), &["causal=maybe"], &["`causal` is `maybe`", "true or false"]);
    set("attention", Some(&three), &["pattern=round"], &["`pattern` is `round`", "dense, hsa"]);
    let many: Vec<(String, Tensor)> = (0..3000).map(|i| (format!("layer.{i}"), ramp(&[1], 1.0))).collect();
    let many = files.write(&many.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect::<Vec<_>>());
    let arguments = ["op", "attention", "--device", "cpu", "--output", &out, "--input", &many];
    let output = drdiff(&arguments);
    failed(&output, 2, &["without `q`", "and 2992 more"]);
    assert!(output.stderr.len() < 600, "{}", text(&output.stderr));
    let seeds = files.write(&[("seeds", Tensor::u32([1, 2], vec![1, 2]).unwrap())]);
    set("noise", Some(&seeds), &["count=4", "seed=3"], &["`seed` is 3, beside a tensor `seeds`"]);
    let header = r#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let twice = files.path("twice");
    fs::write(&twice, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat()).unwrap();
    let twice = twice.to_string_lossy().into_owned();
    fails(&["op", "norm", "--device", "cpu", "--output", &out, "--input", &twice], 1, &["twice", "`x` is there twice"]);
    let folder = files.path("").to_string_lossy().into_owned();
    fails(&["op", "norm", "--device", "cpu", "--output", &out, "--input", &folder], 1, &["cannot read"]);
    fails(&["op", "norm", "--device", "cpu", "--output", &out, "--input", ""], 2, &["--input"]);
}

#[test]
fn prompts_and_folders() {
    let spelled = drdiff(&[&["generate", "And<eos>he"], &tiny(&["--device", "cpu"])[2..]].concat());
    assert!(text(&spelled.stdout).starts_with("And<eos>he"), "{}", text(&spelled.stdout));
    let bytes = std::ffi::OsStr::from_bytes(b"the \xff");
    let output = command().arg("generate").arg(bytes).args(&tiny(&[])[2..]).output().unwrap();
    failed(&output, 2, &["UTF-8"]);
    for (flag, value) in
        [("--length", "-1"), ("--length", "1e3"), ("--steps", "0"), ("--seed", "-1"), ("--budget", "nan")]
    {
        let arguments = ["generate", "the", "--model", "tests/data/tiny", "--device", "cpu", flag, value];
        assert_eq!(drdiff(&arguments).status.code(), Some(2), "{flag} {value}");
    }
    fails(&["generate", "the", "--device", "cpu", "--model", ""], 2, &["--model"]);
    // An empty variable is as none: `models` under the working directory.
    let folder = tempfile::tempdir().unwrap();
    let generate = ["generate", "the", "--device", "cpu"];
    let output = command().args(generate).env("DRDIFF_MODEL", "").current_dir(&folder).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot read models/config.json"), "{said}");
    // A byte-order mark is no text.
    let files = Files::new();
    let path = |name: &str| files.path(name).to_string_lossy().into_owned();
    fs::write(path("plain"), "the king and the queen").unwrap();
    fs::write(path("marked"), "\u{feff}the king and the queen").unwrap();
    let score = |name: &str| drdiff(&[&SCORE[..], &[&path(name), "--infill-windows", "0"]].concat());
    assert_eq!(text(&score("plain").stdout), text(&score("marked").stdout));
}
