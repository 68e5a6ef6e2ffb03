//! The kernels of `linear`.

use super::{BIAS, GATE, K, Linear, N, RESIDUAL, WEIGHT, X, Y};
use crate::Result;
use crate::gpu::{Kernel, shaders};
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

const WRITES: &[bool] = &[false, false, false, false, false, true];
/// 64 x 64 tiles.
const TILES: Kernel = Kernel::core(shaders::NN_LINEAR, Params::FIELDS, WRITES);
/// For few rows.
const ROWS: Kernel = Kernel::core(shaders::NN_LINEAR_ROWS, Params::FIELDS, WRITES);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[TILES, ROWS]];

/// Sequences of at most this many rows go to [`ROWS`] first: there each output is read once and a tile would be at least
/// 7/8 empty.
const FEW_ROWS: usize = 8;

pub(super) fn choices(op: &Linear, shapes: &Shapes) -> Result<Vec<Choice>> {
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
    let rows =
        Choice::of(&ROWS, &params, &buffers, Grid::flat(m * n.div_ceil(shaders::nn_linear_rows::COLUMNS as usize)));
    let tile = shaders::nn_linear::TILE as usize;
    let tiles = Choice::of(&TILES, &params, &buffers, Grid::flat(m.div_ceil(tile) * n.div_ceil(tile)));
    let few = shapes.input(X).sequence_rows() <= FEW_ROWS;
    Ok(if few { vec![rows, tiles] } else { vec![tiles, rows] })
}
