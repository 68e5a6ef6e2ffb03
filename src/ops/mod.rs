//! The operations: shape rules, dispatch and cost, one module for each family of shaders.

pub mod attention;
pub mod embedding;
pub mod experts;
pub mod linear;
pub mod noise;
pub mod norm;
pub mod rope;
pub mod router;
pub mod solver;
pub mod time_embedding;
pub mod vocab;

pub use attention::{Attention, Pattern};
pub use embedding::Embedding;
pub use experts::Experts;
pub use linear::{Activation, Linear};
pub use noise::Noise;
pub use norm::{Norm, NormKind};
pub use rope::{Rope, rope_table};
pub use router::Router;
pub use solver::{BayesQuery, FiniteCheck, SegmentMean, Solver, SolverStep, StepRow};
pub use time_embedding::{TimeEmbedding, time_frequencies};
pub use vocab::VocabExpectation;
pub use vocab::rounding::Rounding;

use crate::check::Entry;
use crate::{DType, Desc, Error, Result};

/// Every op that `drdiff verify`, `bench` and `op` know: a new op is one more line here.
pub const REGISTRY: &[Entry] = &[
    attention::ENTRY,
    experts::ENTRY,
    router::ENTRY,
    vocab::ENTRY,
    vocab::rounding::ENTRY,
    solver::SOLVER_ENTRY,
    solver::SOLVER_STEP_ENTRY,
    solver::BAYES_QUERY_ENTRY,
    solver::SEGMENT_MEAN_ENTRY,
    solver::FINITE_CHECK_ENTRY,
    noise::ENTRY,
    linear::ENTRY,
    norm::ENTRY,
    rope::ENTRY,
    embedding::ENTRY,
    time_embedding::ENTRY,
];

/// A required input of a type.
pub(crate) fn require<'a>(
    op: &'static str,
    inputs: &[Option<&'a Desc>],
    index: usize,
    name: &str,
    dtype: DType,
) -> Result<&'a Desc> {
    let desc = inputs.get(index).copied().flatten();
    let desc = desc.ok_or_else(|| Error::shape(op, name, "missing", "a tensor"))?;
    if desc.dtype != dtype {
        return Err(Error::shape(op, name, desc.to_string(), format!("{dtype:?}")));
    }
    Ok(desc)
}

/// Sees that a tensor has elements.
pub(crate) fn filled(op: &'static str, name: &str, desc: &Desc) -> Result<()> {
    match desc.is_empty() {
        true => Err(Error::shape(op, name, desc.to_string(), "sizes of at least 1")),
        false => Ok(()),
    }
}

/// An input that must have exactly this shape, where it is given.
pub(crate) fn expect(
    op: &'static str,
    inputs: &[Option<&Desc>],
    index: usize,
    name: &str,
    expected: &Desc,
) -> Result<()> {
    match inputs.get(index).copied().flatten() {
        Some(desc) if desc != expected => Err(Error::shape(op, name, desc.to_string(), expected.to_string())),
        _ => Ok(()),
    }
}

/// The sizes of a shape of `N` dimensions.
pub(crate) fn dims<const N: usize>(op: &'static str, name: &str, desc: &Desc) -> Result<[usize; N]> {
    <[usize; N]>::try_from(desc.shape.as_slice())
        .map_err(|_| Error::shape(op, name, desc.to_string(), format!("{N} dimensions")))
}

/// A size as kernels take it.
///
/// # Errors
/// Where `elements`, an index in some buffer, exceeds 32 bits.
pub(crate) fn index32(op: &'static str, what: &str, elements: usize) -> Result<u32> {
    u32::try_from(elements).map_err(|_| Error::shape(op, what, elements.to_string(), "at most 2^32 - 1 elements"))
}
