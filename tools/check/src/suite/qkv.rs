//! `qkv`.

use crate::rearrange::{concat, gather, map};
use crate::{Case, Claim, Gen, Relation, Values};
use drdiff::Tensor;
use drdiff::op::Arguments;
use drdiff::ops::rope_table;

const KINDS: [Values; 8] = [
    Values::Normal(1e-12),
    Values::Normal(1e12),
    Values::Normal(1.0),
    Values::Around(1e3),
    Values::Outliers,
    Values::ConstantRows,
    Values::ZeroRows,
    Values::MixedRows,
];

#[derive(Clone)]
struct Call {
    x: Tensor,
    /// Of each head of q, then of k, then of v: its rows of the weight.
    weights: Vec<Tensor>,
    bias: Tensor,
    modulation: Tensor,
    heads: usize,
    kv_heads: usize,
    rotary: usize,
    kind: &'static str,
}

impl Call {
    fn new(g: &mut Gen, kind: Values) -> Self {
        let (batch, rows, dim) = (1 + g.below(3), g.pick(&[1, 3, 17, 40]), g.pick(&[2, 7, 32, 66]));
        let (kv_heads, head_dim) = (1 + g.below(3), g.pick(&[2, 3, 8, 20]));
        let heads = kv_heads * (1 + g.below(2));
        let weights = (0..heads + 2 * kv_heads).map(|_| g.normal([head_dim, dim], 0.4)).collect::<Vec<_>>();
        Self {
            x: g.values([batch, rows, dim], kind),
            bias: g.normal([weights.len() * head_dim], 0.4),
            weights,
            modulation: g.normal([2 * dim], 0.3),
            heads,
            kv_heads,
            rotary: 2 * g.below(head_dim / 2 + 1),
            kind: g.pick(&["rms", "layer"]),
        }
    }

    fn head_dim(&self) -> usize {
        self.weights[0].desc().shape[0]
    }

    fn arguments(&self) -> Arguments {
        let [_, rows, dim] = self.x.desc().shape[..] else { unreachable!("x has three axes") };
        let weights: Vec<_> = self.weights.iter().collect();
        Arguments::new()
            .with("x", self.x.clone())
            .with("weight", concat(&weights, 0))
            .with("bias", self.bias.clone())
            .with("modulation", self.modulation.clone())
            .with("table", rope_table(0, rows, self.rotary, 50.0).expect("rotary is even"))
            .set("heads", self.heads)
            .set("kv_heads", self.kv_heads)
            .set("rotary_dim", self.rotary)
            .set("kind", self.kind)
            .set("scale_offset", dim)
    }

    /// Its heads in another order: `order` names those of q, then of k and v.
    fn reordered(&self, order: &[usize]) -> Self {
        let columns: Vec<_> = columns(order, self.head_dim());
        let weights = order.iter().map(|&head| self.weights[head].clone()).collect();
        Self { weights, bias: gather(&self.bias, 0, &columns), ..self.clone() }
    }
}

/// The columns of these heads.
fn columns(heads: &[usize], head_dim: usize) -> Vec<usize> {
    heads.iter().flat_map(|head| head * head_dim..(head + 1) * head_dim).collect()
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { x, heads, kv_heads, rotary, kind, .. } = self;
        let (shape, head_dim) = (&x.desc().shape, self.head_dim());
        write!(f, "x {shape:?} heads={heads}, {kv_heads} of {head_dim} rotary_dim={rotary} kind={kind}")
    }
}

pub(super) fn values(g: &mut Gen) -> Vec<Case> {
    let call = |i: usize, g: &mut Gen| {
        let kind = KINDS[i % KINDS.len()];
        let call = Call::new(g, kind);
        Case::new(format!("{kind}: {call}"), call.arguments())
    };
    (0..120).map(|i| call(i, g)).collect()
}

pub(super) fn relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for _ in 0..14 {
        let call = Call::new(g, Values::Normal(1.0));
        let (base, order) = (call.clone(), g.permutation(call.x.desc().shape[0]));
        laws.push(Relation::new(format!("sequences permuted: {call}"), move |calls| {
            let plain = calls.run(&base.arguments())?;
            let other = calls.run(&Call { x: gather(&base.x, 0, &order), ..base.clone() }.arguments())?;
            ["q", "k", "v"].map(|name| other.same(name, &gather(plain.get(name)?, 0, &order))).into_iter().collect()
        }));

        let (base, queries, keys) = (call.clone(), g.permutation(call.heads), g.permutation(call.kv_heads));
        laws.push(Relation::new(format!("heads permuted: {call}"), move |calls| {
            let later = |by: usize| keys.iter().map(move |head| head + by);
            let order: Vec<_> =
                queries.iter().copied().chain(later(base.heads)).chain(later(base.heads + base.kv_heads)).collect();
            let (plain, other) = (calls.run(&base.arguments())?, calls.run(&base.reordered(&order).arguments())?);
            let [queries, keys] = [&queries, &keys].map(|heads| columns(heads, base.head_dim()));
            [("q", &queries), ("k", &keys), ("v", &keys)]
                .map(|(name, columns)| other.same(name, &gather(plain.get(name)?, 2, columns)))
                .into_iter()
                .collect()
        }));

        let base = call.clone();
        laws.push(Relation::new(format!("one weight for all heads: {call}"), move |calls| {
            let heads = base.heads + 2 * base.kv_heads;
            let same = Call { rotary: 0, ..base.reordered(&vec![0; heads]) };
            let got = calls.run(&same.arguments())?;
            let first = gather(got.get("q")?, 2, &columns(&[0], same.head_dim()));
            let claims = [("q", same.heads), ("k", same.kv_heads), ("v", same.kv_heads)];
            claims.map(|(name, heads)| got.same(name, &concat(&vec![&first; heads], 2))).into_iter().collect()
        }));

        laws.push(Relation::new(format!("x doubled: {call}"), move |calls| {
            // Far above eps, where a power of 2 leaves every digit alone.
            let large = |factor: f32| Call { x: map(&call.x, |x| x * factor), ..call.clone() };
            let (plain, double) = (calls.run(&large(4096.0).arguments())?, calls.run(&large(8192.0).arguments())?);
            let close = |name: &'static str| {
                let want = super::wide(plain.get(name)?);
                double.close(name, want)
            };
            ["q", "k", "v"].map(close).into_iter().collect::<drdiff::Result<Vec<Claim>>>()
        }));
    }
    laws
}
