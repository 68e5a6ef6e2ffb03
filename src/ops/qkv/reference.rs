//! `qkv` in f64.

use drdiff_reference::nn::{self, RopeDims};

use super::{BIAS, D, MODULATION, Qkv, R, TABLE, W, WEIGHT, X};
use crate::op::{ReferenceData, ReferenceIo, Shapes};
use crate::ops::NormKind;

pub(super) fn run(op: &Qkv, shapes: &Shapes, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let (rows, dim, all) = (shapes.input(X).rows(), shapes.size(D), shapes.size(W));
    let nothing = vec![0.0; dim];
    let part = |offset: usize| io.get(MODULATION).map_or(nothing.as_slice(), |m| &m[offset..][..dim]);
    let (shift, scale) = (part(op.norm.shift_offset), part(op.norm.scale_offset));
    let (x, eps) = (io.f64(X), f64::from(op.norm.eps));
    let h = match op.norm.kind {
        NormKind::Rms => nn::rms_norm_modulated(x, shift, scale, eps, rows, dim),
        NormKind::Layer => nn::layer_norm_modulated(x, shift, scale, eps, rows, dim),
    };
    let projected = nn::linear(&h, io.f64(WEIGHT), io.get(BIAS), rows, dim, all);
    let head_dim = op.head_dim(all).unwrap_or(0);
    let slice = |first_head: usize, heads: usize| -> Vec<f64> {
        let row = |row: &[f64]| row[first_head * head_dim..][..heads * head_dim].to_vec();
        projected.chunks_exact(all).flat_map(row).collect()
    };
    let turned = |values: Vec<f64>, heads: usize| {
        let (batch, rotary_dim) = (rows / shapes.size(R), op.rotary_dim);
        nn::rope(&values, io.f64(TABLE), &RopeDims { batch, rows: shapes.size(R), heads, head_dim, rotary_dim })
    };
    let q = turned(slice(0, op.heads), op.heads);
    let k = turned(slice(op.heads, op.kv_heads), op.kv_heads);
    let v = slice(op.heads + op.kv_heads, op.kv_heads);
    [q, k, v].map(ReferenceData::F64).into()
}
