//! Cases and benches of `linear`.

use drdiff::op::Arguments;

use crate::{Case, Gen};
fn case(g: &mut Gen, m: usize, k: usize, n: usize) -> Arguments {
    Arguments::new().with("x", g.normal([m, k], 1.0)).with("weight", g.normal([n, k], 1.0))
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let sizes = [1, 2, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 100, 129];
    let mut cases = Vec::new();
    for i in 0..300 {
        let (m, k, n) = (g.pick(&sizes), g.pick(&sizes), g.pick(&sizes));
        let mut arguments = case(g, m, k, n);
        if g.below(2) == 0 {
            arguments = arguments.with("bias", g.normal([n], 1.0));
        }
        if g.below(3) == 0 {
            arguments = arguments.with("residual", g.normal([m, n], 1.0));
        }
        if g.below(3) == 0 {
            arguments = arguments.with("gate", g.normal([2 * n], 1.0)).set("gate_offset", n);
        }
        let activation = g.pick(&["none", "none", "silu", "gelu"]);
        arguments = arguments.set("activation", activation);
        cases.push(Case::new(format!("{i}: m={m} k={k} n={n} {activation}"), arguments));
    }
    // Sizes that are read four at a time, over the edges of every tile.
    for m in [1, 3, 16, 33, 70, 129] {
        for (k, n) in [(4, 4), (16, 36), (20, 132), (64, 64), (68, 260)] {
            let activation = g.pick(&["none", "silu", "gelu"]);
            let arguments = case(g, m, k, n)
                .with("bias", g.normal([n], 1.0))
                .with("residual", g.normal([m, n], 1.0))
                .with("gate", g.normal([n + 3], 1.0))
                .set("gate_offset", g.below(4))
                .set("activation", activation);
            cases.push(Case::new(format!("fours: m={m} k={k} n={n} {activation}"), arguments));
        }
    }
    // Many rows, and columns: more tiles than a small one is used for.
    for (m, k, n) in [(4000, 8, 12), (3000, 7, 5), (1100, 12, 1100), (900, 5, 1001)] {
        cases.push(Case::new(format!("m={m} k={k} n={n}"), case(g, m, k, n)));
    }
    for (m, k, n) in [(300, 192, 192), (200, 32, 513), (1, 128, 4900), (4, 700, 130)] {
        cases.push(Case::new(format!("m={m} k={k} n={n}"), case(g, m, k, n)));
    }
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    [(256, 192, 192), (1024, 512, 512), (2048, 1024, 1024), (1, 128, 4992)]
        .map(|(m, k, n)| Case::new(format!("m={m} k={k} n={n}"), case(g, m, k, n)))
        .into()
}
