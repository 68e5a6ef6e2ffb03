//! An op in a registry: what calls by name need.

use super::{Arguments, Op, Signature};
use crate::Result;
use crate::gpu::Kernel;

/// An op that can be called by name.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What it takes and gives.
    pub signature: &'static Signature,
    /// Its kernels, every variant, in groups as its folder has them.
    pub kernels: &'static [&'static [Kernel]],
    /// Makes the op from the settings of a call. It may look at the tensors, and put one in that settings stand for; the
    /// inputs are taken by the signature's names afterwards.
    pub build: fn(&mut Arguments) -> Result<Box<dyn Op>>,
}

impl Entry {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.signature.name
    }

    /// Its kernels, every variant.
    pub fn kernels(&self) -> impl Iterator<Item = &'static Kernel> {
        self.kernels.iter().copied().flatten()
    }
}
