//! `router` in f64.

use drdiff_reference::experts::{RouterWeights, router};

use super::{BIAS, D, DIFFICULTY, DIFFICULTY_WEIGHT, WEIGHT, X};
use crate::op::{ReferenceData, ReferenceIo, Shapes};

pub(super) fn run(shapes: &Shapes, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let weights = RouterWeights { weight: io.f64(WEIGHT), bias: io.f64(BIAS), difficulty: io.f64(DIFFICULTY_WEIGHT) };
    vec![ReferenceData::F64(router(io.f64(X), io.f64(DIFFICULTY), &weights, shapes.rows(), shapes.size(D)))]
}
