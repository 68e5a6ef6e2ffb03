//! `finite_check`: whether an evaluation can be believed.

mod cpu;
mod gpu;
mod reference;

use crate::Result;
use crate::gpu::Capabilities;
use crate::op::{
    Accuracy, Arguments, Choice, Cost, CpuIo, Dim, Entry, Input, Op, ReferenceData, ReferenceIo, Shapes, Signature,
};
use crate::ops::StepRow;

/// Whether the rows of an evaluation are finite: see [`SIGNATURE`]. `z` is the state after the update, `h` what the logits
/// are made of, `lengths` the rows of each sequence, anchors included. `report` becomes the first evaluation that met a
/// value which is NaN or infinite, and how many rows of it held one. Padding does not count. Evaluations go by the number
/// in `step` and come in rising order.
#[derive(Clone, Copy, Debug, Default)]
pub struct FiniteCheck;

const B: Dim = Dim::Named("B");
const R: Dim = Dim::Named("R");
const DE: Dim = Dim::Named("De");
const D: Dim = Dim::Named("D");

const X0: Input = Input::f32(0, "x0", &[B, R, DE]);
const Z: Input = Input::f32(1, "z", &[B, R, DE]);
const LSE: Input = Input::f32(2, "lse", &[B, R]);
const ENTROPY: Input = Input::f32(3, "entropy", &[B, R]);
const H: Input = Input::f32(4, "h", &[B, R, D]);
const LENGTHS: Input = Input::u32(5, "lengths", &[B]);
const STEP: Input = StepRow::input(6);
const REPORT: Input = Input::u32(7, "report", &[Dim::Fixed(2)]).updated(Accuracy::Exact);

/// What must be finite.
const WATCHED: [Input; 5] = [X0, Z, LSE, ENTROPY, H];

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "finite_check",
    "report = the first evaluation with a row of x0, z, lse, entropy or h that is not finite, and how many such rows",
    &[X0, Z, LSE, ENTROPY, H, LENGTHS, STEP, REPORT],
    &[],
    &[],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

impl FiniteCheck {
    /// The report at the start of a run, and as long as every row is finite.
    pub const START: [u32; 2] = [u32::MAX, 0];
}

fn build(_: &mut Arguments) -> Result<Box<dyn Op>> {
    Ok(Box::new(FiniteCheck))
}

impl Op for FiniteCheck {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn choices(&self, shapes: &Shapes, _device: &Capabilities) -> Result<Vec<Choice>> {
        gpu::choices(shapes)
    }

    fn run_cpu(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        cpu::run(shapes, io);
        Ok(())
    }

    fn run_reference(&self, shapes: &Shapes, io: &ReferenceIo<'_>) -> Result<Vec<ReferenceData>> {
        Ok(reference::run(shapes, io))
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        Cost { flops: 0.0, bytes: shapes.bytes() }
    }
}
