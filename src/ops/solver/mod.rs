//! `solver`: DPM-Solver++ over given predictions.

#[cfg(feature = "cpu")]
mod cpu;
mod gpu;
#[cfg(feature = "reference")]
mod reference;

use crate::gpu::Capabilities;
#[cfg(feature = "cpu")]
use crate::op::CpuIo;
use crate::op::{Accuracy, Arguments, Choice, Cost, Dim, Entry, Input, Op, Output, Setting, Shapes, Signature};
#[cfg(feature = "reference")]
use crate::op::{ReferenceData, ReferenceIo};
use crate::schedule::{self, Coefficients, Point};
use crate::{Desc, Error, Result, Tensor};

/// The trajectory from `x`, which is its first state, for given predictions: see [`SIGNATURE`].
///
/// DPM-Solver++ (Lu et al. 2022), data prediction: order 1 is DDIM, order 2 the multistep 2M. Coefficients are computed
/// once, in f64.
///
/// NMSE is at most 1e-10 in f32 over at least 50 steps, for `x` and `x0` of any size from 1e-25 to 1e25.
#[derive(Clone, Debug)]
pub struct Solver {
    /// What the reference makes coefficients of itself.
    #[cfg(feature = "reference")]
    schedule: reference::Schedule,
    coefficients: Vec<Coefficients>,
}

const S: Dim = Dim::Named("S");
const STATES: Dim = Dim::Named("S + 1");
const N: Dim = Dim::Named("N");
const D: Dim = Dim::Named("D");

const X: Input = Input::f32(0, "x", &[N, D]);
const X0: Input = Input::f32(1, "x0", &[S, N, D]);
const TRAJECTORY: Output = Output::f32(0, "trajectory", &[STATES, N, D], Accuracy::Nmse(1e-10));

const ALPHA: Setting = Setting { name: "alpha", default: "", meaning: "tensor f32 [S + 1], noisy to clean" };
const SIGMA: Setting = Setting { name: "sigma", default: "", meaning: "tensor f32 [S + 1], noisy to clean" };
const ORDER: Setting = Setting { name: "order", default: "2", meaning: "1 or 2" };
const LOWER_ORDER_FINAL: Setting =
    Setting { name: "lower_order_final", default: "true", meaning: "whether the last step is of order 1" };

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "solver",
    "trajectory of DPM-Solver++ from x for the predictions x0",
    &[X, X0],
    &[TRAJECTORY],
    &[ALPHA, SIGMA, ORDER, LOWER_ORDER_FINAL],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(arguments: &mut Arguments) -> Result<Box<dyn Op>> {
    let mut schedule = |setting: Setting| -> Result<Tensor> {
        let tensor = arguments.constant(setting)?;
        match tensor.as_f32() {
            Some(_) => Ok(tensor),
            None => Err(Error::shape(SIGNATURE.name, setting.name, tensor.desc().to_string(), "f32 [S + 1]")),
        }
    };
    let (alpha, sigma) = (schedule(ALPHA)?, schedule(SIGMA)?);
    let (alpha, sigma) = (alpha.as_f32().unwrap_or(&[]), sigma.as_f32().unwrap_or(&[]));
    Ok(Box::new(Solver::new(alpha, sigma, arguments.setting(ORDER)?, arguments.setting(LOWER_ORDER_FINAL)?)?))
}

impl Solver {
    /// A solver for `alpha` and `sigma` `[S+1]`, noisy to clean.
    ///
    /// # Errors
    /// If the order is not 1 or 2, the schedules differ in length or are empty, or a point is not strictly cleaner
    /// than the one before: a repeated point has no ratio, and 2M would be NaN from there on.
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
                let expected = "finite, not negative, sigma above 0 except at the end";
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
        Ok(Self {
            #[cfg(feature = "reference")]
            schedule: reference::Schedule { alpha, sigma, order, lower_order_final },
            coefficients,
        })
    }
}

impl Op for Solver {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        let steps = self.coefficients.len();
        SIGNATURE.bind(inputs, &[(S, steps), (STATES, steps + 1)])
    }

    fn choices(&self, shapes: &Shapes, _device: &Capabilities) -> Result<Vec<Choice>> {
        gpu::choices(self, shapes)
    }

    #[cfg(feature = "cpu")]
    fn run_cpu(&self, _shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        cpu::run(self, io);
        Ok(())
    }

    #[cfg(feature = "reference")]
    fn run_reference(&self, _shapes: &Shapes, io: &ReferenceIo<'_>) -> Result<Vec<ReferenceData>> {
        Ok(reference::run(self, io))
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        Cost { flops: 6.0 * shapes.input(X0).len() as f64, bytes: shapes.bytes() }
    }
}
