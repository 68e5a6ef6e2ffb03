//! Runs whose numbers overflow end in an error that says where; nothing that came of them is passed on.

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use drdiff::eval::{Corpus, InfillOptions, LikelihoodOptions};
use drdiff::files::{read_tensors, write_tensors};
use drdiff::model::{Denoiser, DenoiserShape, Request};
use drdiff::{Device, Error, Model, Prompt, Sampler, SessionOptions, Tensor, explain};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tempfile::TempDir;

const LENGTH: usize = 24;

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny")
}

/// The tiny model with the weights that `change` makes of its own.
fn changed(change: impl Fn(&str, &mut f32)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(tiny().join(name), folder.path().join(name)).unwrap();
    }
    let mut weights = read_tensors(&tiny().join("model.safetensors")).unwrap();
    for (name, tensor) in &mut weights {
        let mut values = tensor.as_f32().unwrap().to_vec();
        values.iter_mut().for_each(|x| change(name, x));
        *tensor = Tensor::f32(tensor.desc().shape.clone(), values).unwrap();
    }
    write_tensors(&folder.path().join("model.safetensors"), &weights).unwrap();
    folder
}

/// The tiny model with one tensor as large as floats go, signs kept: finite weights, whose products are not.
fn overflowing(tensor: &str) -> TempDir {
    changed(|name, x| {
        if name == tensor {
            *x = f32::MAX.copysign(*x);
        }
    })
}

fn both() -> [Device; 2] {
    [Device::Cpu, common::gpu()]
}

fn sampler() -> Sampler {
    Sampler { steps: 3, ..Sampler::default() }
}

fn generate(model: &Model) -> Result<String, Error> {
    let mut session = model.session(SessionOptions { length: LENGTH, ..Default::default() })?;
    session.generate(&Prompt::prefix("the"), &sampler(), |_| ControlFlow::Continue(()))
}

/// The names of a step's ops, in order.
fn ops(model: &Model) -> Vec<&'static str> {
    let config = model.config();
    let level = config.levels[config.level(LENGTH).unwrap()].clone();
    let shape = DenoiserShape {
        batch: 1,
        positions: LENGTH,
        level,
        guidance: false,
        sharpening: config.sharpening(),
        inspect: false,
    };
    Denoiser::new(model, &shape).unwrap().graph.ops().map(|(name, _)| name).collect()
}

#[test]
fn the_error_names_step_positions_and_op() {
    // The tensor; the step whose numbers it spoils; the op, and the one after it.
    let cases = [
        ("layers.1.attention.value.weight", 1, ["qkv", "attention"]),
        ("layers.0.experts.gate", 1, ["routed_experts", "qkv"]),
        ("output.unembed", 1, ["vocab_expectation", "solver_step"]),
        // Times the last prediction, which is 0 at first.
        ("input.self.weight", 2, ["linear", "qkv"]),
    ];
    for device in both() {
        for (tensor, first, names) in cases {
            let folder = overflowing(tensor);
            let model = Model::load(folder.path(), &device).unwrap();
            let error = generate(&model).unwrap_err();
            let Error::NotFinite { step, steps, positions, of, op: Some((index, name)) } = error else {
                panic!("{tensor} on {}: {error:?}", device.name())
            };
            assert_eq!((step, steps, name), (first, 3, names[0]), "{tensor} on {}", device.name());
            assert_eq!(ops(&model)[index - 1..=index], names, "{tensor} on {}", device.name());
            let anchors = model.config().levels[0].anchors;
            assert!(of == LENGTH + anchors && (1..=of).contains(&positions), "{positions} of {of}");
            let said = explain(&error);
            assert!(said.contains(&format!("step {first} of 3")) && said.contains(&format!("`{name}`")), "{said}");
            assert!(!error.is_usage());
        }
    }
}

/// Padding does not count, and every sequence does.
#[test]
fn positions_are_those_of_the_batch() {
    let folder = overflowing("layers.1.attention.value.weight");
    for device in both() {
        let model = Model::load(folder.path(), &device).unwrap();
        let mut session = model.session(SessionOptions::default()).unwrap();
        let requests = [24, 10, 17].map(|length| Request { length: Some(length), ..Request::default() });
        // Twice: what one run met is not told of the next.
        for _ in 0..2 {
            let error = session.generate_batch(&requests, &sampler(), |_| ControlFlow::Continue(())).unwrap_err();
            let all = 24 + 10 + 17 + 3 * model.config().levels[0].anchors;
            assert!(
                matches!(error, Error::NotFinite { positions, of, .. } if (positions, of) == (all, all)),
                "{error}"
            );
        }
    }
}

#[test]
fn whoever_watches_hears_of_it_first() {
    let folder = overflowing("input.self.weight");
    for device in both() {
        let model = Model::load(folder.path(), &device).unwrap();
        let mut session = model.session(SessionOptions { length: LENGTH, ..Default::default() }).unwrap();
        let mut seen = Vec::new();
        let outcome = session.generate(&Prompt::none(), &sampler(), |progress| {
            seen.push(progress.snapshot());
            ControlFlow::Continue(())
        });
        assert!(matches!(outcome, Err(Error::NotFinite { step: 2, op: Some(_), .. })), "{outcome:?}");
        assert!(seen[0].is_ok());
        // A GPU runs on, as nothing waits for its report.
        assert!(seen[1..].iter().all(|shot| matches!(shot, Err(Error::NotFinite { step: 2, .. }))), "{seen:?}");
        assert_eq!(seen.len(), if matches!(device, Device::Cpu) { 1 } else { 3 });
    }
}

#[test]
fn neither_bound_nor_infill_comes_of_it() {
    for device in both() {
        // The second evaluation of a draw is the first to see a prediction.
        for (tensor, name) in [("layers.1.attention.value.weight", "qkv"), ("input.self.weight", "linear")] {
            let folder = overflowing(tensor);
            let model = Model::load(folder.path(), &device).unwrap();
            let corpus = Corpus::new(&"the king and the queen ".repeat(9), model.vocabulary()).unwrap();
            let options =
                LikelihoodOptions { length: LENGTH, windows: Some(3), draws: 2, batch: 2, ..Default::default() };
            let error = model.likelihood(&corpus, &options, |_, _| ControlFlow::Continue(())).unwrap_err();
            assert!(
                matches!(error, Error::NotFinite { step: 1, steps: 4, positions: 1.., op: Some((_, op)), .. } if op == name),
                "{tensor}: {error:?}"
            );
            let options = InfillOptions { length: LENGTH, sampler: sampler(), ..Default::default() };
            let error = model.infill(&corpus, &options, |_| ControlFlow::Continue(())).unwrap_err();
            assert!(
                matches!(error, Error::NotFinite { steps: 3, op: Some((_, op)), .. } if op == name),
                "{tensor}: {error:?}"
            );
        }
    }
}

/// A later step: the anchors' states, finite when they are frozen, overflow where they are read.
#[test]
fn a_state_that_overflows_later_is_met_later() {
    let folder = changed(|name, x| match name {
        "anchor.bias" => *x = 3e38,
        "input.z.weight" => *x *= 1e3,
        _ => {}
    });
    for device in both() {
        let error = generate(&Model::load(folder.path(), &device).unwrap()).unwrap_err();
        assert!(matches!(error, Error::NotFinite { step: 2.., op: Some((_, "linear")), .. }), "{error:?}");
    }
}

/// But for a router's: its logits may be infinite, and which of such sums are rather NaN depends on their order.
#[test]
fn devices_agree_on_what_overflows() {
    let names: Vec<_> = read_tensors(&tiny().join("model.safetensors")).unwrap().into_iter().map(|(n, _)| n).collect();
    let devices = [Device::Cpu, common::gpu(), Device::Reference];
    let mut ended = 0;
    for name in names.iter().filter(|name| !name.contains("router")) {
        let folder = overflowing(name);
        match devices.each_ref().map(|device| generate(&Model::load(folder.path(), device).unwrap())) {
            // f64 goes on to 1e308.
            [Ok(_), Ok(_), Ok(_)] => {}
            [Err(Error::NotFinite { .. }), Err(Error::NotFinite { .. }), Ok(_)] => ended += 1,
            // What is made of the time alone goes through f32 on every device.
            [Err(Error::NotFinite { .. }), Err(Error::NotFinite { .. }), Err(Error::NotFinite { .. })]
                if name.starts_with("modulation") || name.starts_with("time") =>
            {
                ended += 1;
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(ended >= 10, "{ended} tensors made the model overflow");
}

/// As halves go, infinity is what an overflow in training or in a conversion leaves.
#[test]
fn weights_that_are_not_finite_are_refused() {
    let folder = changed(|_, _| {});
    let path = folder.path().join("model.safetensors");
    let weights = read_tensors(&path).unwrap();
    let (f16, bf16) = (half::f16::INFINITY.to_le_bytes(), half::bf16::NEG_INFINITY.to_le_bytes());
    let halves = [(Dtype::F16, f16), (Dtype::BF16, bf16), (Dtype::F16, half::f16::NAN.to_le_bytes())];
    for (dtype, bytes) in halves {
        let mut spoilt = vec![0; 2 * 16];
        spoilt[2 * 5..][..2].copy_from_slice(&bytes);
        let views = weights.iter().map(|(name, tensor)| {
            let view = match name.as_str() {
                "absorb" => TensorView::new(dtype, vec![16], &spoilt),
                _ => TensorView::new(Dtype::F32, tensor.desc().shape.clone(), bytemuck::cast_slice(tensor.words())),
            };
            (name.clone(), view.unwrap())
        });
        fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        let error = Model::load(folder.path(), &Device::Cpu).unwrap_err();
        assert!(error.to_string().contains("element 5 of `absorb` is not finite"), "{error}");
    }
}
