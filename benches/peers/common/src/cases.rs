//! The calls that are compared, with their inputs.

use drdiff::op::Arguments;
use drdiff::{Result, Tensor};

/// What is computed, and its sizes.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `y [m, n] = x [m, k] weight [n, k]^T`.
    Product { m: usize, k: usize, n: usize },
    /// Dense attention of `n` rows to each other.
    Attention { n: usize, heads: usize, dim: usize },
    /// SwiGLU experts; each row goes to the `top_k` most probable.
    Experts { rows: usize, dim: usize, widths: Vec<usize>, top_k: usize },
    /// `softmax(h unembed^T + skip embed^T) embed`.
    Vocabulary { n: usize, v: usize, d: usize, e: usize },
}

/// One call: inputs by name as drdiff's op takes them, row-major.
#[derive(Clone, Debug)]
pub struct Case {
    pub kind: Kind,
    inputs: Vec<(&'static str, Vec<usize>, Vec<f32>)>,
}

/// All cases, the same numbers every time.
pub fn cases() -> Vec<Case> {
    let kinds = [
        Kind::Product { m: 256, k: 192, n: 192 },
        Kind::Product { m: 1024, k: 512, n: 512 },
        Kind::Attention { n: 512, heads: 6, dim: 32 },
        Kind::Attention { n: 1024, heads: 8, dim: 64 },
        Kind::Experts { rows: 1024, dim: 192, widths: vec![0, 96, 192, 384], top_k: 2 },
        Kind::Vocabulary { n: 256, v: 4096, d: 192, e: 32 },
    ];
    kinds.into_iter().map(Case::new).collect()
}

impl Case {
    fn new(kind: Kind) -> Self {
        let mut random = Random(1);
        let mut inputs = Vec::new();
        let mut add = |name, shape: &[usize], spread: f32| {
            let values = (0..shape.iter().product()).map(|_| random.next() * spread).collect();
            inputs.push((name, shape.to_vec(), values));
        };
        match &kind {
            Kind::Product { m, k, n } => {
                add("x", &[*m, *k], 1.0);
                add("weight", &[*n, *k], 1.0);
            }
            Kind::Attention { n, heads, dim } => {
                for name in ["q", "k", "v"] {
                    add(name, &[*n, *heads, *dim], 1.0);
                }
            }
            Kind::Experts { rows, dim, widths, .. } => {
                let hidden = widths.iter().sum();
                add("x", &[*rows, *dim], 1.0);
                add("router_logits", &[*rows, widths.len()], 1.0);
                add("gate", &[hidden, *dim], 0.1);
                add("up", &[hidden, *dim], 0.1);
                add("down", &[*dim, hidden], 0.1);
            }
            Kind::Vocabulary { n, v, d, e } => {
                add("h", &[*n, *d], 1.0);
                add("unembed", &[*v, *d], 0.2);
                add("embed", &[*v, *e], 1.0);
                add("skip", &[*n, *e], 0.4);
            }
        }
        Self { kind, inputs }
    }

    /// What it is called in tables and filters.
    pub fn label(&self) -> String {
        match &self.kind {
            Kind::Product { m, k, n } => format!("product {m}x{k}x{n}"),
            Kind::Attention { n, heads, dim } => format!("attention {n}x{heads}x{dim}"),
            Kind::Experts { rows, dim, widths, top_k } => {
                let widths: Vec<_> = widths.iter().map(ToString::to_string).collect();
                format!("experts {rows}x{dim} of {} top {top_k}", widths.join(","))
            }
            Kind::Vocabulary { n, v, d, e } => format!("vocabulary {n}x{v}x{d}x{e}"),
        }
    }

    /// The op of drdiff that computes it.
    pub fn op(&self) -> &'static str {
        match self.kind {
            Kind::Product { .. } => "linear",
            Kind::Attention { .. } => "attention",
            Kind::Experts { .. } => "experts",
            Kind::Vocabulary { .. } => "vocab_expectation",
        }
    }

    /// An input's shape and values.
    ///
    /// # Panics
    /// If the case has none of that name, which is a mistake in the caller.
    pub fn input(&self, name: &str) -> (&[usize], &[f32]) {
        let found = self.inputs.iter().find(|(of, ..)| *of == name);
        let (_, shape, values) = found.unwrap_or_else(|| panic!("{} has no input {name}", self.label()));
        (shape, values)
    }

    /// The call, as drdiff takes it.
    ///
    /// # Errors
    /// If memory is refused.
    pub fn arguments(&self) -> Result<Arguments> {
        let mut arguments = Arguments::new();
        for (name, shape, values) in &self.inputs {
            arguments = arguments.with(name, Tensor::f32(shape.clone(), values.clone())?);
        }
        if let Kind::Experts { widths, top_k, .. } = &self.kind {
            let words = widths.iter().map(|&width| width as u32).collect();
            arguments = arguments.with("widths", Tensor::u32([widths.len()], words)?).set("top_k", top_k);
        }
        Ok(arguments)
    }
}

/// splitmix64.
struct Random(u64);

impl Random {
    /// A number of (-1.75, 1.75), evenly spread: its variance is 1, near enough.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((z >> 40) as f32 / (1_u64 << 24) as f32 - 0.5) * 3.5
    }
}
