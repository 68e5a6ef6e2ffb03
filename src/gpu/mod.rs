//! The GPU: adapter choice, device, kernels, buffers, errors and device loss.

mod adapter;
#[cfg(not(target_family = "wasm"))]
mod cache;
#[cfg(target_family = "wasm")]
#[path = "cache_absent.rs"]
mod cache;
mod capabilities;
mod context;
#[cfg(test)]
mod declared;
mod dx12;
mod expand;
mod health;
mod kernel;
mod loss;
mod params;
mod pipeline;
mod profile;
mod recorder;
mod scope;
mod transfer;
mod wait;

pub use adapter::{
    AdapterSummary, Adapters, BorrowOptions, BoundsChecks, DeviceChoice, GpuOptions, PciBusId, Tier, TierReport, tiers,
};
pub use capabilities::{Capabilities, Capability};
pub use context::Gpu;
pub(crate) use context::Home;
pub use kernel::{Declared, Kernel, Source, ZERO_WORKGROUP_MEMORY, shaders};
#[doc(hidden)]
pub use loss::Loss;
pub use params::{Field, FieldType, Scalar};
pub use profile::Profiler;
pub use recorder::{Binding, Command, Grid, Recorder};
#[cfg(not(target_family = "wasm"))]
pub(crate) use wait::block_on;
pub(crate) use wait::{Signal, give_way};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// WebGPU's limit on workgroups in one dimension.
pub const MAX_GROUPS: u32 = 65_535;

/// What a mutex guards; a panic elsewhere leaves nothing half done behind one of ours.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
