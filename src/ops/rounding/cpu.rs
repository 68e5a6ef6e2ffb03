//! `rounding` on the CPU.

use rayon::prelude::*;

use super::{D, TABLE, TOKEN, V, X};
use crate::host::gemm;
use crate::op::{CpuIo, Shapes};
use crate::{Result, memory};

/// Rows of a task.
const ROWS: usize = 64;
/// Tokens of a block of scores.
const KEYS: usize = 512;

pub(super) fn run(shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
    let (dim, vocab) = (shapes.size(D), shapes.size(V));
    let (x, table, token) = (io.inputs.f32(X), io.inputs.f32(TABLE), io.outputs.u32(TOKEN));
    token.par_chunks_mut(ROWS).zip(x.par_chunks(ROWS * dim)).try_for_each(|(token, x)| {
        let mut scores = memory::zeroed("the scores of a block of rows", token.len() * KEYS.min(vocab))?;
        let mut best = vec![f32::NEG_INFINITY; token.len()];
        token.fill(0);
        for first in (0..vocab).step_by(KEYS) {
            let width = KEYS.min(vocab - first);
            let scores = &mut scores[..token.len() * width];
            gemm::product(x, &table[first * dim..(first + width) * dim], scores, dim, width)?;
            for (i, scores) in scores.chunks_exact(width).enumerate() {
                for (j, &score) in scores.iter().enumerate() {
                    if score > best[i] {
                        best[i] = score;
                        token[i] = (first + j) as u32;
                    }
                }
            }
        }
        Ok(())
    })
}
