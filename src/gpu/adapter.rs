//! Which adapters there are, which one is opened, and what tiers it runs.

use wgpu::{Backend, DeviceType, Features};

use super::dx12;
use crate::{Error, Result};

/// What device to compute on, as `--device` names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A discrete GPU, else an integrated one, else the CPU; never a software driver.
    #[default]
    Auto,
    /// The CPU device (f32, all cores).
    Cpu,
    /// The f64 reference (slow).
    Reference,
    /// The first adapter, software drivers included.
    Gpu,
    /// The adapter of this index in `drdiff info`.
    Index(usize),
    /// The first adapter whose name holds this text, case ignored.
    Name(String),
}

impl std::str::FromStr for DeviceChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        Ok(match text {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "reference" => Self::Reference,
            "gpu" => Self::Gpu,
            _ => text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Index),
        })
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Reference => f.write_str("reference"),
            Self::Gpu => f.write_str("gpu"),
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What kernels need of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Plain WGSL in f32: any WebGPU device.
    #[default]
    Core,
    /// Subgroup reductions, f16 storage.
    Subgroup,
    /// Cooperative matrices.
    Coop,
}

impl Tier {
    /// Its name in `--tier`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Subgroup => "subgroup",
            Self::Coop => "coop",
        }
    }

    /// The optional features it needs.
    pub fn features(self) -> Features {
        match self {
            Self::Core => Features::empty(),
            Self::Subgroup => Features::SUBGROUP | Features::SHADER_F16,
            Self::Coop => Features::SUBGROUP | Features::SHADER_F16 | Features::EXPERIMENTAL_COOPERATIVE_MATRIX,
        }
    }
}

/// Whether kernels of a tier run on a device, and why not.
#[derive(Clone, Debug)]
pub struct TierReport {
    /// The tier.
    pub tier: Tier,
    /// True where ops choose it.
    pub used: bool,
    /// The reason, in words.
    pub reason: String,
}

/// What a device with `features` does with each tier.
pub fn tiers(features: Features) -> Vec<TierReport> {
    [Tier::Core, Tier::Subgroup, Tier::Coop].map(|tier| tier_report(tier, features)).into()
}

fn tier_report(tier: Tier, features: Features) -> TierReport {
    let missing = tier.features() - features;
    let (used, reason) = match tier {
        Tier::Core => (true, "plain WGSL in f32, needs nothing optional".to_owned()),
        _ if missing.is_empty() => (false, "the device could, but no kernel of this tier exists yet".into()),
        _ => (false, format!("the device lacks {}", names(missing))),
    };
    TierReport { tier, used, reason }
}

fn names(features: Features) -> String {
    features.iter_names().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

/// How a GPU is opened.
#[derive(Clone, Debug, Default)]
pub struct GpuOptions {
    /// Which adapter; [`DeviceChoice::Auto`] takes a discrete GPU, else an integrated one.
    pub device: DeviceChoice,
    /// Force a tier; `None` lets ops choose.
    pub tier: Option<Tier>,
}

/// An adapter as `drdiff info` lists it.
#[derive(Clone, Debug)]
pub struct AdapterSummary {
    /// Its index for `--device`.
    pub index: usize,
    /// Name, backend, driver, type.
    pub info: wgpu::AdapterInfo,
    /// Optional features.
    pub features: Features,
    /// Limits.
    pub limits: wgpu::Limits,
    /// Shapes of cooperative matrices, as the driver reports them.
    pub cooperative: Vec<String>,
    /// On DX12, which compiler turns kernels into the driver's code, and why that one.
    pub compiler: Option<String>,
}

pub(super) fn instance() -> wgpu::Instance {
    let mut desc = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    // Validation layers announce themselves only to an instance that asks; WGPU_VALIDATION=1 does.
    desc.flags = wgpu::InstanceFlags::empty().with_env();
    wgpu::Instance::new(desc)
}

/// All adapters, the preferred ones first: discrete, integrated, virtual, software; GL behind the others.
pub(super) async fn enumerate(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    let mut adapters = instance.enumerate_adapters(wgpu::Backends::all()).await;
    adapters.retain(|adapter| {
        let flags = adapter.get_downlevel_capabilities().flags;
        flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
    });
    adapters.sort_by_key(|adapter| {
        let info = adapter.get_info();
        (info.backend == Backend::Gl, rank(info.device_type))
    });
    adapters
}

fn rank(kind: DeviceType) -> u8 {
    match kind {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    }
}

/// The adapters of this machine.
pub async fn adapters() -> Vec<AdapterSummary> {
    let adapters = enumerate(&instance()).await;
    let summaries = adapters.iter().enumerate().map(|(index, adapter)| AdapterSummary {
        index,
        info: adapter.get_info(),
        features: adapter.features(),
        limits: adapter.limits(),
        cooperative: adapter
            .cooperative_matrix_properties()
            .iter()
            .map(|p| {
                let (m, n, k) = (p.m_size, p.n_size, p.k_size);
                format!("{m}x{n}x{k} {:?} -> {:?}", p.ab_type, p.cr_type)
            })
            .collect(),
        compiler: (adapter.get_info().backend == Backend::Dx12).then(dx12::compiler),
    });
    summaries.collect()
}

/// The adapter that `choice` names; `None` where `auto` finds no GPU.
pub(super) fn choose(adapters: Vec<wgpu::Adapter>, choice: &DeviceChoice) -> Result<Option<wgpu::Adapter>> {
    let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
    let mut all = adapters.into_iter();
    let found = match choice {
        DeviceChoice::Auto => {
            return Ok(all.find(|adapter| rank(adapter.get_info().device_type) <= 2));
        }
        DeviceChoice::Cpu | DeviceChoice::Reference => None,
        DeviceChoice::Gpu => all.next(),
        // A number past the end may be part of a name, as in `4090`.
        DeviceChoice::Index(index) if *index < names.len() => all.nth(*index),
        DeviceChoice::Index(_) | DeviceChoice::Name(_) => {
            let name = choice.to_string().to_lowercase();
            names.iter().position(|n| n.to_lowercase().contains(&name)).and_then(|i| all.nth(i))
        }
    };
    let available = || match names.len() {
        0 => "no GPU adapter (devices `cpu` and `reference` are always there)".to_owned(),
        _ => {
            let list: Vec<_> = names.iter().enumerate().map(|(i, name)| format!("{i}: {name}")).collect();
            format!("cpu, reference, {}", list.join(", "))
        }
    };
    match found {
        Some(adapter) => Ok(Some(adapter)),
        None => Err(Error::NoDevice { wanted: choice.to_string(), available: available() }),
    }
}
