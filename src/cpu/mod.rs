//! The ops on the CPU: f32, a GEMM crate, all cores.

pub(crate) mod gemm;
pub(crate) mod nn;
pub(crate) mod noise;
