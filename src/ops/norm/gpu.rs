//! The kernels of `norm`.

use super::{D, MODULATION, Norm, X, Y};
use crate::Result;
use crate::gpu::{Capability, Kernel, Tier, shaders};
use crate::op::{Choice, Grid, Shapes};

crate::params! {
    struct Params {
        rows: u32,
        dim: u32,
        kind: u32,
        eps: f32,
        modulation: u32,
        shift_offset: u32,
        scale_offset: u32,
    }
}

/// One row per workgroup.
const NORM: Kernel = Kernel::core(shaders::NN_NORM, Params::FIELDS, &[false, false, true]);
/// The same, with sums over subgroups by their own operations.
const NORM_SUBGROUP: Kernel = NORM.of_tier(Tier::Subgroup, &[Capability::Subgroups]);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[NORM, NORM_SUBGROUP]];

pub(super) fn choices(op: &Norm, shapes: &Shapes) -> Result<Vec<Choice>> {
    let (rows, dim) = (shapes.rows(), shapes.size(D));
    shapes.index32("x", rows * dim)?;
    // Lanes count past the end by up to a workgroup.
    shapes.index32("D", dim + shaders::nn_norm::THREADS as usize)?;
    let params = Params {
        rows: rows as u32,
        dim: dim as u32,
        kind: op.kind as u32,
        eps: op.eps,
        modulation: shapes.has(MODULATION).into(),
        shift_offset: shapes.index32("shift_offset", op.shift_offset)?,
        scale_offset: shapes.index32("scale_offset", op.scale_offset)?,
    };
    let buffers = [X.into(), MODULATION.into(), Y.into()];
    let kernels = [NORM, NORM_SUBGROUP];
    Ok(kernels.iter().map(|kernel| Choice::of(kernel, &params, &buffers, Grid::flat(rows))).collect())
}
