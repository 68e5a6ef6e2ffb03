//! `finite_check` on the CPU.

use rayon::prelude::*;

use super::{B, LENGTHS, R, STEP, WATCHED};
use crate::op::{CpuIo, Shapes};
use crate::ops::StepRow;

pub(super) fn run(shapes: &Shapes, io: &mut CpuIo<'_>) {
    let (batch, rows) = (shapes.size(B), shapes.size(R));
    let lengths = io.inputs.u32(LENGTHS);
    let finite = |row: usize| {
        WATCHED.into_iter().all(|input| {
            let width = shapes.input(input).len() / (batch * rows);
            io.inputs.f32(input)[row * width..][..width].iter().all(|x| x.is_finite())
        })
    };
    let text = (0..batch * rows).into_par_iter().filter(|row| ((row % rows) as u32) < lengths[row / rows]);
    let count = text.filter(|&row| !finite(row)).count() as u32;
    let evaluation = StepRow::from_words(io.inputs.f32(STEP)).evaluation as u32;
    let [report] = io.updates.split();
    if count > 0 && report[0] >= evaluation {
        report[0] = evaluation;
        report[1] += count;
    }
}
