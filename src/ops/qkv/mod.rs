//! `qkv`: the queries, keys and values of a block, with the norm ahead of them and the rotation behind them.

#[cfg(feature = "cpu")]
mod cpu;
mod gpu;
#[cfg(feature = "reference")]
mod reference;

use super::Norm;
use super::norm::{self, EPS, KIND, SCALE_OFFSET, SHIFT_OFFSET, check_eps};
use super::rope::check_dim;
use crate::gpu::Capabilities;
#[cfg(feature = "cpu")]
use crate::op::CpuIo;
use crate::op::{Accuracy, Arguments, Choice, Cost, Dim, Entry, Input, Op, Output, Setting, Shapes, Signature};
#[cfg(feature = "reference")]
use crate::op::{ReferenceData, ReferenceIo};
use crate::{Desc, Error, Result};

/// `[q, k, v] = rope(norm(x) weight^T + bias)`: the [`Norm`], one product and the [`Rope`](super::Rope) of q and k as they
/// are by themselves; see [`SIGNATURE`]. Rows of the weight are those of all query heads, then of all key heads, then of all
/// value heads.
///
/// NMSE is at most 1e-9 in f32 under the conditions of those three.
#[derive(Clone, Copy, Debug)]
pub struct Qkv {
    /// Query heads, H.
    pub heads: usize,
    /// Key heads, Hkv, and as many value heads.
    pub kv_heads: usize,
    /// Dims at the start of a head of q and k that are turned; even, at most Dh.
    pub rotary_dim: usize,
    /// What is ahead of the product.
    pub norm: Norm,
}

const R: Dim = Dim::Named("R");
const D: Dim = Dim::Named("D");
const W: Dim = Dim::Named("(H + 2 Hkv) Dh");
const Q_DIM: Dim = Dim::Named("H Dh");
const KV_DIM: Dim = Dim::Named("Hkv Dh");
const PAIRS: Dim = Dim::MayBeZero("rotary_dim / 2");

const X: Input = Input::f32(0, "x", &[Dim::Front, R, D]);
const WEIGHT: Input = Input::f32(1, "weight", &[W, D]);
const BIAS: Input = Input::f32(2, "bias", &[W]).optional();
const MODULATION: Input = Input::any(3, "modulation").optional();
const TABLE: Input = Input::f32(4, "table", &[R, PAIRS, Dim::Fixed(2)]);
const Q: Output = Output::f32(0, "q", &[Dim::Front, R, Q_DIM], Accuracy::Nmse(1e-9));
const K: Output = Output::f32(1, "k", &[Dim::Front, R, KV_DIM], Accuracy::Nmse(1e-9));
const V: Output = Output::f32(2, "v", &[Dim::Front, R, KV_DIM], Accuracy::Nmse(1e-9));

const HEADS: Setting = Setting { name: "heads", default: "", meaning: "H, heads of q" };
const KV_HEADS: Setting = Setting { name: "kv_heads", default: "", meaning: "Hkv, heads of k and of v" };
const ROTARY_DIM: Setting = Setting { name: "rotary_dim", default: "", meaning: "dims of a head that are turned" };

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "qkv",
    "q, k, v = (norm(x) (1 + scale) + shift) weight^T + bias, with the first rotary_dim dims of each head of q and k turned by the table",
    &[X, WEIGHT, BIAS, MODULATION, TABLE],
    &[Q, K, V],
    &[HEADS, KV_HEADS, ROTARY_DIM, KIND, EPS, SHIFT_OFFSET, SCALE_OFFSET],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(arguments: &mut Arguments) -> Result<Box<dyn Op>> {
    Ok(Box::new(Qkv {
        heads: arguments.setting(HEADS)?,
        kv_heads: arguments.setting(KV_HEADS)?,
        rotary_dim: arguments.setting(ROTARY_DIM)?,
        norm: norm::from_settings(arguments, MODULATION)?,
    }))
}

impl Qkv {
    /// Dh, from the rows of the weight.
    fn head_dim(&self, weight_rows: usize) -> Option<usize> {
        let all = self.kv_heads.checked_mul(2)?.checked_add(self.heads)?;
        let divides = self.heads > 0 && self.kv_heads > 0 && weight_rows.is_multiple_of(all);
        divides.then(|| weight_rows / all)
    }
}

impl Op for Qkv {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        check_eps(self.norm.eps)?;
        check_dim(self.rotary_dim, usize::MAX)?;
        let weight = inputs.get(WEIGHT.index).copied().flatten();
        let rows = weight.and_then(|weight| weight.shape.first()).copied().unwrap_or(0);
        let Some(head_dim) = self.head_dim(rows).filter(|&dim| dim > 0 || rows == 0) else {
            let expected =
                format!("a multiple of heads + 2 kv_heads, of {} and {}, both at least 1", self.heads, self.kv_heads);
            return Err(Error::shape(SIGNATURE.name, "the rows of weight", rows.to_string(), expected));
        };
        let sizes = [(PAIRS, self.rotary_dim / 2), (Q_DIM, self.heads * head_dim), (KV_DIM, self.kv_heads * head_dim)];
        let shapes = SIGNATURE.bind(inputs, &sizes)?;
        check_dim(self.rotary_dim, head_dim)?;
        let x = shapes.input(X);
        if x.shape.len() > 3 {
            return Err(Error::shape(SIGNATURE.name, X.name, x.to_string(), "[R, D] or [B, R, D]"));
        }
        let last = self.norm.shift_offset.max(self.norm.scale_offset);
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
        Ok(reference::run(self, shapes, io))
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        let (rows, dim) = (shapes.input(X).rows() as f64, shapes.size(D) as f64);
        let turned = (self.heads + self.kv_heads) * self.rotary_dim;
        let each = 2.0 * dim * shapes.size(W) as f64 + 5.0 * dim + 3.0 * turned as f64;
        Cost { flops: rows * each, bytes: shapes.bytes() }
    }
}
