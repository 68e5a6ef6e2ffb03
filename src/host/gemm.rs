//! Matrix products in row panels over all cores.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use crate::{Result, memory};

/// Fewest rows that are worth their own task.
const PANEL: usize = 16;

/// `y [m, n] = x [m, k] weight [n, k]^T`.
///
/// # Errors
/// If memory is refused.
pub(crate) fn x_times_transposed(x: &[f32], weight: &[f32], y: &mut [f32], m: usize, k: usize, n: usize) -> Result<()> {
    if m == 0 || n == 0 {
        return Ok(());
    }
    if k == 0 {
        y.fill(0.0);
        return Ok(());
    }
    let panel = m.div_ceil(rayon::current_num_threads() * 2).max(PANEL);
    let panels = y.par_chunks_mut(panel * n).zip(x.par_chunks(panel * k));
    panels.try_for_each(|(y, x)| product(x, weight, y, k, n))
}

/// Sees that the GEMM crate gets the memory into which it packs blocks of both operands of a product `[m, k]` by
/// `[k, n]`: it ends the process where it is refused.
pub(crate) fn packing(m: usize, k: usize, n: usize) -> Result<()> {
    // Its largest blocks, and the most by which it rounds up.
    let [m, n] = [m, n].map(|size| size.min(1024).next_multiple_of(16));
    memory::room("the packing of a matrix product", 4 * (k.min(256) * (m + n)) as u64)
}

/// [`x_times_transposed`] on one core, for callers that distribute the work themselves.
pub(crate) fn product(x: &[f32], weight: &[f32], y: &mut [f32], k: usize, n: usize) -> Result<()> {
    multiply(0.0, x, matrix(weight, [n, k]).reversed_axes(), y)
}

/// `y [m, n] += x [m, k] weight [n, k]^T` on one core.
pub(crate) fn add_product(x: &[f32], weight: &[f32], y: &mut [f32], k: usize, n: usize) -> Result<()> {
    multiply(1.0, x, matrix(weight, [n, k]).reversed_axes(), y)
}

/// `y [m, n] += weights [m, k] values [k, n]` on one core.
pub(crate) fn add_weighted(weights: &[f32], values: &[f32], y: &mut [f32], k: usize, n: usize) -> Result<()> {
    multiply(1.0, weights, matrix(values, [k, n]), y)
}

/// `y [m, n] = beta y + left [m, k] right [k, n]`.
fn multiply(beta: f32, left: &[f32], right: ArrayView2<'_, f32>, y: &mut [f32]) -> Result<()> {
    let (k, n) = right.dim();
    let m = y.len() / n;
    packing(m, k, n)?;
    let mut y = ArrayViewMut2::from_shape((m, n), y).expect(SIZES);
    general_mat_mul(1.0, &matrix(left, [m, k]), &right, beta, &mut y);
    Ok(())
}

const SIZES: &str = "the caller's slices have these sizes";

fn matrix(words: &[f32], [rows, columns]: [usize; 2]) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), words).expect(SIZES)
}
