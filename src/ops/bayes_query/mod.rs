//! `bayes_query`: the exact Bayes term's query.

#[cfg(feature = "cpu")]
pub(crate) mod cpu;
mod gpu;
#[cfg(feature = "reference")]
pub(crate) mod reference;

use crate::Result;
use crate::gpu::Capabilities;
#[cfg(feature = "cpu")]
use crate::op::CpuIo;
use crate::op::{Accuracy, Arguments, Choice, Cost, Dim, Entry, Input, Op, Output, Shapes, Signature};
#[cfg(feature = "reference")]
use crate::op::{ReferenceData, ReferenceIo};
use crate::ops::StepRow;

/// `(alpha / sigma^2) (z - (1 - alpha) absorb)`: see [`SIGNATURE`]. Its product with embedding `e` is the log-likelihood of
/// `z` given `e`, up to a constant, where all rows have one norm.
///
/// NMSE is at most 1e-9 in f32 for values of any size from 1e-25 to 1e25 and an `absorb` up to 30 times as large as the
/// difference.
#[derive(Clone, Copy, Debug, Default)]
pub struct BayesQuery;

const DE: Dim = Dim::Named("De");

const Z: Input = Input::f32(0, "z", &[Dim::Front, DE]);
const ABSORB: Input = Input::f32(1, "absorb", &[DE]);
const STEP: Input = StepRow::input(2);
const QUERY: Output = Output::f32(0, "query", &[Dim::Front, DE], Accuracy::Nmse(1e-9));

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "bayes_query",
    "query = (alpha / sigma^2) (z - (1 - alpha) absorb)",
    &[Z, ABSORB, STEP],
    &[QUERY],
    &[],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(_: &mut Arguments) -> Result<Box<dyn Op>> {
    Ok(Box::new(BayesQuery))
}

impl Op for BayesQuery {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn choices(&self, shapes: &Shapes, _device: &Capabilities) -> Result<Vec<Choice>> {
        gpu::choices(shapes)
    }

    #[cfg(feature = "cpu")]
    fn run_cpu(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        cpu::run(shapes, io);
        Ok(())
    }

    #[cfg(feature = "reference")]
    fn run_reference(&self, _shapes: &Shapes, io: &ReferenceIo<'_>) -> Result<Vec<ReferenceData>> {
        Ok(reference::run(io))
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        Cost { flops: 3.0 * shapes.input(Z).len() as f64, bytes: shapes.bytes() }
    }
}
