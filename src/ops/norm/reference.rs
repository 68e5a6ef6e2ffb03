//! `norm` in f64.

use drdiff_reference::nn;

use super::{D, MODULATION, Norm, NormKind, X};
use crate::op::{ReferenceData, ReferenceIo, Shapes};

pub(super) fn run(op: &Norm, shapes: &Shapes, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let (rows, dim) = (shapes.rows(), shapes.size(D));
    let nothing = vec![0.0; dim];
    let part = |offset: usize| io.get(MODULATION).map_or(nothing.as_slice(), |m| &m[offset..][..dim]);
    let (shift, scale) = (part(op.shift_offset), part(op.scale_offset));
    let (x, eps) = (io.f64(X), f64::from(op.eps));
    vec![ReferenceData::F64(match op.kind {
        NormKind::Rms => nn::rms_norm_modulated(x, shift, scale, eps, rows, dim),
        NormKind::Layer => nn::layer_norm_modulated(x, shift, scale, eps, rows, dim),
    })]
}
