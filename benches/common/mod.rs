//! The devices that benches measure.

use drdiff::{Device, Gpu, GpuOptions, explain};

/// The CPU, and the GPU that `DRDIFF_DEVICE` names (else the first, software drivers included).
pub fn devices() -> Vec<(&'static str, Device)> {
    let mut devices = vec![("cpu", Device::Cpu)];
    let named = std::env::var("DRDIFF_DEVICE").ok().filter(|name| !name.is_empty());
    let device = named.as_deref().unwrap_or("gpu").parse();
    match device.and_then(|device| Gpu::open(&GpuOptions { device, ..Default::default() })) {
        Ok(gpu) => devices.push(("gpu", gpu.into())),
        Err(error) if named.is_some() => {
            eprintln!("error: DRDIFF_DEVICE: {}", explain(&error));
            std::process::exit(2);
        }
        Err(error) => eprintln!("no GPU is measured: {}", explain(&error)),
    }
    devices
}
