//! What several tests share.

use std::path::PathBuf;

use drdiff::{Device, DeviceChoice, GpuOptions};

/// The first GPU adapter, software drivers included. A machine without one fails the test: `scripts/test.sh` brings a
/// software driver.
pub fn gpu() -> Device {
    let options = GpuOptions { device: DeviceChoice::Gpu, tier: None };
    Device::open(&options).expect("a Vulkan driver answers: scripts/test.sh prepares a software one")
}

/// A file of the tests' data.
pub fn data(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")).join(name)
}
