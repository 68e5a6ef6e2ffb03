//! `experts`: every token through the experts that its router logits choose.

#[cfg(feature = "cpu")]
mod cpu;
pub(super) mod gpu;
#[cfg(feature = "reference")]
mod reference;

use crate::gpu::{Capabilities, shaders};
#[cfg(feature = "cpu")]
use crate::op::CpuIo;
use crate::op::{Accuracy, Arguments, Choice, Cost, Dim, Entry, Input, Op, Output, Setting, Shapes, Signature};
#[cfg(feature = "reference")]
use crate::op::{ReferenceData, ReferenceIo};
use crate::{Desc, Error, Result};

/// The most experts there may be.
pub const MAX_EXPERTS: usize = shaders::experts_top_k::MAX_EXPERTS as usize;

/// A mixture of SwiGLU experts of different widths, without dropping: see [`SIGNATURE`].
///
/// `out = residual + scale * sum over the chosen of p_e down_e (silu(gate_e x) * up_e x)`, p the softmax of the
/// unshifted logits over the chosen. Expert `e` owns the hidden units from the sum of the widths before it; one of
/// width 0 takes its share and adds nothing. `cost_bias` is subtracted from the logits for the choice only; `scale` is D
/// values of its tensor from `gate_offset` on. `indices` are the most probable first, the lower index first where logits
/// tie; `counts` are the tokens of each expert.
///
/// Indices and counts are exact for any logits, minus infinity included where a token has `top_k` experts left. `out` has
/// an NMSE of at most 1e-9 in f32 where each of the three products meets what [`Linear`](super::Linear) asks for, the
/// hidden values with them: some 1e-15 to 1e17 in `x` with weights of unit gain.
#[derive(Clone, Debug, Default)]
pub struct Experts {
    /// Experts that a token goes to.
    pub top_k: usize,
    /// Hidden units of each expert, at most [`MAX_EXPERTS`] of them.
    pub widths: Vec<u32>,
    /// First element of `scale`.
    pub gate_offset: usize,
}

const D: Dim = Dim::Named("D");
const E: Dim = Dim::Named("E");
const F: Dim = Dim::MayBeZero("sum F");
const TOP_K: Dim = Dim::Named("top_k");

const X: Input = Input::f32(0, "x", &[Dim::Front, D]);
const ROUTER_LOGITS: Input = Input::f32(1, "router_logits", &[Dim::Front, E]);
const GATE: Input = Input::f32(2, "gate", &[F, D]);
const UP: Input = Input::f32(3, "up", &[F, D]);
const DOWN: Input = Input::f32(4, "down", &[D, F]);
const COST_BIAS: Input = Input::f32(5, "cost_bias", &[E]).optional();
const RESIDUAL: Input = Input::f32(6, "residual", &[Dim::Front, D]).optional();
const SCALE: Input = Input::any(7, "scale").optional();
const OUT: Output = Output::f32(0, "out", &[Dim::Front, D], Accuracy::Nmse(1e-9));
const INDICES: Output = Output::u32(1, "indices", &[Dim::Rows, TOP_K], Accuracy::Exact);
const COUNTS: Output = Output::u32(2, "counts", &[E], Accuracy::Exact);

pub(super) const TOP_K_SETTING: Setting =
    Setting { name: "top_k", default: "", meaning: "experts that a token goes to" };
pub(super) const WIDTHS: Setting =
    Setting { name: "widths", default: "", meaning: "tensor u32 [E], hidden units of each expert, 0 included" };
const GATE_OFFSET: Setting = Setting { name: "gate_offset", default: "0", meaning: "first element of scale" };

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "experts",
    "out = residual + scale * sum over the top k of p down_e (silu(gate_e x) * up_e x), with indices and counts",
    &[X, ROUTER_LOGITS, GATE, UP, DOWN, COST_BIAS, RESIDUAL, SCALE],
    &[OUT, INDICES, COUNTS],
    &[TOP_K_SETTING, WIDTHS, GATE_OFFSET],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(arguments: &mut Arguments) -> Result<Box<dyn Op>> {
    let widths = widths(SIGNATURE.name, arguments)?;
    let gate_offset = arguments.offset(GATE_OFFSET, SCALE)?;
    Ok(Box::new(Experts { top_k: arguments.setting(TOP_K_SETTING)?, widths, gate_offset }))
}

/// The widths that the settings of `op` say.
pub(super) fn widths(op: &'static str, arguments: &mut Arguments) -> Result<Vec<u32>> {
    let widths = arguments.constant(WIDTHS)?;
    match (widths.as_u32(), widths.desc().shape.len()) {
        (Some(words), 1) => Ok(words.to_vec()),
        _ => Err(Error::shape(op, WIDTHS.name, widths.desc().to_string(), "u32 [E]")),
    }
}

impl Experts {
    /// E and the sum of the widths, once they and `top_k` are valid.
    pub(crate) fn check(&self) -> Result<(usize, usize)> {
        let experts = self.widths.len();
        if !(1..=MAX_EXPERTS).contains(&experts) {
            let expected = format!("of 1 to {MAX_EXPERTS} experts");
            return Err(Error::shape(SIGNATURE.name, WIDTHS.name, format!("of {experts} experts"), expected));
        }
        if !(1..=experts).contains(&self.top_k) {
            let found = self.top_k.to_string();
            return Err(Error::shape(SIGNATURE.name, "top_k", found, format!("1 to E = {experts}")));
        }
        Ok((experts, self.widths.iter().map(|&width| width as usize).sum()))
    }
}

impl Op for Experts {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        let (experts, units) = self.check()?;
        let shapes = SIGNATURE.bind(inputs, &[(E, experts), (F, units), (TOP_K, self.top_k)])?;
        shapes.at_least(SCALE, self.gate_offset.saturating_add(shapes.size(D)))?;
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

    /// Assumes that every expert gets the same share of the tokens; the true shares depend on the data.
    fn cost(&self, shapes: &Shapes) -> Cost {
        let (dim, units) = (shapes.size(D) as f64, shapes.size(F) as f64);
        let entries = shapes.rows() as f64 * self.top_k as f64;
        let products = entries / shapes.size(E) as f64 * 6.0 * dim * units;
        Cost { flops: products + 2.0 * entries * dim, bytes: shapes.bytes() }
    }
}
