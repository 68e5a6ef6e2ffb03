//! `norm` on the CPU.

use rayon::prelude::*;

use super::{D, MODULATION, Norm, NormKind, X, Y};
use crate::host::simd::{self, Simd, WithSimd};
use crate::op::{CpuIo, Shapes};

/// Rows of a task.
const ROWS: usize = 32;
/// Above this a sum of squares may be infinite; it is then taken of values times 2^-72, beside which eps is nothing.
const OVERFLOWING: f32 = 1e38;
const SHRINK: f32 = 1.0 / (1_u128 << 72) as f32;
/// Sums computed side by side, to fill vector registers.
const LANES: usize = 16;

pub(super) fn run(op: &Norm, shapes: &Shapes, io: &mut CpuIo<'_>) {
    rows(op, io.inputs.f32(X), io.inputs.get(MODULATION), shapes.size(D), io.outputs.f32(Y));
}

/// Norms rows of `dim` values.
pub(in crate::ops) fn rows(op: &Norm, x: &[f32], modulation: Option<&[f32]>, dim: usize, y: &mut [f32]) {
    let modulation = modulation.map(|m| (&m[op.shift_offset..][..dim], &m[op.scale_offset..][..dim]));
    y.par_chunks_mut(ROWS * dim).zip(x.par_chunks(ROWS * dim)).for_each(|(y, x)| {
        simd::run(Rows { op, x, modulation, y, dim });
    });
}

/// Some rows; compilers make vectors of the loops in [`row`].
struct Rows<'a> {
    op: &'a Norm,
    x: &'a [f32],
    modulation: Option<(&'a [f32], &'a [f32])>,
    y: &'a mut [f32],
    dim: usize,
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (y, x) in self.y.chunks_exact_mut(self.dim).zip(self.x.chunks_exact(self.dim)) {
            row(self.op, x, self.modulation, y);
        }
    }
}

/// Norms one row (layer norm shifts it by its first value first, so that a large mean costs no digits), then
/// `y (1 + scale) + shift` where `modulation` is (shift, scale).
#[inline(always)]
fn row(op: &Norm, x: &[f32], modulation: Option<(&[f32], &[f32])>, y: &mut [f32]) {
    let dim = x.len() as f32;
    let (shift, mean) = match op.kind {
        NormKind::Rms => (0.0, 0.0),
        NormKind::Layer => (x[0], sum(x, |value| value - x[0]) / dim),
    };
    let centred = |x: f32| x - shift - mean;
    let variance = sum(x, |x| centred(x) * centred(x)) / dim;
    let inverse = match variance * dim > OVERFLOWING {
        false => 1.0 / (variance + op.eps).sqrt(),
        true => SHRINK / (sum(x, |x| (centred(x) * SHRINK).powi(2)) / dim).sqrt(),
    };
    for (y, &x) in y.iter_mut().zip(x) {
        *y = centred(x) * inverse;
    }
    if let Some((shift, scale)) = modulation {
        for ((y, shift), scale) in y.iter_mut().zip(shift).zip(scale) {
            *y = *y * (1.0 + scale) + shift;
        }
    }
}

#[inline(always)]
fn sum(x: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|&x| of(x)).sum();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += of(x);
        }
    }
    lanes.iter().sum::<f32>() + rest
}
