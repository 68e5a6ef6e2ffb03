//! `experts` on the CPU: entries (a token's choices) grouped by expert, in panels of rows.

use std::cmp::Reverse;

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, s};
use rayon::prelude::*;

use super::{COST_BIAS, D, DOWN, E, Experts, F, GATE, RESIDUAL, ROUTER_LOGITS, SCALE, UP, X};
use crate::host::activation::silu;
use crate::host::gemm::{packing, product};
use crate::op::{CpuIo, Shapes};
use crate::{Result, memory};

/// Rows of a task.
const PANEL: usize = 64;

pub(super) fn run(op: &Experts, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
    let [dim, experts, units] = [D, E, F].map(|dim| shapes.size(dim));
    let inputs = &io.inputs;
    let [out, indices, counts] = io.outputs.split();
    let out = bytemuck::cast_slice_mut(out);
    let gates = top_k(inputs.f32(ROUTER_LOGITS), inputs.get(COST_BIAS), experts, op.top_k, indices)?;
    counts.fill(0);
    for &expert in indices.iter() {
        counts[expert as usize] += 1;
    }
    let (gate, up, down) = (inputs.f32(GATE), inputs.f32(UP), inputs.f32(DOWN));
    let weights = Weights { gate, up, down, widths: &op.widths, dim, units };
    let outputs = outputs(inputs.f32(X), indices, counts, op.top_k, &weights)?;
    let scale = inputs.get(SCALE).map(|scale| &scale[op.gate_offset..][..dim]);
    outputs.combine(&gates, op.top_k, dim, inputs.get(RESIDUAL), scale, out);
    Ok(())
}

/// An integer that sorts like the float: NaN lowest, both zeros equal.
fn sort_key(x: f32) -> u32 {
    let bits = x.to_bits();
    match x {
        _ if x.is_nan() => 0,
        _ if x == 0.0 => 1 << 31,
        _ if bits >> 31 == 1 => !bits,
        _ => bits | 1 << 31,
    }
}

/// Chooses by `logit - cost_bias`, lists by falling logit, the lower index first where these tie; gives the gates
/// `[N, k]`, softmax of the chosen logits.
///
/// # Errors
/// If memory is refused.
fn top_k(logits: &[f32], bias: Option<&[f32]>, experts: usize, k: usize, indices: &mut [u32]) -> Result<Vec<f32>> {
    let mut gates = memory::zeroed("the gates of the experts", indices.len())?;
    let rows = indices.par_chunks_mut(k).zip(gates.par_chunks_mut(k)).zip(logits.par_chunks(experts));
    rows.for_each_init(Vec::new, |order, ((indices, gates), logits)| {
        let shifted = |e: usize| sort_key(logits[e] - bias.map_or(0.0, |bias| bias[e]));
        order.clear();
        order.extend(0..experts);
        order.sort_unstable_by_key(|&e| (Reverse(shifted(e)), e));
        order.truncate(k);
        order.sort_unstable_by_key(|&e| (Reverse(sort_key(logits[e])), e));
        let logit = |e: usize| logits[e].clamp(f32::MIN, f32::MAX);
        let most = logit(order[0]);
        let mut sum = 0.0;
        for ((index, gate), &e) in indices.iter_mut().zip(gates.iter_mut()).zip(order.iter()) {
            *index = e as u32;
            *gate = (logit(e) - most).exp();
            sum += *gate;
        }
        gates.iter_mut().for_each(|gate| *gate /= sum);
    });
    Ok(gates)
}

/// Weights of all experts; expert `e` owns the units from the sum of the widths before it.
struct Weights<'a> {
    /// `[units, dim]`.
    gate: &'a [f32],
    /// `[units, dim]`.
    up: &'a [f32],
    /// `[dim, units]`.
    down: &'a [f32],
    widths: &'a [u32],
    dim: usize,
    units: usize,
}

/// What the chosen experts computed.
struct ExpertOutputs {
    /// Rows of `dim`, sorted by expert.
    y: Vec<f32>,
    /// The row of each entry, where its expert has units.
    row: Vec<Option<usize>>,
}

/// Some entries of one expert.
struct Task<'a> {
    unit: usize,
    width: usize,
    entries: &'a [usize],
    y: &'a mut [f32],
}

/// Runs every entry (token `n`'s choice `c` is entry `n * k + c`) through its expert.
///
/// # Errors
/// If memory is refused.
fn outputs(x: &[f32], indices: &[u32], counts: &[u32], k: usize, weights: &Weights<'_>) -> Result<ExpertOutputs> {
    let dim = weights.dim;
    // The first row of each expert; none for one without units.
    let mut rows = 0;
    let mut next: Vec<Option<usize>> = Vec::with_capacity(counts.len());
    for (&count, &width) in counts.iter().zip(weights.widths) {
        next.push((width > 0).then_some(rows));
        rows += if width > 0 { count as usize } else { 0 };
    }
    let what = "the entries sorted by expert";
    let mut sorted = memory::zeroed(what, rows)?;
    let mut place = |(entry, &expert): (usize, &u32)| {
        let next = next[expert as usize].as_mut()?;
        sorted[*next] = entry;
        *next += 1;
        Some(*next - 1)
    };
    let row = memory::collected(what, indices.iter().enumerate().map(&mut place))?;

    let mut y = memory::zeroed("the outputs of the experts", rows * dim)?;
    let (mut left, mut y_left) = (sorted.as_slice(), y.as_mut_slice());
    let mut tasks = memory::empty(what, rows / PANEL + counts.len())?;
    let mut unit = 0;
    for (&count, &width) in counts.iter().zip(weights.widths) {
        let width = width as usize;
        if width > 0 {
            let (own, rest) = left.split_at(count as usize);
            let (own_y, rest_y) = y_left.split_at_mut(count as usize * dim);
            (left, y_left) = (rest, rest_y);
            let panels = own.chunks(PANEL).zip(own_y.chunks_mut(PANEL * dim));
            tasks.extend(panels.map(|(entries, y)| Task { unit, width, entries, y }));
        }
        unit += width;
    }
    tasks.into_par_iter().try_for_each(|task| panel(x, k, weights, task))?;
    Ok(ExpertOutputs { y, row })
}

fn panel(x: &[f32], k: usize, weights: &Weights<'_>, task: Task<'_>) -> Result<()> {
    let Task { unit, width, entries, y } = task;
    let Weights { dim, units, .. } = *weights;
    let what = "a panel of entries of one expert";
    let mut panel = memory::empty(what, entries.len() * dim)?;
    entries.iter().for_each(|entry| panel.extend_from_slice(&x[entry / k * dim..][..dim]));
    let own = unit * dim..(unit + width) * dim;
    let mut hidden = memory::zeroed(what, entries.len() * width)?;
    let mut up = memory::zeroed(what, entries.len() * width)?;
    product(&panel, &weights.gate[own.clone()], &mut hidden, dim, width)?;
    product(&panel, &weights.up[own], &mut up, dim, width)?;
    for (hidden, up) in hidden.iter_mut().zip(&up) {
        *hidden = silu(*hidden) * up;
    }
    packing(entries.len(), width, dim)?;
    let shapes = "infer has checked the weights, and the rest was made here";
    let hidden = ArrayView2::from_shape((entries.len(), width), &hidden).expect(shapes);
    let down = ArrayView2::from_shape((dim, units), weights.down).expect(shapes);
    let mut y = ArrayViewMut2::from_shape((entries.len(), dim), y).expect(shapes);
    general_mat_mul(1.0, &hidden, &down.slice(s![.., unit..unit + width]).t(), 0.0, &mut y);
    Ok(())
}

impl ExpertOutputs {
    /// `out = residual + scale * sum of gate * output`, in the order of the choices.
    fn combine(
        &self,
        gates: &[f32],
        k: usize,
        dim: usize,
        residual: Option<&[f32]>,
        scale: Option<&[f32]>,
        out: &mut [f32],
    ) {
        let rows = self.row.par_chunks(k).zip(gates.par_chunks(k));
        out.par_chunks_mut(dim).zip(rows).enumerate().for_each(|(token, (out, (rows, gates)))| {
            out.fill(0.0);
            for (row, gate) in rows.iter().zip(gates) {
                let Some(row) = row else { continue };
                for (out, y) in out.iter_mut().zip(&self.y[row * dim..][..dim]) {
                    *out += gate * y;
                }
            }
            for (column, out) in out.iter_mut().enumerate() {
                *out *= scale.map_or(1.0, |scale| scale[column]);
                *out += residual.map_or(0.0, |residual| residual[token * dim + column]);
            }
        });
    }
}
