//! The kernel of `time_embedding`.

use super::{FEATURES, FREQUENCIES, GAMMA, HALF, S};
use crate::Result;
use crate::gpu::{Kernel, shaders};
use crate::op::{Choice, Grid, Shapes};

crate::params! {
    struct Params {
        steps: u32,
        half: u32,
    }
}

/// One thread per angle.
const TIME_EMBEDDING: Kernel = Kernel::core(shaders::NN_TIME_EMBEDDING, Params::FIELDS, &[false, false, true]);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[TIME_EMBEDDING]];

pub(super) fn choices(shapes: &Shapes) -> Result<Vec<Choice>> {
    let (steps, half) = (shapes.size(S), shapes.size(HALF));
    shapes.index32("the features", 2 * steps * half)?;
    let params = Params { steps: shapes.index32("S", steps)?, half: shapes.index32("dim", half)? };
    let buffers = [GAMMA.into(), FREQUENCIES.into(), FEATURES.into()];
    Ok(vec![Choice::of(
        &TIME_EMBEDDING,
        &params,
        &buffers,
        Grid::elements(steps * half, shaders::nn_time_embedding::WORKGROUP),
    )])
}
