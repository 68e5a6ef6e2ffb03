//! `attention` in f64.

use drdiff_reference::attention::{self, Dims, Mask};

use super::{Attention, GLOBALS, K, LENGTHS, Pattern, Q, Sizes, V};
use crate::op::{ReferenceData, ReferenceIo, Shapes};

pub(super) fn run(op: &Attention, shapes: &Shapes, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let Sizes { batch, rows, heads, key_heads, head_dim } = Sizes::of(shapes);
    let mut pattern = attention::Pattern { causal: op.causal, ..Default::default() };
    match &op.pattern {
        Pattern::Dense => pattern.dense = true,
        Pattern::Hsa { window, dilations } => (pattern.window, pattern.dilations) = (*window, dilations.clone()),
    }
    let lengths = match shapes.has(LENGTHS) {
        true => io.u32(LENGTHS).iter().map(|&length| (length as usize).min(rows)).collect(),
        false => vec![rows; batch],
    };
    let attended = attention::attention(
        io.f64(Q),
        io.f64(K),
        io.f64(V),
        &Dims { batch, rows, heads, key_heads, head_dim },
        &Mask { lengths: &lengths, globals: io.u32(GLOBALS), pattern: &pattern },
        op.scale.map_or_else(|| 1.0 / (head_dim as f64).sqrt(), f64::from),
    );
    vec![ReferenceData::F64(attended.out), ReferenceData::F64(attended.lse)]
}
