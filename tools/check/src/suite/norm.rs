//! `norm`.

use super::wide;
use crate::rearrange::{concat, gather, map};
use crate::{Case, Gen, Relation, Values};
use drdiff::Tensor;
use drdiff::op::Arguments;

const ROWS: [usize; 5] = [1, 2, 3, 17, 40];
const DIMS: [usize; 11] = [2, 3, 7, 31, 32, 33, 63, 64, 65, 128, 200];

/// Kinds of `x` with the smallest `eps` that they suit.
const KINDS: [(Values, f32); 14] = [
    (Values::Around(10.0), 1e-6),
    (Values::Around(1e3), 1e-6),
    (Values::Around(1e5), 1e-6),
    (Values::Around(-1e6), 1e-6),
    (Values::Normal(1e-4), 1e-6),
    (Values::Normal(1e-12), 1e-6),
    (Values::Normal(1e-12), 1e-24),
    (Values::Normal(1e15), 1e-6),
    (Values::Zeros, 1e-6),
    (Values::Denormals, 1e-6),
    (Values::Outliers, 1e-6),
    (Values::ConstantRows, 1e-6),
    (Values::ZeroRows, 1e-6),
    (Values::MixedRows, 1e-6),
];

pub(super) fn values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..420 {
        let (kind, eps) = KINDS[i / 2 % KINDS.len()];
        let norm = ["rms", "layer"][i % 2];
        let (n, d) = (g.pick(&ROWS), g.pick(&DIMS));
        let mut arguments =
            Arguments::new().with("x", g.values([n, d], kind)).set("kind", norm).set("eps", format!("{eps:e}"));
        let modulated = g.below(3) == 0;
        if modulated {
            arguments = arguments.with("modulation", g.normal([2 * d], 0.5)).set("scale_offset", d);
        }
        cases.push(Case::new(format!("{norm}, {kind}: n={n} d={d} eps={eps:e} modulated={modulated}"), arguments));
    }
    // A mean far above the deviation, whatever both are.
    for i in 0..60 {
        let (mean, deviation) = [(1449.0, 0.5), (-3e4, 0.3), (1e-3, 1e-6), (1e8, 100.0), (2e12, 1e7)][i % 5];
        let (n, d) = (g.pick(&ROWS), g.pick(&DIMS));
        let x = map(&g.normal([n, d], 1.0), |x| mean + deviation * x);
        let arguments = Arguments::new().with("x", x).set("kind", "layer").set("eps", "1e-12");
        cases.push(Case::new(format!("layer, mean {mean} deviation {deviation}: n={n} d={d}"), arguments));
    }
    cases
}

fn call(x: &Tensor, kind: &str, eps: f32) -> Arguments {
    Arguments::new().with("x", x.clone()).set("kind", kind).set("eps", format!("{eps:e}"))
}

pub(super) fn relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for i in 0..30 {
        let kind = ["rms", "layer"][i % 2];
        let (n, d) = (g.pick(&ROWS), g.pick(&DIMS));
        let size = format!("{kind} n={n} d={d}");
        let x = g.normal([n, d], 1.0);
        let (a, rows) = (x.clone(), g.permutation(n));
        laws.push(Relation::new(format!("rows permuted: {size}"), move |calls| {
            let plain = calls.run(&call(&a, kind, 1e-5))?;
            let moved = calls.run(&call(&gather(&a, 0, &rows), kind, 1e-5))?;
            Ok(vec![moved.same("y", &gather(plain.get("y")?, 0, &rows))?])
        }));
        let (a, b) = (x.clone(), g.normal([3, d], 2.0));
        laws.push(Relation::new(format!("rows alone and together: {size}"), move |calls| {
            let [first, second] = [calls.run(&call(&a, kind, 1e-5))?, calls.run(&call(&b, kind, 1e-5))?];
            let both = calls.run(&call(&concat(&[&a, &b], 0), kind, 1e-5))?;
            Ok(vec![both.same("y", &concat(&[first.get("y")?, second.get("y")?], 0))?])
        }));
        let a = x.clone();
        let power = g.pick(&[-20, -8, 6, 30]);
        laws.push(Relation::new(format!("x times 2^{power}, eps times 4^{power}: {size}"), move |calls| {
            let eps = 2_f32.powi(-18);
            let plain = calls.run(&call(&a, kind, eps))?;
            let scaled = calls.run(&call(&map(&a, |x| x * 2_f32.powi(power)), kind, eps * 4_f32.powi(power)))?;
            Ok(vec![scaled.same("y", plain.get("y")?)?])
        }));
        let a = x.clone();
        laws.push(Relation::new(format!("negated: {size}"), move |calls| {
            let plain = calls.run(&call(&a, kind, 1e-5))?;
            let negative = calls.run(&call(&map(&a, |x| -x), kind, 1e-5))?;
            Ok(vec![negative.same("y", &map(plain.get("y")?, |y| -y))?])
        }));
        let (a, columns) = (x.clone(), g.permutation(d));
        laws.push(Relation::new(format!("columns permuted: {size}"), move |calls| {
            let plain = calls.run(&call(&a, kind, 1e-5))?;
            let moved = calls.run(&call(&gather(&a, 1, &columns), kind, 1e-5))?;
            Ok(vec![moved.close("y", wide(&gather(plain.get("y")?, 1, &columns)))?])
        }));
        let (a, modulation) = (x.clone(), g.normal([d + 9], 0.7));
        let [shift, scale] = [0, 1].map(|_| g.below(9));
        laws.push(Relation::new(format!("modulated from {shift} and {scale}: {size}"), move |calls| {
            let plain = calls.run(&call(&a, kind, 1e-5))?.wide("y")?;
            let arguments = call(&a, kind, 1e-5).with("modulation", modulation.clone());
            let got = calls.run(&arguments.set("shift_offset", shift).set("scale_offset", scale))?;
            let m = wide(&modulation);
            let want = plain.iter().enumerate().map(|(i, y)| y * (1.0 + m[scale + i % d]) + m[shift + i % d]);
            Ok(vec![got.close("y", want.collect())?])
        }));
        // Whole numbers that grow along a row, so that no row is one value.
        let a = g.values([n, d], Values::Whole);
        let a = g.fill([n, d], a.as_f32().unwrap_or(&[]).iter().enumerate().map(|(i, x)| x + 16.0 * (i % d) as f32));
        let shift = g.pick(&[64.0, 4096.0, 1_048_576.0]);
        laws.push(Relation::new(format!("layer norm of x + {shift}: n={n} d={d}"), move |calls| {
            let plain = calls.run(&call(&a, "layer", 1e-3))?;
            let shifted = calls.run(&call(&map(&a, |x| x + shift), "layer", 1e-3))?;
            Ok(vec![shifted.close("y", plain.wide("y")?)?])
        }));
    }
    laws
}
