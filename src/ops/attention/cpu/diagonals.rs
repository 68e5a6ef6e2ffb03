//! Dilated keys at distances that are whole vectors: a vector holds as many consecutive queries, which see at each
//! distance as many consecutive keys. So every lane works on a pair that counts, on numbers that lie in a row.

use super::side::Side;
use super::softmax::{MASKED, Softmax, weight};
use crate::host::gemm::{Packed, vectors};
use crate::host::simd::{self, Simd, WithSimd, mul_add};
use crate::{Result, memory};

/// Distances that are multiples of this are multiples of every kind of vector.
pub(super) const ALIGNED: usize = 16;
/// Most queries that are taken together.
pub(super) const QUERIES: usize = 4 * ALIGNED;
/// Distances, and dimensions of values, whose sums are kept in registers at a time.
const SUMS: usize = 4;

/// Queries `first..` of a block over the keys at `distances`, multiples of [`ALIGNED`], before them and, where `after`,
/// behind them. `seen` is above 0 for the keys that count, with zeros behind them: to a multiple of
/// [`QUERIES`], and [`ALIGNED`] more.
///
/// # Errors
/// If memory is refused.
pub(super) fn fold(
    softmax: &mut Softmax,
    side: &Side,
    first: usize,
    distances: &[usize],
    after: bool,
    seen: &[f32],
) -> Result<()> {
    let Some(values) = &side.turned else { return Ok(()) };
    let what = "the scores of dilated keys";
    let most = 2 * distances.len();
    let scores = memory::zeroed(what, most * QUERIES)?;
    let query = memory::zeroed(what, softmax.head_dim * QUERIES)?;
    let groups = memory::empty(what, most * 4)?;
    simd::run(Fold { softmax, keys: &side.keys, values, first, distances, after, seen, scores, query, groups });
    Ok(())
}

struct Fold<'a> {
    softmax: &'a mut Softmax,
    keys: &'a Packed,
    values: &'a Packed,
    first: usize,
    distances: &'a [usize],
    after: bool,
    seen: &'a [f32],
    scores: Vec<f32>,
    query: Vec<f32>,
    groups: Vec<Group>,
}

/// A vector of keys: which it is, and where its first dimension lies among the lines of panels and in a line.
#[derive(Clone, Copy)]
struct Group {
    index: usize,
    line: usize,
    column: usize,
}

impl WithSimd for Fold<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        if vectors::<S>() == 4 {
            self.together::<S, 4>(s);
        } else {
            self.together::<S, 2>(s);
        }
    }
}

impl Fold<'_> {
    /// `Q` vectors of queries at a time, as many as a panel has of keys.
    #[inline(always)]
    fn together<S: Simd, const Q: usize>(self, s: S) {
        let Self { softmax, keys, values, first, distances, after, seen, mut scores, mut query, mut groups } = self;
        let (lanes, d, rows) = (S::F32_LANES, softmax.head_dim, softmax.top.len());
        let all = keys.padded() / lanes;
        let [keys, values] = [keys, values].map(|side| S::as_simd_f32s(side.words()).0.as_chunks::<Q>().0);
        let seen = S::as_simd_f32s(seen).0;
        let group = |index: usize| match index < all {
            true => Group { index, line: index / Q * d, column: index % Q },
            // Some key, which does not count.
            false => Group { index: seen.len() - 1, line: 0, column: 0 },
        };
        for from in (0..rows).step_by(Q * lanes) {
            let count = (Q * lanes).min(rows - from);
            query.fill(0.0);
            for (at, row) in softmax.queries[from * d..(from + count) * d].chunks_exact(d).enumerate() {
                for (query, x) in query.chunks_exact_mut(Q * lanes).zip(row) {
                    query[at] = *x;
                }
            }
            let own = (first + from) / lanes;
            groups.clear();
            for distance in distances.iter().map(|distance| distance / lanes) {
                if own + Q > distance {
                    groups.extend((own..own + Q).map(|own| group(own.wrapping_sub(distance))));
                }
                if after && own + distance < all {
                    groups.extend((own..own + Q).map(|own| group(own + distance)));
                }
            }
            let (query, groups) = (S::as_simd_f32s(&query).0.as_chunks::<Q>().0, groups.as_chunks::<Q>().0);
            let scores = &mut S::as_mut_simd_f32s(&mut scores).0.as_chunks_mut::<Q>().0[..groups.len()];
            let (scores_n, scores_1) = scores.as_chunks_mut::<SUMS>();
            let (groups_n, groups_1) = groups.as_chunks::<SUMS>();
            for (scores, groups) in scores_n.iter_mut().zip(groups_n) {
                *scores = products(s, &query[..d], keys, groups, seen);
            }
            for (score, &group) in scores_1.iter_mut().zip(groups_1) {
                [*score] = products(s, &query[..d], keys, &[group], seen);
            }
            let (mut top, mut total) = ([s.splat_f32s(MASKED); Q], [s.splat_f32s(0.0); Q]);
            for score in scores.iter() {
                for q in 0..Q {
                    top[q] = s.select_f32s(s.greater_than_f32s(score[q], top[q]), score[q], top[q]);
                }
            }
            for score in scores.iter_mut() {
                for q in 0..Q {
                    score[q] = weight(s, score[q], top[q]);
                    total[q] = s.add_f32s(total[q], score[q]);
                }
            }
            softmax.top[from..from + count].copy_from_slice(&bytemuck::cast_slice(&top)[..count]);
            softmax.total[from..from + count].copy_from_slice(&bytemuck::cast_slice(&total)[..count]);
            let sums = &mut softmax.sums[from * d..(from + count) * d];
            for p in (0..d / SUMS * SUMS).step_by(SUMS) {
                let dimensions = weighted::<S, Q, SUMS>(s, scores, values, groups, p);
                // A copy, so that the sums themselves stay in registers.
                store(&std::hint::black_box(dimensions), sums, d, p);
            }
            for p in d / SUMS * SUMS..d {
                store(&weighted::<S, Q, 1>(s, scores, values, groups, p), sums, d, p);
            }
        }
    }
}

/// Each lane's product of query and key at `N` distances, [`MASKED`] where the key does not count.
#[inline(always)]
fn products<S: Simd, const Q: usize, const N: usize>(
    s: S,
    query: &[[S::f32s; Q]],
    keys: &[[S::f32s; Q]],
    groups: &[[Group; Q]; N],
    seen: &[S::f32s],
) -> [[S::f32s; Q]; N] {
    let mut columns: [[&[[S::f32s; Q]]; Q]; N] = [[&[]; Q]; N];
    for n in 0..N {
        for q in 0..Q {
            columns[n][q] = &keys[groups[n][q].line..][..query.len()];
        }
    }
    let mut sums = [[s.splat_f32s(0.0); Q]; N];
    for p in 0..query.len() {
        for n in 0..N {
            for q in 0..Q {
                let key = columns[n][q][p][groups[n][q].column % Q];
                sums[n][q] = mul_add(s, query[p][q], key, sums[n][q]);
            }
        }
    }
    for n in 0..N {
        for q in 0..Q {
            let counts = s.greater_than_f32s(seen[groups[n][q].index], s.splat_f32s(0.0));
            sums[n][q] = s.select_f32s(counts, sums[n][q], s.splat_f32s(MASKED));
        }
    }
    sums
}

/// Each lane's weighted sum of dimensions `p..p + N` of the values.
#[inline(always)]
fn weighted<S: Simd, const Q: usize, const N: usize>(
    s: S,
    weights: &[[S::f32s; Q]],
    values: &[[S::f32s; Q]],
    groups: &[[Group; Q]],
    p: usize,
) -> [[S::f32s; Q]; N] {
    let mut sums = [[s.splat_f32s(0.0); Q]; N];
    for (weights, groups) in weights.iter().zip(groups) {
        for q in 0..Q {
            if let Some(lines) = values[groups[q].line + p..].first_chunk::<N>() {
                for n in 0..N {
                    sums[n][q] = mul_add(s, weights[q], lines[n][groups[q].column % Q], sums[n][q]);
                }
            }
        }
    }
    sums
}

/// Dimensions `p..` of the rows of `sums`, a row for each lane.
#[inline(always)]
fn store<V: bytemuck::Pod, const Q: usize>(dimensions: &[[V; Q]], sums: &mut [f32], d: usize, p: usize) {
    for (n, dimension) in dimensions.iter().enumerate() {
        let lanes = dimension.iter().flat_map(|vector| bytemuck::cast_slice::<V, f32>(std::slice::from_ref(vector)));
        for (row, lane) in sums.chunks_exact_mut(d).zip(lanes) {
            row[p + n] = *lane;
        }
    }
}
