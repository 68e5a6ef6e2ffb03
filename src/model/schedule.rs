//! The rows of a run: time, noise and coefficients of every step.

use super::config::Config;
use super::sampler::{Method, Sampler};
use crate::ops::StepRow;
use crate::schedule::{Point, ancestral, multistep};

/// Times of the evaluations, 1 to 0.
pub fn times(steps: usize) -> Vec<f64> {
    (0..steps).map(|i| if steps == 1 { 1.0 } else { 1.0 - i as f64 / (steps - 1) as f64 }).collect()
}

/// The row of an evaluation at `gamma` without an update.
pub(crate) fn evaluation(gamma: f64) -> StepRow {
    let Point { alpha, sigma } = Point::at(gamma);
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
            (gamma, Point::at(gamma))
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
            // The anchors' jump is not part of a smooth trajectory.
            && !refreshed
            && !(last && sampler.lower_order_final);
        let c = match sampler.method {
            Method::Ancestral => ancestral(from, to),
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
            evaluation: (i + 1) as f32,
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
    fn evaluations_span_the_schedule() {
        assert_eq!(times(1), [1.0]);
        assert_eq!(times(3), [1.0, 0.5, 0.0]);
    }
}
