//! What Bayes' rule gives in closed form: ancestral sampling and the exact term of the logits.

use super::{Coefficients, Point};

/// One step of ancestral sampling, from `from` (s) to the cleaner `to` (t): a draw from the Gaussian posterior
/// `q(z_t | z_s, x0)` of the variance-preserving process (Ho et al. 2020; Kingma et al. 2021). With
/// `a = alpha_s / alpha_t` and `v = sigma_s^2 - a^2 sigma_t^2`, its mean is
/// `(a sigma_t^2 / sigma_s^2) z + (alpha_t v / sigma_s^2) x0` and its deviation `sqrt(v) sigma_t / sigma_s`.
pub fn ancestral_coefficients(from: Point, to: Point) -> Coefficients {
    assert!(from.sigma > 0.0 && to.alpha > 0.0, "ancestral_coefficients: from is clean or to is pure noise");
    let a = from.alpha / to.alpha;
    // Not negative for a step towards clean; rounding can make it so when the step is tiny.
    let v = (from.sigma.powi(2) - a.powi(2) * to.sigma.powi(2)).max(0.0);
    Coefficients {
        x: a * to.sigma.powi(2) / from.sigma.powi(2),
        x0: to.alpha * v / from.sigma.powi(2),
        x0_prev: 0.0,
        noise: v.sqrt() * to.sigma / from.sigma,
    }
}

/// The query of the exact Bayes term: `(alpha / sigma^2) (z - (1 - alpha) m)`.
///
/// `ln N(z; m + alpha (e - m), sigma^2)` is this vector's inner product with `e`, plus terms that are equal for all
/// rows `e` of one norm. `z` `[rows, De]`, `m` `[De]` the absorbing state; gives `[rows, De]`.
pub fn bayes_query(z: &[f64], m: &[f64], alpha: f64, sigma: f64) -> Vec<f64> {
    assert!(z.len().is_multiple_of(m.len()), "bayes_query: z is not [rows, De]");
    let absorb = m.iter().cycle();
    z.iter().zip(absorb).map(|(z, m)| alpha / sigma.powi(2) * (z - (1.0 - alpha) * m)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solver::alpha_sigma;
    use crate::testing::assert_close;

    fn point(gamma: f64) -> Point {
        let (alpha, sigma) = alpha_sigma(gamma);
        Point { alpha, sigma }
    }

    fn point_at(alpha: f64, sigma: f64) -> Point {
        Point { alpha, sigma }
    }

    #[test]
    fn ancestral_steps_keep_the_marginals() {
        let (from, to) = (point(2.0), point(-1.0));
        let c = ancestral_coefficients(from, to);
        let variance = c.x.powi(2) * from.sigma.powi(2) + c.noise.powi(2);
        assert_close(&[c.x * from.alpha + c.x0, variance], &[to.alpha, to.sigma.powi(2)], 1e-14);
        let last = ancestral_coefficients(from, point_at(1.0, 0.0));
        assert_close(&[last.x, last.x0, last.noise], &[0.0, 1.0, 0.0], 1e-15);
        let first = ancestral_coefficients(point_at(0.0, 1.0), to);
        assert_close(&[first.x, first.x0, first.noise], &[0.0, to.alpha, to.sigma], 1e-15);
    }

    #[test]
    fn bayes_query_ranks_like_the_likelihood() {
        let (alpha, sigma, m) = (0.6, 0.8, [0.3, -0.2]);
        let (z, e, f) = ([0.5, 1.0], [1.0, 1.0], [-1.0, 1.0]);
        let query = bayes_query(&z, &m, alpha, sigma);
        assert_close(&query, &[0.6 / 0.64 * (0.5 - 0.4 * 0.3), 0.6 / 0.64 * (1.0 + 0.4 * 0.2)], 1e-14);
        let log_density = |e: [f64; 2]| -> f64 {
            let off = |d: usize| z[d] - m[d] - alpha * (e[d] - m[d]);
            -(off(0).powi(2) + off(1).powi(2)) / (2.0 * sigma.powi(2))
        };
        let gap = crate::dot(&query, &e) - crate::dot(&query, &f);
        assert_close(&[gap], &[log_density(e) - log_density(f)], 1e-14);
    }
}
