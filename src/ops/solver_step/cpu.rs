//! `solver_step` on the CPU.

use rayon::prelude::*;

use super::{ABSORB, DE, INFO, MEAN, PREDICTION, R, SEEDS, STEP, SolverStep, X0};
use crate::host::philox;
use crate::op::{CpuIo, Shapes};
use crate::ops::StepRow;

pub(super) fn run(op: &SolverStep, shapes: &Shapes, io: &mut CpuIo<'_>) {
    let inputs = &io.inputs;
    let [z, history] = io.updates.split();
    let (z, history): (&mut [f32], &mut [f32]) = (bytemuck::cast_slice_mut(z), bytemuck::cast_slice_mut(history));
    let row = &op.row(shapes, StepRow::from_words(inputs.f32(STEP)));
    let (rows, anchors, dim) = (shapes.size(R), op.anchors, shapes.size(DE));
    let size = rows * dim;
    let info = inputs.u32(INFO).par_chunks(rows);
    let parts = z.par_chunks_mut(size).zip(history.par_chunks_mut(size)).zip(info).enumerate();
    parts.for_each(|(b, ((z, history), info))| {
        let x0 = &inputs.f32(X0)[b * size..][..size];
        let (absorb, prediction) = (inputs.f32(ABSORB), &inputs.f32(PREDICTION)[b * size..][..size]);
        let (states, text) = z.split_at_mut(anchors * dim);
        for (i, z) in text.chunks_mut(dim).enumerate() {
            let r = anchors + i;
            let range = r * dim..(r + 1) * dim;
            let noisy = |d: usize| {
                if info[r] & 3 != 0 {
                    return None;
                }
                let segment = ((info[r] >> 2) as usize).min(anchors.saturating_sub(1));
                let guidance = if row.omega == 0.0 {
                    0.0
                } else {
                    row.omega * (states[segment * dim + d] - inputs.f32(MEAN)[(b * anchors + segment) * dim + d])
                };
                Some((guidance, absorb[d], noise_at(inputs.u32(SEEDS), b, row, range.start + d)))
            };
            update(z, &mut history[range.clone()], &x0[range.clone()], noisy, row);
        }
        history[..anchors * dim].copy_from_slice(&x0[..anchors * dim]);
        if row.refresh != 0.0 {
            states.copy_from_slice(&prediction[..anchors * dim]);
        }
    });
}

/// One text row; `noisy(d)` gives guidance, m and noise where the row is noisy.
fn update(
    z: &mut [f32],
    history: &mut [f32],
    x0: &[f32],
    noisy: impl Fn(usize) -> Option<(f32, f32, f32)>,
    row: &StepRow,
) {
    for (d, ((z, history), &x0)) in z.iter_mut().zip(history).zip(x0).enumerate() {
        let mut guided = x0;
        if let Some((guidance, m, noise)) = noisy(d) {
            guided += guidance;
            *z = m + row.c_x * (*z - m) + row.c_x0 * (guided - m) + row.c_prev * (*history - m) + row.c_noise * noise;
        }
        *history = guided;
    }
}

fn noise_at(seeds: &[u32], b: usize, row: &StepRow, element: usize) -> f32 {
    if row.c_noise == 0.0 {
        return 0.0;
    }
    let seed = [seeds[2 * b], seeds[2 * b + 1]];
    philox::block(seed, row.stream as u32, (element / 4) as u32).1[element % 4]
}
