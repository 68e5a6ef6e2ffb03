//! `noise` on the CPU.

use super::{Noise, SEEDS};
use crate::host::philox;
use crate::op::CpuIo;

pub(super) fn run(op: &Noise, io: &mut CpuIo<'_>) {
    let count = op.count;
    let [bits, normal] = io.outputs.split();
    let normal = bytemuck::cast_slice_mut(normal);
    for (b, seed) in io.inputs.u32(SEEDS).chunks_exact(2).enumerate() {
        let range = b * count..(b + 1) * count;
        philox::fill([seed[0], seed[1]], op.stream, &mut bits[range.clone()], &mut normal[range]);
    }
}
