//! Cases of `attention`.

use crate::{Case, Gen};
use drdiff::Tensor;
use drdiff::op::Arguments;

/// Sizes at the edges of tiles.
const ROWS: &[usize] = &[1, 2, 5, 16, 31, 32, 33, 48, 63, 64, 65, 90, 127, 128, 129, 130];
/// Head widths: up to one chunk, and more. Kernels of their own take 16, 32 and 64.
const NARROW: &[usize] = &[1, 3, 4, 8, 16, 16, 31, 32, 32];
const WIDE: &[usize] = &[33, 40, 64, 64, 65, 128, 200, 256];
/// Patterns that stay within the sequence, leave it, overlap, repeat and hold nothing.
const DILATIONS: &[&str] = &[
    "",
    "1:5",
    "2:4",
    "3:2,5:3",
    "4:3,4:3",
    "4:2,4:9",
    "2:8,4:8,8:8",
    "16:32",
    "16:32,64:32",
    "7:0,5:2",
    "1000:4",
    "1:300",
    "6:3,4:5,9:2,12:1",
    "63:2,64:2",
    "31:3,32:3,33:3",
];

/// Heads of q, and of k and v.
const HEADS: &[(usize, usize)] = &[(1, 1), (2, 2), (3, 3), (4, 4), (2, 1), (3, 1), (4, 2), (6, 3), (8, 1)];

fn inputs(g: &mut Gen, shape: &[usize], power: f32) -> Arguments {
    grouped(g, shape, shape, power)
}

fn grouped(g: &mut Gen, q: &[usize], kv: &[usize], power: f32) -> Arguments {
    let (q, k, v) = (g.normal(q, power), g.normal(kv, 1.0), g.normal(kv, 1.0));
    Arguments::new().with("q", q).with("k", k).with("v", v)
}

/// A sorted list without repeats.
fn globals(g: &mut Gen, kind: usize, n: usize) -> Option<Vec<u32>> {
    let n = n as u32;
    let mut list: Vec<u32> = match kind {
        0 => return None,
        // Anchors, none too few, and more than two tiles of them.
        1 => (0..1.max(n / 8)).collect(),
        2 => (0..n.min(70)).collect(),
        3 => (0..n).collect(),
        4 => vec![0, n - 1],
        5 => vec![n - 1],
        _ => (0..1 + g.below(40)).map(|_| g.below(n as usize) as u32).collect(),
    };
    list.sort_unstable();
    list.dedup();
    Some(list)
}

fn case(g: &mut Gen, index: usize) -> Case {
    let wide = index % 5 == 4;
    let head_dim = g.pick(if wide { WIDE } else { NARROW });
    let n = if wide { g.pick(&ROWS[..11]) } else { g.pick(ROWS) };
    let (batch, (heads, key_heads)) = (g.pick(&[1, 1, 2, 3]), g.pick(HEADS));
    // One in eight overflows a softmax that does not subtract its maximum.
    let power = if g.below(8) == 0 { g.pick(&[30.0, 60.0, 100.0]) } else { 1.0 };
    let layout = if batch > 1 { g.pick(&[0, 0, 2]) } else { g.below(3) };
    let shape = |heads: usize| match layout {
        0 => vec![batch, n, heads, head_dim],
        1 => vec![n, heads, head_dim],
        _ => vec![batch, n, heads * head_dim],
    };
    let mut arguments = grouped(g, &shape(heads), &shape(key_heads), power);
    let mut label = format!("{index}: {:?} heads={heads}/{key_heads}", shape(heads));
    // Where every row sees itself alone, out is v and lse one score: still worth a check.
    if g.below(5) < 2 {
        arguments = arguments.set("causal", true);
        label += " causal";
    }
    if layout == 2 {
        arguments = arguments.set("heads", heads);
    }
    if g.below(8) == 0 {
        // Without scores, one value per row would be the same in all rows.
        let scale = g.pick(&[if heads * head_dim > 1 { 0.0 } else { 0.5 }, 0.3, 1.0, -0.7]);
        arguments = arguments.set("scale", scale);
        label += &format!(" scale={scale}");
    }
    if g.below(3) > 0 {
        // Of several sequences the second is whole and others may be empty; one alone is not.
        let lengths: Vec<u32> = match batch {
            1 => vec![1 + g.below(n) as u32],
            _ => (0..batch).map(|b| if b == 1 { n as u32 } else { g.below(n + 1) as u32 }).collect(),
        };
        label += &format!(" lengths={lengths:?}");
        arguments = arguments.with("lengths", Tensor::u32([batch], lengths).expect("one length a sequence"));
    }
    let kind = g.below(9);
    if let Some(list) = globals(g, kind, n) {
        label += &format!(" globals={} of kind {kind}", list.len());
        arguments = arguments.with("globals", Tensor::u32([list.len()], list).expect("a list"));
    }
    if index.is_multiple_of(4) {
        return Case::new(label + " dense", arguments);
    }
    let window = g.pick(&[0, 0, 1, 2, 5, 8, 16, 31, 32, 33, 64, 1000]);
    let dilations = g.pick(DILATIONS);
    label += &format!(" window={window} dilations={dilations}");
    Case::new(label, arguments.set("pattern", "hsa").set("window", window).set("dilations", dilations))
}

/// Scores that are all `score`, or its negative in every other query: only their size may cost digits, so every kernel
/// has to pass on more than a rounded log-sum-exp. Globals fill two ranges of keys.
fn equal_scores(g: &mut Gen, score: f32, pattern: Option<&str>, head_dim: usize) -> Case {
    let (n, heads) = (300, 2);
    let first = |x: f32| (0..head_dim).map(move |d| if d == 0 { x } else { 0.0 });
    let sign = |row: usize| if row.is_multiple_of(2) { 1.0 } else { -1.0 };
    let q = g.fill([n, heads, head_dim], (0..n * heads).flat_map(|at| first(sign(at / heads))));
    let k = g.fill([n, heads, head_dim], (0..n * heads).flat_map(|_| first(score)));
    let v = g.normal([n, heads, head_dim], 1.0);
    let arguments = Arguments::new().with("q", q).with("k", k).with("v", v).set("scale", 1);
    let label = format!("equal scores of {score:e}, {}, dim={head_dim}", pattern.unwrap_or("dense"));
    let Some(dilations) = pattern else { return Case::new(label, arguments) };
    let globals = Tensor::u32([3], vec![0, 7, 290]).expect("a list");
    let arguments = arguments.with("globals", globals).set("pattern", "hsa").set("window", 3);
    Case::new(label, arguments.set("dilations", dilations))
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases: Vec<Case> = (0..800).map(|index| case(g, index)).collect();
    for score in [4096.0, 1e6, 1e15, 1e30] {
        for pattern in [None, Some(""), Some("8:2"), Some("8:2,16:9")] {
            for head_dim in [3, 16] {
                cases.push(equal_scores(g, score, pattern, head_dim));
            }
        }
    }
    // Long enough for several ranges of the global rows, and for tiles that lie wholly in the future.
    for (n, list, pattern) in [(700, vec![3, 300, 699], "9:7"), (520, (0..33).collect(), "16:32,64:32")] {
        for (causal, head_dim) in [(false, 8), (true, 8), (false, 16), (true, 32)] {
            let globals = Tensor::u32([list.len()], list.clone()).expect("a list");
            let arguments =
                grouped(g, &[n, 2, head_dim], &[n, 1, head_dim], 1.0).with("globals", globals).set("causal", causal);
            let arguments = arguments.set("pattern", "hsa").set("window", 12).set("dilations", pattern);
            cases.push(Case::new(format!("n={n} dim={head_dim} dilations={pattern} causal={causal}"), arguments));
        }
    }
    // Rows that see nothing but themselves.
    for (pattern, head_dim) in [("", 8), ("300:1", 8), ("", 16)] {
        let arguments = inputs(g, &[260, 2, head_dim], 1.0).set("causal", true);
        let arguments = arguments.set("pattern", "hsa").set("window", 0).set("dilations", pattern);
        cases.push(Case::new(format!("n=260 dim={head_dim} each row alone, dilations={pattern}"), arguments));
    }
    for head_dim in [40, 64] {
        let arguments = inputs(g, &[300, 2, head_dim], 1.0).set("causal", true);
        cases.push(Case::new(format!("n=300 dim={head_dim} dense causal"), arguments));
    }
    // The same with ranges of keys that are past a sequence's length, and large scores.
    for (power, head_dim) in [(1.0, 5), (60.0, 5), (1.0, 16), (60.0, 32)] {
        let lengths = Tensor::u32([3], vec![600, 100, 300]).expect("one length a sequence");
        let list = Tensor::u32([3], vec![0, 50, 599]).expect("a list");
        let arguments = inputs(g, &[3, 600, 1, head_dim], power).with("globals", list).with("lengths", lengths);
        let arguments = arguments.set("pattern", "hsa").set("window", 3).set("dilations", "20:4");
        cases.push(Case::new(format!("n=600 dim={head_dim} ragged, q times {power}"), arguments));
    }
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, heads, head_dim) in [(512, 6, 32), (1024, 6, 32), (1024, 8, 64)] {
        let arguments = inputs(g, &[n, heads, head_dim], 1.0);
        cases.push(Case::new(format!("dense n={n} heads={heads} dim={head_dim}"), arguments));
    }
    let arguments = inputs(g, &[1024, 8, 64], 1.0).set("causal", true);
    cases.push(Case::new("dense n=1024 heads=8 dim=64 causal".to_owned(), arguments));
    let arguments = grouped(g, &[1024, 8, 64], &[1024, 2, 64], 1.0);
    cases.push(Case::new("dense n=1024 heads=8/2 dim=64".to_owned(), arguments));
    for (n, causal) in [4096, 8192, 16_384, 32_768, 65_536].map(|n| (n, false)).into_iter().chain([(16_384, true)]) {
        let anchors = Tensor::u32([32], (0..32).collect()).expect("a list");
        let arguments = inputs(g, &[n, 4, 32], 1.0).with("globals", anchors);
        let arguments = arguments.set("pattern", "hsa").set("window", 128).set("dilations", "16:32,64:32");
        let (arguments, word) = if causal { (arguments.set("causal", true), " causal") } else { (arguments, "") };
        cases.push(Case::new(format!("hsa n={n} heads=4 dim=32{word}"), arguments));
    }
    cases
}
