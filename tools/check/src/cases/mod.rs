//! Calls that verify an op and calls that measure it. An op that has none of its own is verified by calls made of its
//! signature.

mod attention;
mod bayes_query;
mod embedding;
mod experts;
mod finite_check;
mod from_signature;
mod linear;
mod noise;
mod norm;
mod qkv;
mod rope;
mod rounding;
mod routed_experts;
mod router;
mod segment_mean;
mod sized;
mod solver;
mod solver_step;
mod time_embedding;
mod vocab_expectation;

use drdiff::op::{Arguments, Entry};

use crate::Gen;

pub use sized::{Wanted, sized};

/// One named call.
#[derive(Clone, Debug)]
pub struct Case {
    /// What distinguishes it.
    pub label: String,
    /// Its tensors and settings.
    pub arguments: Arguments,
}

impl Case {
    /// A case.
    pub fn new(label: impl Into<String>, arguments: Arguments) -> Self {
        Self { label: label.into(), arguments }
    }
}

type Make = fn(&mut Gen) -> Vec<Case>;

/// The cases and benches that an op has of its own.
fn own(op: &str) -> Option<(Make, Make)> {
    Some(match op {
        "attention" => (attention::cases, attention::bench),
        "bayes_query" => (bayes_query::cases, bayes_query::bench),
        "embedding" => (embedding::cases, embedding::bench),
        "experts" => (experts::cases, experts::bench),
        "finite_check" => (finite_check::cases, finite_check::bench),
        "linear" => (linear::cases, linear::bench),
        "noise" => (noise::cases, noise::bench),
        "norm" => (norm::cases, norm::bench),
        "qkv" => (qkv::cases, qkv::bench),
        "rope" => (rope::cases, rope::bench),
        "rounding" => (rounding::cases, rounding::bench),
        "routed_experts" => (routed_experts::cases, routed_experts::bench),
        "router" => (router::cases, router::bench),
        "segment_mean" => (segment_mean::cases, segment_mean::bench),
        "solver" => (solver::cases, solver::bench),
        "solver_step" => (solver_step::cases, solver_step::bench),
        "time_embedding" => (time_embedding::cases, time_embedding::bench),
        "vocab_expectation" => (vocab_expectation::cases, vocab_expectation::bench),
        _ => return None,
    })
}

/// Calls that verify an op.
pub fn cases(entry: &Entry, g: &mut Gen) -> Vec<Case> {
    match own(entry.name()) {
        Some((cases, _)) => cases(g),
        None => from_signature::cases(entry, g),
    }
}

/// Calls that measure an op.
pub fn benches(entry: &Entry, g: &mut Gen) -> Vec<Case> {
    match own(entry.name()) {
        Some((_, bench)) => bench(g),
        None => from_signature::benches(entry, g),
    }
}
