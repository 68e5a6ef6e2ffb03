//! Cases and benches of `solver`.

use drdiff::Tensor;
use drdiff::op::Arguments;
use drdiff_reference as reference;

use crate::{Case, Gen};
fn case(g: &mut Gen, n: usize, d: usize, gammas: &[f64], clean: bool) -> Arguments {
    let mut points: Vec<_> = gammas.iter().map(|&gamma| reference::solver::alpha_sigma(gamma)).collect();
    if clean {
        points.push((1.0, 0.0));
    }
    let (alpha, sigma): (Vec<f32>, Vec<f32>) = points.iter().map(|&(a, s)| (a as f32, s as f32)).unzip();
    let points = points.len();
    Arguments::new()
        .with("x", g.normal([n, d], 1.0))
        .with("x0", g.normal([points - 1, n, d], 1.0))
        .with("alpha", Tensor::f32([points], alpha).expect("one alpha a point"))
        .with("sigma", Tensor::f32([points], sigma).expect("one sigma a point"))
}

pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, d) in [(1, 1), (3, 5), (64, 1), (17, 33), (40, 32)] {
        for steps in [1, 2, 3, 10, 50] {
            for (order, lower) in [(1, true), (2, true), (2, false)] {
                for clean in [false, true] {
                    let spread: f64 = g.pick(&[6.0, 12.0, 20.0]);
                    let gammas: Vec<_> = (0..=steps).map(|i| 8.0 - spread * f64::from(i) / f64::from(steps)).collect();
                    let arguments = case(g, n, d, &gammas[..gammas.len() - usize::from(clean && steps > 1)], clean);
                    let label = format!("n={n} d={d} steps={steps} order={order} lower={lower} clean={clean}");
                    let arguments = arguments.set("order", order).set("lower_order_final", lower);
                    cases.push(Case::new(label, arguments));
                }
            }
        }
    }
    cases
}

pub(super) fn bench(g: &mut Gen) -> Vec<Case> {
    let gammas: Vec<_> = (0..=20).map(|i| 8.0 - 0.5 * f64::from(i)).collect();
    vec![Case::new("n=4096 d=32 steps=20", case(g, 4096, 32, &gammas, false))]
}
