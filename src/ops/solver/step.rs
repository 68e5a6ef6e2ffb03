//! `solver_step`: the sampler's fused update.

use drdiff_reference as reference;
use reference::solver::{Coefficients, StepDims, StepInputs, StepSettings};

use super::StepRow;
use crate::check::{Arguments, Call, Case, Check, Entry, Gen, Output};
use crate::gpu::{Grid, Kernel, Recorder, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::ops::noise::seeds;
use crate::ops::{dims, expect, filled, index32, require};
use crate::{DType, Desc, Error, Result, Tensor, cpu};

/// Inputs: `z` `[B, R, De]` (updated), `x0` like it, `history` like it (updated), `info` u32 `[B, R]` = flag + 4 segment
/// (flag 0 noisy, 1 clean, 2 anchor), `absorb` `[De]`, `prediction` `[B, R, De]` (read on anchor rows at a refresh),
/// `mean` `[B, A, De]` (read where omega is not 0; without it there is no guidance), `seeds` u32 `[B, 2]` (read where the
/// noise coefficient is not 0; without them there is no noise), `step` `[16]`. No outputs but the updates.
///
/// Clean rows keep their z: they hold their embedding from the start, so the prompt is exact after every update.
///
/// NMSE is at most 1e-10 in f32 for values of any size from 1e-25 to 1e25 and an `absorb` up to 30 times as large as the
/// new state: beyond, the state loses the digits that cancel.
#[derive(Clone, Copy, Debug)]
pub struct SolverStep {
    /// Anchor rows ahead of the text, A.
    pub anchors: usize,
}

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

/// One thread an element.
pub const SOLVER_STEP: Kernel = Kernel::core(
    shaders::SOLVER_SOLVER_STEP,
    Params::FIELDS,
    &[false, true, false, true, false, false, false, false, false],
);

impl SolverStep {
    /// What a step asks for, without what there are no inputs for.
    fn row(&self, shapes: &Shapes, row: StepRow) -> StepRow {
        let omega = if shapes.inputs[6].is_some() && self.anchors > 0 { row.omega } else { 0.0 };
        let c_noise = if shapes.inputs[7].is_some() { row.c_noise } else { 0.0 };
        StepRow { omega, c_noise, ..row }
    }
}

impl Op for SolverStep {
    fn name(&self) -> &'static str {
        "solver_step"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["z", "x0", "history", "info", "absorb", "prediction", "mean", "seeds", "step"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        let op = "solver_step";
        let z = require(op, inputs, 0, "z", DType::F32)?;
        let [batch, rows, dim] = dims(op, "z", z)?;
        filled(op, "z", z)?;
        for (index, name) in [(1, "x0"), (2, "history"), (5, "prediction")] {
            require(op, inputs, index, name, DType::F32)?;
            expect(op, inputs, index, name, z)?;
        }
        require(op, inputs, 3, "info", DType::U32)?;
        expect(op, inputs, 3, "info", &Desc::u32([batch, rows]))?;
        require(op, inputs, 4, "absorb", DType::F32)?;
        expect(op, inputs, 4, "absorb", &Desc::f32([dim]))?;
        expect(op, inputs, 6, "mean", &Desc::f32([batch, self.anchors, dim]))?;
        expect(op, inputs, 7, "seeds", &Desc::u32([batch, 2]))?;
        StepRow::expect(op, inputs, 8)?;
        if self.anchors > rows {
            return Err(Error::shape(op, "anchors", self.anchors.to_string(), format!("at most {rows} rows")));
        }
        Ok(Vec::new())
    }

    fn updates(&self) -> &'static [usize] {
        &[0, 2]
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        let [batch, rows, dim] = dims("solver_step", "z", shapes.input(0))?;
        index32("solver_step", "z", shapes.input(0).len())?;
        let [b, r, a, d] = [batch, rows, self.anchors, dim].map(|n| n as u32);
        let order = [8, 0, 1, 2, 3, 4, 5, 6, 7];
        let buffers = order.map(|index| &io.inputs[index]);
        for (anchor_rows, count) in [(0, rows - self.anchors), (1, self.anchors)] {
            let guided = (shapes.inputs[6].is_some() && self.anchors > 0).into();
            let noisy = shapes.inputs[7].is_some().into();
            let params = Params { batch: b, rows: r, anchors: a, dim: d, anchor_rows, guided, noisy };
            recorder.dispatch(
                &SOLVER_STEP,
                &params,
                &buffers,
                Grid::elements(batch * count * dim, shaders::solver_solver_step::WORKGROUP),
            )?;
        }
        Ok(())
    }

    fn run(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let [z, history] = io.updates.split();
        let state = cpu::solver::State {
            z: bytemuck::cast_slice_mut(z),
            history: bytemuck::cast_slice_mut(history),
            rows: shapes.input(0).dim(1),
            anchors: self.anchors,
            dim: shapes.input(0).dim(2),
        };
        let row = self.row(shapes, StepRow::from_words(io.inputs.f32(8)));
        cpu::solver::step(state, &io.inputs, &row);
        Ok(())
    }

    fn evaluate(&self, shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let z = shapes.input(0);
        let dims = StepDims { batch: z.dim(0), anchors: self.anchors, rows: z.dim(1), dim: z.dim(2) };
        let row = self.row(shapes, StepRow::from_f64(io.inputs.f64(8)));
        let info = io.inputs.u32(3);
        let flag: Vec<_> = info.iter().map(|info| info & 3).collect();
        let last = self.anchors.saturating_sub(1) as u32;
        let segment: Vec<_> = info.iter().map(|info| (info >> 2).min(last)).collect();
        let prediction: Vec<_> = (0..dims.batch)
            .flat_map(|b| &io.inputs.f64(5)[b * dims.rows * dims.dim..][..self.anchors * dims.dim])
            .copied()
            .collect();
        let noise = (row.c_noise != 0.0).then(|| {
            let count = dims.rows * dims.dim;
            seeds(io.inputs.u32(7))
                .flat_map(|seed| reference::noise::normal(seed, row.stream as u32, count))
                .collect::<Vec<_>>()
        });
        let inputs = StepInputs {
            z: io.inputs.f64(0),
            x0: io.inputs.f64(1),
            x0_prev: io.inputs.f64(2),
            clean: io.inputs.f64(0),
            flag: &flag,
            segment: &segment,
            anchor_prediction: &prediction,
            segment_mean: io.inputs.f64(6),
            absorb: io.inputs.f64(4),
            noise: noise.as_deref(),
        };
        let [x, x0, x0_prev, noise] = [row.c_x, row.c_x0, row.c_prev, row.c_noise].map(f64::from);
        let settings = StepSettings {
            coefficients: Coefficients { x, x0, x0_prev, noise },
            omega: f64::from(row.omega),
            refresh: row.refresh != 0.0,
        };
        let stepped = reference::solver::solver_step(&inputs, &settings, &dims);
        vec![OracleData::F64(stepped.z), OracleData::F64(stepped.history)]
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        let z = shapes.input(0);
        Cost { flops: 10.0 * z.len() as f64, bytes: shapes.bytes() + 2.0 * z.bytes() as f64 }
    }
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: "solver_step",
    summary: "one update of z and history [B,R,De]: solver, prompt, SAS guidance, soft absorption, noise",
    kernels: &[SOLVER_STEP],
    build,
    cases,
    bench,
};

fn build(mut arguments: Arguments) -> Result<Call> {
    let op = SolverStep { anchors: arguments.required("anchors")? };
    let mut inputs = Vec::new();
    for name in ["z", "x0", "history", "info", "absorb", "prediction"] {
        inputs.push(Some(arguments.tensor(name)?));
    }
    inputs.push(arguments.optional("mean"));
    inputs.push(arguments.optional("seeds"));
    let step = arguments.tensor("step")?;
    let row = StepRow::from_words(step.as_f32().unwrap_or(&[]));
    if row.omega != 0.0 && (inputs[6].is_none() || op.anchors == 0) {
        return Err(Error::shape("solver_step", "mean", "missing", "a tensor, as omega is not 0"));
    }
    if row.c_noise != 0.0 && inputs[7].is_none() {
        return Err(Error::shape("solver_step", "seeds", "missing", "a tensor, as the noise coefficient is not 0"));
    }
    inputs.push(Some(step));
    check_info(&inputs, op.anchors)?;
    arguments.finish("solver_step")?;
    let outputs = vec![Output::new("z", Check::Nmse(1e-10)), Output::new("history", Check::Nmse(1e-10))];
    Ok(Call::new(op, inputs, outputs))
}

/// Flags and segments as the op takes them: the first A rows of a sequence are its anchors and nothing else is, and a
/// segment is one of theirs.
fn check_info(inputs: &[Option<Tensor>], anchors: usize) -> Result<()> {
    let (Some(z), Some(info)) = (&inputs[0], &inputs[3]) else { return Ok(()) };
    let rows = z.desc().shape.get(1).copied().unwrap_or(1).max(1);
    let wrong = info.words().iter().enumerate().find(|&(at, word)| {
        let (flag, segment) = (word & 3, (word >> 2) as usize);
        flag == 3 || (flag == 2) != (at % rows < anchors) || segment >= anchors.max(1)
    });
    match wrong {
        None => Ok(()),
        Some((at, word)) => {
            let found = format!("flag {} and segment {}", word & 3, word >> 2);
            let expected =
                format!("flag 2 on the first {anchors} rows, 0 or 1 behind them, a segment below {}", anchors.max(1));
            Err(Error::argument(format!("row {at} of info"), found, expected))
        }
    }
}

struct Sizes {
    batch: usize,
    anchors: usize,
    text: usize,
    dim: usize,
}

fn case(g: &mut Gen, sizes: &Sizes, row: StepRow) -> Arguments {
    let Sizes { batch, anchors, text, dim } = *sizes;
    let rows = anchors + text;
    let mut info = Vec::new();
    for _ in 0..batch {
        info.extend((0..anchors).map(|s| 2 + 4 * s as u32));
        info.extend((0..text).map(|i| {
            let segment = if anchors == 0 { 0 } else { i * anchors / text } as u32;
            u32::from(g.below(3) == 0) + 4 * segment
        }));
    }
    let mut arguments = Arguments::new().set("anchors", anchors);
    for name in ["z", "x0", "history", "prediction"] {
        arguments = arguments.with(name, g.normal([batch, rows, dim], 1.0));
    }
    if anchors > 0 {
        arguments = arguments.with("mean", g.normal([batch, anchors, dim], 1.0));
    }
    arguments
        .with("info", Tensor::u32([batch, rows], info).expect("one word a row"))
        .with("absorb", g.normal([dim], 0.3))
        .with("seeds", g.words([batch, 2]))
        .with("step", g.fill([StepRow::LEN], row.words()))
}

fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    let dpm = StepRow { c_x: 0.8, c_x0: 0.25, c_prev: -0.06, ..StepRow::default() };
    let rows = [
        ("2m", dpm),
        ("clean", StepRow { c_x0: 1.0, ..StepRow::default() }),
        ("refresh", StepRow { refresh: 1.0, ..dpm }),
        ("guided", StepRow { omega: 0.4, ..dpm }),
        ("guided refresh", StepRow { omega: 0.4, refresh: 1.0, ..dpm }),
        ("ancestral", StepRow { c_x: 0.7, c_x0: 0.2, c_noise: 0.5, stream: 3.0, ..StepRow::default() }),
        ("noise alone", StepRow { c_noise: 1.0, stream: 1e6, ..StepRow::default() }),
    ];
    for (name, row) in rows {
        for (batch, anchors) in [(1, 0), (1, 1), (2, 4), (3, 8)] {
            for (text, dim) in [(1, 1), (9, 3), (33, 32), (70, 17)] {
                let row = StepRow { omega: if anchors == 0 { 0.0 } else { row.omega }, ..row };
                let sizes = Sizes { batch, anchors, text, dim };
                let label = format!("{name} batch={batch} anchors={anchors} text={text} dim={dim}");
                cases.push(Case::new(label, case(g, &sizes, row)));
            }
        }
    }
    cases
}

fn bench(g: &mut Gen) -> Vec<Case> {
    let sizes = Sizes { batch: 1, anchors: 16, text: 4096, dim: 32 };
    let dpm = StepRow { c_x: 0.8, c_x0: 0.25, c_prev: -0.06, ..StepRow::default() };
    let ancestral = StepRow { c_noise: 0.5, ..dpm };
    [("2m", dpm), ("ancestral", ancestral)]
        .map(|(name, row)| Case::new(format!("{name} text=4096 dim=32"), case(g, &sizes, row)))
        .into()
}
