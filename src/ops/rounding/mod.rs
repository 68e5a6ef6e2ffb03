//! `rounding`: the nearest token of a table whose rows have one norm.

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

/// The row of the table with the largest inner product with each `x`, the lower index on a tie: see [`SIGNATURE`].
///
/// Of products within 1e-5 of the row's largest f32 may take the other one, and does not beyond, whatever the sizes of `x`
/// and `table`, as long as products are 0 or above 1e-32 and their sums below 1e38.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rounding;

const D: Dim = Dim::Named("D");
const V: Dim = Dim::Named("V");

const X: Input = Input::f32(0, "x", &[Dim::Front, D]);
const TABLE: Input = Input::f32(1, "table", &[V, D]);
const TOKEN: Output = Output::u32(0, "token", &[Dim::Front], Accuracy::NearTie);

/// What it takes and gives.
pub static SIGNATURE: Signature =
    Signature::new("rounding", "token = arg-max of x table^T, the lower index on a tie", &[X, TABLE], &[TOKEN], &[]);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(_: &mut Arguments) -> Result<Box<dyn Op>> {
    Ok(Box::new(Rounding))
}

impl Op for Rounding {
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
        let flops = 2.0 * shapes.rows() as f64 * shapes.size(D) as f64 * shapes.size(V) as f64;
        Cost { flops, bytes: shapes.bytes() }
    }
}
