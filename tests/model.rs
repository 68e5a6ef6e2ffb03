//! The model: agreement with the trainer, of devices with each other, and what sampling promises.

mod common;

use std::ops::ControlFlow;

use approx::assert_relative_eq;
use drdiff::eval::{Corpus, LikelihoodOptions};
use drdiff::files::{tensors, write_tensors};
use drdiff::gpu::Capabilities;
use drdiff::graph::{Executor, ExecutorOptions, Plan};
use drdiff::model::{
    DenoiseInput, Denoiser, DenoiserShape, Generated, Progress, Request, Sharpening, denoise, step_rows,
};
use drdiff::ops::StepRow;
use drdiff::{Device, Error, Method, Model, Prompt, Sampler, SessionOptions, Tensor};
use drdiff_check::{first_difference, nmse};
use drdiff_reference as reference;

fn data(name: &str) -> std::path::PathBuf {
    std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")).join(name)
}

fn tiny(device: &Device) -> Model {
    Model::load(data("tiny"), device).unwrap()
}

struct Fixture(Vec<(String, Tensor)>);

impl Fixture {
    fn read(name: &str) -> Self {
        let path = data(name);
        Self(tensors(&path, &std::fs::read(&path).unwrap()).unwrap())
    }

    fn tensor(&self, name: &str) -> &Tensor {
        &self.0.iter().find(|(key, _)| key == name).unwrap_or_else(|| panic!("the fixture has `{name}`")).1
    }

    fn f32(&self, name: &str) -> &[f32] {
        self.tensor(name).as_f32().unwrap()
    }

    fn u32(&self, name: &str) -> &[u32] {
        self.tensor(name).as_u32().unwrap()
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&x| x as f32).collect()
}

fn identity(size: usize) -> Vec<f64> {
    (0..size * size).map(|i| f64::from(u8::from(i % (size + 1) == 0))).collect()
}

fn close(what: &str, got: &[f32], want: &[f32], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    let error = nmse(got, &wide(want));
    assert!(error <= tolerance, "{what}: NMSE {error:.2e}, at most {tolerance:.0e} allowed");
}

/// Logits, x0 and anchors of the PyTorch model, which computed them in f64 from the exported weights. It knows no
/// sharpening: with some, x0 is held against the softmax of its logits so changed.
fn agrees_with_the_trainer(folder: std::path::PathBuf, fixture: &str, sharpening: Sharpening, device: &Device) {
    let model = Model::load(folder, device).unwrap();
    let config = model.config().clone();
    let fixture = Fixture::read(fixture);
    let shape_of_z = &fixture.tensor("z").desc().shape;
    let level = config.levels[fixture.u32("level")[0] as usize].clone();
    let (batch, rows) = (shape_of_z[0], shape_of_z[1]);
    let positions = rows - level.anchors;
    let shape = DenoiserShape { batch, positions, level, guidance: false, sharpening, inspect: true };
    let Denoiser { graph, handles } = Denoiser::new(&model, &shape).unwrap();
    let mut executor = Executor::new(device, graph, ExecutorOptions::default()).unwrap();
    handles.write_layout(&mut executor, &shape, &config, &vec![positions; batch], 0.0).unwrap();
    for (value, name) in
        [(handles.z, "z"), (handles.x0, "self"), (handles.flag, "flag"), (handles.difficulty, "difficulty")]
    {
        executor.write(value, fixture.tensor(name)).unwrap();
    }
    // Everything counts as clean, so that the update leaves z alone.
    executor.write(handles.info, &Tensor::u32([batch, rows], vec![1; batch * rows]).unwrap()).unwrap();
    let gamma = f64::from(fixture.f32("gamma")[0]);
    let (alpha, sigma) = reference::solver::alpha_sigma(gamma);
    let scale = alpha / (sigma * sigma);
    let row = StepRow {
        gamma: gamma as f32,
        alpha: alpha as f32,
        sigma: sigma as f32,
        bayes_scale: scale as f32,
        sharpen: 1.0,
        ..StepRow::default()
    };
    executor.write(handles.step, &Tensor::f32([StepRow::LEN], row.words()).unwrap()).unwrap();
    let time = model.time_rows(sharpening, &[row]).unwrap().swap_remove(0);
    executor.write(handles.time, &Tensor::f32([time.len()], time).unwrap()).unwrap();
    executor.run().unwrap();

    let read = |value| executor.read(value).unwrap().as_f32().unwrap().to_vec();
    let what = |name: &str| format!("{name} on {}", device.name());
    let anchors = shape.level.anchors;
    let per_sequence = rows * config.embedding_dim;
    let predictions = read(handles.anchor_prediction);
    let anchor: Vec<f32> =
        (0..batch).flat_map(|b| predictions[b * per_sequence..][..anchors * config.embedding_dim].to_vec()).collect();
    close(&what("anchors"), &anchor, fixture.f32("anchor"), 1e-8);
    let x0 = read(handles.x0);
    if sharpening == Sharpening::default() {
        close(&what("x0"), &x0, fixture.f32("x0"), 1e-8);
    }

    // The library never holds N x V logits; here a few rows are put together from the hidden state.
    let hidden = wide(&read(handles.hidden));
    let weights = tensors_of(&model);
    let unigram = match &weights.unigram {
        Some(unigram) => reference::nn::linear(unigram, &weights.unembed, None, 1, config.model_dim, config.vocab_size),
        None => vec![0.0; config.vocab_size],
    };
    let logits = fixture.f32("logits");
    let (vocab, dim, de) = (config.vocab_size, config.model_dim, config.embedding_dim);
    let z = wide(fixture.f32("z"));
    for (index, place) in fixture.u32("rows").chunks(2).enumerate() {
        let at = place[0] as usize * rows + place[1] as usize;
        let query = reference::solver::bayes_query(&z[at * de..][..de], &weights.absorb, alpha, sigma);
        let h = &hidden[at * dim..][..dim];
        let network = reference::nn::linear(h, &weights.unembed, None, 1, dim, vocab);
        let bayes = reference::nn::linear(&query, &weights.embedding, None, 1, de, vocab);
        let logits_at = |Sharpening { temperature, emphasis }| -> Vec<f64> {
            let (t, w) = (f64::from(temperature), f64::from(emphasis));
            let each = network.iter().zip(&unigram).zip(&bayes);
            each.map(|((h, u), s)| ((1.0 + w) * h - w * u) / t + s).collect()
        };
        let expected = reference::vocab::vocab_expectation(
            &logits_at(sharpening),
            &identity(vocab),
            &weights.embedding,
            None,
            &reference::vocab::Dims { rows: 1, dim: vocab, vocab, embed_dim: de },
        );
        close(&what("x0 of these logits"), &x0[at * de..][..de], &narrow(&expected.x0), 1e-8);
        let got = logits_at(Sharpening::default());
        let want = &logits[index * vocab..][..vocab];
        let largest = want.iter().fold(0.0_f64, |most, &x| most.max(f64::from(x).abs()));
        for (got, &want) in got.iter().zip(want) {
            assert_relative_eq!(*got, f64::from(want), epsilon = 1e-4 * largest);
        }
    }
}

struct Plain {
    embedding: Vec<f64>,
    unembed: Vec<f64>,
    absorb: Vec<f64>,
    unigram: Option<Vec<f64>>,
}

fn tensors_of(model: &Model) -> Plain {
    let named = model.weights().named();
    let find = |name: &str| {
        let (_, tensor) = named.iter().find(|(key, _)| *key == name)?;
        Some(wide(tensor.as_f32().unwrap()))
    };
    let get = |name: &str| find(name).expect("the model has this weight");
    Plain {
        embedding: get("embedding"),
        unembed: get("output.unembed"),
        absorb: get("absorb"),
        unigram: find("output.unigram"),
    }
}

#[test]
fn the_reference_agrees_with_the_trainer() {
    for level in 0..3 {
        agrees_with_the_trainer(
            data("tiny"),
            &format!("tiny/logits-{level}.safetensors"),
            Sharpening::default(),
            &Device::Reference,
        );
    }
}

#[test]
fn the_cpu_agrees_with_the_trainer() {
    for level in 0..3 {
        agrees_with_the_trainer(
            data("tiny"),
            &format!("tiny/logits-{level}.safetensors"),
            Sharpening::default(),
            &Device::Cpu,
        );
    }
}

#[test]
fn the_gpu_agrees_with_the_trainer() {
    let gpu = common::gpu();
    for level in 0..3 {
        agrees_with_the_trainer(data("tiny"), &format!("tiny/logits-{level}.safetensors"), Sharpening::default(), &gpu);
    }
}

#[test]
fn sharpening_changes_the_networks_logits_alone() {
    for (temperature, emphasis) in [(0.5, 0.0), (2.0, 0.0), (1.0, 0.7), (0.8, 1.5)] {
        for device in [Device::Reference, Device::Cpu, common::gpu()] {
            let sharpening = Sharpening { temperature, emphasis };
            agrees_with_the_trainer(data("tiny"), "tiny/logits-1.safetensors", sharpening, &device);
        }
    }
}

#[test]
fn sharpening_keeps_to_its_noise_levels() {
    let model = tiny(&Device::Cpu);
    let middle = model.config().schedule.gamma(0.5);
    let flags = |sharpen_below| -> Vec<(f64, f32)> {
        let rows = step_rows(model.config(), &Sampler { steps: 9, sharpen_below, ..Default::default() });
        rows.iter().map(|row| (f64::from(row.gamma), row.sharpen)).collect()
    };
    assert!(flags(None).iter().all(|&(_, sharpen)| sharpen == 1.0));
    let some = flags(Some(middle + 1e-3));
    assert!(some.iter().all(|&(gamma, sharpen)| sharpen == f32::from(u8::from(gamma <= middle + 1e-3))), "{some:?}");
    assert!(some.iter().any(|&(_, sharpen)| sharpen == 0.0) && some.iter().any(|&(_, sharpen)| sharpen == 1.0));

    let text = |temperature, sharpen_below| {
        let sampler = Sampler { steps: 9, temperature: Some(temperature), sharpen_below, ..Default::default() };
        sample(&Device::Cpu, 24, &sampler).tokens
    };
    assert_eq!(text(0.3, Some(-50.0)), text(1.0, None), "no step sharpens");
    assert_ne!(text(0.3, None), text(1.0, None));
}

#[test]
fn the_shipped_model_agrees_with_its_trainer() {
    let models = std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/models"));
    for device in [Device::Reference, Device::Cpu, common::gpu()] {
        agrees_with_the_trainer(models.clone(), "logits.safetensors", Sharpening::default(), &device);
    }
}

fn quiet(_: &Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn sample(device: &Device, length: usize, sampler: &Sampler) -> Generated {
    let model = tiny(device);
    let mut session = model.session(SessionOptions { length, ..Default::default() }).unwrap();
    let request = Request { prompt: Prompt::prefix("the"), ..Request::default() };
    session.generate_batch(&[request], sampler, quiet).unwrap().remove(0)
}

#[test]
fn gpu_and_cpu_compute_the_same_graph() {
    let gpu = common::gpu();
    for (length, level) in [(24, 0), (90, 1), (200, 2)] {
        let model = tiny(&Device::Cpu);
        let config = model.config();
        let level = config.levels[level].clone();
        let shape = DenoiserShape {
            batch: 2,
            positions: length,
            level,
            guidance: true,
            sharpening: Sharpening::default(),
            inspect: false,
        };
        let Denoiser { graph, handles } = Denoiser::new(&model, &shape).unwrap();
        // The states as a run on the CPU leaves them after three steps.
        let mut session = Executor::new(&Device::Cpu, graph, ExecutorOptions::default()).unwrap();
        handles.write_layout(&mut session, &shape, config, &[length, length - 5], 0.1).unwrap();
        let z = reference::noise::normal(9, 0, 2 * shape.rows() * config.embedding_dim);
        let z = Tensor::f32([z.len()], z.iter().map(|&x| x as f32).collect()).unwrap();
        session.write(handles.z, &z).unwrap();
        let row = StepRow {
            gamma: 2.0,
            alpha: 0.6,
            sigma: 0.8,
            bayes_scale: 0.9,
            c_x: 0.7,
            c_x0: 0.3,
            omega: 0.2,
            ..StepRow::default()
        };
        session.write(handles.step, &Tensor::f32([StepRow::LEN], row.words()).unwrap()).unwrap();
        let time = model.time_rows(shape.sharpening, &[row]).unwrap().swap_remove(0);
        session.write(handles.time, &Tensor::f32([time.len()], time).unwrap()).unwrap();
        let fixed = [handles.z, handles.rope, handles.place, handles.lengths, handles.globals, handles.cost_bias];
        let states: Vec<_> = fixed
            .into_iter()
            .chain([handles.step, handles.time])
            .map(|value| (value, session.read(value).unwrap()))
            .collect();
        let build = || Ok(Denoiser::new(&model, &shape)?.graph);
        let difference = first_difference(build, &states, [&gpu, &Device::Cpu], 1e-7).unwrap();
        assert_eq!(difference, None);
    }
}

#[test]
fn a_difference_names_the_first_op() {
    let model = tiny(&Device::Cpu);
    let level = model.config().levels[0].clone();
    let shape = DenoiserShape {
        batch: 1,
        positions: 8,
        level,
        guidance: false,
        sharpening: Sharpening::default(),
        inspect: false,
    };
    let build = || Ok(Denoiser::new(&model, &shape)?.graph);
    // The first layer's projections read the time; NaN differs from everything.
    let Denoiser { graph, handles } = Denoiser::new(&model, &shape).unwrap();
    let first = graph.ops().position(|(name, _)| name == "qkv").unwrap();
    let len = graph.desc(handles.time).len();
    let states = [(handles.time, Tensor::f32([len], vec![f32::NAN; len]).unwrap())];
    let difference = first_difference(build, &states, [&Device::Cpu, &Device::Cpu], 1e-7).unwrap().unwrap();
    assert_eq!((difference.index, difference.op), (first, "qkv"));
}

#[test]
fn the_same_seed_gives_the_same_text() {
    for device in [Device::Cpu, common::gpu()] {
        for method in [Method::Multistep, Method::FirstOrder, Method::Ancestral] {
            let sampler = Sampler { steps: 6, seed: 11, method, ..Sampler::default() };
            let first = sample(&device, 40, &sampler);
            assert_eq!(first, sample(&device, 40, &sampler));
            let other = Sampler { seed: 12, ..sampler };
            assert_ne!(first.tokens, sample(&device, 40, &other).tokens);
        }
    }
}

/// The stated bound on a whole run: NMSE of z between GPU and CPU at every step.
const TRAJECTORY_BOUND: f64 = 1e-6;

#[test]
fn trajectories_of_gpu_and_cpu_stay_together() {
    for (method, guidance) in [(Method::Multistep, 0.0), (Method::Ancestral, 0.0), (Method::Multistep, 0.3)] {
        let sampler = Sampler { steps: 8, seed: 5, method, guidance, ..Sampler::default() };
        let states = |device: &Device| {
            let model = tiny(device);
            let mut session = model.session(SessionOptions { length: 60, ..Default::default() }).unwrap();
            let mut states = Vec::new();
            session
                .generate(&Prompt::prefix("the"), &sampler, |progress| {
                    states.push(progress.state().unwrap());
                    ControlFlow::Continue(())
                })
                .unwrap();
            states
        };
        let worst = states(&common::gpu())
            .iter()
            .zip(states(&Device::Cpu))
            .map(|(gpu, cpu)| nmse(gpu.as_f32().unwrap(), &wide(cpu.as_f32().unwrap())))
            .fold(0.0, f64::max);
        println!("{method:?}, guidance {guidance}: worst NMSE of z {worst:.2e}, bound {TRAJECTORY_BOUND:.0e}");
        assert!(worst <= TRAJECTORY_BOUND);
    }
}

#[test]
fn a_batch_is_its_sequences_one_by_one() {
    let model = tiny(&Device::Cpu);
    let sampler = Sampler { steps: 4, ..Sampler::default() };
    let request = |length, seed| Request { prompt: Prompt::prefix("the"), length: Some(length), seed: Some(seed) };
    // Of one level, so that padding is all that differs.
    let requests = [request(90, 3), request(70, 4), request(80, 5)];
    let mut session = model.session(SessionOptions::default()).unwrap();
    let together = session.generate_batch(&requests, &sampler, quiet).unwrap();
    for (request, batched) in requests.iter().zip(&together) {
        let alone = session.generate_batch(std::slice::from_ref(request), &sampler, quiet).unwrap();
        assert_eq!(alone[0], *batched);
    }
}

#[test]
fn a_prompt_stands_where_it_was_put() {
    let model = tiny(&Device::Cpu);
    let mut session = model.session(SessionOptions { length: 48, ..Default::default() }).unwrap();
    let sampler = Sampler { steps: 3, ..Sampler::default() };
    let text = session.generate(&Prompt::prefix("the king").and_suffix("the end."), &sampler, quiet).unwrap();
    assert!(text.starts_with("the king") && text.ends_with("the end."), "{text}");
    let mut infill = vec![None; 20];
    infill[7] = Some(42);
    infill[13] = Some(99);
    let request = Request { prompt: Prompt::tokens(infill), length: Some(20), seed: None };
    let tokens = &session.generate_batch(&[request], &sampler, quiet).unwrap()[0].tokens;
    assert_eq!((tokens[7], tokens[13], tokens.len()), (42, 99, 20));
}

#[test]
fn a_caller_can_watch_and_stop() {
    let model = tiny(&Device::Cpu);
    let mut session = model.session(SessionOptions { length: 30, inspect: true, ..Default::default() }).unwrap();
    let sampler = Sampler { steps: 5, ..Sampler::default() };
    let mut seen = Vec::new();
    let outcome = session.generate(&Prompt::prefix("the"), &sampler, |progress| {
        seen.push(progress.snapshot().unwrap());
        let routing = progress.routing().unwrap();
        assert_eq!(routing.len(), model.config().layers);
        if progress.step == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(outcome, Err(Error::Stopped { step: 2, steps: 5 })));
    assert_eq!(seen.len(), 2);
    assert!(session.generate(&Prompt::prefix("the"), &sampler, quiet).is_ok(), "the session lives on");
}

#[test]
fn a_loop_of_ones_own_sees_entropy_and_ends_where_it_likes() {
    for device in [Device::Cpu, common::gpu()] {
        let model = tiny(&device);
        let (length, steps) = (30, 5);
        let mut session = model.session(SessionOptions { length, ..Default::default() }).unwrap();
        let sampler = Sampler { steps, seed: 3, ..Sampler::default() };
        let mut generation = session.start(&[Request::default()], &sampler).unwrap();
        let early = generation.progress();
        let (anchors, dim) = (early.anchors(), model.config().embedding_dim);
        let unknown = (model.config().vocab_size as f32).ln();
        assert_eq!(early.entropy().unwrap().as_f32().unwrap(), vec![unknown; anchors + length]);
        assert!(early.snapshot().unwrap_err().to_string().contains("the steps so far is 0"));
        // The same run on tensors alone.
        let z = early.state().unwrap().as_f32().unwrap()[anchors * dim..].to_vec();
        let z = Tensor::f32([1, length, dim], z).unwrap();
        assert!(generation.step().unwrap());
        let first = generation.progress().entropy().unwrap();
        while generation.step().unwrap() {}
        let last = generation.progress().entropy().unwrap();
        let input = DenoiseInput { z, last: None, gamma: None };
        let want = denoise((model.config(), model.weights()), &input, &sampler, &device).unwrap();
        assert_eq!(last.as_f32().unwrap()[anchors..], *want.entropy.as_f32().unwrap());
        assert_ne!(first, last);
        drop(generation);

        let mut snapshots = Vec::new();
        session
            .generate(&Prompt::none(), &sampler, |progress| {
                snapshots.push(progress.snapshot().unwrap());
                ControlFlow::Continue(())
            })
            .unwrap();
        for step in 0..=steps {
            let mut generation = session.start(&[Request::default()], &sampler).unwrap();
            (0..step).for_each(|_| assert!(generation.step().unwrap()));
            match generation.stop() {
                Ok(texts) => assert_eq!([texts[0].text.clone()], *snapshots[step - 1]),
                Err(error) => assert!(step == 0 && error.is_usage(), "{error}"),
            }
        }
    }
}

#[test]
fn a_smaller_budget_costs_less() {
    let model = tiny(&Device::Cpu);
    let costs = model.config().expert_costs();
    let share = |budget| {
        let mut session = model.session(SessionOptions { length: 60, inspect: true, ..Default::default() }).unwrap();
        let sampler = Sampler { steps: 3, budget: Some(budget), ..Sampler::default() };
        let mut sum = 0.0;
        session
            .generate(&Prompt::none(), &sampler, |progress| {
                let chosen = progress.routing().unwrap();
                sum += chosen.iter().flat_map(Tensor::words).map(|&e| costs[e as usize]).sum::<f64>();
                ControlFlow::Continue(())
            })
            .unwrap();
        sum
    };
    let (low, high) = (share(0.1), share(1.0));
    assert!(low < high, "{low} at budget 0.1, {high} at 1");
}

#[test]
fn a_step_is_one_submit_unless_a_watchdog_asks_for_more() {
    let gpu = common::gpu();
    let model = tiny(&gpu);
    let level = model.config().levels[0].clone();
    let shape = DenoiserShape {
        batch: 1,
        positions: 16,
        level,
        guidance: false,
        sharpening: Sharpening::default(),
        inspect: false,
    };
    let submits = |flops_per_submit| {
        let graph = Denoiser::new(&model, &shape).unwrap().graph;
        let options = ExecutorOptions { flops_per_submit, ..Default::default() };
        Executor::new(&gpu, graph, options).unwrap().run().unwrap().submits
    };
    assert_eq!(submits(1e12), 1);
    assert!(submits(1e5) > 1);
}

#[test]
fn long_texts_are_planned_in_linear_memory() {
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
    let model = Model::load(models, &Device::Cpu).unwrap();
    let plan = |positions: usize| {
        let config = model.config();
        let level = config.levels[config.level(positions).unwrap()].clone();
        let shape = DenoiserShape {
            batch: 1,
            positions,
            level,
            guidance: false,
            sharpening: Sharpening::default(),
            inspect: false,
        };
        let graph = Denoiser::new(&model, &shape).unwrap().graph;
        let square = (positions * positions) as u64;
        let device = Capabilities::core();
        assert!(graph.largest_value(&device).unwrap() < square * 4, "a value of N x N or more");
        let plan = Plan::on(&graph, &device).unwrap();
        assert!(plan.lower_bound() <= plan.peak());
        plan.peak()
    };
    let (short, long) = (plan(16_384), plan(131_072));
    assert!(long as f64 <= 8.1 * short as f64, "{short} bytes at 16K, {long} at 128K");
}

/// The state at every step and what came of it, to the bit.
fn trajectory(model: &Model, prompt: Prompt) -> (Vec<Tensor>, Generated) {
    let mut session = model.session(SessionOptions { length: 24, ..Default::default() }).unwrap();
    let sampler = Sampler { steps: 3, seed: 5, temperature: Some(0.8), guidance: 0.5, ..Default::default() };
    let mut states = Vec::new();
    let request = Request { prompt, ..Request::default() };
    let generated = session.generate_batch(&[request], &sampler, |progress| {
        states.push(progress.state().unwrap());
        ControlFlow::Continue(())
    });
    (states, generated.unwrap().remove(0))
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(data("tiny").join(name)).unwrap()
}

#[test]
fn a_model_of_bytes_is_the_model_of_files() {
    let loaded = tiny(&Device::Cpu);
    let expected = trajectory(&loaded, Prompt::prefix("the"));
    let whole = bytes("model.safetensors");
    let mut first = tensors(&data("tiny"), &whole).unwrap();
    let second = first.split_off(7);
    let folder = tempfile::tempdir().unwrap();
    let parts = [second, first].map(|part| {
        let path = folder.path().join("part");
        write_tensors(&path, &part).unwrap();
        std::fs::read(path).unwrap()
    });
    let (config, tokenizer) = (bytes("config.json"), bytes("tokenizer.json"));
    // Borrowed, as a memory map is, and in parts that are there one at a time.
    let borrowed = Model::from_parts(&config, Some(&tokenizer), [&whole[..]], &Device::Cpu).unwrap();
    let fetched = Model::from_parts(&config, Some(&tokenizer), parts, &Device::Cpu).unwrap();
    for model in [borrowed, fetched] {
        assert_eq!(model.config(), loaded.config());
        assert_eq!(model.weights().named(), loaded.weights().named());
        let (states, generated) = trajectory(&model, Prompt::prefix("the"));
        assert!(states.iter().zip(&expected.0).all(|(a, b)| a.words() == b.words()) && states.len() == 3);
        assert_eq!(generated, expected.1);
    }
}

#[test]
fn without_a_tokenizer_a_model_takes_and_gives_ids() {
    let loaded = tiny(&Device::Cpu);
    let weights = [bytes("model.safetensors")];
    let model = Model::from_parts(&bytes("config.json"), None, weights, &Device::Cpu).unwrap();
    assert_eq!(model.vocabulary().eos(), loaded.vocabulary().eos());
    assert!(loaded.vocabulary().has_tokenizer() && !model.vocabulary().has_tokenizer());
    let given = || {
        let mut ids: Vec<_> = loaded.vocabulary().encode("the king").unwrap().into_iter().map(Some).collect();
        ids.resize(24, None);
        Prompt::tokens(ids)
    };
    let ((states, generated), (want_states, want)) = (trajectory(&model, given()), trajectory(&loaded, given()));
    assert!(states == want_states && generated.tokens == want.tokens && generated.text.is_empty());

    let lines = ["the king and the queen went into the city", "and the people said unto them"];
    let read = Corpus::new(&lines.join("\n"), loaded.vocabulary()).unwrap();
    let parts = [read.tokens(), &[]].map(|tokens| (tokens, (0..tokens.len()).map(|i| read.bytes(i..i + 1))));
    let parts = parts.map(|(tokens, bytes)| (tokens, bytes.collect::<Vec<_>>()));
    let documents = parts.each_ref().map(|(tokens, bytes)| (*tokens, bytes.as_slice()));
    let corpus = Corpus::from_tokens(&documents).unwrap();
    let score = |model: &Model, corpus: &Corpus| {
        let options = LikelihoodOptions { length: 16, draws: 1, ..Default::default() };
        model.likelihood(corpus, &options, |_, _| ControlFlow::Continue(())).unwrap()
    };
    assert_eq!(corpus, read);
    assert_eq!(score(&model, &corpus), score(&loaded, &read));
    let uneven = Corpus::from_tokens(&[(&[1, 2], &[3])]).unwrap_err();
    assert!(uneven.to_string().contains("2 tokens with bytes of 1"), "{uneven}");

    let says = |outcome: drdiff::Result<()>| {
        let error = outcome.unwrap_err();
        assert!(error.is_usage() && error.to_string().contains("the model is without a tokenizer"), "{error}");
    };
    let mut session = model.session(SessionOptions { length: 24, ..Default::default() }).unwrap();
    let sampler = Sampler { steps: 1, ..Default::default() };
    says(session.generate(&given(), &sampler, quiet).map(|_| ()));
    let request = Request { prompt: Prompt::prefix("the"), ..Request::default() };
    says(session.generate_batch(&[request], &sampler, quiet).map(|_| ()));
    let mut snapshot = None;
    let looked = session.generate_batch(&[Request { prompt: given(), ..Request::default() }], &sampler, |progress| {
        snapshot = Some(progress.snapshot());
        ControlFlow::Continue(())
    });
    assert!(looked.is_ok());
    says(snapshot.unwrap().map(|_| ()));
    says(model.vocabulary().encode("the").map(|_| ()));
    says(model.vocabulary().decode(&[1]).map(|_| ()));
    says(Corpus::new("the king", model.vocabulary()).map(|_| ()));
}
