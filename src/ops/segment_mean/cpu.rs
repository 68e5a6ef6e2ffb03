//! `segment_mean` on the CPU.

use super::{A, DE, LENGTHS, MEAN, R, X0};
use crate::op::{CpuIo, Shapes};

pub(super) fn run(shapes: &Shapes, io: &mut CpuIo<'_>) {
    let [rows, anchors, dim] = [R, A, DE].map(|dim| shapes.size(dim));
    let (x0, lengths, mean) = (io.inputs.f32(X0), io.inputs.u32(LENGTHS), io.outputs.f32(MEAN));
    mean.fill(0.0);
    for (index, mean) in mean.chunks_mut(dim).enumerate() {
        let (b, segment) = (index / anchors, index % anchors);
        let n = (lengths[b] as usize).clamp(anchors, rows) - anchors;
        let members = (segment * n).div_ceil(anchors)..((segment + 1) * n).div_ceil(anchors);
        for i in members.clone() {
            let row = &x0[(b * rows + anchors + i) * dim..][..dim];
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x);
        }
        let count = members.len().max(1) as f32;
        mean.iter_mut().for_each(|mean| *mean /= count);
    }
}
