//! The kernel of `embedding`.

use super::{D, IDS, TABLE, V, Y};
use crate::Result;
use crate::gpu::{Kernel, shaders};
use crate::op::{Choice, Grid, Shapes};

crate::params! {
    struct Params {
        count: u32,
        dim: u32,
        vocab: u32,
    }
}

/// One thread per element.
const EMBEDDING: Kernel = Kernel::core(shaders::NN_EMBEDDING, Params::FIELDS, &[false, false, true]);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[EMBEDDING]];

pub(super) fn choices(shapes: &Shapes) -> Result<Vec<Choice>> {
    let (vocab, dim) = (shapes.size(V), shapes.size(D));
    shapes.index32("table", vocab * dim)?;
    let count = shapes.rows() * dim;
    let params = Params { count: shapes.index32("y", count)?, dim: dim as u32, vocab: vocab as u32 };
    let buffers = [TABLE.into(), IDS.into(), Y.into()];
    Ok(vec![Choice::of(&EMBEDDING, &params, &buffers, Grid::elements(count, shaders::nn_embedding::WORKGROUP))])
}
