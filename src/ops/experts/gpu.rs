//! The dispatches of `experts`, and the memory between them.
//!
//! A pass: top-k with the lists of each expert's entries, the two grouped products over tiles of one expert, combine.
//! How many tiles there are depends on the data; as many workgroups as there can be tiles are started, and each finds
//! its own. Tokens are taken in passes, so that scratch stays small enough for one binding of WebGPU's default limits.

use bytemuck::Zeroable;

use super::{
    COST_BIAS, COUNTS, D, DOWN, E, Experts, F, GATE, INDICES, MAX_EXPERTS, OUT, RESIDUAL, ROUTER_LOGITS, SCALE, UP, X,
};
use crate::gpu::{Capabilities, Kernel, Source, shaders};
use crate::op::{Choice, Grid, Scratch, Shapes};
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
        block: u32,
        accumulate: u32,
        cost_bias: u32,
        residual: u32,
        scale: u32,
        scale_offset: u32,
        entries: u32,
        choices: u32,
        gates: u32,
        inverses: u32,
        eps: f32,
        modulation: u32,
        shift_offset: u32,
        gain_offset: u32,
        pad0: u32,
        pad1: u32,
        pad2: u32,
        widths: [u32; MAX_EXPERTS],
    }
}

const fn kernel(source: Source, writes: &'static [bool]) -> Kernel {
    Kernel::core(source, Params::FIELDS, writes)
}

/// The kernels of a grouped product, and their tiles.
#[derive(Clone, Copy)]
struct Product {
    gate_up: Kernel,
    down: Kernel,
    /// Entries of a tile, hidden units of a tile of the first product, values of dim of one of the second.
    rows: usize,
    units: usize,
    values: usize,
}

/// Through workgroup memory: tiles of 64 entries, and of 32.
const fn staged(gate_up: Source, down: Source) -> [Product; 2] {
    let [gate_up, down] = products(gate_up, down);
    let [tall, low]: [&[_]; 2] = [&[("ROWS", 8)], &[("ROWS", 4)]];
    [
        Product { gate_up: gate_up.with(tall), down: down.with(tall), rows: 64, units: 32, values: 64 },
        Product { gate_up: gate_up.with(low), down: down.with(low), rows: 32, units: 32, values: 64 },
    ]
}

/// Straight from memory: tiles of 16 entries.
const fn direct(gate_up: Source, down: Source) -> Product {
    let [gate_up, down] = products(gate_up, down);
    Product {
        gate_up: gate_up.with(&[("ROWS", 16), ("GROUPS", 2), ("THREADS", 16)]),
        down: down.with(&[("ROWS", 16), ("GROUPS", 1), ("THREADS", 16)]),
        rows: 16,
        units: 64,
        values: 64,
    }
}

const fn products(gate_up: Source, down: Source) -> [Kernel; 2] {
    [kernel(gate_up, &[false, false, false, false, true]), kernel(down, &[false, false, false, true])]
}

/// The kernels for some sizes.
struct Family {
    staged: [Product; 2],
    direct: Product,
    combine: Kernel,
}

const COMBINE_WRITES: &[bool] = &[false, false, false, false, true, true, true];

/// For a D and widths that are multiples of 4.
const FOURS: Family = Family {
    staged: staged(shaders::EXPERTS_GATE_UP, shaders::EXPERTS_DOWN),
    direct: direct(shaders::EXPERTS_GATE_UP_DIRECT, shaders::EXPERTS_DOWN_DIRECT),
    combine: kernel(shaders::EXPERTS_COMBINE, COMBINE_WRITES),
};
/// For any.
const ANY: Family = Family {
    staged: staged(shaders::EXPERTS_GATE_UP_ANY, shaders::EXPERTS_DOWN_ANY),
    direct: direct(shaders::EXPERTS_GATE_UP_ANY_DIRECT, shaders::EXPERTS_DOWN_ANY_DIRECT),
    combine: kernel(shaders::EXPERTS_COMBINE_ANY, COMBINE_WRITES),
};
/// Choice and gates of each token, and the lists.
const TOP_K: Kernel = kernel(shaders::EXPERTS_TOP_K, &[false, false, true]);

/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[TOP_K], &FOURS.kernels(), &ANY.kernels()];

impl Family {
    const fn kernels(&self) -> [Kernel; 7] {
        let [tall, low] = self.staged;
        [tall.gate_up, tall.down, low.gate_up, low.down, self.direct.gate_up, self.direct.down, self.combine]
    }
}

/// Tokens that top-k takes at a time.
const CHUNK: usize = shaders::experts_top_k::THREADS as usize;
/// The most blocks of tokens that list their entries apart.
const MAX_BLOCKS: usize = shaders::experts_top_k::MAX_BLOCKS as usize;
/// Elements of the largest scratch of a pass: 64 MiB, half of what WebGPU guarantees for a binding.
const SCRATCH: usize = 1 << 24;

/// Sizes of a call.
struct Sizes {
    tokens: usize,
    dim: usize,
    experts: usize,
    top_k: usize,
    /// Hidden units of each expert, the widest first.
    widths: Vec<usize>,
}

/// Memory between the dispatches of a pass.
struct Between {
    routes: Scratch,
    hidden: Scratch,
    y: Scratch,
}

impl Sizes {
    fn of(op: &Experts, shapes: &Shapes) -> Self {
        let mut widths: Vec<usize> = op.widths.iter().map(|&width| width as usize).collect();
        widths.sort_unstable_by(|a, b| b.cmp(a));
        Self { tokens: shapes.rows(), dim: shapes.size(D), experts: shapes.size(E), top_k: op.top_k, widths }
    }

    /// The most hidden values that a token can need.
    fn hidden(&self) -> usize {
        self.widths.iter().take(self.top_k).sum()
    }

    /// Tokens of a pass; the last may have fewer.
    fn pass(&self) -> usize {
        let by_scratch = SCRATCH / self.hidden().max(self.top_k * self.dim).max(self.experts + 2 * self.top_k);
        by_scratch.max(CHUNK).min(self.tokens)
    }

    /// The most tiles that there can be, for experts that have `columns(width)` of them beside one another: each token
    /// with the experts that have most, and a tile of each expert that is not full.
    fn tiles(&self, tokens: usize, rows: usize, columns: impl Fn(usize) -> usize) -> usize {
        let chosen: usize = self.widths.iter().take(self.top_k).map(|&width| columns(width)).sum();
        let each: usize = self.widths.iter().map(|&width| columns(width)).sum();
        tokens * chosen / rows + each
    }

    fn scratch(&self, choice: &mut Choice, tokens: usize) -> Between {
        // Where all widths are 0 nothing is multiplied.
        let multiplied = if self.widths[0] == 0 { 0 } else { tokens * self.top_k };
        Between {
            // Histogram and entries, then choices and gates.
            routes: choice.scratch(Desc::u32([self.experts * (MAX_BLOCKS + tokens) + 2 * tokens * self.top_k])),
            hidden: choice.scratch(Desc::f32([tokens, self.hidden()])),
            y: choice.scratch(Desc::f32([multiplied, self.dim])),
        }
    }
}

/// Tall tiles read less; low ones leave less of a tile empty and give a large GPU more workgroups.
pub(super) fn choices(op: &Experts, shapes: &Shapes, device: &Capabilities) -> Result<Vec<Choice>> {
    let sizes = Sizes::of(op, shapes);
    let entries = sizes.tokens.saturating_mul(op.top_k);
    let fours = [sizes.dim].iter().chain(&sizes.widths).all(|size| size.is_multiple_of(4));
    let Family { staged: [tall, low], direct, combine } = if fours { FOURS } else { ANY };
    let many = entries >= 64 * 128 && entries / sizes.experts >= 256;
    let staged = if many { [tall, low] } else { [low, tall] };
    let order = if device.software { [direct, staged[0], staged[1]] } else { [staged[0], staged[1], direct] };
    order.iter().map(|product| choice(op, shapes, &sizes, product, &combine)).collect()
}

fn choice(op: &Experts, shapes: &Shapes, sizes: &Sizes, product: &Product, combine: &Kernel) -> Result<Choice> {
    let &Sizes { tokens, dim, experts, .. } = sizes;
    let pass = sizes.pass();
    let mut choice = Choice::new();
    let between = sizes.scratch(&mut choice, pass);
    shapes.all_indexed()?;
    for desc in &choice.scratch {
        shapes.index32("a tensor", desc.len())?;
    }
    let mut params = Params {
        dim: shapes.index32("D", dim)?,
        units: shapes.index32("the sum of widths", shapes.size(F))?,
        experts: shapes.index32("E", experts)?,
        top_k: shapes.index32("top_k", op.top_k)?,
        cost_bias: shapes.has(COST_BIAS).into(),
        residual: shapes.has(RESIDUAL).into(),
        scale: shapes.has(SCALE).into(),
        scale_offset: shapes.index32("gate_offset", op.gate_offset)?,
        entries: shapes.index32("a tensor", experts * MAX_BLOCKS)?,
        choices: shapes.index32("a tensor", experts * (MAX_BLOCKS + pass))?,
        gates: shapes.index32("a tensor", experts * (MAX_BLOCKS + pass) + pass * op.top_k)?,
        ..Zeroable::zeroed()
    };
    params.widths[..experts].copy_from_slice(&op.widths);
    for first in (0..tokens).step_by(pass) {
        let here = pass.min(tokens - first);
        let block = here.div_ceil(MAX_BLOCKS).next_multiple_of(CHUNK);
        params.first = shapes.index32("N", first)?;
        params.tokens = shapes.index32("N", here)?;
        params.block = shapes.index32("N", block)?;
        params.blocks = shapes.index32("N", here.div_ceil(block))?;
        params.accumulate = (first > 0).into();
        let tiles = [
            sizes.tiles(here, product.rows, |width| width.div_ceil(product.units)),
            sizes.tiles(here, product.rows, |width| if width == 0 { 0 } else { dim.div_ceil(product.values) }),
        ];
        for tiles in tiles {
            shapes.index32("a grid", tiles)?;
        }
        dispatch_pass(&mut choice, &between, &params, product, combine, tiles);
    }
    Ok(choice)
}

fn dispatch_pass(
    choice: &mut Choice,
    between: &Between,
    params: &Params,
    product: &Product,
    combine: &Kernel,
    tiles: [usize; 2],
) {
    let &Between { routes, hidden, y } = between;
    let [routes, hidden, y] = [routes, hidden, y].map(Into::into);
    let top_k = [ROUTER_LOGITS.into(), COST_BIAS.into(), routes];
    choice.dispatch(&TOP_K, params, &top_k, Grid::flat(params.blocks as usize));
    let gate_up = [X.into(), GATE.into(), UP.into(), routes, hidden];
    choice.dispatch(&product.gate_up, params, &gate_up, Grid::flat(tiles[0]));
    let down = [hidden, DOWN.into(), routes, y];
    choice.dispatch(&product.down, params, &down, Grid::flat(tiles[1]));
    let fours = params.tokens as usize * (params.dim as usize).div_ceil(4);
    let out = [y, RESIDUAL.into(), SCALE.into(), routes, OUT.into(), INDICES.into(), COUNTS.into()];
    choice.dispatch(combine, params, &out, Grid::elements(fours, shaders::experts_combine::WORKGROUP));
}
