//! Cases and benches of `time_embedding`.

use drdiff::op::Arguments;

use crate::{Case, Gen};

fn case(g: &Gen, gammas: &[f32], dim: usize) -> Case {
    let arguments = Arguments::new().with("gamma", g.fill([gammas.len()], gammas.iter().copied())).set("dim", dim);
    Case::new(format!("gamma={gammas:?} dim={dim}"), arguments)
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for (count, gamma) in [(5, 2.5), (128, -9.0), (128, 14.5)] {
        let falling = (0..count).map(|i| 10_000_f32.powf(-(i as f32) / count as f32));
        let arguments = Arguments::new().with("gamma", g.fill([1], [gamma])).set("dim", 2 * count);
        let arguments = arguments.with("frequencies", g.fill([count], falling));
        cases.push(Case::new(format!("gamma={gamma}, {count} frequencies from 1 down to 1e-4"), arguments));
    }
    for dim in [4, 6, 34, 126, 128, 130, 512] {
        for gamma in [-13.0, -6.3, -0.5, 0.0, 1e-3, 2.7, 12.0] {
            cases.push(case(g, &[gamma], dim));
        }
        cases.push(case(g, &[12.5, -0.75, 3.0, -300.0, 300.0], dim));
    }
    let many: Vec<_> = (0..40).map(|i| 0.5 * i as f32 - 9.0).collect();
    cases.push(Case::new("40 steps", case(g, &many, 64).arguments));
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    vec![case(g, &[3.0], 512)]
}
