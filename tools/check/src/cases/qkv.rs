//! Cases and benches of `qkv`.

use drdiff::op::Arguments;
use drdiff::ops::rope_table;

use crate::{Case, Gen};

/// Sizes of a call; `batch` 0 is one sequence without a batch in front.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    rows: usize,
    dim: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    rotary: usize,
}

fn case(g: &mut Gen, sizes: Sizes, kind: &str, [bias, modulation]: [bool; 2], lead: usize) -> Case {
    let Sizes { batch, rows, dim, heads, kv_heads, head_dim, rotary } = sizes;
    let all = (heads + 2 * kv_heads) * head_dim;
    let shape = if batch == 0 { vec![rows, dim] } else { vec![batch, rows, dim] };
    let table = rope_table(0, rows, rotary, 100.0).expect("rotary is even");
    let mut arguments = Arguments::new()
        .with("x", g.normal(shape, 2.0))
        .with("weight", g.normal([all, dim], 0.3))
        .with("table", table)
        .set("heads", heads)
        .set("kv_heads", kv_heads)
        .set("rotary_dim", rotary)
        .set("kind", kind);
    if bias {
        arguments = arguments.with("bias", g.normal([all], 0.5));
    }
    if modulation {
        arguments = arguments.with("modulation", g.normal([lead + 2 * dim], 0.3));
        arguments = arguments.set("shift_offset", lead + dim).set("scale_offset", lead);
    }
    Case::new(format!("{sizes:?} kind={kind} bias={bias} modulation={modulation} lead={lead}"), arguments)
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for _ in 0..120 {
        let head_dim = g.pick(&[1, 2, 3, 4, 6, 8, 16, 31, 32]);
        let (kv_heads, kind) = (g.pick(&[1, 2, 3]), g.pick(&["rms", "layer"]));
        // Layer norm of one value is 0.
        let least = if kind == "layer" { 2 } else { 1 };
        let sizes = Sizes {
            batch: g.below(4),
            rows: g.pick(&[1, 2, 15, 31, 33, 64, 70]),
            dim: g.pick(&[1, 3, 4, 8, 18, 32, 63, 64, 100, 192]).max(least),
            heads: kv_heads * g.pick(&[1, 2]),
            kv_heads,
            head_dim,
            rotary: 2 * g.below(head_dim / 2 + 1),
        };
        let given = [g.below(2) == 0, g.below(3) > 0];
        let lead = g.pick(&[0, 4, 5]);
        cases.push(case(g, sizes, kind, given, lead));
    }
    // Every tile is the first choice of some call.
    for (rows, dim, head_dim) in [(5, 192, 32), (40, 192, 32), (700, 64, 64), (3000, 16, 64), (3000, 15, 63)] {
        let sizes = Sizes { batch: 0, rows, dim, heads: 4, kv_heads: 2, head_dim, rotary: 16 };
        cases.push(case(g, sizes, "rms", [true, true], 0));
    }
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    [(256, 192, 6, 32), (4096, 192, 6, 32), (1024, 512, 8, 64)]
        .map(|(rows, dim, heads, head_dim)| {
            let sizes = Sizes { batch: 1, rows, dim, heads, kv_heads: heads, head_dim, rotary: head_dim / 2 };
            let Case { arguments, .. } = case(g, sizes, "rms", [false, true], 0);
            Case::new(format!("n={rows} d={dim} heads={heads} head_dim={head_dim}"), arguments)
        })
        .into()
}
