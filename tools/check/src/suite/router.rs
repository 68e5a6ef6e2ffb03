//! `router`.

use super::{plus, wide};
use crate::rearrange::{concat, gather, map, zip};
use crate::{Case, Gen, Relation, Values};
use drdiff::Tensor;
use drdiff::op::Arguments;

const TOKENS: [usize; 9] = [1, 2, 3, 4, 31, 32, 33, 64, 65];
const DIMS: [usize; 9] = [1, 2, 15, 31, 32, 33, 63, 64, 65];
const EXPERTS: [usize; 8] = [2, 3, 4, 7, 8, 9, 16, 17];

const KINDS: [(Values, Values); 9] = [
    (Values::Normal(1e-18), Values::Normal(1e-14)),
    (Values::Normal(1e18), Values::Normal(1e17)),
    (Values::Around(1e3), Values::Normal(1.0)),
    (Values::Zeros, Values::Zeros),
    (Values::Denormals, Values::Normal(1.0)),
    (Values::Outliers, Values::Normal(1.0)),
    (Values::ConstantRows, Values::ConstantRows),
    (Values::ZeroRows, Values::Normal(1.0)),
    (Values::MixedRows, Values::MixedRows),
];

#[derive(Clone)]
struct Call {
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    difficulty: Tensor,
    difficulty_weight: Tensor,
}

impl Call {
    fn new(g: &mut Gen, [n, d, e]: [usize; 3], kinds: (Values, Values), rest: f32) -> Self {
        Self {
            x: g.values([n, d], kinds.0),
            weight: g.values([e, d], kinds.1),
            bias: g.normal([e], rest),
            difficulty: g.normal([n], 5.0),
            difficulty_weight: g.normal([e], rest),
        }
    }

    fn arguments(&self) -> Arguments {
        Arguments::new()
            .with("x", self.x.clone())
            .with("weight", self.weight.clone())
            .with("bias", self.bias.clone())
            .with("difficulty", self.difficulty.clone())
            .with("difficulty_weight", self.difficulty_weight.clone())
    }

    fn tokens(&self, picks: &[usize]) -> Self {
        Self { x: gather(&self.x, 0, picks), difficulty: gather(&self.difficulty, 0, picks), ..self.clone() }
    }
}

fn sizes(g: &mut Gen) -> [usize; 3] {
    [g.pick(&TOKENS), g.pick(&DIMS), g.pick(&EXPERTS)]
}

pub(super) fn values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..225 {
        let kinds = KINDS[i % KINDS.len()];
        let [n, d, e] = sizes(g);
        let rest = if i % KINDS.len() == 0 { 1e-32 } else { 1.0 };
        let call = Call::new(g, [n, d, e], kinds, rest);
        cases.push(Case::new(format!("x {}, weight {}: N={n} D={d} E={e}", kinds.0, kinds.1), call.arguments()));
    }
    cases
}

pub(super) fn relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for _ in 0..25 {
        let [n, d, e] = sizes(g);
        let size = format!("N={n} D={d} E={e}");
        let base = Call::new(g, [n, d, e], (Values::Normal(1.0), Values::Normal(1.0)), 1.0);
        let (call, rows) = (base.clone(), g.permutation(n));
        laws.push(Relation::new(format!("tokens permuted: {size}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let moved = calls.run(&call.tokens(&rows).arguments())?;
            Ok(vec![moved.same("logits", &gather(plain.get("logits")?, 0, &rows))?])
        }));
        let (call, order) = (base.clone(), g.permutation(e));
        laws.push(Relation::new(format!("experts permuted: {size}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let [weight, bias, difficulty_weight] =
                [&call.weight, &call.bias, &call.difficulty_weight].map(|tensor| gather(tensor, 0, &order));
            let moved = calls.run(&Call { weight, bias, difficulty_weight, ..call.clone() }.arguments())?;
            Ok(vec![moved.same("logits", &gather(plain.get("logits")?, 1, &order))?])
        }));
        let (call, cut) = (base.clone(), g.below(n));
        laws.push(Relation::new(format!("tokens alone and together, cut at {cut}: {size}"), move |calls| {
            let whole = calls.run(&call.arguments())?;
            let mut parts = Vec::new();
            for part in [(0..cut).collect::<Vec<_>>(), (cut..n).collect()].iter().filter(|part| !part.is_empty()) {
                parts.push(calls.run(&call.tokens(part).arguments())?.get("logits")?.clone());
            }
            Ok(vec![whole.same("logits", &concat(&parts.iter().collect::<Vec<_>>(), 0))?])
        }));
        let call = base.clone();
        laws.push(Relation::new(format!("bias and difficulty alone: {size}"), move |calls| {
            let x = map(&call.x, |_| 0.0);
            let got = calls.run(&Call { x, ..call.clone() }.arguments())?;
            let [bias, weight] = [&call.bias, &call.difficulty_weight].map(wide);
            let tokens = wide(&call.difficulty).into_iter();
            let want = tokens.flat_map(|t| (0..e).map(|i| bias[i] + t * weight[i]).collect::<Vec<_>>());
            Ok(vec![got.close("logits", want.collect())?])
        }));
        let (call, other) = (base, map(&g.values([n, d], Values::Whole), |x| x + 9.0));
        laws.push(Relation::new(format!("linear in x: {size}"), move |calls| {
            let [x, y] = [map(&call.x, |x| (x * 64.0).round() / 64.0), other.clone()];
            let none = map(&call.bias, |_| 0.0);
            let call = Call { bias: none.clone(), difficulty_weight: none, ..call.clone() };
            let sum = zip(&x, &y, |x, y| x + y);
            let mut of = |x: Tensor| calls.run(&Call { x, ..call.clone() }.arguments());
            let (first, second) = (of(x)?.wide("logits")?, of(y)?.wide("logits")?);
            Ok(vec![of(sum)?.close("logits", plus(&first, &second))?])
        }));
    }
    laws
}
