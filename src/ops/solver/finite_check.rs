//! `finite_check`: whether an evaluation can be believed.

use drdiff_reference as reference;

use super::StepRow;
use crate::check::{Arguments, Call, Case, Check, Entry, Gen, Output};
use crate::gpu::{Grid, Kernel, Recorder, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::ops::{dims, expect, filled, index32, require};
use crate::{DType, Desc, Result, Tensor, cpu};

const NAME: &str = "finite_check";

/// Inputs: `x0` `[B, R, De]`, `z` like it (after the update), `lse` and `entropy` `[B, R]`, `h` `[B, R, D]` (what the
/// logits are made of), `lengths` u32 `[B]` (rows of each sequence, anchors included), `step` `[16]`, `report` u32 `[2]`
/// (updated). No outputs but the update: `report` is the first evaluation that met a value which is NaN or infinite, and
/// how many rows of it held one. Padding does not count. Evaluations go by the number in `step` and come in rising order.
#[derive(Clone, Copy, Debug, Default)]
pub struct FiniteCheck;

impl FiniteCheck {
    /// The report at the start of a run, and as long as every row is finite.
    pub const START: [u32; 2] = [u32::MAX, 0];
    /// The place of `report` among the inputs.
    const REPORT: usize = 7;
}

crate::params! {
    struct Params {
        batch: u32,
        rows: u32,
        embed_dim: u32,
        dim: u32,
    }
}

/// One workgroup a row.
pub const FINITE_CHECK: Kernel = Kernel::core(
    shaders::SOLVER_FINITE_CHECK,
    Params::FIELDS,
    &[false, false, false, false, false, false, false, true],
);

impl Op for FiniteCheck {
    fn name(&self) -> &'static str {
        NAME
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["x0", "z", "lse", "entropy", "h", "lengths", "step", "report"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        let x0 = require(NAME, inputs, 0, "x0", DType::F32)?;
        let [batch, rows, _] = dims(NAME, "x0", x0)?;
        filled(NAME, "x0", x0)?;
        let h = require(NAME, inputs, 4, "h", DType::F32)?;
        let dim = dims::<3>(NAME, "h", h)?[2];
        filled(NAME, "h", h)?;
        for (index, name, expected) in [
            (1, "z", x0.clone()),
            (2, "lse", Desc::f32([batch, rows])),
            (3, "entropy", Desc::f32([batch, rows])),
            (4, "h", Desc::f32([batch, rows, dim])),
            (5, "lengths", Desc::u32([batch])),
            (Self::REPORT, "report", Desc::u32([2])),
        ] {
            require(NAME, inputs, index, name, expected.dtype)?;
            expect(NAME, inputs, index, name, &expected)?;
        }
        StepRow::expect(NAME, inputs, 6)?;
        Ok(Vec::new())
    }

    fn updates(&self) -> &'static [usize] {
        &[Self::REPORT]
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        let [batch, rows, embed_dim] = dims(NAME, "x0", shapes.input(0))?;
        let dim = shapes.input(4).last();
        for index in [0, 4] {
            index32(NAME, "a tensor", shapes.input(index).len())?;
        }
        let [b, r, e, d] = [batch, rows, embed_dim, dim].map(|n| n as u32);
        let params = Params { batch: b, rows: r, embed_dim: e, dim: d };
        let buffers = [6, 0, 1, 2, 3, 4, 5, Self::REPORT].map(|index| &io.inputs[index]);
        recorder.dispatch(&FINITE_CHECK, &params, &buffers, Grid::flat(batch * rows))
    }

    fn run(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let finite = |row: usize| {
            let whole = |index: usize| {
                let width = shapes.input(index).len() / shapes.input(3).len();
                io.inputs.f32(index)[row * width..][..width].iter().all(|x| x.is_finite())
            };
            [0, 1, 2, 3, 4].into_iter().all(whole)
        };
        let rows = cpu::solver::rows_not_finite(io.inputs.u32(5), shapes.input(3).last(), finite);
        let evaluation = StepRow::from_words(io.inputs.f32(6)).evaluation as u32;
        reference::solver::report_not_finite(io.updates.u32(0), evaluation, rows);
        Ok(())
    }

    fn evaluate(&self, shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let values = [0, 1, 2, 3, 4].map(|index| io.inputs.f64(index));
        let rows = reference::solver::rows_not_finite(&values, io.inputs.u32(5), shapes.input(3).last());
        let evaluation = StepRow::from_f64(io.inputs.f64(6)).evaluation as u32;
        let mut report = io.inputs.u32(Self::REPORT).to_vec();
        reference::solver::report_not_finite(&mut report, evaluation, rows);
        vec![OracleData::U32(report)]
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        Cost { flops: 0.0, bytes: shapes.bytes() }
    }
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: NAME,
    summary: "report [2] = the first evaluation with a row of x0, z, lse, entropy or h that is not finite; such rows",
    kernels: &[FINITE_CHECK],
    build,
    cases,
    bench,
};

fn build(mut arguments: Arguments) -> Result<Call> {
    let names = ["x0", "z", "lse", "entropy", "h", "lengths", "step", "report"];
    let inputs = names.map(|name| arguments.tensor(name).map(Some)).into_iter().collect::<Result<_>>()?;
    arguments.finish(NAME)?;
    Ok(Call::new(FiniteCheck, inputs, vec![Output::new("report", Check::Exact)]))
}

/// Tensors whose rows are finite but for `spoilt` elements of one of them.
fn case(
    g: &mut Gen,
    [batch, rows, embed_dim, dim]: [usize; 4],
    (spoilt, count): (usize, usize),
    report: [u32; 2],
) -> Arguments {
    const SPOILT: [f32; 4] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN];
    let shapes = [vec![batch, rows, embed_dim], vec![batch, rows, embed_dim], vec![batch, rows], vec![batch, rows]];
    let mut arguments = Arguments::new();
    let names = ["x0", "z", "lse", "entropy", "h"];
    for (index, (name, shape)) in names.into_iter().zip(shapes.into_iter().chain([vec![batch, rows, dim]])).enumerate()
    {
        // The largest floats there are, and all the others, are finite.
        let mut values = g.normal(shape.clone(), 1.0).as_f32().unwrap_or(&[]).to_vec();
        values.iter_mut().step_by(5).for_each(|x| *x = f32::MAX.copysign(*x));
        for _ in 0..if index == spoilt { count } else { 0 } {
            let at = g.below(values.len());
            values[at] = g.pick(&SPOILT);
        }
        arguments = arguments.with(name, g.fill(shape, values));
    }
    let lengths = (0..batch).map(|b| if b == 0 { rows } else { 1 + g.below(rows) } as u32).collect();
    let row = StepRow { evaluation: 1000.0, ..StepRow::default() };
    arguments
        .with("lengths", Tensor::u32([batch], lengths).expect("one length a sequence"))
        .with("step", g.fill([StepRow::LEN], row.words()))
        .with("report", Tensor::u32([2], report.to_vec()).expect("two words"))
}

fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for sizes in [[1, 1, 1, 1], [1, 9, 3, 65], [3, 33, 32, 64], [2, 70, 100, 17]] {
        for spoilt in 0..5 {
            for count in [0, 1, 40] {
                for (name, report) in [("start", FiniteCheck::START), ("earlier", [999, 3]), ("same", [1000, 3])] {
                    let label = format!("sizes={sizes:?} tensor={spoilt} spoilt={count} {name}");
                    cases.push(Case::new(label, case(g, sizes, (spoilt, count), report)));
                }
            }
        }
    }
    cases
}

fn bench(g: &mut Gen) -> Vec<Case> {
    vec![Case::new("rows=4096 dim=512", case(g, [1, 4096, 32, 512], (0, 0), FiniteCheck::START))]
}
