//! Rows of a table on the CPU.

use rayon::prelude::*;

/// Rows of a task.
const ROWS: usize = 64;

/// Copies the rows of `table` `[.., dim]` that `ids` name; zeros for an id the table does not have.
pub(crate) fn embedding(table: &[f32], ids: &[u32], y: &mut [f32], dim: usize) {
    y.par_chunks_mut(ROWS * dim).zip(ids.par_chunks(ROWS)).for_each(|(y, ids)| {
        for (y, &id) in y.chunks_exact_mut(dim).zip(ids) {
            match table.chunks_exact(dim).nth(id as usize) {
                Some(row) => y.copy_from_slice(row),
                None => y.fill(0.0),
            }
        }
    });
}
