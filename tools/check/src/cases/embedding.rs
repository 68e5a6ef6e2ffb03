//! Cases and benches of `embedding`.

use drdiff::op::Arguments;

use crate::{Case, Gen};
fn case(g: &mut Gen, shape: Vec<usize>, v: usize, d: usize) -> Case {
    let (table, ids) = (g.normal([v, d], 1.0), g.indices(shape.clone(), v));
    Case::new(format!("ids {shape:?} v={v} d={d}"), Arguments::new().with("table", table).with("ids", ids))
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..70 {
        let (v, d) = (g.pick(&[1, 2, 33, 100, 513]), g.pick(&[1, 3, 8, 32, 33, 192, 257]));
        let n = g.pick(&[1, 2, 7, 64, 130]);
        // One id over and over, of one value, would compare nothing.
        let d = if n < 64 || v < 33 { d.max(2) } else { d };
        let shape = match i % 4 {
            0 => vec![2, n],
            1 => vec![n, 1],
            _ => vec![n],
        };
        cases.push(case(g, shape, v, d));
    }
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    vec![case(g, vec![4096], 4096, 512)]
}
