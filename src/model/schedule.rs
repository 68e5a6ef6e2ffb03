//! Time, noise and the coefficients of every step.

use drdiff_reference::solver::{Point, alpha_sigma, ancestral_coefficients, multistep};

use serde::{Deserialize, Serialize};

use super::{Config, Method, Sampler};
use crate::ops::StepRow;

/// Noise as a function of time: gamma = ln(sigma^2 / alpha^2) at each time from 0 (cleanest) to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
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
    pub(super) fn contradiction(&self) -> Option<&'static str> {
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

/// Times of the evaluations, 1 to 0.
pub fn times(steps: usize) -> Vec<f64> {
    (0..steps).map(|i| if steps == 1 { 1.0 } else { 1.0 - i as f64 / (steps - 1) as f64 }).collect()
}

/// The row of an evaluation at `gamma` without an update.
pub(super) fn evaluation(gamma: f64) -> StepRow {
    let (alpha, sigma) = alpha_sigma(gamma);
    StepRow {
        gamma: gamma as f32,
        alpha: alpha as f32,
        sigma: sigma as f32,
        bayes_scale: (alpha / sigma.powi(2)) as f32,
        ..StepRow::default()
    }
}

/// One row for each step: evaluation at its time, then the update to the next; the last goes to sigma = 0.
pub fn step_rows(config: &Config, sampler: &Sampler) -> Vec<StepRow> {
    let times = times(sampler.steps);
    let points: Vec<(f64, Point)> = times
        .iter()
        .map(|&t| {
            let gamma = config.schedule.gamma(t);
            let (alpha, sigma) = alpha_sigma(gamma);
            (gamma, Point { alpha, sigma })
        })
        .collect();
    let below = sampler.sharpen_below.or(config.sharpen_below).unwrap_or(f64::INFINITY);
    let mut rows = Vec::with_capacity(points.len());
    let mut anchored = false;
    let mut refreshed = false;
    for (i, &(gamma, from)) in points.iter().enumerate() {
        let last = i + 1 == points.len();
        let to = points.get(i + 1).map_or(Point { alpha: 1.0, sigma: 0.0 }, |&(_, point)| point);
        let refresh = config.anchor_times.iter().any(|&time| times[i] <= time && (i == 0 || times[i - 1] > time));
        let second = sampler.method == Method::Multistep
            && i > 0
            // The anchors' jump is no part of a smooth trajectory.
            && !refreshed
            && !(last && sampler.lower_order_final);
        let c = match sampler.method {
            Method::Ancestral => ancestral_coefficients(from, to),
            _ => multistep(if second { Some(points[i - 1].1) } else { None }, from, to),
        };
        rows.push(StepRow {
            c_x: c.x as f32,
            c_x0: c.x0 as f32,
            c_prev: c.x0_prev as f32,
            c_noise: c.noise as f32,
            omega: if anchored { sampler.guidance * times[i] as f32 } else { 0.0 },
            refresh: f32::from(u8::from(refresh)),
            stream: (i + 1) as f32,
            sharpen: f32::from(u8::from(gamma <= below)),
            ..evaluation(gamma)
        });
        anchored |= refresh;
        refreshed = refresh;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn evaluations_span_the_schedule() {
        assert_eq!(times(1), [1.0]);
        assert_eq!(times(3), [1.0, 0.5, 0.0]);
    }
}
