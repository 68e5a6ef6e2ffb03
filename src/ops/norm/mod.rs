//! `norm`: RMS or layer norm without learned weights, then a shift and a scale from an input.

#[cfg(feature = "cpu")]
mod cpu;
mod gpu;
#[cfg(feature = "reference")]
mod reference;

#[cfg(feature = "cpu")]
pub(super) use cpu::rows as rows_on_cpu;

use crate::gpu::Capabilities;
#[cfg(feature = "cpu")]
use crate::op::CpuIo;
use crate::op::{Accuracy, Arguments, Choice, Cost, Dim, Entry, Input, Op, Output, Setting, Shapes, Signature};
#[cfg(feature = "reference")]
use crate::op::{ReferenceData, ReferenceIo};
use crate::{Desc, Error, Result};

/// What a row is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NormKind {
    /// The root of its mean square plus `eps`.
    #[default]
    Rms,
    /// The root of its variance plus `eps`, after subtracting its mean.
    Layer,
}

/// `norm(x) (1 + scale) + shift` (adaLN, Peebles and Xie 2023), or `norm(x)` without a modulation: see [`SIGNATURE`].
/// Shift and scale are `D` values of the modulation each.
///
/// NMSE is at most 1e-9 in f32, however large the values of a row and their mean, as long as a row's own sum is finite
/// and the mean of its squares (layer norm: of the distances from its mean) plus `eps` is above 1e-34: smaller squares are
/// flushed to zero.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// What a row is divided by.
    pub kind: NormKind,
    /// Added to the mean square; above 0.
    pub eps: f32,
    /// First element of the shift.
    pub shift_offset: usize,
    /// First element of the scale.
    pub scale_offset: usize,
}

const D: Dim = Dim::Named("D");

const X: Input = Input::f32(0, "x", &[Dim::Front, D]);
const MODULATION: Input = Input::any(1, "modulation").optional();
const Y: Output = Output::f32(0, "y", &[Dim::Front, D], Accuracy::Nmse(1e-9));

pub(super) const KIND: Setting = Setting { name: "kind", default: "rms", meaning: "rms or layer" };
pub(super) const EPS: Setting = Setting { name: "eps", default: "1e-6", meaning: "added to the mean square" };
pub(super) const SHIFT_OFFSET: Setting =
    Setting { name: "shift_offset", default: "0", meaning: "first element of the shift" };
pub(super) const SCALE_OFFSET: Setting =
    Setting { name: "scale_offset", default: "0", meaning: "first element of the scale" };

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "norm",
    "y = norm(x) (1 + scale) + shift",
    &[X, MODULATION],
    &[Y],
    &[KIND, EPS, SHIFT_OFFSET, SCALE_OFFSET],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(arguments: &mut Arguments) -> Result<Box<dyn Op>> {
    Ok(Box::new(from_settings(arguments, MODULATION)?))
}

/// The norm that the settings of an op say, whose shift and scale are in `modulation`.
pub(super) fn from_settings(arguments: &mut Arguments, modulation: Input) -> Result<Norm> {
    Ok(Norm {
        kind: arguments.choice(KIND, &[("rms", NormKind::Rms), ("layer", NormKind::Layer)])?,
        eps: arguments.setting(EPS)?,
        shift_offset: arguments.offset(SHIFT_OFFSET, modulation)?,
        scale_offset: arguments.offset(SCALE_OFFSET, modulation)?,
    })
}

/// Refuses an eps that is not a number above 0, or one that a device may take for 0.
pub(crate) fn check_eps(eps: f32) -> Result<()> {
    match eps >= f32::MIN_POSITIVE && eps.is_finite() {
        true => Ok(()),
        false => {
            let expected = format!("a finite number from {:e} on", f32::MIN_POSITIVE);
            Err(Error::argument("eps of norm", format!("{eps:e}"), expected))
        }
    }
}

impl Op for Norm {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        check_eps(self.eps)?;
        let shapes = SIGNATURE.bind(inputs, &[])?;
        shapes.at_least(MODULATION, self.shift_offset.max(self.scale_offset).saturating_add(shapes.size(D)))?;
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
        let modulated = usize::from(shapes.has(MODULATION));
        // Square, sum and product; then two for the modulation, two for the mean.
        let each = 3 + 2 * modulated + 2 * usize::from(self.kind == NormKind::Layer);
        let x = shapes.input(X).len() as f64;
        let modulation = 2 * modulated * shapes.size(D);
        Cost { flops: each as f64 * x, bytes: 4.0 * (2.0 * x + modulation as f64) }
    }
}
