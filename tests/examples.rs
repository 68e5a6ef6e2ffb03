//! The examples do what they say.

mod common;

#[path = "../examples/batch_from_file.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run --example`")]
mod batch_from_file;
#[path = "../examples/choose_device.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run --example`")]
mod choose_device;
#[path = "../examples/denoising_loop.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run --example`")]
mod denoising_loop;
#[path = "../examples/embed.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run --example`")]
mod embed;
#[path = "../examples/experts_layer.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run --example`")]
mod experts_layer;
#[path = "../examples/sparse_attention.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run --example`")]
mod sparse_attention;

use std::ops::ControlFlow;

use drdiff::gpu::{Adapters, PciBusId};
use drdiff::ops::Pattern;
use drdiff::{Device, DeviceChoice, Model, Prompt, Sampler, SessionOptions};
use drdiff_check::nmse;
use drdiff_reference as reference;
use wgpu::DeviceType;

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models");

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

#[test]
fn an_app_with_its_own_device_and_executor_goes_on_while_a_text_is_made() {
    let (text, frames) = embed::run(MODELS).unwrap();
    assert!(frames > 1, "nothing else had its turn");
    let model = Model::load(MODELS, &Device::Cpu).unwrap();
    let mut session = model.session(SessionOptions { length: 64, ..Default::default() }).unwrap();
    let sampler = Sampler { steps: 10, seed: 7, ..Sampler::default() };
    let expected = session.generate(&Prompt::prefix("And the king"), &sampler, |_| ControlFlow::Continue(()));
    assert_eq!(text, expected.unwrap());
}

#[test]
fn a_layer_of_sparse_attention_is_what_its_formula_says() {
    use sparse_attention::{DIM, GLOBALS, HEADS, numbers, run, weights};
    let Device::Gpu(gpu) = common::gpu() else { panic!("a GPU was asked for") };
    let rows = 200;
    let x = numbers(9, rows * DIM);
    let [wq, wk, wv, wo] = weights().map(|weight| wide(&weight));
    let product = |x: &[f64], weight: &[f64]| reference::nn::linear(x, weight, None, rows, DIM, DIM);
    let dims = reference::attention::Dims { batch: 1, rows, heads: HEADS, key_heads: HEADS, head_dim: DIM / HEADS };
    let scale = 1.0 / (dims.head_dim as f64).sqrt();
    let mut all = Vec::new();
    for pattern in [Pattern::Dense, sparse_attention::pattern()] {
        let oracle = match &pattern {
            Pattern::Dense => reference::attention::Pattern { dense: true, ..Default::default() },
            Pattern::Hsa { window, dilations } => {
                reference::attention::Pattern { window: *window, dilations: dilations.clone(), ..Default::default() }
            }
        };
        let (got, flops) = run(&gpu, &x, pattern).unwrap();
        let [q, k, v] = [&wq, &wk, &wv].map(|weight| product(&wide(&x), weight));
        let mask = reference::attention::Mask { lengths: &[rows], globals: &GLOBALS, pattern: &oracle };
        let mixed = reference::attention::attention(&q, &k, &v, &dims, &mask, scale).out;
        let want: Vec<f64> = product(&mixed, &wo).iter().zip(&x).map(|(y, &x)| y + f64::from(x)).collect();
        assert!(nmse(&got, &want) < 1e-10, "{}", nmse(&got, &want));

        let pairs = (0..rows * rows).filter(|at| {
            let (i, j) = (at / rows, at % rows);
            reference::attention::sees(&oracle, &GLOBALS, i, j)
        });
        assert_eq!(flops, (pairs.count() * 4 * DIM) as f64);
        all.push((got, flops));
    }
    let [(dense, dense_flops), (sparse, sparse_flops)] = [&all[0], &all[1]];
    assert!(sparse_flops * 2.0 < *dense_flops, "{sparse_flops} of {dense_flops} FLOPs");
    assert!(nmse(sparse, &wide(dense)) > 1e-4, "the pattern changes nothing");
}

#[test]
fn a_layer_of_experts_routes_and_computes_as_its_formula_says() {
    use experts_layer::{ROWS, TOP_K, UNITS, WIDTHS, costs, difficulties, numbers, run};
    let ([tokens, dim], experts) = (ROWS, WIDTHS.len());
    assert_eq!(UNITS as u32, WIDTHS.iter().sum::<u32>());
    let [router, gate, up, down] = [(1, experts * dim), (2, UNITS * dim), (3, UNITS * dim), (4, dim * UNITS)]
        .map(|(seed, count)| wide(&numbers(seed, count)));
    let (x, costs) = (wide(&numbers(5, tokens * dim)), wide(&costs()));
    let weights = reference::experts::RouterWeights { weight: &router, bias: &vec![0.0; experts], difficulty: &costs };
    let logits = reference::experts::router(&x, &wide(&difficulties()), &weights, tokens, dim);
    let weights = reference::experts::ExpertWeights { gate: &gate, up: &up, down: &down, widths: &WIDTHS };
    let lambdas = [0.0, 0.5, 2.0];
    for device in [Device::Cpu, common::gpu()] {
        let runs = run(&device, &lambdas).unwrap();
        assert!(runs[0].cost > runs[1].cost && runs[1].cost > runs[2].cost, "a price saves nothing");
        for (lambda, got) in lambdas.into_iter().zip(runs) {
            let bias: Vec<f64> = costs.iter().map(|cost| f64::from(lambda) * cost).collect();
            let want = reference::experts::experts(&x, &logits, &weights, Some(&bias), tokens, dim, TOP_K);
            assert_eq!(got.counts, want.counts, "{}", device.name());
            let out: Vec<f64> = want.out.iter().zip(&x).map(|(y, x)| x + y).collect();
            assert!(nmse(&got.out, &out) < 1e-10, "{}: {}", device.name(), nmse(&got.out, &out));
            let units: f64 = want.indices.iter().map(|&expert| f64::from(WIDTHS[expert as usize])).sum();
            approx::assert_relative_eq!(got.cost, units * 6.0 * dim as f64 / tokens as f64, max_relative = 1e-12);
        }
    }
}

#[test]
fn a_denoising_loop_shows_the_sessions_texts_and_ends_by_its_own_rule() {
    let model = Model::load(MODELS, &Device::Cpu).unwrap();
    let (prompt, sampler) = (Prompt::prefix("And the king"), Sampler { steps: 40, seed: 7, ..Sampler::default() });
    let mut printed = Vec::new();
    let (generated, entropies) = denoising_loop::run(&model, &prompt, &sampler, &mut printed).unwrap();

    let mut session = model.session(SessionOptions { length: 64, ..Default::default() }).unwrap();
    let (mut snapshots, mut means) = (Vec::new(), Vec::new());
    let outcome = session.generate(&prompt, &sampler, |progress| {
        snapshots.push(progress.snapshot().unwrap().concat());
        let entropy = progress.entropy().unwrap();
        let text = wide(&entropy.as_f32().unwrap()[progress.anchors()..]);
        means.push(text.iter().sum::<f64>() / 64.0);
        if progress.step == entropies.len() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(outcome, Err(drdiff::Error::Stopped { .. })), "it stopped before the last step");
    assert_eq!(generated.text, snapshots[snapshots.len() - 1]);
    let printed = String::from_utf8(printed).unwrap();
    assert_eq!(printed.lines().count(), entropies.len());
    for (((line, text), mean), entropy) in printed.lines().zip(&snapshots).zip(&means).zip(&entropies) {
        assert!(line.ends_with(&text.replace('\n', " ")), "{line}: {text}");
        approx::assert_relative_eq!(*mean, f64::from(*entropy), max_relative = 1e-4);
    }
    // Half of ln 4096.
    let rises = |step: &usize| means[*step] < 4.1588 && means[*step] >= means[step - 1];
    assert_eq!((1..means.len()).find(rises), Some(means.len() - 1), "{means:?}");
}

#[test]
fn a_text_of_a_file_depends_on_its_line_alone() {
    let file = "And the king\n\n{\"prompt\": \"And the king\", \"seed\": 1}\n{}\n  Once upon a time \n{\"suffix\": \" the end.\"}\n";
    let sampler = Sampler { steps: 3, ..Sampler::default() };
    for device in [Device::Cpu, common::gpu()] {
        let model = Model::load(MODELS, &device).unwrap();
        let run = |file: &str, at_once| {
            let mut out = Vec::new();
            let outcome = batch_from_file::run(&model, &sampler, file.as_bytes(), at_once, &mut out);
            (outcome.map_err(|error| error.to_string()), String::from_utf8(out).unwrap())
        };
        let (outcome, alone) = run(file, 1);
        assert_eq!((outcome, &alone), (Ok(()), &run(file, 3).1), "{}", device.name());

        let lines: Vec<serde_json::Value> = alone.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let numbers: Vec<_> = lines.iter().map(|line| (line["line"].as_u64(), line["seed"].as_u64())).collect();
        assert_eq!(numbers, [(1, 1), (3, 1), (4, 4), (5, 5), (6, 6)].map(|(line, seed)| (Some(line), Some(seed))));
        assert_eq!(lines[0]["text"], lines[1]["text"], "the same prompt and seed");
        let mut session = model.session(SessionOptions { length: 64, ..Default::default() }).unwrap();
        for (line, prompt) in [
            (0, Prompt::prefix("And the king")),
            (2, Prompt::none()),
            (3, Prompt::prefix("Once upon a time")),
            (4, Prompt::suffix(" the end.")),
        ] {
            let sampler = Sampler { seed: numbers[line].1.unwrap(), ..sampler.clone() };
            let text = session.generate(&prompt, &sampler, |_| ControlFlow::Continue(())).unwrap();
            assert_eq!(lines[line]["text"], text, "line {line}");
        }

        let too_long = format!("fine\n{}", "and ".repeat(99));
        for (file, error) in [("fine\n{\"promt\": 1}", "line 2: unknown field `promt`"), (&too_long, "lines [2]: ")] {
            let (outcome, out) = run(file, 1);
            assert!(outcome.as_ref().is_err_and(|said| said.starts_with(error)), "{outcome:?}");
            assert_eq!(out.lines().count(), usize::from(file == too_long), "what was there is written");
        }
    }
}

#[test]
fn a_device_is_chosen_by_kind_index_place_and_name_for_a_reason_that_is_told() {
    let mut adapters = Adapters::default();
    let listed: Vec<_> = std::iter::from_fn(|| adapters.next_back_end()).flatten().collect();
    let first = &listed.first().expect("a Vulkan driver answers").info;
    let choose = |choice: DeviceChoice| {
        let mut out = Vec::new();
        let chosen = choose_device::run(&choice, &mut out).map_err(|error| error.to_string());
        (chosen, String::from_utf8(out).unwrap())
    };
    for (choice, why) in [
        (DeviceChoice::Gpu, "the first in the list, hardware or not"),
        (DeviceChoice::Index(0), "the adapter of index 0"),
        (DeviceChoice::Name(first.name.clone()), "the first in the list whose name holds"),
    ] {
        let (chosen, said) = choose(choice);
        assert!(matches!(chosen, Ok(Device::Gpu(gpu)) if gpu.info() == first), "{said}");
        assert!(said.starts_with(&format!("0: {}", first.name)) && said.contains(why), "{said}");
        assert_eq!(said.lines().count(), listed.len() + 1);
    }
    let hardware = |kind| matches!(kind, DeviceType::DiscreteGpu | DeviceType::IntegratedGpu | DeviceType::VirtualGpu);
    let hardware = listed.iter().find(|adapter| hardware(adapter.info.device_type));
    match (choose(DeviceChoice::Auto), hardware) {
        ((Ok(Device::Cpu), said), None) => assert!(said.contains("since no GPU is hardware"), "{said}"),
        ((Ok(Device::Gpu(gpu)), _), Some(adapter)) => assert_eq!(*gpu.info(), adapter.info),
        (chosen, expected) => panic!("{chosen:?}, {expected:?}"),
    }
    assert_eq!(choose_device::reason(&DeviceChoice::Auto, &Device::Cpu, &[]), "since there is no GPU");
    let (chosen, said) = choose(DeviceChoice::Cpu);
    assert!(matches!(chosen, Ok(Device::Cpu)) && said.contains("which is always there"), "{said}");
    // A card that can be named by its place is; nothing is at this one.
    if let Ok(place) = first.device_pci_bus_id.parse() {
        let (chosen, _) = choose(DeviceChoice::Pci(place));
        assert!(matches!(chosen, Ok(Device::Gpu(gpu)) if gpu.info() == first));
    }
    let nowhere = PciBusId { domain: 0xffff, bus: 0xff, device: 0x1f, function: 7 };
    let error = choose(DeviceChoice::Pci(nowhere)).0.unwrap_err();
    assert!(error.contains("no device `ffff:ff:1f.7`") && error.contains(&first.name), "{error}");
}
