//! `bayes_query` on the CPU.

use rayon::prelude::*;

use super::{ABSORB, DE, QUERY, STEP, Z};
use crate::op::{CpuIo, Shapes};
use crate::ops::StepRow;

pub(super) fn run(shapes: &Shapes, io: &mut CpuIo<'_>) {
    let step = StepRow::from_words(io.inputs.f32(STEP));
    query(io.inputs.f32(Z), io.inputs.f32(ABSORB), &step, shapes.size(DE), io.outputs.f32(QUERY));
}

/// The query of the state `z`, in rows of `dim`, at a step.
pub(crate) fn query(z: &[f32], absorb: &[f32], step: &StepRow, dim: usize, query: &mut [f32]) {
    query.par_chunks_mut(dim).zip(z.par_chunks(dim)).for_each(|(query, z)| {
        for ((query, z), m) in query.iter_mut().zip(z).zip(absorb) {
            *query = step.bayes_scale * (z - (1.0 - step.alpha) * m);
        }
    });
}
