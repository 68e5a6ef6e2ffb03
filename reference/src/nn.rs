//! Layers that are not specific to this model: linear maps, activations, modulated norms, time features, rotary
//! positions, embedding and rounding.

mod rope;

pub use rope::{RopeDims, rope, rope_table};

use crate::{add_scaled, arg_max, dot, row, row_mut};

/// `y[m, n] = sum_k x[m, k] weight[n, k] + bias[n]`.
///
/// `x` `[m, k]`, `weight` `[n, k]` (out x in), `bias` `[n]`; gives `[m, n]`.
pub fn linear(x: &[f64], weight: &[f64], bias: Option<&[f64]>, m: usize, k: usize, n: usize) -> Vec<f64> {
    assert_eq!(x.len(), m * k, "linear: x is not [m, k]");
    assert_eq!(weight.len(), n * k, "linear: weight is not [n, k]");
    assert!(bias.is_none_or(|bias| bias.len() == n), "linear: bias is not [n]");
    let mut y = Vec::with_capacity(m * n);
    for i in 0..m {
        for o in 0..n {
            let offset = bias.map_or(0.0, |bias| bias[o]);
            y.push(dot(row(x, i, k), row(weight, o, k)) + offset);
        }
    }
    y
}

/// SiLU (swish): `x sigmoid(x)`.
pub fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

/// GELU in its tanh form: `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))` (Hendrycks and Gimpel 2016), as
/// `x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3))`: 1 + tanh cancels below -5 and is 0 below -8, the sigmoid is not.
pub fn gelu(x: f64) -> f64 {
    let inner = 2.0 * std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044715 * x * x * x);
    x / (1.0 + (-inner).exp())
}

/// RMS norm without a learned weight, then the modulation of adaLN (Peebles and Xie 2023):
/// `x / sqrt(mean(x^2) + eps) * (1 + scale) + shift`.
///
/// `x` `[rows, dim]`; `shift` and `scale` `[dim]`, shared by all rows; gives `[rows, dim]`.
pub fn rms_norm_modulated(x: &[f64], shift: &[f64], scale: &[f64], eps: f64, rows: usize, dim: usize) -> Vec<f64> {
    assert_eq!(x.len(), rows * dim, "rms_norm_modulated: x is not [rows, dim]");
    let mut out = Vec::with_capacity(rows * dim);
    for i in 0..rows {
        let x = row(x, i, dim);
        let mean_square = dot(x, x) / dim as f64;
        let normed: Vec<f64> = x.iter().map(|x| x / (mean_square + eps).sqrt()).collect();
        out.extend(modulate(&normed, shift, scale));
    }
    out
}

/// Layer norm without learned weights (mean taken off, divided by the root of the population variance plus `eps`),
/// then the same modulation as [`rms_norm_modulated`]. The row is first shifted by its first value, so that neither a
/// large mean nor a constant row leaves rounding behind.
///
/// `x` `[rows, dim]`; `shift` and `scale` `[dim]`, shared by all rows; gives `[rows, dim]`.
pub fn layer_norm_modulated(x: &[f64], shift: &[f64], scale: &[f64], eps: f64, rows: usize, dim: usize) -> Vec<f64> {
    assert_eq!(x.len(), rows * dim, "layer_norm_modulated: x is not [rows, dim]");
    let mut out = Vec::with_capacity(rows * dim);
    for i in 0..rows {
        let x = row(x, i, dim);
        let mean = x.iter().map(|value| value - x[0]).sum::<f64>() / dim as f64;
        let centred: Vec<f64> = x.iter().map(|value| value - x[0] - mean).collect();
        let variance = dot(&centred, &centred) / dim as f64;
        let normed: Vec<f64> = centred.iter().map(|x| x / (variance + eps).sqrt()).collect();
        out.extend(modulate(&normed, shift, scale));
    }
    out
}

/// `x (1 + scale) + shift`, element by element.
fn modulate(x: &[f64], shift: &[f64], scale: &[f64]) -> Vec<f64> {
    assert_eq!(shift.len(), x.len(), "modulate: shift is not [dim]");
    assert_eq!(scale.len(), x.len(), "modulate: scale is not [dim]");
    (0..x.len()).map(|d| x[d] * (1.0 + scale[d]) + shift[d]).collect()
}

/// Time features of `gamma = ln(sigma^2 / alpha^2)`, the time that the network sees.
///
/// Each row is `[cos(gamma w_j)]` followed by `[sin(gamma w_j)]`. `gamma` `[B]`, frequencies `w` `[F]`; gives `[B, 2 F]`.
pub fn time_embedding(gamma: &[f64], frequencies: &[f64]) -> Vec<f64> {
    let mut out = Vec::with_capacity(gamma.len() * 2 * frequencies.len());
    for gamma in gamma {
        out.extend(frequencies.iter().map(|frequency| (gamma * frequency).cos()));
        out.extend(frequencies.iter().map(|frequency| (gamma * frequency).sin()));
    }
    out
}

/// The frequencies of our own model: `count` of them, falling geometrically from 4 to 1/16,
/// `w_j = 4 (1/64)^(j / (count - 1))`.
pub fn time_frequencies(count: usize) -> Vec<f64> {
    // One frequency alone is the first of the row.
    let place = |j: usize| if count > 1 { j as f64 / (count - 1) as f64 } else { 0.0 };
    (0..count).map(|j| 4.0 * (1.0_f64 / 64.0).powf(place(j))).collect()
}

/// The rows of `table` `[V, dim]` that `ids` name, in order: `[ids, dim]`.
pub fn embedding(table: &[f64], ids: &[u32], dim: usize) -> Vec<f64> {
    let mut out = vec![0.0; ids.len() * dim];
    for (i, &id) in ids.iter().enumerate() {
        add_scaled(row_mut(&mut out, i, dim), 1.0, row(table, id as usize, dim));
    }
    out
}

/// The id whose table row has the largest inner product with each row of `x`; the lower id where products tie. All
/// rows of the table have the same norm, so this is also the nearest row.
///
/// `x` `[n, d]`, `table` `[v, d]`; gives `[n]`.
pub fn rounding(x: &[f64], table: &[f64], n: usize, v: usize, d: usize) -> Vec<u32> {
    assert_eq!(x.len(), n * d, "rounding: x is not [n, d]");
    (0..n).map(|i| arg_max(&linear(row(x, i, d), table, None, 1, d, v)) as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, values};

    #[test]
    fn linear_by_hand() {
        let x = [1.0, 2.0, 3.0, 4.0];
        let weight = [1.0, 0.0, 0.0, 1.0, 1.0, -1.0];
        assert_eq!(linear(&x, &weight, None, 2, 2, 3), [1.0, 2.0, -1.0, 3.0, 4.0, -1.0]);
        let biased = linear(&x, &weight, Some(&[10.0, 20.0, 30.0]), 2, 2, 3);
        assert_eq!(biased, [11.0, 22.0, 29.0, 13.0, 24.0, 29.0]);
    }

    #[test]
    fn activations() {
        assert_close(&[silu(0.0), silu(1.0), silu(-1e4), silu(50.0)], &[0.0, 0.7310585786300049, 0.0, 50.0], 1e-12);
        assert_close(&[gelu(0.0), gelu(1.0), gelu(-1.0)], &[0.0, 0.8411919906082768, -0.1588080093917232], 1e-12);
        // From 50 digits: the tail keeps its digits.
        for (x, expected) in GELU_TAIL {
            let got = gelu(x);
            assert!((got / expected - 1.0).abs() < 1e-13, "gelu({x}) = {got:e}, expected {expected:e}");
        }
        assert_eq!(gelu(-1e4), 0.0);
    }

    /// x and gelu(x) from its definition in 60 digits.
    const GELU_TAIL: [(f64, f64); 5] = [
        (-3.0, -0.003_637_392_081_773_018_8),
        (-5.0, -2.291_796_196_629_504_6e-7),
        (-7.0, -2.315_442_262_072_549e-15),
        (-8.0, -3.107_782_937_501_111_2e-21),
        (-9.5, -6.678_928_766_783_882e-33),
    ];

    #[test]
    fn norms() {
        let (shift, scale) = ([0.5, 0.0], [0.0, 1.0]);
        // Mean square 12.5 - 0.5 + eps 0.5 = 12.5 for (3, sqrt 15).
        let x = [3.0, 15_f64.sqrt()];
        let root = 12.5_f64.sqrt();
        let rms = rms_norm_modulated(&x, &shift, &scale, 0.5, 1, 2);
        assert_close(&rms, &[3.0 / root + 0.5, 2.0 * 15_f64.sqrt() / root], 1e-15);
        let layer = layer_norm_modulated(&[1.0, 5.0], &shift, &scale, 0.0, 1, 2);
        assert_close(&layer, &[-0.5, 2.0], 1e-15);
        let constant = layer_norm_modulated(&[0.1; 7], &[0.0; 7], &[0.0; 7], 1e-6, 1, 7);
        assert_eq!(constant, [0.0; 7]);
        let far = layer_norm_modulated(&[1e15 + 1.0, 1e15 + 5.0], &shift, &scale, 0.0, 1, 2);
        assert_close(&far, &[-0.5, 2.0], 1e-15);

        let (x, zero) = (values(0, 3 * 16), [0.0; 16]);
        let rms = rms_norm_modulated(&x, &zero, &zero, 0.0, 3, 16);
        let layer = layer_norm_modulated(&x, &zero, &zero, 0.0, 3, 16);
        for i in 0..3 {
            let (rms, layer) = (row(&rms, i, 16), row(&layer, i, 16));
            assert_close(&[dot(rms, rms), dot(layer, layer), layer.iter().sum()], &[16.0, 16.0, 0.0], 1e-12);
        }
    }

    #[test]
    fn time_features() {
        let out = time_embedding(&[0.0, 2.0], &time_frequencies(2));
        let expected = [1.0, 1.0, 0.0, 0.0, 8_f64.cos(), 0.125_f64.cos(), 8_f64.sin(), 0.125_f64.sin()];
        assert_close(&out, &expected, 1e-15);
        assert_close(&time_embedding(&[1.0], &time_frequencies(1)), &[4_f64.cos(), 4_f64.sin()], 0.0);
        assert_eq!(time_frequencies(3), [4.0, 0.5, 0.0625]);
    }

    #[test]
    fn embedding_and_rounding_are_inverse() {
        let table = [1.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 1.0];
        let x = embedding(&table, &[2, 0, 3], 2);
        assert_eq!(x, [-1.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
        // Rows 1 and 3 are the same: the tie goes to 1.
        assert_eq!(rounding(&x, &table, 3, 4, 2), [2, 0, 1]);
    }
}
