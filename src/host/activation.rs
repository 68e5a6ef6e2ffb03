//! Activation functions in f32.

use super::simd::{Simd, exp, mul_add};

/// `x sigmoid(x)`; 0 below -88.
#[inline(always)]
pub(crate) fn silu<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    s.div_f32s(x, s.add_f32s(s.splat_f32s(1.0), exp(s, s.neg_f32s(x))))
}

/// GELU, tanh form.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    // (1 + tanh u) / 2 is the logistic function of 2 u, which keeps its digits where tanh nears -1.
    let cubic = s.splat_f32s(-2.0 * GELU * 0.044_715);
    let inner = mul_add(s, s.mul_f32s(x, x), cubic, s.splat_f32s(-2.0 * GELU));
    s.div_f32s(x, s.add_f32s(s.splat_f32s(1.0), exp(s, s.mul_f32s(x, inner))))
}

/// The square root of 2 / pi.
const GELU: f32 = 0.797_884_6;
