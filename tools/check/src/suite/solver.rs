//! `solver`.

use drdiff_reference::solver::alpha_sigma;

use super::steps::KINDS;
use super::{plus, wide};
use crate::rearrange::{concat, gather, map, zip};
use crate::{Case, Claim, Gen, Relation, Values};
use drdiff::Tensor;
use drdiff::op::Arguments;

#[derive(Clone)]
struct Call {
    x: Tensor,
    x0: Tensor,
    alpha: Vec<f32>,
    sigma: Vec<f32>,
    order: usize,
    lower_order_final: bool,
}

impl Call {
    fn new(g: &mut Gen, [n, d, steps]: [usize; 3], kind: Values) -> Self {
        let (from, spread) = (g.pick(&[2.0, 8.0, 12.0]), g.pick(&[4.0, 12.0, 20.0]));
        let mut points: Vec<_> = (0..=steps).map(|i| alpha_sigma(from - spread * i as f64 / steps as f64)).collect();
        if g.below(2) == 0 {
            points[steps] = (1.0, 0.0);
        }
        let (alpha, sigma) = points.iter().map(|&(alpha, sigma)| (alpha as f32, sigma as f32)).unzip();
        let (x, x0) = (g.values([n, d], kind), g.values([steps, n, d], kind));
        Self { x, x0, alpha, sigma, order: 1 + g.below(2), lower_order_final: g.below(2) == 0 }
    }

    fn arguments(&self) -> Arguments {
        let point = |values: &Vec<f32>| Tensor::f32([values.len()], values.clone()).expect("a list");
        Arguments::new()
            .with("x", self.x.clone())
            .with("x0", self.x0.clone())
            .with("alpha", point(&self.alpha))
            .with("sigma", point(&self.sigma))
            .set("order", self.order)
            .set("lower_order_final", self.lower_order_final)
    }
}

fn sizes(g: &mut Gen) -> [usize; 3] {
    [g.pick(&[1, 2, 9, 31, 64]), g.pick(&[1, 3, 16, 33]), g.pick(&[1, 2, 3, 7, 20])]
}

pub(super) fn values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..160 {
        let (sizes, kind) = (sizes(g), KINDS[i % KINDS.len()]);
        let call = Call::new(g, sizes, kind);
        let [n, d, s] = sizes;
        cases.push(Case::new(format!("{kind}: n={n} d={d} steps={s} order={}", call.order), call.arguments()));
    }
    cases
}

pub(super) fn relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for _ in 0..24 {
        let [n, d, steps] = sizes(g);
        let base = Call::new(g, [n, d, steps], Values::Normal(1.0));
        let size = format!("n={n} d={d} steps={steps} order={}", base.order);
        let (call, rows) = (base.clone(), g.permutation(n));
        laws.push(Relation::new(format!("rows permuted: {size}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let (x, x0) = (gather(&call.x, 0, &rows), gather(&call.x0, 1, &rows));
            let moved = calls.run(&Call { x, x0, ..call.clone() }.arguments())?;
            Ok(vec![moved.same("trajectory", &gather(plain.get("trajectory")?, 1, &rows))?])
        }));
        // With one prediction c throughout the way is known: x_t = alpha_t c + sigma_t / sigma_0 (x - alpha_0 c).
        let call = base.clone();
        laws.push(Relation::new(format!("one prediction throughout: {size}"), move |calls| {
            let c = gather(&call.x0, 0, &[0]);
            let x0 = gather(&c, 0, &vec![0; steps]);
            let got = calls.run(&Call { x0, ..call.clone() }.arguments())?;
            let (c, x) = (wide(&c), wide(&call.x));
            let point = |i: usize| (f64::from(call.alpha[i]), f64::from(call.sigma[i]));
            let (a0, s0) = point(0);
            let at = |i: usize| {
                let (a, s) = point(i);
                x.iter().zip(&c).map(move |(x, c)| a * c + s / s0 * (x - a0 * c)).collect::<Vec<_>>()
            };
            Ok(vec![got.close("trajectory", (0..=steps).flat_map(at).collect())?])
        }));
        let (call, other) = (base.clone(), Call::new(g, [n, d, steps], Values::Normal(1.0)));
        laws.push(Relation::new(format!("linear: {size}"), move |calls| {
            let coarse = |x: &Tensor| map(x, |x| (x * 1024.0).round() / 1024.0 + 8.0);
            let a = Call { x: coarse(&call.x), x0: coarse(&call.x0), ..call.clone() };
            let b = Call { x: coarse(&other.x), x0: coarse(&other.x0), ..call.clone() };
            let sum = |a, b| zip(a, b, |a, b| a + b);
            let both = Call { x: sum(&a.x, &b.x), x0: sum(&a.x0, &b.x0), ..call.clone() };
            let parts =
                [calls.run(&a.arguments())?.wide("trajectory")?, calls.run(&b.arguments())?.wide("trajectory")?];
            Ok(vec![calls.run(&both.arguments())?.close("trajectory", plus(&parts[0], &parts[1]))?])
        }));
        let (call, power) = (base.clone(), g.pick(&[-60, 5, 60]));
        laws.push(Relation::new(format!("times 2^{power}: {size}"), move |calls| {
            let scale = |x: &Tensor| map(x, |x| x * 2_f32.powi(power));
            let plain = calls.run(&call.arguments())?;
            let scaled = calls.run(&Call { x: scale(&call.x), x0: scale(&call.x0), ..call.clone() }.arguments())?;
            Ok(vec![scaled.same("trajectory", &scale(plain.get("trajectory")?))?])
        }));
        // What comes later changes nothing before it; the last step may be first order for being the last.
        let call = Call { lower_order_final: false, ..base.clone() };
        let keep = 1 + g.below(steps);
        laws.push(Relation::new(format!("the first {keep} steps alone: {size}"), move |calls| {
            let whole = calls.run(&call.arguments())?;
            let part = Call {
                x0: gather(&call.x0, 0, &(0..keep).collect::<Vec<_>>()),
                alpha: call.alpha[..=keep].to_vec(),
                sigma: call.sigma[..=keep].to_vec(),
                ..call.clone()
            };
            let want = gather(whole.get("trajectory")?, 0, &(0..=keep).collect::<Vec<_>>());
            Ok(vec![calls.run(&part.arguments())?.same("trajectory", &want)?])
        }));
        // The first step knows no earlier prediction.
        let call = Call::new(g, [n, d, 1], Values::Normal(1.0));
        laws.push(Relation::new(format!("one step of either order: n={n} d={d}"), move |calls| {
            let [first, second] = [1, 2].map(|order| Call { order, ..call.clone() }.arguments());
            let (first, second) = (calls.run(&first)?, calls.run(&second)?);
            Ok(vec![second.same("trajectory", first.get("trajectory")?)?])
        }));
        let call = base;
        laws.push(Relation::new(format!("the trajectory begins at x: {size}"), move |calls| {
            let got = calls.run(&call.arguments())?;
            let start = gather(got.get("trajectory")?, 0, &[0]);
            Ok(vec![Claim::same("trajectory", &start, &concat(&[&call.x], 0))])
        }));
    }
    laws
}
