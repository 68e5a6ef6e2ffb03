//! The kernel of `solver_step`.

use super::{ABSORB, B, DE, HISTORY, INFO, MEAN, PREDICTION, R, SEEDS, STEP, SolverStep, X0, Z};
use crate::Result;
use crate::gpu::{Kernel, shaders};
use crate::op::{Choice, Grid, Shapes};

crate::params! {
    struct Params {
        batch: u32,
        rows: u32,
        anchors: u32,
        dim: u32,
        first: u32,
        count: u32,
        guided: u32,
        noisy: u32,
    }
}

/// One thread per element.
const SOLVER_STEP: Kernel = Kernel::core(
    shaders::SOLVER_SOLVER_STEP,
    Params::FIELDS,
    &[false, true, false, true, false, false, false, false, false],
);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[SOLVER_STEP]];

/// All rows; where the text's guidance reads the anchors' states, those are set by a dispatch behind.
pub(super) fn choices(op: &SolverStep, shapes: &Shapes) -> Result<Vec<Choice>> {
    shapes.index32("z", shapes.input(Z).len())?;
    let [batch, rows, dim] = [B, R, DE].map(|dim| shapes.size(dim));
    let (guided, anchors) = (op.guided(shapes), op.anchors);
    let params = Params {
        batch: batch as u32,
        rows: rows as u32,
        anchors: op.anchors as u32,
        dim: dim as u32,
        first: 0,
        count: 0,
        guided: guided.into(),
        noisy: shapes.has(SEEDS).into(),
    };
    let buffers = [STEP, Z, X0, HISTORY, INFO, ABSORB, PREDICTION, MEAN, SEEDS].map(Into::into);
    let mut choice = Choice::new();
    let parts: &[_] = if guided { &[(anchors, rows - anchors), (0, anchors)] } else { &[(0, rows)] };
    for &(first, count) in parts {
        let grid = Grid::elements(batch * count * dim, shaders::solver_solver_step::WORKGROUP);
        let params = Params { first: first as u32, count: count as u32, ..params };
        choice.dispatch(&SOLVER_STEP, &params, &buffers, grid);
    }
    Ok(vec![choice])
}
