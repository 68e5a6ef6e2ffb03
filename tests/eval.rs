//! What measures a model: the bound against a model whose likelihood is known, its repeatability, and filling in.

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use approx::assert_relative_eq;
use drdiff::eval::{Corpus, InfillOptions, Likelihood, LikelihoodOptions};
use drdiff::files::{read_tensors, write_tensors};
use drdiff::{Device, Error, Model, Sampler, Tensor};
use tempfile::TempDir;

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny")
}

/// The tiny model without an opinion of its own: what is left is Bayes' rule under equal odds of all tokens.
fn without_opinion(gamma: &[f64]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(tiny().join("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    let config = fs::read_to_string(tiny().join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["schedule"]["gamma"] = serde_json::json!(gamma);
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let mut weights = read_tensors(&tiny().join("model.safetensors")).unwrap();
    for (_, tensor) in weights.iter_mut().filter(|(name, _)| name == "output.unembed") {
        *tensor = Tensor::zeros(tensor.desc().clone()).unwrap();
    }
    write_tensors(&folder.path().join("model.safetensors"), &weights).unwrap();
    folder
}

/// Documents of random letters.
fn corpus(model: &Model, documents: u32) -> Corpus {
    let mut state = 1_u32;
    let mut letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b"etaoin shrdlu.,ABC"[(state >> 16) as usize % 18])
    };
    let lines: Vec<String> = (0..documents).map(|_| (0..60).map(|_| letter()).collect()).collect();
    Corpus::new(&lines.join("\n"), model.vocabulary()).unwrap()
}

fn go(_: usize, _: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn bound(model: &Model, documents: u32, options: &LikelihoodOptions) -> Likelihood {
    model.likelihood(&corpus(model, documents), options, go).unwrap()
}

/// The reverse process of a model that is Bayes' rule is the forward process turned round, so that the bound is tight:
/// `ln V` for every text, whatever it says. What the schedule cuts off at its noisy end is the prior's.
#[test]
fn a_model_without_opinion_costs_ln_v() {
    let wide = [-6.0, -4.0, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 12.0];
    let narrow = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 8.5];
    for gamma in [&wide[..], &narrow] {
        let folder = without_opinion(gamma);
        let model = Model::load(folder.path(), &Device::Cpu).unwrap();
        let options = LikelihoodOptions { length: 64, draws: 64, ..Default::default() };
        let found = bound(&model, 24, &options);
        let expected = (model.config().vocab_size as f64).ln();
        for estimate in [found.bound, found.unconditioned] {
            let error = estimate.error.unwrap();
            println!("{estimate:?}, ln V {expected}, prior {}, reconstruction {}", found.prior, found.reconstruction);
            assert!(error < 0.1, "{error}");
            assert!((estimate.nats - expected).abs() < 3.0 * error + found.prior + 0.01, "{estimate:?}, {expected}");
            let parts = estimate.diffusion + found.prior + found.reconstruction;
            assert_relative_eq!(estimate.nats, parts, max_relative = 1e-12);
        }
        // Its predictions do not depend on what they are conditioned on.
        assert_relative_eq!(found.bound.nats, found.unconditioned.nats, max_relative = 1e-5);
    }
}

#[test]
fn gpu_and_cpu_find_the_same_bound() {
    let options =
        LikelihoodOptions { length: 100, draws: 3, batch: 2, budget: Some(0.4), seed: 5, ..Default::default() };
    let on = |device: &Device| bound(&Model::load(tiny(), device).unwrap(), 5, &options);
    let (gpu, cpu) = (on(&common::gpu()), on(&Device::Cpu));
    for (gpu, cpu) in [(gpu.bound, cpu.bound), (gpu.unconditioned, cpu.unconditioned)] {
        assert_relative_eq!(gpu.nats, cpu.nats, max_relative = 1e-4);
        assert_relative_eq!(gpu.error.unwrap(), cpu.error.unwrap(), max_relative = 1e-2);
    }
    assert_relative_eq!(gpu.expert_share, cpu.expert_share, max_relative = 1e-2);
    assert_eq!((gpu.prior, gpu.reconstruction), (cpu.prior, cpu.reconstruction));
    assert!(cpu.bound.nats != cpu.unconditioned.nats, "the second evaluation sees the first");
}

#[test]
fn a_seed_repeats_every_bit() {
    let model = Model::load(tiny(), &Device::Cpu).unwrap();
    let options = LikelihoodOptions { length: 50, draws: 2, seed: 3, ..Default::default() };
    let first = bound(&model, 4, &options);
    assert_eq!(first, bound(&model, 4, &options));
    assert_ne!(first.bound, bound(&model, 4, &LikelihoodOptions { seed: 4, ..options }).bound);
    assert_eq!(first.tokens, corpus(&model, 4).tokens().len());
    assert_eq!(first.bytes, 4 * 61, "each line and its end");
    assert_eq!(first.bins.iter().map(|bin| bin.predictions).sum::<usize>(), 2 * first.tokens);
    let nats: f64 = first.bins.iter().map(|bin| bin.nats).sum();
    assert_relative_eq!(nats, first.bound.diffusion, max_relative = 1e-12);
}

/// Over several seeds, so that the reported error can be compared with the actual one.
#[test]
fn more_draws_leave_a_smaller_error() {
    let model = Model::load(tiny(), &Device::Cpu).unwrap();
    let spread = |draws: usize| {
        let found: Vec<_> = (0..12)
            .map(|seed| {
                let options = LikelihoodOptions { length: 32, windows: Some(1), draws, seed, ..Default::default() };
                bound(&model, 4, &options).bound
            })
            .collect();
        let count = found.len() as f64;
        let mean = found.iter().map(|estimate| estimate.nats).sum::<f64>() / count;
        let variance = found.iter().map(|estimate| (estimate.nats - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let told = found.iter().map(|estimate| estimate.error.unwrap()).sum::<f64>() / count;
        (variance.sqrt(), told)
    };
    let (few, many) = (spread(2), spread(32));
    println!("made and told: {few:?} with 2 draws, {many:?} with 32");
    assert!(many.0 < few.0 && many.1 < few.1);
    assert!(many.0 < 1.5 * many.1, "the error told is no smaller than the one made");
    let one = LikelihoodOptions { length: 32, windows: Some(1), draws: 1, ..Default::default() };
    assert_eq!(bound(&model, 4, &one).bound.error, None);
}

#[test]
fn a_smaller_budget_is_seen_in_the_share() {
    let model = Model::load(tiny(), &Device::Cpu).unwrap();
    let share = |budget| {
        let options = LikelihoodOptions { length: 60, draws: 2, budget: Some(budget), ..Default::default() };
        bound(&model, 2, &options).expert_share
    };
    let (low, high) = (share(0.1), share(1.0));
    assert!(0.0 <= low && low < high && high <= 1.0, "{low}, {high}");
}

#[test]
fn gaps_are_filled_in() {
    let model = Model::load(tiny(), &Device::Cpu).unwrap();
    let corpus = corpus(&model, 8);
    let sampler = Sampler { steps: 3, seed: 2, ..Sampler::default() };
    let options = InfillOptions { length: 40, filled: 6, share: 0.25, sampler, ..Default::default() };
    let fill = |options: &InfillOptions| model.infill(&corpus, options, |_| ControlFlow::Continue(())).unwrap();
    let found = fill(&options);
    assert_eq!((found.windows, found.hidden), (6, 60));
    assert!(found.hits <= 60 && found.commonest > 0 && found.commonest < 60, "{found:?}");
    assert_eq!(found, fill(&options));
    // Where the text is of one token alone, the commonest is always right.
    let same = Corpus::new(&"\u{1}".repeat(200), model.vocabulary()).unwrap();
    let found = model.infill(&same, &InfillOptions { windows: Some(1), ..options }, |_| ControlFlow::Continue(()));
    assert_eq!(found.unwrap().baseline(), 1.0);
}

#[test]
fn both_can_be_stopped() {
    let model = Model::load(tiny(), &Device::Cpu).unwrap();
    let corpus = corpus(&model, 8);
    let options = LikelihoodOptions { length: 40, draws: 3, batch: 1, ..Default::default() };
    let stopped = model.likelihood(&corpus, &options, |step, _| match step {
        4 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(stopped, Err(Error::Stopped { step: 4, steps }) if steps > 4));
    let stopped =
        model.infill(&corpus, &InfillOptions { length: 40, ..Default::default() }, |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(Error::Stopped { step: 1, steps: 20 })));
}
