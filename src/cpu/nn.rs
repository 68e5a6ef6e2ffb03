//! Layers on the CPU.

use rayon::prelude::*;

use crate::ops::Activation;

/// `y = residual + gate * activation(y + bias)` over rows of `n`.
pub(crate) fn epilogue(
    y: &mut [f32],
    n: usize,
    activation: Activation,
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    gate: Option<&[f32]>,
) {
    if n == 0 {
        return;
    }
    y.par_chunks_mut(n).enumerate().for_each(|(row, y)| {
        for (column, value) in y.iter_mut().enumerate() {
            let mut v = *value + bias.map_or(0.0, |bias| bias[column]);
            v = activate(activation, v);
            v *= gate.map_or(1.0, |gate| gate[column]);
            *value = v + residual.map_or(0.0, |residual| residual[row * n + column]);
        }
    });
}

pub(crate) fn activate(activation: Activation, x: f32) -> f32 {
    match activation {
        Activation::None => x,
        Activation::Silu => silu(x),
        Activation::Gelu => {
            // (1 + tanh u) / 2 is the logistic function of 2 u, which keeps its digits where tanh nears -1.
            let u = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            x / (1.0 + (-2.0 * u).exp())
        }
    }
}

pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}
