//! `rope` in f64.

use drdiff_reference::nn::{self, RopeDims};

use super::{D, R, Rope, TABLE, X};
use crate::op::{ReferenceData, ReferenceIo, Shapes};

pub(super) fn run(op: &Rope, shapes: &Shapes, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let dims = RopeDims {
        batch: shapes.rows(),
        rows: shapes.size(R),
        heads: op.heads,
        head_dim: shapes.size(D) / op.heads,
        rotary_dim: op.rotary_dim,
    };
    vec![ReferenceData::F64(nn::rope(io.f64(X), io.f64(TABLE), &dims))]
}
