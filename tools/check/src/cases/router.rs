//! Cases and benches of `router`.

use drdiff::op::Arguments;

use crate::{Case, Gen};
fn case(g: &mut Gen, front: &[usize], dim: usize, experts: usize) -> Case {
    let shape = [front, &[dim]].concat();
    let label = format!("x={shape:?} E={experts}");
    let arguments = Arguments::new()
        .with("x", g.normal(shape, 1.0))
        .with("weight", g.normal([experts, dim], 1.0))
        .with("bias", g.normal([experts], 1.0))
        .with("difficulty", g.normal(front, 5.0))
        .with("difficulty_weight", g.normal([experts], 1.0));
    Case::new(label, arguments)
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for _ in 0..120 {
        let tokens = g.pick(&[1, 2, 3, 4, 5, 7, 8, 31, 32, 33, 63, 64, 65, 100, 129]);
        let dim = g.pick(&[1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 192]);
        let experts = g.pick(&[1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 64, 130]);
        cases.push(case(g, &[tokens], dim, experts));
    }
    cases.push(case(g, &[], 9, 4));
    cases.push(case(g, &[2, 3], 33, 4));
    cases.push(case(g, &[3, 1, 17], 20, 9));
    cases.push(case(g, &[500], 192, 4));
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    vec![case(g, &[1024], 192, 4), case(g, &[4096], 512, 8)]
}
