//! `bayes_query`: the exact Bayes term's query.

use drdiff_reference as reference;

use super::StepRow;
use crate::check::{Arguments, Call, Case, Check, Entry, Gen, Output};
use crate::gpu::{Grid, Kernel, Recorder, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::ops::{expect, index32, require};
use crate::{DType, Desc, Result, cpu};

/// Inputs: `z` `[.., De]`, `absorb` `[De]`, `step` `[16]`. Output: `query` like `z`, `(alpha / sigma^2) (z - (1 - alpha) m)`:
/// its product with embedding `e` is the log-likelihood of `z` given `e`, up to a constant, where all rows have one norm.
///
/// NMSE is at most 1e-9 in f32 for values of any size from 1e-25 to 1e25 and an `absorb` up to 30 times as large as the
/// difference.
#[derive(Clone, Copy, Debug, Default)]
pub struct BayesQuery;

crate::params! {
    struct Params {
        size: u32,
        dim: u32,
    }
}

/// One thread an element.
pub const BAYES_QUERY: Kernel = Kernel::core(shaders::SOLVER_BAYES_QUERY, Params::FIELDS, &[false, false, false, true]);

impl Op for BayesQuery {
    fn name(&self) -> &'static str {
        "bayes_query"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["z", "absorb", "step"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        let z = require("bayes_query", inputs, 0, "z", DType::F32)?;
        require("bayes_query", inputs, 1, "absorb", DType::F32)?;
        expect("bayes_query", inputs, 1, "absorb", &Desc::f32([z.last()]))?;
        StepRow::expect("bayes_query", inputs, 2)?;
        Ok(vec![z.clone()])
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        let z = shapes.input(0);
        let params =
            Params { size: index32("bayes_query", "z", z.len())?, dim: index32("bayes_query", "De", z.last())? };
        let buffers = [&io.inputs[2], &io.inputs[0], &io.inputs[1], &io.outputs[0]];
        recorder.dispatch(
            &BAYES_QUERY,
            &params,
            &buffers,
            Grid::elements(z.len(), shaders::solver_bayes_query::WORKGROUP),
        )
    }

    fn run(&self, _shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let step = StepRow::from_words(io.inputs.f32(2));
        cpu::solver::bayes_query(io.inputs.f32(0), io.inputs.f32(1), &step, io.outputs.f32(0));
        Ok(())
    }

    fn evaluate(&self, _shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let step = io.inputs.f64(2);
        // The scale itself is an input: alpha / sigma^2 in f32 differs from that of the rounded alpha and sigma.
        let (alpha, scale) = (step[1], step[3]);
        let sigma = (alpha / scale).sqrt();
        let query = match alpha > 0.0 && scale > 0.0 {
            true => reference::solver::bayes_query(io.inputs.f64(0), io.inputs.f64(1), alpha, sigma),
            false => vec![0.0; io.inputs.f64(0).len()],
        };
        vec![OracleData::F64(query)]
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        Cost { flops: 3.0 * shapes.input(0).len() as f64, bytes: shapes.bytes() }
    }
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: "bayes_query",
    summary: "query [N,De] = (alpha / sigma^2) (z - (1 - alpha) absorb)",
    kernels: &[BAYES_QUERY],
    build,
    cases,
    bench,
};

fn build(mut arguments: Arguments) -> Result<Call> {
    let inputs = ["z", "absorb", "step"].map(|name| arguments.tensor(name).map(Some));
    let inputs = inputs.into_iter().collect::<Result<_>>()?;
    arguments.finish("bayes_query")?;
    Ok(Call::new(BayesQuery, inputs, vec![Output::new("query", Check::Nmse(1e-9))]))
}

fn case(g: &mut Gen, rows: usize, dim: usize, gamma: f64) -> Arguments {
    let (alpha, sigma) = reference::solver::alpha_sigma(gamma);
    let row = StepRow {
        gamma: gamma as f32,
        alpha: alpha as f32,
        sigma: sigma as f32,
        bayes_scale: (alpha / (sigma * sigma)) as f32,
        ..StepRow::default()
    };
    let step = g.fill([StepRow::LEN], row.words());
    Arguments::new().with("z", g.normal([rows, dim], 1.0)).with("absorb", g.normal([dim], 0.2)).with("step", step)
}

fn cases(g: &mut Gen) -> Vec<Case> {
    let sizes = [(1, 1), (1, 32), (3, 7), (64, 1), (63, 33), (130, 16)];
    let all = sizes.into_iter().flat_map(|size| [-6.0, 0.0, 2.5, 9.0].map(|gamma| (size, gamma)));
    all.map(|((rows, dim), gamma)| Case::new(format!("rows={rows} dim={dim} gamma={gamma}"), case(g, rows, dim, gamma)))
        .collect()
}

fn bench(g: &mut Gen) -> Vec<Case> {
    vec![Case::new("rows=4096 dim=32", case(g, 4096, 32, 1.0))]
}
