//! `--device` and `--tier`.

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

impl DeviceArgs {
    /// Opens the device and says on standard error which one it is.
    pub fn open(&self) -> drdiff::Result<Device> {
        let device = match self.device.parse::<DeviceChoice>() {
            Ok(device) => device,
            Err(never) => match never {},
        };
        let tier = self.tier.map(|tier| match tier {
            TierArg::Core => Tier::Core,
            TierArg::Subgroup => Tier::Subgroup,
            TierArg::Coop => Tier::Coop,
        });
        let device = Device::open(&GpuOptions { device, tier })?;
        eprintln!("device: {}", device.name());
        Ok(device)
    }
}
