//! `solver` in f64.

use drdiff_reference::solver;

use super::{Solver, X, X0};
use crate::op::{ReferenceData, ReferenceIo};

pub(super) fn run(op: &Solver, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let (x, x0) = (io.f64(X), io.f64(X0));
    let all = solver::solver(x, x0, &op.alpha, &op.sigma, op.order, op.lower_order_final);
    vec![ReferenceData::F64(all)]
}
