//! `drdiff bench`: what it prints, and what it refuses.

use std::fs;

use serde_json::{Value, json};

use super::{Files, drdiff, fails, text};

/// A small call on the CPU, with more words.
fn small<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let call =
        ["bench", "--device", "cpu", "--op", "linear", "--size", "rows=64,K=32,N=16", "--runs", "3", "--no-peaks"];
    [&call[..], more].concat()
}

fn report(arguments: &[&str]) -> Value {
    let output = drdiff(arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn json_says_what_was_measured_and_how() {
    let found = report(&["bench", "--device", "cpu", "--op", "noise", "--runs", "1", "--output", "json"]);
    assert_eq!((&found["format"], &found["version"]), (&json!("drdiff-bench"), &json!(1)));
    assert!(found["device"].as_str().unwrap().contains("cpu"), "{found:#}");
    let peaks = &found["peaks"];
    for peak in ["copy_gbytes_per_second", "product_gflops_per_second"] {
        assert!(peaks[peak].as_f64().unwrap() > 0.0, "{peaks:#}");
    }
    let row = &found["rows"][0];
    assert_eq!(row["milliseconds"].as_array().unwrap().len(), 1);
    assert!(row["median"].as_f64().unwrap() > 0.0 && row["of_copy"].as_f64().unwrap() > 0.0, "{row:#}");
}

#[test]
fn every_choice_of_kernels_is_measured_or_the_taken_one() {
    let on_gpu = |more: &[&str]| {
        let call = ["bench", "--device", "gpu", "--op", "norm", "--size", "rows=8,D=64", "--runs", "1", "--no-peaks"];
        report(&[&call[..], &["--output", "json"], more].concat())["rows"].as_array().unwrap().clone()
    };
    let all = on_gpu(&[]);
    assert_eq!(all.iter().filter(|row| row["taken"] == true).count(), 1);
    assert!(all.iter().all(|row| row["kernels"][0].as_str().unwrap().starts_with("nn/norm")), "{all:#?}");
    assert!(all.iter().any(|row| row["tier"] == "subgroup"), "{all:#?}");
    let taken = on_gpu(&["--taken"]);
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0]["tier"], "core");
    assert_eq!(on_gpu(&["--taken", "--tier", "subgroup"])[0]["tier"], "subgroup");
}

#[test]
fn sizes_of_ones_own_are_measured() {
    let found =
        report(&small(&["--size", "rows=4,k=8,n=2", "--with", "bias", "--set", "activation=silu", "--output", "json"]));
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["flops"], 2.0 * 64.0 * 32.0 * 16.0);
    assert_eq!(rows[1]["flops"], 2.0 * 4.0 * 8.0 * 2.0, "names are those of the signature in either case");
    assert!(rows[0]["case"].as_str().unwrap().contains("rows=64") && rows[0]["n"] == 64, "{rows:#?}");

    fails(&["bench", "--size", "K=3"], 2, &["--op"]);
    fails(&["bench", "--device", "cpu", "--op", "linear", "--size", "K=3"], 2, &["without `rows`", "rows, K, N"]);
    fails(&["bench", "--device", "cpu", "--op", "linear", "--size", "K=3,K=4"], 2, &["given twice"]);
    fails(&["bench", "--device", "cpu", "--op", "linear", "--size", "K=x"], 2, &["`K=x`", "NAME=SIZE"]);
    fails(&["bench", "--device", "cpu", "--op", "linear", "--size", "Q=3"], 2, &["`Q`", "one of rows, K, N"]);
    fails(&["bench", "--device", "cpu", "--op", "linear", "--filter", "nothing"], 2, &["--filter", "nothing"]);
    fails(&["bench", "--runs", "0"], 2, &["number of runs is 0"]);
}

#[test]
fn tables_have_a_line_for_each_case() {
    for (format, first) in [("table", "op "), ("md", "| op |"), ("csv", "op,case,tier,")] {
        let output = drdiff(&small(&["--output", format]));
        let said = text(&output.stdout);
        let lines: Vec<_> = said.lines().collect();
        assert!(lines[0].starts_with(first), "{said}");
        assert!(lines.last().unwrap().contains("rows=64"), "{said}");
        if format == "csv" {
            assert_eq!(lines[0].split(',').count(), 16);
        }
    }
}

#[test]
fn whole_steps_are_measured() {
    let call =
        ["bench", "--device", "cpu", "--model", "tests/data/tiny", "--step", "24,40", "--runs", "1", "--no-peaks"];
    let found = report(&[&call[..], &["--output", "json"]].concat());
    let rows = found["rows"].as_array().unwrap();
    assert_eq!([&rows[0]["case"], &rows[1]["case"]], ["N=24", "N=40"]);
    assert!(rows.iter().all(|row| row["op"] == "step" && row["median"].as_f64().unwrap() > 0.0));
    fails(&["bench", "--step", "8", "--model", "no/model"], 1, &["no/model"]);
    fails(&["bench", "--step", "99999999", "--model", "tests/data/tiny", "--device", "cpu"], 2, &["99999999"]);
}

#[test]
fn a_comparison_knows_faster_and_slower() {
    let files = Files::new();
    let path = files.path("old.json").to_string_lossy().into_owned();
    let now = report(&small(&["--output", "json"]));
    let write = |change: &dyn Fn(&mut Value)| {
        let mut old = now.clone();
        change(&mut old);
        fs::write(&path, old.to_string()).unwrap();
    };
    let times = |factor: f64| {
        move |old: &mut Value| {
            let row = &mut old["rows"][0];
            let median = row["median"].as_f64().unwrap() * factor;
            (row["median"], row["milliseconds"]) = (json!(median), json!([median, median, median]));
        }
    };
    let verdict = || report(&small(&["--output", "json", "--compare", &path]))["comparison"]["pairs"][0].clone();
    write(&times(1000.0));
    assert_eq!(verdict()["verdict"], "faster");
    write(&times(0.001));
    assert_eq!(verdict()["verdict"], "slower");
    let table = drdiff(&small(&["--compare", &path]));
    assert!(table.status.success() && text(&table.stdout).contains("slower"), "{}", text(&table.stdout));
    let failed = drdiff(&small(&["--compare", &path, "--fail-if-slower"]));
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("1 cases are slower"), "{}", text(&failed.stderr));
    // Too few runs say nothing of noise.
    write(&|old| old["rows"][0]["milliseconds"] = json!([1000.0]));
    assert_eq!(verdict()["verdict"], "unknown");

    // Files that nothing can be compared with.
    let refuses = |words: &[&str]| fails(&small(&["--compare", &path]), 1, words);
    write(&|old| old["version"] = json!(7));
    refuses(&["old.json", "version 7, expected version 1"]);
    write(&|old| old["device"] = json!("Another GPU"));
    refuses(&["old.json", "measured on Another GPU", "cpu"]);
    write(&|old| old["format"] = json!("else"));
    refuses(&["old.json", "drdiff bench --output json"]);
    write(&|old| old["rows"][0]["milliseconds"] = json!([]));
    refuses(&["old.json", "has no times"]);
    write(&|old| old["rows"] = json!([{ "op": 3 }]));
    refuses(&["old.json", "not what"]);
    fs::write(&path, "no json").unwrap();
    refuses(&["old.json", "not what"]);
    fs::remove_file(&path).unwrap();
    refuses(&["old.json", "cannot read"]);
    fails(&small(&["--compare", &path, "--output", "csv"]), 2, &["csv"]);
}

#[test]
fn a_plot_needs_no_font() {
    let files = Files::new();
    for name in ["plot.png", "plot.svg"] {
        let path = files.path(name).to_string_lossy().into_owned();
        let call = ["bench", "--device", "cpu", "--op", "linear", "--runs", "1", "--plot", &path];
        let sizes = ["--size", "rows=64,K=32,N=16", "--size", "rows=128,K=32,N=16"];
        let mut command = super::common::command();
        let output = command.args(call).args(sizes).env("FONTCONFIG_FILE", "/nowhere").output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let bytes = fs::read(&path).unwrap();
        if name.ends_with("png") {
            let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut pixels).unwrap();
            let dark = pixels.chunks(3).filter(|pixel| pixel.iter().all(|&value| value < 64)).count();
            let coloured = pixels.chunks(3).filter(|pixel| pixel[0].abs_diff(pixel[2]) > 64).count();
            assert!(dark > 2000 && coloured > 100, "letters and lines: {dark}, points: {coloured}");
        } else {
            let said = text(&bytes);
            for word in ["<svg", "roofline", "time against length", "FLOPs a byte", "linear"] {
                assert!(said.contains(word), "{word}");
            }
        }
    }
    fails(&small(&["--plot", "plot.gif"]), 2, &["plot.gif", ".png or .svg"]);
}
