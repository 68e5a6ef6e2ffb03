//! `attention`: scaled dot-product attention, dense or over a hierarchical sparse pattern (HSA).

mod call;
mod cases;
pub(crate) mod cost;
mod kernels;

use drdiff_reference as reference;

use super::{expect, require};
use crate::check::Entry;
use crate::gpu::Recorder;
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::{DType, Desc, Error, Result, cpu, memory};

/// Widest head.
pub const MAX_HEAD_DIM: usize = 256;
/// Most dilations of a pattern.
pub const MAX_DILATIONS: usize = 16;

/// Which keys a query sees. The relation is symmetric and there is no causal mask.
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

/// Softmax attention. A sequence's rows past its length are neither keys nor queries: there `out` is 0 and `lse` minus
/// infinity.
///
/// | input | | shape |
/// |---|---|---|
/// | 0 1 2 | `q` `k` `v` | f32 `[B, N, H, Dh]`; `[N, H, Dh]` for one sequence; with `heads` also `[B, N, H Dh]` |
/// | 3 | `globals`, optional | u32 `[G]`, strictly sorted positions below N, of every sequence; unused where dense |
/// | 4 | `lengths`, optional | u32 `[B]`, rows of each sequence that count, at most N |
///
/// Outputs: `out` (shape of `q`) and `lse` `[B, N, H]` (`[N, H]` where `q` is `[N, H, Dh]`), the natural log of the sum
/// of exp of the scaled scores. `Dh` is 1 to [`MAX_HEAD_DIM`].
///
/// NMSE is at most 1e-9 in f32 wherever scores are below 1e37 and those that share a query's weight are either below 200
/// or equal: a score is rounded to some 1e-7 of its size, and the weights are off by as much. Between nearly equal scores
/// of 1,000 expect 1e-8, growing with the square.
#[derive(Clone, Debug, Default)]
pub struct Attention {
    /// Heads of packed inputs `[B, N, H Dh]`; otherwise the shape tells.
    pub heads: Option<usize>,
    /// Who sees whom.
    pub pattern: Pattern,
    /// Multiplies the scores; `1 / sqrt(Dh)` where it is not given.
    pub scale: Option<f32>,
}

/// B, N, H, Dh.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub batch: usize,
    pub rows: usize,
    pub heads: usize,
    pub head_dim: usize,
}

const GLOBALS: usize = 3;
const LENGTHS: usize = 4;

impl Attention {
    fn sizes(&self, q: &Desc) -> Result<Sizes> {
        let wrong = |expected: &str| Err(Error::shape("attention", "q", q.to_string(), expected));
        let [batch, rows, heads, head_dim] = match (q.shape.as_slice(), self.heads) {
            (&[batch, rows, heads, head_dim], given) if given.is_none_or(|given| given == heads) => {
                [batch, rows, heads, head_dim]
            }
            (&[_, _, _, _], Some(heads)) => return wrong(&format!("[B, N, {heads}, Dh]")),
            (&[rows, heads, head_dim], None) => [1, rows, heads, head_dim],
            (&[batch, rows, width], Some(heads)) if heads > 0 && width % heads == 0 => {
                [batch, rows, heads, width / heads]
            }
            (&[_, _, _], Some(heads)) => return wrong(&format!("[B, N, width], a width of {heads} heads")),
            _ => return wrong("[B, N, H, Dh] or [N, H, Dh]"),
        };
        if q.is_empty() || head_dim > MAX_HEAD_DIM {
            return wrong(&format!("at least 1 everywhere, and a head of at most {MAX_HEAD_DIM}"));
        }
        Ok(Sizes { batch, rows, heads, head_dim })
    }

    fn sizes_of(&self, shapes: &Shapes) -> Sizes {
        self.sizes(shapes.input(0)).expect("infer has accepted q")
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

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["q", "k", "v", "globals", "lengths"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        self.pattern.check()?;
        if let Some(scale) = self.scale.filter(|scale| !scale.is_finite()) {
            return Err(Error::argument("the scale of attention", scale, "a finite number"));
        }
        let q = require("attention", inputs, 0, "q", DType::F32)?;
        for (index, name) in [(1, "k"), (2, "v")] {
            require("attention", inputs, index, name, DType::F32)?;
            expect("attention", inputs, index, name, q)?;
        }
        let Sizes { batch, rows, heads, .. } = self.sizes(q)?;
        // While the list of them grows, the old one is there too.
        memory::room("the dilated distances", 24 * cost::most_distances(&self.pattern, rows) as u64)?;
        if let Some(globals) = inputs.get(GLOBALS).copied().flatten() {
            let fits = globals.dtype == DType::U32 && globals.shape.len() == 1;
            if !fits || globals.is_empty() || globals.len() > rows {
                let expected = format!("u32 [G], G from 1 to {rows}");
                return Err(Error::shape("attention", "globals", globals.to_string(), expected));
            }
        }
        expect("attention", inputs, LENGTHS, "lengths", &Desc::u32([batch]))?;
        let one = q.shape.len() == 3 && self.heads.is_none();
        let lse = if one { vec![rows, heads] } else { vec![batch, rows, heads] };
        Ok(vec![q.clone(), Desc::f32(lse)])
    }

    fn scratch(&self, shapes: &Shapes) -> Vec<Desc> {
        kernels::scratch(self, shapes)
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        kernels::encode(self, recorder, shapes, io)
    }

    fn run(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let sizes = self.sizes_of(shapes);
        let task = cpu::attention::Task {
            sizes,
            scale: self.scale(&sizes),
            pattern: &self.pattern,
            globals: io.inputs.u32(GLOBALS),
            lengths: io.inputs.u32(LENGTHS),
        };
        let [out, lse] = io.outputs.split();
        let (out, lse) = (bytemuck::cast_slice_mut(out), bytemuck::cast_slice_mut(lse));
        cpu::attention::attention(&task, [0, 1, 2].map(|index| io.inputs.f32(index)), out, lse)
    }

    fn evaluate(&self, shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let sizes = self.sizes_of(shapes);
        let Sizes { batch, rows, heads, head_dim } = sizes;
        let pattern = match &self.pattern {
            Pattern::Dense => reference::attention::Pattern { dense: true, ..Default::default() },
            Pattern::Hsa { window, dilations } => {
                reference::attention::Pattern { dense: false, window: *window, dilations: dilations.clone() }
            }
        };
        let lengths = match shapes.inputs[LENGTHS] {
            Some(_) => io.inputs.u32(LENGTHS).iter().map(|&length| (length as usize).min(rows)).collect(),
            None => vec![rows; batch],
        };
        let attended = reference::attention::attention(
            io.inputs.f64(0),
            io.inputs.f64(1),
            io.inputs.f64(2),
            &reference::attention::Dims { batch, rows, heads, head_dim },
            &reference::attention::Mask { lengths: &lengths, globals: io.inputs.u32(GLOBALS), pattern: &pattern },
            self.scale.map_or_else(|| 1.0 / (head_dim as f64).sqrt(), f64::from),
        );
        vec![OracleData::F64(attended.out), OracleData::F64(attended.lse)]
    }

    /// Pairs of a query and a key it sees, 4 Dh operations each. Globals are taken to be the first positions and
    /// sequences to have their full length: their contents are not known here.
    fn cost(&self, shapes: &Shapes) -> Cost {
        let sizes = self.sizes_of(shapes);
        let globals = shapes.inputs[GLOBALS].as_ref().map_or(0, Desc::len);
        let pairs = cost::pairs(&self.pattern, sizes.rows, globals) * (sizes.batch * sizes.heads) as f64;
        Cost { flops: 4.0 * sizes.head_dim as f64 * pairs, bytes: shapes.bytes() }
    }
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: "attention",
    summary: "out [B,N,H,Dh], lse [B,N,H]: softmax attention, dense or local + dilated + global",
    kernels: kernels::ALL,
    build: call::build,
    cases: cases::cases,
    bench: cases::bench,
};
