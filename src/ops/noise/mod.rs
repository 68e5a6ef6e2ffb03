//! `noise`: counter-based normals, the same bits on every device.

mod cpu;
mod gpu;
mod reference;

use crate::gpu::Capabilities;
use crate::op::{
    Accuracy, Arguments, Choice, Cost, CpuIo, Dim, Entry, Input, Op, Output, ReferenceData, ReferenceIo, Setting,
    Shapes, Signature,
};
use crate::{Desc, Error, Result, Tensor};

/// Bits by Philox4x32-10, normals of them by Box-Muller: see [`SIGNATURE`]. A seed is two words, the low one first. Block
/// `b` is Philox of the counter `(b, stream, 0, 0)` under the seed (Salmon et al. 2011). Of a single seed the outputs are
/// `[count]`.
///
/// `bits` are equal on every device and `normal` is within 1e-5 of its f64 value, for every seed, stream and place.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// Second word of the counter.
    pub stream: u32,
    /// Elements for each sequence.
    pub count: usize,
}

const B: Dim = Dim::Named("B");
const COUNT: Dim = Dim::MayBeZero("count");

const SEEDS: Input = Input::u32(0, "seeds", &[B, Dim::Fixed(2)]);
const BITS: Output = Output::u32(0, "bits", &[B, COUNT], Accuracy::Exact);
const NORMAL: Output = Output::f32(1, "normal", &[B, COUNT], Accuracy::Absolute(1e-5));

const COUNT_SETTING: Setting = Setting { name: "count", default: "", meaning: "elements for each seed" };
const SEED: Setting = Setting { name: "seed", default: "0", meaning: "one seed, in place of the tensor `seeds`" };
const STREAM: Setting = Setting { name: "stream", default: "0", meaning: "second word of the counter" };

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "noise",
    "bits by Philox4x32-10, normal by Box-Muller",
    &[SEEDS],
    &[BITS, NORMAL],
    &[SEED, STREAM, COUNT_SETTING],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(arguments: &mut Arguments) -> Result<Box<dyn Op>> {
    let op = Noise { count: arguments.setting(COUNT_SETTING)?, stream: arguments.setting(STREAM)? };
    let seed: Option<u64> = arguments.given(SEED)?;
    if let (Some(seed), Some(_)) = (seed, arguments.peek(SEEDS)) {
        let found = format!("{seed}, beside a tensor `seeds`");
        return Err(Error::argument("the setting `seed`", found, "one or the other"));
    }
    arguments.put(SEEDS, Tensor::u32([1, 2], seed_words(seed.unwrap_or(0)).to_vec())?);
    Ok(Box::new(op))
}

/// A seed as kernels take it: low word, high word.
pub fn seed_words(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// The seeds that pairs of words stand for.
pub(crate) fn seeds(words: &[u32]) -> impl Iterator<Item = u64> {
    words.chunks_exact(2).map(|pair| u64::from(pair[1]) << 32 | u64::from(pair[0]))
}

impl Op for Noise {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        let mut shapes = SIGNATURE.bind(inputs, &[(COUNT, self.count)])?;
        if shapes.size(B) == 1 {
            for desc in &mut shapes.outputs {
                desc.shape.remove(0);
            }
        }
        Ok(shapes)
    }

    fn choices(&self, shapes: &Shapes, _device: &Capabilities) -> Result<Vec<Choice>> {
        gpu::choices(self, shapes)
    }

    fn run_cpu(&self, _shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        cpu::run(self, io);
        Ok(())
    }

    fn run_reference(&self, _shapes: &Shapes, io: &ReferenceIo<'_>) -> Result<Vec<ReferenceData>> {
        Ok(reference::run(self, io))
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        // Per block of 4: ten rounds of two wide products, then two logarithms, roots, sines and cosines.
        let blocks = shapes.size(B) as f64 * (self.count as f64 / 4.0);
        Cost { flops: blocks * 80.0, bytes: shapes.bytes() }
    }
}
