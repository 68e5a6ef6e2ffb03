//! The kernel of `rounding`.

use super::{D, TABLE, TOKEN, V, X};
use crate::Result;
use crate::gpu::{Kernel, shaders};
use crate::op::{Choice, Grid, Shapes};

crate::params! {
    struct Params {
        rows: u32,
        dim: u32,
        vocab: u32,
    }
}

/// Rows of a workgroup, and tokens of a tile.
const TILE: usize = shaders::vocab_rounding::ROWS as usize;
const _: () = assert!(shaders::vocab_rounding::KEYS as usize == TILE);

/// A tile of rows per workgroup.
const ROUNDING: Kernel = Kernel::core(shaders::VOCAB_ROUNDING, Params::FIELDS, &[false, false, true]);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[ROUNDING]];

pub(super) fn choices(shapes: &Shapes) -> Result<Vec<Choice>> {
    let (rows, dim, vocab) = (shapes.rows(), shapes.size(D), shapes.size(V));
    // Tokens and rows are counted past the end by up to a tile.
    for elements in [rows * dim, vocab * dim, rows + TILE, vocab + TILE] {
        shapes.index32("a tensor", elements)?;
    }
    let params = Params { rows: rows as u32, dim: dim as u32, vocab: vocab as u32 };
    let buffers = [X.into(), TABLE.into(), TOKEN.into()];
    Ok(vec![Choice::of(&ROUNDING, &params, &buffers, Grid::flat(rows.div_ceil(TILE)))])
}
