//! `vocab_expectation`.

use super::{plus, wide};
use crate::rearrange::{concat, gather, map, zip};
use crate::{Case, Gen, Relation, Values};
use drdiff::Tensor;
use drdiff::op::Arguments;

const ROWS: [usize; 8] = [1, 2, 31, 32, 33, 63, 64, 65];
const VOCAB: [usize; 8] = [2, 31, 32, 33, 63, 64, 65, 97];
const DIMS: [usize; 8] = [1, 2, 3, 4, 31, 32, 33, 65];
const EMBED: [usize; 9] = [2, 3, 31, 32, 33, 63, 64, 65, 130];

#[derive(Clone)]
struct Call {
    h: Tensor,
    unembed: Tensor,
    embed: Tensor,
    skip: Option<Tensor>,
}

impl Call {
    fn arguments(&self) -> Arguments {
        let arguments = Arguments::new().with("h", self.h.clone()).with("unembed", self.unembed.clone());
        let arguments = arguments.with("embed", self.embed.clone());
        match &self.skip {
            Some(skip) => arguments.with("skip", skip.clone()),
            None => arguments,
        }
    }

    /// Logits of standard deviation `spread`.
    fn new(g: &mut Gen, [n, v, d, e]: [usize; 4], spread: f32, skip: bool) -> Self {
        let part = if skip { spread * 0.5_f32.sqrt() } else { spread };
        Self {
            h: g.normal([n, d], 1.0),
            unembed: g.normal([v, d], part / (d as f32).sqrt()),
            embed: g.normal([v, e], 1.0),
            skip: skip.then(|| g.normal([n, e], part / (e as f32).sqrt())),
        }
    }

    fn rows(&self, picks: &[usize]) -> Self {
        let skip = self.skip.as_ref().map(|skip| gather(skip, 0, picks));
        Self { h: gather(&self.h, 0, picks), skip, ..self.clone() }
    }

    fn tokens(&self, picks: &[usize]) -> Self {
        Self { unembed: gather(&self.unembed, 0, picks), embed: gather(&self.embed, 0, picks), ..self.clone() }
    }

    /// `by` more on every logit, where f32 holds the sum: one more dimension of h, all ones.
    fn shifted(&self, by: f32) -> Self {
        let column = |tensor: &Tensor, value: f32| {
            let rows = tensor.desc().shape[0];
            let column = Tensor::f32([rows, 1], vec![value; rows]).expect("a column");
            concat(&[tensor, &column], 1)
        };
        Self { h: column(&self.h, 1.0), unembed: column(&self.unembed, by), ..self.clone() }
    }
}

fn sizes(g: &mut Gen) -> [usize; 4] {
    [g.pick(&ROWS), g.pick(&VOCAB), g.pick(&DIMS), g.pick(&EMBED)]
}

/// The same in multiples of 1/16: products and their sums are then exact, however large a whole number is added.
fn coarse(tensor: &Tensor) -> Tensor {
    map(tensor, |x| (x * 16.0).round() / 16.0)
}

pub(super) fn values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut push = |what: String, [n, v, d, e]: [usize; 4], call: &Call| {
        cases.push(Case::new(format!("{what}: n={n} V={v} D={d} De={e}"), call.arguments()));
    };
    // Logits that all lie far from 0: exact sums in any size, and others up to 64.
    for i in 0..105 {
        let sizes = sizes(g);
        let shift = [64.0, -64.0, 4096.0, -30_000.0, 4096.0, 30_000.0, -4096.0][i % 7];
        let plain = Call::new(g, sizes, 2.0, false);
        let exact = i % 7 > 1;
        let plain = match exact {
            true => Call { h: coarse(&plain.h), unembed: coarse(&plain.unembed), ..plain },
            false => plain,
        };
        push(format!("all logits around {shift}, exact={exact}"), sizes, &plain.shifted(shift));
    }
    // One logit in common, of any size.
    for (i, size) in [1e-30, 1e6, -1e12, 1e30, -1e36].into_iter().cycle().take(30).enumerate() {
        let sizes = sizes(g);
        let [n, v, ..] = sizes;
        let call = Call::new(g, sizes, 0.0, i % 2 == 0);
        let skip = call.skip.as_ref().map(|skip| map(skip, |_| 0.0));
        let call = Call { h: g.fill([n, 1], vec![1.0; n]), unembed: g.fill([v, 1], vec![size; v]), skip, ..call };
        push(format!("every logit {size:e}"), sizes, &call);
    }
    // A sure token at each place of a tile, far above the others.
    for i in 0..66 {
        let [n, v, _, e] = sizes(g);
        let token = |row: usize| (row * 7 + i) % v;
        let margin = [30.0, 100.0, 1e4, 1e20][i % 4];
        let h = g.fill([n, v], (0..n * v).map(|at| if at % v == token(at / v) { 1.0 } else { 0.0 }));
        let unembed = g.fill([v, v], (0..v * v).map(|at| if at % (v + 1) == 0 { margin } else { 0.0 }));
        let call = Call { h, unembed, embed: g.normal([v, e], 1.0), skip: None };
        push(format!("a sure token by {margin:e}"), [n, v, v, e], &call);
    }
    let kinds = [
        Values::Normal(1e-20),
        Values::Normal(1e20),
        Values::Around(1e3),
        Values::Zeros,
        Values::Denormals,
        Values::Outliers,
        Values::ConstantRows,
        Values::MixedRows,
    ];
    // Embeddings of every kind under ordinary logits.
    for i in 0..96 {
        let (sizes, kind) = (sizes(g), kinds[i % kinds.len()]);
        let embed = g.values([sizes[1], sizes[3]], kind);
        let call = Call { embed, ..Call::new(g, sizes, 2.0, false) };
        push(format!("embed {kind}"), sizes, &call);
    }
    // Logits that tie but for the last place, and all but zero ones.
    for i in 0..64 {
        let sizes = sizes(g);
        let kind = [Values::Ulps, Values::Normal(1e-20), Values::Denormals, Values::Zeros][i % 4];
        let unembed = g.values([sizes[1], sizes[2]], kind);
        push(format!("unembed {kind}"), sizes, &Call { unembed, ..Call::new(g, sizes, 1.0, i % 8 < 4) });
    }
    cases
}

pub(super) fn relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for i in 0..30 {
        let [n, v, d, e] = sizes(g);
        let base = Call::new(g, [n, v, d, e], [0.5, 2.0, 6.0][i % 3], i % 2 == 0);
        let size = format!("n={n} V={v} D={d} De={e} skip={}", i % 2 == 0);
        let (call, order) = (base.clone(), g.permutation(n));
        laws.push(Relation::new(format!("rows permuted: {size}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let moved = calls.run(&call.rows(&order).arguments())?;
            ["x0", "lse", "entropy", "token"]
                .map(|name| moved.same(name, &gather(plain.get(name)?, 0, &order)))
                .into_iter()
                .collect()
        }));
        let (call, cut) = (base.clone(), g.below(n));
        laws.push(Relation::new(format!("rows alone and together, cut at {cut}: {size}"), move |calls| {
            let whole = calls.run(&call.arguments())?;
            let part = calls.run(&call.rows(&(cut..n).collect::<Vec<_>>()).arguments())?;
            let picks: Vec<usize> = (cut..n).collect();
            let want = |name| Ok::<_, drdiff::Error>(wide(&gather(whole.get(name)?, 0, &picks)));
            Ok(vec![
                part.close("x0", want("x0")?)?,
                part.close("lse", want("lse")?)?,
                part.close("entropy", want("entropy")?)?,
            ])
        }));
        let (call, order) = (base.clone(), g.permutation(v));
        laws.push(Relation::new(format!("tokens permuted: {size}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let moved = calls.run(&call.tokens(&order).arguments())?;
            let mut claims = vec![moved.close("x0", plain.wide("x0")?)?, moved.close("lse", plain.wide("lse")?)?];
            claims.push(moved.close("entropy", plain.wide("entropy")?)?);
            Ok(claims)
        }));
        let call = base.clone();
        laws.push(Relation::new(format!("every token twice: {size}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let twice = calls.run(&call.tokens(&(0..v).chain(0..v).collect::<Vec<_>>()).arguments())?;
            let more = |name| Ok::<_, drdiff::Error>(plain.wide(name)?.iter().map(|x| x + 2_f64.ln()).collect());
            let mut claims = vec![twice.close("x0", plain.wide("x0")?)?, twice.close("lse", more("lse")?)?];
            claims.push(twice.close("entropy", more("entropy")?)?);
            claims.push(twice.same("token", plain.get("token")?)?);
            Ok(claims)
        }));
        // Two parts of the vocabulary, put together by their log-sum-exp.
        let (call, cut) = (base.clone(), 1 + g.below(v - 1));
        laws.push(Relation::new(format!("the vocabulary in two, cut at {cut}: {size}"), move |calls| {
            let whole = calls.run(&call.arguments())?;
            let parts = [(0..cut).collect::<Vec<_>>(), (cut..v).collect()]
                .map(|picks| calls.run(&call.tokens(&picks).arguments()));
            let [a, b] = parts;
            let (a, b) = (a?, b?);
            let (la, lb) = (a.wide("lse")?, b.wide("lse")?);
            let lse: Vec<f64> = la.iter().zip(&lb).map(|(a, b)| a.max(*b) + (-(a - b).abs()).exp().ln_1p()).collect();
            let (xa, xb) = (a.wide("x0")?, b.wide("x0")?);
            let x0 = (0..n * e).map(|at| {
                let row = at / e;
                xa[at] * (la[row] - lse[row]).exp() + xb[at] * (lb[row] - lse[row]).exp()
            });
            Ok(vec![whole.close("x0", x0.collect())?, whole.close("lse", lse)?])
        }));
        let exact = Call { h: coarse(&base.h), unembed: coarse(&base.unembed), skip: None, ..base.clone() };
        let shift = g.pick(&[-8192.0, 256.0, 16_384.0]);
        laws.push(Relation::new(format!("{shift} on every logit: {size}"), move |calls| {
            let plain = calls.run(&exact.arguments())?;
            let moved = calls.run(&exact.shifted(shift).arguments())?;
            let lse = plain.wide("lse")?.iter().map(|lse| lse + f64::from(shift)).collect();
            let mut claims = vec![moved.close("x0", plain.wide("x0")?)?, moved.close("lse", lse)?];
            claims.push(moved.close("entropy", plain.wide("entropy")?)?);
            claims.push(moved.same("token", plain.get("token")?)?);
            Ok(claims)
        }));
        // Both ways into the logits are one.
        let (query, embed) = (g.normal([n, e], 2.0 / (e as f32).sqrt()), base.embed.clone());
        let zeros = Call { h: map(&base.h, |_| 0.0), skip: Some(query.clone()), ..base.clone() };
        laws.push(Relation::new(format!("h or skip: {size}"), move |calls| {
            let by_skip = calls.run(&zeros.arguments())?;
            let by_h = Call { h: query.clone(), unembed: embed.clone(), embed: embed.clone(), skip: None };
            let by_h = calls.run(&by_h.arguments())?;
            let mut claims = vec![by_skip.close("x0", by_h.wide("x0")?)?, by_skip.close("lse", by_h.wide("lse")?)?];
            claims.push(by_skip.close("entropy", by_h.wide("entropy")?)?);
            Ok(claims)
        }));
        // The state as it is: no noise, and a scale of 1.
        let (call, absorb) = (base.clone(), g.normal([e], 1.0));
        let skip = g.normal([n, e], 1.0 / (e as f32).sqrt());
        laws.push(Relation::new(format!("a query at no noise is the state: {size}"), move |calls| {
            let plain = Call { skip: Some(skip.clone()), ..call.clone() }.arguments();
            let step = (0..16).map(|word| if word == 1 || word == 3 { 1.0 } else { 0.0 }).collect();
            let query = plain.clone().with("absorb", absorb.clone()).with("step", Tensor::f32([16], step)?);
            let (plain, query) = (calls.run(&plain)?, calls.run(&query)?);
            ["x0", "lse", "entropy"].map(|name| query.close(name, plain.wide(name)?)).into_iter().collect()
        }));
        let (call, modulation) = (base.clone(), g.normal([2 * d], 0.3));
        laws.push(Relation::new(format!("a norm knows no size: {size}"), move |calls| {
            let normed = |h: Tensor| {
                let arguments = Call { h, ..call.clone() }.arguments().with("modulation", modulation.clone());
                arguments.set("scale_offset", d.to_string()).set("eps", "1e-30")
            };
            let plain = calls.run(&normed(call.h.clone()))?;
            let large = calls.run(&normed(map(&call.h, |x| x * 2_f32.powi(80))))?;
            ["x0", "lse", "entropy"].map(|name| large.close(name, plain.wide(name)?)).into_iter().collect()
        }));
        let call = Call { skip: None, ..base };
        let other = map(&g.values([v, e], Values::Whole), |x| x + 9.0);
        laws.push(Relation::new(format!("linear in embed: {size}"), move |calls| {
            let first = map(&call.embed, |x| (x * 256.0).round() / 256.0);
            let sum = zip(&first, &other, |a, b| a + b);
            let mut of = |embed: &Tensor| calls.run(&Call { embed: embed.clone(), ..call.clone() }.arguments());
            let (a, b) = (of(&first)?, of(&other)?);
            let both = of(&sum)?;
            Ok(vec![both.close("x0", plus(&a.wide("x0")?, &b.wide("x0")?))?, both.same("lse", a.get("lse")?)?])
        }));
    }
    laws
}
