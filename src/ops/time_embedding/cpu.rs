//! `time_embedding` on the CPU.

use super::{DIM, FEATURES, FREQUENCIES, GAMMA};
use crate::op::{CpuIo, Shapes};

pub(super) fn run(shapes: &Shapes, io: &mut CpuIo<'_>) {
    let (gammas, frequencies) = (io.inputs.f32(GAMMA), io.inputs.f32(FREQUENCIES));
    let rows = io.outputs.f32(FEATURES).chunks_exact_mut(shapes.size(DIM));
    for (row, gamma) in rows.zip(gammas) {
        let (cosines, sines) = row.split_at_mut(frequencies.len());
        for ((cos, sin), frequency) in cosines.iter_mut().zip(sines).zip(frequencies) {
            (*sin, *cos) = (gamma * frequency).sin_cos();
        }
    }
}
