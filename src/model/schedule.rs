//! Time, noise and the coefficients of every step.

use drdiff_reference::solver::{Point, alpha_sigma, ancestral_coefficients, multistep};

use super::{Config, Method, Sampler};
use crate::ops::StepRow;

/// Gamma at time `t` in `[0, 1]`: linear between the schedule's knots.
pub fn gamma_at(knots: &[f64], t: f64) -> f64 {
    let (left, place) = interval(knots, t);
    knots[left] + (knots[left + 1] - knots[left]) * (place - left as f64)
}

/// The derivative of [`gamma_at`] by `t`; at a knot that of the interval above it.
pub fn gamma_slope(knots: &[f64], t: f64) -> f64 {
    let (left, _) = interval(knots, t);
    (knots[left + 1] - knots[left]) * (knots.len() - 1) as f64
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

/// One row for each step: evaluation at its time, then the update to the next; the last goes to sigma = 0.
pub fn step_rows(config: &Config, sampler: &Sampler) -> Vec<StepRow> {
    let times = times(sampler.steps);
    let points: Vec<(f64, Point)> = times
        .iter()
        .map(|&t| {
            let gamma = gamma_at(&config.schedule.gamma, t);
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
            gamma: gamma as f32,
            alpha: from.alpha as f32,
            sigma: from.sigma as f32,
            bayes_scale: (from.alpha / from.sigma.powi(2)) as f32,
            c_x: c.x as f32,
            c_x0: c.x0 as f32,
            c_prev: c.x0_prev as f32,
            c_noise: c.noise as f32,
            omega: if anchored { sampler.guidance * times[i] as f32 } else { 0.0 },
            refresh: f32::from(u8::from(refresh)),
            stream: (i + 1) as f32,
            sharpen: f32::from(u8::from(gamma <= below)),
            evaluation: (i + 1) as f32,
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
        let knots = [-1.0, 0.0, 4.0];
        let at = [0.0, 0.25, 0.5, 0.75, 1.0].map(|t| gamma_at(&knots, t));
        assert_eq!(at, [-1.0, -0.5, 0.0, 2.0, 4.0]);
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|t| gamma_slope(&knots, t)), [2.0, 2.0, 8.0, 8.0, 8.0]);
    }

    #[test]
    fn evaluations_span_the_schedule() {
        assert_eq!(times(1), [1.0]);
        assert_eq!(times(3), [1.0, 0.5, 0.0]);
    }
}
