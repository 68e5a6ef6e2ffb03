//! `linear` in f64.

use drdiff_reference::nn;

use super::{Activation, BIAS, GATE, K, Linear, N, RESIDUAL, WEIGHT, X};
use crate::op::{ReferenceData, ReferenceIo, Shapes};

pub(super) fn run(op: &Linear, shapes: &Shapes, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let (m, k, n) = (shapes.rows(), shapes.size(K), shapes.size(N));
    let mut y = nn::linear(io.f64(X), io.f64(WEIGHT), io.get(BIAS), m, k, n);
    for (index, value) in y.iter_mut().enumerate() {
        *value = match op.activation {
            Activation::None => *value,
            Activation::Silu => nn::silu(*value),
            Activation::Gelu => nn::gelu(*value),
        };
        if let Some(gate) = io.get(GATE) {
            *value *= gate[op.gate_offset + index % n];
        }
        if let Some(residual) = io.get(RESIDUAL) {
            *value += residual[index];
        }
    }
    vec![ReferenceData::F64(y)]
}
