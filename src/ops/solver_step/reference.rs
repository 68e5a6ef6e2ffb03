//! `solver_step` in f64.

use drdiff_reference::noise;
use drdiff_reference::solver::{Coefficients, StepDims, StepInputs, StepSettings, solver_step};

use super::{ABSORB, B, DE, HISTORY, INFO, MEAN, PREDICTION, R, SEEDS, STEP, SolverStep, X0, Z};
use crate::op::{ReferenceData, ReferenceIo, Shapes};
use crate::ops::StepRow;
use crate::ops::noise::seeds;

pub(super) fn run(op: &SolverStep, shapes: &Shapes, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let dims = StepDims { batch: shapes.size(B), anchors: op.anchors, rows: shapes.size(R), dim: shapes.size(DE) };
    let row = op.row(shapes, StepRow::from_f64(io.f64(STEP)));
    let info = io.u32(INFO);
    let flag: Vec<_> = info.iter().map(|info| info & 3).collect();
    let last = op.anchors.saturating_sub(1) as u32;
    let segment: Vec<_> = info.iter().map(|info| (info >> 2).min(last)).collect();
    let anchors = op.anchors * dims.dim;
    // Only a refresh reads it, and it may not be there yet before one.
    let prediction: Vec<_> = match row.refresh == 0.0 {
        true => vec![0.0; dims.batch * anchors],
        false => {
            let of = |b: usize| &io.f64(PREDICTION)[b * dims.rows * dims.dim..][..anchors];
            (0..dims.batch).flat_map(of).copied().collect()
        }
    };
    let noise = (row.c_noise != 0.0).then(|| {
        let count = dims.rows * dims.dim;
        seeds(io.u32(SEEDS)).flat_map(|seed| noise::normal(seed, row.stream as u32, count)).collect::<Vec<_>>()
    });
    let inputs = StepInputs {
        z: io.f64(Z),
        x0: io.f64(X0),
        x0_prev: io.f64(HISTORY),
        clean: io.f64(Z),
        flag: &flag,
        segment: &segment,
        anchor_prediction: &prediction,
        segment_mean: io.f64(MEAN),
        absorb: io.f64(ABSORB),
        noise: noise.as_deref(),
    };
    let [x, x0, x0_prev, noise] = [row.c_x, row.c_x0, row.c_prev, row.c_noise].map(f64::from);
    let settings = StepSettings {
        coefficients: Coefficients { x, x0, x0_prev, noise },
        omega: f64::from(row.omega),
        refresh: row.refresh != 0.0,
    };
    let stepped = solver_step(&inputs, &settings, &dims);
    vec![ReferenceData::F64(stepped.z), ReferenceData::F64(stepped.history)]
}
