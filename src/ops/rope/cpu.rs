//! `rope` on the CPU.

use rayon::prelude::*;

use super::{D, R, Rope, TABLE, X, Y};
use crate::op::{CpuIo, Shapes};

/// Rows of a task.
const ROWS: usize = 64;

pub(super) fn run(op: &Rope, shapes: &Shapes, io: &mut CpuIo<'_>) {
    let (x, table, y) = (io.inputs.f32(X), io.inputs.f32(TABLE), io.outputs.f32(Y));
    let (dim, table_rows, rotary_dim) = (shapes.size(D), shapes.size(R), op.rotary_dim);
    if rotary_dim == 0 {
        y.copy_from_slice(x);
        return;
    }
    let head_dim = dim / op.heads;
    y.par_chunks_mut(ROWS * dim).zip(x.par_chunks(ROWS * dim)).enumerate().for_each(|(block, (y, x))| {
        y.copy_from_slice(x);
        for (i, y) in y.chunks_exact_mut(dim).enumerate() {
            let row = (block * ROWS + i) % table_rows;
            let turns = &table[row * rotary_dim..(row + 1) * rotary_dim];
            turn(y, head_dim, turns);
        }
    });
}

/// Turns the heads of a row by the cosines and sines of its place.
pub(in crate::ops) fn turn(row: &mut [f32], head_dim: usize, turns: &[f32]) {
    for head in row.chunks_exact_mut(head_dim) {
        for (pair, turn) in head.chunks_exact_mut(2).zip(turns.chunks_exact(2)) {
            let (a, b) = (pair[0], pair[1]);
            pair[0] = a * turn[0] - b * turn[1];
            pair[1] = a * turn[1] + b * turn[0];
        }
    }
}
