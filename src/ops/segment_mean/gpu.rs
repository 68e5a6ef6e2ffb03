//! The kernel of `segment_mean`.

use super::{A, B, DE, LENGTHS, MEAN, R, X0};
use crate::Result;
use crate::gpu::{Kernel, shaders};
use crate::op::{Choice, Grid, Shapes};

crate::params! {
    struct Params {
        batch: u32,
        rows: u32,
        anchors: u32,
        dim: u32,
    }
}

/// One workgroup per segment and 16 dimensions.
const SEGMENT_MEAN: Kernel = Kernel::core(shaders::SOLVER_SEGMENT_MEAN, Params::FIELDS, &[false, false, true]);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[SEGMENT_MEAN]];

pub(super) fn choices(shapes: &Shapes) -> Result<Vec<Choice>> {
    shapes.index32("x0", shapes.input(X0).len())?;
    let [batch, rows, anchors, dim] = [B, R, A, DE].map(|dim| shapes.size(dim));
    let params = Params { batch: batch as u32, rows: rows as u32, anchors: anchors as u32, dim: dim as u32 };
    let groups = batch * anchors * dim.div_ceil(shaders::solver_segment_mean::DIMS as usize);
    let buffers = [X0.into(), LENGTHS.into(), MEAN.into()];
    Ok(vec![Choice::of(&SEGMENT_MEAN, &params, &buffers, Grid::flat(groups))])
}
