//! `attention`: scaled dot-product attention, dense or over a hierarchical sparse pattern (HSA).

mod build;
mod cost;
#[cfg(feature = "cpu")]
mod cpu;
mod gpu;
#[cfg(feature = "reference")]
mod reference;

use crate::gpu::Capabilities;
#[cfg(feature = "cpu")]
use crate::op::CpuIo;
use crate::op::{Accuracy, Choice, Cost, Dim, Entry, Input, Op, Output, Setting, Shapes, Signature};
#[cfg(feature = "reference")]
use crate::op::{ReferenceData, ReferenceIo};
use crate::{Desc, Error, Result, memory};

/// Widest head.
pub const MAX_HEAD_DIM: usize = 256;
/// Most dilations of a pattern.
pub const MAX_DILATIONS: usize = 16;

/// Which keys a query sees, before [`Attention::causal`] takes those after it away: a symmetric relation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pattern {
    /// Every key of its sequence; globals are ordinary keys.
    #[default]
    Dense,
    /// Query `i` sees `j` where `|i - j| <= window`, or `|i - j| = r m` with `1 <= m <= k` for a dilation `(r, k)`, or
    /// either is global: each key once, one softmax over the union.
    Hsa {
        /// Half-window, in positions.
        window: usize,
        /// Pairs `(r, k)`, `r >= 1`, at most [`MAX_DILATIONS`].
        dilations: Vec<(usize, usize)>,
    },
}

/// Softmax attention: see [`SIGNATURE`]. `q` is one sequence `[N, H, Dh]`, a batch `[B, N, H, Dh]`, or, where
/// [`heads`](Self::heads) says how many there are, a batch of packed rows `[B, N, H Dh]`; `k` and `v` likewise, of Hkv heads,
/// of which H is a multiple: query head `h` reads key head `h / (H / Hkv)`. `globals` are strictly sorted positions below N,
/// of every sequence, unused where dense; `lengths` are the rows of each sequence that count, at most N. A sequence's rows
/// past its length are neither keys nor queries: there `out` is 0 and `lse` minus infinity.
///
/// `out` has the shape of `q`; `lse` is the natural log of the sum of exp of the scaled scores. `Dh` is 1 to
/// [`MAX_HEAD_DIM`].
///
/// NMSE is at most 1e-9 in f32 wherever scores are below 1e37 and those that share a query's weight are either below 200
/// or equal: a score is rounded to about 1e-7 of its size, and the weights are off by as much. Between nearly equal
/// scores of 1,000 expect 1e-8, growing with the square.
#[derive(Clone, Debug, Default)]
pub struct Attention {
    /// Number of heads of the queries, for packed inputs `[B, N, H Dh]`; otherwise it follows from the shape.
    pub heads: Option<usize>,
    /// Which positions see which.
    pub pattern: Pattern,
    /// Multiplies the scores; `1 / sqrt(Dh)` by default.
    pub scale: Option<f32>,
    /// Whether no query sees a key after itself, globals included.
    pub causal: bool,
}

const N: Dim = Dim::Named("N");
const HEADS: Dim = Dim::Named("H");
const KEY_HEADS: Dim = Dim::Named("Hkv");
const HEAD_DIM: Dim = Dim::Named("Dh");
const BATCH: Dim = Dim::Named("B");

const Q: Input = Input::f32(0, "q", &[Dim::Front, N, HEADS, HEAD_DIM]);
const K: Input = Input::f32(1, "k", &[Dim::Front, N, KEY_HEADS, HEAD_DIM]);
const V: Input = Input::f32(2, "v", &[Dim::Front, N, KEY_HEADS, HEAD_DIM]);
const GLOBALS: Input = Input::u32(3, "globals", &[Dim::Named("G")]).optional();
const LENGTHS: Input = Input::u32(4, "lengths", &[BATCH]).optional();
const OUT: Output = Output::f32(0, "out", &[Dim::Front, N, HEADS, HEAD_DIM], Accuracy::Nmse(1e-9));
const LSE: Output = Output::f32(1, "lse", &[Dim::Front, N, HEADS], Accuracy::Nmse(1e-9));

const PATTERN: Setting = Setting { name: "pattern", default: "dense", meaning: "dense or hsa" };
const WINDOW: Setting = Setting { name: "window", default: "none", meaning: "half-window of hsa, in positions" };
const DILATIONS: Setting = Setting { name: "dilations", default: "none", meaning: "r:k,r:k of hsa" };
const SCALE: Setting = Setting { name: "scale", default: "1/sqrt(Dh)", meaning: "multiplies the scores" };
const PACKED: Setting =
    Setting { name: "heads", default: "by the shape", meaning: "heads of q in packed rows [B, N, H Dh]" };
const CAUSAL: Setting = Setting { name: "causal", default: "false", meaning: "whether no query sees a later key" };

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "attention",
    "softmax attention, dense or local + dilated + global, with its log-sum-exp",
    &[Q, K, V, GLOBALS, LENGTHS],
    &[OUT, LSE],
    &[PATTERN, WINDOW, DILATIONS, SCALE, PACKED, CAUSAL],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build: build::build };

/// B, N, H, Hkv, Dh.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    rows: usize,
    heads: usize,
    key_heads: usize,
    head_dim: usize,
}

impl Sizes {
    fn of(shapes: &Shapes) -> Self {
        let [rows, heads, key_heads, head_dim] = [N, HEADS, KEY_HEADS, HEAD_DIM].map(|dim| shapes.size(dim));
        Self { batch: shapes.rows(), rows, heads, key_heads, head_dim }
    }
}

impl Attention {
    /// Width of a head, where rows may be packed: not before [`check_heads`](Self::check_heads).
    fn packed_head(&self, q: &Desc) -> Option<usize> {
        match (self.heads?, q.shape.as_slice()) {
            (heads, &[_, _, width]) => Some(width / heads),
            (_, shape) => shape.last().copied(),
        }
    }

    /// Rows of a sequence, by a `q` of three or four sizes.
    fn rows(&self, q: &Desc) -> usize {
        if self.heads.is_some() || q.shape.len() == 4 { q.dim(1) } else { q.dim(0) }
    }

    /// Refuses what only `heads` makes wrong in `q`.
    fn check_heads(&self, q: &Desc) -> Result<()> {
        let wrong = |expected: String| Err(Error::shape(SIGNATURE.name, Q.name, q.to_string(), expected));
        match (self.heads, q.shape.as_slice()) {
            (None, [_, _, _] | [_, _, _, _]) => Ok(()),
            (Some(given), &[_, _, heads, _]) if given == heads => Ok(()),
            (Some(given), [_, _, _, _]) => wrong(format!("[B, N, {given}, Dh]")),
            (Some(given), &[_, _, width]) if given > 0 && width % given == 0 => Ok(()),
            (Some(given), [_, _, _]) => wrong(format!("[B, N, width], a width of {given} heads")),
            _ => wrong("[B, N, H, Dh] or [N, H, Dh]".to_owned()),
        }
    }

    fn scale(&self, sizes: &Sizes) -> f32 {
        self.scale.unwrap_or_else(|| 1.0 / (sizes.head_dim as f32).sqrt())
    }
}

impl Pattern {
    pub(crate) fn check(&self) -> Result<()> {
        let Self::Hsa { dilations, .. } = self else { return Ok(()) };
        if dilations.len() > MAX_DILATIONS {
            let expected = format!("at most {MAX_DILATIONS}");
            return Err(Error::argument("the dilations of attention", dilations.len(), expected));
        }
        match dilations.iter().find(|(r, _)| *r == 0) {
            Some((r, k)) => Err(Error::argument("a dilation r:k of attention", format!("{r}:{k}"), "r of at least 1")),
            None => Ok(()),
        }
    }
}

/// Packed rows as rows of heads of this width; what has another number of sizes stays as it is.
fn unpack(desc: &mut Desc, head_dim: usize, input: Input) -> Result<()> {
    let &[batch, rows, width] = desc.shape.as_slice() else { return Ok(()) };
    if head_dim > 0 && width % head_dim != 0 {
        let expected = format!("[B, N, width], a width of whole heads of {head_dim}, as q has them");
        return Err(Error::shape(SIGNATURE.name, input.name, desc.to_string(), expected));
    }
    desc.shape = vec![batch, rows, width / head_dim.max(1), head_dim];
    Ok(())
}

impl Op for Attention {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        self.pattern.check()?;
        if let Some(scale) = self.scale.filter(|scale| !scale.is_finite()) {
            return Err(Error::argument("the scale of attention", scale, "a finite number"));
        }
        let mut unpacked: Vec<_> = inputs.iter().map(|desc| desc.cloned()).collect();
        if let Some(Some(q)) = inputs.first() {
            self.check_heads(q)?;
            if let Some(head_dim) = self.packed_head(q) {
                for (desc, input) in unpacked.iter_mut().zip([Q, K, V]) {
                    if let Some(desc) = desc {
                        unpack(desc, head_dim, input)?;
                    }
                }
            }
        }
        let viewed: Vec<_> = unpacked.iter().map(Option::as_ref).collect();
        let batch = match viewed.first() {
            Some(Some(q)) if q.shape.len() == 4 => q.dim(0),
            _ => 1,
        };
        let mut shapes = SIGNATURE.bind(&viewed, &[(BATCH, batch)])?;
        let Sizes { rows, heads, key_heads, head_dim, .. } = Sizes::of(&shapes);
        if !heads.is_multiple_of(key_heads) {
            let expected = format!("a number of heads that divides the {heads} of q");
            return Err(Error::shape(SIGNATURE.name, K.name, shapes.input(K).to_string(), expected));
        }
        if head_dim > MAX_HEAD_DIM {
            let expected = format!("a head of at most {MAX_HEAD_DIM}");
            return Err(Error::shape(SIGNATURE.name, Q.name, shapes.input(Q).to_string(), expected));
        }
        if shapes.has(GLOBALS) && shapes.input(GLOBALS).len() > rows {
            let found = shapes.input(GLOBALS).to_string();
            return Err(Error::shape(SIGNATURE.name, GLOBALS.name, found, format!("u32 [G], G from 1 to {rows}")));
        }
        // While the list of them grows, the old one is there too.
        memory::room("the dilated distances", 24 * cost::most_distances(&self.pattern, rows) as u64)?;
        shapes.inputs = inputs.iter().map(|desc| desc.cloned()).collect();
        shapes.outputs[OUT.index] = shapes.input(Q).clone();
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

    /// Pairs of a query and a key it sees, 4 Dh operations each. Globals are taken to be the first positions and
    /// sequences to have their full length: their contents are not known here.
    fn cost(&self, shapes: &Shapes) -> Cost {
        let sizes = Sizes::of(shapes);
        let globals = if shapes.has(GLOBALS) { shapes.input(GLOBALS).len() } else { 0 };
        let pairs = cost::pairs(self, sizes.rows, globals) * (sizes.batch * sizes.heads) as f64;
        Cost { flops: 4.0 * sizes.head_dim as f64 * pairs, bytes: shapes.bytes() }
    }
}
