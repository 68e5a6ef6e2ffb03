//! A text is the same, bit by bit, alone and in a batch of other texts that has as many rows.

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use drdiff::graph::{Executor, ExecutorOptions, Graph};
use drdiff::model::{Generated, Request};
use drdiff::ops::VocabExpectation;
use drdiff::{Desc, Device, Model, Prompt, Sampler, SessionOptions, Tensor};
use drdiff_reference::noise;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Texts, and of each the bits of z at every step.
fn run(model: &Model, requests: &[Request], steps: usize) -> Vec<(Generated, Vec<u32>)> {
    let mut session = model.session(SessionOptions::default()).unwrap();
    let mut states = vec![Vec::new(); requests.len()];
    let sampler = Sampler { steps, ..Sampler::default() };
    let texts = session.generate_batch(requests, &sampler, |progress| {
        let z = progress.state().unwrap();
        let each = z.words().len() / requests.len();
        states.iter_mut().zip(z.words().chunks(each)).for_each(|(state, z)| state.extend(z));
        ControlFlow::Continue(())
    });
    texts.unwrap().into_iter().zip(states).collect()
}

/// Sixteen texts of a length, each with a prompt and a seed of its own.
fn requests(length: usize) -> Vec<Request> {
    let prompts = ["a", "b", "c", "d", "e", "f", "g", "h"].map(Prompt::prefix);
    let request = |index: usize| Request {
        prompt: prompts.get(index).cloned().unwrap_or_default(),
        length: Some(length),
        seed: Some(100 + index as u64),
    };
    (0..16).map(request).collect()
}

fn same_alone_and_together(folder: &str, device: &Device, length: usize, steps: usize) -> Batch {
    let what = format!("{folder}, {length} tokens on {}", device.name());
    let model = Model::load(Path::new(ROOT).join(folder), device).unwrap();
    let requests = requests(length);
    let together = run(&model, &requests, steps);
    for index in [0, 15] {
        let alone = run(&model, &requests[index..=index], steps);
        assert!(alone[0] == together[index], "{what}: text {index} alone differs");
    }
    Batch { what, model, requests, steps, together }
}

/// A batch and what came of it.
struct Batch {
    what: String,
    model: Model,
    requests: Vec<Request>,
    steps: usize,
    together: Vec<(Generated, Vec<u32>)>,
}

impl Batch {
    /// Other neighbours, before and after.
    fn same_in_another_order(&self) {
        let order: Vec<usize> = (0..16).map(|index| (index * 7 + 3) % 16).collect();
        let permuted: Vec<_> = order.iter().map(|&index| self.requests[index].clone()).collect();
        for (got, &index) in run(&self.model, &permuted, self.steps).iter().zip(&order) {
            assert!(*got == self.together[index], "{}: text {index} differs in another order", self.what);
        }
    }
}

#[test]
fn the_shipped_model_on_the_cpu() {
    same_alone_and_together("models", &Device::Cpu, 64, 4).same_in_another_order();
}

#[test]
fn the_shipped_model_on_the_gpu() {
    same_alone_and_together("models", &common::gpu(), 64, 4);
}

/// Lengths at which kernels are chosen differently: a handful of rows, and as many as make tall tiles together.
#[test]
fn short_and_long_texts_of_the_tiny_model() {
    for device in [Device::Cpu, common::gpu()] {
        for (length, steps) in [(3, 4), (24, 3), (252, 1)] {
            same_alone_and_together("tests/data/tiny", &device, length, steps).same_in_another_order();
        }
    }
}

/// A text shorter than the longest one is padded: then the pair of both has as many rows as the whole batch.
#[test]
fn a_padded_text_among_two_and_among_sixteen() {
    for device in [Device::Cpu, common::gpu()] {
        let model = Model::load(Path::new(ROOT).join("tests/data/tiny"), &device).unwrap();
        let mut requests = requests(60);
        requests[1].length = Some(23);
        let together = run(&model, &requests, 3);
        let pair = run(&model, &requests[..2], 3);
        assert!(pair == together[..2], "{}", device.name());
    }
}

/// More rows than the scratch of one pass serves.
#[test]
fn a_batch_in_several_passes_over_the_vocabulary() {
    let (vocab, embed_dim, rows) = (4096, 256, 32);
    let random = |stream: u32, shape: &[usize]| {
        let values = noise::normal(1, stream, shape.iter().product());
        Tensor::f32(shape, values.into_iter().map(|x| x as f32).collect()).unwrap()
    };
    let (unembed, embed) = (random(0, &[vocab, 1]), random(1, &[vocab, embed_dim]));
    let (all, skip) = (random(2, &[131, rows, 1]), random(3, &[131, rows, embed_dim]));
    let gpu = common::gpu();
    let expect = |from: usize, count: usize| -> Vec<Vec<u32>> {
        let part = |tensor: &Tensor| {
            let width = tensor.desc().last();
            let data = tensor.as_f32().unwrap()[from * rows * width..][..count * rows * width].to_vec();
            Tensor::f32([count, rows, width], data).unwrap()
        };
        let inputs = [part(&all), unembed.clone(), embed.clone(), part(&skip)];
        let mut graph = Graph::new();
        let values: Vec<_> = inputs.iter().map(|tensor| graph.state(Desc::f32(tensor.desc().shape.clone()))).collect();
        let wired: Vec<_> = values.iter().copied().map(Some).chain([None; 3]).collect();
        let outputs = graph.push(VocabExpectation::default(), &wired).unwrap();
        outputs.iter().for_each(|&output| graph.keep(output));
        let mut executor =
            Executor::new(&gpu, graph, ExecutorOptions { sentinels: true, ..Default::default() }).unwrap();
        for (value, tensor) in values.iter().zip(&inputs) {
            executor.write(*value, tensor).unwrap();
        }
        executor.run().unwrap();
        assert!(executor.check_sentinels().unwrap().is_empty());
        executor.read_all(&outputs).unwrap().iter().map(|tensor| tensor.words().to_vec()).collect()
    };
    let together = expect(0, 131);
    for from in [0, 126, 129] {
        for (whole, part) in together.iter().zip(expect(from, 2)) {
            assert!(whole[from * part.len() / 2..][..part.len()] == part, "sequences {from} and the next");
        }
    }
}
