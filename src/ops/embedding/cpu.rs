//! `embedding` on the CPU.

use rayon::prelude::*;

use super::{D, IDS, TABLE, Y};
use crate::op::{CpuIo, Shapes};

/// Rows of a task.
const ROWS: usize = 64;

pub(super) fn run(shapes: &Shapes, io: &mut CpuIo<'_>) {
    let (table, ids, dim) = (io.inputs.f32(TABLE), io.inputs.u32(IDS), shapes.size(D));
    io.outputs.f32(Y).par_chunks_mut(ROWS * dim).zip(ids.par_chunks(ROWS)).for_each(|(y, ids)| {
        for (y, &id) in y.chunks_exact_mut(dim).zip(ids) {
            match table.chunks_exact(dim).nth(id as usize) {
                Some(row) => y.copy_from_slice(row),
                None => y.fill(0.0),
            }
        }
    });
}
