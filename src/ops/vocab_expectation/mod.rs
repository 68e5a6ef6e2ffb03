//! `vocab_expectation`: the mean embedding under a softmax over the vocabulary.

#[cfg(feature = "cpu")]
mod cpu;
mod gpu;
#[cfg(feature = "reference")]
mod reference;
pub(crate) mod splits;

use crate::gpu::Capabilities;
#[cfg(feature = "cpu")]
use crate::op::CpuIo;
use crate::op::{Accuracy, Arguments, Choice, Cost, Dim, Entry, Input, Op, Output, Setting, Shapes, Signature};
#[cfg(feature = "reference")]
use crate::op::{ReferenceData, ReferenceIo};
use crate::ops::StepRow;
use crate::ops::norm::{SCALE_OFFSET, SHIFT_OFFSET, check_eps};
use crate::{Desc, Error, Result};

/// `x0 = softmax(logits) embed` with `logits = h unembed^T + skip embed^T`, and of each row `lse` (natural log of the sum of
/// exp), `entropy` in nats, and `token`, the arg-max, the lower index on a tie (score interpolation, Dieleman et al.
/// 2022): see [`SIGNATURE`]. Memory grows with rows, never with rows times V. Logits must be finite: where they are
/// not, the row has a `token` below V and is otherwise meaningless.
///
/// In f32 NMSE is at most 1e-9 (`entropy` 1e-8), and `token` right except for logits within 1e-5 of the row's largest, where
/// logits are good to about 2e-5, as a softmax turns the error of a logit into a relative one of its weight: where the
/// sizes of the products of a logit sum to 64 or so; where those products and their sums are exact, whatever their size;
/// and where one token stands far above the others.
///
/// What comes before it may be left to it. With a `modulation`, `h` is the state before its last norm, and stands for what
/// [`Norm`](crate::ops::Norm) of kind `rms` makes of it. With `absorb` and `step`, `skip` is the noisy state z, and stands
/// for what [`BayesQuery`](crate::ops::BayesQuery) makes of it.
#[derive(Clone, Copy, Debug)]
pub struct VocabExpectation {
    /// Added to the mean square of a row of `h`; above 0.
    pub eps: f32,
    /// First element of the shift in the modulation.
    pub shift_offset: usize,
    /// First element of the scale in the modulation.
    pub scale_offset: usize,
}

impl Default for VocabExpectation {
    fn default() -> Self {
        Self { eps: 1e-6, shift_offset: 0, scale_offset: 0 }
    }
}

const D: Dim = Dim::Named("D");
const V: Dim = Dim::Named("V");
const DE: Dim = Dim::Named("De");

const H: Input = Input::f32(0, "h", &[Dim::Front, D]);
const UNEMBED: Input = Input::f32(1, "unembed", &[V, D]);
const EMBED: Input = Input::f32(2, "embed", &[V, DE]);
const SKIP: Input = Input::f32(3, "skip", &[Dim::Front, DE]).optional();
const ABSORB: Input = Input::f32(4, "absorb", &[DE]).optional();
const STEP: Input = StepRow::input(5).optional();
const MODULATION: Input = Input::any(6, "modulation").optional();
const X0: Output = Output::f32(0, "x0", &[Dim::Front, DE], Accuracy::Nmse(1e-9));
const LSE: Output = Output::f32(1, "lse", &[Dim::Front], Accuracy::Nmse(1e-9));
const ENTROPY: Output = Output::f32(2, "entropy", &[Dim::Front], Accuracy::Nmse(1e-8));
const TOKEN: Output = Output::u32(3, "token", &[Dim::Front], Accuracy::NearTie);

const EPS: Setting = Setting { name: "eps", default: "1e-6", meaning: "added to the mean square of h" };

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "vocab_expectation",
    "x0 = softmax(h unembed^T + skip embed^T) embed, with each row's lse, entropy and arg-max",
    &[H, UNEMBED, EMBED, SKIP, ABSORB, STEP, MODULATION],
    &[X0, LSE, ENTROPY, TOKEN],
    &[EPS, SHIFT_OFFSET, SCALE_OFFSET],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(arguments: &mut Arguments) -> Result<Box<dyn Op>> {
    Ok(Box::new(VocabExpectation {
        eps: arguments.setting(EPS)?,
        shift_offset: arguments.offset(SHIFT_OFFSET, MODULATION)?,
        scale_offset: arguments.offset(SCALE_OFFSET, MODULATION)?,
    }))
}

impl Op for VocabExpectation {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        check_eps(self.eps)?;
        let shapes = SIGNATURE.bind(inputs, &[])?;
        shapes.at_least(MODULATION, self.shift_offset.max(self.scale_offset).saturating_add(shapes.size(D)))?;
        let query = [ABSORB, STEP].map(|input| shapes.has(input));
        if query[0] != query[1] || (query[0] && !shapes.has(SKIP)) {
            let given = [SKIP, ABSORB, STEP].iter().filter(|input| shapes.has(**input)).map(|input| input.name);
            let given = given.collect::<Vec<_>>().join(" and ");
            let expected = "`skip`, `absorb` and `step` together, `skip` alone, or none of them";
            return Err(Error::argument("inputs of vocab_expectation", given, expected));
        }
        Ok(shapes)
    }

    fn choices(&self, shapes: &Shapes, _device: &Capabilities) -> Result<Vec<Choice>> {
        gpu::choices(self, shapes)
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
        inputs.resize(SIGNATURE.inputs.len(), None);
        let mut prepared =
            Call::new(VocabExpectation::default(), inputs).prepare(&Device::Cpu, Default::default()).unwrap();
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
    fn a_query_needs_all_that_it_is_made_of() {
        let [h, table, step] = [[2, 4], [3, 4], [1, 16]].map(|shape| Desc::f32(shape.to_vec()));
        let (absorb, step) = (Desc::f32([4]), Desc::f32([step.last()]));
        let infer = |skip: bool, absorbs: bool, steps: bool| {
            let query = [skip.then_some(&h), absorbs.then_some(&absorb), steps.then_some(&step)];
            let inputs = [&[&h, &table, &table].map(Some)[..], &query, &[None]].concat();
            VocabExpectation::default().infer(&inputs).map(|_| ())
        };
        assert!(
            infer(false, false, false).is_ok() && infer(true, false, false).is_ok() && infer(true, true, true).is_ok()
        );
        for [skip, absorbs, steps] in [[false, true, true], [true, true, false], [true, false, true]] {
            let error = infer(skip, absorbs, steps).unwrap_err().to_string();
            assert!(error.contains("`skip`, `absorb` and `step` together"), "{error}");
        }
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
