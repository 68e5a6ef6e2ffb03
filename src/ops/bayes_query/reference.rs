//! `bayes_query` in f64.

use drdiff_reference::solver;

use super::{ABSORB, STEP, Z};
use crate::op::{ReferenceData, ReferenceIo};

pub(super) fn run(io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let step = io.f64(STEP);
    // The scale itself is an input: alpha / sigma^2 in f32 differs from that of the rounded alpha and sigma.
    let (alpha, scale) = (step[1], step[3]);
    let sigma = (alpha / scale).sqrt();
    let query = match alpha > 0.0 && scale > 0.0 {
        true => solver::bayes_query(io.f64(Z), io.f64(ABSORB), alpha, sigma),
        false => vec![0.0; io.f64(Z).len()],
    };
    vec![ReferenceData::F64(query)]
}
