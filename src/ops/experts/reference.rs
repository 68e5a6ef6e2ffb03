//! `experts` in f64.

use drdiff_reference::experts::{ExpertWeights, experts};

use super::{COST_BIAS, D, DOWN, Experts, GATE, RESIDUAL, ROUTER_LOGITS, SCALE, UP, X};
use crate::op::{ReferenceData, ReferenceIo, Shapes};

pub(super) fn run(op: &Experts, shapes: &Shapes, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let (tokens, dim) = (shapes.rows(), shapes.size(D));
    let weights = ExpertWeights { gate: io.f64(GATE), up: io.f64(UP), down: io.f64(DOWN), widths: &op.widths };
    let (x, logits) = (io.f64(X), io.f64(ROUTER_LOGITS));
    let mut routed = experts(x, logits, &weights, io.get(COST_BIAS), tokens, dim, op.top_k);
    for (index, value) in routed.out.iter_mut().enumerate() {
        if let Some(scale) = io.get(SCALE) {
            *value *= scale[op.gate_offset + index % dim];
        }
        if let Some(residual) = io.get(RESIDUAL) {
            *value += residual[index];
        }
    }
    vec![ReferenceData::F64(routed.out), ReferenceData::U32(routed.indices), ReferenceData::U32(routed.counts)]
}
