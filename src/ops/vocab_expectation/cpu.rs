//! `vocab_expectation` on the CPU: blocks of scores by GEMM, online softmax.

use std::ops::Range;

use rayon::prelude::*;

use super::{ABSORB, D, DE, EMBED, H, MODULATION, SKIP, STEP, UNEMBED, V, VocabExpectation};
use crate::host::gemm;
use crate::op::{CpuIo, Shapes};
use crate::ops::{Norm, NormKind, StepRow, bayes_query, norm};
use crate::{Error, Result, memory};

/// Rows of a task. The GEMM packs both operands anew for each block of scores, which costs more than the products
/// where a block has few rows or tokens.
const ROWS: usize = 256;
/// Tokens of a block of scores.
const KEYS: usize = 512;
/// Tasks wanted where rows are few: the vocabulary is then cut, by sizes of one sequence alone, so that results depend
/// neither on how many cores nor on how many sequences there are.
const TASKS: usize = 32;

pub(super) fn run(op: &VocabExpectation, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
    let normed = io.inputs.get(MODULATION).map(|modulation| {
        let VocabExpectation { eps, shift_offset, scale_offset } = *op;
        let h = io.inputs.f32(H);
        let mut normed = memory::zeroed("the normed rows of h", h.len())?;
        let norm = Norm { kind: NormKind::Rms, eps, shift_offset, scale_offset };
        norm::rows_on_cpu(&norm, h, Some(modulation), shapes.size(D), &mut normed);
        Ok::<_, Error>(normed)
    });
    let query = io.inputs.get(ABSORB).map(|absorb| {
        let (z, step) = (io.inputs.f32(SKIP), StepRow::from_words(io.inputs.f32(STEP)));
        let mut query = memory::zeroed("the query of the state", z.len())?;
        bayes_query::cpu::query(z, absorb, &step, shapes.size(DE), &mut query);
        Ok::<_, Error>(query)
    });
    let (normed, query): (Option<Vec<f32>>, Option<Vec<f32>>) = (normed.transpose()?, query.transpose()?);
    let [unembed, embed] = [UNEMBED, EMBED].map(|input| io.inputs.f32(input));
    let [x0, lse, entropy, token] = io.outputs.split();
    let [x0, lse, entropy] = [x0, lse, entropy].map(bytemuck::cast_slice_mut);
    let vocabulary = Vocabulary {
        h: normed.as_deref().unwrap_or(io.inputs.f32(H)),
        unembed,
        embed,
        skip: query.as_deref().or(io.inputs.get(SKIP)),
        sequence: shapes.input(H).sequence_rows(),
        dim: shapes.size(D),
        vocab: shapes.size(V),
        embed_dim: shapes.size(DE),
    };
    vocabulary.expectation(x0, lse, entropy, token)
}

/// What the rows are looked up in.
#[derive(Clone, Copy)]
struct Vocabulary<'a> {
    h: &'a [f32],
    unembed: &'a [f32],
    embed: &'a [f32],
    skip: Option<&'a [f32]>,
    /// Rows of one sequence.
    sequence: usize,
    dim: usize,
    vocab: usize,
    embed_dim: usize,
}

/// What is kept of a row's scores: the maximum, where it is, and over all the others the sums of `e^(l - max)` and of
/// `e^(l - max) (l - max)`.
#[derive(Clone, Copy)]
struct Row {
    best: f32,
    token: usize,
    tail: f64,
    t: f64,
}

impl Row {
    /// Takes in another part; returns the factors for both parts' weighted sums. On a tie, `self`'s token stays.
    fn absorb(&mut self, other: Self) -> [f32; 2] {
        let rises = other.best > self.best;
        let (mut kept, moved) = if rises { (other, *self) } else { (*self, other) };
        // At -800 exp is 0 in f64: bounded, so that 0 times infinity does not arise.
        let shift = (f64::from(moved.best) - f64::from(kept.best)).max(-800.0);
        let factor = shift.exp();
        kept.tail += factor * (1.0 + moved.tail);
        kept.t += factor * (moved.t + (1.0 + moved.tail) * shift);
        *self = kept;
        if rises { [factor as f32, 1.0] } else { [1.0, factor as f32] }
    }
}

/// Rows and their `[rows, embed_dim]` sums, not yet divided.
struct Part {
    rows: Vec<Row>,
    sums: Vec<f32>,
}

impl Vocabulary<'_> {
    /// Writes x0, lse, entropy and token of all rows.
    ///
    /// # Errors
    /// If memory is refused.
    fn expectation(&self, x0: &mut [f32], lse: &mut [f32], entropy: &mut [f32], token: &mut [u32]) -> Result<()> {
        let blocks = self.sequence.div_ceil(ROWS).max(1);
        let spans = (TASKS / blocks).clamp(1, self.vocab.div_ceil(KEYS));
        let span = self.vocab.div_ceil(spans);
        let x0 = x0.par_chunks_mut(ROWS * self.embed_dim);
        let scalars = lse.par_chunks_mut(ROWS).zip(entropy.par_chunks_mut(ROWS)).zip(token.par_chunks_mut(ROWS));
        x0.zip(scalars).enumerate().try_for_each(|(block, (x0, ((lse, entropy), token)))| {
            let rows = block * ROWS..block * ROWS + lse.len();
            let starts: Vec<usize> = (0..self.vocab).step_by(span).collect();
            let parts = starts.into_par_iter().map(|start| {
                let keys = start..(start + span).min(self.vocab);
                self.part(rows.clone(), keys)
            });
            let mut parts = parts.collect::<Result<Vec<Part>>>()?;
            let Part { rows: mut states, mut sums } = parts.remove(0);
            for part in parts {
                for (i, (state, other)) in states.iter_mut().zip(part.rows).enumerate() {
                    let [mine, theirs] = state.absorb(other);
                    let range = i * self.embed_dim..(i + 1) * self.embed_dim;
                    for (sum, other) in sums[range.clone()].iter_mut().zip(&part.sums[range]) {
                        *sum = *sum * mine + other * theirs;
                    }
                }
            }
            for (i, state) in states.iter().enumerate() {
                let log_sum = state.tail.ln_1p();
                lse[i] = (f64::from(state.best) + log_sum) as f32;
                // Both terms are positive; f64 leaves nothing below 0 that f32 would show, and NaN stays NaN.
                entropy[i] = (log_sum - state.t / (1.0 + state.tail)) as f32;
                token[i] = state.token as u32;
                let scale = (1.0 / (1.0 + state.tail)) as f32;
                let range = i * self.embed_dim..(i + 1) * self.embed_dim;
                for (x0, sum) in x0[range.clone()].iter_mut().zip(&sums[range]) {
                    *x0 = sum * scale;
                }
            }
            Ok(())
        })
    }

    /// Some rows over some tokens.
    fn part(&self, rows: Range<usize>, keys: Range<usize>) -> Result<Part> {
        let Self { h, unembed, embed, skip, dim, embed_dim, .. } = *self;
        let h = &h[rows.start * dim..rows.end * dim];
        let skip = skip.map(|skip| &skip[rows.start * embed_dim..rows.end * embed_dim]);
        let mut sums = memory::zeroed("the expectations of a block of rows", rows.len() * embed_dim)?;
        let mut scores = memory::zeroed("the scores of a block of rows", rows.len() * KEYS.min(keys.len()))?;
        let mut states: Vec<Row> = Vec::with_capacity(rows.len());
        for first in keys.clone().step_by(KEYS) {
            let block = first..(first + KEYS).min(keys.end);
            let width = block.len();
            let scores = &mut scores[..rows.len() * width];
            let values = &embed[block.start * embed_dim..block.end * embed_dim];
            gemm::product(h, &unembed[block.start * dim..block.end * dim], scores, dim, width)?;
            if let Some(skip) = skip {
                gemm::add_product(skip, values, scores, embed_dim, width)?;
            }
            for (i, scores) in scores.chunks_exact_mut(width).enumerate() {
                let other = weigh(scores, first);
                if let Some(state) = states.get_mut(i) {
                    let [mine, theirs] = state.absorb(other);
                    if mine != 1.0 {
                        sums[i * embed_dim..(i + 1) * embed_dim].iter_mut().for_each(|sum| *sum *= mine);
                    }
                    if theirs != 1.0 {
                        scores.iter_mut().for_each(|weight| *weight *= theirs);
                    }
                } else {
                    states.push(other);
                }
            }
            gemm::add_weighted(scores, values, &mut sums, width, embed_dim)?;
        }
        Ok(Part { rows: states, sums })
    }
}

/// Turns scores of tokens from `first` on into weights relative to their maximum.
fn weigh(scores: &mut [f32], first: usize) -> Row {
    let (mut best, mut at) = (scores[0], 0);
    for (i, &score) in scores.iter().enumerate() {
        if score > best {
            (best, at) = (score, i);
        }
    }
    let (mut tail, mut t) = (0.0, 0.0);
    for (i, score) in scores.iter_mut().enumerate() {
        let distance = *score - best;
        *score = distance.exp();
        if i != at {
            tail += f64::from(*score);
            t += f64::from(*score) * f64::from(distance.max(-200.0));
        }
    }
    Row { best, token: first + at, tail, t }
}
