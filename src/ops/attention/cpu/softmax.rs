//! The online softmax of a block of queries (Milakov & Gimelshein 2018).

use std::ops::Range;

use super::side::Side;
use crate::host::gemm::{Columns, Left, multiply};
use crate::host::simd::{self, Simd, WithSimd, dot, exp_of_least};
use crate::{Result, memory};

/// Keys of a fold.
pub(super) const KEYS: usize = 256;
/// Most keys of a fold: the last ones of a side are taken along.
pub(super) const MOST_KEYS: usize = KEYS + KEYS / 2;
/// What a score no query sees is set to; finite, so that differences are too.
pub(super) const MASKED: f32 = -3.0e38;

/// Maximum, sum of exp and weighted values of each query so far.
pub(super) struct Softmax {
    /// `[rows, Dh]`, scaled.
    pub queries: Vec<f32>,
    pub head_dim: usize,
    pub top: Vec<f32>,
    pub total: Vec<f32>,
    pub sums: Vec<f32>,
    scores: Vec<f32>,
}

impl Softmax {
    /// Nothing seen yet by `queries` `[rows, Dh]`, which are scaled already.
    ///
    /// # Errors
    /// If memory is refused.
    pub(super) fn new(queries: Vec<f32>, head_dim: usize) -> Result<Self> {
        let rows = queries.len() / head_dim;
        let what = "the softmax of a block of queries";
        Ok(Self {
            head_dim,
            top: memory::filled(what, rows, MASKED)?,
            total: memory::zeroed(what, rows)?,
            sums: memory::zeroed(what, queries.len())?,
            scores: memory::zeroed(what, rows * MOST_KEYS)?,
            queries,
        })
    }

    /// Every query over `keys` of `side`, at most [`MOST_KEYS`]: they begin with a panel and end with one or with the
    /// side. `mask` sets scores of a row to [`MASKED`].
    pub(super) fn fold(&mut self, side: &Side, keys: Range<usize>, mask: impl Fn(usize, &mut [f32])) {
        simd::run(Fold { softmax: self, side, keys, mask });
    }

    /// Query `first + row` over the keys at each of `distances` before and, where there are any, after it, if `sees`
    /// says so of query and key. `k` and `v` are the rows of a head, `stride` apart, `length` of them.
    pub(super) fn fold_distances(
        &mut self,
        [k, v]: [&[f32]; 2],
        [stride, length]: [usize; 2],
        first: usize,
        distances: &[usize],
        sees: impl Fn(usize, usize) -> bool,
    ) {
        for distances in distances.chunks(MOST_KEYS / 2) {
            simd::run(Distances { softmax: self, k, v, stride, length, first, distances, sees: &sees });
        }
    }

    /// Gives for each row its sum over all keys, divided, and the log of the sum of exp, where it has seen any.
    pub(super) fn finish(self, mut row: impl FnMut(usize, &[f32], f32)) {
        let Self { mut sums, head_dim, top, total, .. } = self;
        for (i, (sums, (top, total))) in sums.chunks_mut(head_dim).zip(top.iter().zip(&total)).enumerate() {
            // A global row's own block may have seen nothing: it is written elsewhere.
            if *total > 0.0 || total.is_nan() {
                sums.iter_mut().for_each(|sum| *sum /= total);
                row(i, sums, top + total.ln());
            }
        }
    }
}

struct Fold<'a, F> {
    softmax: &'a mut Softmax,
    side: &'a Side,
    keys: Range<usize>,
    mask: F,
}

impl<F: Fn(usize, &mut [f32])> WithSimd for Fold<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { softmax: Softmax { queries, head_dim, top, total, sums, scores }, side, keys, mask } = self;
        let (d, seen) = (*head_dim, keys.len());
        let width = seen.next_multiple_of(S::F32_LANES);
        let scores = &mut scores[..top.len() * width];
        for (first, panel) in side.keys.panels(keys.clone(), 0..d) {
            let queries = Left { words: queries, stride: d, from: 0, depth: d };
            let columns = Columns { y: scores, stride: width, first: first - keys.start, add: false };
            multiply(s, queries, panel, columns);
        }
        let states = top.iter_mut().zip(total.iter_mut()).zip(sums.chunks_exact_mut(d));
        for (row, (scores, ((top, total), sums))) in scores.chunks_exact_mut(width).zip(states).enumerate() {
            scores[seen..].fill(MASKED);
            mask(row, &mut scores[..seen]);
            weigh(s, scores, top, total, sums);
        }
        for (first, panel) in side.values.panels(0..d, keys) {
            let weights = Left { words: scores, stride: width, from: 0, depth: seen };
            multiply(s, weights, panel, Columns { y: sums, stride: d, first, add: true });
        }
    }
}

/// Turns the scores of a row into weights, and rescales what was summed to the new maximum.
#[inline(always)]
fn weigh<S: Simd>(s: S, scores: &mut [f32], top: &mut f32, total: &mut f32, sums: &mut [f32]) {
    // NaN is left to the exponentials.
    let best = largest(s, scores).max(*top);
    if best > *top {
        let shrink = simd::first::<S>(exp_of_least(s, s.splat_f32s(*top - best)));
        simd::scale(s, sums, shrink);
        *total *= shrink;
        *top = best;
    }
    let best = s.splat_f32s(best);
    let mut sum = s.splat_f32s(0.0);
    let (vectors, rest) = S::as_mut_simd_f32s(scores);
    for score in vectors {
        *score = weight(s, *score, best);
        sum = s.add_f32s(sum, *score);
    }
    *total += s.reduce_sum_f32s(sum);
    if !rest.is_empty() {
        simd::map(
            s,
            rest,
            #[inline(always)]
            |score| weight(s, score, best),
        );
        *total += rest.iter().sum::<f32>();
    }
}

/// `e^(score - best)`; 0 where it is masked.
#[inline(always)]
pub(super) fn weight<S: Simd>(s: S, score: S::f32s, best: S::f32s) -> S::f32s {
    let masked = s.less_than_or_equal_f32s(score, s.splat_f32s(0.5 * MASKED));
    s.select_f32s(masked, s.splat_f32s(0.0), exp_of_least(s, s.sub_f32s(score, best)))
}

#[inline(always)]
fn largest<S: Simd>(s: S, x: &[f32]) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(x);
    let mut best = s.splat_f32s(MASKED);
    for &x in vectors {
        best = s.select_f32s(s.greater_than_f32s(x, best), x, best);
    }
    rest.iter().fold(s.reduce_max_f32s(best), |best, &x| if x > best { x } else { best })
}

struct Distances<'a, F> {
    softmax: &'a mut Softmax,
    k: &'a [f32],
    v: &'a [f32],
    stride: usize,
    length: usize,
    first: usize,
    distances: &'a [usize],
    sees: &'a F,
}

impl<F: Fn(usize, usize) -> bool> WithSimd for Distances<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { softmax, k, v, stride, length, first, distances, sees } = self;
        let Softmax { queries, head_dim, top, total, sums, scores } = softmax;
        let d = *head_dim;
        let scores = &mut scores[..2 * distances.len()];
        for row in 0..top.len() {
            let (query, i) = (&queries[row * d..][..d], first + row);
            for (column, score) in scores.iter_mut().enumerate() {
                *score = match key_at(distances, column, i, length, sees) {
                    Some(key) => dot(s, query, &k[key * stride..][..d]),
                    None => MASKED,
                };
            }
            let sums = &mut sums[row * d..][..d];
            weigh(s, scores, &mut top[row], &mut total[row], sums);
            for (column, weight) in scores.iter().enumerate() {
                if let Some(key) = key_at(distances, column, i, length, sees) {
                    simd::add_scaled(s, sums, *weight, &v[key * stride..][..d]);
                }
            }
        }
    }
}

/// The key in column `column` of query `i`, where there is one and it is seen.
#[inline(always)]
fn key_at(
    distances: &[usize],
    column: usize,
    i: usize,
    length: usize,
    sees: impl Fn(usize, usize) -> bool,
) -> Option<usize> {
    let distance = distances[column / 2];
    let key = if column.is_multiple_of(2) { i.checked_sub(distance)? } else { i + distance };
    (key < length && sees(i, key)).then_some(key)
}
