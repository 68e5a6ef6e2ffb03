//! The devices that benches measure.

use drdiff::{Device, DeviceChoice, GpuOptions};

/// The CPU, and the GPU that `DRDIFF_DEVICE` names (else the first, software drivers included).
pub fn devices() -> Vec<(&'static str, Device)> {
    let mut devices = vec![("cpu", Device::Cpu)];
    let name = std::env::var("DRDIFF_DEVICE").unwrap_or_else(|_| "gpu".to_owned());
    let device = match name.parse::<DeviceChoice>() {
        Ok(device) => device,
        Err(never) => match never {},
    };
    match Device::open(&GpuOptions { device, ..Default::default() }) {
        Ok(device) => devices.push(("gpu", device)),
        Err(error) => eprintln!("no GPU is measured: {error}"),
    }
    devices
}
