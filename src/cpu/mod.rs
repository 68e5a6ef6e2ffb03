//! The ops on the CPU: f32, a GEMM crate, all cores.

pub(crate) mod attention;
pub(crate) mod embedding;
pub(crate) mod experts;
pub(crate) mod gemm;
pub(crate) mod nn;
pub(crate) mod noise;
pub(crate) mod norm;
pub(crate) mod rope;
pub(crate) mod solver;
pub mod threads;
pub(crate) mod vocab;
