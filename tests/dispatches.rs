//! How many dispatches a step takes: on a GPU each costs microseconds whatever it computes.

mod common;

use drdiff::Model;
use drdiff::graph::{Executor, ExecutorOptions, Ops};
use drdiff::model::{Denoiser, DenoiserShape, Sharpening};

/// Positions, and the dispatches that a usual step of the shipped layout may take.
const BUDGET: [(usize, usize); 3] = [(256, 36), (4096, 48), (16_384, 56)];

#[test]
fn a_step_stays_within_its_budget() {
    let gpu = common::gpu();
    let model = Model::load(concat!(env!("CARGO_MANIFEST_DIR"), "/models"), &gpu).unwrap();
    let config = model.config();
    for (positions, most) in BUDGET {
        let shape = DenoiserShape {
            batch: 1,
            positions,
            level: config.levels[config.level(positions).unwrap()].clone(),
            guidance: false,
            sharpening: Sharpening::default(),
            inspect: false,
        };
        let Denoiser { graph, .. } = Denoiser::new(&model, &shape).unwrap();
        let executor = Executor::new(&gpu, graph, ExecutorOptions::default()).unwrap();
        let count = |ops| executor.dispatches(ops).iter().map(|(_, dispatches)| dispatches).sum::<usize>();
        let (usual, all) = (count(Ops::Usual), count(Ops::All));
        assert!(usual < all, "the anchors' head is not left out: {usual} of {all}");
        let ops = executor.dispatches(Ops::Usual);
        assert!(usual <= most, "{usual} dispatches at {positions} positions, {most} allowed: {ops:?}");
    }
}
