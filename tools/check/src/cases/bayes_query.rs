//! Cases and benches of `bayes_query`.

use drdiff::op::Arguments;
use drdiff::ops::StepRow;
use drdiff_reference as reference;

use crate::{Case, Gen};
fn case(g: &mut Gen, rows: usize, dim: usize, gamma: f64) -> Arguments {
    let (alpha, sigma) = reference::solver::alpha_sigma(gamma);
    let row = StepRow {
        gamma: gamma as f32,
        alpha: alpha as f32,
        sigma: sigma as f32,
        bayes_scale: (alpha / (sigma * sigma)) as f32,
        ..StepRow::default()
    };
    let step = g.fill([StepRow::LEN], row.words());
    Arguments::new().with("z", g.normal([rows, dim], 1.0)).with("absorb", g.normal([dim], 0.2)).with("step", step)
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let sizes = [(1, 1), (1, 32), (3, 7), (64, 1), (63, 33), (130, 16)];
    let all = sizes.into_iter().flat_map(|size| [-6.0, 0.0, 2.5, 9.0].map(|gamma| (size, gamma)));
    all.map(|((rows, dim), gamma)| Case::new(format!("rows={rows} dim={dim} gamma={gamma}"), case(g, rows, dim, gamma)))
        .collect()
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    vec![Case::new("rows=4096 dim=32", case(g, 4096, 32, 1.0))]
}
