//! `time_embedding` in f64.

use drdiff_reference::nn;

use super::{FREQUENCIES, GAMMA};
use crate::op::{ReferenceData, ReferenceIo};

pub(super) fn run(io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    vec![ReferenceData::F64(nn::time_embedding(io.f64(GAMMA), io.f64(FREQUENCIES)))]
}
