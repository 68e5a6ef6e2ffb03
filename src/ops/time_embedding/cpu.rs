//! `time_embedding` on the CPU.

use super::{FEATURES, FREQUENCIES, HALF, STEP};
use crate::op::{CpuIo, Shapes};

pub(super) fn run(shapes: &Shapes, io: &mut CpuIo<'_>) {
    let (gamma, frequencies) = (io.inputs.f32(STEP)[0], io.inputs.f32(FREQUENCIES));
    let (cosines, sines) = io.outputs.f32(FEATURES).split_at_mut(shapes.size(HALF));
    for ((cos, sin), frequency) in cosines.iter_mut().zip(sines).zip(frequencies) {
        (*sin, *cos) = (gamma * frequency).sin_cos();
    }
}
