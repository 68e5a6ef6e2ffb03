//! `solver`: DPM-Solver++ over given predictions.

use drdiff_reference as reference;

use crate::check::{Arguments, Call, Case, Check, Entry, Gen, Output};
use crate::gpu::{Grid, Kernel, Recorder, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::ops::{dims, index32, require};
use crate::schedule::{self, Coefficients, Point};
use crate::{DType, Desc, Error, Result, Tensor, cpu};

/// Inputs: `x` `[N, D]`, `x0` `[S, N, D]`. Output: `trajectory` `[S+1, N, D]`, the first is `x`.
///
/// DPM-Solver++ (Lu et al. 2022), data prediction: order 1 is DDIM, order 2 the multistep 2M. Coefficients are computed
/// once, in f64.
///
/// NMSE is at most 1e-10 in f32 over at least 50 steps, for `x` and `x0` of any size from 1e-25 to 1e25.
#[derive(Clone, Debug)]
pub struct Solver {
    alpha: Vec<f64>,
    sigma: Vec<f64>,
    order: usize,
    lower_order_final: bool,
    coefficients: Vec<Coefficients>,
}

impl Solver {
    /// A solver for `alpha` and `sigma` `[S+1]`, noisy to clean.
    ///
    /// # Errors
    /// Where the order is not 1 or 2, the schedules differ in length or are empty, or a point is not a strict step
    /// towards clean: a repeated point has no ratio, and 2M would be NaN from there on.
    pub fn new(alpha: &[f32], sigma: &[f32], order: usize, lower_order_final: bool) -> Result<Self> {
        if !(1..=2).contains(&order) {
            return Err(Error::argument("order", order, "1 or 2"));
        }
        if alpha.len() != sigma.len() || alpha.len() < 2 {
            let found = format!("{} and {} points", alpha.len(), sigma.len());
            return Err(Error::argument("alpha and sigma", found, "as many each, at least 2"));
        }
        let widen = |all: &[f32]| all.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let (alpha, sigma) = (widen(alpha), widen(sigma));
        for i in 0..alpha.len() {
            let (a, s) = (alpha[i], sigma[i]);
            let last = i + 1 == alpha.len();
            if !(a.is_finite() && s.is_finite() && a >= 0.0 && s >= 0.0 && (s > 0.0 || (last && a > 0.0))) {
                let expected = "finite, not negative, sigma above 0 but at the end";
                return Err(Error::argument(format!("point {i} of the schedule"), format!("({a}, {s})"), expected));
            }
            // alpha / sigma must grow: compared by products, so that sigma = 0 needs no case of its own.
            if i > 0 && a * sigma[i - 1] <= alpha[i - 1] * s {
                let found = format!("({a}, {s}) behind ({}, {})", alpha[i - 1], sigma[i - 1]);
                return Err(Error::argument(format!("point {i} of the schedule"), found, "a larger alpha / sigma"));
            }
        }
        let points: Vec<_> = alpha.iter().zip(&sigma).map(|(&alpha, &sigma)| Point { alpha, sigma }).collect();
        let coefficients = schedule::solver(&points, order, lower_order_final);
        Ok(Self { alpha, sigma, order, lower_order_final, coefficients })
    }
}

crate::params! {
    struct Params {
        size: u32,
        step: u32,
        start: u32,
        c_x: f32,
        c_x0: f32,
        c_prev: f32,
    }
}

/// One thread an element, one dispatch a step.
pub const TRAJECTORY: Kernel = Kernel::core(shaders::SOLVER_TRAJECTORY, Params::FIELDS, &[false, false, true]);

impl Op for Solver {
    fn name(&self) -> &'static str {
        "solver"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["x", "x0"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        let x = require("solver", inputs, 0, "x", DType::F32)?;
        let x0 = require("solver", inputs, 1, "x0", DType::F32)?;
        let steps = self.coefficients.len();
        let with = |first: usize| [vec![first], x.shape.clone()].concat();
        if x0.shape != with(steps) {
            return Err(Error::shape("solver", "x0", x0.to_string(), format!("{:?}", with(steps))));
        }
        Ok(vec![Desc::f32(with(steps + 1))])
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        let size = shapes.input(0).len();
        index32("solver", "trajectory", shapes.outputs[0].len())?;
        let buffers = [&io.inputs[0], &io.inputs[1], &io.outputs[0]];
        let start = Params { size: size as u32, step: 0, start: 1, c_x: 0.0, c_x0: 0.0, c_prev: 0.0 };
        recorder.dispatch(
            &TRAJECTORY,
            &start,
            &buffers,
            Grid::elements(size, shaders::solver_trajectory::WORKGROUP),
        )?;
        for (step, c) in self.coefficients.iter().enumerate() {
            let [c_x, c_x0, c_prev] = [c.x, c.x0, c.x0_prev].map(|c| c as f32);
            let params = Params { step: step as u32, start: 0, c_x, c_x0, c_prev, ..start };
            recorder.dispatch(
                &TRAJECTORY,
                &params,
                &buffers,
                Grid::elements(size, shaders::solver_trajectory::WORKGROUP),
            )?;
        }
        Ok(())
    }

    fn run(&self, _shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        cpu::solver::trajectory(io.inputs.f32(0), io.inputs.f32(1), &self.coefficients, io.outputs.f32(0));
        Ok(())
    }

    fn evaluate(&self, _shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let (x, x0) = (io.inputs.f64(0), io.inputs.f64(1));
        let all = reference::solver::solver(x, x0, &self.alpha, &self.sigma, self.order, self.lower_order_final);
        vec![OracleData::F64(all)]
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        Cost { flops: 6.0 * shapes.input(1).len() as f64, bytes: shapes.bytes() }
    }
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: "solver",
    summary: "trajectory [S+1,N,D] of DPM-Solver++ from x [N,D] for predictions x0 [S,N,D]",
    kernels: &[TRAJECTORY],
    build,
    cases,
    bench,
};

fn build(mut arguments: Arguments) -> Result<Call> {
    let schedule = ["alpha", "sigma"].map(|name| {
        let tensor = arguments.tensor(name)?;
        let values = tensor.as_f32().map(<[f32]>::to_vec);
        values.ok_or_else(|| Error::shape("solver", name, tensor.desc().to_string(), "f32 [S+1]"))
    });
    let [alpha, sigma] = schedule;
    let order = arguments.setting("order", 2)?;
    let op = Solver::new(&alpha?, &sigma?, order, arguments.setting("lower_order_final", true)?)?;
    let x = arguments.tensor("x")?;
    dims::<2>("solver", "x", x.desc())?;
    let inputs = vec![Some(x), Some(arguments.tensor("x0")?)];
    arguments.finish("solver")?;
    Ok(Call::new(op, inputs, vec![Output::new("trajectory", Check::Nmse(1e-10))]))
}

fn case(g: &mut Gen, n: usize, d: usize, gammas: &[f64], clean: bool) -> Arguments {
    let mut points: Vec<_> = gammas.iter().map(|&gamma| reference::solver::alpha_sigma(gamma)).collect();
    if clean {
        points.push((1.0, 0.0));
    }
    let (alpha, sigma): (Vec<f32>, Vec<f32>) = points.iter().map(|&(a, s)| (a as f32, s as f32)).unzip();
    let points = points.len();
    Arguments::new()
        .with("x", g.normal([n, d], 1.0))
        .with("x0", g.normal([points - 1, n, d], 1.0))
        .with("alpha", Tensor::f32([points], alpha).expect("one alpha a point"))
        .with("sigma", Tensor::f32([points], sigma).expect("one sigma a point"))
}

fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, d) in [(1, 1), (3, 5), (64, 1), (17, 33), (40, 32)] {
        for steps in [1, 2, 3, 10, 50] {
            for (order, lower) in [(1, true), (2, true), (2, false)] {
                for clean in [false, true] {
                    let spread: f64 = g.pick(&[6.0, 12.0, 20.0]);
                    let gammas: Vec<_> = (0..=steps).map(|i| 8.0 - spread * f64::from(i) / f64::from(steps)).collect();
                    let arguments = case(g, n, d, &gammas[..gammas.len() - usize::from(clean && steps > 1)], clean);
                    let label = format!("n={n} d={d} steps={steps} order={order} lower={lower} clean={clean}");
                    let arguments = arguments.set("order", order).set("lower_order_final", lower);
                    cases.push(Case::new(label, arguments));
                }
            }
        }
    }
    cases
}

fn bench(g: &mut Gen) -> Vec<Case> {
    let gammas: Vec<_> = (0..=20).map(|i| 8.0 - 0.5 * f64::from(i)).collect();
    vec![Case::new("n=4096 d=32 steps=20", case(g, 4096, 32, &gammas, false))]
}
