//! `experts`.

use super::plus;
use crate::rearrange::{concat, gather, map, zip};
use crate::{Case, Claim, Gen, Relation, Values};
use drdiff::Tensor;
use drdiff::op::Arguments;

const TOKENS: [usize; 9] = [1, 2, 31, 32, 33, 63, 64, 65, 97];
const DIMS: [usize; 8] = [2, 3, 15, 16, 17, 33, 63, 65];

#[derive(Clone)]
struct Call {
    x: Tensor,
    logits: Tensor,
    gate: Tensor,
    up: Tensor,
    down: Tensor,
    widths: Vec<u32>,
    bias: Option<Tensor>,
    residual: Option<Tensor>,
    top_k: usize,
}

impl Call {
    fn arguments(&self) -> Arguments {
        let mut arguments = Arguments::new()
            .with("x", self.x.clone())
            .with("router_logits", self.logits.clone())
            .with("gate", self.gate.clone())
            .with("up", self.up.clone())
            .with("down", self.down.clone())
            .with("widths", Tensor::u32([self.widths.len()], self.widths.clone()).expect("a list"))
            .set("top_k", self.top_k);
        for (name, tensor) in [("cost_bias", &self.bias), ("residual", &self.residual)] {
            if let Some(tensor) = tensor {
                arguments = arguments.with(name, tensor.clone());
            }
        }
        arguments
    }

    /// Two experts or more, each token's logits all different, at least one chosen expert with hidden units.
    fn new(g: &mut Gen, x: Values) -> Self {
        let (n, d, experts) = (g.pick(&TOKENS), g.pick(&DIMS), g.pick(&[2, 3, 4, 5, 8]));
        let mut widths: Vec<u32> = (0..experts).map(|_| g.pick(&[0, 1, 15, 16, 17, 63, 64, 65])).collect();
        widths[0] = g.pick(&[1, 16, 33]);
        let units = widths.iter().sum::<u32>() as usize;
        let (into, out) = ((d as f32).sqrt().recip(), (units as f32).sqrt().recip());
        // Steps of 1/4 in random order, and the first expert always among the best two.
        let mut logits = Vec::new();
        for _ in 0..n {
            let order = g.permutation(experts);
            let first = order[0].max(experts - 2);
            let place = |at: usize| {
                if at == 0 {
                    first
                } else if order[at] == first {
                    order[0]
                } else {
                    order[at]
                }
            };
            logits.extend((0..experts).map(|at| place(at) as f32 * 0.25));
        }
        Self {
            x: g.values([n, d], x),
            logits: g.fill([n, experts], logits),
            gate: g.normal([units, d], into),
            up: g.normal([units, d], into),
            down: g.normal([d, units], out),
            widths,
            bias: None,
            residual: None,
            top_k: 2 + g.below(experts - 1),
        }
    }

    fn tokens(&self, picks: &[usize]) -> Self {
        let residual = self.residual.as_ref().map(|residual| gather(residual, 0, picks));
        Self { x: gather(&self.x, 0, picks), logits: gather(&self.logits, 0, picks), residual, ..self.clone() }
    }

    fn experts(&self, order: &[usize]) -> Self {
        let start = |expert: usize| self.widths[..expert].iter().sum::<u32>() as usize;
        let units: Vec<usize> = order.iter().flat_map(|&e| start(e)..start(e + 1)).collect();
        Self {
            logits: gather(&self.logits, 1, order),
            gate: gather(&self.gate, 0, &units),
            up: gather(&self.up, 0, &units),
            down: gather(&self.down, 1, &units),
            widths: order.iter().map(|&e| self.widths[e]).collect(),
            ..self.clone()
        }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "x {:?} widths={:?} top_k={}", self.x.desc().shape, self.widths, self.top_k)
    }
}

pub(super) fn values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    let kinds = [
        Values::Normal(1e-15),
        Values::Normal(1e17),
        Values::Around(100.0),
        Values::Zeros,
        Values::Denormals,
        Values::Outliers,
        Values::ConstantRows,
        Values::ZeroRows,
    ];
    for i in 0..200 {
        let kind = kinds[i % kinds.len()];
        let call = Call::new(g, kind);
        cases.push(Case::new(format!("x {kind}: {call}"), call.arguments()));
    }
    // Logits that all lie far from 0, that differ in the last place, and that leave experts out for good.
    for i in 0..200 {
        let mut call = Call::new(g, Values::Normal(1.0));
        let plain = call.logits.clone();
        let what =
            ["around 1e6", "around -1e30", "units in the last place", "minus infinity", "cost_bias cancels"][i % 5];
        match i % 5 {
            0 => call.logits = map(&plain, |x| x + 1e6),
            1 => call.logits = map(&plain, |x| -1e30 * (1.0 + x)),
            2 => call.logits = map(&plain, |x| 1.0 + 4.0 * x * f32::EPSILON),
            3 => call.logits = map(&plain, |x| if x == 0.0 { f32::NEG_INFINITY } else { x }),
            _ => {
                // Shifted logits of all experts tie for the first token, whose logits are the bias.
                let first = plain.as_f32().unwrap_or(&[])[..call.widths.len()].to_vec();
                call.bias = Some(g.fill([call.widths.len()], first));
            }
        }
        cases.push(Case::new(format!("logits {what}: {call}"), call.arguments()));
    }
    cases
}

pub(super) fn relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for i in 0..26 {
        let mut base = Call::new(g, Values::Normal(1.0));
        let (n, d) = (base.x.desc().shape[0], base.x.desc().shape[1]);
        let experts = base.widths.len();
        if i % 3 == 0 {
            base.bias = Some(g.normal([experts], 0.5));
        }
        if i % 4 == 0 {
            base.residual = Some(g.normal([n, d], 1.0));
        }
        let (call, order) = (base.clone(), g.permutation(n));
        laws.push(Relation::new(format!("tokens permuted: {base}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let moved = calls.run(&call.tokens(&order).arguments())?;
            let want = |name| Ok::<_, drdiff::Error>(gather(plain.get(name)?, 0, &order));
            let counts = moved.same("counts", plain.get("counts")?)?;
            Ok(vec![moved.same("out", &want("out")?)?, moved.same("indices", &want("indices")?)?, counts])
        }));
        let (call, cut) = (base.clone(), g.below(n));
        laws.push(Relation::new(format!("tokens alone and together, cut at {cut}: {base}"), move |calls| {
            let whole = calls.run(&call.arguments())?;
            let picks: Vec<usize> = (cut..n).collect();
            let part = calls.run(&call.tokens(&picks).arguments())?;
            let want = |name| Ok::<_, drdiff::Error>(gather(whole.get(name)?, 0, &picks));
            Ok(vec![part.same("out", &want("out")?)?, part.same("indices", &want("indices")?)?])
        }));
        let (call, order) = (Call { bias: None, ..base.clone() }, g.permutation(experts));
        laws.push(Relation::new(format!("experts permuted: {base}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let moved = calls.run(&call.experts(&order).arguments())?;
            let renamed = moved.get("indices")?.words().iter().map(|&e| order[e as usize] as u32).collect();
            let renamed = Tensor::u32(moved.get("indices")?.desc().shape.clone(), renamed)?;
            let counts = gather(plain.get("counts")?, 0, &order);
            let mut claims = vec![moved.same("out", plain.get("out")?)?, moved.same("counts", &counts)?];
            claims.push(Claim::same("indices", &renamed, plain.get("indices")?));
            Ok(claims)
        }));
        // With every expert chosen, what it costs decides nothing: a budget of 1.
        let call = Call { top_k: experts, bias: None, ..base.clone() };
        let bias = g.normal([experts], 5.0);
        laws.push(Relation::new(format!("all experts, whatever their cost: {base}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let biased = calls.run(&Call { bias: Some(bias.clone()), ..call.clone() }.arguments())?;
            Ok(vec![biased.same("out", plain.get("out")?)?, biased.same("indices", plain.get("indices")?)?])
        }));
        let (call, shift) = (base.clone(), g.pick(&[-64.0, 4096.0, 1_048_576.0]));
        laws.push(Relation::new(format!("{shift} on every logit: {base}"), move |calls| {
            let call = Call { bias: None, ..call.clone() };
            let plain = calls.run(&call.arguments())?;
            let logits = map(&call.logits, |x| x + shift);
            let moved = calls.run(&Call { logits, ..call.clone() }.arguments())?;
            Ok(vec![moved.same("out", plain.get("out")?)?, moved.same("indices", plain.get("indices")?)?])
        }));
        // An expert that nobody chooses, with units or without, first or last.
        let call = Call { bias: None, ..base.clone() };
        let (width, before) = (g.pick(&[0, 5, 64]), g.below(2) == 0);
        let (rows, columns) = (g.normal([width, d], 1.0), g.normal([d, width], 1.0));
        laws.push(Relation::new(
            format!("one more of width {width} that nobody chooses, first={before}: {base}"),
            move |calls| {
                let plain = calls.run(&call.arguments())?;
                let join =
                    |a: &Tensor, b: &Tensor, axis| if before { concat(&[b, a], axis) } else { concat(&[a, b], axis) };
                let low = Tensor::f32([n, 1], vec![-50.0; n])?;
                let mut widths = call.widths.clone();
                widths.insert(if before { 0 } else { widths.len() }, width as u32);
                let more = Call {
                    logits: join(&call.logits, &low, 1),
                    gate: join(&call.gate, &rows, 0),
                    up: join(&call.up, &rows, 0),
                    down: join(&call.down, &columns, 1),
                    widths,
                    ..call.clone()
                };
                Ok(vec![calls.run(&more.arguments())?.same("out", plain.get("out")?)?])
            },
        ));
        let (call, power) = (base.clone(), g.pick(&[-30, 3, 30]));
        laws.push(Relation::new(format!("down times 2^{power}: {base}"), move |calls| {
            let call = Call { residual: None, ..call.clone() };
            let scale = |x: &Tensor| map(x, |x| x * 2_f32.powi(power));
            let plain = calls.run(&call.arguments())?;
            let scaled = calls.run(&Call { down: scale(&call.down), ..call.clone() }.arguments())?;
            Ok(vec![scaled.same("out", &scale(plain.get("out")?))?])
        }));
        let (call, other) = (base.clone(), g.values(base.down.desc().shape.clone(), Values::Whole));
        laws.push(Relation::new(format!("linear in down: {base}"), move |calls| {
            let call = Call { residual: None, ..call.clone() };
            let first = map(&call.down, |x| (x * 256.0).round() / 256.0);
            let sum = zip(&first, &other, |a, b| a + b);
            let mut of = |down: &Tensor| calls.run(&Call { down: down.clone(), ..call.clone() }.arguments());
            let (a, b) = (of(&first)?.wide("out")?, of(&other)?.wide("out")?);
            Ok(vec![of(&sum)?.close("out", plus(&a, &b))?])
        }));
        let (call, residual) = (Call { residual: None, ..base.clone() }, g.normal([n, d], 1.0));
        laws.push(Relation::new(format!("residual: {base}"), move |calls| {
            let plain = calls.run(&call.arguments())?.wide("out")?;
            let added = calls.run(&Call { residual: Some(residual.clone()), ..call.clone() }.arguments())?;
            Ok(vec![added.close("out", plus(&plain, &super::wide(&residual)))?])
        }));
        // The same expert twice, each with half of the weight, is that expert once.
        let alone = Call { bias: None, top_k: 1, ..base.experts(&[0]) };
        let twice = Call { top_k: 2, ..Call { bias: None, ..base.experts(&[0, 0]) } };
        laws.push(Relation::new(format!("an expert of width {} twice: N={n} D={d}", alone.widths[0]), move |calls| {
            let once = calls.run(&alone.arguments())?;
            Ok(vec![calls.run(&twice.arguments())?.close("out", once.wide("out")?)?])
        }));
    }
    laws
}
