//! `noise` in f64.

use drdiff_reference::noise;

use super::{Noise, SEEDS, seeds};
use crate::op::{ReferenceData, ReferenceIo};

pub(super) fn run(op: &Noise, io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    let (bits, normal): (Vec<_>, Vec<_>) = seeds(io.u32(SEEDS))
        .map(|seed| (noise::bits(seed, op.stream, op.count), noise::normal(seed, op.stream, op.count)))
        .unzip();
    vec![ReferenceData::U32(bits.concat()), ReferenceData::F64(normal.concat())]
}
