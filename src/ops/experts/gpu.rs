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
use crate::op::{Choice, Grid, Place, Scratch, Shapes};
use crate::{Desc, Result};

crate::params! {
    pub(crate) struct Params {
        first: u32,
        tokens: u32,
        dim: u32,
        units: u32,
        experts: u32,
        top_k: u32,
        blocks: u32,
        block: u32,
        accumulate: u32,
        pub cost_bias: u32,
        pub residual: u32,
        pub scale: u32,
        pub scale_offset: u32,
        entries: u32,
        choices: u32,
        gates: u32,
        inverses: u32,
        pub eps: f32,
        pub shift_offset: u32,
        pub gain_offset: u32,
        pad0: u32,
        pad1: u32,
        pad2: u32,
        pad3: u32,
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
const fn staged(gate_up: Kernel, down: Source) -> [Product; 2] {
    let down = second(down);
    let [tall, low]: [&[_]; 2] = [&[("ROWS", 8)], &[("ROWS", 4)]];
    [
        Product { gate_up: gate_up.with(tall), down: down.with(tall), rows: 64, units: 32, values: 64 },
        Product { gate_up: gate_up.with(low), down: down.with(low), rows: 32, units: 32, values: 64 },
    ]
}

/// Straight from memory: tiles of 16 entries.
const fn direct(gate_up: Kernel, down: Source) -> Product {
    let down = second(down);
    Product {
        gate_up: gate_up.with(&[("ROWS", 16), ("GROUPS", 2), ("THREADS", 16)]),
        down: down.with(&[("ROWS", 16), ("GROUPS", 1), ("THREADS", 16)]),
        rows: 16,
        units: 64,
        values: 64,
    }
}

const fn first(source: Source) -> Kernel {
    kernel(source, &[false, false, false, false, true])
}

/// Of rows that it norms.
const fn first_normed(source: Source) -> Kernel {
    kernel(source, &[false, false, false, false, true, false])
}

const fn second(source: Source) -> Kernel {
    kernel(source, &[false, false, false, true])
}

/// The kernels for some sizes.
pub(crate) struct Family {
    staged: [Product; 2],
    direct: Product,
    combine: Kernel,
}

const COMBINE_WRITES: &[bool] = &[false, false, false, false, true, true, true];

/// For a D and widths that are multiples of 4.
const FOURS: Family = Family {
    staged: staged(first(shaders::EXPERTS_GATE_UP), shaders::EXPERTS_DOWN),
    direct: direct(first(shaders::EXPERTS_GATE_UP_DIRECT), shaders::EXPERTS_DOWN_DIRECT),
    combine: kernel(shaders::EXPERTS_COMBINE, COMBINE_WRITES),
};
/// For any.
const ANY: Family = Family {
    staged: staged(first(shaders::EXPERTS_GATE_UP_ANY), shaders::EXPERTS_DOWN_ANY),
    direct: direct(first(shaders::EXPERTS_GATE_UP_ANY_DIRECT), shaders::EXPERTS_DOWN_ANY_DIRECT),
    combine: kernel(shaders::EXPERTS_COMBINE_ANY, COMBINE_WRITES),
};
/// For a D and widths that are multiples of 4, of rows that the first product norms.
pub(crate) const NORMED: Family = Family {
    staged: staged(first_normed(shaders::EXPERTS_GATE_UP_NORMED), shaders::EXPERTS_DOWN),
    direct: direct(first_normed(shaders::EXPERTS_GATE_UP_NORMED_DIRECT), shaders::EXPERTS_DOWN_DIRECT),
    ..FOURS
};
/// Choice and gates of each token, and the lists.
const TOP_K: Kernel = kernel(shaders::EXPERTS_TOP_K, &[false, false, true]);

/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[TOP_K], &FOURS.kernels(), &ANY.kernels()];

impl Family {
    pub(crate) const fn kernels(&self) -> [Kernel; 7] {
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
        let by_scratch = SCRATCH / self.hidden().max(self.top_k * self.dim).max(self.experts + 2 * self.top_k + 1);
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
            // Histogram and entries, then choices, gates and what rows are multiplied by.
            routes: choice
                .scratch(Desc::u32([self.experts * (MAX_BLOCKS + tokens) + 2 * tokens * self.top_k + tokens])),
            hidden: choice.scratch(Desc::f32([tokens, self.hidden()])),
            y: choice.scratch(Desc::f32([multiplied, self.dim])),
        }
    }
}

/// What a call of the kernels reads and writes.
pub(crate) struct Call<'a> {
    pub op: &'a Experts,
    pub shapes: &'a Shapes,
    pub family: Family,
    /// Sizes and passes aside.
    pub params: Params,
    /// The kernel that chooses and lists, and how many tokens it takes at a time. `routes` follows its `inputs`.
    pub router: Kernel,
    pub chunk: usize,
    pub inputs: Vec<Place>,
    pub x: Place,
    /// `gate`, `up` and `down`.
    pub weights: [Place; 3],
    /// What rows are normed with, where they are.
    pub modulation: Option<Place>,
    pub residual: Place,
    pub scale: Place,
    /// `out`, `indices` and `counts`.
    pub outputs: [Place; 3],
}

pub(super) fn choices(op: &Experts, shapes: &Shapes, device: &Capabilities) -> Result<Vec<Choice>> {
    let fours = [shapes.size(D)].into_iter().chain(op.widths.iter().map(|&width| width as usize));
    let call = Call {
        op,
        shapes,
        family: if fours.into_iter().all(|size| size.is_multiple_of(4)) { FOURS } else { ANY },
        params: Params {
            cost_bias: shapes.has(COST_BIAS).into(),
            residual: shapes.has(RESIDUAL).into(),
            scale: shapes.has(SCALE).into(),
            scale_offset: shapes.index32("gate_offset", op.gate_offset)?,
            ..Zeroable::zeroed()
        },
        router: TOP_K,
        chunk: CHUNK,
        inputs: vec![ROUTER_LOGITS.into(), COST_BIAS.into()],
        x: X.into(),
        weights: [GATE, UP, DOWN].map(Into::into),
        modulation: None,
        residual: RESIDUAL.into(),
        scale: SCALE.into(),
        outputs: [OUT, INDICES, COUNTS].map(Into::into),
    };
    call.choices(device)
}

impl Call<'_> {
    /// Tall tiles read less; low ones leave less of a tile empty and give a large GPU more workgroups.
    pub fn choices(&self, device: &Capabilities) -> Result<Vec<Choice>> {
        let sizes = Sizes::of(self.op, self.shapes);
        let entries = sizes.tokens.saturating_mul(self.op.top_k);
        let Family { staged: [tall, low], direct, .. } = &self.family;
        let many = entries >= 64 * 128 && entries / sizes.experts >= 256;
        let [first, second] = if many { [tall, low] } else { [low, tall] };
        let order = if device.software { [direct, first, second] } else { [first, second, direct] };
        order.into_iter().map(|product| self.choice(&sizes, product)).collect()
    }

    fn choice(&self, sizes: &Sizes, product: &Product) -> Result<Choice> {
        let (shapes, top_k) = (self.shapes, self.op.top_k);
        let &Sizes { tokens, dim, experts, .. } = sizes;
        let pass = sizes.pass();
        let mut choice = Choice::new();
        let between = sizes.scratch(&mut choice, pass);
        shapes.all_indexed()?;
        for desc in &choice.scratch {
            shapes.index32("a tensor", desc.len())?;
        }
        let mut params = self.params;
        params.dim = shapes.index32("D", dim)?;
        params.units = shapes.index32("the sum of widths", shapes.size(F))?;
        params.experts = shapes.index32("E", experts)?;
        params.top_k = shapes.index32("top_k", top_k)?;
        let mut parts = 0;
        for (part, len) in [
            (&mut params.entries, experts * MAX_BLOCKS),
            (&mut params.choices, experts * pass),
            (&mut params.gates, pass * top_k),
            (&mut params.inverses, pass * top_k),
        ] {
            parts += len;
            *part = shapes.index32("a tensor", parts)?;
        }
        params.widths[..experts].copy_from_slice(&self.op.widths);
        for first in (0..tokens).step_by(pass) {
            let here = pass.min(tokens - first);
            let block = here.div_ceil(MAX_BLOCKS).next_multiple_of(self.chunk);
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
            self.pass(&mut choice, &between, &params, product, tiles);
        }
        Ok(choice)
    }

    fn pass(&self, choice: &mut Choice, between: &Between, params: &Params, product: &Product, tiles: [usize; 2]) {
        let [routes, hidden, y] = [between.routes, between.hidden, between.y].map(Into::into);
        let [gate, up, down] = self.weights;
        let route: Vec<_> = self.inputs.iter().copied().chain([routes]).collect();
        choice.dispatch(&self.router, params, &route, Grid::flat(params.blocks as usize));
        let gate_up: Vec<_> = [self.x, gate, up, routes, hidden].into_iter().chain(self.modulation).collect();
        choice.dispatch(&product.gate_up, params, &gate_up, Grid::flat(tiles[0]));
        choice.dispatch(&product.down, params, &[hidden, down, routes, y], Grid::flat(tiles[1]));
        let fours = params.tokens as usize * (params.dim as usize).div_ceil(4);
        let [out, indices, counts] = self.outputs;
        let combine = [y, self.residual, self.scale, routes, out, indices, counts];
        let grid = Grid::elements(fours, shaders::experts_combine::WORKGROUP);
        choice.dispatch(&self.family.combine, params, &combine, grid);
    }
}
