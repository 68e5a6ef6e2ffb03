//! `rope`.

use super::{plus, wide};
use crate::rearrange::{concat, gather, map, zip};
use crate::{Case, Gen, Relation, Values};
use drdiff::Tensor;
use drdiff::op::Arguments;
use drdiff::ops::rope_table;

const KINDS: [Values; 9] = [
    Values::Normal(1e-30),
    Values::Normal(1e30),
    Values::Around(1e6),
    Values::Zeros,
    Values::Denormals,
    Values::Outliers,
    Values::ConstantRows,
    Values::ZeroRows,
    Values::MixedRows,
];

/// Sequences, rows, heads, width of a head, and how much of it turns.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    rows: usize,
    heads: usize,
    head_dim: usize,
    rotary: usize,
}

impl Sizes {
    fn new(g: &mut Gen) -> Self {
        let head_dim = g.pick(&[2, 3, 8, 16, 31, 64]);
        let rotary = 2 * (1 + g.below(head_dim / 2));
        Self { batch: 1 + g.below(3), rows: g.pick(&[1, 2, 5, 17, 33]), heads: 1 + g.below(3), head_dim, rotary }
    }

    fn x(&self, g: &mut Gen, kind: Values) -> Tensor {
        g.values([self.batch, self.rows, self.heads * self.head_dim], kind)
    }

    /// Random angles up to `size`.
    fn angles(&self, g: &mut Gen, size: f32) -> Vec<f64> {
        wide(&g.normal([self.rows * self.rotary / 2], size))
    }

    fn table(&self, angles: &[f64]) -> Tensor {
        let turns = angles.iter().flat_map(|angle| [angle.cos() as f32, angle.sin() as f32]);
        Tensor::f32([self.rows, self.rotary / 2, 2], turns.collect()).expect("a turn for each pair of each row")
    }

    fn call(&self, x: &Tensor, table: &Tensor) -> Arguments {
        let arguments = Arguments::new().with("x", x.clone()).with("table", table.clone());
        arguments.set("heads", self.heads).set("rotary_dim", self.rotary)
    }

    /// Sum of squares of each pair, and each single element after them.
    fn squares(&self, x: &[f64]) -> Vec<f64> {
        let head = |head: &[f64]| {
            let (turned, rest) = head.split_at(self.rotary);
            let pairs = turned.chunks(2).map(|pair| pair[0] * pair[0] + pair[1] * pair[1]);
            pairs.chain(rest.iter().map(|x| x * x)).collect::<Vec<_>>()
        };
        x.chunks(self.head_dim).flat_map(head).collect()
    }
}

impl std::fmt::Display for Sizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { batch, rows, heads, head_dim, rotary } = self;
        write!(f, "B={batch} R={rows} heads={heads} of {head_dim} rotary_dim={rotary}")
    }
}

pub(super) fn values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..180 {
        let (sizes, kind) = (Sizes::new(g), KINDS[i % KINDS.len()]);
        let table = match g.below(3) {
            0 => rope_table(0, sizes.rows, sizes.rotary, 100.0).expect("rotary_dim is even"),
            _ => {
                let angles = sizes.angles(g, 3.0);
                sizes.table(&angles)
            }
        };
        let x = sizes.x(g, kind);
        cases.push(Case::new(format!("{kind}: {sizes}"), sizes.call(&x, &table)));
    }
    cases
}

pub(super) fn relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for _ in 0..28 {
        let sizes = Sizes::new(g);
        let x = sizes.x(g, Values::Normal(1.0));
        let (angles, others) = (sizes.angles(g, 2.0), sizes.angles(g, 2.0));
        let (table, a) = (sizes.table(&angles), x.clone());
        let still = sizes.table(&vec![0.0; angles.len()]);
        laws.push(Relation::new(format!("no angle: {sizes}"), move |calls| {
            Ok(vec![calls.run(&sizes.call(&a, &still))?.same("y", &a)?])
        }));
        let (a, turns) = (x.clone(), table.clone());
        laws.push(Relation::new(format!("norms of pairs: {sizes}"), move |calls| {
            let got = calls.run(&sizes.call(&a, &turns))?;
            let squares: Vec<f32> = sizes.squares(&got.wide("y")?).into_iter().map(|x| x as f32).collect();
            let squares = Tensor::f32([squares.len()], squares)?;
            Ok(vec![got.close_by("y", &squares, sizes.squares(&wide(&a)))?])
        }));
        let (a, first, second) = (x.clone(), table.clone(), sizes.table(&others));
        let both = sizes.table(&plus(&angles, &others));
        laws.push(Relation::new(format!("two turns are one: {sizes}"), move |calls| {
            let once = calls.run(&sizes.call(&a, &first))?.get("y")?.clone();
            let twice = calls.run(&sizes.call(&once, &second))?;
            Ok(vec![twice.close("y", calls.run(&sizes.call(&a, &both))?.wide("y")?)?])
        }));
        let (a, turns, order) = (x.clone(), table.clone(), g.permutation(sizes.batch));
        laws.push(Relation::new(format!("sequences permuted: {sizes}"), move |calls| {
            let plain = calls.run(&sizes.call(&a, &turns))?;
            let moved = calls.run(&sizes.call(&gather(&a, 0, &order), &turns))?;
            Ok(vec![moved.same("y", &gather(plain.get("y")?, 0, &order))?])
        }));
        let (a, turns, order) = (x.clone(), table.clone(), g.permutation(sizes.rows));
        laws.push(Relation::new(format!("rows and their turns permuted: {sizes}"), move |calls| {
            let plain = calls.run(&sizes.call(&a, &turns))?;
            let moved = calls.run(&sizes.call(&gather(&a, 1, &order), &gather(&turns, 0, &order)))?;
            Ok(vec![moved.same("y", &gather(plain.get("y")?, 1, &order))?])
        }));
        let (a, turns, heads) = (x.clone(), table.clone(), g.permutation(sizes.heads));
        laws.push(Relation::new(format!("heads permuted: {sizes}"), move |calls| {
            let columns: Vec<usize> =
                heads.iter().flat_map(|head| head * sizes.head_dim..(head + 1) * sizes.head_dim).collect();
            let plain = calls.run(&sizes.call(&a, &turns))?;
            let moved = calls.run(&sizes.call(&gather(&a, 2, &columns), &turns))?;
            Ok(vec![moved.same("y", &gather(plain.get("y")?, 2, &columns))?])
        }));
        let (a, b, turns) = (x.clone(), sizes.x(g, Values::Normal(1.0)), table.clone());
        laws.push(Relation::new(format!("linear: {sizes}"), move |calls| {
            let [a, b] = [&a, &b].map(|x| map(x, |x| (x * 256.0).round() / 256.0 + 8.0));
            let parts = [&a, &b].map(|x| calls.run(&sizes.call(x, &turns))?.wide("y"));
            let [first, second] = parts;
            let sum = calls.run(&sizes.call(&zip(&a, &b, |a, b| a + b), &turns))?;
            Ok(vec![sum.close("y", plus(&first?, &second?))?])
        }));
        let a = concat(&[&x, &map(&x, |x| x * 2_f32.powi(40))], 0);
        laws.push(Relation::new(format!("a sequence 2^40 times another: {sizes}"), move |calls| {
            let got = calls.run(&sizes.call(&a, &table))?.get("y")?.clone();
            let (small, large): (Vec<_>, Vec<_>) = (0..2 * sizes.batch).partition(|&b| b < sizes.batch);
            let scaled = map(&gather(&got, 0, &small), |y| y * 2_f32.powi(40));
            Ok(vec![crate::Claim::same("y", &gather(&got, 0, &large), &scaled)])
        }));
    }
    laws
}
