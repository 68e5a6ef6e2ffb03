//! The dispatches of `experts`, and the memory between them.
//!
//! Tokens are taken in passes, so that scratch stays small enough for one binding of WebGPU's default limits and the
//! indirect grids within 65,535 tiles. A pass: top-k with a histogram, scan, scatter by expert, the two grouped
//! products over tiles of one expert, combine.

use super::super::index32;
use super::{Experts, MAX_EXPERTS, Sizes};
use crate::gpu::{Grid, Kernel, MAX_GROUPS, Recorder, shaders};
use crate::graph::{Bindings, Shapes};
use crate::{Desc, Result};

crate::params! {
    struct Params {
        first: u32,
        tokens: u32,
        dim: u32,
        units: u32,
        experts: u32,
        top_k: u32,
        blocks: u32,
        tile_rows: u32,
        unit_columns: u32,
        dim_columns: u32,
        accumulate: u32,
        cost_bias: u32,
        residual: u32,
        scale: u32,
        scale_offset: u32,
        pad: u32,
        widths: [u32; MAX_EXPERTS],
    }
}

const fn kernel(
    source: crate::gpu::Source,
    constants: &'static [(&'static str, u32)],
    writes: &'static [bool],
) -> Kernel {
    Kernel { constants, ..Kernel::core(source, Params::FIELDS, writes) }
}

/// Choice and gates of each token.
pub const TOP_K: Kernel = kernel(shaders::EXPERTS_TOP_K, &[], &[false, false, true, true, true]);
/// Places of the entries, tiles and grids.
pub const SCAN: Kernel = kernel(shaders::EXPERTS_SCAN, &[], &[true, true, true, true, true]);
/// Entries by expert.
pub const SCATTER: Kernel = kernel(shaders::EXPERTS_SCATTER, &[], &[false, false, true]);
/// First product, tiles of 64 entries.
pub const GATE_UP: Kernel = kernel(shaders::EXPERTS_GATE_UP, &[("ROWS", 64)], GATE_UP_WRITES);
/// First product, tiles of 32 entries.
pub const GATE_UP_FEW: Kernel = kernel(shaders::EXPERTS_GATE_UP, &[("ROWS", 32)], GATE_UP_WRITES);
/// Second product, tiles of 64 entries.
pub const DOWN: Kernel = kernel(shaders::EXPERTS_DOWN, &[("ROWS", 64)], DOWN_WRITES);
/// Second product, tiles of 32 entries.
pub const DOWN_FEW: Kernel = kernel(shaders::EXPERTS_DOWN, &[("ROWS", 32)], DOWN_WRITES);
/// Sum over a token's experts.
pub const COMBINE: Kernel = kernel(shaders::EXPERTS_COMBINE, &[], &[false, false, false, false, true]);

const GATE_UP_WRITES: &[bool] = &[false, false, false, false, false, true];
const DOWN_WRITES: &[bool] = &[false, false, false, false, true];

/// Tokens of a workgroup of top-k and scatter.
const BLOCK: usize = shaders::experts_top_k::BLOCK as usize;
/// Hidden units, or values of dim, of a tile.
const COLUMNS: usize = shaders::experts_gate_up::COLUMNS as usize;
/// Words of an entry of the tile table.
const TILE_WORDS: usize = shaders::experts_scan::TILE_WORDS as usize;
/// Elements of the largest scratch of a pass: 64 MiB, half of what WebGPU promises for a binding.
const SCRATCH: usize = 1 << 24;

/// How the tokens are cut into passes, and what one pass needs.
pub(super) struct Pass {
    sizes: Sizes,
    top_k: usize,
    /// Tokens of a pass; the last may have fewer.
    tokens: usize,
    tile_rows: usize,
    widest: usize,
    /// Most hidden values that a token can take.
    hidden: usize,
}

impl Pass {
    pub(super) fn new(op: &Experts, shapes: &Shapes) -> Self {
        let sizes = Sizes::new(shapes);
        let mut widths: Vec<usize> = op.widths.iter().map(|&width| width as usize).collect();
        widths.sort_unstable_by(|a, b| b.cmp(a));
        let hidden: usize = widths.iter().take(op.top_k).sum();
        let entries = sizes.tokens.saturating_mul(op.top_k);
        // Tall tiles read less, low ones leave less of a tile empty and give a large GPU more workgroups.
        let tall = entries >= 64 * 128 && entries / sizes.experts >= 256;
        let tile_rows = if tall { 64 } else { 32 };
        let by_scratch = SCRATCH / hidden.max(op.top_k * sizes.dim);
        let by_grid = (MAX_GROUPS as usize - sizes.experts) * tile_rows / op.top_k;
        let tokens = by_scratch.min(by_grid).max(BLOCK).min(sizes.tokens);
        Self { sizes, top_k: op.top_k, tokens, tile_rows, widest: widths[0], hidden }
    }

    pub(super) fn scratch(&self) -> Vec<Desc> {
        let entries = self.tokens * self.top_k;
        // Where all widths are 0 nothing is sorted or multiplied.
        let sorted = if self.widest == 0 { 0 } else { entries };
        vec![
            Desc::f32([self.tokens, self.top_k]),
            Desc::u32([self.sizes.experts, self.tokens.div_ceil(BLOCK)]),
            Desc::u32([sorted]),
            Desc::u32([sorted / self.tile_rows + self.sizes.experts, TILE_WORDS]),
            Desc::u32([3]),
            Desc::u32([3]),
            Desc::f32([self.tokens, self.hidden]),
            Desc::f32([sorted, self.sizes.dim]),
        ]
    }
}

pub(super) fn encode(op: &Experts, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
    let pass = Pass::new(op, shapes);
    let Sizes { tokens, dim, experts, units } = pass.sizes;
    for desc in shapes.inputs.iter().flatten().chain(&shapes.outputs).chain(&shapes.scratch) {
        index32("experts", "a tensor", desc.len())?;
    }
    let mut params = Params {
        first: 0,
        tokens: 0,
        dim: index32("experts", "D", dim)?,
        units: index32("experts", "the sum of widths", units)?,
        experts: index32("experts", "E", experts)?,
        top_k: index32("experts", "top_k", op.top_k)?,
        blocks: 0,
        tile_rows: pass.tile_rows as u32,
        unit_columns: index32("experts", "a width", pass.widest.div_ceil(COLUMNS))?,
        dim_columns: index32("experts", "D", dim.div_ceil(COLUMNS))?,
        accumulate: 0,
        cost_bias: shapes.inputs[5].is_some().into(),
        residual: shapes.inputs[6].is_some().into(),
        scale: shapes.inputs[7].is_some().into(),
        scale_offset: index32("experts", "gate_offset", op.gate_offset)?,
        pad: 0,
        widths: [0; MAX_EXPERTS],
    };
    params.widths[..experts].copy_from_slice(&op.widths);
    if params.unit_columns.max(params.dim_columns) > MAX_GROUPS {
        let most = format!("at most {} for D and each width", MAX_GROUPS as usize * COLUMNS);
        return Err(crate::Error::shape("experts", "the grid", format!("D = {dim}, width {}", pass.widest), most));
    }
    for first in (0..tokens).step_by(pass.tokens) {
        let here = pass.tokens.min(tokens - first);
        params.first = index32("experts", "N", first)?;
        params.tokens = index32("experts", "N", here)?;
        params.blocks = index32("experts", "N", here.div_ceil(BLOCK))?;
        params.accumulate = (first > 0).into();
        encode_pass(&pass, &params, recorder, io)?;
    }
    Ok(())
}

fn encode_pass(pass: &Pass, params: &Params, recorder: &mut Recorder<'_>, io: &Bindings) -> Result<()> {
    let [x, logits, gate, up, down, cost_bias, residual, scale] = std::array::from_fn(|index| &io.inputs[index]);
    let [out, indices, counts] = std::array::from_fn(|index| &io.outputs[index]);
    let [gates, offsets, entries, tiles, gate_up_grid, down_grid, hidden, y] =
        std::array::from_fn(|index| &io.scratch[index]);
    let blocks = || Grid::flat(params.blocks as usize);
    recorder.dispatch(&TOP_K, params, &[logits, cost_bias, indices, gates, offsets], blocks())?;
    recorder.dispatch(&SCAN, params, &[offsets, counts, tiles, gate_up_grid, down_grid], Grid::new(1, 1, 1))?;
    if pass.widest > 0 {
        recorder.dispatch(&SCATTER, params, &[indices, offsets, entries], blocks())?;
        let (first, second) = if pass.tile_rows == 64 { (&GATE_UP, &DOWN) } else { (&GATE_UP_FEW, &DOWN_FEW) };
        let grid = Grid::Indirect(gate_up_grid.buffer.clone());
        recorder.dispatch(first, params, &[x, gate, up, entries, tiles, hidden], grid)?;
        let grid = Grid::Indirect(down_grid.buffer.clone());
        recorder.dispatch(second, params, &[hidden, down, entries, tiles, y], grid)?;
    }
    let elements = params.tokens as usize * pass.sizes.dim;
    let grid = Grid::elements(elements, shaders::experts_combine::WORKGROUP);
    recorder.dispatch(&COMBINE, params, &[y, gates, residual, scale, out], grid)
}
