//! Rotary positions.

use crate::{row, row_mut};

/// Cosine and sine of the rotary angles (Su et al. 2021): text position `p` turns pair `j` by
/// `p base^(-2j / rotary_dim)`.
///
/// Gives `[anchors + positions, rotary_dim / 2, 2]`, cosine first. The rows of the anchors are all zero, which makes
/// [`rope`] zero those dims: an anchor has a place in the text but no index.
pub fn rope_table(anchors: usize, positions: usize, rotary_dim: usize, base: f64) -> Vec<f64> {
    assert!(rotary_dim.is_multiple_of(2), "rope_table: rotary_dim is odd");
    let mut table = vec![0.0; anchors * rotary_dim];
    for p in 0..positions {
        for j in 0..rotary_dim / 2 {
            let angle = p as f64 * base.powf(-2.0 * j as f64 / rotary_dim as f64);
            table.extend([angle.cos(), angle.sin()]);
        }
    }
    table
}

/// What [`rope`] works on.
#[derive(Clone, Copy, Debug)]
pub struct RopeDims {
    /// Sequences, B.
    pub batch: usize,
    /// Rows of one sequence, R.
    pub rows: usize,
    /// Heads, H.
    pub heads: usize,
    /// Width of a head, Dh.
    pub head_dim: usize,
    /// How many dims at the start of a head are rotated; even, at most `head_dim`.
    pub rotary_dim: usize,
}

/// Rotary position embedding on neighbouring pairs: dims `(2j, 2j + 1)` of every head, `(a, b)`, become
/// `(a cos - b sin, a sin + b cos)`; dims from `rotary_dim` on are copied.
///
/// `x` `[B, R, H, Dh]`; `table` `[R, rotary_dim / 2, 2]` of (cos, sin), shared by the sequences and the heads; a row
/// of zeros sets the rotated dims to zero. Gives `[B, R, H, Dh]`.
pub fn rope(x: &[f64], table: &[f64], dims: &RopeDims) -> Vec<f64> {
    let RopeDims { batch, rows, heads, head_dim, rotary_dim } = *dims;
    assert_eq!(x.len(), batch * rows * heads * head_dim, "rope: x is not [B, R, H, Dh]");
    assert!(rotary_dim.is_multiple_of(2) && rotary_dim <= head_dim, "rope: rotary_dim is odd or over Dh");
    assert_eq!(table.len(), rows * rotary_dim, "rope: table is not [R, rotary_dim / 2, 2]");
    let mut out = x.to_vec();
    for b in 0..batch {
        for r in 0..rows {
            let angles = row(table, r, rotary_dim);
            for h in 0..heads {
                let head = row_mut(&mut out, (b * rows + r) * heads + h, head_dim);
                for j in 0..rotary_dim / 2 {
                    let (cos, sin) = (angles[2 * j], angles[2 * j + 1]);
                    let (first, second) = (head[2 * j], head[2 * j + 1]);
                    head[2 * j] = first * cos - second * sin;
                    head[2 * j + 1] = first * sin + second * cos;
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dot;
    use crate::testing::{assert_close, values};

    #[test]
    fn rope_rotates_pairs_and_zeroes_anchors() {
        let dims = RopeDims { batch: 2, rows: 3, heads: 2, head_dim: 5, rotary_dim: 4 };
        let table = rope_table(1, 2, 4, 100.0);
        let turn = [1_f64.cos(), 1_f64.sin(), 0.1_f64.cos(), 0.1_f64.sin()];
        assert_close(&table, &[&[0.0; 4][..], &[1.0, 0.0, 1.0, 0.0], &turn].concat(), 1e-15);
        let x = values(0, 2 * 3 * 2 * 5);
        let out = rope(&x, &table, &dims);
        for i in 0..12 {
            let (x, out) = (row(&x, i, 5), row(&out, i, 5));
            assert_eq!(x[4], out[4]);
            match i / 2 % 3 {
                0 => assert_eq!(out[..4], [0.0; 4]),
                1 => assert_eq!(out, x),
                _ => {
                    assert_close(&[dot(out, out)], &[dot(x, x)], 1e-13);
                    assert_close(&out[..1], &[x[0] * 1_f64.cos() - x[1] * 1_f64.sin()], 1e-15);
                    assert_close(&out[3..4], &[x[2] * 0.1_f64.sin() + x[3] * 0.1_f64.cos()], 1e-15);
                }
            }
        }
    }

    #[test]
    fn rope_depends_on_distance_only() {
        let dims = RopeDims { batch: 1, rows: 9, heads: 1, head_dim: 6, rotary_dim: 6 };
        let table = rope_table(0, 9, 6, 10000.0);
        let q = rope(&values(0, 6).repeat(9), &table, &dims);
        let k = rope(&values(1, 6).repeat(9), &table, &dims);
        let near = dot(row(&q, 1, 6), row(&k, 4, 6));
        assert_close(&[near], &[dot(row(&q, 5, 6), row(&k, 8, 6))], 1e-13);
    }
}
