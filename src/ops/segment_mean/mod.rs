//! `segment_mean`: the mean of the current prediction over each segment.

#[cfg(feature = "cpu")]
mod cpu;
mod gpu;
#[cfg(feature = "reference")]
mod reference;

use crate::gpu::Capabilities;
#[cfg(feature = "cpu")]
use crate::op::CpuIo;
use crate::op::index32;
use crate::op::{Accuracy, Arguments, Choice, Cost, Dim, Entry, Input, Op, Output, Setting, Shapes, Signature};
#[cfg(feature = "reference")]
use crate::op::{ReferenceData, ReferenceIo};
use crate::{Desc, Error, Result};

/// The mean of `x0` over the text rows of each segment, zeros where a segment is empty: see [`SIGNATURE`]. `lengths` are
/// the rows of each sequence, anchors included, at most R. Rows of anchors and padding are not read.
///
/// NMSE is at most 1e-9 in f32 for values of any size from 1e-25 to 1e25 over segments of at least 8,191 rows, as long as
/// the sizes of a sum's terms add up to at most 100 times the sum's.
#[derive(Clone, Copy, Debug)]
pub struct SegmentMean {
    /// Anchor rows before the text, A; at least 1.
    pub anchors: usize,
}

const B: Dim = Dim::Named("B");
const R: Dim = Dim::Named("R");
const A: Dim = Dim::Named("A");
const DE: Dim = Dim::Named("De");

const X0: Input = Input::f32(0, "x0", &[B, R, DE]);
const LENGTHS: Input = Input::u32(1, "lengths", &[B]);
const MEAN: Output = Output::f32(0, "mean", &[B, A, DE], Accuracy::Nmse(1e-9));

const ANCHORS: Setting = Setting { name: "anchors", default: "", meaning: "A, anchor rows ahead of the text" };

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "segment_mean",
    "mean of x0 over the text rows of each segment",
    &[X0, LENGTHS],
    &[MEAN],
    &[ANCHORS],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(arguments: &mut Arguments) -> Result<Box<dyn Op>> {
    let op = SegmentMean { anchors: arguments.setting(ANCHORS)? };
    let rows = arguments.peek(X0).and_then(|x0| x0.desc().shape.get(1).copied());
    let lengths = arguments.peek(LENGTHS).and_then(|lengths| lengths.as_u32()).unwrap_or(&[]);
    let (Some(rows), false) = (rows, op.anchors == 0) else { return Ok(Box::new(op)) };
    match lengths.iter().find(|&&length| !(op.anchors..=rows).contains(&(length as usize))) {
        None => Ok(Box::new(op)),
        Some(length) => {
            let expected = format!("from the {} anchors to the {rows} rows there are", op.anchors);
            Err(Error::argument("`lengths` of segment_mean", length, expected))
        }
    }
}

impl SegmentMean {
    /// Refuses anchors that do not suit sequences of `rows`, anchors included.
    pub(crate) fn check(&self, rows: usize) -> Result<()> {
        if self.anchors == 0 || self.anchors > rows {
            let expected = format!("1 to the {rows} rows of x0");
            return Err(Error::shape("segment_mean", "anchors", self.anchors.to_string(), expected));
        }
        // (segment + 1) * n is computed in 32 bits.
        index32("segment_mean", "anchors x rows", (self.anchors + 1).saturating_mul(rows)).map(|_| ())
    }
}

impl Op for SegmentMean {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        let shapes = SIGNATURE.bind(inputs, &[(A, self.anchors)])?;
        self.check(shapes.size(R))?;
        Ok(shapes)
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
    fn run_reference(&self, shapes: &Shapes, io: &ReferenceIo<'_>) -> Result<Vec<ReferenceData>> {
        Ok(reference::run(shapes, io))
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        Cost { flops: shapes.input(X0).len() as f64, bytes: shapes.bytes() }
    }
}
