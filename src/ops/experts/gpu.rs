//! The dispatches of `experts`, and the memory between them.
//!
//! Tokens are taken in passes, so that scratch stays small enough for one binding of WebGPU's default limits and the
//! indirect grids within 65,535 tiles. A pass: top-k with a histogram, scan, scatter by expert, the two grouped
//! products over tiles of one expert, combine.

use super::{
    COST_BIAS, COUNTS, D, DOWN, E, Experts, F, GATE, INDICES, MAX_EXPERTS, OUT, RESIDUAL, ROUTER_LOGITS, SCALE, UP, X,
};
use crate::gpu::{Kernel, MAX_GROUPS, shaders};
use crate::op::{Choice, Grid, Scratch, Shapes};
use crate::{Desc, Error, Result};

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

const fn kernel(source: crate::gpu::Source, writes: &'static [bool]) -> Kernel {
    Kernel::core(source, Params::FIELDS, writes)
}

/// Choice and gates of each token.
const TOP_K: Kernel = kernel(shaders::EXPERTS_TOP_K, &[false, false, true, true, true]);
/// Places of the entries, tiles and grids.
const SCAN: Kernel = kernel(shaders::EXPERTS_SCAN, &[true, true, true, true, true]);
/// Entries by expert.
const SCATTER: Kernel = kernel(shaders::EXPERTS_SCATTER, &[false, false, true]);
const GATE_UP: Kernel = kernel(shaders::EXPERTS_GATE_UP, &[false, false, false, false, false, true]);
/// First product, tiles of 64 or 32 entries.
const GATE_UPS: [Kernel; 2] = [GATE_UP.with(&[("ROWS", 64)]), GATE_UP.with(&[("ROWS", 32)])];
const SECOND: Kernel = kernel(shaders::EXPERTS_DOWN, &[false, false, false, false, true]);
/// Second product, tiles of 64 or 32 entries.
const DOWNS: [Kernel; 2] = [SECOND.with(&[("ROWS", 64)]), SECOND.with(&[("ROWS", 32)])];
/// Sum over a token's experts.
const COMBINE: Kernel = kernel(shaders::EXPERTS_COMBINE, &[false, false, false, false, true]);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[TOP_K, SCAN, SCATTER], &GATE_UPS, &DOWNS, &[COMBINE]];

/// Tokens of a workgroup of top-k and scatter.
const BLOCK: usize = shaders::experts_top_k::BLOCK as usize;
/// Hidden units, or values of dim, of a tile.
const COLUMNS: usize = shaders::experts_gate_up::COLUMNS as usize;
/// Words of an entry of the tile table.
const TILE_WORDS: usize = shaders::experts_scan::TILE_WORDS as usize;
/// Elements of the largest scratch of a pass: 64 MiB, half of what WebGPU guarantees for a binding.
const SCRATCH: usize = 1 << 24;

/// Sizes of a call.
#[derive(Clone, Copy)]
struct Sizes {
    tokens: usize,
    dim: usize,
    experts: usize,
    top_k: usize,
    /// Hidden units of the widest expert.
    widest: usize,
    /// The most hidden values that a token can need.
    hidden: usize,
}

/// Memory between the dispatches of a pass.
struct Between {
    gates: Scratch,
    offsets: Scratch,
    entries: Scratch,
    tiles: Scratch,
    gate_up_grid: Scratch,
    down_grid: Scratch,
    hidden: Scratch,
    y: Scratch,
}

impl Sizes {
    fn of(op: &Experts, shapes: &Shapes) -> Self {
        let mut widths: Vec<usize> = op.widths.iter().map(|&width| width as usize).collect();
        widths.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            tokens: shapes.rows(),
            dim: shapes.size(D),
            experts: shapes.size(E),
            top_k: op.top_k,
            widest: widths[0],
            hidden: widths.iter().take(op.top_k).sum(),
        }
    }

    /// Tokens of a pass; the last may have fewer.
    fn pass(&self, tile_rows: usize) -> usize {
        let by_scratch = SCRATCH / self.hidden.max(self.top_k * self.dim);
        let by_grid = (MAX_GROUPS as usize - self.experts) * tile_rows / self.top_k;
        by_scratch.min(by_grid).max(BLOCK).min(self.tokens)
    }

    fn scratch(&self, choice: &mut Choice, tokens: usize, tile_rows: usize) -> Between {
        let entries = tokens * self.top_k;
        // Where all widths are 0 nothing is sorted or multiplied.
        let sorted = if self.widest == 0 { 0 } else { entries };
        Between {
            gates: choice.scratch(Desc::f32([tokens, self.top_k])),
            offsets: choice.scratch(Desc::u32([self.experts, tokens.div_ceil(BLOCK)])),
            entries: choice.scratch(Desc::u32([sorted])),
            tiles: choice.scratch(Desc::u32([sorted / tile_rows + self.experts, TILE_WORDS])),
            gate_up_grid: choice.scratch(Desc::u32([3])),
            down_grid: choice.scratch(Desc::u32([3])),
            hidden: choice.scratch(Desc::f32([tokens, self.hidden])),
            y: choice.scratch(Desc::f32([sorted, self.dim])),
        }
    }
}

/// Tall tiles read less; low ones leave less of a tile empty and give a large GPU more workgroups.
pub(super) fn choices(op: &Experts, shapes: &Shapes) -> Result<Vec<Choice>> {
    let sizes = Sizes::of(op, shapes);
    let entries = sizes.tokens.saturating_mul(op.top_k);
    let tall = entries >= 64 * 128 && entries / sizes.experts >= 256;
    let order = if tall { [0, 1] } else { [1, 0] };
    order.into_iter().map(|variant| choice(op, shapes, &sizes, variant)).collect()
}

fn choice(op: &Experts, shapes: &Shapes, sizes: &Sizes, variant: usize) -> Result<Choice> {
    let Sizes { tokens, dim, experts, widest, .. } = *sizes;
    let tile_rows = [64, 32][variant];
    let pass = sizes.pass(tile_rows);
    let mut choice = Choice::new();
    let between = sizes.scratch(&mut choice, pass, tile_rows);
    shapes.all_indexed()?;
    for desc in &choice.scratch {
        shapes.index32("a tensor", desc.len())?;
    }
    let mut params = Params {
        first: 0,
        tokens: 0,
        dim: shapes.index32("D", dim)?,
        units: shapes.index32("the sum of widths", shapes.size(F))?,
        experts: shapes.index32("E", experts)?,
        top_k: shapes.index32("top_k", op.top_k)?,
        blocks: 0,
        tile_rows: tile_rows as u32,
        unit_columns: shapes.index32("a width", widest.div_ceil(COLUMNS))?,
        dim_columns: shapes.index32("D", dim.div_ceil(COLUMNS))?,
        accumulate: 0,
        cost_bias: shapes.has(COST_BIAS).into(),
        residual: shapes.has(RESIDUAL).into(),
        scale: shapes.has(SCALE).into(),
        scale_offset: shapes.index32("gate_offset", op.gate_offset)?,
        pad: 0,
        widths: [0; MAX_EXPERTS],
    };
    params.widths[..experts].copy_from_slice(&op.widths);
    if params.unit_columns.max(params.dim_columns) > MAX_GROUPS {
        let most = format!("at most {} for D and each width", MAX_GROUPS as usize * COLUMNS);
        return Err(Error::shape("experts", "the grid", format!("D = {dim}, width {widest}"), most));
    }
    for first in (0..tokens).step_by(pass) {
        let here = pass.min(tokens - first);
        params.first = shapes.index32("N", first)?;
        params.tokens = shapes.index32("N", here)?;
        params.blocks = shapes.index32("N", here.div_ceil(BLOCK))?;
        params.accumulate = (first > 0).into();
        dispatch_pass(&mut choice, sizes, &between, &params, variant);
    }
    Ok(choice)
}

fn dispatch_pass(choice: &mut Choice, sizes: &Sizes, between: &Between, params: &Params, variant: usize) {
    let &Between { gates, offsets, entries, tiles, gate_up_grid, down_grid, hidden, y } = between;
    let [gates, offsets, entries, tiles, gate_up_grid, down_grid, hidden, y] =
        [gates, offsets, entries, tiles, gate_up_grid, down_grid, hidden, y].map(Into::into);
    let blocks = Grid::flat(params.blocks as usize);
    let top_k = [ROUTER_LOGITS.into(), COST_BIAS.into(), INDICES.into(), gates, offsets];
    choice.dispatch(&TOP_K, params, &top_k, blocks);
    let scan = [offsets, COUNTS.into(), tiles, gate_up_grid, down_grid];
    choice.dispatch(&SCAN, params, &scan, Grid::new(1, 1, 1));
    if sizes.widest > 0 {
        choice.dispatch(&SCATTER, params, &[INDICES.into(), offsets, entries], blocks);
        let gate_up = [X.into(), GATE.into(), UP.into(), entries, tiles, hidden];
        choice.dispatch(&GATE_UPS[variant], params, &gate_up, Grid::Indirect(gate_up_grid));
        let down = [hidden, DOWN.into(), entries, tiles, y];
        choice.dispatch(&DOWNS[variant], params, &down, Grid::Indirect(down_grid));
    }
    let elements = params.tokens as usize * sizes.dim;
    let combine = [y, gates, RESIDUAL.into(), SCALE.into(), OUT.into()];
    choice.dispatch(&COMBINE, params, &combine, Grid::elements(elements, shaders::experts_combine::WORKGROUP));
}
