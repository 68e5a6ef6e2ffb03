//! Cases and benches of `rounding`.

use drdiff::op::Arguments;

use crate::{Case, Gen};
/// Rows and their negatives, which never have one token.
fn case(g: &mut Gen, n: usize, d: usize, v: usize) -> Arguments {
    let x = g.normal([n, d], 1.0);
    let x = x.as_f32().unwrap_or(&[]);
    let x = g.fill([2 * n, d], x.iter().copied().chain(x.iter().map(|x| -x)));
    Arguments::new().with("x", x).with("table", g.normal([v, d], 1.0))
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..70 {
        let n = g.pick(&[1, 2, 7, 15, 16, 17, 32, 50, 65]);
        let d = g.pick(&[1, 3, 8, 31, 32, 33, 64, 100, 192]);
        let v = g.pick(&[2, 31, 32, 33, 100, 513]);
        cases.push(Case::new(format!("{i}: n=2*{n} d={d} v={v}"), case(g, n, d, v)));
    }
    for (v, period) in [(40, 7), (100, 3), (513, 40)] {
        let rows = g.normal([period, 16], 1.0);
        let repeated = rows.as_f32().unwrap_or(&[]).iter().copied().cycle().take(v * 16);
        let arguments = Arguments::new().with("x", g.normal([2, 20, 16], 1.0)).with("table", g.fill([v, 16], repeated));
        cases.push(Case::new(format!("ties every {period} of {v}, x [2,20,16]"), arguments));
    }
    // The first row of the table is not the nearest.
    let table = g.normal([50, 8], 1.0);
    let one = g.fill([8], table.as_f32().unwrap_or(&[]).iter().take(8).map(|x| -x));
    cases.push(Case::new("x [8]", Arguments::new().with("x", one).with("table", table)));
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    [(256, 32, 4096), (1024, 32, 4096), (256, 64, 32_768)]
        .map(|(n, d, v)| Case::new(format!("n={n} d={d} v={v}"), case(g, n, d, v)))
        .into()
}
