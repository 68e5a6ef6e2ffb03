//! `rounding`.

use crate::rearrange::{concat, gather, map, zip};
use crate::{Case, Gen, Relation, Values};
use drdiff::Tensor;
use drdiff::op::Arguments;

const SIZES: [usize; 8] = [2, 7, 31, 32, 33, 63, 64, 65];

fn call(x: &Tensor, table: &Tensor) -> Arguments {
    Arguments::new().with("x", x.clone()).with("table", table.clone())
}

/// A table of `v` rows of one norm and `n` rows near some of them, the last token among those; with the tokens.
fn planted(g: &mut Gen, n: usize, v: usize, d: usize) -> (Tensor, Tensor, Vec<usize>) {
    let table = g.normal([v, d], 1.0);
    let rows = table.as_f32().unwrap_or(&[]).chunks(d);
    let unit: Vec<f32> = rows
        .flat_map(|row| {
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-3);
            row.iter().map(move |x| x / norm)
        })
        .collect();
    let table = g.fill([v, d], unit);
    let mut tokens: Vec<usize> = (0..n).map(|_| g.below(v)).collect();
    tokens[n - 1] = v - 1;
    (gather(&table, 0, &tokens), table, tokens)
}

pub(super) fn values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..176 {
        let (n, v, d) = (g.pick(&SIZES), g.pick(&SIZES), g.pick(&[8, 16, 31, 32, 33, 65]));
        let (x, table, _) = planted(g, n, v, d);
        let x = zip(&x, &g.normal([n, d], 0.01), |x, noise| x + noise);
        let (what, x, table) = match i % 8 {
            0 => ("tiny", map(&x, |x| x * 1e-18), map(&table, |t| t * 1e-14)),
            1 => ("huge", map(&x, |x| x * 1e18), map(&table, |t| t * 1e18)),
            2 => {
                // No product with the first row above 0.
                let row = &x.as_f32().unwrap_or(&[])[..d];
                let rows = (0..v * d).map(|at| -row[at % d] * (v - at / d) as f32);
                ("negative", x.clone(), g.fill([v, d], rows))
            }
            3 => ("ties", x, g.values([v, d], Values::Whole)),
            4 => {
                let values = table.as_f32().unwrap_or(&[]).iter().enumerate();
                let near = values.map(|(at, t)| if at / d % 2 == 1 { t * (1.0 + f32::EPSILON) } else { *t });
                ("units in the last place", x, g.fill([v, d], near))
            }
            5 => ("outliers", x, g.values([v, d], Values::Outliers)),
            6 => ("rows of mixed size", x, g.values([v, d], Values::MixedRows)),
            _ => ("planted", x, table),
        };
        // A row and its negative never have one token.
        let x = concat(&[&x, &map(&x, |x| -x)], 0);
        cases.push(Case::new(format!("{what}: n={n} and negatives, V={v} D={d}"), call(&x, &table)));
    }
    cases
}

pub(super) fn relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for _ in 0..20 {
        let (n, v, d) = (g.pick(&SIZES), g.pick(&SIZES), g.pick(&[3, 8, 31, 32, 33, 65]));
        let (x, table, tokens) = planted(g, n, v, d);
        let size = format!("n={n} V={v} D={d}");
        // Two rows apart at least, so that tokens differ.
        let (x, tokens) = (concat(&[&x, &gather(&table, 0, &[0])], 0), [tokens, vec![0]].concat());
        let want = Tensor::u32([n + 1], tokens.iter().map(|&t| t as u32).collect()).expect("a token a row");
        let (a, b, named) = (x.clone(), table.clone(), want.clone());
        laws.push(Relation::new(format!("rows of the table: {size}"), move |calls| {
            Ok(vec![calls.run(&call(&a, &b))?.same("token", &named)?])
        }));
        let (a, b, order) = (x.clone(), table.clone(), g.permutation(n + 1));
        laws.push(Relation::new(format!("rows permuted: {size}"), move |calls| {
            let plain = calls.run(&call(&a, &b))?;
            Ok(vec![
                calls.run(&call(&gather(&a, 0, &order), &b))?.same("token", &gather(plain.get("token")?, 0, &order))?,
            ])
        }));
        let (a, b, order, old) = (x.clone(), table.clone(), g.permutation(v), tokens);
        laws.push(Relation::new(format!("tokens permuted: {size}"), move |calls| {
            let new = old.iter().map(|token| order.iter().position(|at| at == token).unwrap_or(0) as u32);
            let new = Tensor::u32([n + 1], new.collect())?;
            Ok(vec![calls.run(&call(&a, &gather(&b, 0, &order)))?.same("token", &new)?])
        }));
        let (a, b, named) = (x.clone(), table.clone(), want.clone());
        laws.push(Relation::new(format!("powers of two: {size}"), move |calls| {
            let scaled = calls.run(&call(&map(&a, |x| x * 2_f32.powi(40)), &map(&b, |t| t * 2_f32.powi(-20))))?;
            Ok(vec![scaled.same("token", &named)?])
        }));
        // Neighbours that tie, at every place among four.
        let (a, b, named, copies) = (x.clone(), table.clone(), want.clone(), g.pick(&[2, 3]));
        laws.push(Relation::new(format!("every token followed by itself, {copies} in all: {size}"), move |calls| {
            let rows: Vec<usize> = (0..copies * v).map(|row| row / copies).collect();
            let first = named.words().iter().map(|&token| token * copies as u32).collect();
            let first = Tensor::u32([n + 1], first)?;
            Ok(vec![calls.run(&call(&a, &gather(&b, 0, &rows)))?.same("token", &first)?])
        }));
        laws.push(Relation::new(format!("every token twice: {size}"), move |calls| {
            Ok(vec![calls.run(&call(&x, &concat(&[&table, &table], 0)))?.same("token", &want)?])
        }));
    }
    laws
}
