//! The kernels of `attention` and their dispatch.

use super::{Attention, GLOBALS, K, LENGTHS, LSE, MAX_DILATIONS, OUT, Pattern, Q, Sizes, V};
use crate::gpu::{Kernel, Source, shaders};
use crate::op::{Choice, Grid, Place, Shapes};
use crate::{Desc, Result};

/// Queries, and keys, of a tile.
const TILE: usize = shaders::attention_dense::TILE as usize;
/// Dimensions by which the widths of kernels grow.
const CHUNK: usize = shaders::attention_dense::CHUNK as usize;
/// Smallest range of keys for the global rows: fewer are not worth a partial result.
const SPLIT: usize = 256;

crate::params! {
    struct Params {
        batch: u32,
        rows: u32,
        heads: u32,
        head_dim: u32,
        scale: f32,
        padding_lse: f32,
        has_lengths: u32,
        globals: u32,
        window: u32,
        dilation: u32,
        reach: u32,
        earlier: u32,
        splits: u32,
        split_keys: u32,
        key_heads: u32,
        causal: u32,
        dilations: [[u32; 2]; MAX_DILATIONS],
    }
}

const PLAIN: &[bool] = &[false, false, false, false, true, true];
const WITH_STATE: &[bool] = &[false, false, false, false, true, true, false, true];
const PARTIAL: &[bool] = &[false, false, false, false, true, true, false];
const MERGED: &[bool] = &[false, false, false, false, true, true];

/// One kernel for each width of a head, rounded up.
const fn widths(source: Source, writes: &'static [bool]) -> [Kernel; 4] {
    let kernel = Kernel::core(source, Params::FIELDS, writes);
    [
        kernel.with(&[("HEAD_DIM", 32)]),
        kernel.with(&[("HEAD_DIM", 64)]),
        kernel.with(&[("HEAD_DIM", 128)]),
        kernel.with(&[("HEAD_DIM", 256)]),
    ]
}

const DENSE: [Kernel; 4] = widths(shaders::ATTENTION_DENSE, PLAIN);
const LOCAL: [Kernel; 4] = widths(shaders::ATTENTION_LOCAL, WITH_STATE);
const DILATED: [Kernel; 4] = widths(shaders::ATTENTION_DILATED, WITH_STATE);
const GLOBAL_KEYS: [Kernel; 4] = widths(shaders::ATTENTION_GLOBAL_KEYS, WITH_STATE);
const GLOBAL_ROWS: [Kernel; 4] = widths(shaders::ATTENTION_GLOBAL_ROWS, PARTIAL);
const MERGE: Kernel = Kernel::core(shaders::ATTENTION_MERGE, Params::FIELDS, MERGED);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&DENSE, &LOCAL, &DILATED, &GLOBAL_KEYS, &GLOBAL_ROWS, &[MERGE]];

/// Ranges of keys for the global rows, and the keys in each. Never so many that partial results need more memory than
/// `out`.
fn splits(rows: usize, globals: usize) -> (usize, usize) {
    let most = rows.div_ceil(SPLIT).min(rows / globals).max(1);
    let keys = rows.div_ceil(most).next_multiple_of(TILE);
    (rows.div_ceil(keys), keys)
}

pub(super) fn choices(op: &Attention, shapes: &Shapes) -> Result<Vec<Choice>> {
    let sizes = Sizes::of(shapes);
    let Sizes { batch, rows, heads, key_heads, head_dim } = sizes;
    shapes.all_indexed()?;
    // Positions up to a window and a tile past the end, and twice that in dilated steps, are computed with.
    shapes.index32("N", 4 * (rows + TILE))?;
    // Beyond the last position a window or a step holds no more pairs.
    let clamp = |value: usize| value.min(rows) as u32;
    let mut params = Params {
        batch: batch as u32,
        rows: rows as u32,
        heads: heads as u32,
        head_dim: head_dim as u32,
        scale: op.scale(&sizes),
        padding_lse: f32::NEG_INFINITY,
        has_lengths: shapes.has(LENGTHS).into(),
        globals: 0,
        window: 0,
        dilation: 1,
        reach: 0,
        earlier: 0,
        splits: 0,
        split_keys: 0,
        key_heads: key_heads as u32,
        causal: op.causal.into(),
        dilations: [[1, 0]; MAX_DILATIONS],
    };
    if let Pattern::Hsa { window, dilations } = &op.pattern {
        params.window = clamp(*window);
        for (slot, &(r, k)) in params.dilations.iter_mut().zip(dilations) {
            *slot = [clamp(r), clamp(k)];
        }
    }
    let qkv = [Q.into(), K.into(), V.into(), LENGTHS.into()];
    let variant = head_dim.div_ceil(CHUNK).next_power_of_two().trailing_zeros() as usize;
    let tiles = Grid::flat(batch * heads * rows.div_ceil(TILE));
    match &op.pattern {
        Pattern::Dense => {
            let buffers = [&qkv[..], &[OUT.into(), LSE.into()]].concat();
            Ok(vec![Choice::of(&DENSE[variant], &params, &buffers, tiles)])
        }
        Pattern::Hsa { window, dilations } => Ok(vec![hsa(shapes, &sizes, *window, dilations, params)?]),
    }
}

/// Local, then each dilation, then the globals as keys: each continues from the state (maximum and sum of each row) that the
/// one before left. The globals' own rows are split over ranges of keys, then merged.
fn hsa(
    shapes: &Shapes,
    sizes: &Sizes,
    window: usize,
    dilations: &[(usize, usize)],
    mut params: Params,
) -> Result<Choice> {
    let Sizes { batch, rows, heads, head_dim, .. } = *sizes;
    let planes = batch * heads;
    let globals = if shapes.has(GLOBALS) { shapes.input(GLOBALS).len() } else { 0 };
    let (split_count, split_keys) = if globals > 0 { splits(rows, globals) } else { (0, 0) };
    params.globals = globals as u32;
    params.splits = split_count as u32;
    params.split_keys = split_keys as u32;
    let variant = head_dim.div_ceil(CHUNK).next_power_of_two().trailing_zeros() as usize;
    let tiles = Grid::flat(planes * rows.div_ceil(TILE));
    let (list, lengths) = (Place::from(GLOBALS), Place::from(LENGTHS));
    let qkv = [Q.into(), K.into(), V.into(), lengths];

    let mut choice = Choice::new();
    let state = choice.scratch(Desc::f32([batch, rows, heads, 2])).into();
    let buffers = [&qkv[..], &[OUT.into(), LSE.into(), list, state]].concat();
    choice.dispatch(&LOCAL[variant], &params, &buffers, tiles);
    for (index, &(r, k)) in dilations.iter().enumerate() {
        let reach = k.min((rows - 1) / r);
        // Nothing within the sequence, or nothing beyond the window.
        if r.saturating_mul(reach) <= window {
            continue;
        }
        let dilated = Params { dilation: r as u32, reach: reach as u32, earlier: index as u32, ..params };
        let grid = Grid::flat(planes * r * rows.div_ceil(r).div_ceil(TILE));
        choice.dispatch(&DILATED[variant], &dilated, &buffers, grid);
    }
    if globals > 0 {
        choice.dispatch(&GLOBAL_KEYS[variant], &params, &buffers, tiles);
        let partial_out = choice.scratch(Desc::f32([split_count, batch, globals, heads, head_dim])).into();
        let partial_state = choice.scratch(Desc::f32([split_count, batch, globals, heads, 2])).into();
        let partial = [&qkv[..], &[partial_out, partial_state, list]].concat();
        let grid = Grid::flat(planes * split_count * globals.div_ceil(TILE));
        choice.dispatch(&GLOBAL_ROWS[variant], &params, &partial, grid);
        let merged = [partial_out, partial_state, list, lengths, OUT.into(), LSE.into()];
        choice.dispatch(
            &MERGE,
            &params,
            &merged,
            Grid::elements(planes * globals * head_dim, shaders::attention_merge::WORKGROUP),
        );
    }
    for desc in &choice.scratch {
        shapes.index32("a tensor", desc.len())?;
    }
    Ok(choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_the_keys_and_stay_small() {
        for rows in [1, 31, 32, 33, 255, 256, 257, 1000, 4096, 70_001] {
            for globals in [1, 2, 31, 64, rows / 2, rows].into_iter().filter(|&g| g > 0 && g <= rows) {
                let (splits, keys) = splits(rows, globals);
                assert!(keys % TILE == 0 && splits * keys >= rows && (splits - 1) * keys < rows);
                assert!(splits * globals <= rows);
            }
        }
    }
}
