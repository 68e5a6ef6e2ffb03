//! Cases and benches of `vocab_expectation`.

use crate::{Case, Gen};
use drdiff::Tensor;
use drdiff::op::Arguments;

/// Sizes of a case.
#[derive(Clone, Copy)]
struct Size {
    n: usize,
    v: usize,
    d: usize,
    e: usize,
}

/// Logits of standard deviation `spread`, each of the two products half of the variance where there is a skip.
fn case(g: &mut Gen, size: Size, spread: f32, skip: bool) -> Arguments {
    let Size { n, v, d, e } = size;
    let part = if skip { spread * 0.5_f32.sqrt() } else { spread };
    let mut arguments = Arguments::new()
        .with("h", g.normal([n, d], 1.0))
        .with("unembed", g.normal([v, d], part / (d as f32).sqrt()))
        .with("embed", g.normal([v, e], 1.0));
    if skip {
        arguments = arguments.with("skip", g.normal([n, e], part / (e as f32).sqrt()));
    }
    arguments
}

/// `rows`, with two of every three made `factor` times as large: sure rows among unsure ones.
fn sharpen(g: &Gen, rows: &Tensor, factor: f32) -> Tensor {
    let width = rows.desc().last();
    let values = rows.as_f32().unwrap_or(&[]).iter().enumerate();
    let values = values.map(|(i, &x)| if (i / width).is_multiple_of(3) { x } else { x * factor });
    g.fill(rows.desc().shape.clone(), values)
}

/// The first rows of `table` over and over: exact ties.
fn repeat(g: &Gen, table: &Tensor, period: usize) -> Tensor {
    let count = period * table.desc().last();
    let values = table.as_f32().unwrap_or(&[]).iter().take(count).copied().cycle();
    g.fill(table.desc().shape.clone(), values.take(table.desc().len()))
}

/// What makes a query of the state, at noise of `alpha` and `scale`.
fn noisy(g: &mut Gen, arguments: Arguments, e: usize, [alpha, scale]: [f32; 2]) -> Arguments {
    let mut step = vec![0.0; 16];
    (step[1], step[3]) = (alpha, scale);
    arguments.with("absorb", g.normal([e], 1.0)).with("step", g.fill([16], step))
}

/// A modulation whose shift and scale are somewhere in it.
fn modulated(g: &mut Gen, arguments: Arguments, d: usize) -> Arguments {
    let [shift, scale] = [[0, d], [d, 0], [4, d + 8], [3, d + 5]][g.below(4)];
    let arguments = arguments.set("shift_offset", shift.to_string()).set("scale_offset", scale.to_string());
    arguments.with("modulation", g.normal([2 * d + 13], 0.3))
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let rows = [1, 2, 7, 31, 32, 33, 64, 100, 130];
    let vocab = [1, 2, 31, 32, 33, 100, 513];
    let widths = [1, 3, 8, 31, 32, 33, 64, 100, 192];
    let mut cases = Vec::new();
    for i in 0..240 {
        let size = Size { n: g.pick(&rows), v: g.pick(&vocab), d: g.pick(&widths), e: g.pick(&widths) };
        let Size { n, v, d, e } = size;
        let (spread, skip) = (g.pick(&[0.1, 1.0, 3.0, 8.0]), g.below(2) == 0);
        let label = format!("{i}: n={n} v={v} d={d} e={e} spread={spread} skip={skip}");
        cases.push(Case::new(label, case(g, size, spread, skip)));
    }
    // Logits up to some hundreds, where exp alone would overflow; most rows all but one-hot.
    for i in 0..40 {
        let size = Size { n: g.pick(&rows), v: g.pick(&vocab), d: g.pick(&widths), e: g.pick(&widths) };
        let Size { n, v, d, e } = size;
        let (factor, skip) = (g.pick(&[20.0, 80.0, 200.0]), g.below(2) == 0);
        let (h, queries) = (g.normal([n, d], 1.0), g.normal([n, e], 1.0 / (e as f32).sqrt()));
        let mut arguments = case(g, size, 1.0, false).with("h", sharpen(g, &h, factor));
        if skip {
            arguments = arguments.with("skip", sharpen(g, &queries, factor));
        }
        cases.push(Case::new(format!("sharp {i}: n={n} v={v} d={d} e={e} factor={factor} skip={skip}"), arguments));
    }
    for (i, period) in [1, 2, 5, 31, 32, 33, 64, 90, 300, 512].into_iter().enumerate() {
        let size = Size { n: g.pick(&rows), v: 513, d: g.pick(&widths), e: g.pick(&widths) };
        let (unembed, embed) = (g.normal([513, size.d], 1.0), g.normal([513, size.e], 1.0));
        let arguments = case(g, size, 1.0, i % 2 == 0).with("unembed", repeat(g, &unembed, period));
        cases.push(Case::new(format!("ties every {period}"), arguments.with("embed", repeat(g, &embed, period))));
    }
    for (n, v, d, e) in [(5, 70, 16, 257), (40, 100, 33, 300), (33, 513, 8, 257), (1, 1, 4, 300), (3, 600, 5, 513)] {
        let arguments = case(g, Size { n, v, d, e }, 2.0, n != 40);
        cases.push(Case::new(format!("n={n} v={v} d={d} e={e}: several chunks"), arguments));
    }
    for (n, v, d, e) in [(1, 4096, 24, 32), (4, 2049, 16, 3), (70, 1500, 9, 40), (2, 20_000, 4, 8)] {
        let arguments = case(g, Size { n, v, d, e }, 3.0, true);
        cases.push(Case::new(format!("n={n} v={v} d={d} e={e}: several splits"), arguments));
    }
    // With what comes before: the last norm, the query of a noisy state, or both.
    for i in 0..90 {
        let size = Size { n: g.pick(&rows), v: g.pick(&vocab), d: g.pick(&widths), e: g.pick(&widths) };
        let Size { n, v, d, e } = size;
        let noise = [g.pick(&[1.0, 0.9, 0.5, 0.01]), g.pick(&[0.0, 0.3, 1.0])];
        let mut arguments = case(g, size, 2.0, i % 3 > 0);
        if i % 3 > 0 {
            arguments = noisy(g, arguments, e, noise);
        }
        if i % 3 != 1 {
            let h = g.normal([n, d], [1e-2, 1.0, 1e3, 1e25][i % 4]);
            arguments = modulated(g, arguments.with("h", h), d);
        }
        let what = ["norm", "query", "norm and query"][i % 3];
        cases.push(Case::new(format!("{what} {i}: n={n} v={v} d={d} e={e} noise={noise:?}"), arguments));
    }
    for (n, v, d, e) in [(64, 512, 192, 32), (33, 200, 768, 768), (1, 50_257, 96, 64)] {
        let arguments = case(g, Size { n, v, d, e }, 3.0, true);
        cases.push(Case::new(format!("n={n} v={v} d={d} e={e}: of a model"), arguments));
    }
    for shape in [vec![16], vec![1, 16], vec![2, 3, 16], vec![3, 1, 5, 16]] {
        let h = g.normal(shape.clone(), 1.0);
        let arguments = case(g, Size { n: 1, v: 50, d: 16, e: 12 }, 1.0, false).with("h", h);
        cases.push(Case::new(format!("h {shape:?}"), arguments));
    }
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    [(256, 4096, 192, 32), (1024, 4096, 192, 32), (256, 32_768, 512, 64)]
        .map(|(n, v, d, e)| Case::new(format!("n={n} v={v} d={d} e={e}"), case(g, Size { n, v, d, e }, 3.0, true)))
        .into()
}
