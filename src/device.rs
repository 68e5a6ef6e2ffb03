//! Where a graph runs.

use crate::Result;
use crate::gpu::{DeviceChoice, Gpu, GpuOptions};

/// An open device.
#[derive(Clone, Debug)]
pub enum Device {
    /// A GPU, through wgpu.
    Gpu(Gpu),
    /// The CPU, in f32.
    Cpu,
    /// The f64 reference.
    Reference,
}

impl Device {
    /// Opens what `options.device` names and waits for it; `auto` is a hardware GPU, else the CPU.
    ///
    /// # Errors
    /// Where there is no such device or it cannot be opened.
    #[cfg(not(target_family = "wasm"))]
    pub fn open(options: &GpuOptions) -> Result<Self> {
        crate::gpu::block_on(Self::open_async(options))
    }

    /// Opens what `options.device` names; `auto` is a hardware GPU, else the CPU.
    ///
    /// # Errors
    /// Where there is no such device or it cannot be opened.
    pub async fn open_async(options: &GpuOptions) -> Result<Self> {
        let on_host = |device: Self, name: &str| match options.tier {
            None | Some(crate::gpu::Tier::Core) => Ok(device),
            Some(tier) => {
                Err(crate::Error::Tier { tier: tier.name(), device: name.to_owned(), missing: "a GPU".to_owned() })
            }
        };
        match options.device {
            DeviceChoice::Cpu => on_host(Self::Cpu, "cpu"),
            DeviceChoice::Reference => on_host(Self::Reference, "reference"),
            _ => match Gpu::find(options).await? {
                Some(gpu) => Ok(Self::Gpu(gpu)),
                None => on_host(Self::Cpu, "cpu"),
            },
        }
    }

    /// Its name and driver, for people.
    pub fn name(&self) -> String {
        match self {
            Self::Gpu(gpu) => {
                let info = gpu.info();
                let driver = if info.driver_info.is_empty() { &info.driver } else { &info.driver_info };
                format!("{} ({:?}, {driver})", info.name, info.backend)
            }
            Self::Cpu => match crate::host_threads().count {
                1 => "cpu (1 thread, f32)".to_owned(),
                count => format!("cpu ({count} threads, f32)"),
            },
            Self::Reference => "reference (f64)".to_owned(),
        }
    }
}

impl From<Gpu> for Device {
    fn from(gpu: Gpu) -> Self {
        Self::Gpu(gpu)
    }
}
