//! What several tests share.

use drdiff::gpu::BoundsChecks;
use drdiff::{Device, DeviceChoice, GpuOptions};

/// The first GPU adapter, software drivers included. Without one the test fails; `scripts/test.sh` provides a
/// software driver.
pub fn gpu() -> Device {
    gpu_with(BoundsChecks::On)
}

/// The same with or without checks of array indices in kernels.
pub fn gpu_with(bounds_checks: BoundsChecks) -> Device {
    let options = GpuOptions { device: DeviceChoice::Gpu, bounds_checks, ..Default::default() };
    Device::open(&options).expect("a Vulkan driver answers: scripts/test.sh prepares a software one")
}
