//! `linear`: `y = residual + gate * activation(x weight^T + bias)`.

use drdiff_reference as reference;

use super::{dims, expect, filled, index32, require};
use crate::check::{Arguments, Call, Case, Check, Entry, Gen, Output};
use crate::gpu::{Field, Grid, Kernel, Recorder, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::{DType, Desc, Error, Result, cpu};

/// What is applied to each output before gate and residual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `x sigmoid(x)`.
    Silu,
    /// GELU, tanh form.
    Gelu,
}

/// Inputs: `x` `[.., K]`, `weight` `[N, K]`, then optional `bias` `[N]`, `residual` (shape of `y`) and `gate` (any f32
/// tensor, `N` values of it from `gate_offset`). Output: `y` `[.., N]`.
///
/// NMSE is at most 1e-9 in f32 where the products that make up a `y` are 0 or above 1e-32 and sum to less than 3e38, and
/// where their sizes sum to at most 100 times `|y|`: what cancels takes its digits along. Activations have their digits
/// in the tails too, down to values of 1e-36, below which they are 0. Of a `K` in the thousands, products of one sign
/// and size come closest to the bound.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linear {
    /// Applied ahead of gate and residual.
    pub activation: Activation,
    /// First element of the gate.
    pub gate_offset: usize,
}

crate::params! {
    struct Params {
        m: u32,
        k: u32,
        n: u32,
        activation: u32,
        bias: u32,
        residual: u32,
        gate: u32,
        gate_offset: u32,
    }
}

const WRITES: &[bool] = &[false, false, false, false, false, true];
const PARAMS: &[Field] = Params::FIELDS;

/// 64 x 64 tiles.
pub const TILES: Kernel = Kernel::core(shaders::NN_LINEAR, PARAMS, WRITES);
/// For few rows.
pub const ROWS: Kernel = Kernel::core(shaders::NN_LINEAR_ROWS, PARAMS, WRITES);
/// Sequences of at most this many rows go to [`ROWS`]: there each output is read once and a tile would be at least 7/8
/// empty.
const FEW_ROWS: usize = 8;

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["x", "weight", "bias", "residual", "gate"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        let x = require("linear", inputs, 0, "x", DType::F32)?;
        let weight = require("linear", inputs, 1, "weight", DType::F32)?;
        let [n, k] = dims("linear", "weight", weight)?;
        filled("linear", "x", x)?;
        filled("linear", "weight", weight)?;
        if x.shape.is_empty() || x.last() != k {
            return Err(Error::shape("linear", "x", x.to_string(), format!("[.., {k}] as weight {weight}")));
        }
        let mut shape = x.shape.clone();
        *shape.last_mut().expect("x has a dimension") = n;
        let y = Desc::f32(shape);
        expect("linear", inputs, 2, "bias", &Desc::f32([n]))?;
        expect("linear", inputs, 3, "residual", &y)?;
        if inputs.get(4).copied().flatten().is_some() {
            let gate = require("linear", inputs, 4, "gate", DType::F32)?;
            let last = self.gate_offset.saturating_add(n);
            if gate.len() < last {
                return Err(Error::shape("linear", "gate", gate.to_string(), format!("at least {last} values")));
            }
        }
        Ok(vec![y])
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        let (m, k, n) = sizes(shapes);
        for elements in [m * k, n * k, m * n] {
            index32("linear", "a tensor", elements)?;
        }
        let params = Params {
            m: index32("linear", "M", m)?,
            k: index32("linear", "K", k)?,
            n: index32("linear", "N", n)?,
            activation: self.activation as u32,
            bias: shapes.inputs[2].is_some().into(),
            residual: shapes.inputs[3].is_some().into(),
            gate: shapes.inputs[4].is_some().into(),
            gate_offset: index32("linear", "gate_offset", self.gate_offset)?,
        };
        let mut buffers: Vec<_> = io.inputs.iter().collect();
        buffers.push(&io.outputs[0]);
        if shapes.input(0).sequence_rows() <= FEW_ROWS {
            let columns = shaders::nn_linear_rows::COLUMNS as usize;
            recorder.dispatch(&ROWS, &params, &buffers, Grid::flat(m * n.div_ceil(columns)))
        } else {
            let tile = shaders::nn_linear::TILE as usize;
            recorder.dispatch(&TILES, &params, &buffers, Grid::flat(m.div_ceil(tile) * n.div_ceil(tile)))
        }
    }

    fn run(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let (m, k, n) = sizes(shapes);
        let y = io.outputs.f32(0);
        cpu::gemm::x_times_transposed(io.inputs.f32(0), io.inputs.f32(1), y, m, k, n)?;
        cpu::nn::epilogue(
            y,
            n,
            self.activation,
            io.inputs.get(2),
            io.inputs.get(3),
            io.inputs.get(4).map(|gate| &gate[self.gate_offset..][..n]),
        );
        Ok(())
    }

    fn evaluate(&self, shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let (m, k, n) = sizes(shapes);
        let mut y = reference::nn::linear(io.inputs.f64(0), io.inputs.f64(1), io.inputs.get(2), m, k, n);
        for (index, value) in y.iter_mut().enumerate() {
            *value = match self.activation {
                Activation::None => *value,
                Activation::Silu => reference::nn::silu(*value),
                Activation::Gelu => reference::nn::gelu(*value),
            };
            if let Some(gate) = io.inputs.get(4) {
                *value *= gate[self.gate_offset + index % n];
            }
            if let Some(residual) = io.inputs.get(3) {
                *value += residual[index];
            }
        }
        vec![OracleData::F64(y)]
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        let (m, k, n) = sizes(shapes);
        Cost { flops: 2.0 * m as f64 * k as f64 * n as f64, bytes: shapes.bytes() }
    }
}

/// M, K, N.
fn sizes(shapes: &Shapes) -> (usize, usize, usize) {
    let [n, k] = [0, 1].map(|axis| shapes.input(1).dim(axis));
    (shapes.input(0).rows(), k, n)
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: "linear",
    summary: "y [M,N] = residual + gate * activation(x [M,K] weight [N,K]^T + bias)",
    kernels: &[TILES, ROWS],
    build,
    cases,
    bench,
};

fn build(mut arguments: Arguments) -> Result<Call> {
    let activation = arguments
        .choice("activation", &[("none", Activation::None), ("silu", Activation::Silu), ("gelu", Activation::Gelu)])?;
    let op = Linear { activation, gate_offset: arguments.offset("gate_offset", "gate")? };
    let inputs = vec![
        Some(arguments.tensor("x")?),
        Some(arguments.tensor("weight")?),
        arguments.optional("bias"),
        arguments.optional("residual"),
        arguments.optional("gate"),
    ];
    arguments.finish("linear")?;
    Ok(Call::new(op, inputs, vec![Output::new("y", Check::Nmse(1e-9))]))
}

fn case(g: &mut Gen, m: usize, k: usize, n: usize) -> Arguments {
    Arguments::new().with("x", g.normal([m, k], 1.0)).with("weight", g.normal([n, k], 1.0))
}

fn cases(g: &mut Gen) -> Vec<Case> {
    let sizes = [1, 2, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 100, 129];
    let mut cases = Vec::new();
    for i in 0..300 {
        let (m, k, n) = (g.pick(&sizes), g.pick(&sizes), g.pick(&sizes));
        let mut arguments = case(g, m, k, n);
        if g.below(2) == 0 {
            arguments = arguments.with("bias", g.normal([n], 1.0));
        }
        if g.below(3) == 0 {
            arguments = arguments.with("residual", g.normal([m, n], 1.0));
        }
        if g.below(3) == 0 {
            arguments = arguments.with("gate", g.normal([2 * n], 1.0)).set("gate_offset", n);
        }
        let activation = g.pick(&["none", "none", "silu", "gelu"]);
        arguments = arguments.set("activation", activation);
        cases.push(Case::new(format!("{i}: m={m} k={k} n={n} {activation}"), arguments));
    }
    for (m, k, n) in [(300, 192, 192), (200, 32, 513), (1, 128, 4900), (4, 700, 130)] {
        cases.push(Case::new(format!("m={m} k={k} n={n}"), case(g, m, k, n)));
    }
    cases
}

fn bench(g: &mut Gen) -> Vec<Case> {
    [(256, 192, 192), (1024, 512, 512), (2048, 1024, 1024), (1, 128, 4992)]
        .map(|(m, k, n)| Case::new(format!("m={m} k={k} n={n}"), case(g, m, k, n)))
        .into()
}
