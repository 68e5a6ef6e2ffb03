//! `config.json`: what contradicts itself, or what an op would refuse later.

use std::fs;
use std::path::Path;

use drdiff::model::{Config, Weights};
use serde_json::{Value, json};

use super::{TINY, copy, load, refuses, spoil_config};

#[test]
fn what_an_op_would_refuse_is_refused_at_once() {
    let all: [(&str, Value, &str); 12] = [
        ("norm_eps", json!(1e-40), "`norm_eps`: eps of norm is 1e-40, expected a finite number from 1.1754944e-38"),
        ("norm_eps", json!(1e39), "`norm_eps`"),
        ("norm_eps", json!(2.0), "`norm_eps` is 2e0, expected a number below 1"),
        ("time_dim", json!(65538), "`time_dim`: dim of time_embedding is 65538"),
        ("rotary_dim", json!(1000), "`rotary_dim`: rotary_dim of rope is 1000, expected at most the head's"),
        ("expert_widths", json!([]), "`expert_widths`: experts"),
        ("expert_widths", json!(vec![1; 257]), "1 to 256 experts"),
        ("top_k", json!(9), "top_k is 9"),
        ("place_dim", json!(3), "`place_dim` is 3, expected an even number"),
        ("budget", json!({ "default": 0.0, "lambda": [[0.5, 1.0]] }), "`budget.default` is 0"),
        ("budget", json!({ "default": 0.5, "lambda": [[0.5, 1e300]] }), "finite lambdas"),
        ("rope_base", json!(1.0), "`rope_base` is 1, expected a number above 1"),
    ];
    for (key, value, words) in all {
        refuses(spoil_config(|config| config[key] = value.clone()).path(), &["config.json", words]);
    }
    let level = |level: Value| spoil_config(move |config| config["levels"] = json!([level]));
    let dense = |more: Value| {
        let mut fields = json!({ "max_length": 64, "pattern": "dense", "anchors": 4 });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        level(fields)
    };
    load(dense(json!({})).path()).unwrap();
    for more in
        [json!({ "window": 3 }), json!({ "window": 0 }), json!({ "dilations": [[2, 3]] }), json!({ "dilations": [] })]
    {
        refuses(dense(more).path(), &["`levels[0]`", "`dense` level with `window` or `dilations`"]);
    }
    let sparse = |window: Value, dilations: Value| {
        level(json!({ "max_length": 64, "pattern": "hsa", "window": window, "dilations": dilations, "anchors": 4 }))
    };
    load(sparse(json!(3), json!([[2, 3]])).path()).unwrap();
    refuses(sparse(json!(-1), json!([])).path(), &["`levels[0].window`", "`-1`, expected a whole number"]);
    refuses(sparse(Value::Null, json!([])).path(), &["`hsa` level without `window`"]);
    refuses(sparse(json!(3), json!([[0, 3]])).path(), &["level 0", "r of at least 1"]);
    refuses(sparse(json!(3), json!(vec![[1, 1]; 17])).path(), &["level 0", "at most 16"]);
    refuses(sparse(json!(3), json!([[1]])).path(), &["`levels[0].dilations[0]`", "expected a pair"]);
    let large = json!({ "max_length": 1 << 24, "pattern": "dense", "anchors": 4096 });
    refuses(level(large).path(), &["level 0", "anchors x rows"]);
}

#[test]
fn fields_of_another_type_are_named() {
    for (key, value, words) in [
        ("heads", json!("4"), "`heads`: string \"4\", expected a whole number, 0 or more"),
        ("heads", json!(-4), "`heads`: integer `-4`, expected a whole number, 0 or more"),
        ("heads", json!(4.0), "`heads`: floating point `4.0`, expected a whole number"),
        ("norm_eps", json!("small"), "`norm_eps`: string \"small\", expected a number"),
        ("levels", json!({}), "`levels`: an object, expected a list"),
        ("schedule", json!([1, 2, 3]), "`schedule[0]`: integer `1`, expected a list"),
        ("expert_widths", json!([1, -1]), "`expert_widths[1]`: integer `-1`, expected a whole number from 0"),
        ("eos_token", Value::Null, "`eos_token`: null, expected a whole number from 0 to 4294967295"),
    ] {
        refuses(spoil_config(|config| config[key] = value.clone()).path(), &["config.json", words]);
    }
    let missing = spoil_config(|config| {
        config.as_object_mut().unwrap().remove("heads");
    });
    refuses(missing.path(), &["config.json", "missing field `heads`"]);
}

#[test]
fn bytes_that_are_no_plain_json() {
    let folder = copy();
    let path = folder.path().join("config.json");
    let good = fs::read_to_string(Path::new(TINY).join("config.json")).unwrap();
    let write = |bytes: &[u8]| fs::write(&path, bytes).unwrap();
    write(format!("\u{feff}{good}").as_bytes());
    refuses(folder.path(), &["config.json", "byte-order mark"]);
    let wide: Vec<u8> = [0xfeff].into_iter().chain(good.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    write(&wide);
    refuses(folder.path(), &["config.json", "not UTF-8 at byte 0", "UTF-16"]);
    write(b"");
    refuses(folder.path(), &["config.json", "it is empty"]);
    write(good.replacen('{', "{\"heads\": 2, ", 1).as_bytes());
    refuses(folder.path(), &["config.json", "`heads` is there twice"]);
    write(format!("{good} {{}}").as_bytes());
    refuses(folder.path(), &["config.json", "trailing"]);
    write(good.replacen("drdiff-1", "\\ud800", 1).as_bytes());
    refuses(folder.path(), &["config.json", "hex escape"]);
    write(good.replacen("drdiff-1", &"x".repeat(1 << 20), 1).as_bytes());
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(error.len() < 1000 && error.contains("drdiff-1"), "{} bytes", error.len());
}

/// A format that is not known is recognised as one, and told from those that are.
#[test]
fn formats_that_are_not_known() {
    let known = "expected `format` `drdiff-1` or `model_type` `LangFlow`";
    for (config, words) in [
        (json!({ "model_type": "GPT2", "n_layer": 12 }), "config.json: is of `model_type` \"GPT2\""),
        (json!({ "format": "drdiff-9" }), "config.json: is of `format` \"drdiff-9\""),
        (json!({ "format": "LangFlow" }), "config.json: is of `format` \"LangFlow\""),
        (json!({ "format": 1, "model_type": "LangFlow" }), "config.json: is of `format` 1"),
        (json!({ "n_layer": 12 }), "config.json: does not say of which format it is"),
    ] {
        let folder = copy();
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        refuses(folder.path(), &[words, known]);
    }
    // A configuration that nobody read from a file.
    let mut config =
        Config { format: "GPT2".to_owned(), ..Config::read(&Path::new(TINY).join("config.json")).unwrap() };
    let error = Weights::read(Path::new(TINY), &mut config).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("`format` is GPT2"), "{error}");
}
