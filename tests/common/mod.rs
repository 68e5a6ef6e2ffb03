//! What several tests share.

use drdiff::{Device, DeviceChoice, GpuOptions};

/// The first GPU adapter, software drivers included. A machine without one fails the test: `scripts/test.sh` brings a
/// software driver.
pub fn gpu() -> Device {
    let options = GpuOptions { device: DeviceChoice::Gpu, tier: None };
    Device::open(&options).expect("a Vulkan driver answers: scripts/test.sh prepares a software one")
}
