//! The kernels of `attention` and their dispatch.

use super::{Attention, GLOBALS, LENGTHS, MAX_DILATIONS, Pattern, Sizes};
use crate::gpu::{Grid, Kernel, Recorder, Source, shaders};
use crate::graph::{Bindings, Shapes};
use crate::ops::index32;
use crate::{Desc, Result};

/// Queries, and keys, of a tile.
const TILE: usize = shaders::attention_dense::TILE as usize;
/// Dimensions by which the widths of kernels grow.
const CHUNK: usize = shaders::attention_dense::CHUNK as usize;
/// Fewest keys of a range of the global rows: less does not pay for its partial result.
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
        pad: [u32; 2],
        dilations: [[u32; 2]; MAX_DILATIONS],
    }
}

const PLAIN: &[bool] = &[false, false, false, false, true, true];
const WITH_STATE: &[bool] = &[false, false, false, false, true, true, false, true];
const PARTIAL: &[bool] = &[false, false, false, false, true, true, false];
const MERGED: &[bool] = &[false, false, false, false, true, true];

/// One kernel for each width of a head, rounded up.
const fn widths(source: Source, writes: &'static [bool]) -> [Kernel; 4] {
    const fn kernel(source: Source, constants: &'static [(&'static str, u32)], writes: &'static [bool]) -> Kernel {
        Kernel { constants, ..Kernel::core(source, Params::FIELDS, writes) }
    }
    [
        kernel(source, &[("HEAD_DIM", 32)], writes),
        kernel(source, &[("HEAD_DIM", 64)], writes),
        kernel(source, &[("HEAD_DIM", 128)], writes),
        kernel(source, &[("HEAD_DIM", 256)], writes),
    ]
}

const DENSE: [Kernel; 4] = widths(shaders::ATTENTION_DENSE, PLAIN);
const LOCAL: [Kernel; 4] = widths(shaders::ATTENTION_LOCAL, WITH_STATE);
const DILATED: [Kernel; 4] = widths(shaders::ATTENTION_DILATED, WITH_STATE);
const GLOBAL_KEYS: [Kernel; 4] = widths(shaders::ATTENTION_GLOBAL_KEYS, WITH_STATE);
const GLOBAL_ROWS: [Kernel; 4] = widths(shaders::ATTENTION_GLOBAL_ROWS, PARTIAL);
const MERGE: Kernel = Kernel::core(shaders::ATTENTION_MERGE, Params::FIELDS, MERGED);

const fn all() -> [Kernel; 21] {
    let mut kernels = [MERGE; 21];
    let families = [DENSE, LOCAL, DILATED, GLOBAL_KEYS, GLOBAL_ROWS];
    let mut index = 0;
    while index < 20 {
        kernels[index] = families[index / 4][index % 4];
        index += 1;
    }
    kernels
}

/// Every variant.
pub(super) const ALL: &[Kernel] = &all();

/// Ranges of keys for the global rows, and the keys in each. Never so many that partial results outgrow `out`.
fn splits(rows: usize, globals: usize) -> (usize, usize) {
    let most = rows.div_ceil(SPLIT).min(rows / globals).max(1);
    let keys = rows.div_ceil(most).next_multiple_of(TILE);
    (rows.div_ceil(keys), keys)
}

/// Globals, where the pattern knows any.
fn globals(op: &Attention, shapes: &Shapes) -> usize {
    match op.pattern {
        Pattern::Dense => 0,
        Pattern::Hsa { .. } => shapes.inputs[GLOBALS].as_ref().map_or(0, Desc::len),
    }
}

/// Of a sparse pattern the state (maximum and sum) of each row; with globals also the partial `out` and state of their
/// rows.
pub(super) fn scratch(op: &Attention, shapes: &Shapes) -> Vec<Desc> {
    let Sizes { batch, rows, heads, head_dim } = op.sizes_of(shapes);
    if op.pattern == Pattern::Dense {
        return Vec::new();
    }
    let mut scratch = vec![Desc::f32([batch, rows, heads, 2])];
    let globals = globals(op, shapes);
    if globals > 0 {
        let (splits, _) = splits(rows, globals);
        scratch.push(Desc::f32([splits, batch, globals, heads, head_dim]));
        scratch.push(Desc::f32([splits, batch, globals, heads, 2]));
    }
    scratch
}

pub(super) fn encode(op: &Attention, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
    let sizes = op.sizes_of(shapes);
    let Sizes { batch, rows, heads, head_dim } = sizes;
    for desc in shapes.scratch.iter().chain(&shapes.outputs) {
        index32("attention", "a tensor", desc.len())?;
    }
    // Positions up to a window and a tile past the end, and twice that in dilated steps, are computed with.
    index32("attention", "N", 4 * (rows + TILE))?;
    let count = globals(op, shapes);
    let (split_count, split_keys) = if count > 0 { splits(rows, count) } else { (0, 0) };
    let (window, dilations) = match &op.pattern {
        Pattern::Dense => (0, &[][..]),
        Pattern::Hsa { window, dilations } => (*window, dilations.as_slice()),
    };
    // Beyond the last position a window or a step holds no more pairs.
    let clamp = |value: usize| value.min(rows) as u32;
    let mut params = Params {
        batch: batch as u32,
        rows: rows as u32,
        heads: heads as u32,
        head_dim: head_dim as u32,
        scale: op.scale(&sizes),
        padding_lse: f32::NEG_INFINITY,
        has_lengths: shapes.inputs[LENGTHS].is_some().into(),
        globals: count as u32,
        window: clamp(window),
        dilation: 1,
        reach: 0,
        earlier: 0,
        splits: split_count as u32,
        split_keys: split_keys as u32,
        pad: [0; 2],
        dilations: [[1, 0]; MAX_DILATIONS],
    };
    for (slot, &(r, k)) in params.dilations.iter_mut().zip(dilations) {
        *slot = [clamp(r), clamp(k)];
    }
    let variant = head_dim.div_ceil(CHUNK).next_power_of_two().trailing_zeros() as usize;
    let [q, k, v, list, lengths] = [0, 1, 2, GLOBALS, LENGTHS].map(|index| &io.inputs[index]);
    let (out, lse) = (&io.outputs[0], &io.outputs[1]);
    let planes = batch * heads;
    let tiles = Grid::flat(planes * rows.div_ceil(TILE));
    if op.pattern == Pattern::Dense {
        return recorder.dispatch(&DENSE[variant], &params, &[q, k, v, lengths, out, lse], tiles);
    }
    let buffers = [q, k, v, lengths, out, lse, list, &io.scratch[0]];
    recorder.dispatch(&LOCAL[variant], &params, &buffers, tiles.clone())?;
    for (index, &(r, k)) in dilations.iter().enumerate() {
        let reach = k.min((rows - 1) / r);
        // Nothing within the sequence, or nothing beyond the window.
        if r.saturating_mul(reach) <= window {
            continue;
        }
        let dilated = Params { dilation: clamp(r), reach: clamp(reach), earlier: index as u32, ..params };
        let grid = Grid::flat(planes * r * rows.div_ceil(r).div_ceil(TILE));
        recorder.dispatch(&DILATED[variant], &dilated, &buffers, grid)?;
    }
    if count == 0 {
        return Ok(());
    }
    recorder.dispatch(&GLOBAL_KEYS[variant], &params, &buffers, tiles)?;
    let (partial_out, partial_state) = (&io.scratch[1], &io.scratch[2]);
    let buffers = [q, k, v, lengths, partial_out, partial_state, list];
    let grid = Grid::flat(planes * split_count * count.div_ceil(TILE));
    recorder.dispatch(&GLOBAL_ROWS[variant], &params, &buffers, grid)?;
    let buffers = [partial_out, partial_state, list, lengths, out, lse];
    let grid = Grid::elements(planes * count * head_dim, shaders::attention_merge::WORKGROUP);
    recorder.dispatch(&MERGE, &params, &buffers, grid)
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
