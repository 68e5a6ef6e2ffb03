//! A LangFlow checkpoint against what LangFlow's own code computed on it (`tests/data/langflow-tiny`).

mod common;

use std::path::{Path, PathBuf};

use drdiff::model::{Config, DenoiseInput, Denoised, Weights, denoise};
use drdiff::{Device, Method, Model, Sampler, Tensor};
use drdiff_check::nmse;
use safetensors::{Dtype, SafeTensors};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/langflow-tiny")
}

/// Tensors of the golden file, by name; ids are I32 there.
struct Golden(Vec<u8>);

impl Golden {
    fn read() -> Self {
        Self(std::fs::read(folder().join("golden.safetensors")).unwrap())
    }

    fn get(&self, name: &str) -> Tensor {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap();
        let words = view.data().chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        match view.dtype() {
            Dtype::F32 => Tensor::f32(view.shape(), words.map(f32::from_bits).collect()).unwrap(),
            Dtype::I32 => Tensor::u32(view.shape(), words.collect()).unwrap(),
            other => panic!("{name} is {other:?}"),
        }
    }
}

fn devices() -> [Device; 3] {
    [Device::Reference, Device::Cpu, common::gpu()]
}

fn run(input: &DenoiseInput, steps: usize, device: &Device) -> Denoised {
    let mut config = Config::read(&folder().join("config.json")).unwrap();
    let weights = Weights::read(&folder(), &mut config).unwrap();
    let sampler = Sampler { steps, method: Method::FirstOrder, ..Default::default() };
    denoise((&config, &weights), input, &sampler, device).unwrap()
}

fn error(got: &Tensor, want: &Tensor) -> f64 {
    assert_eq!(got.desc(), want.desc());
    let want: Vec<f64> = want.as_f32().unwrap().iter().map(|&x| f64::from(x)).collect();
    nmse(got.as_f32().unwrap(), &want)
}

/// Tokens are equal wherever the best logit is ahead by more than `margin`.
fn assert_tokens(got: &Tensor, golden: &Golden, name: &str, margin: f32) {
    let (want, margins) = (golden.get(&format!("{name}.token")), golden.get(&format!("{name}.margin")));
    let mut compared = 0;
    for ((got, want), by) in got.as_u32().unwrap().iter().zip(want.as_u32().unwrap()).zip(margins.as_f32().unwrap()) {
        if *by > margin {
            assert_eq!(got, want, "{name}");
            compared += 1;
        }
    }
    assert!(compared * 10 > 9 * got.desc().len(), "{name}: only {compared} tokens are clear");
}

#[test]
fn evaluations_are_langflows() {
    let golden = Golden::read();
    for device in devices() {
        for case in ["eval0", "eval1", "eval2", "eval3"] {
            let part = |part: &str| golden.get(&format!("{case}.{part}"));
            let input = DenoiseInput { z: part("z"), last: Some(part("self")), gamma: Some(part("gamma")) };
            let got = run(&input, 1, &device);
            let errors = [error(&got.x0, &part("x0")), error(&got.entropy, &part("entropy"))];
            assert!(errors[0] <= 1e-8 && errors[1] <= 1e-8, "{case} on {}: {errors:?}", device.name());
            assert_tokens(&got.token, &golden, case, 1e-3);
            assert!(got.z.is_none());
        }
    }
}

#[test]
fn whole_runs_are_langflows() {
    let golden = Golden::read();
    for device in devices() {
        for steps in [1, 2, 9, 32] {
            let case = format!("gen{steps}");
            let input = DenoiseInput { z: golden.get(&format!("{case}.z0")), last: None, gamma: None };
            let got = run(&input, steps, &device);
            let z = error(got.z.as_ref().unwrap(), &golden.get(&format!("{case}.z")));
            assert!(z <= 1e-6, "{case} on {}: {z:.1e}", device.name());
            assert_tokens(&got.token, &golden, &case, 1e-2);
        }
    }
}

/// GPT-2's own two files stand for the `tokenizer.json` that holds the same.
#[test]
fn a_tokenizer_of_two_files_is_that_of_one() {
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder().join("tokenizer.json")).unwrap()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(folder().join(name), scratch.path().join(name)).unwrap();
    }
    let write = |name: &str, text: &str| std::fs::write(scratch.path().join(name), text).unwrap();
    let load = || Model::load(scratch.path(), &Device::Cpu).map_err(|error| drdiff::explain(&error));
    write("vocab.json", &json["model"]["vocab"].to_string());
    assert!(load().unwrap_err().contains("merges.txt"));
    let merge = |pair: &serde_json::Value| match pair.as_str() {
        Some(pair) => pair.to_owned(),
        None => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
    };
    let merges: Vec<_> = json["model"]["merges"].as_array().unwrap().iter().map(merge).collect();
    write("merges.txt", &format!("#version: 0.2\n{}\n", merges.join("\n")));
    let (own, whole) = (load().unwrap(), Model::load(folder(), &Device::Cpu).unwrap());
    assert_eq!(own.vocabulary().eos(), whole.vocabulary().eos());
    for text in
        ["The fox and the owl went home.", "  spaces, 12,345 and\nnew lines ", "caf\u{e9} \u{1f98a}", "<|endoftext|>"]
    {
        let ids = own.vocabulary().encode(text).unwrap();
        assert_eq!(ids, whole.vocabulary().encode(text).unwrap(), "{text}");
        assert_eq!(own.vocabulary().decode(&ids).unwrap(), text);
    }
    for (wrong, said) in [
        ("a", "has `a` in line 1, expected two pieces"),
        ("a b c", "has `a b c` in line 1"),
        ("#version: 0.2\n\nnowhere b", "merges to or from `nowhere` in line 3"),
    ] {
        write("merges.txt", wrong);
        let error = load().unwrap_err();
        assert!(error.contains(said) && error.contains("merges.txt"), "{error}");
    }
    write("merges.txt", "");
    write("vocab.json", "{\"a\": -1}");
    let error = load().unwrap_err();
    assert!(error.contains("vocab.json") && error.contains("`a`"), "{error}");
}
