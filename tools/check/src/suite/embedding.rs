//! `embedding` and `time_embedding`.

use std::f32::consts::PI;

use super::wide;
use crate::rearrange::{concat, gather, map};
use crate::{Case, Claim, Gen, Relation, Values};
use drdiff::Tensor;
use drdiff::op::Arguments;

const KINDS: [Values; 8] = [
    Values::Normal(1e-36),
    Values::Normal(1e37),
    Values::Around(1e6),
    Values::Zeros,
    Values::Denormals,
    Values::ConstantRows,
    Values::ZeroRows,
    Values::MixedRows,
];

fn call(table: &Tensor, ids: &[usize]) -> Arguments {
    let ids = ids.iter().map(|&id| id as u32).collect::<Vec<_>>();
    let ids = Tensor::u32([ids.len()], ids).expect("a list");
    Arguments::new().with("table", table.clone()).with("ids", ids)
}

/// Ids that name the first and the last row.
fn ids(g: &mut Gen, count: usize, vocab: usize) -> Vec<usize> {
    let mut ids: Vec<usize> = (0..count).map(|_| g.below(vocab)).collect();
    ids[0] = 0;
    ids.push(vocab - 1);
    ids
}

pub(super) fn values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..88 {
        let kind = KINDS[i % KINDS.len()];
        let (v, d, n) = (g.pick(&[2, 31, 64, 100]), g.pick(&[2, 7, 32, 33, 100]), g.pick(&[1, 5, 63, 64, 65]));
        let (table, ids) = (g.values([v, d], kind), ids(g, n, v));
        cases.push(Case::new(format!("{kind}: V={v} D={d}, {n} ids and the last"), call(&table, &ids)));
    }
    for d in [2, 33] {
        // A copy keeps infinities.
        let table = g.fill([4, d], (0..4 * d).map(|i| if i % 5 == 4 { f32::NEG_INFINITY } else { i as f32 }));
        cases.push(Case::new(format!("infinities: D={d}"), call(&table, &[0, 3, 2, 1, 1])));
    }
    cases
}

pub(super) fn relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for _ in 0..30 {
        let (v, d, n) = (g.pick(&[2, 31, 64, 100]), g.pick(&[2, 7, 32, 33]), g.pick(&[1, 5, 63, 64, 65]));
        let size = format!("V={v} D={d}, {n} ids");
        let (table, list, order) = (g.normal([v, d], 1.0), ids(g, n, v), g.permutation(v));
        let (rows, picks) = (table.clone(), list.clone());
        laws.push(Relation::new(format!("rows of the table permuted: {size}"), move |calls| {
            let plain = calls.run(&call(&rows, &picks))?;
            let new: Vec<usize> = picks.iter().map(|id| order.iter().position(|at| at == id).unwrap_or(0)).collect();
            Ok(vec![calls.run(&call(&gather(&rows, 0, &order), &new))?.same("y", plain.get("y")?)?])
        }));
        let (rows, picks, order) = (table.clone(), list.clone(), g.permutation(n + 1));
        laws.push(Relation::new(format!("ids permuted: {size}"), move |calls| {
            let plain = calls.run(&call(&rows, &picks))?;
            let moved: Vec<usize> = order.iter().map(|&at| picks[at]).collect();
            Ok(vec![calls.run(&call(&rows, &moved))?.same("y", &gather(plain.get("y")?, 0, &order))?])
        }));
        laws.push(Relation::new(format!("every row in its turn: {size}"), move |calls| {
            let all: Vec<usize> = (0..v).chain(list.iter().copied()).collect();
            let want = gather(&table, 0, &all);
            Ok(vec![calls.run(&call(&table, &all))?.same("y", &want)?])
        }));
    }
    laws
}

/// Of three evaluations, of which the last is the one asked for.
fn time_call(gamma: f32, dim: usize, others: f32) -> Arguments {
    let gamma = Tensor::f32([3], vec![others, -others, gamma]).expect("three words");
    Arguments::new().with("gamma", gamma).set("dim", dim)
}

fn one(gamma: f32) -> Tensor {
    Tensor::f32([1], vec![gamma]).expect("one word")
}

/// The row of the evaluation that was asked for.
fn time_row(features: &Tensor) -> Tensor {
    gather(features, 0, &[2])
}

pub(super) fn time_values(g: &mut Gen) -> Vec<Case> {
    let dims = [4, 6, 62, 64, 66, 126, 128, 130, 256];
    let mut cases = Vec::new();
    // Up to the largest gamma that the bound holds for, both signs, and multiples of half a turn.
    let fixed = [1e-38, -1e-20, 1e-6, PI / 16.0, PI / 8.0, PI, -2.0 * PI, 25.0, -50.0, 99.0, -100.0, 299.0, -300.0];
    for gamma in fixed {
        for dim in dims {
            cases.push(Case::new(format!("gamma={gamma} dim={dim}"), time_call(gamma, dim, 300.0)));
        }
    }
    for _ in 0..60 {
        let gamma = g.normal([1], 12.0).as_f32().unwrap_or(&[1.0])[0];
        let dim = g.pick(&dims);
        cases.push(Case::new(format!("gamma={gamma} dim={dim}"), time_call(gamma, dim, -7.0)));
    }
    cases
}

pub(super) fn time_relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for _ in 0..30 {
        let gamma = g.normal([1], 10.0).as_f32().unwrap_or(&[1.0])[0];
        let dim = g.pick(&[4, 6, 64, 128, 130]);
        laws.push(Relation::new(format!("gamma negated: {gamma} dim={dim}"), move |calls| {
            let plain = calls.run(&time_call(gamma, dim, 0.5))?.get("features")?.clone();
            let half: Vec<usize> = (0..dim / 2).collect();
            let cosines = gather(&plain, 1, &half);
            let sines = gather(&plain, 1, &half.iter().map(|j| j + dim / 2).collect::<Vec<_>>());
            let want = concat(&[&cosines, &map(&sines, |x| -x)], 1);
            Ok(vec![calls.run(&time_call(-gamma, dim, -0.5))?.same("features", &want)?])
        }));
        // Angles that f32 holds exactly add up as angles do.
        let [a, b] = [0, 1].map(|_| g.below(200) as f32 / 16.0 - 6.0);
        laws.push(Relation::new(format!("gammas added: {a} and {b}, dim={dim}"), move |calls| {
            let mut of = |gamma| Ok(wide(&time_row(calls.run(&time_call(gamma, dim, 1.0))?.get("features")?)));
            let (p, q): (Vec<f64>, Vec<f64>) = match (of(a), of(b)) {
                (Ok(p), Ok(q)) => (p, q),
                (Err(error), _) | (_, Err(error)) => return Err(error),
            };
            let sum = calls.run(&Arguments::new().with("gamma", one(a + b)).set("dim", dim))?;
            let half = dim / 2;
            let cosines = (0..half).map(|j| p[j] * q[j] - p[half + j] * q[half + j]);
            let sines = (0..half).map(|j| p[half + j] * q[j] + p[j] * q[half + j]);
            Ok(vec![sum.close("features", cosines.chain(sines).collect())?])
        }));
        laws.push(Relation::new(format!("the other evaluations: {gamma} dim={dim}"), move |calls| {
            let plain = time_row(calls.run(&time_call(gamma, dim, 0.0))?.get("features")?);
            let other = time_row(calls.run(&time_call(gamma, dim, f32::NAN))?.get("features")?);
            Ok(vec![Claim::same("features", &other, &plain)])
        }));
    }
    laws
}
