//! `linear` on the CPU.

use rayon::prelude::*;

use super::{Activation, BIAS, GATE, K, Linear, N, RESIDUAL, WEIGHT, X, Y};
use crate::Result;
use crate::host::{activation, gemm};
use crate::op::{CpuIo, Shapes};

pub(super) fn run(op: &Linear, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
    let (m, k, n) = (shapes.rows(), shapes.size(K), shapes.size(N));
    let y = io.outputs.f32(Y);
    gemm::x_times_transposed(io.inputs.f32(X), io.inputs.f32(WEIGHT), y, m, k, n)?;
    let (bias, residual) = (io.inputs.get(BIAS), io.inputs.get(RESIDUAL));
    let gate = io.inputs.get(GATE).map(|gate| &gate[op.gate_offset..][..n]);
    y.par_chunks_mut(n).enumerate().for_each(|(row, y)| {
        for (column, value) in y.iter_mut().enumerate() {
            let v = *value + bias.map_or(0.0, |bias| bias[column]);
            let v = match op.activation {
                Activation::None => v,
                Activation::Silu => activation::silu(v),
                Activation::Gelu => activation::gelu(v),
            } * gate.map_or(1.0, |gate| gate[column]);
            *value = v + residual.map_or(0.0, |residual| residual[row * n + column]);
        }
    });
    Ok(())
}
