//! `finite_check` in f64.

use drdiff_reference::solver;

use super::{LENGTHS, R, REPORT, STEP, WATCHED};
use crate::op::{ReferenceData, ReferenceIo, Shapes};
use crate::ops::StepRow;

pub(super) fn run(shapes: &Shapes, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let values = WATCHED.map(|input| io.f64(input));
    let rows = solver::rows_not_finite(&values, io.u32(LENGTHS), shapes.size(R));
    let evaluation = StepRow::from_f64(io.f64(STEP)).evaluation as u32;
    let mut report = io.u32(REPORT).to_vec();
    solver::report_not_finite(&mut report, evaluation, rows);
    vec![ReferenceData::U32(report)]
}
