//! `router`: how much each token wants each expert.

use drdiff_reference as reference;

use super::{dims, expect, index32, require};
use crate::check::{Arguments, Call, Case, Check, Entry, Gen, Output};
use crate::gpu::{Grid, Kernel, Recorder, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::{DType, Desc, Error, Result, cpu};

/// Inputs: `x` `[.., D]`, `weight` `[E, D]`, `bias` `[E]`, `difficulty` `[..]` (entropy of the previous prediction in
/// nats) and `difficulty_weight` `[E]`. Output: `logits` `[.., E]`, where
/// `logits[n, e] = x[n] . weight[e] + bias[e] + difficulty[n] difficulty_weight[e]`.
///
/// NMSE is at most 1e-9 in f32 where the products that make up a logit are 0 or above 1e-32 and sum to less than 3e38,
/// and where their sizes sum to at most 100 times the logit's: what cancels takes its digits along.
#[derive(Clone, Copy, Debug, Default)]
pub struct Router;

crate::params! {
    struct Params {
        tokens: u32,
        dim: u32,
        experts: u32,
    }
}

/// Tiles of 32 tokens and 8 experts.
pub const ROUTER: Kernel =
    Kernel::core(shaders::EXPERTS_ROUTER, Params::FIELDS, &[false, false, false, false, false, true]);

impl Op for Router {
    fn name(&self) -> &'static str {
        "router"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["x", "weight", "bias", "difficulty", "difficulty_weight"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        let x = require("router", inputs, 0, "x", DType::F32)?;
        let weight = require("router", inputs, 1, "weight", DType::F32)?;
        let [experts, dim] = dims("router", "weight", weight)?;
        let Some((&last, front)) = x.shape.split_last().filter(|_| !x.is_empty() && !weight.is_empty()) else {
            return Err(Error::shape("router", "x", x.to_string(), format!("[.., {dim}], no size 0")));
        };
        if last != dim {
            return Err(Error::shape("router", "x", x.to_string(), format!("[.., {dim}] as weight {weight}")));
        }
        for (index, name, shape) in
            [(2, "bias", &[experts][..]), (3, "difficulty", front), (4, "difficulty_weight", &[experts])]
        {
            require("router", inputs, index, name, DType::F32)?;
            expect("router", inputs, index, name, &Desc::f32(shape))?;
        }
        Ok(vec![Desc::f32([front, &[experts]].concat())])
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        let (tokens, dim, experts) = sizes(shapes);
        for elements in [tokens * dim, experts * dim, tokens * experts] {
            index32("router", "a tensor", elements)?;
        }
        let params = Params {
            tokens: index32("router", "x", tokens)?,
            dim: index32("router", "D", dim)?,
            experts: index32("router", "E", experts)?,
        };
        use shaders::experts_router::{EXPERTS, TOKENS};
        let buffers: Vec<_> = io.inputs.iter().chain(&io.outputs).collect();
        recorder.dispatch(
            &ROUTER,
            &params,
            &buffers,
            Grid::flat(tokens.div_ceil(TOKENS as usize) * experts.div_ceil(EXPERTS as usize)),
        )
    }

    fn run(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let (tokens, dim, experts) = sizes(shapes);
        let [x, weight, bias, difficulty, difficulty_weight] = [0, 1, 2, 3, 4].map(|index| io.inputs.f32(index));
        let logits = io.outputs.f32(0);
        cpu::gemm::x_times_transposed(x, weight, logits, tokens, dim, experts)?;
        for (logits, difficulty) in logits.chunks_exact_mut(experts).zip(difficulty) {
            for ((logit, bias), weight) in logits.iter_mut().zip(bias).zip(difficulty_weight) {
                *logit += bias + difficulty * weight;
            }
        }
        Ok(())
    }

    fn evaluate(&self, shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let (tokens, dim, _) = sizes(shapes);
        let [x, weight, bias, difficulty, difficulty_weight] = [0, 1, 2, 3, 4].map(|index| io.inputs.f64(index));
        let weights = reference::experts::RouterWeights { weight, bias, difficulty: difficulty_weight };
        vec![OracleData::F64(reference::experts::router(x, difficulty, &weights, tokens, dim))]
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        let (tokens, dim, experts) = sizes(shapes);
        Cost { flops: tokens as f64 * experts as f64 * (2.0 * dim as f64 + 3.0), bytes: shapes.bytes() }
    }
}

/// N, D, E.
fn sizes(shapes: &Shapes) -> (usize, usize, usize) {
    let [experts, dim] = [0, 1].map(|axis| shapes.input(1).dim(axis));
    (shapes.input(0).rows(), dim, experts)
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: "router",
    summary: "logits [N,E] = x [N,D] weight [E,D]^T + bias [E] + difficulty [N] difficulty_weight [E]",
    kernels: &[ROUTER],
    build,
    cases,
    bench,
};

fn build(mut arguments: Arguments) -> Result<Call> {
    let names = ["x", "weight", "bias", "difficulty", "difficulty_weight"];
    let inputs = names.into_iter().map(|name| arguments.tensor(name).map(Some)).collect::<Result<_>>()?;
    arguments.finish("router")?;
    Ok(Call::new(Router, inputs, vec![Output::new("logits", Check::Nmse(1e-9))]))
}

fn case(g: &mut Gen, front: &[usize], dim: usize, experts: usize) -> Case {
    let shape = [front, &[dim]].concat();
    let label = format!("x={shape:?} E={experts}");
    let arguments = Arguments::new()
        .with("x", g.normal(shape, 1.0))
        .with("weight", g.normal([experts, dim], 1.0))
        .with("bias", g.normal([experts], 1.0))
        .with("difficulty", g.normal(front, 5.0))
        .with("difficulty_weight", g.normal([experts], 1.0));
    Case::new(label, arguments)
}

fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for _ in 0..120 {
        let tokens = g.pick(&[1, 2, 3, 4, 5, 7, 8, 31, 32, 33, 63, 64, 65, 100, 129]);
        let dim = g.pick(&[1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 192]);
        let experts = g.pick(&[1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 64, 130]);
        cases.push(case(g, &[tokens], dim, experts));
    }
    cases.push(case(g, &[], 9, 4));
    cases.push(case(g, &[2, 3], 33, 4));
    cases.push(case(g, &[3, 1, 17], 20, 9));
    cases.push(case(g, &[500], 192, 4));
    cases
}

fn bench(g: &mut Gen) -> Vec<Case> {
    vec![case(g, &[1024], 192, 4), case(g, &[4096], 512, 8)]
}
