//! Values and laws of the ops. The cases in `cases` are about shapes; these go through shapes at the edges of tiles with
//! numbers that kernels have been known to get wrong, and through laws that need no oracle.

mod attention;
mod embedding;
mod experts;
mod finite;
mod linear;
mod noise;
mod norm;
mod qkv;
mod rope;
mod rounding;
mod router;
mod solver;
mod steps;
mod vocab;

use super::{Case, Gen, Relation};
use drdiff::Tensor;

type Cases = fn(&mut Gen) -> Vec<Case>;
type Laws = fn(&mut Gen) -> Vec<Relation>;

/// What an op is verified by besides its own cases.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// Cases of many kinds of values.
    pub values: Cases,
    /// Laws.
    pub relations: Laws,
}

/// The suite of an op of the registry.
pub fn suite(op: &str) -> Option<Suite> {
    let (values, relations): (Cases, Laws) = match op {
        "attention" => (attention::values, attention::relations),
        "bayes_query" => (steps::bayes_values, steps::bayes_relations),
        "embedding" => (embedding::values, embedding::relations),
        "experts" => (experts::values, experts::relations),
        "finite_check" => (finite::values, finite::relations),
        "linear" => (linear::values, linear::relations),
        "noise" => (noise::values, noise::relations),
        "norm" => (norm::values, norm::relations),
        "qkv" => (qkv::values, qkv::relations),
        "rope" => (rope::values, rope::relations),
        "rounding" => (rounding::values, rounding::relations),
        "router" => (router::values, router::relations),
        "segment_mean" => (steps::segment_values, steps::segment_relations),
        "solver" => (solver::values, solver::relations),
        "solver_step" => (steps::step_values, steps::step_relations),
        "time_embedding" => (embedding::time_values, embedding::time_relations),
        "vocab_expectation" => (vocab::values, vocab::relations),
        _ => return None,
    };
    Some(Suite { values, relations })
}

/// Elements in f64.
fn wide(tensor: &Tensor) -> Vec<f64> {
    tensor.as_f32().unwrap_or(&[]).iter().map(|&x| f64::from(x)).collect()
}

/// Sums of two lists, element by element.
fn plus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use drdiff::ops::REGISTRY;

    /// A new op has none at first: it is verified by calls made of its signature.
    #[test]
    fn suites_have_many_values_and_laws() {
        let mut suites = 0;
        for entry in REGISTRY {
            let Some(suite) = suite(entry.name()) else { continue };
            let values = (suite.values)(&mut Gen::new(0, entry.name())).len();
            let relations = (suite.relations)(&mut Gen::new(0, entry.name())).len();
            assert!(values >= 50 && relations >= 40, "{}: {values} {relations}", entry.name());
            suites += 1;
        }
        assert!(suites >= 16, "{suites} ops have a suite");
    }
}
