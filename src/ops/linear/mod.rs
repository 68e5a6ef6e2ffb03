//! `linear`: `y = residual + gate * activation(x weight^T + bias)`.

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
use crate::{Desc, Result};

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

/// A product with a weight, and what follows it: see [`SIGNATURE`]. The gate is `N` values of its tensor, from
/// `gate_offset` on.
///
/// NMSE is at most 1e-9 in f32 where the products that make up a `y` are 0 or above 1e-32 and sum to less than 3e38, and
/// where their sizes sum to at most 100 times `|y|`: what cancels takes its digits along. Activations have their digits
/// in the tails too, down to values of 1e-36, below which they are 0. Of a `K` in the thousands, products of one sign
/// and size come closest to the bound.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linear {
    /// Applied before gate and residual.
    pub activation: Activation,
    /// First element of the gate.
    pub gate_offset: usize,
}

const K: Dim = Dim::Named("K");
const N: Dim = Dim::Named("N");

const X: Input = Input::f32(0, "x", &[Dim::Front, K]);
const WEIGHT: Input = Input::f32(1, "weight", &[N, K]);
const BIAS: Input = Input::f32(2, "bias", &[N]).optional();
const RESIDUAL: Input = Input::f32(3, "residual", &[Dim::Front, N]).optional();
const GATE: Input = Input::any(4, "gate").optional();
const Y: Output = Output::f32(0, "y", &[Dim::Front, N], Accuracy::Nmse(1e-9));

const ACTIVATION: Setting = Setting { name: "activation", default: "none", meaning: "none, silu or gelu" };
const GATE_OFFSET: Setting = Setting { name: "gate_offset", default: "0", meaning: "first element of the gate" };

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "linear",
    "y = residual + gate * activation(x weight^T + bias)",
    &[X, WEIGHT, BIAS, RESIDUAL, GATE],
    &[Y],
    &[ACTIVATION, GATE_OFFSET],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(arguments: &mut Arguments) -> Result<Box<dyn Op>> {
    let words = [("none", Activation::None), ("silu", Activation::Silu), ("gelu", Activation::Gelu)];
    let activation = arguments.choice(ACTIVATION, &words)?;
    Ok(Box::new(Linear { activation, gate_offset: arguments.offset(GATE_OFFSET, GATE)? }))
}

impl Op for Linear {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        let shapes = SIGNATURE.bind(inputs, &[])?;
        shapes.at_least(GATE, self.gate_offset.saturating_add(shapes.size(N)))?;
        Ok(shapes)
    }

    fn choices(&self, shapes: &Shapes, device: &Capabilities) -> Result<Vec<Choice>> {
        gpu::choices(self, shapes, device)
    }

    #[cfg(feature = "cpu")]
    fn run_cpu(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        cpu::run(self, shapes, io)
    }

    #[cfg(feature = "reference")]
    fn run_reference(&self, shapes: &Shapes, io: &ReferenceIo<'_>) -> Result<Vec<ReferenceData>> {
        Ok(reference::run(self, shapes, io))
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        let flops = 2.0 * shapes.rows() as f64 * shapes.size(K) as f64 * shapes.size(N) as f64;
        Cost { flops, bytes: shapes.bytes() }
    }
}
