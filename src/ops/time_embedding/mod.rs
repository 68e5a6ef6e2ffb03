//! `time_embedding`: the features that tell the network the time.

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
use crate::{Desc, Error, Result, Tensor};

/// `cos(gamma w_j)`, then `sin(gamma w_j)`, for each `gamma = ln(sigma^2 / alpha^2)`: see [`SIGNATURE`].
/// [`time_frequencies`] gives the frequencies.
///
/// NMSE is at most 1e-9 in f32 where `|gamma|` is at most 300; called by name, the op refuses more.
#[derive(Clone, Copy, Debug)]
pub struct TimeEmbedding {
    /// Features; even, at least 4.
    pub dim: usize,
}

const S: Dim = Dim::Named("S");
const HALF: Dim = Dim::Named("dim / 2");
const DIM: Dim = Dim::Named("dim");

const GAMMA: Input = Input::f32(0, "gamma", &[S]);
const FREQUENCIES: Input = Input::f32(1, "frequencies", &[HALF]);
const FEATURES: Output = Output::f32(0, "features", &[S, DIM], Accuracy::Nmse(1e-9));

const DIM_SETTING: Setting =
    Setting { name: "dim", default: "", meaning: "features, even; frequencies follow from it" };

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "time_embedding",
    "features = cos, then sin, of each gamma times each frequency",
    &[GAMMA, FREQUENCIES],
    &[FEATURES],
    &[DIM_SETTING],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(arguments: &mut Arguments) -> Result<Box<dyn Op>> {
    let op = TimeEmbedding { dim: arguments.setting(DIM_SETTING)? };
    // Far beyond any schedule, where an angle in f32 has few digits left.
    let gamma = arguments.peek(GAMMA).and_then(Tensor::as_f32).unwrap_or(&[]);
    if let Some(gamma) = gamma.iter().find(|gamma| gamma.abs() > 300.0) {
        return Err(Error::argument("gamma", gamma, "-300 to 300"));
    }
    let frequencies = time_frequencies(op.dim)?;
    arguments.put(FREQUENCIES, frequencies);
    Ok(Box::new(op))
}

/// The frequencies for [`TimeEmbedding`], `[dim / 2]`: from 4 geometrically down to 1/16,
/// `w_j = 4 (1/64)^(j / (dim/2 - 1))`.
///
/// # Errors
/// If `dim` is odd or below 4.
pub fn time_frequencies(dim: usize) -> Result<Tensor> {
    check_dim(dim)?;
    let half = dim / 2;
    let frequency = |j: usize| (4.0 * (1.0_f64 / 64.0).powf(j as f64 / (half - 1) as f64)) as f32;
    Tensor::f32([half], (0..half).map(frequency).collect())
}

pub(crate) fn check_dim(dim: usize) -> Result<()> {
    match (4..=1 << 16).contains(&dim) && dim.is_multiple_of(2) {
        true => Ok(()),
        false => Err(Error::argument("dim of time_embedding", dim, "an even number from 4 to 65536")),
    }
}

impl Op for TimeEmbedding {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        check_dim(self.dim)?;
        SIGNATURE.bind(inputs, &[(DIM, self.dim), (HALF, self.dim / 2)])
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
        // A product, a reduction of the angle, two polynomials.
        let angles = shapes.size(S) as f64 * shapes.size(HALF) as f64;
        Cost { flops: 26.0 * angles, bytes: shapes.bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequencies_are_the_reference_rounded() {
        for dim in [4, 34, 128] {
            let got = time_frequencies(dim).unwrap();
            let want = drdiff_reference::nn::time_frequencies(dim / 2);
            for (got, want) in got.as_f32().unwrap().iter().zip(want) {
                approx::assert_relative_eq!(f64::from(*got), want, max_relative = 1e-7);
            }
        }
    }
}
