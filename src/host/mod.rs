//! What the CPU code of ops shares: matrix products, activations, Philox, threads. It knows no op.

pub(crate) mod activation;
pub(crate) mod gemm;
pub(crate) mod philox;
pub mod threads;
