//! The kernel of `rope`.

use super::{D, R, Rope, TABLE, X, Y};
use crate::Result;
use crate::gpu::{Kernel, shaders};
use crate::op::{Choice, Grid, Shapes};

crate::params! {
    struct Params {
        count: u32,
        dim: u32,
        head_dim: u32,
        rotary_dim: u32,
        table_rows: u32,
    }
}

/// One thread per element.
const ROPE: Kernel = Kernel::core(shaders::NN_ROPE, Params::FIELDS, &[false, false, true]);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[ROPE]];

pub(super) fn choices(op: &Rope, shapes: &Shapes) -> Result<Vec<Choice>> {
    shapes.all_indexed()?;
    let (count, dim) = (shapes.input(X).len(), shapes.size(D));
    let params = Params {
        count: shapes.index32("x", count)?,
        dim: dim as u32,
        head_dim: (dim / op.heads) as u32,
        rotary_dim: op.rotary_dim as u32,
        table_rows: shapes.size(R) as u32,
    };
    let buffers = [X.into(), TABLE.into(), Y.into()];
    Ok(vec![Choice::of(&ROPE, &params, &buffers, Grid::elements(count, shaders::nn_rope::WORKGROUP))])
}
