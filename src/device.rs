//! Where a graph runs.

use crate::gpu::{DeviceChoice, Gpu, GpuOptions, Tier};
use crate::{Error, Result};

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
    /// If there is no such device or it cannot be opened.
    #[cfg(not(target_family = "wasm"))]
    pub fn open(options: &GpuOptions) -> Result<Self> {
        crate::gpu::block_on(Self::open_async(options))
    }

    /// Opens what `options.device` names; `auto` is a hardware GPU, else the CPU.
    ///
    /// # Errors
    /// If there is no such device or it cannot be opened.
    pub async fn open_async(options: &GpuOptions) -> Result<Self> {
        match options.device {
            DeviceChoice::Cpu => Self::Cpu.on_host(options),
            DeviceChoice::Reference => Self::Reference.on_host(options),
            _ => match Gpu::find(options).await? {
                Some(gpu) => Ok(Self::Gpu(gpu)),
                None => Self::Cpu.on_host(options),
            },
        }
    }

    /// Itself, where it is built in and nothing is asked of it that takes a GPU.
    fn on_host(self, options: &GpuOptions) -> Result<Self> {
        let built_in = match self {
            Self::Cpu => cfg!(feature = "cpu"),
            Self::Reference => cfg!(feature = "reference"),
            Self::Gpu(_) => true,
        };
        match options.tier {
            _ if !built_in => Err(self.absent()),
            None | Some(Tier::Core) => Ok(self),
            Some(tier) => {
                let missing = "a GPU".to_owned();
                Err(Error::Tier { tier: tier.name(), device: self.kind().to_owned(), missing })
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Gpu(_) => "gpu",
            Self::Cpu => "cpu",
            Self::Reference => "reference",
        }
    }

    /// The error for a device that is not built in.
    pub(crate) fn absent(&self) -> Error {
        let kind = self.kind();
        let available = format!("a GPU at most: drdiff was built without its feature `{kind}`");
        Error::NoDevice { wanted: kind.to_owned(), available }
    }

    /// Its name and driver, to be read by people.
    pub fn name(&self) -> String {
        match self {
            Self::Gpu(gpu) => {
                let info = gpu.info();
                let driver = if info.driver_info.is_empty() { &info.driver } else { &info.driver_info };
                format!("{} ({:?}, {driver})", info.name, info.backend)
            }
            #[cfg(not(feature = "threads"))]
            Self::Cpu => "cpu (1 thread, f32)".to_owned(),
            #[cfg(feature = "threads")]
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
