//! `attention` on the CPU: blocks of queries over blocks of keys through products, an online softmax over them.
//!
//! A block of consecutive queries sees the window's keys and the global keys as products with what was packed once for
//! each head. At a dilated distance that is whole vectors, as many queries as a vector holds see as many keys that lie
//! in a row; other distances take a product of two rows each. So the work is O(N) for a sparse pattern.

mod diagonals;
mod side;
mod softmax;

use rayon::prelude::*;

use super::cost::dilated_distances;
use super::{Attention, GLOBALS, K, LENGTHS, Pattern, Q, Sizes, V};
use crate::op::{CpuIo, Shapes};
use crate::{Result, memory};
use side::{Side, gather};
use softmax::{KEYS, MASKED, MOST_KEYS, Softmax};

/// Queries of a block, a multiple of [`diagonals::ALIGNED`].
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
        qkv: [Q, K, V].map(|input| io.inputs.f32(input)),
    };
    let [out, lse] = io.outputs.split();
    let (out, lse) = (bytemuck::cast_slice_mut(out), bytemuck::cast_slice_mut(lse));
    attention(&task, out, lse)
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
    /// `[B, N, H, Dh]` and twice `[B, N, Hkv, Dh]`.
    qkv: [&'a [f32]; 3],
}

/// What every sequence and head shares.
struct Plan<'a> {
    task: &'a Task<'a>,
    /// Half-window; the whole sequence where dense.
    window: usize,
    /// How much of it lies after a query: nothing where causal.
    ahead: usize,
    /// Distances beyond the window that dilations reach: those that are whole vectors, and the others.
    aligned: Vec<usize>,
    others: Vec<usize>,
    /// Global positions, and whether each position is one.
    globals: Vec<usize>,
    is_global: Vec<bool>,
}

/// Keys and values of one head of one sequence.
struct Keys<'a> {
    /// From its first number on; rows lie `stride` apart.
    k: &'a [f32],
    v: &'a [f32],
    stride: usize,
    all: Side,
    /// Those at global positions.
    global: Side,
}

/// `out` and `lse` of the task, `[B, N, H, Dh]` and `[B, N, H]`.
///
/// # Errors
/// If memory is refused.
fn attention(task: &Task<'_>, out: &mut [f32], lse: &mut [f32]) -> Result<()> {
    let Sizes { batch, rows, heads, key_heads, head_dim } = task.sizes;
    let plan = Plan::new(task)?;
    let keys = (0..batch * key_heads).into_par_iter().map(|plane| plan.keys(plane));
    let keys: Vec<Keys<'_>> = keys.collect::<Result<_>>()?;
    let sequences = out.par_chunks_mut(rows * heads * head_dim).zip(lse.par_chunks_mut(rows * heads)).enumerate();
    sequences.try_for_each(|(b, (out, lse))| {
        let q = &task.qkv[0][b * rows * heads * head_dim..][..rows * heads * head_dim];
        plan.sequence(&Sequence { q, keys: &keys[b * key_heads..][..key_heads], length: task.length(b) }, out, lse)
    })
}

impl Task<'_> {
    /// Rows of sequence `b` that count.
    fn length(&self, b: usize) -> usize {
        self.lengths.get(b).map_or(self.sizes.rows, |&length| (length as usize).min(self.sizes.rows))
    }
}

/// One sequence: `q` `[N, H, Dh]`.
struct Sequence<'a> {
    q: &'a [f32],
    keys: &'a [Keys<'a>],
    length: usize,
}

impl<'a> Plan<'a> {
    fn new(task: &'a Task<'a>) -> Result<Self> {
        let rows = task.sizes.rows;
        let is_global = memory::zeroed("the global positions", rows)?;
        let (aligned, others, globals) = (Vec::new(), Vec::new(), Vec::new());
        let mut plan = Plan { task, window: rows, ahead: 0, aligned, others, globals, is_global };
        if let Pattern::Hsa { window, dilations } = task.pattern {
            plan.window = (*window).min(rows);
            let distances = dilated_distances(*window, dilations, rows).into_iter();
            (plan.aligned, plan.others) = distances.partition(|distance| distance % diagonals::ALIGNED == 0);
            let inside = task.globals.iter().map(|&global| global as usize).filter(|&global| global < rows);
            plan.globals = memory::collected("the global positions", inside)?;
            for &global in &plan.globals {
                plan.is_global[global] = true;
            }
        }
        if !task.causal {
            plan.ahead = plan.window;
        }
        Ok(plan)
    }

    /// Keys and values of head `plane % Hkv` of sequence `plane / Hkv`.
    fn keys(&self, plane: usize) -> Result<Keys<'a>> {
        let Sizes { rows, key_heads, head_dim: d, .. } = self.task.sizes;
        let (b, head, stride) = (plane / key_heads, plane % key_heads, key_heads * d);
        let length = self.task.length(b);
        let [_, k, v] = self.task.qkv.map(|x| x.get((b * rows * key_heads + head) * d..).unwrap_or(&[]));
        let all = Side::new(k, v, stride, length, d, !self.aligned.is_empty())?;
        let globals = &self.globals[..self.globals.partition_point(|&global| global < length)];
        Ok(Keys { k, v, stride, all, global: Side::gathered(k, v, stride, globals, d)? })
    }

    /// All of one sequence.
    fn sequence(&self, sequence: &Sequence<'_>, out: &mut [f32], lse: &mut [f32]) -> Result<()> {
        let Sizes { heads, head_dim: d, .. } = self.task.sizes;
        let globals = &self.globals[..self.globals.partition_point(|&global| global < sequence.length)];
        let tasks = (0..globals.len().div_ceil(QUERIES) * heads).into_par_iter().map(|task| {
            let positions = globals.chunks(QUERIES).nth(task / heads).unwrap_or(&[]);
            self.global_rows(sequence, task % heads, positions)
        });
        let seen = self.seen(sequence.length)?;
        let blocks = out.par_chunks_mut(QUERIES * heads * d).zip(lse.par_chunks_mut(QUERIES * heads)).enumerate();
        let blocks = blocks.map(|(block, (out, lse))| {
            // What padding holds.
            out.fill(0.0);
            lse.fill(f32::NEG_INFINITY);
            let first = block * QUERIES;
            let end = (first + lse.len() / heads).min(sequence.length);
            if first >= end || self.is_global[first..end].iter().all(|&global| global) {
                return Ok(());
            }
            let blocks = (0..heads).into_par_iter().map(|head| self.block(sequence, head, first..end, &seen));
            for (head, softmax) in blocks.collect::<Result<Vec<Softmax>>>()?.into_iter().enumerate() {
                softmax.finish(|row, sums, total| {
                    let at = row * heads + head;
                    out[at * d..][..d].copy_from_slice(sums);
                    lse[at] = total;
                });
            }
            Ok(())
        });
        let (global_rows, blocks) =
            rayon::join(|| tasks.collect::<Result<Vec<Softmax>>>(), || blocks.collect::<Result<()>>());
        blocks?;
        for (task, softmax) in global_rows?.into_iter().enumerate() {
            let positions = &globals[task / heads * QUERIES..];
            softmax.finish(|row, sums, total| {
                let at = positions[row] * heads + task % heads;
                out[at * d..][..d].copy_from_slice(sums);
                lse[at] = total;
            });
        }
        Ok(())
    }

    /// 1 for keys that are not global, for [`diagonals::fold`].
    fn seen(&self, length: usize) -> Result<Vec<f32>> {
        if self.aligned.is_empty() {
            return Ok(Vec::new());
        }
        let mut seen =
            memory::zeroed("the dilated keys", length.next_multiple_of(diagonals::QUERIES) + diagonals::ALIGNED)?;
        for (seen, global) in seen[..length].iter_mut().zip(&self.is_global) {
            *seen = if *global { 0.0 } else { 1.0 };
        }
        Ok(seen)
    }

    /// The scaled queries of a head at `positions`.
    fn queries(
        &self,
        sequence: &Sequence<'_>,
        head: usize,
        positions: impl ExactSizeIterator<Item = usize>,
    ) -> Result<Softmax> {
        let Sizes { heads, head_dim: d, .. } = self.task.sizes;
        Softmax::new(gather(&sequence.q[head * d..], heads * d, positions, d, self.task.scale)?, d)
    }

    /// The keys of a query head.
    fn keys_of<'s>(&self, sequence: &Sequence<'s>, head: usize) -> &'s Keys<'s> {
        let Sizes { heads, key_heads, .. } = self.task.sizes;
        &sequence.keys[head / (heads / key_heads)]
    }

    /// Queries at global `positions` over all keys.
    fn global_rows(&self, sequence: &Sequence<'_>, head: usize, positions: &[usize]) -> Result<Softmax> {
        let keys = self.keys_of(sequence, head);
        let mut softmax = self.queries(sequence, head, positions.iter().copied())?;
        let last = positions.last().map_or(0, |&last| last + 1);
        let end = if self.task.causal { last } else { sequence.length };
        for (from, to) in blocks(0, end, keys.all.len, keys.all.keys.width()) {
            softmax.fold(&keys.all, from..to, |row, scores| {
                if self.task.causal {
                    scores[(positions[row] + 1).clamp(from, to) - from..].fill(MASKED);
                }
            });
        }
        Ok(softmax)
    }

    /// Queries `own`, as if none of them were global.
    fn block(
        &self,
        sequence: &Sequence<'_>,
        head: usize,
        own: std::ops::Range<usize>,
        seen: &[f32],
    ) -> Result<Softmax> {
        let (keys, causal) = (self.keys_of(sequence, head), self.task.causal);
        let mut softmax = self.queries(sequence, head, own.clone())?;
        if !self.aligned.is_empty() {
            diagonals::fold(&mut softmax, &keys.all, own.start, &self.aligned, !causal, seen)?;
        }
        if !self.others.is_empty() {
            let sees = |query: usize, key: usize| !self.is_global[key] && (!causal || key <= query);
            let sizes = [keys.stride, sequence.length];
            softmax.fold_distances([keys.k, keys.v], sizes, own.start, &self.others, sees);
        }
        let end = (own.end + self.ahead).min(sequence.length);
        let start = own.start.saturating_sub(self.window);
        for (from, to) in blocks(start, end, keys.all.len, keys.all.keys.width()) {
            // Most blocks of a dense pattern need no mask.
            let plain = own.end <= from + self.window + 1 && to <= own.start + self.ahead + 1;
            let globals = self.is_global[from..to].contains(&true);
            softmax.fold(&keys.all, from..to, |row, scores| {
                if !plain {
                    let i = own.start + row;
                    let first = i.saturating_sub(self.window).clamp(from, to);
                    let last = (i + self.ahead + 1).clamp(first, to);
                    scores[..first - from].fill(MASKED);
                    scores[last - from..].fill(MASKED);
                }
                if globals {
                    for (score, &global) in scores.iter_mut().zip(&self.is_global[from..to]) {
                        *score = if global { MASKED } else { *score };
                    }
                }
            });
        }
        let visible = if causal { own.end } else { sequence.length };
        let end = self.globals.partition_point(|&global| global < visible);
        for (from, to) in blocks(0, end, keys.global.len, keys.global.keys.width()) {
            softmax.fold(&keys.global, from..to, |row, scores| {
                if causal {
                    let before = self.globals[from..to].partition_point(|&global| global <= own.start + row);
                    scores[before..].fill(MASKED);
                }
            });
        }
        Ok(softmax)
    }
}

/// Cuts the keys from `start` to `end`, of `len` there are, into parts of about [`KEYS`] that begin and end with whole
/// panels, or with the keys.
fn blocks(start: usize, end: usize, len: usize, panel: usize) -> impl Iterator<Item = (usize, usize)> {
    let end = if start < end { end.next_multiple_of(panel).min(len) } else { 0 };
    let mut from = start / panel * panel;
    std::iter::from_fn(move || {
        let to = if end.saturating_sub(from) <= MOST_KEYS { end } else { from + KEYS };
        let part = (from, to);
        from = to;
        (part.0 < part.1).then_some(part)
    })
}
