//! `experts` on the CPU: entries (a token's choices) grouped by expert, in panels of rows.

use std::cmp::Reverse;
use std::sync::Arc;

use rayon::prelude::*;

use super::{COST_BIAS, D, DOWN, E, Experts, F, GATE, RESIDUAL, ROUTER_LOGITS, SCALE, UP, X};
use crate::host::activation::silu;
use crate::host::gemm::{Packed, Right, product};
use crate::host::prepared::{Prepared, form};
use crate::host::simd::{self, Simd, WithSimd};
use crate::op::{CpuIo, Shapes};
use crate::{Result, memory};

/// Rows of a task.
const PANEL: usize = 48;
/// Tokens of a task that combines outputs.
const COMBINED: usize = 32;

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
    let prepared = [GATE, UP, DOWN].map(|input| inputs.prepared(input));
    let weights = Weights { gate, up, down, widths: &op.widths, dim, units, prepared };
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
    /// What is kept with each.
    prepared: [Option<&'a Prepared>; 3],
}

/// What the chosen experts computed.
struct ExpertOutputs {
    /// Rows of `dim`, sorted by expert.
    y: Vec<f32>,
    /// The row of each entry, where its expert has units.
    row: Vec<Option<usize>>,
}

/// An expert's weights, packed.
struct Expert {
    gate: Arc<Packed>,
    up: Arc<Packed>,
    down: Arc<Packed>,
    width: usize,
}

impl Weights<'_> {
    /// Those of the expert that owns `width` units from `unit` on, for `rows` rows.
    fn packed(&self, unit: usize, width: usize, rows: usize) -> Result<Expert> {
        let Self { gate, up, down, dim, units, prepared, .. } = *self;
        let size = [rows, units * dim];
        let inner = |weight: &[f32], prepared| {
            form(prepared, size, &[dim, unit, width], || {
                Packed::new(Right::Rows(&weight[unit * dim..], dim), dim, width)
            })
        };
        let outer = || Packed::new(Right::Rows(&down[unit..], units), width, dim);
        Ok(Expert {
            gate: inner(gate, prepared[0])?,
            up: inner(up, prepared[1])?,
            down: form(prepared[2], size, &[dim, unit, width, units], outer)?,
            width,
        })
    }
}

/// Some entries of one expert.
struct Task<'a> {
    expert: &'a Expert,
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

    let mut unit = 0;
    let mut chosen = Vec::with_capacity(counts.len());
    for (&count, &width) in counts.iter().zip(weights.widths) {
        if count > 0 && width > 0 {
            chosen.push((unit, width as usize, count as usize));
        }
        unit += width as usize;
    }
    let packed = chosen.par_iter().map(|&(unit, width, count)| weights.packed(unit, width, count));
    let packed: Vec<Expert> = packed.collect::<Result<_>>()?;

    let mut y = memory::zeroed("the outputs of the experts", rows * dim)?;
    let (mut left, mut y_left) = (sorted.as_slice(), y.as_mut_slice());
    let mut tasks = memory::empty(what, rows / PANEL + chosen.len())?;
    for (expert, &(_, _, count)) in packed.iter().zip(&chosen) {
        let (own, rest) = left.split_at(count);
        let (own_y, rest_y) = y_left.split_at_mut(count * dim);
        (left, y_left) = (rest, rest_y);
        let panels = own.chunks(PANEL).zip(own_y.chunks_mut(PANEL * dim));
        tasks.extend(panels.map(|(entries, y)| Task { expert, entries, y }));
    }
    tasks.into_par_iter().try_for_each(|task| panel(x, k, dim, task))?;
    Ok(ExpertOutputs { y, row })
}

fn panel(x: &[f32], k: usize, dim: usize, task: Task<'_>) -> Result<()> {
    let Task { expert: Expert { gate, up, down, width }, entries, y } = task;
    let what = "a panel of entries of one expert";
    let mut panel = memory::empty(what, entries.len() * dim)?;
    entries.iter().for_each(|entry| panel.extend_from_slice(&x[entry / k * dim..][..dim]));
    let mut hidden = memory::zeroed(what, entries.len() * width)?;
    let mut ups = memory::zeroed(what, entries.len() * width)?;
    product(&panel, gate, &mut hidden);
    product(&panel, up, &mut ups);
    simd::run(Gated { hidden: &mut hidden, up: &ups });
    product(&hidden, down, y);
    Ok(())
}

/// `hidden = silu(hidden) up`.
struct Gated<'a> {
    hidden: &'a mut [f32],
    up: &'a [f32],
}

impl WithSimd for Gated<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        simd::zip(
            s,
            self.hidden,
            self.up,
            #[inline(always)]
            |hidden, up| s.mul_f32s(silu(s, hidden), up),
        );
    }
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
        let rows = self.row.par_chunks(COMBINED * k).zip(gates.par_chunks(COMBINED * k));
        out.par_chunks_mut(COMBINED * dim).zip(rows).enumerate().for_each(|(block, (out, (rows, gates)))| {
            let residual = residual.map(|residual| &residual[block * COMBINED * dim..][..out.len()]);
            simd::run(Combine { y: &self.y, rows, gates, k, dim, residual, scale, out });
        });
    }
}

/// [`ExpertOutputs::combine`] for some tokens.
struct Combine<'a> {
    y: &'a [f32],
    rows: &'a [Option<usize>],
    gates: &'a [f32],
    k: usize,
    dim: usize,
    residual: Option<&'a [f32]>,
    scale: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl WithSimd for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { y, rows, gates, k, dim, residual, scale, out } = self;
        for (token, out) in out.chunks_exact_mut(dim).enumerate() {
            out.fill(0.0);
            for (row, gate) in rows[token * k..][..k].iter().zip(&gates[token * k..]) {
                let Some(row) = row else { continue };
                simd::add_scaled(s, out, *gate, &y[row * dim..][..dim]);
            }
            if let Some(scale) = scale {
                simd::multiply(s, out, scale);
            }
            if let Some(residual) = residual {
                simd::add(s, out, &residual[token * dim..]);
            }
        }
    }
}
