//! Indices that come from data: whatever they are, kernels stay within their buffers, with wgpu's bounds checks and
//! without, and give what the CPU device gives.

mod common;

use drdiff::gpu::BoundsChecks;
use drdiff::graph::{Call, ExecutorOptions};
use drdiff::op::Op;
use drdiff::ops::{Attention, Embedding, Pattern, SegmentMean, SolverStep, StepRow};
use drdiff::{Device, Tensor};
use drdiff_check::{Gen, nmse};

fn run(device: &Device, op: impl Op + 'static, inputs: &[Option<Tensor>]) -> Vec<Vec<f32>> {
    let options = ExecutorOptions { sentinels: true, ..Default::default() };
    let mut prepared = Call::new(op, inputs.to_vec()).prepare(device, options).unwrap();
    prepared.executor.run().unwrap();
    assert_eq!(prepared.executor.check_sentinels().unwrap(), Vec::<String>::new());
    let read = |&value: &_| prepared.executor.read(value).unwrap().as_f32().unwrap().to_vec();
    prepared.values.iter().map(read).collect()
}

/// Runs `op` everywhere; the outputs, which are those of the CPU device.
fn everywhere<O: Op + Clone + 'static>(op: &O, inputs: &[Option<Tensor>]) -> Vec<Vec<f32>> {
    let want = run(&Device::Cpu, op.clone(), inputs);
    for device in [Device::Reference, common::gpu(), common::gpu_with(BoundsChecks::Off)] {
        for (got, want) in run(&device, op.clone(), inputs).iter().zip(&want) {
            let want: Vec<f64> = want.iter().map(|&x| f64::from(x)).collect();
            let error = nmse(got, &want);
            assert!(error <= 1e-9, "{}: NMSE {error}", device.name());
        }
    }
    want
}

fn words(shape: impl Into<Vec<usize>>, words: Vec<u32>) -> Option<Tensor> {
    Some(Tensor::u32(shape, words).unwrap())
}

#[test]
fn an_id_past_the_table_gives_zeros() {
    let table = Gen::new(0, "").normal([5, 3], 1.0);
    let ids = words([5], vec![4, 5, 1 << 20, u32::MAX / 3, u32::MAX]);
    let y = everywhere(&Embedding, &[Some(table.clone()), ids]).remove(0);
    assert_eq!(y[..3], table.as_f32().unwrap()[12..]);
    assert!(y[3..].iter().all(|&x| x == 0.0));
}

#[test]
fn lengths_and_globals_past_the_end_are_cut() {
    let mut g = Gen::new(0, "");
    let (rows, shape) = (70, [2, 70, 2, 8]);
    let qkv = [0, 1, 2].map(|_| Some(g.normal(shape, 1.0)));
    let patterns = [
        Pattern::Dense,
        Pattern::Hsa { window: 3, dilations: vec![(8, 2), (3, 4)] },
        Pattern::Hsa { window: usize::MAX, dilations: vec![(usize::MAX, usize::MAX)] },
    ];
    let run = |pattern: &Pattern, globals: Vec<u32>, lengths: Vec<u32>| {
        let op = Attention { pattern: pattern.clone(), ..Default::default() };
        let lists = [words([globals.len()], globals), words([2], lengths)];
        everywhere(&op, &[qkv.to_vec(), lists.to_vec()].concat())
    };
    for pattern in &patterns {
        let past = run(pattern, vec![2, 69, 70, 100_000, u32::MAX], vec![u32::MAX, rows + 1]);
        let within = run(pattern, vec![2, 69], vec![rows, rows]);
        assert_eq!(past, within, "{pattern:?}");
    }
}

#[test]
fn a_segment_mean_is_of_the_rows_there_are() {
    let x0 = Some(Gen::new(0, "").normal([3, 20, 5], 1.0));
    let op = SegmentMean { anchors: 3 };
    let past = everywhere(&op, &[x0.clone(), words([3], vec![0, 21, u32::MAX])]);
    assert_eq!(past, everywhere(&op, &[x0, words([3], vec![3, 20, 20])]));
}

/// Guidance without a mean or anchors, and noise without seeds, is none, whatever the step asks for.
#[test]
fn what_a_solver_step_has_no_input_for_is_left_out() {
    let mut g = Gen::new(0, "");
    let shape = [3, 40, 16];
    let asked = StepRow { c_x: 0.8, c_x0: 0.2, c_noise: 0.5, omega: 0.7, ..StepRow::default() };
    let plain = StepRow { c_noise: 0.0, omega: 0.0, ..asked };
    let rows = [0, 1, 2].map(|_| Some(g.normal(shape, 1.0)));
    let absorb = Some(g.normal([16], 0.3));
    let call = |anchors: usize, row: StepRow| {
        // Flags as they must be, segments as they must not.
        let info = (0..120).map(|row| if row % 40 < anchors { 2 } else { u32::MAX - 3 });
        let step = Some(Tensor::f32([StepRow::LEN], row.words()).unwrap());
        let rest = [words([3, 40], info.collect()), absorb.clone(), rows[0].clone(), None, None, step];
        everywhere(&SolverStep { anchors }, &[rows.to_vec(), rest.to_vec()].concat())
    };
    for anchors in [0, 4] {
        assert_eq!(call(anchors, asked), call(anchors, plain));
    }
}

/// A segment that there is not is the last one.
#[test]
fn a_segment_past_the_last_anchor_is_the_last() {
    let mut g = Gen::new(0, "");
    let rows = [0, 1, 2, 3].map(|_| Some(g.normal([2, 12, 8], 1.0)));
    let [z, x0, history, prediction] = rows;
    let (absorb, mean) = (Some(g.normal([8], 0.3)), Some(g.normal([2, 3, 8], 1.0)));
    let row = StepRow { c_x: 0.8, c_x0: 0.2, omega: 0.7, ..StepRow::default() };
    let step = Some(Tensor::f32([StepRow::LEN], row.words()).unwrap());
    let call = |segment: u32| {
        let info = (0..24).map(|row| if row % 12 < 3 { 2 } else { 4 * segment });
        let info = words([2, 12], info.collect());
        let inputs = [&z, &x0, &history, &info, &absorb, &prediction, &mean, &None, &step].map(Clone::clone);
        everywhere(&SolverStep { anchors: 3 }, &inputs)
    };
    assert_eq!(call(u32::MAX >> 2), call(2));
}
