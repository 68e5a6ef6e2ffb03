//! Cases and benches of `rope`.

use drdiff::op::Arguments;
use drdiff::ops::rope_table;

use crate::{Case, Gen};
pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..110 {
        let (batch, anchors, positions) = (g.pick(&[0, 1, 2, 3]), g.pick(&[0, 1, 8]), g.pick(&[1, 2, 31, 64, 100]));
        let (heads, head_dim) = (g.pick(&[1, 2, 3, 6]), g.pick(&[1, 2, 5, 16, 31, 32, 64]));
        let rotary = 2 * g.below(head_dim / 2 + 1);
        let (rows, dim) = (anchors + positions, heads * head_dim);
        let shape = if batch == 0 { vec![rows, dim] } else { vec![batch, rows, dim] };
        let base = g.pick(&[100.0, 10_000.0]);
        let table = rope_table(anchors, positions, rotary, base).expect("rotary is even");
        let arguments = Arguments::new().with("x", g.normal(shape.clone(), 1.0)).with("table", table);
        let label = format!("{i}: x {shape:?} anchors={anchors} heads={heads} rotary_dim={rotary}");
        cases.push(Case::new(label, arguments.set("heads", heads).set("rotary_dim", rotary)));
    }
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    let table = rope_table(0, 4096, 16, 10_000.0).expect("16 is even");
    let arguments = Arguments::new().with("x", g.normal([4096, 512], 1.0)).with("table", table);
    vec![Case::new("n=4096 d=512 heads=8 rotary_dim=16", arguments.set("heads", 8).set("rotary_dim", 16))]
}
