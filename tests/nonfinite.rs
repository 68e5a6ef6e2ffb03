//! Runs whose numbers overflow.

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use drdiff::model::{read_tensors, write_tensors};
use drdiff::{Device, Error, Model, Prompt, Sampler, SessionOptions, Tensor};
use tempfile::TempDir;

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny")
}

/// The tiny model with the weights that `change` makes of its own.
fn with_weights(change: impl Fn(&str, &mut Vec<f32>)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(tiny().join(name), folder.path().join(name)).unwrap();
    }
    let mut weights = read_tensors(&tiny().join("model.safetensors")).unwrap();
    for (name, tensor) in &mut weights {
        let mut values = tensor.as_f32().unwrap().to_vec();
        change(name, &mut values);
        *tensor = Tensor::f32(tensor.desc().shape.clone(), values).unwrap();
    }
    write_tensors(&folder.path().join("model.safetensors"), &weights).unwrap();
    folder
}

fn generate(folder: &Path, device: &Device) -> Result<String, Error> {
    let model = Model::load(folder, device)?;
    let mut session = model.session(SessionOptions { length: 24, ..Default::default() })?;
    let sampler = Sampler { steps: 3, ..Sampler::default() };
    session.generate(&Prompt::prefix("the"), &sampler, |_| ControlFlow::Continue(()))
}

#[test]
fn explore() {
    let names: Vec<String> =
        read_tensors(&tiny().join("model.safetensors")).unwrap().into_iter().map(|(name, _)| name).collect();
    let gpu = common::gpu();
    for name in names {
        for factor in [1e18, 1e30, 1e38] {
            let folder = with_weights(|n, values| {
                if n == name {
                    values.iter_mut().for_each(|x| *x = (*x * factor).clamp(f32::MIN, f32::MAX));
                }
            });
            for device in [Device::Cpu, Device::Reference, gpu.clone()] {
                let outcome = match generate(folder.path(), &device) {
                    Ok(text) => format!("{text:?}"),
                    Err(error) => drdiff::explain(&error),
                };
                println!("{name} {factor:e} {:.8}: {outcome}", device.name());
            }
        }
    }
}
