//! Cases and benches of `solver_step`.

use drdiff::Tensor;
use drdiff::op::Arguments;
use drdiff::ops::StepRow;

use crate::{Case, Gen};
struct Sizes {
    batch: usize,
    anchors: usize,
    text: usize,
    dim: usize,
}

fn case(g: &mut Gen, sizes: &Sizes, row: StepRow) -> Arguments {
    let Sizes { batch, anchors, text, dim } = *sizes;
    let rows = anchors + text;
    let mut info = Vec::new();
    for _ in 0..batch {
        info.extend((0..anchors).map(|s| 2 + 4 * s as u32));
        info.extend((0..text).map(|i| {
            let segment = if anchors == 0 { 0 } else { i * anchors / text } as u32;
            u32::from(g.below(3) == 0) + 4 * segment
        }));
    }
    let mut arguments = Arguments::new().set("anchors", anchors);
    for name in ["z", "x0", "history", "prediction"] {
        arguments = arguments.with(name, g.normal([batch, rows, dim], 1.0));
    }
    if anchors > 0 {
        arguments = arguments.with("mean", g.normal([batch, anchors, dim], 1.0));
    }
    arguments
        .with("info", Tensor::u32([batch, rows], info).expect("one word a row"))
        .with("absorb", g.normal([dim], 0.3))
        .with("seeds", g.words([batch, 2]))
        .with("step", g.fill([StepRow::LEN], row.words()))
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    let dpm = StepRow { c_x: 0.8, c_x0: 0.25, c_prev: -0.06, ..StepRow::default() };
    let rows = [
        ("2m", dpm),
        ("clean", StepRow { c_x0: 1.0, ..StepRow::default() }),
        ("refresh", StepRow { refresh: 1.0, ..dpm }),
        ("guided", StepRow { omega: 0.4, ..dpm }),
        ("guided refresh", StepRow { omega: 0.4, refresh: 1.0, ..dpm }),
        ("ancestral", StepRow { c_x: 0.7, c_x0: 0.2, c_noise: 0.5, stream: 3.0, ..StepRow::default() }),
        ("noise alone", StepRow { c_noise: 1.0, stream: 1e6, ..StepRow::default() }),
    ];
    for (name, row) in rows {
        for (batch, anchors) in [(1, 0), (1, 1), (2, 4), (3, 8)] {
            for (text, dim) in [(1, 1), (9, 3), (33, 32), (70, 17)] {
                let row = StepRow { omega: if anchors == 0 { 0.0 } else { row.omega }, ..row };
                let sizes = Sizes { batch, anchors, text, dim };
                let label = format!("{name} batch={batch} anchors={anchors} text={text} dim={dim}");
                cases.push(Case::new(label, case(g, &sizes, row)));
            }
        }
    }
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    let sizes = Sizes { batch: 1, anchors: 16, text: 4096, dim: 32 };
    let dpm = StepRow { c_x: 0.8, c_x0: 0.25, c_prev: -0.06, ..StepRow::default() };
    let ancestral = StepRow { c_noise: 0.5, ..dpm };
    [("2m", dpm), ("ancestral", ancestral)]
        .map(|(name, row)| Case::new(format!("{name} text=4096 dim=32"), case(g, &sizes, row)))
        .into()
}
