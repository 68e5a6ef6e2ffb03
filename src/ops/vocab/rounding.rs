//! `rounding`: the nearest token of a table whose rows have one norm.

use drdiff_reference as reference;

use super::near_tie;
use crate::check::{Arguments, Call, Case, Check, Entry, Gen, Output};
use crate::gpu::{Grid, Kernel, Recorder, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::ops::{dims, filled, index32, require};
use crate::{DType, Desc, Error, Result, cpu};

const NAME: &str = "rounding";
/// Rows of a workgroup, and tokens of a tile.
const ROWS: usize = shaders::vocab_rounding::ROWS as usize;
const _: () = assert!(shaders::vocab_rounding::KEYS as usize == ROWS);

/// Inputs: `x` `[.., D]`, `table` `[V, D]`. Output: `token` u32 `[..]`, the row of the table with the largest inner
/// product, the lower one of equals.
///
/// Of products within 1e-5 of the row's largest f32 may take the other one, and does not beyond, whatever the sizes of `x`
/// and `table`, as long as products are 0 or above 1e-32 and their sums below 1e38.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rounding;

crate::params! {
    struct Params {
        rows: u32,
        dim: u32,
        vocab: u32,
    }
}

/// A tile of rows a workgroup.
pub const ROUNDING: Kernel = Kernel::core(shaders::VOCAB_ROUNDING, Params::FIELDS, &[false, false, true]);

impl Op for Rounding {
    fn name(&self) -> &'static str {
        NAME
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["x", "table"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        let x = require(NAME, inputs, 0, "x", DType::F32)?;
        let table = require(NAME, inputs, 1, "table", DType::F32)?;
        let [_, dim] = dims(NAME, "table", table)?;
        filled(NAME, "x", x)?;
        filled(NAME, "table", table)?;
        match x.shape.split_last() {
            Some((&last, outer)) if last == dim => Ok(vec![Desc::u32(outer)]),
            _ => Err(Error::shape(NAME, "x", x.to_string(), format!("[.., {dim}] as table {table}"))),
        }
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        let (rows, dim, vocab) = sizes(shapes);
        // Tokens and rows are counted past the end by up to a tile.
        for elements in [rows * dim, vocab * dim, rows + ROWS, vocab + ROWS] {
            index32(NAME, "a tensor", elements)?;
        }
        let params = Params { rows: rows as u32, dim: dim as u32, vocab: vocab as u32 };
        let buffers = [&io.inputs[0], &io.inputs[1], &io.outputs[0]];
        recorder.dispatch(&ROUNDING, &params, &buffers, Grid::flat(rows.div_ceil(ROWS)))
    }

    fn run(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let (_, dim, vocab) = sizes(shapes);
        cpu::vocab::rounding(io.inputs.f32(0), io.inputs.f32(1), io.outputs.u32(0), dim, vocab)
    }

    fn evaluate(&self, shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let (rows, dim, vocab) = sizes(shapes);
        vec![OracleData::U32(reference::nn::rounding(io.inputs.f64(0), io.inputs.f64(1), rows, vocab, dim))]
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        let (rows, dim, vocab) = sizes(shapes);
        Cost { flops: 2.0 * rows as f64 * dim as f64 * vocab as f64, bytes: shapes.bytes() }
    }
}

/// Rows, D, V.
fn sizes(shapes: &Shapes) -> (usize, usize, usize) {
    let [vocab, dim] = [0, 1].map(|axis| shapes.input(1).dim(axis));
    (shapes.input(0).rows(), dim, vocab)
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: NAME,
    summary: "token u32 [N] = arg-max of x [N,D] table [V,D]^T, the lower one of equals",
    kernels: &[ROUNDING],
    build,
    cases,
    bench,
};

fn build(mut arguments: Arguments) -> Result<Call> {
    let inputs = vec![Some(arguments.tensor("x")?), Some(arguments.tensor("table")?)];
    arguments.finish(NAME)?;
    Ok(Call::new(Rounding, inputs, vec![Output::new("token", Check::Rule(near_tie::of_products))]))
}

/// Rows and their negatives, which never have one token.
fn case(g: &mut Gen, n: usize, d: usize, v: usize) -> Arguments {
    let x = g.normal([n, d], 1.0);
    let x = x.as_f32().unwrap_or(&[]);
    let x = g.fill([2 * n, d], x.iter().copied().chain(x.iter().map(|x| -x)));
    Arguments::new().with("x", x).with("table", g.normal([v, d], 1.0))
}

fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..70 {
        let n = g.pick(&[1, 2, 7, 15, 16, 17, 32, 50, 65]);
        let d = g.pick(&[1, 3, 8, 31, 32, 33, 64, 100, 192]);
        let v = g.pick(&[2, 31, 32, 33, 100, 513]);
        cases.push(Case::new(format!("{i}: n=2*{n} d={d} v={v}"), case(g, n, d, v)));
    }
    for (v, period) in [(40, 7), (100, 3), (513, 40)] {
        let rows = g.normal([period, 16], 1.0);
        let repeated = rows.as_f32().unwrap_or(&[]).iter().copied().cycle().take(v * 16);
        let arguments = Arguments::new().with("x", g.normal([2, 20, 16], 1.0)).with("table", g.fill([v, 16], repeated));
        cases.push(Case::new(format!("ties every {period} of {v}, x [2,20,16]"), arguments));
    }
    // The first row of the table is not the nearest.
    let table = g.normal([50, 8], 1.0);
    let one = g.fill([8], table.as_f32().unwrap_or(&[]).iter().take(8).map(|x| -x));
    cases.push(Case::new("x [8]", Arguments::new().with("x", one).with("table", table)));
    cases
}

fn bench(g: &mut Gen) -> Vec<Case> {
    [(256, 32, 4096), (1024, 32, 4096), (256, 64, 32_768)]
        .map(|(n, d, v)| Case::new(format!("n={n} d={d} v={v}"), case(g, n, d, v)))
        .into()
}
