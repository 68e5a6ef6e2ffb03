//! The kernels of `qkv`. A sum has the same terms in the same order in all of them, so all give the same bits.

use super::{BIAS, D, K, MODULATION, Q, Qkv, R, TABLE, V, W, WEIGHT, X};
use crate::Result;
use crate::gpu::{Capabilities, Kernel, Source, shaders};
use crate::op::{Choice, Grid, Shapes};
use crate::ops::Norm;
use crate::ops::tiles::{Tiles, direct, kernels, preferred, staged};

crate::params! {
    struct Params {
        rows: u32,
        dim: u32,
        heads: u32,
        kv_heads: u32,
        head_dim: u32,
        rotary_dim: u32,
        table_rows: u32,
        kind: u32,
        eps: f32,
        modulation: u32,
        shift_offset: u32,
        scale_offset: u32,
        bias: u32,
    }
}

const fn kernel(source: Source) -> Kernel {
    Kernel::core(source, Params::FIELDS, &[false, false, false, false, false, true, true, true])
}

/// For sizes and offsets that are multiples of 4.
const FOURS: [[Tiles; 2]; 2] = [staged(kernel(shaders::NN_QKV)), direct(kernel(shaders::NN_QKV_DIRECT))];
/// For any size.
const ANY: [[Tiles; 2]; 2] = [staged(kernel(shaders::NN_QKV_ANY)), direct(kernel(shaders::NN_QKV_ANY_DIRECT))];
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] =
    &[&kernels(&FOURS[0]), &kernels(&FOURS[1]), &kernels(&ANY[0]), &kernels(&ANY[1])];

pub(super) fn choices(op: &Qkv, shapes: &Shapes, device: &Capabilities) -> Result<Vec<Choice>> {
    shapes.all_indexed()?;
    let (rows, dim, all) = (shapes.input(X).rows(), shapes.size(D), shapes.size(W));
    let head_dim = op.head_dim(all).unwrap_or(0);
    let Norm { kind, eps, shift_offset, scale_offset } = op.norm;
    // Columns as the kernel counts them.
    let columns = op.heads.saturating_add(2 * op.kv_heads).saturating_mul(head_dim.next_multiple_of(4));
    shapes.index32("the columns of the tiles", columns)?;
    let params = Params {
        rows: shapes.index32("R", rows)?,
        dim: shapes.index32("D", dim)?,
        heads: op.heads as u32,
        kv_heads: op.kv_heads as u32,
        head_dim: head_dim as u32,
        rotary_dim: op.rotary_dim as u32,
        table_rows: shapes.size(R) as u32,
        kind: kind as u32,
        eps,
        modulation: shapes.has(MODULATION).into(),
        shift_offset: shapes.index32("shift_offset", shift_offset)?,
        scale_offset: shapes.index32("scale_offset", scale_offset)?,
        bias: shapes.has(BIAS).into(),
    };
    let buffers = [X.into(), WEIGHT.into(), BIAS.into(), MODULATION.into(), TABLE.into(), Q.into(), K.into(), V.into()];
    let fours = [dim, head_dim, shift_offset, scale_offset].iter().all(|size| size.is_multiple_of(4));
    let tiles = if fours { &FOURS } else { &ANY };
    let choice = |tiles: &Tiles| Choice::of(&tiles.kernel, &params, &buffers, Grid::flat(tiles.count(rows, columns)));
    Ok(preferred(tiles, (rows, columns), device).into_iter().map(choice).collect())
}
