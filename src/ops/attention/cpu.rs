//! `attention` on the CPU: blocks of 64 queries, keys in blocks through GEMMs, an online softmax over them.
//!
//! A block of consecutive queries sees the window's keys as one GEMM, each dilated distance as a diagonal (query rows
//! against key rows that distance away, both contiguous), and the global keys as one gathered GEMM; so the work is
//! O(N) for a sparse pattern.

mod softmax;

use rayon::prelude::*;

use super::cost::dilated_distances;
use super::{Attention, GLOBALS, K, LENGTHS, Pattern, Q, Sizes, V};
use crate::op::{CpuIo, Shapes};
use crate::{Result, memory};
use softmax::{KEYS, MASKED, Softmax};

/// Queries of a block.
const QUERIES: usize = 64;

pub(super) fn run(op: &Attention, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
    let sizes = Sizes::of(shapes);
    let task = Task {
        sizes,
        scale: op.scale(&sizes),
        pattern: &op.pattern,
        globals: io.inputs.u32(GLOBALS),
        lengths: io.inputs.u32(LENGTHS),
    };
    let [out, lse] = io.outputs.split();
    let (out, lse) = (bytemuck::cast_slice_mut(out), bytemuck::cast_slice_mut(lse));
    attention(&task, [Q, K, V].map(|input| io.inputs.f32(input)), out, lse)
}

/// What to compute.
struct Task<'a> {
    sizes: Sizes,
    scale: f32,
    pattern: &'a Pattern,
    /// Sorted; not used if the pattern is dense.
    globals: &'a [u32],
    /// Rows of each sequence, or empty where all count.
    lengths: &'a [u32],
}

/// What every sequence and head shares.
struct Plan<'a> {
    task: &'a Task<'a>,
    /// Half-window; the whole sequence where dense.
    window: usize,
    /// Distances beyond the window that dilations reach.
    distances: Vec<usize>,
    /// Global positions, and whether each position is one.
    globals: Vec<usize>,
    is_global: Vec<bool>,
}

/// One head of one sequence: rows `[length, Dh]`.
struct Head<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    length: usize,
}

/// `out` and `lse` of `[q, k, v]`, each `[B, N, H, Dh]`.
///
/// # Errors
/// If memory is refused.
fn attention(task: &Task<'_>, qkv: [&[f32]; 3], out: &mut [f32], lse: &mut [f32]) -> Result<()> {
    let Sizes { batch, rows, heads, head_dim } = task.sizes;
    let is_global = memory::zeroed("the global positions", rows)?;
    let mut plan = Plan { task, window: rows, distances: Vec::new(), globals: Vec::new(), is_global };
    if let Pattern::Hsa { window, dilations } = task.pattern {
        plan.window = (*window).min(rows);
        plan.distances = dilated_distances(*window, dilations, rows);
        let inside = task.globals.iter().map(|&global| global as usize).filter(|&global| global < rows);
        plan.globals = memory::collected("the global positions", inside)?;
        for &global in &plan.globals {
            plan.is_global[global] = true;
        }
    }
    let [q, k, v] = qkv.map(|x| by_head(x, &task.sizes));
    let (q, k, v) = (q?, k?, v?);
    let size = rows * head_dim;
    let mut out_by_head = memory::zeroed("the output of attention", batch * heads * size)?;
    let mut lse_by_head = memory::filled("the output of attention", batch * heads * rows, f32::NEG_INFINITY)?;
    let planes = out_by_head.par_chunks_mut(size).zip(lse_by_head.par_chunks_mut(rows)).enumerate();
    planes.try_for_each(|(plane, (out, lse))| {
        let length = task.lengths.get(plane / heads).map_or(rows, |&length| (length as usize).min(rows));
        let part = |x| &<[f32]>::split_at(x, plane * size).1[..length * head_dim];
        plan.head(&Head { q: part(&q), k: part(&k), v: part(&v), length }, out, lse)
    })?;
    out.par_chunks_mut(heads * head_dim).zip(lse.par_chunks_mut(heads)).enumerate().for_each(|(row, (out, lse))| {
        let (b, i) = (row / rows, row % rows);
        for (h, (out, lse)) in out.chunks_mut(head_dim).zip(lse).enumerate() {
            let at = (b * heads + h) * rows + i;
            out.copy_from_slice(&out_by_head[at * head_dim..][..head_dim]);
            *lse = lse_by_head[at];
        }
    });
    Ok(())
}

/// `[B, N, H, Dh]` to `[B, H, N, Dh]`.
fn by_head(x: &[f32], sizes: &Sizes) -> Result<Vec<f32>> {
    let Sizes { rows, heads, head_dim, .. } = *sizes;
    let mut y = memory::zeroed("an input of attention", x.len())?;
    y.par_chunks_mut(rows * head_dim).enumerate().for_each(|(plane, y)| {
        let first = (plane / heads * rows * heads + plane % heads) * head_dim;
        for (row, y) in y.chunks_mut(head_dim).enumerate() {
            y.copy_from_slice(&x[first + row * heads * head_dim..][..head_dim]);
        }
    });
    Ok(y)
}

impl Plan<'_> {
    /// One head of one sequence: `out` `[N, Dh]` and `lse` `[N]` start with what padding holds.
    fn head(&self, head: &Head<'_>, out: &mut [f32], lse: &mut [f32]) -> Result<()> {
        let d = self.task.sizes.head_dim;
        let blocks = out.par_chunks_mut(QUERIES * d).zip(lse.par_chunks_mut(QUERIES)).enumerate();
        blocks.try_for_each(|(block, (out, lse))| -> Result<()> {
            let first = block * QUERIES;
            let end = (first + lse.len()).min(head.length);
            if first < end && !self.is_global[first..end].iter().all(|&global| global) {
                let (rows, _) = lse.split_at_mut(end - first);
                self.block(head, first, end)?.finish(&mut out[..rows.len() * d], rows);
            }
            Ok(())
        })?;
        let inside = self.globals.iter().copied().filter(|&global| global < head.length);
        let globals = memory::collected("the global positions", inside)?;
        let results = globals.par_chunks(QUERIES).map(|positions| -> Result<_> {
            let mut softmax = Softmax::new(&gather(head.q, positions, d)?, d, self.task.scale)?;
            for (k, v) in head.k.chunks(KEYS * d).zip(head.v.chunks(KEYS * d)) {
                softmax.fold(k, v, |_| {})?;
            }
            let what = "the output of attention";
            let mut result = (memory::zeroed(what, positions.len() * d)?, memory::zeroed(what, positions.len())?);
            softmax.finish(&mut result.0, &mut result.1);
            Ok(result)
        });
        let results: Vec<(Vec<f32>, Vec<f32>)> = results.collect::<Result<_>>()?;
        for (positions, (rows, sums)) in globals.chunks(QUERIES).zip(&results) {
            for ((&position, row), &sum) in positions.iter().zip(rows.chunks(d)).zip(sums) {
                out[position * d..][..d].copy_from_slice(row);
                lse[position] = sum;
            }
        }
        Ok(())
    }

    /// Queries `first..end`, as if none of them were global.
    fn block(&self, head: &Head<'_>, first: usize, end: usize) -> Result<Softmax> {
        let d = self.task.sizes.head_dim;
        let mut softmax = Softmax::new(&head.q[first * d..end * d], d, self.task.scale)?;
        let last_key = (end + self.window).min(head.length);
        let mut key = first.saturating_sub(self.window);
        while key < last_key {
            let next = (key + KEYS).min(last_key);
            // Most blocks of a dense pattern need no mask.
            let plain = end <= key + self.window + 1 && next <= first + self.window + 1;
            let masked = !plain || self.is_global[key..next].contains(&true);
            softmax.fold(&head.k[key * d..next * d], &head.v[key * d..next * d], |scores| {
                if masked {
                    self.mask_local(scores, first, key, next);
                }
            })?;
            key = next;
        }
        for distances in self.distances.chunks(KEYS / 2) {
            softmax.fold_diagonals(head.k, head.v, first, distances, &self.is_global);
        }
        for positions in self.globals.chunks(KEYS) {
            let inside = positions.partition_point(|&position| position < head.length);
            if inside > 0 {
                let positions = &positions[..inside];
                softmax.fold(&gather(head.k, positions, d)?, &gather(head.v, positions, d)?, |_| {})?;
            }
        }
        Ok(softmax)
    }

    /// Masks the keys `key..next` that a query sees through something else than the window, or not at all.
    fn mask_local(&self, scores: &mut [f32], first: usize, key: usize, next: usize) {
        for (row, scores) in scores.chunks_mut(next - key).enumerate() {
            let i = first + row;
            let seen = i.saturating_sub(self.window).max(key)..(i + self.window + 1).min(next);
            if seen.is_empty() {
                scores.fill(MASKED);
                continue;
            }
            scores[..seen.start - key].fill(MASKED);
            scores[seen.end - key..].fill(MASKED);
            for (score, &global) in scores.iter_mut().zip(&self.is_global[key..next]) {
                *score = if global { MASKED } else { *score };
            }
        }
    }
}

/// Rows of `x` at `positions`.
fn gather(x: &[f32], positions: &[usize], d: usize) -> Result<Vec<f32>> {
    let mut rows = memory::empty("the rows of global positions", positions.len() * d)?;
    positions.iter().for_each(|&position| rows.extend_from_slice(&x[position * d..][..d]));
    Ok(rows)
}
