//! The kernel of `bayes_query`.

use super::{ABSORB, DE, QUERY, STEP, Z};
use crate::Result;
use crate::gpu::{Kernel, shaders};
use crate::op::{Choice, Grid, Shapes};

crate::params! {
    struct Params {
        size: u32,
        dim: u32,
    }
}

/// One thread per element.
const BAYES_QUERY: Kernel = Kernel::core(shaders::SOLVER_BAYES_QUERY, Params::FIELDS, &[false, false, false, true]);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[BAYES_QUERY]];

pub(super) fn choices(shapes: &Shapes) -> Result<Vec<Choice>> {
    let size = shapes.input(Z).len();
    let params = Params { size: shapes.index32("z", size)?, dim: shapes.size(DE) as u32 };
    let buffers = [STEP.into(), Z.into(), ABSORB.into(), QUERY.into()];
    Ok(vec![Choice::of(&BAYES_QUERY, &params, &buffers, Grid::elements(size, shaders::solver_bayes_query::WORKGROUP))])
}
