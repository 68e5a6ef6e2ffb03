//! Cases and benches of `norm`.

use drdiff::op::Arguments;

use crate::{Case, Gen};
pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..130 {
        let n = g.pick(&[1, 2, 7, 33, 64, 130]);
        let d = g.pick(&[1, 2, 3, 31, 32, 63, 64, 65, 100, 128, 192, 257, 512]);
        let (kind, eps) = (g.pick(&["rms", "layer"]), g.pick(&[1e-6, 1e-5, 0.1]));
        // Layer norm of one value is 0.
        let d = if kind == "layer" { d.max(2) } else { d };
        let (size, offset) = (g.pick(&[0.01, 1.0, 30.0]), g.pick(&[0.0, 0.0, 3.0]));
        let x = g.normal([n, d], 1.0);
        let x = g.fill([n, d], x.as_f32().unwrap_or(&[]).iter().map(|x| (x + offset) * size));
        let mut arguments = Arguments::new().with("x", x).set("kind", kind).set("eps", eps);
        let modulated = g.below(3) != 0;
        if modulated {
            let modulation = g.normal([6 * d + 5], 0.5);
            let [shift, scale] = [0, 1].map(|_| g.below(5 * d + 5));
            arguments = arguments.with("modulation", modulation).set("shift_offset", shift).set("scale_offset", scale);
        }
        let label = format!("{i}: n={n} d={d} {kind} eps={eps} size={size} offset={offset} modulated={modulated}");
        cases.push(Case::new(label, arguments));
    }
    for shape in [vec![70], vec![2, 3, 40], vec![1, 1, 4, 1000]] {
        cases.push(Case::new(format!("x {shape:?}"), Arguments::new().with("x", g.normal(shape, 1.0))));
    }
    // Squares that overflow, of one row among others, of all, and near the largest float.
    for (d, size) in [(64, 1e17_f32), (65, 1e19), (192, 3e24), (1000, 1e30), (7, 2e36)] {
        for kind in ["rms", "layer"] {
            let x = g.normal([5, d], 1.0);
            let rows = x.as_f32().unwrap_or(&[]).iter().enumerate();
            let x = g.fill([5, d], rows.map(|(i, x)| x * if i / d == 2 { 1.0 } else { size }));
            cases.push(Case::new(
                format!("d={d} {kind} size={size:e}"),
                Arguments::new().with("x", x).set("kind", kind),
            ));
        }
    }
    let row = g.normal([50], 1.0);
    let zeros = g.fill([3, 50], [vec![0.0; 100], row.as_f32().unwrap_or(&[]).to_vec()].concat());
    cases.push(Case::new("rows of zeros", Arguments::new().with("x", zeros)));
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    let mut case = |kind: &str| {
        let (x, modulation) = (g.normal([4096, 512], 1.0), g.normal([1024], 0.5));
        let arguments = Arguments::new().with("x", x).with("modulation", modulation);
        Case::new(format!("n=4096 d=512 {kind}"), arguments.set("kind", kind).set("scale_offset", 512))
    };
    vec![case("rms"), case("layer")]
}
