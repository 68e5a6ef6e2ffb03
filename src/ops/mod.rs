//! The operations: shape rules, dispatch and cost, one module for each family of shaders.

pub mod linear;
pub mod noise;

pub use linear::{Activation, Linear};
pub use noise::Noise;

use crate::check::Entry;
use crate::{DType, Desc, Error, Result};

/// Every op that `drdiff verify`, `bench` and `op` know: a new op is one more line here.
pub const REGISTRY: &[Entry] = &[linear::ENTRY, noise::ENTRY];

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
