//! `--device` and `--tier`.

use std::path::PathBuf;

use clap::Args;
use drdiff::{Device, DeviceChoice, GpuOptions, Tier};

#[derive(Args, Clone)]
pub struct DeviceArgs {
    /// auto, cpu, gpu (the first adapter, software drivers included), reference, an index from `info`, or part of a name
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: String,
    /// Force a tier of kernels
    #[arg(long, value_enum)]
    tier: Option<TierArg>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum TierArg {
    Core,
    Subgroup,
    Coop,
}

/// `--model`.
#[derive(Args, Clone)]
pub struct ModelArgs {
    /// Model directory [default: $DRDIFF_MODEL, else models]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

impl ModelArgs {
    /// The directory, and whether the user named it.
    pub fn folder(&self) -> (PathBuf, bool) {
        let named = self.model.clone().or_else(|| std::env::var_os("DRDIFF_MODEL").map(PathBuf::from));
        let is_named = named.is_some();
        (named.unwrap_or_else(|| PathBuf::from("models")), is_named)
    }
}

impl DeviceArgs {
    /// Opens the device and says on standard error which one it is.
    pub fn open(&self) -> drdiff::Result<Device> {
        self.open_with(GpuOptions::default())
    }

    /// Like `open`, with more options of a GPU; device and tier are those of the command line.
    pub fn open_with(&self, options: GpuOptions) -> drdiff::Result<Device> {
        let device = match self.device.parse::<DeviceChoice>() {
            Ok(device) => device,
            Err(never) => match never {},
        };
        let tier = self.tier.map(|tier| match tier {
            TierArg::Core => Tier::Core,
            TierArg::Subgroup => Tier::Subgroup,
            TierArg::Coop => Tier::Coop,
        });
        let device = Device::open(&GpuOptions { device, tier, ..options })?;
        crate::note(&format!("device: {}", device.name()));
        Ok(device)
    }
}
