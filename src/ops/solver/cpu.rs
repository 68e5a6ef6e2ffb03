//! `solver` on the CPU.

use super::{Solver, TRAJECTORY, X, X0};
use crate::op::CpuIo;

/// `trajectory[s+1] = c_x trajectory[s] + c_x0 x0[s] + c_prev x0[s-1]`.
pub(super) fn run(op: &Solver, io: &mut CpuIo<'_>) {
    let (x, x0, out) = (io.inputs.f32(X), io.inputs.f32(X0), io.outputs.f32(TRAJECTORY));
    let size = x.len();
    out[..size].copy_from_slice(x);
    for (step, c) in op.coefficients.iter().enumerate() {
        let [c_x, c_x0, c_prev] = [c.x, c.x0, c.x0_prev].map(|c| c as f32);
        let (before, after) = out.split_at_mut((step + 1) * size);
        let from = &before[step * size..];
        for (i, next) in after[..size].iter_mut().enumerate() {
            let previous = if step > 0 { x0[(step - 1) * size + i] } else { 0.0 };
            *next = c_x * from[i] + c_x0 * x0[step * size + i] + c_prev * previous;
        }
    }
}
