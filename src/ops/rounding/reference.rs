//! `rounding` in f64.

use drdiff_reference::nn;

use super::{D, TABLE, V, X};
use crate::op::{ReferenceData, ReferenceIo, Shapes};

pub(super) fn run(shapes: &Shapes, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let (rows, dim, vocab) = (shapes.rows(), shapes.size(D), shapes.size(V));
    vec![ReferenceData::U32(nn::rounding(io.f64(X), io.f64(TABLE), rows, vocab, dim))]
}
