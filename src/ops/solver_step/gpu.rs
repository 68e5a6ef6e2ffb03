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
        anchor_rows: u32,
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

/// The rows of the text, then those of the anchors, which the text's guidance reads.
pub(super) fn choices(op: &SolverStep, shapes: &Shapes) -> Result<Vec<Choice>> {
    shapes.index32("z", shapes.input(Z).len())?;
    let [batch, rows, dim] = [B, R, DE].map(|dim| shapes.size(dim));
    let params = Params {
        batch: batch as u32,
        rows: rows as u32,
        anchors: op.anchors as u32,
        dim: dim as u32,
        anchor_rows: 0,
        guided: op.guided(shapes).into(),
        noisy: shapes.has(SEEDS).into(),
    };
    let buffers = [STEP, Z, X0, HISTORY, INFO, ABSORB, PREDICTION, MEAN, SEEDS].map(Into::into);
    let mut choice = Choice::new();
    for (anchor_rows, count) in [(0, rows - op.anchors), (1, op.anchors)] {
        let grid = Grid::elements(batch * count * dim, shaders::solver_solver_step::WORKGROUP);
        choice.dispatch(&SOLVER_STEP, &Params { anchor_rows, ..params }, &buffers, grid);
    }
    Ok(vec![choice])
}
