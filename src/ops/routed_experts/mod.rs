//! `routed_experts`: norm, router and experts as one.

#[cfg(feature = "cpu")]
mod cpu;
mod gpu;
#[cfg(feature = "reference")]
mod reference;

use super::experts::{Experts, TOP_K_SETTING, WIDTHS, widths};
use super::norm::{EPS, Norm, NormKind, check_eps};
use super::router::Router;
use crate::gpu::Capabilities;
#[cfg(feature = "cpu")]
use crate::op::CpuIo;
use crate::op::{Accuracy, Arguments, Choice, Cost, Dim, Entry, Input, Op, Output, Setting, Shapes, Signature};
#[cfg(feature = "reference")]
use crate::op::{ReferenceData, ReferenceIo};
use crate::{Desc, Result};

/// The second half of a layer: `out = x + scale * experts(h)`, where `h` is the RMS norm of `x` as
/// [`Norm`] makes it, the logits are the [`Router`]'s of `h`, and the experts are those of
/// [`Experts`]: see [`SIGNATURE`]. Shift and scale of the norm, and the scale of the experts, are `D`
/// values of the modulation each; without one, they are 0, 0 and 1.
///
/// What the three ops ask for holds here too. Indices and counts are exact where a token's logits, less the `cost_bias`,
/// are further apart than the errors of the router's sums.
#[derive(Clone, Debug, Default)]
pub struct RoutedExperts {
    /// Experts that a token goes to.
    pub top_k: usize,
    /// Hidden units of each expert, at most [`MAX_EXPERTS`](super::experts::MAX_EXPERTS) of them.
    pub widths: Vec<u32>,
    /// Added to the mean square; above 0.
    pub eps: f32,
    /// First element of the norm's shift.
    pub shift_offset: usize,
    /// First element of the norm's scale.
    pub scale_offset: usize,
    /// First element of what the experts' sum is multiplied by.
    pub gate_offset: usize,
}

const D: Dim = Dim::Named("D");
const E: Dim = Dim::Named("E");
const F: Dim = Dim::MayBeZero("sum F");
const TOP_K: Dim = Dim::Named("top_k");

const X: Input = Input::f32(0, "x", &[Dim::Front, D]);
const ROUTER: Input = Input::f32(1, "router", &[E, D]);
const ROUTER_BIAS: Input = Input::f32(2, "router_bias", &[E]);
const DIFFICULTY: Input = Input::f32(3, "difficulty", &[Dim::Front]);
const DIFFICULTY_WEIGHT: Input = Input::f32(4, "difficulty_weight", &[E]);
const GATE: Input = Input::f32(5, "gate", &[F, D]);
const UP: Input = Input::f32(6, "up", &[F, D]);
const DOWN: Input = Input::f32(7, "down", &[D, F]);
const COST_BIAS: Input = Input::f32(8, "cost_bias", &[E]).optional();
const MODULATION: Input = Input::any(9, "modulation").optional();
const OUT: Output = Output::f32(0, "out", &[Dim::Front, D], Accuracy::Nmse(1e-9));
const INDICES: Output = Output::u32(1, "indices", &[Dim::Rows, TOP_K], Accuracy::Exact);
const COUNTS: Output = Output::u32(2, "counts", &[E], Accuracy::Exact);

const SHIFT_OFFSET: Setting =
    Setting { name: "shift_offset", default: "0", meaning: "first element of the norm's shift" };
const SCALE_OFFSET: Setting =
    Setting { name: "scale_offset", default: "0", meaning: "first element of the norm's scale" };
const GATE_OFFSET: Setting =
    Setting { name: "gate_offset", default: "0", meaning: "first element of what the experts' sum is multiplied by" };

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "routed_experts",
    "out = x + scale * experts(h, router(h)), h = rms norm of x, shifted and scaled",
    &[X, ROUTER, ROUTER_BIAS, DIFFICULTY, DIFFICULTY_WEIGHT, GATE, UP, DOWN, COST_BIAS, MODULATION],
    &[OUT, INDICES, COUNTS],
    &[TOP_K_SETTING, WIDTHS, EPS, SHIFT_OFFSET, SCALE_OFFSET, GATE_OFFSET],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(arguments: &mut Arguments) -> Result<Box<dyn Op>> {
    let widths = widths(SIGNATURE.name, arguments)?;
    Ok(Box::new(RoutedExperts {
        top_k: arguments.setting(TOP_K_SETTING)?,
        widths,
        eps: arguments.setting(EPS)?,
        shift_offset: arguments.offset(SHIFT_OFFSET, MODULATION)?,
        scale_offset: arguments.offset(SCALE_OFFSET, MODULATION)?,
        gate_offset: arguments.offset(GATE_OFFSET, MODULATION)?,
    }))
}

/// The three ops that it stands for, with their shapes in a call. Their inputs are, in their signatures' order,
/// `x, modulation`, then `h, router, router_bias, difficulty, difficulty_weight`, then
/// `h, logits, gate, up, down, cost_bias, x, modulation`.
struct Parts {
    norm: (Norm, Shapes),
    router: (Router, Shapes),
    experts: (Experts, Shapes),
}

impl RoutedExperts {
    fn experts(&self) -> Experts {
        Experts { top_k: self.top_k, widths: self.widths.clone(), gate_offset: self.gate_offset }
    }

    fn norm(&self) -> Norm {
        let &Self { eps, shift_offset, scale_offset, .. } = self;
        Norm { kind: NormKind::Rms, eps, shift_offset, scale_offset }
    }

    fn parts(&self, shapes: &Shapes) -> Result<Parts> {
        let input = |input: Input| shapes.inputs[input.index].as_ref();
        let x = shapes.input(X);
        let mut logits = x.clone();
        if let Some(last) = logits.shape.last_mut() {
            *last = shapes.size(E);
        }
        let (norm, experts) = (self.norm(), self.experts());
        let normed = norm.infer(&[Some(x), input(MODULATION)])?;
        let [router, bias, difficulty, weight] = [ROUTER, ROUTER_BIAS, DIFFICULTY, DIFFICULTY_WEIGHT].map(input);
        let routed = Router.infer(&[Some(x), router, bias, difficulty, weight])?;
        let [gate, up, down, cost_bias, scale] = [GATE, UP, DOWN, COST_BIAS, MODULATION].map(input);
        let summed = experts.infer(&[Some(x), Some(&logits), gate, up, down, cost_bias, Some(x), scale])?;
        Ok(Parts { norm: (norm, normed), router: (Router, routed), experts: (experts, summed) })
    }
}

impl Op for RoutedExperts {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        check_eps(self.eps)?;
        let (experts, units) = self.experts().check()?;
        let shapes = SIGNATURE.bind(inputs, &[(E, experts), (F, units), (TOP_K, self.top_k)])?;
        let last = self.shift_offset.max(self.scale_offset).max(self.gate_offset);
        shapes.at_least(MODULATION, last.saturating_add(shapes.size(D)))?;
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
        reference::run(self, shapes, io)
    }

    /// Assumes that every expert gets the same share of the tokens, as [`Experts`] does.
    fn cost(&self, shapes: &Shapes) -> Cost {
        let parts = self.parts(shapes).ok();
        let flops = parts.map_or(0.0, |Parts { norm, router, experts }| {
            norm.0.cost(&norm.1).flops + router.0.cost(&router.1).flops + experts.0.cost(&experts.1).flops
        });
        Cost { flops, bytes: shapes.bytes() }
    }
}
