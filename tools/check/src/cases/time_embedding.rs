//! Cases and benches of `time_embedding`.

use drdiff::op::Arguments;

use crate::{Case, Gen};
/// `more` elements after gamma, which the op ignores.
fn case(g: &Gen, gamma: f32, dim: usize, more: usize) -> Case {
    let step = std::iter::once(gamma).chain((0..more).map(|i| i as f32));
    let arguments = Arguments::new().with("step", g.fill([1 + more], step)).set("dim", dim);
    Case::new(format!("gamma={gamma} dim={dim}"), arguments)
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for (count, gamma) in [(5, 2.5), (128, -9.0), (128, 14.5)] {
        let falling = (0..count).map(|i| 10_000_f32.powf(-(i as f32) / count as f32));
        let arguments = Arguments::new().with("step", g.fill([1], [gamma])).set("dim", 2 * count);
        let arguments = arguments.with("frequencies", g.fill([count], falling));
        cases.push(Case::new(format!("gamma={gamma}, {count} frequencies from 1 down to 1e-4"), arguments));
    }
    for dim in [4, 6, 34, 126, 128, 130, 512] {
        for gamma in [-13.0, -6.3, -0.5, 0.0, 1e-3, 2.7, 12.0] {
            cases.push(case(g, gamma, dim, dim % 5));
        }
    }
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    vec![case(g, 3.0, 512, 0)]
}
