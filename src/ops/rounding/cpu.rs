//! `rounding` on the CPU.

use rayon::prelude::*;

use super::{D, TABLE, TOKEN, V, X};
use crate::host::gemm::{self, Packed, Right};
use crate::host::simd::{self, Simd, WithSimd};
use crate::op::{CpuIo, Shapes};
use crate::{Result, memory};

/// Rows of a task, which share what is packed.
const ROWS: usize = 512;
/// Rows of a block of scores.
const BLOCK: usize = 96;
/// Tokens of a block of scores.
const KEYS: usize = 512;

pub(super) fn run(shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
    let (dim, vocab) = (shapes.size(D), shapes.size(V));
    let (x, table, token) = (io.inputs.f32(X), io.inputs.f32(TABLE), io.outputs.u32(TOKEN));
    let rows = token.len().div_ceil(2 * rayon::current_num_threads()).clamp(BLOCK, ROWS);
    token.par_chunks_mut(rows).zip(x.par_chunks(rows * dim)).try_for_each(|(token, x)| {
        let what = "the scores of a block of rows";
        let mut scores = memory::zeroed(what, BLOCK.min(token.len()) * KEYS.min(vocab))?;
        let mut best = memory::filled(what, token.len(), f32::NEG_INFINITY)?;
        token.fill(0);
        for first in (0..vocab).step_by(KEYS) {
            let width = KEYS.min(vocab - first);
            let keys = Packed::new(Right::Rows(&table[first * dim..], dim), dim, width)?;
            let blocks = token.chunks_mut(BLOCK).zip(best.chunks_mut(BLOCK)).zip(x.chunks(BLOCK * dim));
            for ((token, best), x) in blocks {
                let scores = &mut scores[..token.len() * width];
                gemm::product(x, &keys, scores);
                for ((token, best), scores) in token.iter_mut().zip(best).zip(scores.chunks_exact(width)) {
                    let (most, at) = simd::run(Most(scores));
                    if most > *best {
                        (*best, *token) = (most, (first + at) as u32);
                    }
                }
            }
        }
        Ok(())
    })
}

struct Most<'a>(&'a [f32]);

impl WithSimd for Most<'_> {
    type Output = (f32, usize);

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> (f32, usize) {
        simd::most(s, self.0)
    }
}
