//! Cases and benches of `routed_experts`.

use drdiff::op::Arguments;

use super::experts::weights;
use crate::{Case, Gen};

/// A call with router logits that are well apart, so that the choice is no matter of rounding: a step of 0.37 for each
/// expert, in some order, and whole numbers by the token's difficulty. What the router makes of `x` is some hundredths.
fn case(g: &mut Gen, front: &[usize], dim: usize, widths: &[u32], k: usize) -> Arguments {
    let experts = widths.len();
    let order = g.permutation(experts);
    let steps = g.fill([experts], order.iter().map(|&place| place as f32 * 0.37));
    let whole = |g: &mut Gen, shape: &[usize]| {
        let count = shape.iter().product();
        let words = g.indices([count], 3);
        g.fill(shape, words.words().iter().map(|&word| word as f32 - 1.0))
    };
    let (difficulty, by_difficulty) = (whole(g, front), whole(g, &[experts]));
    weights(g, dim, widths)
        .with("x", g.normal([front, &[dim]].concat(), 1.0))
        .with("router", g.normal([experts, dim], 0.002 / (dim as f32).sqrt()))
        .with("router_bias", steps)
        .with("difficulty", difficulty)
        .with("difficulty_weight", by_difficulty)
        .set("top_k", k)
}

fn modulated(g: &mut Gen, arguments: Arguments, dim: usize, [shift, scale, gate]: [usize; 3]) -> Arguments {
    let len = shift.max(scale).max(gate) + dim;
    let arguments = arguments.with("modulation", g.normal([len], 0.3));
    arguments.set("shift_offset", shift).set("scale_offset", scale).set("gate_offset", gate)
}

/// A case of random settings around the edges of tiles and blocks.
fn mixed(g: &mut Gen, index: usize) -> Case {
    let tokens = g.pick(&[1, 2, 3, 7, 8, 15, 31, 32, 33, 63, 64, 65, 97, 129]);
    // Most of sizes that one kernel norms and routes.
    let fours = !index.is_multiple_of(4);
    let dim = if fours { g.pick(&[4, 12, 32, 36, 60, 64, 132]) } else { g.pick(&[1, 3, 16, 17, 33, 65]) };
    let experts = g.pick(&[1, 2, 3, 4, 4, 5, 7, 8, 13]);
    let k = 1 + g.below(experts);
    let set: &[u32] = if fours { &[0, 4, 28, 32, 36, 64, 68] } else { &[0, 1, 15, 16, 17, 33] };
    let mut widths: Vec<u32> = (0..experts).map(|_| g.pick(set)).collect();
    if index.is_multiple_of(29) {
        widths.fill(0);
    }
    let mut arguments = case(g, &[tokens], dim, &widths, k);
    let mut label = format!("{index}: N={tokens} D={dim} widths={widths:?} top_k={k}");
    if !index.is_multiple_of(7) {
        let offsets = if index.is_multiple_of(5) { [1, dim + 2, 3] } else { [0, dim, 2 * dim + 1] };
        arguments = modulated(g, arguments, dim, offsets);
        label += &format!(" modulation at {offsets:?}");
    }
    if g.below(3) == 0 {
        let costs = g.indices([experts], 3);
        arguments = arguments.with("cost_bias", g.fill([experts], costs.words().iter().map(|&cost| cost as f32)));
        label += " cost_bias";
    }
    if g.below(4) == 0 {
        arguments = arguments.set("eps", 0.1);
        label += " eps=0.1";
    }
    Case::new(label, arguments)
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases: Vec<Case> = (0..240).map(|index| mixed(g, index)).collect();
    // Blocks of more tokens than are routed at a time, and more experts than are summed up at a time.
    for (tokens, experts, k) in [(2100, 4, 2), (5000, 3, 3), (40, 17, 4), (33, 20, 20)] {
        let widths: Vec<u32> = (0..experts).map(|e| 4 * (e as u32 % 5)).collect();
        let arguments = case(g, &[tokens], 20, &widths, k);
        let arguments = modulated(g, arguments, 20, [0, 20, 40]);
        cases.push(Case::new(format!("N={tokens}, {experts} experts, top_k={k}"), arguments));
    }
    // More experts than one kernel routes.
    let arguments = case(g, &[9], 8, &[4; 70], 2);
    cases.push(Case::new("70 experts", modulated(g, arguments, 8, [0, 8, 16])));
    for front in [&[2, 3, 5][..], &[2, 33], &[]] {
        let arguments = case(g, front, 20, &[0, 8, 40, 68], 2);
        cases.push(Case::new(format!("x={front:?} by 20"), modulated(g, arguments, 20, [20, 0, 40])));
    }
    // Rows whose squares are beyond the largest float, and rows beside which eps is large.
    for size in [1e19, 1e25, 1e-4] {
        let arguments = case(g, &[40], 64, &[4, 36, 0, 68], 2).with("x", g.normal([40, 64], size));
        cases.push(Case::new(format!("x of size {size:e}"), modulated(g, arguments, 64, [0, 64, 128])));
    }
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    let widths = [0, 96, 192, 384];
    let call = |tokens: usize| {
        let arguments = case(g, &[tokens], 192, &widths, 2);
        let arguments = modulated(g, arguments, 192, [0, 192, 384]);
        Case::new(format!("N={tokens} D=192 widths={widths:?} top_k=2"), arguments)
    };
    [256, 1024].map(call).into()
}
