//! `time_embedding` in f64.

use drdiff_reference::nn;

use super::{FREQUENCIES, STEP};
use crate::op::{ReferenceData, ReferenceIo};

pub(super) fn run(io: &ReferenceIo<'_>) -> Vec<ReferenceData> {
    vec![ReferenceData::F64(nn::time_embedding(&io.f64(STEP)[..1], io.f64(FREQUENCIES)))]
}
