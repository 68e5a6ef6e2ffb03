//! Rotary positions on the CPU.

use rayon::prelude::*;

/// Rows of a task.
const ROWS: usize = 16;

/// Turns the first `rotary_dim` dims of each head of `x` `[.., dim]`; row `r` by row `r % (rows of table)`.
pub(crate) fn rope(x: &[f32], table: &[f32], y: &mut [f32], dim: usize, head_dim: usize, rotary_dim: usize) {
    y.copy_from_slice(x);
    if rotary_dim == 0 {
        return;
    }
    let table_rows = table.len() / rotary_dim;
    y.par_chunks_mut(ROWS * dim).enumerate().for_each(|(block, y)| {
        for (i, y) in y.chunks_exact_mut(dim).enumerate() {
            let row = (block * ROWS + i) % table_rows;
            let turns = &table[row * rotary_dim..(row + 1) * rotary_dim];
            for head in y.chunks_exact_mut(head_dim) {
                for (pair, turn) in head.chunks_exact_mut(2).zip(turns.chunks_exact(2)) {
                    let (a, b) = (pair[0], pair[1]);
                    pair[0] = a * turn[0] - b * turn[1];
                    pair[1] = a * turn[1] + b * turn[0];
                }
            }
        }
    });
}
