//! Dynamic expert scheduling (DES): the router, the choice of experts, and the experts themselves.

use crate::nn::{linear, silu};
use crate::{add_scaled, dot, row, row_mut};

/// The router's weights.
#[derive(Clone, Copy, Debug)]
pub struct RouterWeights<'a> {
    /// `[E, D]`.
    pub weight: &'a [f64],
    /// `[E]`.
    pub bias: &'a [f64],
    /// `[E]`: what one nat of difficulty adds to each expert's logit.
    pub difficulty: &'a [f64],
}

/// Router logits: `weight_e . x_n + bias_e + difficulty_n * difficulty_weight_e`.
///
/// `x` `[n, d]`; `difficulty` `[n]`, the entropy in nats of the previous prediction at each token; gives `[n, E]`.
pub fn router(x: &[f64], difficulty: &[f64], weights: &RouterWeights<'_>, n: usize, d: usize) -> Vec<f64> {
    let experts = weights.bias.len();
    assert_eq!(difficulty.len(), n, "router: difficulty is not [n]");
    assert_eq!(weights.difficulty.len(), experts, "router: the difficulty weights are not [E]");
    let mut logits = linear(x, weights.weight, Some(weights.bias), n, d, experts);
    for (i, &difficulty) in difficulty.iter().enumerate() {
        add_scaled(row_mut(&mut logits, i, experts), difficulty, weights.difficulty);
    }
    logits
}

/// The experts that one token goes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// `[k]`: the chosen experts, most probable first; the lower index first where probabilities tie.
    pub indices: Vec<u32>,
    /// `[k]`: the gate of each, softmax of the unshifted logits over the chosen ones; sums to 1.
    pub gates: Vec<f64>,
}

/// Chooses the `k` experts with the largest `logit - cost_bias`, the lower index where these tie.
///
/// The subtraction and the comparison are in f32, since a kernel is handed f32 logits and must choose the same
/// experts exactly: `logits` and `cost_bias` (both `[E]`) are expected to hold f32 values; NaN counts as lowest. The
/// bias takes part in the choice only; gates and their order come from the unshifted logits.
pub fn top_k(logits: &[f64], cost_bias: Option<&[f64]>, k: usize) -> Choice {
    assert!(k >= 1 && k <= logits.len(), "top_k: k is not in 1..=E");
    let bias = |e: usize| cost_bias.map_or(0.0, |bias| bias[e] as f32);
    let keys: Vec<f32> = (0..logits.len()).map(|e| logits[e] as f32 - bias(e)).collect();

    // Take the best of what is left, k times; `>` keeps the lower index on a tie.
    let mut left: Vec<usize> = (0..logits.len()).collect();
    let mut chosen = Vec::with_capacity(k);
    for _ in 0..k {
        let mut best = 0;
        for place in 1..left.len() {
            // NaN counts as the least.
            if keys[left[place]] > keys[left[best]] || (keys[left[best]].is_nan() && !keys[left[place]].is_nan()) {
                best = place;
            }
        }
        chosen.push(left.remove(best));
    }

    // Most probable first: by index, then a stable sort by falling logit.
    chosen.sort_unstable();
    let least_if_nan = |e: usize| if logits[e].is_nan() { f64::NEG_INFINITY } else { logits[e] };
    let by_falling_logit = |&a: &usize, &b: &usize| least_if_nan(b).partial_cmp(&least_if_nan(a));
    chosen.sort_by(|a, b| by_falling_logit(a, b).unwrap_or(std::cmp::Ordering::Equal));
    // Relative to the largest throughout: next to a logit of 1e30 the log of the sum would be lost.
    let weights: Vec<f64> = chosen.iter().map(|&e| (logits[e] - logits[chosen[0]]).exp()).collect();
    let total: f64 = weights.iter().sum();
    Choice {
        indices: chosen.iter().map(|&e| e as u32).collect(),
        gates: weights.iter().map(|weight| weight / total).collect(),
    }
}

/// SwiGLU experts of different widths, stored one after another: expert `e` owns the `widths[e]` hidden units that
/// start at the sum of the widths before it.
#[derive(Clone, Copy, Debug)]
pub struct ExpertWeights<'a> {
    /// `[sum F, D]`.
    pub gate: &'a [f64],
    /// `[sum F, D]`.
    pub up: &'a [f64],
    /// `[D, sum F]`.
    pub down: &'a [f64],
    /// `[E]`: hidden units of each expert; 0 for one that computes nothing.
    pub widths: &'a [u32],
}

/// What [`experts`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    /// `[n, D]`: the gated sum of the chosen experts' outputs.
    pub out: Vec<f64>,
    /// `[n, k]`: the chosen experts of each token, most probable first.
    pub indices: Vec<u32>,
    /// `[E]`: how many tokens chose each expert.
    pub counts: Vec<u32>,
}

/// Mixture of experts without dropping: `out_n = sum over the k chosen of p_e down_e (silu(gate_e x_n) * up_e x_n)`
/// (SwiGLU: Shazeer 2020), chosen and gated by [`top_k`]. An expert of width 0 takes its share and adds nothing.
///
/// `x` `[n, d]`; `router_logits` `[n, E]`; `cost_bias` `[E]`.
pub fn experts(
    x: &[f64],
    router_logits: &[f64],
    weights: &ExpertWeights<'_>,
    cost_bias: Option<&[f64]>,
    n: usize,
    d: usize,
    k: usize,
) -> Routed {
    let count = weights.widths.len();
    let units: usize = weights.widths.iter().map(|&width| width as usize).sum();
    assert_eq!(x.len(), n * d, "experts: x is not [n, d]");
    assert_eq!(router_logits.len(), n * count, "experts: router_logits is not [n, E]");
    assert_eq!(weights.gate.len(), units * d, "experts: gate is not [sum F, d]");
    assert_eq!(weights.up.len(), units * d, "experts: up is not [sum F, d]");
    assert_eq!(weights.down.len(), d * units, "experts: down is not [d, sum F]");
    assert!(cost_bias.is_none_or(|bias| bias.len() == count), "experts: cost_bias is not [E]");

    let mut starts = vec![0];
    for &width in weights.widths {
        starts.push(starts[starts.len() - 1] + width as usize);
    }

    let mut routed = Routed { out: vec![0.0; n * d], indices: Vec::with_capacity(n * k), counts: vec![0; count] };
    for i in 0..n {
        let x = row(x, i, d);
        let choice = top_k(row(router_logits, i, count), cost_bias, k);
        for (&e, &p) in choice.indices.iter().zip(&choice.gates) {
            let expert = e as usize;
            routed.counts[expert] += 1;
            for unit in starts[expert]..starts[expert + 1] {
                let hidden = silu(dot(row(weights.gate, unit, d), x)) * dot(row(weights.up, unit, d), x);
                for (o, out) in row_mut(&mut routed.out, i, d).iter_mut().enumerate() {
                    *out += p * weights.down[o * units + unit] * hidden;
                }
            }
        }
        routed.indices.extend(choice.indices);
    }
    routed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, values};

    #[test]
    fn router_by_hand() {
        let weights = RouterWeights { weight: &[1.0, 2.0, 3.0, 4.0], bias: &[0.5, -0.5], difficulty: &[0.0, 10.0] };
        let logits = router(&[1.0, 1.0, 1.0, 0.0], &[0.1, 0.2], &weights, 2, 2);
        assert_close(&logits, &[3.5, 7.5, 1.5, 4.5], 1e-14);
    }

    #[test]
    fn ties_go_to_the_lower_index() {
        assert_eq!(top_k(&[1.0, 2.0, 2.0, 2.0], None, 2).indices, [1, 2]);
        assert_eq!(top_k(&[0.0, -0.0, 0.0], None, 2).indices, [0, 1]);
        // A tie of the shifted logits is judged in f32: 1 - 1e-9 and 1 are one number there.
        assert_eq!(top_k(&[1.0, 1.0], Some(&[1e-9, 0.0]), 1).indices, [0]);
        // Chosen in the order 2, 0 by the key, listed in the order 0, 2 as their logits are equal.
        assert_eq!(top_k(&[3.0, 0.0, 3.0], Some(&[1.0, 0.0, 0.0]), 2).indices, [0, 2]);
    }

    #[test]
    fn the_bias_moves_the_choice_and_not_the_gates() {
        let logits = [0.0, 3_f64.ln(), 5.0];
        let choice = top_k(&logits, Some(&[0.0, 1.0, 10.0]), 2);
        assert_eq!(choice.indices, [1, 0]);
        assert_close(&choice.gates, &[0.75, 0.25], 1e-15);
        let all = top_k(&values(0, 9), None, 9);
        assert_close(&[all.gates.iter().sum()], &[1.0], 1e-14);
        assert!(all.gates.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn experts_by_hand() {
        // D = 1; widths 1, 0, 2; expert 0 holds unit 0, expert 2 units 1 and 2.
        let weights = ExpertWeights {
            gate: &[1.0, 2.0, 0.0],
            up: &[1.0, 3.0, 5.0],
            down: &[1.0, 10.0, 100.0],
            widths: &[1, 0, 2],
        };
        let logits = [0.0, -9.0, 3_f64.ln(), 0.0, 1.0, -9.0];
        let got = experts(&[1.0, 2.0], &logits, &weights, None, 2, 1, 2);
        let first = 0.75 * 10.0 * silu(2.0) * 3.0 + 0.25 * silu(1.0);
        let second = silu(2.0) * 2.0 / (1.0 + 1_f64.exp());
        assert_close(&got.out, &[first, second], 1e-13);
        assert_eq!(got.indices, [2, 0, 1, 0]);
        assert_eq!(got.counts, [2, 1, 1]);
    }

    #[test]
    fn equal_experts_are_one_dense_swiglu() {
        let (n, d, width) = (3, 4, 5);
        let (x, gate, up) = (values(0, n * d), values(1, width * d), values(2, width * d));
        let down = values(3, d * width);
        let twice: Vec<f64> = (0..d).flat_map(|o| row(&down, o, width).repeat(2)).collect();
        let (gates, ups) = (gate.repeat(2), up.repeat(2));
        let both = ExpertWeights { gate: &gates, up: &ups, down: &twice, widths: &[5, 5] };
        let got = experts(&x, &values(4, n * 2), &both, None, n, d, 2);

        let hidden: Vec<f64> = linear(&x, &gate, None, n, d, width)
            .iter()
            .zip(linear(&x, &up, None, n, d, width))
            .map(|(gate, up)| silu(*gate) * up)
            .collect();
        assert_close(&got.out, &linear(&hidden, &down, None, n, width, d), 1e-13);
    }
}
