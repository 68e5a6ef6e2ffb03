//! Cases and benches of `experts`.

use drdiff::Tensor;
use drdiff::op::Arguments;

use crate::{Case, Gen};
/// Weights of unit gain for these widths.
pub(super) fn weights(g: &mut Gen, dim: usize, widths: &[u32]) -> Arguments {
    let units = widths.iter().sum::<u32>() as usize;
    let into = (dim as f32).sqrt().recip();
    let out = (units.max(1) as f32).sqrt().recip();
    Arguments::new()
        .with("gate", g.normal([units, dim], into))
        .with("up", g.normal([units, dim], into))
        .with("down", g.normal([dim, units], out))
        .with("widths", Tensor::u32([widths.len()], widths.to_vec()).expect("one width an expert"))
}

fn case(g: &mut Gen, front: &[usize], dim: usize, widths: &[u32], k: usize, logits: Tensor) -> Arguments {
    weights(g, dim, widths)
        .with("x", g.normal([front, &[dim]].concat(), 1.0))
        .with("router_logits", logits)
        .set("top_k", k)
}

/// Router logits of a kind.
fn logits(g: &mut Gen, kind: &str, tokens: usize, experts: usize) -> Tensor {
    let favourite = g.below(experts);
    let levels = g.indices([tokens, experts], 3);
    let levels: Vec<f32> = levels.words().iter().map(|&level| level as f32).collect();
    let shape = [tokens, experts];
    match kind {
        "equal" => g.fill(shape, vec![0.25; tokens * experts]),
        "ties" => g.fill(shape, levels),
        // Both zeros are one value.
        "zeros" => g.fill(shape, levels.iter().map(|&level| if level > 0.0 { 0.0 } else { -0.0 })),
        "huge" => g.fill(shape, levels.iter().map(|&level| (level - 1.0) * 1e30)),
        "largest" => g.fill(shape, levels.iter().map(|&level| (level - 1.0) * f32::MAX)),
        "one expert" => {
            let favoured = |i: usize| if i % experts == favourite { 9.0 } else { 0.0 };
            g.fill(shape, levels.iter().enumerate().map(|(i, &level)| level + favoured(i)))
        }
        _ => g.normal(shape, 2.0),
    }
}

const KINDS: [&str; 9] = ["normal", "normal", "normal", "ties", "equal", "zeros", "huge", "largest", "one expert"];

/// A case of random settings around the edges of tiles and blocks; `fours`: of sizes that are read four at a time.
fn mixed(g: &mut Gen, index: usize, fours: bool) -> Case {
    let tokens = g.pick(&[1, 2, 3, 5, 8, 15, 31, 32, 33, 50, 63, 64, 65, 97, 129]);
    let dim = match fours {
        true => g.pick(&[4, 12, 16, 60, 64, 68, 132]),
        false => g.pick(&[1, 2, 3, 7, 15, 16, 17, 31, 33, 48, 63, 64, 65, 80]),
    };
    let experts = g.pick(&[1, 2, 3, 4, 4, 5, 7, 8, 13]);
    let k = match g.below(4) {
        0 => 1,
        1 => experts,
        2 => 2.min(experts),
        _ => 1 + g.below(experts),
    };
    let set: &[u32] = match g.below(4) {
        _ if fours => &[0, 4, 12, 28, 32, 36, 64, 68, 100],
        0 => &[0, 96, 192],
        1 => &[16, 32, 64],
        _ => &[0, 1, 5, 15, 16, 17, 33, 63, 64, 65, 100],
    };
    let mut widths: Vec<u32> = (0..experts).map(|_| g.pick(set)).collect();
    if index.is_multiple_of(29) {
        widths.fill(0);
    }
    let kind = g.pick(&KINDS);
    let logits = logits(g, kind, tokens, experts);
    let mut arguments = case(g, &[tokens], dim, &widths, k, logits);
    let mut label = format!("{index}: N={tokens} D={dim} widths={widths:?} top_k={k} {kind}");
    match g.below(4) {
        // Shifts by whole numbers make ties of logits that differ.
        0 => {
            let shifts = g.indices([experts], 3);
            let shifts = g.fill([experts], shifts.words().iter().map(|&shift| shift as f32));
            arguments = arguments.with("cost_bias", shifts);
            label += " cost_bias (ties)";
        }
        1 => {
            arguments = arguments.with("cost_bias", g.normal([experts], 3.0));
            label += " cost_bias";
        }
        _ => {}
    }
    if g.below(3) == 0 {
        arguments = arguments.with("residual", g.normal([tokens, dim], 1.0));
        label += " residual";
    }
    if g.below(3) == 0 {
        let offset = g.below(5);
        arguments = arguments.with("scale", g.normal([dim + 7], 1.0)).set("gate_offset", offset);
        label += " scale";
    }
    Case::new(label, arguments)
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases: Vec<Case> = (0..500).map(|index| mixed(g, index, false)).collect();
    cases.extend((500..600).map(|index| mixed(g, index, true)));
    // Many experts, and all the chosen.
    for (experts, k) in [(64, 8), (100, 3), (255, 1), (256, 2), (256, 256)] {
        let widths: Vec<u32> = (0..experts).map(|e| e as u32 % 4).collect();
        let logits = logits(g, "normal", 70, experts);
        let arguments = case(g, &[70], 9, &widths, k, logits);
        cases.push(Case::new(format!("{experts} experts, top_k={k}"), arguments));
    }
    // More rows than tiles of 32 are used for.
    for (tokens, k) in [(8192, 1), (4200, 2)] {
        let logits = logits(g, "normal", tokens, 2);
        let arguments = case(g, &[tokens], 17, &[7, 20], k, logits);
        cases.push(Case::new(format!("N={tokens}, tall tiles, top_k={k}"), arguments));
    }
    // Blocks of more tokens than top-k takes at a time.
    for (tokens, experts, k) in [(4097, 3, 2), (9000, 5, 3)] {
        let widths: Vec<u32> = (0..experts).map(|e| 4 * e as u32).collect();
        let kind = g.pick(&["normal", "ties"]);
        let logits = logits(g, kind, tokens, experts);
        let arguments = case(g, &[tokens], 12, &widths, k, logits);
        cases.push(Case::new(format!("N={tokens}, long blocks, top_k={k}"), arguments));
    }
    // More scratch than one pass has.
    let logits_of_passes = logits(g, "normal", 66_000, 4);
    let arguments = case(g, &[66_000], 64, &[0, 1, 0, 2], 4, logits_of_passes)
        .with("residual", g.normal([66_000, 64], 1.0))
        .with("scale", g.normal([64], 1.0));
    cases.push(Case::new("N=66000, two passes", arguments));
    for front in [&[2, 3, 5][..], &[2, 33], &[]] {
        let rows = front.iter().product();
        let flat = logits(g, "normal", rows, 4);
        let shaped = g.fill([front, &[4]].concat(), flat.as_f32().unwrap_or_default().to_vec());
        cases.push(Case::new(format!("x={front:?} by 20"), case(g, front, 20, &[0, 8, 40, 70], 2, shaped)));
    }
    // A bias that takes the most probable expert out of the choice, by far or by the least there is.
    for shift in [1e9, 2.0, f32::EPSILON] {
        let values = [1.0, 1.0, 0.5, 1.0].repeat(40);
        let all = g.fill([40, 4], values);
        let bias = g.fill([4], [shift, 0.0, -0.5, 0.0]);
        let arguments = case(g, &[40], 24, &[12, 20, 0, 33], 2, all).with("cost_bias", bias);
        cases.push(Case::new(format!("cost_bias {shift} on the first"), arguments));
    }
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    let sizes: [(usize, usize, &[u32]); 2] =
        [(1024, 192, &[0, 96, 192, 384]), (4096, 512, &[0, 128, 256, 256, 512, 512, 1024, 1024])];
    let call = |(tokens, dim, widths): (usize, usize, &[u32])| {
        let logits = logits(g, "normal", tokens, widths.len());
        let arguments = case(g, &[tokens], dim, widths, 2, logits);
        Case::new(format!("N={tokens} D={dim} widths={widths:?} top_k=2"), arguments)
    };
    sizes.map(call).into()
}
