//! `linear` on the CPU.

use super::{Activation, BIAS, GATE, K, Linear, N, RESIDUAL, WEIGHT, X, Y};
use crate::Result;
use crate::host::activation::{gelu, silu};
use crate::host::gemm;
use crate::host::simd::{self, Simd, WithSimd};
use crate::op::{CpuIo, Shapes};

pub(super) fn run(op: &Linear, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
    let (m, k, n) = (shapes.rows(), shapes.size(K), shapes.size(N));
    let y = io.outputs.f32(Y);
    let after = After {
        activation: op.activation,
        bias: io.inputs.get(BIAS),
        gate: io.inputs.get(GATE).map(|gate| &gate[op.gate_offset..][..n]),
        residual: io.inputs.get(RESIDUAL),
        n,
    };
    let finish = |first, y: &mut [f32]| simd::run(Finish { after, first, y });
    let weight = (io.inputs.f32(WEIGHT), io.inputs.prepared(WEIGHT));
    gemm::x_times_transposed(io.inputs.f32(X), weight, y, [m, k, n], finish)
}

/// What follows the product.
#[derive(Clone, Copy)]
struct After<'a> {
    activation: Activation,
    bias: Option<&'a [f32]>,
    gate: Option<&'a [f32]>,
    residual: Option<&'a [f32]>,
    n: usize,
}

/// Rows of the product from `first` on.
struct Finish<'a> {
    after: After<'a>,
    first: usize,
    y: &'a mut [f32],
}

impl WithSimd for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { after: After { activation, bias, gate, residual, n }, first, y } = self;
        for (row, y) in y.chunks_exact_mut(n).enumerate() {
            if let Some(bias) = bias {
                simd::add(s, y, bias);
            }
            match activation {
                Activation::None => {}
                Activation::Silu => simd::map(
                    s,
                    y,
                    #[inline(always)]
                    |y| silu(s, y),
                ),
                Activation::Gelu => simd::map(
                    s,
                    y,
                    #[inline(always)]
                    |y| gelu(s, y),
                ),
            }
            if let Some(gate) = gate {
                simd::multiply(s, y, gate);
            }
            if let Some(residual) = residual {
                simd::add(s, y, &residual[(first + row) * n..]);
            }
        }
    }
}
