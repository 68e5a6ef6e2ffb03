//! Noise as a function of time, and the coefficients of the solver's updates: all in f64, once a run.

use serde::{Deserialize, Serialize};

/// Noise as a function of time: gamma = ln(sigma^2 / alpha^2) at each time from 0 (cleanest) to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, from = "Knots")]
pub enum Schedule {
    /// Linear between knots at evenly spaced times.
    Knots {
        /// Strictly increasing, at least 2.
        gamma: Vec<f64>,
    },
    /// The quantile function of a Gumbel distribution, `loc - scale ln(-ln u)`, over `u` from 1e-5 to 1 - 1e-5, clamped to
    /// where its logarithms reach `cutoff` (LangFlow, arXiv 2604.11748).
    Gumbel {
        /// Its mode.
        loc: f64,
        /// Its width; above 0.
        scale: f64,
        /// In (0, 1/e).
        cutoff: f64,
    },
}

/// What a `config.json` of ours says of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Knots {
    gamma: Vec<f64>,
}

impl From<Knots> for Schedule {
    fn from(Knots { gamma }: Knots) -> Self {
        Self::Knots { gamma }
    }
}

/// How far a Gumbel schedule's ends stay from 0 and 1.
const GUMBEL_MARGIN: f64 = 1e-5;

impl Schedule {
    /// Gamma at time `t` in `[0, 1]`.
    pub fn gamma(&self, t: f64) -> f64 {
        match self {
            Self::Knots { gamma } => {
                let (left, place) = interval(gamma, t);
                gamma[left] + (gamma[left + 1] - gamma[left]) * (place - left as f64)
            }
            Self::Gumbel { loc, scale, cutoff } => {
                let u = GUMBEL_MARGIN + t.clamp(0.0, 1.0) * (1.0 - 2.0 * GUMBEL_MARGIN);
                (loc - scale * (-u.ln()).ln()).clamp(loc - scale * (-cutoff.ln()).ln(), loc - scale * cutoff.ln())
            }
        }
    }

    /// The derivative of [`Schedule::gamma`] by `t`; at a knot that of the interval above it.
    pub fn slope(&self, t: f64) -> f64 {
        match self {
            Self::Knots { gamma } => {
                let (left, _) = interval(gamma, t);
                (gamma[left + 1] - gamma[left]) * (gamma.len() - 1) as f64
            }
            Self::Gumbel { scale, .. } => {
                let span = 1.0 - 2.0 * GUMBEL_MARGIN;
                let u = GUMBEL_MARGIN + t.clamp(0.0, 1.0) * span;
                scale * span / (u * -u.ln())
            }
        }
    }

    /// What is wrong with it, if anything.
    pub(crate) fn contradiction(&self) -> Option<&'static str> {
        match self {
            Self::Knots { gamma } => {
                let rising = gamma.windows(2).all(|pair| pair[0] < pair[1]);
                let fits = gamma.len() >= 2 && rising && gamma.iter().all(|gamma| gamma.abs() <= 30.0);
                (!fits).then_some("`schedule.gamma` must be strictly increasing knots within [-30, 30], at least 2")
            }
            Self::Gumbel { loc, scale, cutoff } => {
                let fits = loc.abs() <= 30.0 && *scale > 0.0 && *scale <= 10.0 && *cutoff > 0.0 && *cutoff < 0.36;
                (!fits)
                    .then_some("the Gumbel schedule must have loc in [-30, 30], scale in (0, 10], cutoff in (0, 0.36)")
            }
        }
    }
}

/// The knot below `t`, and the place of `t` in intervals.
fn interval(knots: &[f64], t: f64) -> (usize, f64) {
    let place = t.clamp(0.0, 1.0) * (knots.len() - 1) as f64;
    ((place as usize).min(knots.len() - 2), place)
}

/// A point of the variance-preserving process: `z = alpha x0 + sigma eps`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Share of the signal, 0 (pure noise) to 1.
    pub alpha: f64,
    /// Share of the noise, 1 (pure noise) to 0 (clean).
    pub sigma: f64,
}

impl Point {
    /// The end of a run.
    pub const CLEAN: Self = Self { alpha: 1.0, sigma: 0.0 };

    /// The point at `gamma = ln(sigma^2 / alpha^2)`: `alpha^2 = sigmoid(-gamma)`, `sigma^2 = sigmoid(gamma)` (Kingma et
    /// al. 2021).
    pub fn at(gamma: f64) -> Self {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        Self { alpha: sigmoid(-gamma).sqrt(), sigma: sigmoid(gamma).sqrt() }
    }

    /// `ln(alpha / sigma)`, half the log of the signal-to-noise ratio; infinite at either end.
    pub fn lambda(self) -> f64 {
        (self.alpha / self.sigma).ln()
    }
}

/// One update: `z' = x z + x0 prediction + x0_prev previous prediction + noise eps`, all relative to the absorbing state.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coefficients {
    /// Of the state.
    pub x: f64,
    /// Of this step's prediction.
    pub x0: f64,
    /// Of the previous step's prediction; 0 in a first-order step.
    pub x0_prev: f64,
    /// Of fresh normal noise; 0 in a deterministic step.
    pub noise: f64,
}

/// DPM-Solver++ with data prediction (Lu et al. 2022), from `from` (sigma above 0) to the cleaner `to`: second order (2M)
/// with `previous`, the point of the step before, first order without. With `h = lambda_to - lambda_from` and
/// `r = (lambda_from - lambda_previous) / h`:
///
/// `z' = (sigma_to / sigma_from) z - alpha_to (e^-h - 1) ((1 + 1/(2r)) x0 - 1/(2r) x0_prev)`
///
/// A step that starts at pure noise, ends clean or follows one of either kind has no ratio and is first order.
pub fn multistep(previous: Option<Point>, from: Point, to: Point) -> Coefficients {
    let h = to.lambda() - from.lambda();
    let of_data = -to.alpha * (-h).exp_m1();
    let half = previous.map_or(0.0, |previous| h / (2.0 * (from.lambda() - previous.lambda())));
    let half = if half.is_finite() { half } else { 0.0 };
    Coefficients { x: to.sigma / from.sigma, x0: of_data * (1.0 + half), x0_prev: -of_data * half, noise: 0.0 }
}

/// The coefficients of a whole schedule of points, noisy to clean: order 1, or 2 but for the first step and, if
/// `lower_order_final`, the last.
pub fn solver(points: &[Point], order: usize, lower_order_final: bool) -> Vec<Coefficients> {
    let steps = points.len().saturating_sub(1);
    let step = |i: usize| {
        let second = order == 2 && i > 0 && !(lower_order_final && i + 1 == steps);
        multistep(second.then(|| points[i - 1]), points[i], points[i + 1])
    };
    (0..steps).map(step).collect()
}

/// A draw from the posterior of the forward process (Ho et al. 2020; Kingma et al. 2021), from `from` to the cleaner `to`:
/// with the variance `v = sigma_from^2 - (alpha_from / alpha_to)^2 sigma_to^2` that the step adds going back.
pub fn ancestral(from: Point, to: Point) -> Coefficients {
    let back = from.alpha / to.alpha;
    let total = from.sigma * from.sigma;
    let added = (total - (back * to.sigma).powi(2)).max(0.0);
    Coefficients {
        x: back * to.sigma * to.sigma / total,
        x0: to.alpha * added / total,
        x0_prev: 0.0,
        noise: added.sqrt() * to.sigma / from.sigma,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drdiff_reference::solver as reference;

    #[test]
    fn gamma_is_linear_between_knots() {
        let knots = Schedule::Knots { gamma: vec![-1.0, 0.0, 4.0] };
        let at = [0.0, 0.25, 0.5, 0.75, 1.0].map(|t| knots.gamma(t));
        assert_eq!(at, [-1.0, -0.5, 0.0, 2.0, 4.0]);
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|t| knots.slope(t)), [2.0, 2.0, 8.0, 8.0, 8.0]);
    }

    #[test]
    fn a_gumbel_schedule_rises_and_its_slope_is_its_derivative() {
        let gumbel = Schedule::Gumbel { loc: 4.723, scale: 0.852, cutoff: 1e-5 };
        // The ends by hand: u = 1e-5 and 1 - 1e-5.
        approx::assert_abs_diff_eq!(gumbel.gamma(0.0), 4.723 - 0.852 * (1e5_f64.ln()).ln(), epsilon = 1e-9);
        approx::assert_abs_diff_eq!(gumbel.gamma(1.0), 4.723 + 0.852 * 1e5_f64.ln(), epsilon = 1e-4);
        for t in [0.1, 0.5, 0.9] {
            let step = 1e-6;
            let measured = (gumbel.gamma(t + step) - gumbel.gamma(t - step)) / (2.0 * step);
            approx::assert_relative_eq!(gumbel.slope(t), measured, max_relative = 1e-6);
            assert!(measured > 0.0);
        }
    }

    #[test]
    fn coefficients_are_the_references() {
        let gammas = [9.0, 4.0, 3.5, 0.0, -0.01, -1.5];
        let close = |got: f64, want: f64| approx::assert_abs_diff_eq!(got, want, epsilon = 1e-13);
        let mut points = vec![Point { alpha: 0.0, sigma: 1.0 }];
        points.extend(gammas.map(Point::at));
        points.push(Point::CLEAN);
        for (point, gamma) in points[1..].iter().zip(gammas) {
            let (alpha, sigma) = reference::alpha_sigma(gamma);
            close(point.alpha, alpha);
            close(point.sigma, sigma);
        }
        let (alpha, sigma): (Vec<_>, Vec<_>) = points.iter().map(|point| (point.alpha, point.sigma)).unzip();
        for (order, lower_order_final) in [(1, true), (2, true), (2, false)] {
            let want = reference::step_coefficients(&alpha, &sigma, order, lower_order_final);
            let got = solver(&points, order, lower_order_final);
            assert_eq!(got.len(), want.len());
            for (got, want) in got.iter().zip(want) {
                close(got.x, want.x);
                close(got.x0, want.x0);
                close(got.x0_prev, want.x0_prev);
            }
        }
        for pair in points.windows(2) {
            let [from, to] = [pair[0], pair[1]].map(|p| reference::Point { alpha: p.alpha, sigma: p.sigma });
            let (got, want) = (ancestral(pair[0], pair[1]), reference::ancestral_coefficients(from, to));
            close(got.x, want.x);
            close(got.x0, want.x0);
            close(got.noise, want.noise);
        }
    }
}
