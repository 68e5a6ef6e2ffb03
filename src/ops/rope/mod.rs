//! `rope`: rotary positions.

#[cfg(feature = "cpu")]
mod cpu;
mod gpu;
#[cfg(feature = "reference")]
mod reference;

#[cfg(feature = "cpu")]
pub(super) use cpu::turn as turn_on_cpu;

use crate::gpu::Capabilities;
#[cfg(feature = "cpu")]
use crate::op::CpuIo;
use crate::op::{Accuracy, Arguments, Choice, Cost, Dim, Entry, Input, Op, Output, Setting, Shapes, Signature};
#[cfg(feature = "reference")]
use crate::op::{ReferenceData, ReferenceIo};
use crate::{Desc, Error, Result, Tensor, memory};

/// Turns dims `(2j, 2j + 1)` of each head, `(a, b)`, to `(a cos - b sin, a sin + b cos)` (Su et al. 2021): see
/// [`SIGNATURE`]. The table holds (cos, sin) by position and pair, and all sequences share it; dims from `rotary_dim` on
/// are copied. `x` is one sequence or a batch of them.
///
/// NMSE is at most 1e-9 in f32 for `x` of any size from 1e-30 to 1e30: a turn keeps the size of a pair, so nothing cancels
/// that counts.
#[derive(Clone, Copy, Debug)]
pub struct Rope {
    /// Heads: contiguous slices of `D / heads`.
    pub heads: usize,
    /// Dims at the start of a head that are turned; even, at most `D / heads`.
    pub rotary_dim: usize,
}

const R: Dim = Dim::Named("R");
const D: Dim = Dim::Named("D");
const PAIRS: Dim = Dim::MayBeZero("rotary_dim / 2");

const X: Input = Input::f32(0, "x", &[Dim::Front, R, D]);
const TABLE: Input = Input::f32(1, "table", &[R, PAIRS, Dim::Fixed(2)]);
const Y: Output = Output::f32(0, "y", &[Dim::Front, R, D], Accuracy::Nmse(1e-9));

const HEADS: Setting = Setting { name: "heads", default: "", meaning: "contiguous slices of D" };
const ROTARY_DIM: Setting = Setting { name: "rotary_dim", default: "", meaning: "dims of a head that are turned" };
/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "rope",
    "y = x with the first rotary_dim dims of each head turned by the table",
    &[X, TABLE],
    &[Y],
    &[HEADS, ROTARY_DIM],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(arguments: &mut Arguments) -> Result<Box<dyn Op>> {
    Ok(Box::new(Rope { heads: arguments.setting(HEADS)?, rotary_dim: arguments.setting(ROTARY_DIM)? }))
}

/// The table for [`Rope`], `[anchors + positions, rotary_dim / 2, 2]`: text position `p` turns pair `j` by
/// `p base^(-2j / rotary_dim)`; the rows of the anchors, which come first, are zeros and so set those dims to zero.
///
/// # Errors
/// If `rotary_dim` is odd, or the memory is refused.
pub fn rope_table(anchors: usize, positions: usize, rotary_dim: usize, base: f64) -> Result<Tensor> {
    even(rotary_dim)?;
    let pairs = rotary_dim / 2;
    let frequencies: Vec<f64> = (0..pairs).map(|j| base.powf(-2.0 * j as f64 / rotary_dim as f64)).collect();
    let mut table = memory::empty("the table of rotations", (anchors + positions) * rotary_dim)?;
    table.resize(anchors * rotary_dim, 0.0);
    for p in 0..positions {
        for frequency in &frequencies {
            let (sin, cos) = (p as f64 * frequency).sin_cos();
            table.extend([cos as f32, sin as f32]);
        }
    }
    Tensor::f32([anchors + positions, pairs, 2], table)
}

fn even(rotary_dim: usize) -> Result<()> {
    match rotary_dim.is_multiple_of(2) {
        true => Ok(()),
        false => Err(Error::argument("rotary_dim of rope", rotary_dim, "an even number")),
    }
}

/// Refuses a `rotary_dim` that a head has no room for.
pub(crate) fn check_dim(rotary_dim: usize, head_dim: usize) -> Result<()> {
    even(rotary_dim)?;
    match rotary_dim <= head_dim {
        true => Ok(()),
        false => Err(Error::argument("rotary_dim of rope", rotary_dim, format!("at most the head's {head_dim}"))),
    }
}

impl Op for Rope {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        even(self.rotary_dim)?;
        let shapes = SIGNATURE.bind(inputs, &[(PAIRS, self.rotary_dim / 2)])?;
        let (x, dim) = (shapes.input(X), shapes.size(D));
        if x.shape.len() > 3 {
            return Err(Error::shape(SIGNATURE.name, X.name, x.to_string(), "[R, D] or [B, R, D]"));
        }
        if self.heads == 0 || !dim.is_multiple_of(self.heads) {
            return Err(Error::argument("heads of rope", self.heads, format!("a divisor of D = {dim}")));
        }
        check_dim(self.rotary_dim, dim / self.heads)?;
        Ok(shapes)
    }

    fn choices(&self, shapes: &Shapes, _device: &Capabilities) -> Result<Vec<Choice>> {
        gpu::choices(self, shapes)
    }

    #[cfg(feature = "cpu")]
    fn run_cpu(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        cpu::run(self, shapes, io);
        Ok(())
    }

    #[cfg(feature = "reference")]
    fn run_reference(&self, shapes: &Shapes, io: &ReferenceIo<'_>) -> Result<Vec<ReferenceData>> {
        Ok(reference::run(self, shapes, io))
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        // Two products and a sum for each turned element.
        let turned = shapes.input(X).rows() * self.heads * self.rotary_dim;
        Cost { flops: 3.0 * turned as f64, bytes: shapes.bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_reference_rounded() {
        let table = rope_table(2, 50, 6, 10_000.0).unwrap();
        assert_eq!(table.desc().shape, [52, 3, 2]);
        let want = drdiff_reference::nn::rope_table(2, 50, 6, 10_000.0);
        for (got, want) in table.as_f32().unwrap().iter().zip(want) {
            approx::assert_abs_diff_eq!(f64::from(*got), want, epsilon = 1e-7);
        }
        assert!(rope_table(0, 4, 3, 10_000.0).is_err());
    }
}
