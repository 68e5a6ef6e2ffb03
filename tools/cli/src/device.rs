//! `--device` and `--tier`.

use std::path::PathBuf;

use clap::Args;
use drdiff::{Device, DeviceChoice, GpuOptions, Tier};

#[derive(Args, Clone)]
pub struct DeviceArgs {
    /// auto, cpu, reference, gpu (the first adapter, even a software driver), an index or a PCI bus id from `info`, or
    /// part of an adapter's name
    #[arg(long, default_value = "auto", value_name = "DEVICE", value_parser = |text: &str| text.parse::<DeviceChoice>())]
    device: DeviceChoice,
    /// Kernels of this tier where an op has them, else those of the tiers below; `info` says what each needs and has
    /// [default: core]
    #[arg(long, value_enum)]
    tier: Option<TierArg>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum TierArg {
    /// Plain WGSL, on every device
    Core,
    /// Operations of subgroups
    Subgroup,
    /// Cooperative matrices
    Coop,
}

/// Where compiled kernels are kept: `$DRDIFF_CACHE`, nowhere if that is empty, else with the user's other caches.
fn cache() -> Option<PathBuf> {
    match std::env::var_os("DRDIFF_CACHE") {
        Some(folder) => Some(folder).filter(|folder| !folder.is_empty()).map(PathBuf::from),
        None => dirs::cache_dir().map(|folder| folder.join("drdiff").join("pipelines")),
    }
}

/// `--model`.
#[derive(Args, Clone)]
pub struct ModelArgs {
    /// Model directory [default: `$DRDIFF_MODEL` if that is not empty, else models]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

impl ModelArgs {
    /// The directory, and whether the user named it.
    pub fn folder(&self) -> (PathBuf, bool) {
        let variable = || std::env::var_os("DRDIFF_MODEL").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let named = self.model.clone().or_else(variable);
        let is_named = named.is_some();
        (named.unwrap_or_else(|| PathBuf::from("models")), is_named)
    }
}

impl DeviceArgs {
    /// Opens the device and says on standard error which one it is.
    pub fn open(&self) -> drdiff::Result<Device> {
        self.open_with(GpuOptions { cache: cache(), ..GpuOptions::default() })
    }

    /// Like `open`, with more options of a GPU; device and tier are those of the command line.
    pub fn open_with(&self, options: GpuOptions) -> drdiff::Result<Device> {
        let tier = self.tier.map(|tier| match tier {
            TierArg::Core => Tier::Core,
            TierArg::Subgroup => Tier::Subgroup,
            TierArg::Coop => Tier::Coop,
        });
        let device = Device::open(&GpuOptions { device: self.device.clone(), tier, ..options })?;
        crate::note(format_args!("device: {}", device.name()));
        if let Device::Gpu(gpu) = &device
            && let Some(note) = gpu.note()
        {
            crate::note(note);
        }
        // Every device has work for the host.
        if let Some(note) = &drdiff::host_threads().note {
            crate::note(note);
        }
        Ok(device)
    }
}
