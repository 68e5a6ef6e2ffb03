//! What a user sees of a model whose numbers overflow.

mod common;

use std::path::Path;
use std::process::Output;

use drdiff::Tensor;
use drdiff::files::{read_tensors, write_tensors};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/tiny");

/// `drdiff` on a model folder.
fn drdiff(arguments: &[&str], model: &Path, device: &str) -> Output {
    let mut command = common::command();
    command.args(arguments).args(["--length", "40", "--device", device, "--model"]).arg(model);
    command.output().expect("the binary starts")
}

#[test]
fn a_model_that_overflows_fails_and_prints_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json"] {
        std::fs::copy(Path::new(TINY).join(name), folder.path().join(name)).unwrap();
    }
    let mut weights = read_tensors(&Path::new(TINY).join("model.safetensors")).unwrap();
    for (_, tensor) in weights.iter_mut().filter(|(name, _)| name == "layers.0.attention.value.weight") {
        let largest = tensor.as_f32().unwrap().iter().map(|x| f32::MAX.copysign(*x)).collect();
        *tensor = Tensor::f32(tensor.desc().shape.clone(), largest).unwrap();
    }
    write_tensors(&folder.path().join("model.safetensors"), &weights).unwrap();
    let text = folder.path().join("text.txt").to_string_lossy().into_owned();
    std::fs::write(&text, "the king and the queen ".repeat(9)).unwrap();
    for device in ["cpu", "gpu"] {
        for arguments in [
            &["generate", "the", "--steps", "3"][..],
            &["generate", "the", "--steps", "3", "--snapshots", "1"],
            &["generate", "the", "--steps", "3", "--json"],
            &["eval", "--text", &text, "--draws", "2"],
            &["eval", "--text", &text, "--draws", "2", "--json"],
        ] {
            let output = drdiff(arguments, folder.path(), device);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{arguments:?} on {device}: {said}");
            assert!(output.stdout.is_empty(), "{arguments:?} on {device} printed something");
            assert!(said.contains("step 1 of") && said.contains("not finite at"), "{said}");
        }
    }
}
