//! Activation functions in f32.

/// `x sigmoid(x)`.
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

/// GELU, tanh form.
pub(crate) fn gelu(x: f32) -> f32 {
    // (1 + tanh u) / 2 is the logistic function of 2 u, which keeps its digits where tanh nears -1.
    let u = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
    x / (1.0 + (-2.0 * u).exp())
}
