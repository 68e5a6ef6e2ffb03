//! Hierarchical sparse attention (HSA): which positions see each other, and one softmax over those.

use crate::{add_scaled, dot, row, row_mut};

/// Who sees whom, apart from the global positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    /// Every position sees every position; the other fields and the globals then change nothing.
    pub dense: bool,
    /// Half-window w: position `i` sees `j` where `|i - j| <= w`.
    pub window: usize,
    /// Pairs `(r, k)`: position `i` sees `i + r m` and `i - r m` for `m` from 1 to `k`.
    pub dilations: Vec<(usize, usize)>,
    /// Of all that, nobody sees a position after its own; no global position does either.
    pub causal: bool,
}

/// Sizes of the queries, keys and values.
#[derive(Clone, Copy, Debug)]
pub struct Dims {
    /// Sequences, B.
    pub batch: usize,
    /// Padded rows of one sequence, R (anchors included).
    pub rows: usize,
    /// Heads of the queries, H.
    pub heads: usize,
    /// Heads of the keys and values, Hkv, of which H is a multiple: query head `h` reads key head `h / (H / Hkv)`.
    pub key_heads: usize,
    /// Width of a head, Dh.
    pub head_dim: usize,
}

/// Which keys exist and which a query sees.
#[derive(Clone, Copy, Debug)]
pub struct Mask<'a> {
    /// `[B]`: rows of each sequence that are in use, anchors included; the rest is padding, neither key nor query.
    pub lengths: &'a [usize],
    /// Global positions: seen by all and seeing all. One list for every sequence.
    pub globals: &'a [u32],
    /// The pattern of everything else.
    pub pattern: &'a Pattern,
}

/// What [`attention`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Attended {
    /// `[B, R, H, Dh]`: the weighted mean of the values; 0 in padding.
    pub out: Vec<f64>,
    /// `[B, R, H]`: natural log of the sum of exp of the scaled scores; minus infinity in padding.
    pub lse: Vec<f64>,
}

/// Whether query `i` sees key `j`: `j` is in the window, or at a dilated step from `i`, or either is global, or the
/// pattern is dense; and if the pattern is causal, `j` is not after `i`. The relation is symmetric unless it is causal.
pub fn sees(pattern: &Pattern, globals: &[u32], i: usize, j: usize) -> bool {
    let distance = i.abs_diff(j);
    let is_global = |position: usize| globals.iter().any(|&global| global as usize == position);
    // Distance 0 is a multiple too, but a position is always in its own window.
    let dilated = |&(r, k): &(usize, usize)| distance.is_multiple_of(r) && distance <= r.saturating_mul(k);
    let related = pattern.dense
        || distance <= pattern.window
        || pattern.dilations.iter().any(dilated)
        || is_global(i)
        || is_global(j);
    related && !(pattern.causal && j > i)
}

/// Scaled dot-product attention over the pattern: for each query and head, one softmax over the set of keys that
/// [`sees`] allows, each key once (Vaswani et al. 2017, with the union of a local window, dilated steps and global
/// positions as in Longformer and BigBird).
///
/// `q` `[B, R, H, Dh]`, `k` `v` `[B, R, Hkv, Dh]`; `scale` multiplies the scores, usually `1 / sqrt(Dh)`.
pub fn attention(q: &[f64], k: &[f64], v: &[f64], dims: &Dims, mask: &Mask<'_>, scale: f64) -> Attended {
    let Dims { batch, rows, heads, key_heads, head_dim } = *dims;
    assert!(heads.is_multiple_of(key_heads), "attention: H is not a multiple of Hkv");
    for (name, tensor, heads) in [("q", q, heads), ("k", k, key_heads), ("v", v, key_heads)] {
        assert_eq!(tensor.len(), batch * rows * heads * head_dim, "attention: {name} is not [B, R, heads, Dh]");
    }
    assert_eq!(mask.lengths.len(), batch, "attention: lengths is not [B]");
    assert!(mask.lengths.iter().all(|&length| length <= rows), "attention: a length is over R");

    let mut out = vec![0.0; batch * rows * heads * head_dim];
    let mut lse = vec![f64::NEG_INFINITY; batch * rows * heads];
    for (b, &length) in mask.lengths.iter().enumerate() {
        let at = |position: usize, head: usize| (b * rows + position) * heads + head;
        let key_at = |position: usize, head: usize| (b * rows + position) * key_heads + head / (heads / key_heads);
        for i in 0..length {
            let keys: Vec<usize> = (0..length).filter(|&j| sees(mask.pattern, mask.globals, i, j)).collect();
            for h in 0..heads {
                let query = row(q, at(i, h), head_dim);
                let scores: Vec<f64> =
                    keys.iter().map(|&j| scale * dot(query, row(k, key_at(j, h), head_dim))).collect();
                let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                // Divided by their sum: exp(score - lse) would be off by as much as the lse is rounded, which is all of
                // it once scores reach 1e16.
                let weights: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
                let total: f64 = weights.iter().sum();
                lse[at(i, h)] = top + total.ln();
                for (&j, weight) in keys.iter().zip(&weights) {
                    add_scaled(row_mut(&mut out, at(i, h), head_dim), weight / total, row(v, key_at(j, h), head_dim));
                }
            }
        }
    }
    Attended { out, lse }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, values};

    const DENSE: Pattern = Pattern { dense: true, window: 0, dilations: Vec::new(), causal: false };

    fn hsa(window: usize, dilations: &[(usize, usize)]) -> Pattern {
        Pattern { window, dilations: dilations.to_vec(), ..Default::default() }
    }

    #[test]
    fn sees_the_set_of_the_design() {
        let pattern = hsa(2, &[(3, 2), (5, 3)]);
        let seen: Vec<usize> = (0..40).filter(|&j| sees(&pattern, &[0, 33], 20, j)).collect();
        // Window 18..=22; 3: 17 23 14 26; 5: 15 25 10 30 5 35; globals 0 33.
        assert_eq!(seen, [0, 5, 10, 14, 15, 17, 18, 19, 20, 21, 22, 23, 25, 26, 30, 33, 35]);
        assert!((0..40).all(|j| sees(&pattern, &[0, 33], 33, j)));
    }

    #[test]
    fn sees_is_symmetric() {
        let pattern = hsa(1, &[(4, 2), (7, 1)]);
        for i in 0..30 {
            assert!(sees(&pattern, &[], i, i));
            for j in 0..30 {
                assert_eq!(sees(&pattern, &[2, 9], i, j), sees(&pattern, &[2, 9], j, i));
            }
        }
    }

    #[test]
    fn two_keys_by_hand() {
        let dims = Dims { batch: 1, rows: 2, heads: 1, key_heads: 1, head_dim: 1 };
        let mask = Mask { lengths: &[2], globals: &[], pattern: &DENSE };
        // Scores of query 0: 0 and ln 3, so weights 1/4 and 3/4; of query 1: 0 and 0.
        let got = attention(&[2.0, 0.0], &[0.0, 3_f64.ln()], &[8.0, 16.0], &dims, &mask, 0.5);
        assert_close(&got.out, &[14.0, 12.0], 1e-14);
        assert_close(&got.lse, &[4_f64.ln(), 2_f64.ln()], 1e-15);
    }

    #[test]
    fn weights_sum_to_one_and_large_scores_do_not_overflow() {
        let dims = Dims { batch: 1, rows: 12, heads: 2, key_heads: 2, head_dim: 4 };
        let (q, k) = (values(0, 96), values(1, 96));
        let pattern = hsa(1, &[(3, 2)]);
        let mask = Mask { lengths: &[12], globals: &[5], pattern: &pattern };
        let got = attention(&q, &k, &[1.0; 96], &dims, &mask, 1e4);
        assert_close(&got.out, &[1.0; 96], 1e-10);
        assert!(got.lse.iter().all(|lse| lse.is_finite()));
    }

    #[test]
    fn equal_keys_weigh_the_same_however_large_their_score() {
        let dims = Dims { batch: 1, rows: 4, heads: 1, key_heads: 1, head_dim: 1 };
        let mask = Mask { lengths: &[4], globals: &[], pattern: &DENSE };
        for score in [1.0, 4096.0, 1e6, 1e13, 1e15, 1e300] {
            let got = attention(&[1.0; 4], &[score; 4], &[1.0, 2.0, 3.0, 6.0], &dims, &mask, 1.0);
            assert_eq!(got.out, [3.0; 4], "{score}");
            assert_close(&got.lse, &[score + 4_f64.ln(); 4], score * 1e-15);
        }
    }

    #[test]
    fn a_wide_window_or_all_globals_equal_dense() {
        let dims = Dims { batch: 2, rows: 7, heads: 2, key_heads: 2, head_dim: 3 };
        let [q, k, v] = [0, 1, 2].map(|stream| values(stream, 2 * 7 * 2 * 3));
        let run = |globals: &[u32], pattern: &Pattern| {
            attention(&q, &k, &v, &dims, &Mask { lengths: &[7, 5], globals, pattern }, 0.6)
        };
        let dense = run(&[], &DENSE);
        assert_eq!(dense, run(&[], &hsa(7, &[])));
        assert_eq!(dense, run(&[], &hsa(0, &[(1, 7)])));
        assert_eq!(dense, run(&[0, 1, 2, 3, 4, 5, 6], &hsa(0, &[])));
        assert_ne!(dense, run(&[], &hsa(1, &[])));
    }

    #[test]
    fn padding_changes_nothing_and_stays_empty() {
        let [q, k, v] = [0, 1, 2].map(|stream| values(stream, 5 * 3));
        let mask = Mask { lengths: &[3], globals: &[4], pattern: &DENSE };
        let padded =
            attention(&q, &k, &v, &Dims { batch: 1, rows: 5, heads: 1, key_heads: 1, head_dim: 3 }, &mask, 1.0);
        let short = Dims { batch: 1, rows: 3, heads: 1, key_heads: 1, head_dim: 3 };
        let alone = attention(&q[..9], &k[..9], &v[..9], &short, &mask, 1.0);
        assert_eq!(padded.out[..9], alone.out);
        assert_eq!(padded.lse[..3], alone.lse);
        assert_eq!(padded.out[9..], [0.0; 6]);
        assert_eq!(padded.lse[3..], [f64::NEG_INFINITY; 2]);
    }

    #[test]
    fn a_causal_row_is_the_last_row_of_the_sequence_up_to_it() {
        let dims = Dims { batch: 1, rows: 9, heads: 2, key_heads: 2, head_dim: 3 };
        let [q, k, v] = [0, 1, 2].map(|stream| values(stream, 9 * 2 * 3));
        for pattern in [DENSE, hsa(1, &[(3, 2)])] {
            let causal = Pattern { causal: true, ..pattern.clone() };
            let got = attention(&q, &k, &v, &dims, &Mask { lengths: &[9], globals: &[2, 7], pattern: &causal }, 0.6);
            for rows in 1..=9 {
                let dims = Dims { rows, ..dims };
                let [q, k, v] = [&q, &k, &v].map(|x| &x[..rows * 6]);
                let mask = Mask { lengths: &[rows], globals: &[2, 7], pattern: &pattern };
                let prefix = attention(q, k, v, &dims, &mask, 0.6);
                assert_eq!(got.out[6 * rows - 6..6 * rows], prefix.out[6 * rows - 6..]);
                assert_eq!(got.lse[2 * rows - 2..2 * rows], prefix.lse[2 * rows - 2..]);
            }
            // The first row sees itself alone.
            assert_eq!(got.out[..6], v[..6]);
        }
        let seen =
            |i| (0..9).filter(|&j| sees(&Pattern { causal: true, ..hsa(1, &[(3, 2)]) }, &[2, 7], i, j)).collect();
        let [plain, global]: [Vec<usize>; 2] = [seen(6), seen(2)];
        assert_eq!((plain, global), (vec![0, 2, 3, 5, 6], vec![0, 1, 2]));
    }

    #[test]
    fn a_key_head_serves_the_query_heads_of_its_group() {
        let dims = Dims { batch: 2, rows: 5, heads: 6, key_heads: 2, head_dim: 3 };
        let q = values(0, 2 * 5 * 6 * 3);
        let [k, v] = [1, 2].map(|stream| values(stream, 2 * 5 * 2 * 3));
        let repeated = |x: &[f64]| x.chunks(3).flat_map(|head| [head, head, head].concat()).collect::<Vec<_>>();
        let pattern = hsa(1, &[(2, 1)]);
        let mask = Mask { lengths: &[5, 4], globals: &[3], pattern: &pattern };
        let full = attention(&q, &repeated(&k), &repeated(&v), &Dims { key_heads: 6, ..dims }, &mask, 0.6);
        assert_eq!(attention(&q, &k, &v, &dims, &mask, 0.6), full);
    }
}
