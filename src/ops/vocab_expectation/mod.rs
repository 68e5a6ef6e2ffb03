//! `vocab_expectation`: the mean embedding under a softmax over the vocabulary.

#[cfg(feature = "cpu")]
mod cpu;
mod gpu;
#[cfg(feature = "reference")]
mod reference;
pub(crate) mod splits;

use crate::Result;
use crate::gpu::Capabilities;
#[cfg(feature = "cpu")]
use crate::op::CpuIo;
use crate::op::{Accuracy, Arguments, Choice, Cost, Dim, Entry, Input, Op, Output, Shapes, Signature};
#[cfg(feature = "reference")]
use crate::op::{ReferenceData, ReferenceIo};

/// `x0 = softmax(logits) embed` with `logits = h unembed^T + skip embed^T`, and of each row `lse` (natural log of the sum of
/// exp), `entropy` in nats, and `token`, the arg-max, the lower index on a tie (score interpolation, Dieleman et al.
/// 2022): see [`SIGNATURE`]. Memory grows with rows, never with rows times V. Logits must be finite: where they are
/// not, the row has a `token` below V and is otherwise meaningless.
///
/// In f32 NMSE is at most 1e-9 (`entropy` 1e-8), and `token` right except for logits within 1e-5 of the row's largest, where
/// logits are good to about 2e-5, as a softmax turns the error of a logit into a relative one of its weight: where the
/// sizes of the products of a logit sum to 64 or so; where those products and their sums are exact, whatever their size;
/// and where one token stands far above the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct VocabExpectation;

const D: Dim = Dim::Named("D");
const V: Dim = Dim::Named("V");
const DE: Dim = Dim::Named("De");

const H: Input = Input::f32(0, "h", &[Dim::Front, D]);
const UNEMBED: Input = Input::f32(1, "unembed", &[V, D]);
const EMBED: Input = Input::f32(2, "embed", &[V, DE]);
const SKIP: Input = Input::f32(3, "skip", &[Dim::Front, DE]).optional();
const X0: Output = Output::f32(0, "x0", &[Dim::Front, DE], Accuracy::Nmse(1e-9));
const LSE: Output = Output::f32(1, "lse", &[Dim::Front], Accuracy::Nmse(1e-9));
const ENTROPY: Output = Output::f32(2, "entropy", &[Dim::Front], Accuracy::Nmse(1e-8));
const TOKEN: Output = Output::u32(3, "token", &[Dim::Front], Accuracy::NearTie);

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "vocab_expectation",
    "x0 = softmax(h unembed^T + skip embed^T) embed, with each row's lse, entropy and arg-max",
    &[H, UNEMBED, EMBED, SKIP],
    &[X0, LSE, ENTROPY, TOKEN],
    &[],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(_: &mut Arguments) -> Result<Box<dyn Op>> {
    Ok(Box::new(VocabExpectation))
}

impl Op for VocabExpectation {
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
        let products = shapes.size(D) + shapes.size(DE) * (1 + usize::from(shapes.has(SKIP)));
        let flops = 2.0 * shapes.rows() as f64 * shapes.size(V) as f64 * products as f64;
        Cost { flops, bytes: shapes.bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Call;
    use crate::{Device, Tensor};

    fn run(h: Vec<f32>, unembed: Vec<f32>) -> Vec<Tensor> {
        let vocab = unembed.len();
        let inputs = [
            Tensor::f32([h.len(), 1], h).unwrap(),
            Tensor::f32([vocab, 1], unembed).unwrap(),
            Tensor::f32([vocab, 1], vec![1.0; vocab]).unwrap(),
        ];
        let mut inputs: Vec<_> = inputs.into_iter().map(Some).collect();
        inputs.push(None);
        let mut prepared = Call::new(VocabExpectation, inputs).prepare(&Device::Cpu, Default::default()).unwrap();
        prepared.executor.run().unwrap();
        prepared.values.iter().map(|&value| prepared.executor.read(value).unwrap()).collect()
    }

    #[test]
    fn ties_go_to_the_lower_token_across_blocks_and_spans() {
        let unembed: Vec<f32> = (0..3000).map(|token| if token % 700 == 699 { 2.0 } else { 1.0 }).collect();
        let outputs = run(vec![1.0, -1.0, 0.0], unembed);
        assert_eq!(outputs[3].as_u32().unwrap(), [699, 0, 0]);
    }

    #[test]
    fn a_sure_row_keeps_its_entropy() {
        // One token 40 above 63 others: log1p(tail) + 40 tail / (1 + tail) with tail = 63 e^-40.
        let mut unembed = vec![0.0; 64];
        unembed[37] = 1.0;
        let outputs = run(vec![40.0, f32::NAN], unembed);
        let entropy = outputs[2].as_f32().unwrap();
        approx::assert_relative_eq!(f64::from(entropy[0]), 1.097_349_904_141_817e-14, max_relative = 1e-6);
        assert!(entropy[1].is_nan());
        assert!(outputs[3].as_u32().unwrap()[1] < 64);
    }
}
