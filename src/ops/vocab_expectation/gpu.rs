//! The kernels of `vocab_expectation`.
//!
//! Where rows are few the vocabulary is split, so that there are workgroups enough; a second kernel adds up the parts. A
//! large batch is taken in passes, so that the parts stay small enough for one binding.

use super::splits::{self, Splits};
use super::{ABSORB, D, DE, EMBED, ENTROPY, H, LSE, MODULATION, SKIP, STEP, TOKEN, UNEMBED, V, VocabExpectation, X0};
use crate::gpu::{Capability, Kernel, Tier, shaders};
use crate::op::{Choice, Grid, Place, Shapes};
use crate::{Desc, Result};

crate::params! {
    struct Params {
        rows: u32,
        dim: u32,
        vocab: u32,
        embed_dim: u32,
        skip: u32,
        tiles: u32,
        splits: u32,
        split: u32,
        chunks: u32,
        bayes: u32,
        norm: u32,
        shift_offset: u32,
        scale_offset: u32,
        eps: f32,
    }
}

crate::params! {
    struct MergeParams {
        rows: u32,
        embed_dim: u32,
        splits: u32,
    }
}

const WRITES: &[bool] = &[false, false, false, false, false, false, false, true, true];
/// For any widths, and for those that are multiples of 4.
const EXPECTATION: [Kernel; 2] = [
    Kernel::core(shaders::VOCAB_EXPECTATION, Params::FIELDS, WRITES),
    Kernel::core(shaders::VOCAB_EXPECTATION_ALIGNED, Params::FIELDS, WRITES),
];
/// Of a kernel for `VALUE_DIM` columns of `x0`, the constants of the one for many rows, then of the one for few. All give
/// the same bits. Wider embeddings take several workgroups, each of which computes the scores.
const SHAPES: [[Constants; 2]; 4] = [
    [&[("VALUE_DIM", 32), ("ROWS", 64), ("THREADS", 64)], &[("VALUE_DIM", 32), ("ROWS", 16), ("THREADS", 64)]],
    [&[("VALUE_DIM", 64), ("ROWS", 64), ("THREADS", 64)], &[("VALUE_DIM", 64), ("ROWS", 16), ("THREADS", 64)]],
    [&[("VALUE_DIM", 128), ("ROWS", 64), ("THREADS", 128)], &[("VALUE_DIM", 128), ("ROWS", 16), ("THREADS", 64)]],
    [&[("VALUE_DIM", 256), ("ROWS", 32), ("THREADS", 64)], &[("VALUE_DIM", 256), ("ROWS", 16), ("THREADS", 128)]],
];
type Constants = &'static [(&'static str, u32)];
/// Of [`EXPECTATION`], in [`SHAPES`].
const EXPECTATIONS: [[[Kernel; 2]; 4]; 2] = [shaped(EXPECTATION[0]), shaped(EXPECTATION[1])];
/// The same with rows by subgroup, where that is known to be one load for all of its threads.
const EXPECTATIONS_SUBGROUP: [[[Kernel; 2]; 4]; 2] = [
    shaped(EXPECTATION[0].of_tier(Tier::Subgroup, SUBGROUPS)),
    shaped(EXPECTATION[1].of_tier(Tier::Subgroup, SUBGROUPS)),
];
const SUBGROUPS: &[Capability] = &[Capability::Subgroups];

const fn shaped(kernel: Kernel) -> [[Kernel; 2]; 4] {
    let mut kernels = [[kernel; 2]; 4];
    let mut width = 0;
    while width < 4 {
        kernels[width] = [kernel.with(SHAPES[width][0]), kernel.with(SHAPES[width][1])];
        width += 1;
    }
    kernels
}

/// Adds up the splits of the vocabulary.
const MERGE: Kernel = Kernel::core(shaders::VOCAB_MERGE, MergeParams::FIELDS, &[false, false, true, true, true, true]);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] =
    &[EXPECTATIONS.as_flattened().as_flattened(), EXPECTATIONS_SUBGROUP.as_flattened().as_flattened(), &[MERGE]];

/// Elements of the largest scratch of a pass over the rows: 64 MiB, half of what WebGPU guarantees for a binding.
const SCRATCH: usize = 1 << 24;
/// Passes begin at a multiple of this many rows: 256 bytes of one word each, WebGPU's alignment of bindings.
const PASS_ROWS: usize = 64;
/// No kernel takes more rows at a time.
const TILE: usize = 64;

/// Which kernels make so many columns of `x0`, and how many columns they make at a time.
fn width(embed_dim: usize) -> (usize, usize) {
    let width = (embed_dim.div_ceil(32).next_power_of_two().trailing_zeros() as usize).min(SHAPES.len() - 1);
    (width, 32 << width)
}

/// The value of a kernel's constant, which it is given.
fn constant(kernel: &Kernel, name: &str) -> usize {
    kernel.constants.iter().find(|(given, _)| *given == name).map_or(1, |&(_, value)| value as usize)
}

pub(super) fn choices(op: &VocabExpectation, shapes: &Shapes) -> Result<Vec<Choice>> {
    let [dim, vocab, embed_dim] = [D, V, DE].map(|dim| shapes.size(dim));
    let (rows, sequence) = (shapes.rows(), shapes.input(H).sequence_rows());
    let (width, value_dim) = width(embed_dim);
    let chunks = embed_dim.div_ceil(value_dim);
    let splits = Splits::new(sequence, chunks, vocab);
    shapes.all_indexed()?;
    // Tokens and rows are counted past the end by up to a tile.
    shapes.index32("V", vocab + splits.tokens)?;
    shapes.index32("rows", rows + TILE)?;

    let offsets = if shapes.has(MODULATION) { [op.shift_offset, op.scale_offset] } else { [0; 2] };
    let aligned = [dim, embed_dim, offsets[0], offsets[1]].iter().all(|size| size.is_multiple_of(4));
    let mut kernels = [EXPECTATIONS, EXPECTATIONS_SUBGROUP].map(|kernels| kernels[usize::from(aligned)][width]);
    if splits::few(rows, splits.count * chunks) {
        kernels.iter_mut().for_each(|kernels| kernels.reverse());
    }
    kernels.as_flattened().iter().map(|kernel| choice(op, kernel, shapes, splits, chunks)).collect()
}

fn choice(op: &VocabExpectation, kernel: &Kernel, shapes: &Shapes, splits: Splits, chunks: usize) -> Result<Choice> {
    let [dim, vocab, embed_dim] = [D, V, DE].map(|dim| shapes.size(dim));
    let all_rows = shapes.rows();
    let most = SCRATCH / (splits.count * embed_dim.max(4));
    let pass = (most / PASS_ROWS * PASS_ROWS).max(PASS_ROWS).min(all_rows);
    let mut choice = Choice::new();
    let partial = [Desc::f32([splits.count, pass, embed_dim]), Desc::u32([splits.count, pass, 4])];
    let partial = partial.map(|desc| Place::from(choice.scratch(desc)));
    for first in (0..all_rows).step_by(pass.max(1)) {
        let rows = pass.min(all_rows - first);
        let tiles = rows.div_ceil(constant(kernel, "ROWS"));
        let groups = tiles * splits.count * chunks;
        shapes.index32("workgroups", groups)?;
        let params = Params {
            rows: rows as u32,
            dim: dim as u32,
            vocab: vocab as u32,
            embed_dim: embed_dim as u32,
            skip: shapes.has(SKIP).into(),
            tiles: tiles as u32,
            splits: splits.count as u32,
            split: splits.tokens as u32,
            chunks: chunks as u32,
            bayes: shapes.has(ABSORB).into(),
            norm: shapes.has(MODULATION).into(),
            shift_offset: shapes.index32("shift_offset", op.shift_offset)?,
            scale_offset: shapes.index32("scale_offset", op.scale_offset)?,
            eps: op.eps,
        };
        let from = |place: Place, width: usize| place.behind(first * width);
        let skip = if shapes.has(SKIP) { from(SKIP.into(), embed_dim) } else { SKIP.into() };
        let h = from(H.into(), dim);
        let inputs = [STEP.into(), h, UNEMBED.into(), EMBED.into(), skip, ABSORB.into(), MODULATION.into()];
        let outputs = [from(X0.into(), embed_dim), from(LSE.into(), 1), from(ENTROPY.into(), 1), from(TOKEN.into(), 1)];
        choice.dispatch(kernel, &params, &[&inputs[..], &partial].concat(), Grid::flat(groups));
        let params = MergeParams { rows: rows as u32, embed_dim: embed_dim as u32, splits: splits.count as u32 };
        choice.dispatch(&MERGE, &params, &[&partial[..], &outputs].concat(), Grid::flat(rows));
    }
    Ok(choice)
}
