//! The GPU: adapter choice, device, kernels, buffers, errors and device loss.

mod adapter;
mod capabilities;
mod context;
#[cfg(test)]
mod declared;
mod dx12;
mod expand;
mod kernel;
mod loss;
mod params;
mod profile;
mod recorder;

pub use adapter::{AdapterSummary, BoundsChecks, DeviceChoice, GpuOptions, Tier, TierReport, adapters, tiers};
pub use capabilities::{Capabilities, Capability};
pub use context::Gpu;
pub use kernel::{Declared, Kernel, Source, ZERO_WORKGROUP_MEMORY, shaders};
#[doc(hidden)]
pub use loss::Loss;
pub use params::{Field, FieldType, Scalar};
pub use profile::Profiler;
pub use recorder::{Binding, Command, Grid, Recorder};

/// WebGPU's limit on workgroups in one dimension.
pub const MAX_GROUPS: u32 = 65_535;
