//! `segment_mean` in f64.

use drdiff_reference::solver::{StepDims, segment_mean};

use super::{A, B, DE, LENGTHS, R, X0};
use crate::op::{ReferenceData, ReferenceIo, Shapes};

pub(super) fn run(shapes: &Shapes, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let [batch, rows, anchors, dim] = [B, R, A, DE].map(|dim| shapes.size(dim));
    let text = |&n: &u32| (n as usize).clamp(anchors, rows) - anchors;
    let lengths: Vec<_> = io.u32(LENGTHS).iter().map(text).collect();
    vec![ReferenceData::F64(segment_mean(io.f64(X0), &lengths, &StepDims { batch, anchors, rows, dim }))]
}
