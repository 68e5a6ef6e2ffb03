//! The kernel of `noise`.

use super::{B, BITS, NORMAL, Noise, SEEDS};
use crate::Result;
use crate::gpu::{Kernel, shaders};
use crate::op::{Choice, Grid, Shapes};

crate::params! {
    struct Params {
        batch: u32,
        count: u32,
        stream: u32,
    }
}

/// One thread per block of 4.
const NOISE: Kernel = Kernel::core(shaders::SOLVER_NOISE, Params::FIELDS, &[false, true, true]);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[NOISE]];

pub(super) fn choices(op: &Noise, shapes: &Shapes) -> Result<Vec<Choice>> {
    let batch = shapes.size(B);
    shapes.index32("bits", batch * op.count)?;
    let params =
        Params { batch: shapes.index32("B", batch)?, count: shapes.index32("count", op.count)?, stream: op.stream };
    let blocks = batch * op.count.div_ceil(shaders::solver_noise::BLOCK as usize);
    let grid = Grid::elements(blocks, shaders::solver_noise::WORKGROUP);
    let buffers = [SEEDS.into(), BITS.into(), NORMAL.into()];
    Ok(vec![Choice::of(&NOISE, &params, &buffers, grid)])
}
