//! `experts`: every token through the experts that its router logits choose.

mod cases;
mod encode;

use drdiff_reference as reference;

pub use cases::ENTRY;
pub use encode::{COMBINE, DOWN, DOWN_FEW, GATE_UP, GATE_UP_FEW, SCAN, SCATTER, TOP_K};

use super::{dims, expect, require};
use crate::gpu::{Recorder, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::{DType, Desc, Error, Result, cpu};

/// The most experts there may be.
pub const MAX_EXPERTS: usize = shaders::experts_scan::MAX_EXPERTS as usize;

/// A mixture of SwiGLU experts of different widths, without dropping.
///
/// Inputs: `x` `[.., D]`, `router_logits` `[.., E]`, `gate` and `up` `[sum F, D]`, `down` `[D, sum F]`, then optional
/// `cost_bias` `[E]` (subtracted from the logits for the choice only), `residual` `[.., D]` and `scale` (any f32 tensor,
/// D values of it from `gate_offset`). Outputs: `out` `[.., D]`, `indices` u32 `[N, top_k]` (most probable first, the
/// lower index first where logits tie) and `counts` u32 `[E]`, the tokens of each expert; N is the rows of `x`.
///
/// `out = residual + scale * sum over the chosen of p_e down_e (silu(gate_e x) * up_e x)`, p the softmax of the
/// unshifted logits over the chosen. Expert `e` owns the hidden units from the sum of the widths before it; one of
/// width 0 takes its share and adds nothing.
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

/// Sizes of a call.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    tokens: usize,
    dim: usize,
    experts: usize,
    /// Hidden units of all experts.
    units: usize,
}

impl Sizes {
    fn new(shapes: &Shapes) -> Self {
        let x = shapes.input(0);
        let units = shapes.input(2).dim(0);
        Self { tokens: x.rows(), dim: x.last(), experts: shapes.input(1).last(), units }
    }
}

impl Experts {
    /// E and the sum of the widths, where they and `top_k` are as they must be.
    pub(crate) fn check(&self) -> Result<(usize, usize)> {
        let experts = self.widths.len();
        if !(1..=MAX_EXPERTS).contains(&experts) {
            let expected = format!("of 1 to {MAX_EXPERTS} experts");
            return Err(Error::shape("experts", "widths", format!("of {experts} experts"), expected));
        }
        if !(1..=experts).contains(&self.top_k) {
            return Err(Error::shape("experts", "top_k", self.top_k.to_string(), format!("1 to E = {experts}")));
        }
        Ok((experts, self.widths.iter().map(|&width| width as usize).sum()))
    }
}

impl Op for Experts {
    fn name(&self) -> &'static str {
        "experts"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["x", "router_logits", "gate", "up", "down", "cost_bias", "residual", "scale"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        let (experts, units) = self.check()?;
        let x = require("experts", inputs, 0, "x", DType::F32)?;
        let Some((&dim, front)) = x.shape.split_last().filter(|_| !x.is_empty()) else {
            return Err(Error::shape("experts", "x", x.to_string(), "[.., D], no size 0"));
        };
        for (index, name) in [(1, "router_logits"), (2, "gate"), (3, "up"), (4, "down")] {
            require("experts", inputs, index, name, DType::F32)?;
        }
        expect("experts", inputs, 1, "router_logits", &Desc::f32([front, &[experts]].concat()))?;
        let [rows, _] = dims("experts", "gate", require("experts", inputs, 2, "gate", DType::F32)?)?;
        if rows != units {
            let found = format!("{units} in all");
            return Err(Error::shape("experts", "the sum of widths", found, format!("{rows}, the rows of gate")));
        }
        expect("experts", inputs, 2, "gate", &Desc::f32([units, dim]))?;
        expect("experts", inputs, 3, "up", &Desc::f32([units, dim]))?;
        expect("experts", inputs, 4, "down", &Desc::f32([dim, units]))?;
        expect("experts", inputs, 5, "cost_bias", &Desc::f32([experts]))?;
        expect("experts", inputs, 6, "residual", x)?;
        if let Some(scale) = inputs.get(7).copied().flatten()
            && (scale.dtype != DType::F32 || scale.len() < self.gate_offset.saturating_add(dim))
        {
            let expected = format!("f32 of at least {} + {dim} values", self.gate_offset);
            return Err(Error::shape("experts", "scale", scale.to_string(), expected));
        }
        Ok(vec![x.clone(), Desc::u32([x.rows(), self.top_k]), Desc::u32([experts])])
    }

    fn scratch(&self, shapes: &Shapes) -> Vec<Desc> {
        encode::Pass::new(self, shapes).scratch()
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        encode::encode(self, recorder, shapes, io)
    }

    fn run(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let Sizes { dim, experts, units, .. } = Sizes::new(shapes);
        let inputs = &io.inputs;
        let [out, indices, counts] = io.outputs.split();
        let out = bytemuck::cast_slice_mut(out);
        let gates = cpu::experts::top_k(inputs.f32(1), inputs.get(5), experts, self.top_k, indices)?;
        counts.fill(0);
        for &expert in indices.iter() {
            counts[expert as usize] += 1;
        }
        let weights = cpu::experts::Weights {
            gate: inputs.f32(2),
            up: inputs.f32(3),
            down: inputs.f32(4),
            widths: &self.widths,
            dim,
            units,
        };
        let outputs = cpu::experts::outputs(inputs.f32(0), indices, counts, self.top_k, &weights)?;
        let scale = inputs.get(7).map(|scale| &scale[self.gate_offset..][..dim]);
        outputs.combine(&gates, self.top_k, dim, inputs.get(6), scale, out);
        Ok(())
    }

    fn evaluate(&self, shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let Sizes { tokens, dim, .. } = Sizes::new(shapes);
        let [x, logits, gate, up, down] = [0, 1, 2, 3, 4].map(|index| io.inputs.f64(index));
        let weights = reference::experts::ExpertWeights { gate, up, down, widths: &self.widths };
        let mut routed = reference::experts::experts(x, logits, &weights, io.inputs.get(5), tokens, dim, self.top_k);
        for (index, value) in routed.out.iter_mut().enumerate() {
            if let Some(scale) = io.inputs.get(7) {
                *value *= scale[self.gate_offset + index % dim];
            }
            if let Some(residual) = io.inputs.get(6) {
                *value += residual[index];
            }
        }
        vec![OracleData::F64(routed.out), OracleData::U32(routed.indices), OracleData::U32(routed.counts)]
    }

    /// As if every expert had the same share of the tokens; which it has, only the data tell.
    fn cost(&self, shapes: &Shapes) -> Cost {
        let Sizes { tokens, dim, experts, units } = Sizes::new(shapes);
        let entries = tokens as f64 * self.top_k as f64;
        let products = entries / experts as f64 * 6.0 * dim as f64 * units as f64;
        Cost { flops: products + 2.0 * entries * dim as f64, bytes: shapes.bytes() }
    }
}
