//! The schedule, the coefficients of the updates, and the plain multistep solver.

use crate::{add_scaled, row};

/// `(alpha, sigma)` of the variance-preserving process at `gamma = ln(sigma^2 / alpha^2)`: `alpha^2 = sigmoid(-gamma)`
/// and `sigma^2 = sigmoid(gamma)` (Kingma et al. 2021, variational diffusion models).
pub fn alpha_sigma(gamma: f64) -> (f64, f64) {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    (sigmoid(-gamma).sqrt(), sigmoid(gamma).sqrt())
}

/// A point of the schedule: `z = alpha x0 + sigma eps`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Share of the signal, 0 (pure noise) to 1.
    pub alpha: f64,
    /// Share of the noise, 1 (pure noise) to 0 (clean).
    pub sigma: f64,
}

impl Point {
    /// Half the log of the signal-to-noise ratio, `ln(alpha / sigma)`; infinite at either end.
    pub fn lambda(&self) -> f64 {
        (self.alpha / self.sigma).ln()
    }
}

/// One update as a linear map: `z' = x z + x0 x0_now + x0_prev x0_before + noise eps`, where the state and the
/// predictions are taken relative to the absorbing state.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coefficients {
    /// Of the state.
    pub x: f64,
    /// Of this step's prediction of the clean state.
    pub x0: f64,
    /// Of the previous step's prediction; 0 in a first-order step.
    pub x0_prev: f64,
    /// Of fresh normal noise; 0 in a deterministic step.
    pub noise: f64,
}

/// One step of DPM-Solver++ with data prediction (Lu et al. 2022), from the point `from` to the cleaner point `to`.
/// With `previous`, the point of the step before, it is the second-order multistep (2M); with `None`, or where the
/// history cannot help, it is first order, which is DDIM.
///
/// With `lambda = ln(alpha / sigma)`, `h` its growth over this step, `h_prev` over the previous one, `r = h_prev / h`
/// and `D = (1 + 1/(2r)) x0 - 1/(2r) x0_prev`:
///
/// `x_to = (sigma_to / sigma_from) x - alpha_to (e^-h - 1) D`
///
/// Since `alpha_to e^-h = sigma_to alpha_from / sigma_from`, the coefficient of `D` is
/// `alpha_to - sigma_to alpha_from / sigma_from`: the same number, and finite when `from` is pure noise
/// (`lambda = -infinity`). When `previous` is pure noise, `r` is infinite and the step is first order. When `to` is
/// clean (`sigma = 0`), the step is `x_to = alpha_to x0`. `from.sigma` must not be 0.
pub fn multistep(previous: Option<Point>, from: Point, to: Point) -> Coefficients {
    assert!(from.sigma > 0.0, "multistep: a step starts at sigma = 0");
    let of_data = to.alpha - to.sigma * from.alpha / from.sigma;
    let h = to.lambda() - from.lambda();
    // 1/(2r); not finite where `from` is pure noise, `to` is clean or the previous step had length 0.
    let half_ratio = match previous {
        Some(previous) => h / (2.0 * (from.lambda() - previous.lambda())),
        None => 0.0,
    };
    let half_ratio = if half_ratio.is_finite() { half_ratio } else { 0.0 };
    Coefficients {
        x: to.sigma / from.sigma,
        x0: of_data * (1.0 + half_ratio),
        x0_prev: -of_data * half_ratio,
        noise: 0.0,
    }
}

/// The coefficients of all S steps of DPM-Solver++ (see [`multistep`]) over the points `alpha` `sigma` (both
/// `[S + 1]`, noisy to clean). `order` 1 is DDIM, 2 is 2M. The first step is first order, and the last one too if
/// `lower_order_final`.
pub fn step_coefficients(alpha: &[f64], sigma: &[f64], order: usize, lower_order_final: bool) -> Vec<Coefficients> {
    assert!(order == 1 || order == 2, "step_coefficients: order is not 1 or 2");
    assert_eq!(alpha.len(), sigma.len(), "step_coefficients: alpha and sigma differ in length");
    assert!(!alpha.is_empty(), "step_coefficients: alpha is not [S + 1]");
    let steps = alpha.len() - 1;
    let point = |i: usize| Point { alpha: alpha[i], sigma: sigma[i] };
    let mut all = Vec::with_capacity(steps);
    for i in 0..steps {
        let is_final = i + 1 == steps;
        let second_order = order == 2 && i > 0 && !(is_final && lower_order_final);
        let previous = if second_order { Some(point(i - 1)) } else { None };
        all.push(multistep(previous, point(i), point(i + 1)));
    }
    all
}

/// Runs the solver on predictions that are given: `trajectory[0] = x`, then one update for each `x0[s]`.
///
/// `x` `[N, D]` (any size), `x0` `[S, N, D]`, `alpha` `sigma` `[S + 1]` noisy to clean; gives `[S + 1, N, D]`.
pub fn solver(x: &[f64], x0: &[f64], alpha: &[f64], sigma: &[f64], order: usize, lower_order_final: bool) -> Vec<f64> {
    let size = x.len();
    let steps = step_coefficients(alpha, sigma, order, lower_order_final);
    assert_eq!(x0.len(), steps.len() * size, "solver: x0 is not [S, N, D]");
    let mut trajectory = x.to_vec();
    for (s, c) in steps.iter().enumerate() {
        let mut next = vec![0.0; size];
        add_scaled(&mut next, c.x, row(&trajectory, s, size));
        add_scaled(&mut next, c.x0, row(x0, s, size));
        if s > 0 {
            add_scaled(&mut next, c.x0_prev, row(x0, s - 1, size));
        }
        trajectory.extend(next);
    }
    trajectory
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, values};

    fn point(gamma: f64) -> Point {
        let (alpha, sigma) = alpha_sigma(gamma);
        Point { alpha, sigma }
    }

    /// `alpha` and `sigma` at `steps + 1` evenly spaced lambda from -2 to 2.
    fn schedule(steps: usize) -> (Vec<f64>, Vec<f64>) {
        (0..=steps).map(|i| alpha_sigma(4.0 - 8.0 * i as f64 / steps as f64)).unzip()
    }

    #[test]
    fn schedule_is_variance_preserving() {
        for gamma in [-30.0, -1.0, 0.0, 2.5, 900.0] {
            let p = point(gamma);
            assert_close(&[p.alpha.powi(2) + p.sigma.powi(2)], &[1.0], 1e-15);
        }
        assert_close(&[point(3.0).lambda(), point(0.0).alpha], &[-1.5, 0.5_f64.sqrt()], 1e-14);
    }

    #[test]
    fn the_published_form() {
        let (previous, from, to) = (point(3.0), point(1.5), point(-0.5));
        let (h, h_prev): (f64, f64) = (1.0, 0.75);
        let factor = -to.alpha * ((-h).exp() - 1.0);
        let half = 0.5 * h / h_prev;
        let c = multistep(Some(previous), from, to);
        let expected = [to.sigma / from.sigma, factor * (1.0 + half), -factor * half];
        assert_close(&[c.x, c.x0, c.x0_prev], &expected, 1e-14);
    }

    #[test]
    fn order_one_is_ddim() {
        let (steps, size) = (6, 4);
        let (alpha, sigma) = schedule(steps);
        let (x, x0) = (values(0, size), values(1, steps * size));
        let trajectory = solver(&x, &x0, &alpha, &sigma, 1, true);
        let mut z = x;
        for s in 0..steps {
            for (z, x0) in z.iter_mut().zip(row(&x0, s, size)) {
                let eps = (*z - alpha[s] * x0) / sigma[s];
                *z = alpha[s + 1] * x0 + sigma[s + 1] * eps;
            }
            assert_close(row(&trajectory, s + 1, size), &z, 1e-13);
        }
    }

    #[test]
    fn a_constant_prediction_is_solved_exactly() {
        let (alpha, sigma) = schedule(9);
        let trajectory = solver(&[0.7], &[1.3; 9], &alpha, &sigma, 2, false);
        let eps = (0.7 - alpha[0] * 1.3) / sigma[0];
        for (s, z) in trajectory.iter().enumerate() {
            assert_close(&[*z], &[alpha[s] * 1.3 + sigma[s] * eps], 1e-13);
        }
    }

    #[test]
    fn order_flags() {
        let (alpha, sigma) = schedule(4);
        let used = |order, last| -> Vec<bool> {
            step_coefficients(&alpha, &sigma, order, last).iter().map(|c| c.x0_prev != 0.0).collect()
        };
        assert_eq!(used(1, false), [false; 4]);
        assert_eq!(used(2, false), [false, true, true, true]);
        assert_eq!(used(2, true), [false, true, true, false]);
    }

    #[test]
    fn pure_noise_and_clean_ends_are_finite() {
        let (alpha, sigma) = ([0.0, 0.0, 0.6, 0.8, 1.0], [1.0, 1.0, 0.8, 0.6, 0.0]);
        let all = step_coefficients(&alpha, &sigma, 2, false);
        let firsts =
            [Coefficients { x: 1.0, ..Default::default() }, Coefficients { x: 0.8, x0: 0.6, ..Default::default() }];
        assert_eq!(all[..2], firsts);
        // The step before came from pure noise, so r is infinite.
        assert_eq!(all[2], multistep(None, point_at(0.6, 0.8), point_at(0.8, 0.6)));
        assert_eq!(all[3], Coefficients { x: 0.0, x0: 1.0, ..Default::default() });
    }

    fn point_at(alpha: f64, sigma: f64) -> Point {
        Point { alpha, sigma }
    }

    /// Data `N(0, s^2)`: the best prediction is linear in `z`, and the flow keeps `z` in proportion to its deviation.
    fn error_on_gaussian_data(steps: usize, order: usize) -> f64 {
        let variance = 0.25;
        let (alpha, sigma) = schedule(steps);
        let spread = |i: usize| alpha[i].powi(2) * variance + sigma[i].powi(2);
        let (mut z, mut previous) = (1.0, 0.0);
        for (i, c) in step_coefficients(&alpha, &sigma, order, false).iter().enumerate() {
            let x0 = alpha[i] * variance / spread(i) * z;
            z = c.x * z + c.x0 * x0 + c.x0_prev * previous;
            previous = x0;
        }
        (z - (spread(steps) / spread(0)).sqrt()).abs()
    }

    #[test]
    fn convergence_orders() {
        for (order, least, most) in [(1, 1.8, 2.2), (2, 3.6, 4.4)] {
            let ratio = error_on_gaussian_data(80, order) / error_on_gaussian_data(160, order);
            assert!((least..most).contains(&ratio), "order {order}: halving the step divides the error by {ratio}");
        }
        assert!(error_on_gaussian_data(40, 2) < 0.1 * error_on_gaussian_data(40, 1));
    }
}
