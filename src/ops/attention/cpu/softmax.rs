//! The online softmax of a block of queries (Milakov & Gimelshein 2018).

use crate::host::gemm::{self, Packed, Right};
use crate::{Result, memory};

/// Most keys of one fold.
pub(super) const KEYS: usize = 256;
/// What a score no query sees is set to; finite, so that differences are too.
pub(super) const MASKED: f32 = -3.0e38;

/// Maximum, sum of exp and weighted values of each query so far.
pub(super) struct Softmax {
    /// `[rows, Dh]`, scaled.
    queries: Vec<f32>,
    head_dim: usize,
    top: Vec<f32>,
    total: Vec<f32>,
    sums: Vec<f32>,
    scores: Vec<f32>,
}

impl Softmax {
    /// Nothing seen yet by `queries` `[rows, Dh]`.
    ///
    /// # Errors
    /// If memory is refused; all of it except that of products is taken here.
    pub(super) fn new(queries: &[f32], head_dim: usize, scale: f32) -> Result<Self> {
        let rows = queries.len() / head_dim;
        let what = "the softmax of a block of queries";
        Ok(Self {
            queries: memory::collected(what, queries.iter().map(|x| x * scale))?,
            head_dim,
            top: memory::filled(what, rows, MASKED)?,
            total: memory::zeroed(what, rows)?,
            sums: memory::zeroed(what, queries.len())?,
            scores: memory::empty(what, rows * KEYS)?,
        })
    }

    /// Every query over the same `keys` and `values` `[n, Dh]`, at most [`KEYS`] of them; `mask` sets scores `[rows, n]`
    /// to [`MASKED`].
    ///
    /// # Errors
    /// If memory is refused.
    pub(super) fn fold(&mut self, keys: &[f32], values: &[f32], mask: impl FnOnce(&mut [f32])) -> Result<()> {
        let (rows, d, n) = (self.top.len(), self.head_dim, keys.len() / self.head_dim);
        self.scores.resize(rows * n, 0.0);
        gemm::product(&self.queries, &Packed::new(Right::Rows(keys, d), d, n)?, &mut self.scores);
        mask(&mut self.scores);
        self.weigh(n);
        gemm::add_product(&self.scores, &Packed::new(Right::Columns(values), n, d)?, &mut self.sums);
        Ok(())
    }

    /// Query `first + row` over the keys at each of `distances` before and after it that exist and are not masked.
    pub(super) fn fold_diagonals(
        &mut self,
        keys: &[f32],
        values: &[f32],
        first: usize,
        distances: &[usize],
        masked: &[bool],
    ) {
        let (rows, d, n) = (self.top.len(), self.head_dim, 2 * distances.len());
        let length = keys.len() / d;
        // Rows and first key of each diagonal: the rows `from..to` of the block have a key.
        let diagonals: Vec<(usize, usize, usize)> = distances
            .iter()
            .flat_map(|&distance| {
                let before = (distance.saturating_sub(first).min(rows), rows);
                let behind = (0, length.saturating_sub(first + distance).min(rows));
                [(before.0, before.1, (first + before.0).saturating_sub(distance)), (0, behind.1, first + distance)]
            })
            .collect();
        self.scores.clear();
        self.scores.resize(rows * n, MASKED);
        for (column, &(from, to, key)) in diagonals.iter().enumerate() {
            for row in from..to {
                let j = key + row - from;
                if !masked[j] {
                    self.scores[row * n + column] = dot(&self.queries[row * d..][..d], &keys[j * d..][..d]);
                }
            }
        }
        self.weigh(n);
        for (column, &(from, to, key)) in diagonals.iter().enumerate() {
            for row in from..to {
                let weight = self.scores[row * n + column];
                let value = &values[(key + row - from) * d..][..d];
                for (sum, value) in self.sums[row * d..][..d].iter_mut().zip(value) {
                    *sum += weight * value;
                }
            }
        }
    }

    /// Turns `n` scores per row into weights, and rescales what was summed to the new maximum.
    fn weigh(&mut self, n: usize) {
        let rows = self.scores.chunks_mut(n).zip(self.sums.chunks_mut(self.head_dim));
        for ((scores, sums), (top, total)) in rows.zip(self.top.iter_mut().zip(&mut self.total)) {
            let best = largest(scores).max(*top);
            // No key yet, or none but NaN, which must show.
            if best <= 0.5 * MASKED {
                if scores.iter().any(|score| score.is_nan()) {
                    *total = f32::NAN;
                }
                scores.fill(0.0);
                continue;
            }
            let shrink = exp(*top - best);
            *top = best;
            for score in scores.iter_mut() {
                *score = exp(*score - best);
            }
            *total = *total * shrink + sum(scores);
            if shrink != 1.0 {
                sums.iter_mut().for_each(|sum| *sum *= shrink);
            }
        }
    }

    /// Writes `out` `[rows, Dh]` and `lse` `[rows]`.
    pub(super) fn finish(self, out: &mut [f32], lse: &mut [f32]) {
        let rows = out.chunks_mut(self.head_dim).zip(self.sums.chunks(self.head_dim)).zip(lse);
        for (((out, sums), lse), (top, total)) in rows.zip(self.top.iter().zip(&self.total)) {
            // A global row's own block may have seen nothing: it is written elsewhere.
            if *total > 0.0 || total.is_nan() {
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = sum / total;
                }
                *lse = top + total.ln();
            }
        }
    }
}

/// Lanes that the compiler vectorises.
const LANES: usize = 8;

fn lanes(x: &[f32], start: f32, step: impl Fn(f32, f32) -> f32) -> f32 {
    let mut state = [start; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(start, |state, &x| step(state, x));
    for chunk in chunks {
        for (state, &x) in state.iter_mut().zip(chunk) {
            *state = step(*state, x);
        }
    }
    state.into_iter().fold(rest, step)
}

fn largest(x: &[f32]) -> f32 {
    // A comparison, because `f32::max` is slower; NaN is left to the exponentials.
    lanes(x, MASKED, |a, b| if a > b { a } else { b })
}

fn sum(x: &[f32]) -> f32 {
    lanes(x, 0.0, |a, b| a + b)
}

fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest: f32 = xs.remainder().iter().zip(ys.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in xs.zip(ys) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    rest + sums.iter().sum::<f32>()
}

/// `exp(x)` for `x <= 0`, to about 2 units in the last place; 0 below -87, where numbers become subnormal. Without
/// branches, so that loops over it become vector code (the polynomial of Cephes' `expf`).
fn exp(x: f32) -> f32 {
    // Adding it rounds to an integer, whose bits are then the sum's lowest.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let inside = if x < -87.0 { -87.0 } else { x };
    let shifted = inside * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = inside - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.987_569_1e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + c;
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let y = (p * r * r + r + 1.0) * power;
    if x < -87.0 { 0.0 } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exp() {
        for i in 0..87_000 {
            let x = -0.001 * i as f32;
            let want = f64::from(x).exp();
            assert!((f64::from(exp(x)) / want - 1.0).abs() < 3e-7, "{x}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!([exp(-1e3), exp(MASKED), exp(f32::NEG_INFINITY)], [0.0; 3]);
        assert!(exp(f32::NAN).is_nan());
    }
}
