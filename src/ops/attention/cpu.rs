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
        causal: op.causal,
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
    /// Whether no query sees a later key.
    causal: bool,
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
    /// How much of it lies after a query: nothing where causal.
    ahead: usize,
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

/// `out` and `lse` of `[q, k, v]`, `[B, N, H, Dh]` and twice `[B, N, Hkv, Dh]`.
///
/// # Errors
/// If memory is refused.
fn attention(task: &Task<'_>, qkv: [&[f32]; 3], out: &mut [f32], lse: &mut [f32]) -> Result<()> {
    let Sizes { batch, rows, heads, key_heads, head_dim } = task.sizes;
    let is_global = memory::zeroed("the global positions", rows)?;
    let mut plan = Plan { task, window: rows, ahead: 0, distances: Vec::new(), globals: Vec::new(), is_global };
    if let Pattern::Hsa { window, dilations } = task.pattern {
        plan.window = (*window).min(rows);
        plan.distances = dilated_distances(*window, dilations, rows);
        let inside = task.globals.iter().map(|&global| global as usize).filter(|&global| global < rows);
        plan.globals = memory::collected("the global positions", inside)?;
        for &global in &plan.globals {
            plan.is_global[global] = true;
        }
    }
    if !task.causal {
        plan.ahead = plan.window;
    }
    let [q, k, v] = qkv;
    let q = by_head(q, rows, heads, head_dim)?;
    let (k, v) = (by_head(k, rows, key_heads, head_dim)?, by_head(v, rows, key_heads, head_dim)?);
    let size = rows * head_dim;
    let mut out_by_head = memory::zeroed("the output of attention", batch * heads * size)?;
    let mut lse_by_head = memory::filled("the output of attention", batch * heads * rows, f32::NEG_INFINITY)?;
    let planes = out_by_head.par_chunks_mut(size).zip(lse_by_head.par_chunks_mut(rows)).enumerate();
    planes.try_for_each(|(plane, (out, lse))| {
        let length = task.lengths.get(plane / heads).map_or(rows, |&length| (length as usize).min(rows));
        let part = |x, plane| &<[f32]>::split_at(x, plane * size).1[..length * head_dim];
        // Planes of one key head are neighbours, and sequences have as many groups as key heads.
        let keys = plane / (heads / key_heads);
        plan.head(&Head { q: part(&q, plane), k: part(&k, keys), v: part(&v, keys), length }, out, lse)
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
fn by_head(x: &[f32], rows: usize, heads: usize, head_dim: usize) -> Result<Vec<f32>> {
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
            let end = if self.task.causal { positions[positions.len() - 1] + 1 } else { head.length };
            let keys = head.k[..end * d].chunks(KEYS * d).zip(head.v[..end * d].chunks(KEYS * d));
            for (block, (k, v)) in keys.enumerate() {
                softmax.fold(k, v, |scores| self.mask_later(scores, positions, |key| block * KEYS + key))?;
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
        let last_key = (end + self.ahead).min(head.length);
        let mut key = first.saturating_sub(self.window);
        while key < last_key {
            let next = (key + KEYS).min(last_key);
            // Most blocks of a dense pattern need no mask.
            let plain = end <= key + self.window + 1 && next <= first + self.ahead + 1;
            let masked = !plain || self.is_global[key..next].contains(&true);
            softmax.fold(&head.k[key * d..next * d], &head.v[key * d..next * d], |scores| {
                if masked {
                    self.mask_local(scores, first, key, next);
                }
            })?;
            key = next;
        }
        for distances in self.distances.chunks(KEYS / 2) {
            // After a query there is nothing that it sees.
            let length = if self.task.causal { end } else { head.length };
            softmax.fold_diagonals(&head.k[..length * d], head.v, first, distances, |query, key| {
                !self.is_global[key] && !(self.task.causal && key > query)
            });
        }
        let queries = memory::collected("the positions of a block", first..end)?;
        let visible = if self.task.causal { end } else { head.length };
        for positions in self.globals.chunks(KEYS) {
            let positions = &positions[..positions.partition_point(|&position| position < visible)];
            if !positions.is_empty() {
                let (keys, values) = (gather(head.k, positions, d)?, gather(head.v, positions, d)?);
                softmax.fold(&keys, &values, |scores| self.mask_later(scores, &queries, |key| positions[key]))?;
            }
        }
        Ok(softmax)
    }

    /// Masks the keys `key..next` that a query sees through something else than the window, or not at all.
    fn mask_local(&self, scores: &mut [f32], first: usize, key: usize, next: usize) {
        for (row, scores) in scores.chunks_mut(next - key).enumerate() {
            let i = first + row;
            let seen = i.saturating_sub(self.window).max(key)..(i + self.ahead + 1).min(next);
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

    /// Masks the keys after each of the queries at `positions`, where that is asked for; key `c` of the scores is at
    /// `position(c)`, and these ascend.
    fn mask_later(&self, scores: &mut [f32], positions: &[usize], position: impl Fn(usize) -> usize) {
        if !self.task.causal {
            return;
        }
        let keys = scores.len() / positions.len();
        for (scores, &query) in scores.chunks_mut(keys).zip(positions) {
            for (_, score) in scores.iter_mut().enumerate().rev().take_while(|(key, _)| position(*key) > query) {
                *score = MASKED;
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
