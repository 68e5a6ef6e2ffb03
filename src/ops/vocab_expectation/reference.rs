//! `vocab_expectation` in f64.

use drdiff_reference::vocab::{Dims, vocab_expectation};

use super::{D, DE, EMBED, H, SKIP, UNEMBED, V};
use crate::op::{ReferenceData, ReferenceIo, Shapes};

pub(super) fn run(shapes: &Shapes, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let dims = Dims { rows: shapes.rows(), dim: shapes.size(D), vocab: shapes.size(V), embed_dim: shapes.size(DE) };
    let result = vocab_expectation(io.f64(H), io.f64(UNEMBED), io.f64(EMBED), io.get(SKIP), &dims);
    vec![
        ReferenceData::F64(result.x0),
        ReferenceData::F64(result.lse),
        ReferenceData::F64(result.entropy),
        ReferenceData::U32(result.token),
    ]
}
