//! The ops there are, each in a folder of its own with the same files: `mod` (what it is, its signature), `gpu` (its
//! kernels and their dispatch), `cpu` (its f32 code) and `reference` (its tie to the f64 reference).

pub mod attention;
pub mod bayes_query;
pub mod embedding;
pub mod experts;
pub mod finite_check;
pub mod linear;
pub mod noise;
pub mod norm;
pub mod qkv;
pub mod rope;
pub mod rounding;
pub mod routed_experts;
pub mod router;
pub mod segment_mean;
pub mod solver;
pub mod solver_step;
mod tiles;
pub mod time_embedding;
pub mod vocab_expectation;

pub use attention::{Attention, Pattern};
pub use bayes_query::BayesQuery;
pub use embedding::Embedding;
pub use experts::Experts;
pub use finite_check::FiniteCheck;
pub use linear::{Activation, Linear};
pub use noise::Noise;
pub use norm::{Norm, NormKind};
pub use qkv::Qkv;
pub use rope::{Rope, rope_table};
pub use rounding::Rounding;
pub use routed_experts::RoutedExperts;
pub use router::Router;
pub use segment_mean::SegmentMean;
pub use solver::Solver;
pub use solver_step::{SolverStep, StepRow};
pub use time_embedding::{TimeEmbedding, time_frequencies};
pub use vocab_expectation::VocabExpectation;

use crate::op::Entry;

/// Every op that can be called by name.
pub const REGISTRY: &[Entry] = &[
    attention::ENTRY,
    experts::ENTRY,
    router::ENTRY,
    routed_experts::ENTRY,
    vocab_expectation::ENTRY,
    rounding::ENTRY,
    solver::ENTRY,
    solver_step::ENTRY,
    bayes_query::ENTRY,
    segment_mean::ENTRY,
    finite_check::ENTRY,
    noise::ENTRY,
    linear::ENTRY,
    norm::ENTRY,
    rope::ENTRY,
    qkv::ENTRY,
    embedding::ENTRY,
    time_embedding::ENTRY,
];
