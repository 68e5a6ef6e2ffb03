//! `router` on the CPU.

use super::{BIAS, D, DIFFICULTY, DIFFICULTY_WEIGHT, E, LOGITS, WEIGHT, X};
use crate::Result;
use crate::host::gemm;
use crate::op::{CpuIo, Shapes};

pub(super) fn run(shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
    let experts = shapes.size(E);
    let [x, weight, bias, difficulty, difficulty_weight] =
        [X, WEIGHT, BIAS, DIFFICULTY, DIFFICULTY_WEIGHT].map(|input| io.inputs.f32(input));
    let sizes = [shapes.rows(), shapes.size(D), experts];
    let weight = (weight, io.inputs.prepared(WEIGHT));
    gemm::x_times_transposed(x, weight, io.outputs.f32(LOGITS), sizes, |first, logits| {
        for (logits, difficulty) in logits.chunks_exact_mut(experts).zip(&difficulty[first..]) {
            for ((logit, bias), weight) in logits.iter_mut().zip(bias).zip(difficulty_weight) {
                *logit += bias + difficulty * weight;
            }
        }
    })
}
