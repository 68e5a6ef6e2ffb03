//! Cases and benches of `finite_check`.

use drdiff::Tensor;
use drdiff::op::Arguments;
use drdiff::ops::{FiniteCheck, StepRow};

use crate::{Case, Gen};
/// Tensors whose rows are finite except for `spoilt` elements of one of them.
fn case(
    g: &mut Gen,
    [batch, rows, embed_dim, dim]: [usize; 4],
    (spoilt, count): (usize, usize),
    report: [u32; 2],
) -> Arguments {
    const SPOILT: [f32; 4] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN];
    let shapes = [vec![batch, rows, embed_dim], vec![batch, rows, embed_dim], vec![batch, rows], vec![batch, rows]];
    let mut arguments = Arguments::new();
    let names = ["x0", "z", "lse", "entropy", "h"];
    for (index, (name, shape)) in names.into_iter().zip(shapes.into_iter().chain([vec![batch, rows, dim]])).enumerate()
    {
        // The largest floats there are, and all the others, are finite.
        let mut values = g.normal(shape.clone(), 1.0).as_f32().unwrap_or(&[]).to_vec();
        values.iter_mut().step_by(5).for_each(|x| *x = f32::MAX.copysign(*x));
        for _ in 0..if index == spoilt { count } else { 0 } {
            let at = g.below(values.len());
            values[at] = g.pick(&SPOILT);
        }
        arguments = arguments.with(name, g.fill(shape, values));
    }
    let lengths = (0..batch).map(|b| if b == 0 { rows } else { 1 + g.below(rows) } as u32).collect();
    let row = StepRow { evaluation: 1000.0, ..StepRow::default() };
    arguments
        .with("lengths", Tensor::u32([batch], lengths).expect("one length a sequence"))
        .with("step", g.fill([StepRow::LEN], row.words()))
        .with("report", Tensor::u32([2], report.to_vec()).expect("two words"))
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for sizes in [[1, 1, 1, 1], [1, 9, 3, 65], [3, 33, 32, 64], [2, 70, 100, 17]] {
        for spoilt in 0..5 {
            for count in [0, 1, 40] {
                for (name, report) in [("start", FiniteCheck::START), ("earlier", [999, 3]), ("same", [1000, 3])] {
                    let label = format!("sizes={sizes:?} tensor={spoilt} spoilt={count} {name}");
                    cases.push(Case::new(label, case(g, sizes, (spoilt, count), report)));
                }
            }
        }
    }
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    vec![Case::new("rows=4096 dim=512", case(g, [1, 4096, 32, 512], (0, 0), FiniteCheck::START))]
}
