//! `embedding` in f64.

use drdiff_reference::nn;

use super::{D, IDS, TABLE, V};
use crate::op::{ReferenceData, ReferenceIo, Shapes};

pub(super) fn run(shapes: &Shapes, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let (vocab, dim) = (shapes.size(V), shapes.size(D));
    let row = |&id: &u32| match (id as usize) < vocab {
        true => nn::embedding(io.f64(TABLE), &[id], dim),
        false => vec![0.0; dim],
    };
    vec![ReferenceData::F64(io.u32(IDS).iter().flat_map(row).collect())]
}
