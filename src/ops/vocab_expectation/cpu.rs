//! `vocab_expectation` on the CPU: blocks of scores by GEMM, online softmax.

use std::ops::Range;

use rayon::prelude::*;

use super::{ABSORB, D, DE, EMBED, H, MODULATION, SKIP, STEP, UNEMBED, V, VocabExpectation};
use crate::host::gemm::{self, Packed, Right};
use crate::host::prepared::{Prepared, form};
use crate::host::simd::{self, Simd, WithSimd, mul_add};
use crate::op::{CpuIo, Shapes};
use crate::ops::{Norm, NormKind, StepRow, bayes_query, norm};
use crate::{Error, Result, memory};

/// Rows of a task, which share what is packed of the vocabulary.
const ROWS: usize = 1024;
/// Rows of a block of scores.
const BLOCK: usize = 96;
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
        prepared: io.inputs.prepared(UNEMBED),
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
    /// What is kept with `unembed`.
    prepared: Option<&'a Prepared>,
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
    /// Takes a larger maximum; returns the factor for what was summed.
    fn rise(&mut self, best: f32, token: usize) -> f64 {
        // At -800 exp is 0 in f64: bounded, so that 0 times infinity does not arise.
        let shift = (f64::from(self.best) - f64::from(best)).max(-800.0);
        let factor = shift.exp();
        self.t = factor * (self.t + (1.0 + self.tail) * shift);
        self.tail = factor * (1.0 + self.tail);
        (self.best, self.token) = (best, token);
        factor
    }

    /// Takes in another part; returns the factors for both parts' weighted sums. On a tie, `self`'s token stays.
    fn absorb(&mut self, other: Self) -> [f32; 2] {
        let rises = other.best > self.best;
        let (mut moved, kept) = if rises { (*self, other) } else { (other, *self) };
        let factor = moved.rise(kept.best, kept.token);
        *self = Self { tail: kept.tail + moved.tail, t: kept.t + moved.t, ..kept };
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
        let span = self.vocab.div_ceil(spans).next_multiple_of(KEYS);
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
        let what = "the scores of a block of rows";
        let mut sums = memory::zeroed("the expectations of a block of rows", rows.len() * embed_dim)?;
        let mut scores = memory::zeroed(what, rows.len().min(BLOCK) * KEYS.min(keys.len()))?;
        let nothing = Row { best: f32::NEG_INFINITY, token: keys.start, tail: 0.0, t: 0.0 };
        let mut states = memory::filled(what, rows.len(), nothing)?;
        for first in keys.clone().step_by(KEYS) {
            let width = KEYS.min(keys.end - first);
            let values = &embed[first * embed_dim..(first + width) * embed_dim];
            let tokens = form(self.prepared, [self.sequence, unembed.len()], &[dim, first, width], || {
                Packed::new(Right::Rows(&unembed[first * dim..], dim), dim, width)
            })?;
            let skipped = skip.map(|_| Packed::new(Right::Rows(values, embed_dim), embed_dim, width)).transpose()?;
            let values = Packed::new(Right::Columns(values, embed_dim), width, embed_dim)?;
            let blocks = states.chunks_mut(BLOCK).zip(sums.chunks_mut(BLOCK * embed_dim));
            for ((states, sums), from) in blocks.zip(rows.clone().step_by(BLOCK)) {
                let block = from..from + states.len();
                let scores = &mut scores[..block.len() * width];
                gemm::product(&h[block.start * dim..block.end * dim], &tokens, scores);
                if let (Some(skip), Some(skipped)) = (skip, &skipped) {
                    gemm::add_product(&skip[block.start * embed_dim..block.end * embed_dim], skipped, scores);
                }
                simd::run(Weigh { scores, states, sums, first, width, embed_dim });
                gemm::add_product(scores, &values, sums);
            }
        }
        Ok(Part { rows: states, sums })
    }
}

/// Turns scores of tokens from `first` on into weights relative to each row's maximum so far, and sums them.
struct Weigh<'a> {
    scores: &'a mut [f32],
    states: &'a mut [Row],
    sums: &'a mut [f32],
    first: usize,
    width: usize,
    embed_dim: usize,
}

impl WithSimd for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { scores, states, sums, first, width, embed_dim } = self;
        let rows = scores.chunks_exact_mut(width).zip(states).zip(sums.chunks_exact_mut(embed_dim));
        for ((scores, state), sums) in rows {
            let (best, at) = simd::most(s, scores);
            // The largest is summed apart, and its weight is 1: what is small beside it keeps its digits.
            let rises = best > state.best;
            if rises {
                simd::scale(s, sums, state.rise(best, first + at) as f32);
                scores[at] = f32::NEG_INFINITY;
            }
            let [tail, t] = weigh(s, scores, state.best);
            state.tail += tail;
            state.t += t;
            if rises {
                scores[at] = 1.0;
            }
        }
    }
}

/// `x` becomes `e^(x - best)`; sums of that, and of that times `x - best`.
#[inline(always)]
fn weigh<S: Simd>(s: S, x: &mut [f32], best: f32) -> [f64; 2] {
    let best = s.splat_f32s(best);
    let (mut tail, mut t) = (s.splat_f32s(0.0), s.splat_f32s(0.0));
    let (vectors, rest) = S::as_mut_simd_f32s(x);
    for x in vectors {
        let (weight, bounded) = weight(s, *x, best);
        *x = weight;
        tail = s.add_f32s(tail, weight);
        t = mul_add(s, weight, bounded, t);
    }
    let (mut tails, mut ts) = (f64::from(s.reduce_sum_f32s(tail)), f64::from(s.reduce_sum_f32s(t)));
    for x in rest {
        let (weight, bounded) = weight(s, s.splat_f32s(*x), best);
        *x = simd::first::<S>(weight);
        tails += f64::from(*x);
        ts += f64::from(*x) * f64::from(simd::first::<S>(bounded));
    }
    [tails, ts]
}

/// `e^(x - best)`, and `x - best` with a bound, so that 0 times infinity does not arise.
#[inline(always)]
fn weight<S: Simd>(s: S, x: S::f32s, best: S::f32s) -> (S::f32s, S::f32s) {
    let (distance, bound) = (s.sub_f32s(x, best), s.splat_f32s(-200.0));
    // NaN is not less.
    let bounded = s.select_f32s(s.less_than_f32s(distance, bound), bound, distance);
    (simd::exp_of_least(s, distance), bounded)
}
