//! `linear`.

use super::{plus, wide};
use crate::rearrange::{concat, gather, map, zip};
use crate::{Case, Gen, Relation, Values};
use drdiff::Tensor;
use drdiff::op::Arguments;

const SIZES: [usize; 13] = [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65];

/// Kinds of `x` and `weight` for which the bound holds: no sum of |x w| beyond some 100 times |y|, none past the
/// largest float, none so small that its parts are below the smallest normal one.
const KINDS: [(Values, Values); 13] = [
    (Values::Normal(1e-18), Values::Normal(1e-14)),
    (Values::Normal(1e18), Values::Normal(1e18)),
    (Values::Around(1e3), Values::Normal(1.0)),
    (Values::Around(1e3), Values::Around(1e3)),
    (Values::Zeros, Values::Normal(1.0)),
    (Values::Normal(1.0), Values::Zeros),
    (Values::Denormals, Values::Normal(1.0)),
    (Values::Outliers, Values::Outliers),
    (Values::ConstantRows, Values::ConstantRows),
    (Values::ZeroRows, Values::Normal(1.0)),
    (Values::MixedRows, Values::MixedRows),
    (Values::Normal(1.0), Values::Ulps),
    (Values::Ulps, Values::Normal(1e3)),
];

pub(super) fn values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..390 {
        let (x, weight) = KINDS[i % KINDS.len()];
        let (m, k, n) = (g.pick(&SIZES), g.pick(&SIZES), g.pick(&SIZES));
        // A short sum of numbers that are all but one could be the same everywhere.
        let k = if [x, weight].contains(&Values::Ulps) { k.max(7) } else { k };
        let mut arguments = Arguments::new().with("x", g.values([m, k], x)).with("weight", g.values([n, k], weight));
        let mut label = format!("x {x}, weight {weight}: m={m} k={k} n={n}");
        if i % 5 == 0 {
            arguments = arguments.with("bias", g.values([n], Values::Zeros)).with("gate", g.normal([n + 3], 1.0));
            arguments = arguments.with("residual", g.values([m, n], Values::Zeros)).set("gate_offset", 3);
            label += " with all else";
        }
        cases.push(Case::new(label, arguments));
    }
    // Activations far out: all of y where one is all but 0, all but x, or past exp's range.
    for i in 0..120 {
        let (m, n) = (g.pick(&SIZES), g.pick(&SIZES));
        let activation = ["silu", "gelu"][i % 2];
        let bias = [-6.0, -9.0, 9.0, -0.01, 60.0, 1e4][i / 2 % 6];
        let arguments = Arguments::new()
            .with("x", g.normal([m, 3], 0.3))
            .with("weight", g.normal([n, 3], 0.3))
            .with("bias", g.fill([n], vec![bias; n]))
            .set("activation", activation);
        cases.push(Case::new(format!("{activation} around {bias}: m={m} n={n}"), arguments));
    }
    for i in 0..24 {
        let activation = ["silu", "gelu"][i % 2];
        let size = [1e-15, 1e-6, 30.0, 200.0, 1e4, 1e11][i / 2 % 6];
        let arguments = Arguments::new().with("x", g.normal([9, 5], size)).with("weight", g.normal([17, 5], 1.0));
        cases.push(Case::new(format!("{activation} of size {size:e}"), arguments.set("activation", activation)));
    }
    // Sums whose terms are 100 times as large: rows of the weight that sum to 0 beside a common part of x.
    for i in 0..36 {
        let (m, k, n) = (g.pick(&SIZES), [16, 33, 64][i % 3], g.pick(&SIZES));
        let common = 125.0 / (k as f32).sqrt();
        let weight = g.normal([n, k], 1.0);
        let centred = weight.as_f32().unwrap_or(&[]).chunks(k).flat_map(|row| {
            let mean = row.iter().sum::<f32>() / k as f32;
            row.iter().map(move |w| w - mean)
        });
        let weight = g.fill([n, k], centred.collect::<Vec<_>>());
        let arguments = Arguments::new().with("x", g.values([m, k], Values::Around(common))).with("weight", weight);
        cases.push(Case::new(format!("terms that cancel: m={m} k={k} n={n}"), arguments));
    }
    // Long sums, of one sign and of both.
    for k in [257, 1000, 4096] {
        for kind in [Values::Normal(1.0), Values::Around(3.0), Values::Ulps] {
            for m in [3, 20] {
                let arguments =
                    Arguments::new().with("x", g.values([m, k], kind)).with("weight", g.values([9, k], kind));
                cases.push(Case::new(format!("long sums, {kind}: m={m} k={k}"), arguments));
            }
        }
    }
    cases
}

fn call(x: &Tensor, weight: &Tensor) -> Arguments {
    Arguments::new().with("x", x.clone()).with("weight", weight.clone())
}

pub(super) fn relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for _ in 0..32 {
        let (m, k, n) = (g.pick(&SIZES), g.pick(&SIZES), g.pick(&SIZES));
        let size = format!("m={m} k={k} n={n}");
        let (x, weight) = (g.normal([m, k], 1.0), g.normal([n, k], 1.0));
        let (rows, columns) = (g.permutation(m), g.permutation(n));
        let (a, b) = (x.clone(), weight.clone());
        laws.push(Relation::new(format!("rows and columns permuted: {size}"), move |calls| {
            let plain = calls.run(&call(&a, &b))?;
            let moved = calls.run(&call(&gather(&a, 0, &rows), &gather(&b, 0, &columns)))?;
            Ok(vec![moved.same("y", &gather(&gather(plain.get("y")?, 0, &rows), 1, &columns))?])
        }));
        let (a, b) = (x.clone(), weight.clone());
        laws.push(Relation::new(format!("powers of two: {size}"), move |calls| {
            let plain = calls.run(&call(&a, &b))?;
            let scaled = calls.run(&call(&map(&a, |x| x * 256.0), &map(&b, |x| x / 16.0)))?;
            Ok(vec![scaled.same("y", &map(plain.get("y")?, |y| y * 16.0))?])
        }));
        let (a, b) = (x.clone(), weight.clone());
        let more = g.below(40) + 1;
        laws.push(Relation::new(format!("{more} more zeros to sum up: {size}"), move |calls| {
            let plain = calls.run(&call(&a, &b))?;
            let zeros = |rows| Tensor::zeros(drdiff::Desc::f32([rows, more]));
            let longer = calls.run(&call(&concat(&[&a, &zeros(m)?], 1), &concat(&[&b, &zeros(n)?], 1)))?;
            Ok(vec![longer.close("y", plain.wide("y")?)?])
        }));
        let identity = g.fill([k, k], (0..k * k).map(|i| if i % (k + 1) == 0 { 1.0 } else { 0.0 }));
        let a = x.clone();
        laws.push(Relation::new(format!("identity: {size}"), move |calls| {
            Ok(vec![calls.run(&call(&a, &identity))?.same("y", &a)?])
        }));
        let (a, b, w) = (g.values([m, k], Values::Whole), g.values([m, k], Values::Whole), g.normal([n, k], 1.0));
        let b = map(&b, |b| b + 9.0);
        laws.push(Relation::new(format!("linear in x: {size}"), move |calls| {
            let parts = [calls.run(&call(&a, &w))?.wide("y")?, calls.run(&call(&b, &w))?.wide("y")?];
            let whole = calls.run(&call(&zip(&a, &b, |a, b| a + b), &w))?;
            Ok(vec![whole.close("y", plus(&parts[0], &parts[1]))?])
        }));
        let bias = g.normal([n], 1.0);
        let (a, residual) = (x.clone(), g.normal([m, n], 1.0));
        laws.push(Relation::new(format!("bias, gate and residual alone: {size}"), move |calls| {
            let arguments = call(&a, &Tensor::zeros(drdiff::Desc::f32([n, k]))?).with("bias", bias.clone());
            let gated = arguments.with("gate", map(&bias, |b| 2.0 * b)).with("residual", residual.clone());
            let rows = wide(&residual).into_iter().enumerate();
            let want = rows.map(|(i, r)| r + 2.0 * f64::from(bias.as_f32().unwrap_or(&[])[i % n]).powi(2));
            Ok(vec![calls.run(&gated)?.close("y", want.collect())?])
        }));
        for activation in ["silu", "gelu"] {
            let (a, b) = (x.clone(), weight.clone());
            laws.push(Relation::new(format!("{activation}(y) - {activation}(-y) = y: {size}"), move |calls| {
                let y = calls.run(&call(&a, &b))?.wide("y")?;
                let up = calls.run(&call(&a, &b).set("activation", activation))?;
                let down = calls.run(&call(&map(&a, |x| -x), &b).set("activation", activation))?;
                let difference = zip(up.get("y")?, down.get("y")?, |up, down| up - down);
                Ok(vec![up.close_by("y", &difference, y)?])
            }));
        }
        let (a, b) = (g.normal([2, m, k], 1.0), weight);
        laws.push(Relation::new(format!("two sequences at once: {size}"), move |calls| {
            let both = calls.run(&call(&a, &b))?;
            let parts = [calls.run(&call(&gather(&a, 0, &[0]), &b))?, calls.run(&call(&gather(&a, 0, &[1]), &b))?];
            let want = [parts[0].wide("y")?, parts[1].wide("y")?].concat();
            Ok(vec![both.close("y", want)?])
        }));
    }
    laws
}
