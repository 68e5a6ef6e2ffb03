//! The kernel of `finite_check`.

use super::{B, D, DE, ENTROPY, H, LENGTHS, LSE, R, REPORT, STEP, X0, Z};
use crate::Result;
use crate::gpu::{Kernel, shaders};
use crate::op::{Choice, Grid, Shapes};

crate::params! {
    struct Params {
        batch: u32,
        rows: u32,
        embed_dim: u32,
        dim: u32,
    }
}

/// One workgroup per row.
const FINITE_CHECK: Kernel = Kernel::core(
    shaders::SOLVER_FINITE_CHECK,
    Params::FIELDS,
    &[false, false, false, false, false, false, false, true],
);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[FINITE_CHECK]];

pub(super) fn choices(shapes: &Shapes) -> Result<Vec<Choice>> {
    shapes.all_indexed()?;
    let [batch, rows, embed_dim, dim] = [B, R, DE, D].map(|dim| shapes.size(dim));
    let params = Params { batch: batch as u32, rows: rows as u32, embed_dim: embed_dim as u32, dim: dim as u32 };
    let buffers = [STEP, X0, Z, LSE, ENTROPY, H, LENGTHS, REPORT].map(Into::into);
    Ok(vec![Choice::of(&FINITE_CHECK, &params, &buffers, Grid::flat(batch * rows))])
}
