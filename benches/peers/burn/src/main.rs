//! drdiff against burn, on one adapter, in one process, in turn.
//!
//! ```sh
//! scripts/with-vulkan.sh benches/peers/target/release/peer-burn --device llvmpipe [FILTER]
//! ```

mod theirs;

use std::path::PathBuf;
use std::process::ExitCode;

use burn::tensor::{Device as BurnDevice, DeviceKind};
use clap::Parser;
use drdiff::{Device, DeviceChoice, Gpu, GpuOptions, Tier};
use drdiff_peers::{Options, Outcome, cases, contest, heading, ours};

#[derive(Parser)]
#[command(about = "drdiff against burn on one adapter, in turn: a table")]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The GPU, as `drdiff --device` names it
    #[arg(long, default_value = "gpu", value_parser = |text: &str| text.parse::<DeviceChoice>())]
    device: DeviceChoice,
    /// The highest tier of drdiff's kernels
    #[arg(long, value_parser = tier)]
    tier: Option<Tier>,
    /// drdiff's kernels from this folder, a copy of `shaders/`
    #[arg(long, value_name = "DIR")]
    shaders: Option<PathBuf>,
}

fn tier(text: &str) -> Result<Tier, String> {
    let tiers = [Tier::Core, Tier::Subgroup, Tier::Coop];
    tiers.into_iter().find(|tier| tier.name() == text).ok_or_else(|| "core, subgroup or coop".to_owned())
}

/// burn's device on the adapter that drdiff runs on.
fn theirs(gpu: &Gpu) -> Outcome<BurnDevice> {
    let info = gpu.info();
    let kind = match format!("{:?}", info.device_type).as_str() {
        "DiscreteGpu" => DeviceKind::DiscreteGpu(0),
        "IntegratedGpu" => DeviceKind::IntegratedGpu(0),
        "VirtualGpu" => DeviceKind::VirtualGpu(0),
        "Cpu" => DeviceKind::Cpu,
        _ => DeviceKind::DefaultDevice,
    };
    let device = BurnDevice::vulkan(kind);
    let found = device.identity().ok_or("burn does not say what it runs on")?;
    if found.name != info.name {
        return Err(format!(
            "burn runs on `{}`, drdiff on `{}`: give --device the first of its kind",
            found.name, info.name
        )
        .into());
    }
    Ok(device)
}

fn run(arguments: &Arguments) -> Outcome<()> {
    let bounds_checks = drdiff::gpu::BoundsChecks::Off;
    let shaders = arguments.shaders.clone();
    let gpu =
        Gpu::open(&GpuOptions { device: arguments.device.clone(), tier: arguments.tier, bounds_checks, shaders })?;
    let theirs = theirs(&gpu)?;
    let ours_on = Device::from(gpu);
    eprintln!("device: {}; burn {}", ours_on.name(), theirs::VERSION);
    print!("{}", heading());
    for case in cases().iter().filter(|case| arguments.options.takes(case)) {
        print!("{}", contest(case, ours(case, &ours_on), theirs::ways(case, &theirs), &arguments.options)?);
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
