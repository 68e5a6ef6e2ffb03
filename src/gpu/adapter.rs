//! Which adapters there are, which one is opened, and what tiers it runs.

use std::path::PathBuf;

use wgpu::{Backend, DeviceType, Features};

use super::dx12;
use crate::error::list;
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
    /// The first adapter whose name holds this text; case, spacing and what the name has in parentheses (a driver's
    /// version, a trade mark) do not count.
    Name(String),
}

impl std::str::FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |expected: &str| Err(Error::argument("the device", format!("`{text}`"), expected));
        let word = text.trim().to_lowercase();
        match word.as_str() {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "reference" => Ok(Self::Reference),
            "gpu" => Ok(Self::Gpu),
            digits if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse() {
                Ok(index) => Ok(Self::Index(index)),
                Err(_) => refuse("an index that `drdiff info` lists"),
            },
            name if own_name(name).is_empty() => {
                refuse("auto, cpu, gpu, reference, an adapter's index, or part of its name")
            }
            _ => Ok(Self::Name(text.trim().to_owned())),
        }
    }
}

/// An adapter's own name for comparison: lower case, single spaces, without what stands in parentheses.
fn own_name(name: &str) -> String {
    let mut depth = 0_usize;
    let mut own = String::new();
    for c in name.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => own.extend(c.to_lowercase()),
            _ => {}
        }
    }
    own.split_whitespace().collect::<Vec<_>>().join(" ")
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Plain WGSL in f32: any WebGPU device.
    #[default]
    Core,
    /// Operations over subgroups.
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
            Self::Subgroup => Features::SUBGROUP,
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
    let (used, reason) = match (tier, missing(tier, features)) {
        (Tier::Core, _) => (true, "plain WGSL in f32, needs nothing optional".to_owned()),
        (_, Some(missing)) => (false, missing),
        (_, None) => (false, "runs when asked for (--tier); nothing has measured yet that it is faster".to_owned()),
    };
    TierReport { tier, used, reason }
}

/// Why a device with `features` does not run a tier.
pub(super) fn missing(tier: Tier, features: Features) -> Option<String> {
    let missing = tier.features() - features;
    match tier {
        _ if !missing.is_empty() => Some(format!("the device lacks {}", names(missing))),
        Tier::Coop => Some("kernels of that tier, of which there are none yet".to_owned()),
        _ => None,
    }
}

fn names(features: Features) -> String {
    features.iter_names().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

/// Whether kernels are compiled with a check of every array index. No kernel reads or writes outside its buffers and
/// arrays by itself, so results are the same either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BoundsChecks {
    /// Indices out of bounds are clamped.
    #[default]
    On,
    /// Nothing is checked beyond what the driver does of its own.
    Off,
}

/// How a GPU is opened.
#[derive(Clone, Debug, Default)]
pub struct GpuOptions {
    /// Which adapter; [`DeviceChoice::Auto`] takes a discrete GPU, else an integrated one.
    pub device: DeviceChoice,
    /// Force a tier; `None` lets ops choose.
    pub tier: Option<Tier>,
    /// Checks of array indices in kernels.
    pub bounds_checks: BoundsChecks,
    /// For work on the kernels: a folder as `shaders/`, read when a kernel is first used on the opened device, instead
    /// of the files that were built in.
    pub shaders: Option<PathBuf>,
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
pub(super) fn choose(mut adapters: Vec<wgpu::Adapter>, choice: &DeviceChoice) -> Result<Option<wgpu::Adapter>> {
    if *choice == DeviceChoice::Auto {
        return Ok(adapters.into_iter().find(|adapter| rank(adapter.get_info().device_type) <= 2));
    }
    let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
    find(&names, choice).map(|index| Some(adapters.swap_remove(index)))
}

/// The index of the adapter that `choice` names.
fn find(names: &[String], choice: &DeviceChoice) -> Result<usize> {
    let found = match choice {
        DeviceChoice::Auto | DeviceChoice::Cpu | DeviceChoice::Reference => {
            return Err(Error::argument("the device", choice, "one that is a GPU"));
        }
        DeviceChoice::Gpu => Some(0),
        DeviceChoice::Index(index) => Some(*index),
        DeviceChoice::Name(name) => {
            let part = own_name(name);
            names.iter().position(|name| !part.is_empty() && own_name(name).contains(&part))
        }
    };
    found.filter(|&index| index < names.len()).ok_or_else(|| {
        let available = match names.len() {
            0 => "no GPU adapter (devices `cpu` and `reference` are always there)".to_owned(),
            _ => format!("cpu, reference, {}", list(names.iter().enumerate().map(|(i, name)| format!("{i}: {name}")))),
        };
        Error::NoDevice { wanted: choice.to_string(), available }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str], device: &str) -> Result<usize> {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        find(&names, &device.parse()?)
    }

    #[test]
    fn a_name_matches_names_and_an_index_is_an_index() {
        let names =
            ["NVIDIA GeForce RTX 4090", "Intel(R)  Arc(TM) A770 Graphics (DG2)", "llvmpipe (LLVM 19.1.7, 256 bits)"];
        for (device, index) in [
            ("gpu", 0),
            ("2", 2),
            (" 2 ", 2),
            ("rtx 4090", 0),
            ("Intel(R) Arc", 1),
            ("intel arc a770", 1),
            ("LLVMPIPE", 2),
            ("llvmpipe (LLVM 19.1.7, 256 bits)", 2),
        ] {
            assert_eq!(found(&names, device).unwrap(), index, "{device}");
        }
        // Each of these is in a driver's version, or a number that no index has.
        for device in ["9", "3", "4090", "19.1.7", "256 bits", "256", "1.7", "DG2", "00000000000000000003", "no such"] {
            let error = found(&names, device).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("2: llvmpipe (LLVM"), "{device}: {error}");
        }
        assert!(found(&[], "0").unwrap_err().to_string().contains("no GPU adapter"));
        assert!(found(&[], "gpu").unwrap_err().to_string().contains("no GPU adapter"));
    }

    #[test]
    fn what_names_nothing_is_refused_at_once() {
        for device in ["", " ", "\t\n", "()", "(19.1.7)", "99999999999999999999"] {
            let error = device.parse::<DeviceChoice>().unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("the device is"), "{device}: {error}");
        }
        assert_eq!("CPU".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cpu);
        assert_eq!("-1".parse::<DeviceChoice>().unwrap(), DeviceChoice::Name("-1".to_owned()));
    }
}
