//! The solver on the CPU.

use rayon::prelude::*;

use super::noise;
use crate::graph::Inputs;
use crate::ops::StepRow;
use crate::schedule::Coefficients;

/// `trajectory[s+1] = c_x trajectory[s] + c_x0 x0[s] + c_prev x0[s-1]`.
pub(crate) fn trajectory(x: &[f32], x0: &[f32], coefficients: &[Coefficients], out: &mut [f32]) {
    let size = x.len();
    out[..size].copy_from_slice(x);
    for (step, c) in coefficients.iter().enumerate() {
        let [c_x, c_x0, c_prev] = [c.x, c.x0, c.x0_prev].map(|c| c as f32);
        let (before, after) = out.split_at_mut((step + 1) * size);
        let from = &before[step * size..];
        for (i, next) in after[..size].iter_mut().enumerate() {
            let previous = if step > 0 { x0[(step - 1) * size + i] } else { 0.0 };
            *next = c_x * from[i] + c_x0 * x0[step * size + i] + c_prev * previous;
        }
    }
}

/// `(alpha / sigma^2) (z - (1 - alpha) m)`.
pub(crate) fn bayes_query(z: &[f32], absorb: &[f32], step: &StepRow, query: &mut [f32]) {
    let dim = absorb.len().max(1);
    query.par_chunks_mut(dim).zip(z.par_chunks(dim)).for_each(|(query, z)| {
        for ((query, z), m) in query.iter_mut().zip(z).zip(absorb) {
            *query = step.bayes_scale * (z - (1.0 - step.alpha) * m);
        }
    });
}

/// Means over the text rows of each segment; `sizes` are (A, R, De), `lengths` count anchors too.
pub(crate) fn segment_mean(x0: &[f32], lengths: &[u32], sizes: (usize, usize, usize), mean: &mut [f32]) {
    let (anchors, rows, dim) = sizes;
    mean.fill(0.0);
    for (index, mean) in mean.chunks_mut(dim).enumerate() {
        let (b, segment) = (index / anchors, index % anchors);
        let n = (lengths[b] as usize).clamp(anchors, rows) - anchors;
        let members = (segment * n).div_ceil(anchors)..((segment + 1) * n).div_ceil(anchors);
        for i in members.clone() {
            let row = &x0[(b * rows + anchors + i) * dim..][..dim];
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x);
        }
        let count = members.len().max(1) as f32;
        mean.iter_mut().for_each(|mean| *mean /= count);
    }
}

/// What [`step`] updates, and its sizes.
pub(crate) struct State<'a> {
    pub z: &'a mut [f32],
    pub history: &'a mut [f32],
    pub rows: usize,
    pub anchors: usize,
    pub dim: usize,
}

/// One update; `inputs` in the order of [`SolverStep`](crate::ops::SolverStep).
pub(crate) fn step(state: State<'_>, inputs: &Inputs<'_>, row: &StepRow) {
    let State { z, history, rows, anchors, dim } = state;
    let size = rows * dim;
    let info = inputs.u32(3).par_chunks(rows);
    let parts = z.par_chunks_mut(size).zip(history.par_chunks_mut(size)).zip(info).enumerate();
    parts.for_each(|(b, ((z, history), info))| {
        let x0 = &inputs.f32(1)[b * size..][..size];
        let (absorb, prediction) = (inputs.f32(4), &inputs.f32(5)[b * size..][..size]);
        let (states, text) = z.split_at_mut(anchors * dim);
        for (i, z) in text.chunks_mut(dim).enumerate() {
            let r = anchors + i;
            let range = r * dim..(r + 1) * dim;
            history_of_text(
                z,
                &mut history[range.clone()],
                &x0[range.clone()],
                |d| {
                    if info[r] & 3 != 0 {
                        return None;
                    }
                    let segment = ((info[r] >> 2) as usize).min(anchors.saturating_sub(1));
                    let guidance = if row.omega == 0.0 {
                        0.0
                    } else {
                        row.omega * (states[segment * dim + d] - inputs.f32(6)[(b * anchors + segment) * dim + d])
                    };
                    Some((guidance, absorb[d], noise_at(inputs.u32(7), b, row, range.start + d)))
                },
                row,
            );
        }
        history[..anchors * dim].copy_from_slice(&x0[..anchors * dim]);
        if row.refresh != 0.0 {
            states.copy_from_slice(&prediction[..anchors * dim]);
        }
    });
}

/// One text row; `noisy(d)` gives guidance, m and noise where the row is noisy.
fn history_of_text(
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
    noise::block(seed, row.stream as u32, (element / 4) as u32).1[element % 4]
}

/// How many rows are not `finite`; of each sequence of `rows` rows the first `lengths` count.
pub(crate) fn rows_not_finite(lengths: &[u32], rows: usize, finite: impl Fn(usize) -> bool + Sync) -> u32 {
    let counts = (0..lengths.len() * rows).into_par_iter().filter(|row| ((row % rows) as u32) < lengths[row / rows]);
    counts.filter(|&row| !finite(row)).count() as u32
}
