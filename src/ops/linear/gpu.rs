//! The kernels of `linear`. A sum has the same terms in the same order in all of them, so all give the same bits.

use super::{BIAS, GATE, K, Linear, N, RESIDUAL, WEIGHT, X, Y};
use crate::Result;
use crate::gpu::{Capabilities, Kernel, Source, shaders};
use crate::op::{Choice, Grid, Shapes};

crate::params! {
    struct Params {
        m: u32,
        k: u32,
        n: u32,
        activation: u32,
        bias: u32,
        residual: u32,
        gate: u32,
        gate_offset: u32,
    }
}

const fn kernel(source: Source) -> Kernel {
    Kernel::core(source, Params::FIELDS, &[false, false, false, false, false, true])
}

/// A kernel that computes tiles.
struct Tiles {
    kernel: Kernel,
    rows: usize,
    columns: usize,
}

/// Through workgroup memory: 64 x 64, and 32 x 32 for few tiles.
const fn staged(source: Source) -> [Tiles; 2] {
    let kernel = kernel(source);
    [
        Tiles { kernel: kernel.with(&[("ROWS", 8), ("GROUPS", 2)]), rows: 64, columns: 64 },
        Tiles { kernel: kernel.with(&[("ROWS", 4), ("GROUPS", 1)]), rows: 32, columns: 32 },
    ]
}

/// Straight from memory: 32 x 128, and 16 x 64 where that leaves less of the tiles empty.
const fn direct(source: Source) -> [Tiles; 2] {
    let kernel = kernel(source);
    [
        Tiles { kernel: kernel.with(&[("ROWS", 32), ("THREADS", 32)]), rows: 32, columns: 128 },
        Tiles { kernel: kernel.with(&[("ROWS", 16), ("THREADS", 16)]), rows: 16, columns: 64 },
    ]
}

/// For sizes that are multiples of 4.
const FOURS: [[Tiles; 2]; 2] = [staged(shaders::NN_LINEAR), direct(shaders::NN_LINEAR_DIRECT)];
/// For any size.
const ANY: [[Tiles; 2]; 2] = [staged(shaders::NN_LINEAR_ANY), direct(shaders::NN_LINEAR_ANY_DIRECT)];
/// For few rows.
const ROWS: Kernel = kernel(shaders::NN_LINEAR_ROWS);

/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] =
    &[&kernels(&FOURS[0]), &kernels(&FOURS[1]), &kernels(&ANY[0]), &kernels(&ANY[1]), &[ROWS]];

const fn kernels(tiles: &[Tiles; 2]) -> [Kernel; 2] {
    [tiles[0].kernel, tiles[1].kernel]
}

/// Up to this many rows go to [`ROWS`] first on a GPU: a tile would be at least 3/4 empty.
const FEW_ROWS: usize = 8;
/// From this many workgroups on, a GPU has enough to do for large tiles.
const MANY_TILES: usize = 200;

impl Tiles {
    fn count(&self, m: usize, n: usize) -> usize {
        m.div_ceil(self.rows) * n.div_ceil(self.columns)
    }

    /// Sums that the tiles have room for.
    fn room(&self, m: usize, n: usize) -> usize {
        self.count(m, n) * self.rows * self.columns
    }
}

pub(super) fn choices(op: &Linear, shapes: &Shapes, device: &Capabilities) -> Result<Vec<Choice>> {
    let (m, k, n) = (shapes.rows(), shapes.size(K), shapes.size(N));
    for elements in [m * k, n * k, m * n] {
        shapes.index32("a tensor", elements)?;
    }
    let params = Params {
        m: shapes.index32("M", m)?,
        k: shapes.index32("K", k)?,
        n: shapes.index32("N", n)?,
        activation: op.activation as u32,
        bias: shapes.has(BIAS).into(),
        residual: shapes.has(RESIDUAL).into(),
        gate: shapes.has(GATE).into(),
        gate_offset: shapes.index32("gate_offset", op.gate_offset)?,
    };
    let buffers = [X.into(), WEIGHT.into(), BIAS.into(), RESIDUAL.into(), GATE.into(), Y.into()];
    let kernels = if k.is_multiple_of(4) && n.is_multiple_of(4) { &FOURS } else { &ANY };
    let [[large, small], [wide, narrow]] = kernels;
    let staged = if large.count(m, n) >= MANY_TILES { [large, small] } else { [small, large] };
    let direct = if wide.room(m, n) <= narrow.room(m, n) { [wide, narrow] } else { [narrow, wide] };
    let order = if device.software { [direct, staged] } else { [staged, direct] };
    let tiles = |tiles: &Tiles| Choice::of(&tiles.kernel, &params, &buffers, Grid::flat(tiles.count(m, n)));
    let mut choices: Vec<_> = order.into_iter().flatten().map(tiles).collect();
    let blocks = n.div_ceil(shaders::nn_linear_rows::THREADS as usize);
    let rows = Choice::of(&ROWS, &params, &buffers, Grid::flat(m * blocks));
    match m <= FEW_ROWS && !device.software {
        true => choices.insert(0, rows),
        false => choices.push(rows),
    }
    Ok(choices)
}
