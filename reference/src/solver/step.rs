//! One update of the sampler's whole state: anchors, prompt rows and noisy rows.

use super::Coefficients;
use crate::{add_scaled, row};

/// Sizes of the state.
#[derive(Clone, Copy, Debug)]
pub struct StepDims {
    /// Sequences, B.
    pub batch: usize,
    /// Anchor rows at the head of each sequence, A.
    pub anchors: usize,
    /// Rows of one sequence, R: the anchors and the padded text.
    pub rows: usize,
    /// Width of an embedding, De.
    pub dim: usize,
}

/// The tensors that [`solver_step`] reads.
#[derive(Clone, Copy, Debug)]
pub struct StepInputs<'a> {
    /// `[B, R, De]`: the state; anchor rows hold the frozen anchor states.
    pub z: &'a [f64],
    /// `[B, R, De]`: this step's prediction of the clean rows.
    pub x0: &'a [f64],
    /// `[B, R, De]`: the history of the previous step; zeros when there is none.
    pub x0_prev: &'a [f64],
    /// `[B, R, De]`: the embedding of each prompt row; read only where `flag` is 1.
    pub clean: &'a [f64],
    /// `[B, R]`: 0 noisy, 1 clean (prompt), 2 anchor; exactly the first A rows of a sequence are anchors.
    pub flag: &'a [u32],
    /// `[B, R]`: the segment of each text row, below A; read only where `flag` is 0 and omega is not 0.
    pub segment: &'a [u32],
    /// `[B, A, De]`: the network's prediction of each segment's mean; read only at a refresh.
    pub anchor_prediction: &'a [f64],
    /// `[B, A, De]`: the mean of `x0` over each segment, see [`super::segment_mean`]; read only where omega is not 0.
    pub segment_mean: &'a [f64],
    /// `[De]`: the soft absorbing state m.
    pub absorb: &'a [f64],
    /// `[B, R, De]`: standard normal noise; `None` for none.
    pub noise: Option<&'a [f64]>,
}

/// What changes from step to step.
#[derive(Clone, Copy, Debug)]
pub struct StepSettings {
    /// The linear update.
    pub coefficients: Coefficients,
    /// Strength of the guidance by the anchors; 0 is off.
    pub omega: f64,
    /// Whether this step freezes the anchors' new predictions.
    pub refresh: bool,
}

/// What [`solver_step`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Stepped {
    /// `[B, R, De]`: the next state.
    pub z: Vec<f64>,
    /// `[B, R, De]`: what the next step takes as `x0_prev`, guidance included.
    pub history: Vec<f64>,
}

/// One sampler update with the guidance of the semantic anchor states and the reset of the prompt.
///
/// * Anchor rows: `z' = anchor_prediction` at a refresh, else `z`; `history = x0`.
/// * Clean rows: `z' = clean`; `history = x0`.
/// * Noisy rows: `g = x0 + omega (anchor state of the row's segment - segment_mean of that segment)`, with the anchor
///   states as they were before this step's refresh. Then, with the update taken relative to m,
///   `z' = c_x z + c_x0 g + c_prev x0_prev + (1 - c_x - c_x0 - c_prev) m + c_noise noise`; `history = g`.
pub fn solver_step(inputs: &StepInputs<'_>, settings: &StepSettings, dims: &StepDims) -> Stepped {
    let StepDims { batch, anchors, rows, dim } = *dims;
    let size = batch * rows * dim;
    for (name, tensor) in [("z", inputs.z), ("x0", inputs.x0), ("x0_prev", inputs.x0_prev), ("clean", inputs.clean)] {
        assert_eq!(tensor.len(), size, "solver_step: {name} is not [B, R, De]");
    }
    assert_eq!(inputs.flag.len(), batch * rows, "solver_step: flag is not [B, R]");
    assert_eq!(inputs.absorb.len(), dim, "solver_step: absorb is not [De]");
    assert!(inputs.noise.is_none_or(|noise| noise.len() == size), "solver_step: noise is not [B, R, De]");
    let c = settings.coefficients;

    let mut z = Vec::with_capacity(size);
    let mut history = Vec::with_capacity(size);
    for b in 0..batch {
        for r in 0..rows {
            let at = b * rows + r;
            let x0 = row(inputs.x0, at, dim);
            match inputs.flag[at] {
                2 => {
                    assert!(r < anchors, "solver_step: an anchor row stands among the text");
                    let kept = row(inputs.z, at, dim);
                    let fresh = || row(inputs.anchor_prediction, b * anchors + r, dim);
                    z.extend_from_slice(if settings.refresh { fresh() } else { kept });
                    history.extend_from_slice(x0);
                }
                1 => {
                    z.extend_from_slice(row(inputs.clean, at, dim));
                    history.extend_from_slice(x0);
                }
                0 => {
                    let mut guided = x0.to_vec();
                    if settings.omega != 0.0 {
                        let segment = inputs.segment[at] as usize;
                        assert!(segment < anchors, "solver_step: a segment is not below A");
                        add_scaled(&mut guided, settings.omega, row(inputs.z, b * rows + segment, dim));
                        let mean = row(inputs.segment_mean, b * anchors + segment, dim);
                        add_scaled(&mut guided, -settings.omega, mean);
                    }
                    let mut next = vec![0.0; dim];
                    add_scaled(&mut next, c.x, row(inputs.z, at, dim));
                    add_scaled(&mut next, c.x0, &guided);
                    add_scaled(&mut next, c.x0_prev, row(inputs.x0_prev, at, dim));
                    add_scaled(&mut next, 1.0 - c.x - c.x0 - c.x0_prev, inputs.absorb);
                    if let Some(noise) = inputs.noise {
                        add_scaled(&mut next, c.noise, row(noise, at, dim));
                    }
                    z.extend(next);
                    history.extend(guided);
                }
                other => panic!("solver_step: flag {other} is not 0, 1 or 2"),
            }
        }
    }
    Stepped { z, history }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solver::{alpha_sigma, solver};
    use crate::testing::{assert_close, values};

    /// B = 1, A = 1, De = 1: an anchor, a prompt row and a noisy row.
    fn tiny<'a>(noise: Option<&'a [f64]>) -> StepInputs<'a> {
        StepInputs {
            z: &[10.0, 20.0, 30.0],
            x0: &[1.0, 2.0, 3.0],
            x0_prev: &[4.0, 5.0, 6.0],
            clean: &[f64::NAN, 7.0, f64::NAN],
            flag: &[2, 1, 0],
            segment: &[0, 0, 0],
            anchor_prediction: &[11.0],
            segment_mean: &[2.5],
            absorb: &[100.0],
            noise,
        }
    }

    const DIMS: StepDims = StepDims { batch: 1, anchors: 1, rows: 3, dim: 1 };
    const COEFFICIENTS: Coefficients = Coefficients { x: 0.5, x0: 0.75, x0_prev: -0.5, noise: 2.0 };

    #[test]
    fn step_by_hand() {
        let settings = StepSettings { coefficients: COEFFICIENTS, omega: 2.0, refresh: true };
        let got = solver_step(&tiny(Some(&[1.0, 1.0, -1.0])), &settings, &DIMS);
        // g = 3 + 2 (10 - 2.5) = 18: the anchor state is the old one.
        let noisy = 0.5 * 30.0 + 0.75 * 18.0 - 0.5 * 6.0 + 0.25 * 100.0 - 2.0;
        assert_eq!(got.z, [11.0, 7.0, noisy]);
        assert_eq!(got.history, [1.0, 2.0, 18.0]);
    }

    #[test]
    fn without_guidance_or_refresh() {
        let settings = StepSettings { coefficients: COEFFICIENTS, omega: 0.0, refresh: false };
        let got = solver_step(&tiny(None), &settings, &DIMS);
        assert_eq!(got.z, [10.0, 7.0, 0.5 * 30.0 + 0.75 * 3.0 - 0.5 * 6.0 + 0.25 * 100.0]);
        assert_eq!(got.history, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn noisy_rows_follow_the_plain_solver_around_the_absorbing_state() {
        let (steps, dims) = (5, StepDims { batch: 2, anchors: 0, rows: 3, dim: 4 });
        let size = 2 * 3 * 4;
        let (alpha, sigma): (Vec<f64>, Vec<f64>) = (0..=steps).map(|i| alpha_sigma(4.0 - i as f64)).unzip();
        let absorb = values(0, 4);
        let (mut z, x0) = (values(1, size), values(2, steps * size));
        let relative = |x: &[f64]| -> Vec<f64> { x.iter().zip(absorb.iter().cycle()).map(|(x, m)| x - m).collect() };
        let plain = solver(&relative(&z), &relative(&x0), &alpha, &sigma, 2, true);
        let mut history = vec![0.0; size];
        let all = crate::solver::step_coefficients(&alpha, &sigma, 2, true);
        for (s, &coefficients) in all.iter().enumerate() {
            let inputs = StepInputs {
                z: &z,
                x0: row(&x0, s, size),
                x0_prev: &history,
                clean: &[0.0; 24],
                flag: &[0; 6],
                segment: &[0; 6],
                anchor_prediction: &[],
                segment_mean: &[],
                absorb: &absorb,
                noise: None,
            };
            let settings = StepSettings { coefficients, omega: 0.0, refresh: false };
            Stepped { z, history } = solver_step(&inputs, &settings, &dims);
            assert_close(&relative(&z), row(&plain, s + 1, size), 1e-13);
        }
    }
}
