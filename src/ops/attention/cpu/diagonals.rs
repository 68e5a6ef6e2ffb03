//! Dilated keys at distances that are whole vectors: a vector holds as many consecutive queries, which see at each
//! distance as many consecutive keys. So every lane works on a pair that counts, on numbers that lie in a row.

use super::side::Side;
use super::softmax::{MASKED, Softmax, weight};
use crate::host::gemm::{Packed, vectors};
use crate::host::simd::{self, Simd, WithSimd, mul_add};
use crate::{Result, memory};

/// Distances that are multiples of this are multiples of every kind of vector.
pub(super) const ALIGNED: usize = 16;
/// Sums that are kept in registers at a time.
const SUMS: usize = 8;

/// Queries `first..` of a block over the keys at `distances`, multiples of [`ALIGNED`], before them and, where `after`,
/// behind them. `seen` is above 0 for the keys that count, with zeros behind them up to a multiple of [`ALIGNED`].
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
    let scores = memory::zeroed(what, most * ALIGNED)?;
    let query = memory::zeroed(what, softmax.head_dim * ALIGNED)?;
    let groups = memory::empty(what, most)?;
    simd::run(Fold { softmax, side, values, first, distances, after, seen, scores, query, groups });
    Ok(())
}

struct Fold<'a> {
    softmax: &'a mut Softmax,
    side: &'a Side,
    values: &'a Packed,
    first: usize,
    distances: &'a [usize],
    after: bool,
    seen: &'a [f32],
    scores: Vec<f32>,
    query: Vec<f32>,
    groups: Vec<Group>,
}

/// A vector of keys: which it is, where its first dimension lies among the packed vectors, and how far apart these are.
#[derive(Clone, Copy)]
struct Group {
    index: usize,
    at: usize,
    step: usize,
}

impl WithSimd for Fold<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { softmax, side, values, first, distances, after, seen, mut scores, mut query, mut groups } = self;
        let (lanes, d, rows) = (S::F32_LANES, softmax.head_dim, softmax.top.len());
        let (keys, values) = (S::as_simd_f32s(side.keys.words()).0, S::as_simd_f32s(values.words()).0);
        let seen = S::as_simd_f32s(seen).0;
        let all = side.keys.padded() / lanes;
        for from in (0..rows).step_by(lanes) {
            let count = lanes.min(rows - from);
            query.fill(0.0);
            for (lane, row) in softmax.queries[from * d..(from + count) * d].chunks_exact(d).enumerate() {
                for (query, x) in query.chunks_exact_mut(lanes).zip(row) {
                    query[lane] = *x;
                }
            }
            let own = (first + from) / lanes;
            groups.clear();
            for distance in distances.iter().map(|distance| distance / lanes) {
                let behind = if after { own.checked_add(distance) } else { None };
                for index in [own.checked_sub(distance), behind].into_iter().flatten().filter(|&index| index < all) {
                    let (panel, vector) = (index / vectors::<S>(), index % vectors::<S>());
                    let step = vectors::<S>().min(all - panel * vectors::<S>());
                    groups.push(Group { index, at: panel * vectors::<S>() * d + vector, step });
                }
            }
            let query = S::as_simd_f32s(&query).0;
            let scores = &mut S::as_mut_simd_f32s(&mut scores).0[..groups.len()];
            let (scores_8, scores_1) = scores.as_chunks_mut::<SUMS>();
            let (groups_8, groups_1) = groups.as_chunks::<SUMS>();
            for (scores, groups) in scores_8.iter_mut().zip(groups_8) {
                *scores = products(s, &query[..d], keys, groups, seen);
            }
            for (score, &group) in scores_1.iter_mut().zip(groups_1) {
                [*score] = products(s, &query[..d], keys, &[group], seen);
            }
            let mut top = s.splat_f32s(MASKED);
            for &score in scores.iter() {
                top = s.select_f32s(s.greater_than_f32s(score, top), score, top);
            }
            let mut total = s.splat_f32s(0.0);
            for score in scores.iter_mut() {
                *score = weight(s, *score, top);
                total = s.add_f32s(total, *score);
            }
            let (top, total) = (std::slice::from_ref(&top), std::slice::from_ref(&total));
            softmax.top[from..from + count].copy_from_slice(&bytemuck::cast_slice(top)[..count]);
            softmax.total[from..from + count].copy_from_slice(&bytemuck::cast_slice(total)[..count]);
            let sums = &mut softmax.sums[from * d..(from + count) * d];
            for p in (0..d / SUMS * SUMS).step_by(SUMS) {
                store(&weighted::<S, SUMS>(s, scores, values, &groups, p), sums, d, p);
            }
            for p in d / SUMS * SUMS..d {
                store(&weighted::<S, 1>(s, scores, values, &groups, p), sums, d, p);
            }
        }
    }
}

/// Each lane's product of query and key in each of the groups, [`MASKED`] where the key does not count.
#[inline(always)]
fn products<S: Simd, const N: usize>(
    s: S,
    query: &[S::f32s],
    keys: &[S::f32s],
    groups: &[Group; N],
    seen: &[S::f32s],
) -> [S::f32s; N] {
    let mut columns: [&[S::f32s]; N] = [&[]; N];
    let mut steps = [0; N];
    for n in 0..N {
        (columns[n], steps[n]) = (&keys[groups[n].at..], groups[n].step);
    }
    let mut sums = [s.splat_f32s(0.0); N];
    for (p, &query) in query.iter().enumerate() {
        for n in 0..N {
            sums[n] = mul_add(s, query, columns[n][p * steps[n]], sums[n]);
        }
    }
    for n in 0..N {
        let counts = s.greater_than_f32s(seen[groups[n].index], s.splat_f32s(0.0));
        sums[n] = s.select_f32s(counts, sums[n], s.splat_f32s(MASKED));
    }
    sums
}

/// Each lane's weighted sum of dimensions `p..p + N` of the values.
#[inline(always)]
fn weighted<S: Simd, const N: usize>(
    s: S,
    weights: &[S::f32s],
    values: &[S::f32s],
    groups: &[Group],
    p: usize,
) -> [S::f32s; N] {
    let mut sums = [s.splat_f32s(0.0); N];
    for (&weight, group) in weights.iter().zip(groups) {
        let column = &values[group.at + p * group.step..];
        for n in 0..N {
            sums[n] = mul_add(s, weight, column[n * group.step], sums[n]);
        }
    }
    sums
}

/// Dimensions `p..` of the rows of `sums`, a row for each lane.
#[inline(always)]
fn store<V: bytemuck::Pod>(vectors: &[V], sums: &mut [f32], d: usize, p: usize) {
    for (n, vector) in vectors.iter().enumerate() {
        let lanes = bytemuck::cast_slice::<V, f32>(std::slice::from_ref(vector));
        for (row, lane) in sums.chunks_exact_mut(d).zip(lanes) {
            row[p + n] = *lane;
        }
    }
}
