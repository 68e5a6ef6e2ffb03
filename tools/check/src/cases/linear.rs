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
