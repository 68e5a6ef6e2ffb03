//! `router`: how well each expert suits each token.

#[cfg(feature = "cpu")]
mod cpu;
mod gpu;
#[cfg(feature = "reference")]
mod reference;

use crate::Result;
use crate::gpu::Capabilities;
#[cfg(feature = "cpu")]
use crate::op::CpuIo;
use crate::op::{Accuracy, Arguments, Choice, Cost, Dim, Entry, Input, Op, Output, Shapes, Signature};
#[cfg(feature = "reference")]
use crate::op::{ReferenceData, ReferenceIo};

/// `logits[n, e] = x[n] . weight[e] + bias[e] + difficulty[n] difficulty_weight[e]`, the difficulty being the entropy of
/// the previous prediction in nats: see [`SIGNATURE`].
///
/// NMSE is at most 1e-9 in f32 where the products that make up a logit are 0 or above 1e-32 and sum to less than 3e38,
/// and where their sizes sum to at most 100 times the logit's: what cancels takes its digits along.
#[derive(Clone, Copy, Debug, Default)]
pub struct Router;

const D: Dim = Dim::Named("D");
const E: Dim = Dim::Named("E");

const X: Input = Input::f32(0, "x", &[Dim::Front, D]);
const WEIGHT: Input = Input::f32(1, "weight", &[E, D]);
const BIAS: Input = Input::f32(2, "bias", &[E]);
const DIFFICULTY: Input = Input::f32(3, "difficulty", &[Dim::Front]);
const DIFFICULTY_WEIGHT: Input = Input::f32(4, "difficulty_weight", &[E]);
const LOGITS: Output = Output::f32(0, "logits", &[Dim::Front, E], Accuracy::Nmse(1e-9));

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "router",
    "logits = x weight^T + bias + difficulty difficulty_weight",
    &[X, WEIGHT, BIAS, DIFFICULTY, DIFFICULTY_WEIGHT],
    &[LOGITS],
    &[],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(_: &mut Arguments) -> Result<Box<dyn Op>> {
    Ok(Box::new(Router))
}

impl Op for Router {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn choices(&self, shapes: &Shapes, _device: &Capabilities) -> Result<Vec<Choice>> {
        gpu::choices(shapes)
    }

    #[cfg(feature = "cpu")]
    fn run_cpu(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        cpu::run(shapes, io)
    }

    #[cfg(feature = "reference")]
    fn run_reference(&self, shapes: &Shapes, io: &ReferenceIo<'_>) -> Result<Vec<ReferenceData>> {
        Ok(reference::run(shapes, io))
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        let flops = shapes.rows() as f64 * shapes.size(E) as f64 * (2.0 * shapes.size(D) as f64 + 3.0);
        Cost { flops, bytes: shapes.bytes() }
    }
}
