//! `vocab_expectation` in f64.

use drdiff_reference::nn;
use drdiff_reference::vocab::{Dims, vocab_expectation};

use super::{ABSORB, D, DE, EMBED, H, MODULATION, SKIP, STEP, UNEMBED, V, VocabExpectation};
use crate::op::{ReferenceData, ReferenceIo, Shapes};
use crate::ops::bayes_query;

pub(super) fn run(op: &VocabExpectation, shapes: &Shapes, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let dims = Dims { rows: shapes.rows(), dim: shapes.size(D), vocab: shapes.size(V), embed_dim: shapes.size(DE) };
    let normed = io.get(MODULATION).map(|modulation| {
        let [shift, scale] = [op.shift_offset, op.scale_offset].map(|offset| &modulation[offset..][..dims.dim]);
        nn::rms_norm_modulated(io.f64(H), shift, scale, f64::from(op.eps), dims.rows, dims.dim)
    });
    let query = io.get(ABSORB).map(|absorb| bayes_query::reference::query(io.f64(SKIP), absorb, io.f64(STEP)));
    let h = normed.as_deref().unwrap_or(io.f64(H));
    let skip = query.as_deref().or(io.get(SKIP));
    let result = vocab_expectation(h, io.f64(UNEMBED), io.f64(EMBED), skip, &dims);
    vec![
        ReferenceData::F64(result.x0),
        ReferenceData::F64(result.lse),
        ReferenceData::F64(result.entropy),
        ReferenceData::U32(result.token),
    ]
}
