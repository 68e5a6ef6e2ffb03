//! Cases and benches of `segment_mean`.

use drdiff::Tensor;
use drdiff::op::Arguments;

use crate::{Case, Gen};
fn case(g: &mut Gen, batch: usize, anchors: usize, text: usize, dim: usize) -> Arguments {
    let rows = anchors + text;
    let lengths: Vec<u32> =
        (0..batch).map(|b| if b == 0 { rows } else { anchors + g.below(text + 1) } as u32).collect();
    Arguments::new()
        .with("x0", g.normal([batch, rows, dim], 1.0))
        .with("lengths", Tensor::u32([batch], lengths).expect("one length a sequence"))
        .set("anchors", anchors)
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, anchors) in [(1, 1), (1, 3), (2, 8), (3, 16)] {
        for text in [1, 2, 7, 16, 33, 100] {
            for dim in [1, 15, 16, 33] {
                let label = format!("batch={batch} anchors={anchors} text={text} dim={dim}");
                cases.push(Case::new(label, case(g, batch, anchors, text, dim)));
            }
        }
    }
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    vec![Case::new("anchors=32 text=8192 dim=32", case(g, 1, 32, 8192, 32))]
}
