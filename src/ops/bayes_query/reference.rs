//! `bayes_query` in f64.

use drdiff_reference::solver;

use super::{ABSORB, STEP, Z};
use crate::op::{ReferenceData, ReferenceIo};

pub(super) fn run(io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    vec![ReferenceData::F64(query(io.f64(Z), io.f64(ABSORB), io.f64(STEP)))]
}

/// The query of the state `z` at a step.
pub(crate) fn query(z: &[f64], absorb: &[f64], step: &[f64]) -> Vec<f64> {
    // The scale itself is an input: alpha / sigma^2 in f32 differs from that of the rounded alpha and sigma.
    let (alpha, scale) = (step[1], step[3]);
    let sigma = (alpha / scale).sqrt();
    match alpha > 0.0 && scale > 0.0 {
        true => solver::bayes_query(z, absorb, alpha, sigma),
        false => vec![0.0; z.len()],
    }
}
