//! The kernels of `rounding`: one goes through parts of the vocabulary, one compares them.

use super::{D, TABLE, TOKEN, V, X};
use crate::gpu::{Capability, Kernel, Tier, shaders};
use crate::op::{Choice, Grid, Place, Shapes};
use crate::ops::vocab_expectation::splits::{self, Splits};
use crate::{Desc, Result};

crate::params! {
    struct Params {
        rows: u32,
        dim: u32,
        vocab: u32,
        tiles: u32,
        splits: u32,
        split: u32,
    }
}

crate::params! {
    struct MergeParams {
        rows: u32,
        splits: u32,
    }
}

const WRITES: &[bool] = &[false, false, true];
/// For any width, and for one that is a multiple of 4.
const ROUNDING: [Kernel; 2] = [
    Kernel::core(shaders::VOCAB_ROUNDING, Params::FIELDS, WRITES),
    Kernel::core(shaders::VOCAB_ROUNDING_ALIGNED, Params::FIELDS, WRITES),
];
/// Rows of a workgroup where they are many, and where they are few; both give the same tokens.
const ROWS: [usize; 2] = [64, 16];
const fn shaped(kernel: Kernel) -> [Kernel; 2] {
    [kernel.with(&[("ROWS", 64), ("THREADS", 64)]), kernel.with(&[("ROWS", 16), ("THREADS", 64)])]
}
const ROUNDINGS: [[Kernel; 2]; 2] = [shaped(ROUNDING[0]), shaped(ROUNDING[1])];
/// The same with rows by subgroup, where that is known to be one load for all of its threads.
const ROUNDINGS_SUBGROUP: [[Kernel; 2]; 2] =
    [shaped(ROUNDING[0].of_tier(Tier::Subgroup, SUBGROUPS)), shaped(ROUNDING[1].of_tier(Tier::Subgroup, SUBGROUPS))];
const SUBGROUPS: &[Capability] = &[Capability::Subgroups];
/// The best of the splits.
const MERGE: Kernel = Kernel::core(shaders::VOCAB_ROUNDING_MERGE, MergeParams::FIELDS, &[false, true]);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[ROUNDINGS.as_flattened(), ROUNDINGS_SUBGROUP.as_flattened(), &[MERGE]];

pub(super) fn choices(shapes: &Shapes) -> Result<Vec<Choice>> {
    let (rows, dim, vocab) = (shapes.rows(), shapes.size(D), shapes.size(V));
    let splits = Splits::new(shapes.input(X).sequence_rows(), 1, vocab);
    // Tokens and rows are counted past the end by up to a tile.
    for elements in [rows * dim, vocab * dim, rows + ROWS[0], vocab + splits.tokens, rows * splits.count * 2] {
        shapes.index32("a tensor", elements)?;
    }
    let aligned = usize::from(dim.is_multiple_of(4));
    let mut sizes = [0, 1];
    if splits::few(rows, splits.count) {
        sizes.reverse();
    }
    let choice = |kernel: &Kernel, tile: usize| {
        let mut choice = Choice::new();
        let state: Place = choice.scratch(Desc::u32([splits.count, rows, 2])).into();
        let tiles = rows.div_ceil(tile);
        let params = Params {
            rows: rows as u32,
            dim: dim as u32,
            vocab: vocab as u32,
            tiles: tiles as u32,
            splits: splits.count as u32,
            split: splits.tokens as u32,
        };
        choice.dispatch(kernel, &params, &[X.into(), TABLE.into(), state], Grid::flat(tiles * splits.count));
        let params = MergeParams { rows: rows as u32, splits: splits.count as u32 };
        let groups = Grid::elements(rows, shaders::vocab_rounding_merge::WORKGROUP);
        choice.dispatch(&MERGE, &params, &[state, TOKEN.into()], groups);
        choice
    };
    let kernels = [ROUNDINGS, ROUNDINGS_SUBGROUP].map(|kernels| kernels[aligned]);
    Ok(kernels.iter().flat_map(|kernels| sizes.map(|size| choice(&kernels[size], ROWS[size]))).collect())
}
