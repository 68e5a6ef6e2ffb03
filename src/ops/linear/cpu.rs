//! `linear` on the CPU.

use super::{Activation, BIAS, GATE, K, Linear, N, RESIDUAL, WEIGHT, X, Y};
use crate::Result;
use crate::host::activation::{gelu, silu};
use crate::host::gemm::{self, Place};
use crate::host::simd::{self, Simd, WithSimd, mul_add, update};
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
    let finish = |place, y: &mut [f32]| simd::run(Finish { after, place, y });
    gemm::x_times_transposed(io.inputs.f32(X), io.inputs.f32(WEIGHT), y, [m, k, n], finish)
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

/// Part of the product: whole rows, or a part of one.
struct Finish<'a> {
    after: After<'a>,
    place: Place,
    y: &'a mut [f32],
}

impl WithSimd for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { after: After { activation, bias, gate, residual, n }, place: Place { row, column }, y } = self;
        for (index, y) in y.chunks_mut(n).enumerate() {
            if let Some(bias) = bias {
                update(s, y, [&bias[column..]], |y, [bias]| s.add_f32s(y, bias));
            }
            match activation {
                Activation::None => {}
                Activation::Silu => update(s, y, [], |y, []| silu(s, y)),
                Activation::Gelu => update(s, y, [], |y, []| gelu(s, y)),
            }
            let residual = residual.map(|residual| &residual[(row + index) * n + column..]);
            match (gate.map(|gate| &gate[column..]), residual) {
                (None, None) => {}
                (Some(gate), None) => update(s, y, [gate], |y, [gate]| s.mul_f32s(y, gate)),
                (None, Some(residual)) => update(s, y, [residual], |y, [residual]| s.add_f32s(y, residual)),
                (Some(gate), Some(residual)) => {
                    update(s, y, [gate, residual], |y, [gate, residual]| mul_add(s, y, gate, residual));
                }
            }
        }
    }
}
