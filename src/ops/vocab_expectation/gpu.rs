//! The kernels of `vocab_expectation`.
//!
//! Where rows are few the vocabulary is split, so that there are workgroups enough, and a second kernel adds up the parts.
//! A large batch is taken in passes, so that the parts stay small enough for one binding.

use super::{D, DE, EMBED, ENTROPY, H, LSE, SKIP, TOKEN, UNEMBED, V, X0};
use crate::gpu::{Kernel, shaders};
use crate::op::{Choice, Grid, Place, Shapes};
use crate::{Desc, Result};

crate::params! {
    struct Params {
        rows: u32,
        dim: u32,
        vocab: u32,
        embed_dim: u32,
        skip: u32,
        splits: u32,
        split: u32,
        chunks: u32,
    }
}

crate::params! {
    struct MergeParams {
        rows: u32,
        embed_dim: u32,
        splits: u32,
    }
}

const WRITES: &[bool] = &[false, false, false, false, true, true, true, true];
const EXPECTATION: Kernel = Kernel::core(shaders::VOCAB_EXPECTATION, Params::FIELDS, WRITES);
/// 32 rows and 32, 64, 128 or 256 columns of `x0` a workgroup; wider embeddings take several, each of which computes
/// the scores.
const EXPECTATIONS: [Kernel; 4] = [
    EXPECTATION.with(&[("VALUE_DIM", 32)]),
    EXPECTATION.with(&[("VALUE_DIM", 64)]),
    EXPECTATION.with(&[("VALUE_DIM", 128)]),
    EXPECTATION.with(&[("VALUE_DIM", 256)]),
];
/// Adds up the splits of the vocabulary.
const MERGE: Kernel = Kernel::core(shaders::VOCAB_MERGE, MergeParams::FIELDS, WRITES);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&EXPECTATIONS, &[MERGE]];

/// Rows of a workgroup, and tokens of a tile.
const TILE: usize = shaders::vocab_expectation::ROWS as usize;
const _: () = assert!(shaders::vocab_expectation::KEYS as usize == TILE);
/// Target number of workgroups: if the rows give fewer, the vocabulary is split.
const GROUPS: usize = 256;
/// Fewest tiles per split: with fewer, the merge costs more than the split gains.
const SPLIT_TILES: usize = 8;
/// The merge kernel holds one factor per thread.
const MAX_SPLITS: usize = shaders::vocab_merge::MAX_SPLITS as usize;

/// Elements of the largest scratch of a pass over the rows: 64 MiB, half of what WebGPU guarantees for a binding.
const SCRATCH: usize = 1 << 24;
/// Passes begin at a multiple of this many rows: 256 bytes of one word each, WebGPU's alignment of bindings.
const PASS_ROWS: usize = 64;

#[derive(Clone, Copy)]
struct Sizes {
    rows: usize,
    /// Rows of one sequence.
    sequence: usize,
    vocab: usize,
    embed_dim: usize,
}

impl Sizes {
    /// Which kernel makes the columns of `x0`.
    fn variant(&self) -> usize {
        (self.embed_dim.div_ceil(32).next_power_of_two().trailing_zeros() as usize).min(EXPECTATIONS.len() - 1)
    }

    /// How many columns of `x0` it makes.
    fn value_dim(&self) -> usize {
        32 << self.variant()
    }

    /// Parts of the vocabulary, and tokens of a part. By sizes of one sequence alone, so that every GPU adds in one order,
    /// whatever the batch.
    fn splits(&self) -> (usize, usize) {
        let groups = self.sequence.div_ceil(TILE) * self.embed_dim.div_ceil(self.value_dim());
        let tiles = self.vocab.div_ceil(TILE);
        let most = (tiles / SPLIT_TILES).clamp(1, MAX_SPLITS);
        let tiles_each = tiles.div_ceil(GROUPS.div_ceil(groups.max(1)).min(most));
        (tiles.div_ceil(tiles_each), tiles_each * TILE)
    }

    /// Rows of a pass: all, but where the scratch of a large batch would be too large.
    fn pass(&self) -> usize {
        match self.splits().0 {
            1 => self.rows,
            splits => {
                let most = SCRATCH / (splits * self.embed_dim.max(2));
                (most / PASS_ROWS * PASS_ROWS).max(PASS_ROWS).min(self.rows)
            }
        }
    }
}

pub(super) fn choices(shapes: &Shapes) -> Result<Vec<Choice>> {
    let [dim, vocab, embed_dim] = [D, V, DE].map(|dim| shapes.size(dim));
    let sizes = Sizes { rows: shapes.rows(), sequence: shapes.input(H).sequence_rows(), vocab, embed_dim };
    let (splits, split) = sizes.splits();
    let chunks = embed_dim.div_ceil(sizes.value_dim());
    shapes.all_indexed()?;
    // Tokens and rows are counted past the end by up to a tile.
    shapes.index32("V", vocab + split)?;
    shapes.index32("rows", sizes.rows + TILE)?;
    let mut choice = Choice::new();
    let partial = match splits {
        1 => None,
        splits => {
            let pass = sizes.pass();
            let descs = [
                Desc::f32([splits, pass, embed_dim]),
                Desc::f32([splits, pass]),
                Desc::f32([splits, pass, 2]),
                Desc::u32([splits, pass]),
            ];
            Some(descs.map(|desc| Place::from(choice.scratch(desc))))
        }
    };
    for first in (0..sizes.rows).step_by(sizes.pass()) {
        let rows = sizes.pass().min(sizes.rows - first);
        let groups = rows.div_ceil(TILE) * splits * chunks;
        shapes.index32("workgroups", groups)?;
        let params = Params {
            rows: rows as u32,
            dim: dim as u32,
            vocab: vocab as u32,
            embed_dim: embed_dim as u32,
            skip: shapes.has(SKIP).into(),
            splits: splits as u32,
            split: split as u32,
            chunks: chunks as u32,
        };
        let from = |place: Place, width: usize| place.behind(first * width);
        let skip = if shapes.has(SKIP) { from(SKIP.into(), embed_dim) } else { SKIP.into() };
        let inputs = [from(H.into(), dim), UNEMBED.into(), EMBED.into(), skip];
        let outputs = [from(X0.into(), embed_dim), from(LSE.into(), 1), from(ENTROPY.into(), 1), from(TOKEN.into(), 1)];
        let buffers = [inputs, partial.unwrap_or(outputs)].concat();
        choice.dispatch(&EXPECTATIONS[sizes.variant()], &params, &buffers, Grid::flat(groups));
        if let Some(partial) = partial {
            let params = MergeParams { rows: rows as u32, embed_dim: embed_dim as u32, splits: splits as u32 };
            choice.dispatch(&MERGE, &params, &[partial, outputs].concat(), Grid::flat(rows));
        }
    }
    Ok(vec![choice])
}
