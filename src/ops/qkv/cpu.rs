//! `qkv` on the CPU.

use rayon::prelude::*;

use super::{BIAS, D, K, MODULATION, Q, Qkv, R, TABLE, V, W, WEIGHT, X};
use crate::host::gemm;
use crate::op::{CpuIo, Shapes};
use crate::ops::{norm, rope};
use crate::{Result, memory};

/// What its memory is called where it is refused.
const WHAT: &str = "the projections of qkv";
/// Rows of a task.
const ROWS: usize = 64;

pub(super) fn run(op: &Qkv, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
    let (rows, dim, all) = (shapes.input(X).rows(), shapes.size(D), shapes.size(W));
    let head_dim = op.head_dim(all).unwrap_or(0);
    let mut h: Vec<f32> = memory::zeroed(WHAT, rows * dim)?;
    norm::rows_on_cpu(&op.norm, io.inputs.f32(X), io.inputs.get(MODULATION), dim, &mut h);
    let mut projected: Vec<f32> = memory::zeroed(WHAT, rows * all)?;
    let weight = (io.inputs.f32(WEIGHT), io.inputs.prepared(WEIGHT));
    gemm::x_times_transposed(&h, weight, &mut projected, [rows, dim, all], |_, _| {})?;
    let (bias, table) = (io.inputs.get(BIAS), io.inputs.f32(TABLE));
    let (table_rows, rotary_dim) = (shapes.size(R), op.rotary_dim);
    let parts = [(Q, op.heads, rotary_dim), (K, op.kv_heads, rotary_dim), (V, op.kv_heads, 0)];
    let mut first = 0;
    for (output, heads, rotary_dim) in parts {
        let width = heads * head_dim;
        let tasks = io.outputs.f32(output).par_chunks_mut(ROWS * width).zip(projected.par_chunks(ROWS * all));
        tasks.enumerate().for_each(|(task, (out, projected))| {
            let lines = out.chunks_exact_mut(width).zip(projected.chunks_exact(all));
            for (i, (out, projected)) in lines.enumerate() {
                out.copy_from_slice(&projected[first..first + width]);
                if let Some(bias) = bias {
                    out.iter_mut().zip(&bias[first..]).for_each(|(out, bias)| *out += bias);
                }
                let row = (task * ROWS + i) % table_rows;
                rope::turn_on_cpu(out, head_dim, &table[row * op.rotary_dim..][..rotary_dim]);
            }
        });
        first += width;
    }
    Ok(())
}
