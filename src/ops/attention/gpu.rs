//! The kernels of `attention` and their dispatch.

use super::{Attention, GLOBALS, K, LENGTHS, LSE, MAX_DILATIONS, OUT, Pattern, Q, Sizes, V};
use crate::gpu::{Capabilities, Kernel, Source, shaders};
use crate::op::{Choice, Grid, Place, Shapes};
use crate::{Desc, Result};

/// Queries, and keys, of a tile.
const TILE: usize = shaders::attention_dense::TILE as usize;
/// Dimensions by which the widths of kernels grow.
const CHUNK: usize = shaders::attention_dense::CHUNK as usize;
const _: () = assert!(shaders::attention_dense_queries::TILE as usize == TILE, "grids are the same for both families");
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
        near: u32,
        splits: u32,
        split_keys: u32,
        key_heads: u32,
        causal: u32,
        hole_count: u32,
        pad: [u32; 3],
        holes: [[u32; 2]; MAX_DILATIONS],
    }
}

const PLAIN: &[bool] = &[false, false, false, false, true, true];
const WITH_STATE: &[bool] = &[false, false, false, false, true, true, false, true];
const PARTIAL: &[bool] = &[false, false, false, false, true, true, false];
const MERGED: &[bool] = &[false, false, false, false, true, true];

/// Tiles of 32 queries and 32 keys, one kernel for each width of a head, rounded up.
const fn tiles(source: Source, writes: &'static [bool]) -> [Kernel; 4] {
    let kernel = Kernel::core(source, Params::FIELDS, writes);
    [
        kernel.with(&[("HEAD_DIM", 32)]),
        kernel.with(&[("HEAD_DIM", 64)]),
        kernel.with(&[("HEAD_DIM", 128)]),
        kernel.with(&[("HEAD_DIM", 256)]),
    ]
}

/// One query a thread, for these widths of a head alone: a wider query and its sums do not fit in registers.
const QUERY_WIDTHS: [usize; 3] = [16, 32, 64];
/// From this many tiles on, a GPU has enough to do with one query a thread. Of fewer, tiles give it four times as many
/// threads. (By arithmetic: one subgroup a tile, for the 500 or so that large GPUs run at a time.)
const MANY_TILES: usize = 512;

const fn queries(source: Source, writes: &'static [bool]) -> [Kernel; 3] {
    let kernel = Kernel::core(source, Params::FIELDS, writes);
    [kernel.with(&[("HEAD_DIM", 16)]), kernel.with(&[("HEAD_DIM", 32)]), kernel.with(&[("HEAD_DIM", 64)])]
}

const DENSE: [Kernel; 4] = tiles(shaders::ATTENTION_DENSE, PLAIN);
const LOCAL: [Kernel; 4] = tiles(shaders::ATTENTION_LOCAL, WITH_STATE);
const DILATED: [Kernel; 4] = tiles(shaders::ATTENTION_DILATED, WITH_STATE);
const GLOBAL_ROWS: [Kernel; 4] = tiles(shaders::ATTENTION_GLOBAL_ROWS, PARTIAL);
const DENSE_QUERIES: [Kernel; 3] = queries(shaders::ATTENTION_DENSE_QUERIES, PLAIN);
const LOCAL_QUERIES: [Kernel; 3] = queries(shaders::ATTENTION_LOCAL_QUERIES, WITH_STATE);
const DILATED_QUERIES: [Kernel; 3] = queries(shaders::ATTENTION_DILATED_QUERIES, WITH_STATE);
const GLOBAL_ROWS_QUERIES: [Kernel; 3] = queries(shaders::ATTENTION_GLOBAL_ROWS_QUERIES, PARTIAL);
const MERGE: Kernel = Kernel::core(shaders::ATTENTION_MERGE, Params::FIELDS, MERGED);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[
    &DENSE,
    &LOCAL,
    &DILATED,
    &GLOBAL_ROWS,
    &DENSE_QUERIES,
    &LOCAL_QUERIES,
    &DILATED_QUERIES,
    &GLOBAL_ROWS_QUERIES,
    &[MERGE],
];

/// The kernels of a call; all take tiles of [`TILE`] queries.
struct Family {
    dense: &'static Kernel,
    local: &'static Kernel,
    dilated: &'static Kernel,
    global_rows: &'static Kernel,
}

impl Family {
    fn of(sizes: &Sizes, device: &Capabilities) -> Self {
        let &Sizes { batch, rows, heads, head_dim, .. } = sizes;
        let many = device.software || batch * heads * rows.div_ceil(TILE) >= MANY_TILES;
        if let Some(i) = QUERY_WIDTHS.iter().position(|&width| many && width == head_dim) {
            return Self {
                dense: &DENSE_QUERIES[i],
                local: &LOCAL_QUERIES[i],
                dilated: &DILATED_QUERIES[i],
                global_rows: &GLOBAL_ROWS_QUERIES[i],
            };
        }
        let i = head_dim.div_ceil(CHUNK).next_power_of_two().trailing_zeros() as usize;
        Self { dense: &DENSE[i], local: &LOCAL[i], dilated: &DILATED[i], global_rows: &GLOBAL_ROWS[i] }
    }
}

/// Ranges of keys for the global rows, and the keys in each. Never so many that partial results need more memory than
/// `out`.
fn splits(rows: usize, globals: usize) -> (usize, usize) {
    let most = rows.div_ceil(SPLIT).min(rows / globals).max(1);
    let keys = rows.div_ceil(most).next_multiple_of(TILE);
    (rows.div_ceil(keys), keys)
}

/// The distances `r m` that a dilation owns: `near <= m <= reach`, but for the multiples of `p` up to `limit` of each hole
/// `(p, limit)`. The window and earlier dilations own the others.
#[derive(Debug, PartialEq, Eq)]
struct Owned {
    near: usize,
    reach: usize,
    holes: Vec<(usize, usize)>,
}

impl Owned {
    /// Of `(r, k)` in `rows` positions; none where nothing is left.
    fn of((r, k): (usize, usize), window: usize, earlier: &[(usize, usize)], rows: usize) -> Option<Self> {
        let reach = k.min((rows - 1) / r);
        let mut near = window / r + 1;
        // An earlier (r', k') owns r m where r m is a multiple of r', up to r' k'.
        let multiples = earlier.iter().map(|&(other, steps)| (other / gcd(other, r), other.saturating_mul(steps) / r));
        let multiples: Vec<_> = multiples.collect();
        for &(_, limit) in multiples.iter().filter(|(p, _)| *p == 1) {
            near = near.max(limit.saturating_add(1));
        }
        let holes = multiples.into_iter().filter(|&(p, limit)| p > 1 && p <= reach && limit >= near);
        let holes = holes.map(|(p, limit)| (p, limit.min(reach))).collect();
        (near <= reach).then_some(Self { near, reach, holes })
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

pub(super) fn choices(op: &Attention, shapes: &Shapes, device: &Capabilities) -> Result<Vec<Choice>> {
    let sizes = Sizes::of(shapes);
    let Sizes { batch, rows, heads, key_heads, head_dim } = sizes;
    shapes.all_indexed()?;
    // Positions up to a window and a tile past the end, and twice that in dilated steps, are computed with.
    shapes.index32("N", 4 * (rows + TILE))?;
    let params = Params {
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
        near: 0,
        splits: 0,
        split_keys: 0,
        key_heads: key_heads as u32,
        causal: op.causal.into(),
        hole_count: 0,
        pad: [0; 3],
        holes: [[1, 0]; MAX_DILATIONS],
    };
    let family = Family::of(&sizes, device);
    let qkv = [Q.into(), K.into(), V.into(), LENGTHS.into()];
    match &op.pattern {
        Pattern::Dense => {
            let buffers = [&qkv[..], &[OUT.into(), LSE.into()]].concat();
            let tiles = Grid::flat(batch * heads * rows.div_ceil(TILE));
            Ok(vec![Choice::of(family.dense, &params, &buffers, tiles)])
        }
        Pattern::Hsa { window, dilations } => Ok(vec![hsa(shapes, &sizes, &family, (*window, dilations), params)?]),
    }
}

/// Local with the globals as keys, then each dilation: each continues from the state (maximum and sum of each row) that the
/// one before left. The globals' own rows are split over ranges of keys, then merged.
fn hsa(
    shapes: &Shapes,
    sizes: &Sizes,
    family: &Family,
    (window, dilations): (usize, &[(usize, usize)]),
    mut params: Params,
) -> Result<Choice> {
    let Sizes { batch, rows, heads, head_dim, .. } = *sizes;
    let planes = batch * heads;
    let globals = if shapes.has(GLOBALS) { shapes.input(GLOBALS).len() } else { 0 };
    let (split_count, split_keys) = if globals > 0 { splits(rows, globals) } else { (0, 0) };
    params.globals = globals as u32;
    // Beyond the last position a window holds no more pairs.
    params.window = window.min(rows) as u32;
    params.splits = split_count as u32;
    params.split_keys = split_keys as u32;
    let (list, lengths) = (Place::from(GLOBALS), Place::from(LENGTHS));
    let qkv = [Q.into(), K.into(), V.into(), lengths];

    let mut choice = Choice::new();
    let state = choice.scratch(Desc::f32([batch, rows, heads, 2])).into();
    let buffers = [&qkv[..], &[OUT.into(), LSE.into(), list, state]].concat();
    choice.dispatch(family.local, &params, &buffers, Grid::flat(planes * rows.div_ceil(TILE)));
    for (index, &(r, k)) in dilations.iter().enumerate() {
        let Some(owned) = Owned::of((r, k), window, &dilations[..index], rows) else { continue };
        let mut dilated = Params { dilation: r as u32, reach: owned.reach as u32, near: owned.near as u32, ..params };
        dilated.hole_count = owned.holes.len() as u32;
        for (slot, &(p, limit)) in dilated.holes.iter_mut().zip(&owned.holes) {
            *slot = [p as u32, limit as u32];
        }
        let grid = Grid::flat(planes * r * rows.div_ceil(r).div_ceil(TILE));
        choice.dispatch(family.dilated, &dilated, &buffers, grid);
    }
    if globals > 0 {
        let partial_out = choice.scratch(Desc::f32([split_count, batch, globals, heads, head_dim])).into();
        let partial_state = choice.scratch(Desc::f32([split_count, batch, globals, heads, 2])).into();
        let partial = [&qkv[..], &[partial_out, partial_state, list]].concat();
        let grid = Grid::flat(planes * split_count * globals.div_ceil(TILE));
        choice.dispatch(family.global_rows, &params, &partial, grid);
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
    use crate::op::Op;
    use proptest::prelude::*;

    proptest! {
        /// What is owned is counted once, by the first that reaches it.
        #[test]
        fn a_distance_has_one_owner(
            rows in 1_usize..90,
            window in 0_usize..30,
            dilations in proptest::collection::vec((1_usize..20, 0_usize..20), 1..5),
        ) {
            for distance in 1..rows {
                let mut owners = u32::from(distance <= window);
                for (index, &(r, k)) in dilations.iter().enumerate() {
                    let Some(owned) = Owned::of((r, k), window, &dilations[..index], rows) else { continue };
                    let m = distance / r;
                    let inside = distance % r == 0 && (owned.near..=owned.reach).contains(&m);
                    let hole = owned.holes.iter().any(|&(p, limit)| m % p == 0 && m <= limit);
                    owners += u32::from(inside && !hole);
                }
                let reached = dilations.iter().any(|&(r, k)| distance % r == 0 && distance / r <= k);
                prop_assert_eq!(owners, u32::from(distance <= window || reached), "distance {}", distance);
            }
        }
    }

    #[test]
    fn one_query_a_thread_is_for_many_queries_or_a_software_driver() {
        let family = |rows, head_dim, software| {
            let device = Capabilities { software, ..Capabilities::core() };
            Family::of(&Sizes { batch: 1, rows, heads: 4, key_heads: 4, head_dim }, &device).dense.source.name()
        };
        assert_eq!(family(4096, 32, false), "attention/dense_queries");
        assert_eq!(family(4064, 32, false), "attention/dense");
        assert_eq!(family(32, 16, true), "attention/dense_queries");
        assert_eq!(family(4096, 40, true), "attention/dense");
    }

    #[test]
    fn a_sparse_attention_has_a_dispatch_for_each_dilation_and_three_more() {
        let x = Desc::f32([16_384, 4, 32]);
        let inputs = [Some(&x), Some(&x), Some(&x), Some(&Desc::u32([32])), None];
        for (dilations, dispatches) in [(vec![], 3), (vec![(16, 32)], 4), (vec![(16, 32), (64, 32), (256, 32)], 6)] {
            let op = Attention { pattern: Pattern::Hsa { window: 128, dilations }, ..Default::default() };
            let choices = choices(&op, &op.infer(&inputs).unwrap(), &Capabilities::core()).unwrap();
            assert_eq!(choices[0].dispatches.len(), dispatches);
        }
    }

    #[test]
    fn nested_dilations_have_no_holes() {
        let shipped = [(16, 32), (64, 32), (256, 32)];
        for index in 0..3 {
            let owned = Owned::of(shipped[index], 128, &shipped[..index], 100_000).unwrap();
            assert_eq!(owned, Owned { near: 9, reach: 32, holes: Vec::new() });
        }
        assert_eq!(Owned::of((16, 8), 128, &[], 4096), None);
        let huge = Owned::of((3, usize::MAX), 1, &[(usize::MAX, usize::MAX), (2, usize::MAX)], 100);
        assert_eq!(huge, Some(Owned { near: 1, reach: 33, holes: vec![(2, 33)] }));
    }

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
