//! Keys and values of a head, packed for products.

use crate::host::gemm::{Packed, Right};
use crate::{Result, memory};

/// Keys and values `[n, Dh]`.
pub(super) struct Side {
    /// The right side of queries times keys: `[Dh, n]`.
    pub keys: Packed,
    /// The right side of weights times values: `[n, Dh]`.
    pub values: Packed,
    /// Values like the keys, in whole panels both, where [`diagonals`](super::diagonals) need them.
    pub turned: Option<Packed>,
    pub len: usize,
}

impl Side {
    /// The first `len` rows of `k` and `v`, which lie `stride` apart.
    ///
    /// # Errors
    /// If memory is refused.
    pub(super) fn new(k: &[f32], v: &[f32], stride: usize, len: usize, d: usize, dilated: bool) -> Result<Self> {
        let values = Packed::whole(Right::Columns(v, stride), len, d)?;
        let (keys, turned) = if dilated {
            let full = |x| Packed::full(Right::Rows(x, stride), d, len);
            (full(k)?, Some(full(v)?))
        } else {
            (Packed::whole(Right::Rows(k, stride), d, len)?, None)
        };
        Ok(Self { keys, values, turned, len })
    }

    /// The rows at `positions`.
    ///
    /// # Errors
    /// If memory is refused.
    pub(super) fn gathered(k: &[f32], v: &[f32], stride: usize, positions: &[usize], d: usize) -> Result<Self> {
        let gather = |x: &[f32]| gather(x, stride, positions.iter().copied(), d, 1.0);
        Self::new(&gather(k)?, &gather(v)?, d, positions.len(), d, false)
    }
}

/// Rows of `x`, which lie `stride` apart, at `positions`, times `scale`.
///
/// # Errors
/// If memory is refused.
pub(super) fn gather(
    x: &[f32],
    stride: usize,
    positions: impl ExactSizeIterator<Item = usize>,
    d: usize,
    scale: f32,
) -> Result<Vec<f32>> {
    let mut rows = memory::empty("rows of attention", positions.len() * d)?;
    positions.for_each(|position| rows.extend(x[position * stride..][..d].iter().map(|x| x * scale)));
    Ok(rows)
}
