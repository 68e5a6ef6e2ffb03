//! The kernel of `time_embedding`.

use super::{FEATURES, FREQUENCIES, HALF, STEP};
use crate::Result;
use crate::gpu::{Kernel, shaders};
use crate::op::{Choice, Grid, Shapes};

crate::params! {
    struct Params {
        half: u32,
    }
}

/// One thread per frequency.
const TIME_EMBEDDING: Kernel = Kernel::core(shaders::NN_TIME_EMBEDDING, Params::FIELDS, &[false, false, true]);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[TIME_EMBEDDING]];

pub(super) fn choices(shapes: &Shapes) -> Result<Vec<Choice>> {
    let half = shapes.size(HALF);
    let params = Params { half: shapes.index32("dim", half)? };
    let buffers = [STEP.into(), FREQUENCIES.into(), FEATURES.into()];
    Ok(vec![Choice::of(
        &TIME_EMBEDDING,
        &params,
        &buffers,
        Grid::elements(half, shaders::nn_time_embedding::WORKGROUP),
    )])
}
