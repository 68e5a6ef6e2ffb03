//! The kernel of `solver`.

use super::{Solver, TRAJECTORY, X, X0};
use crate::Result;
use crate::gpu::{Kernel, shaders};
use crate::op::{Choice, Grid, Shapes};

crate::params! {
    struct Params {
        size: u32,
        step: u32,
        start: u32,
        c_x: f32,
        c_x0: f32,
        c_prev: f32,
    }
}

/// One thread per element, one dispatch per step.
const STEP: Kernel = Kernel::core(shaders::SOLVER_TRAJECTORY, Params::FIELDS, &[false, false, true]);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[STEP]];

pub(super) fn choices(op: &Solver, shapes: &Shapes) -> Result<Vec<Choice>> {
    shapes.all_indexed()?;
    let size = shapes.input(X).len();
    let buffers = [X.into(), X0.into(), TRAJECTORY.into()];
    let start = Params { size: size as u32, step: 0, start: 1, c_x: 0.0, c_x0: 0.0, c_prev: 0.0 };
    let mut choice = Choice::of(&STEP, &start, &buffers, Grid::elements(size, shaders::solver_trajectory::WORKGROUP));
    for (step, c) in op.coefficients.iter().enumerate() {
        let [c_x, c_x0, c_prev] = [c.x, c.x0, c.x0_prev].map(|c| c as f32);
        let params = Params { step: step as u32, start: 0, c_x, c_x0, c_prev, ..start };
        choice.dispatch(&STEP, &params, &buffers, Grid::elements(size, shaders::solver_trajectory::WORKGROUP));
    }
    Ok(vec![choice])
}
