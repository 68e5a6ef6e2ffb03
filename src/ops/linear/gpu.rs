//! The kernels of `linear`. A sum has the same terms in the same order in all of them, so all give the same bits.

use super::{BIAS, GATE, K, Linear, N, RESIDUAL, WEIGHT, X, Y};
use crate::Result;
use crate::gpu::{Capabilities, Kernel, Source, shaders};
use crate::op::{Choice, Grid, Shapes};
use crate::ops::tiles::{Tiles, direct, kernels, preferred, staged};

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

/// For sizes that are multiples of 4.
const FOURS: [[Tiles; 2]; 2] = [staged(kernel(shaders::NN_LINEAR)), direct(kernel(shaders::NN_LINEAR_DIRECT))];
/// For any size.
const ANY: [[Tiles; 2]; 2] = [staged(kernel(shaders::NN_LINEAR_ANY)), direct(kernel(shaders::NN_LINEAR_ANY_DIRECT))];
/// For few rows.
const ROWS: Kernel = kernel(shaders::NN_LINEAR_ROWS);

/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] =
    &[&kernels(&FOURS[0]), &kernels(&FOURS[1]), &kernels(&ANY[0]), &kernels(&ANY[1]), &[ROWS]];

/// Up to this many rows go to [`ROWS`] first on a GPU: a tile would be at least 3/4 empty.
const FEW_ROWS: usize = 8;

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
    let tiles = if k.is_multiple_of(4) && n.is_multiple_of(4) { &FOURS } else { &ANY };
    let choice = |tiles: &Tiles| Choice::of(&tiles.kernel, &params, &buffers, Grid::flat(tiles.count(m, n)));
    let mut choices: Vec<_> = preferred(tiles, (m, n), device).into_iter().map(choice).collect();
    let blocks = n.div_ceil(shaders::nn_linear_rows::THREADS as usize);
    let rows = Choice::of(&ROWS, &params, &buffers, Grid::flat(m * blocks));
    match m <= FEW_ROWS && !device.software {
        true => choices.insert(0, rows),
        false => choices.push(rows),
    }
    Ok(choices)
}
