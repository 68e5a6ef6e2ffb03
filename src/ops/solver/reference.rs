//! `solver` in f64.

use drdiff_reference::solver;

use super::{Solver, X, X0};
use crate::op::{ReferenceData, ReferenceIo};

/// What [`Solver::new`] was given.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub alpha: Vec<f64>,
    pub sigma: Vec<f64>,
    pub order: usize,
    pub lower_order_final: bool,
}

pub(super) fn run(op: &Solver, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let (x, x0) = (io.f64(X), io.f64(X0));
    let Schedule { alpha, sigma, order, lower_order_final } = &op.schedule;
    let all = solver::solver(x, x0, alpha, sigma, *order, *lower_order_final);
    vec![ReferenceData::F64(all)]
}
