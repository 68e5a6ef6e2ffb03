//! What the CPU code of ops shares: matrix products, activations, Philox, threads. It knows no op.

#[cfg(feature = "cpu")]
pub(crate) mod activation;
#[cfg(feature = "cpu")]
pub(crate) mod gemm;
pub(crate) mod philox;
#[cfg(feature = "cpu")]
pub(crate) mod prepared;
#[cfg(feature = "cpu")]
pub(crate) mod simd;
#[cfg(feature = "threads")]
pub mod threads;
