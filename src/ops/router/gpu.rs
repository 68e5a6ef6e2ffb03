//! The kernel of `router`.

use super::{BIAS, D, DIFFICULTY, DIFFICULTY_WEIGHT, E, LOGITS, WEIGHT, X};
use crate::Result;
use crate::gpu::shaders::experts_router::{EXPERTS, TOKENS};
use crate::gpu::{Kernel, shaders};
use crate::op::{Choice, Grid, Shapes};

crate::params! {
    struct Params {
        tokens: u32,
        dim: u32,
        experts: u32,
    }
}

/// Tiles of 32 tokens and 8 experts.
const ROUTER: Kernel =
    Kernel::core(shaders::EXPERTS_ROUTER, Params::FIELDS, &[false, false, false, false, false, true]);
/// Every variant.
pub(super) const KERNELS: &[&[Kernel]] = &[&[ROUTER]];

pub(super) fn choices(shapes: &Shapes) -> Result<Vec<Choice>> {
    shapes.all_indexed()?;
    let (tokens, dim, experts) = (shapes.rows(), shapes.size(D), shapes.size(E));
    let params = Params { tokens: tokens as u32, dim: dim as u32, experts: experts as u32 };
    let buffers = [X.into(), WEIGHT.into(), BIAS.into(), DIFFICULTY.into(), DIFFICULTY_WEIGHT.into(), LOGITS.into()];
    let grid = Grid::flat(tokens.div_ceil(TOKENS as usize) * experts.div_ceil(EXPERTS as usize));
    Ok(vec![Choice::of(&ROUTER, &params, &buffers, grid)])
}
