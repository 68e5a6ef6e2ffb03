//! Which adapters there are, which one is opened, and what tiers it runs.

use std::path::PathBuf;

use wgpu::{Backend, Backends, DeviceType, Features};

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
    /// The first adapter at this place on the PCI bus, where the driver says it.
    Pci(PciBusId),
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
            place if place.contains(':') && place.parse::<PciBusId>().is_ok() => place.parse().map(Self::Pci),
            name if own_name(name).is_empty() => {
                refuse("auto, cpu, gpu, reference, an adapter's index, its PCI bus id, or part of its name")
            }
            _ => Ok(Self::Name(text.trim().to_owned())),
        }
    }
}

/// Where a device is on the PCI bus: what tells two cards of one name apart, in every program alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PciBusId {
    /// The domain; 0 on most machines.
    pub domain: u32,
    /// The bus.
    pub bus: u8,
    /// The device on the bus.
    pub device: u8,
    /// The function of the device.
    pub function: u8,
}

impl std::str::FromStr for PciBusId {
    type Err = Error;

    /// Reads `0000:65:00.0`, all of it hexadecimal; the domain may be left out, or have more digits.
    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (rest, function) = text.trim().rsplit_once('.')?;
            let mut parts = rest.rsplit(':');
            let mut part = |most: usize| {
                let digits = parts.next()?;
                let plain = (1..=most).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
                u32::from_str_radix(digits, 16).ok().filter(|_| plain)
            };
            let (device, bus) = (part(2)?, part(2)?);
            let domain = if rest.matches(':').count() > 1 { part(8)? } else { 0 };
            let function = u8::from_str_radix(function, 16).ok().filter(|_| function.len() == 1)?;
            parts.next().is_none().then_some(Self { domain, bus: bus as u8, device: device as u8, function })
        };
        read().ok_or_else(|| Error::argument("a PCI bus id", format!("`{text}`"), "domain:bus:device.function"))
    }
}

impl std::fmt::Display for PciBusId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { domain, bus, device, function } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
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
            Self::Pci(id) => id.fmt(f),
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
    /// Indices out of bounds are clamped: up to 1.7 times the time of a kernel.
    #[cfg_attr(debug_assertions, default)]
    On,
    /// Nothing is checked beyond what the driver does of its own: every kernel guards the indices that it computes and
    /// those that come from data, and `drdiff verify` runs both ways. The default without debug assertions.
    #[cfg_attr(not(debug_assertions), default)]
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
    /// A folder to keep compiled pipelines in from run to run, where the back end lets them be kept (Vulkan); `None` keeps
    /// none. Its files are trusted: it is to be the user's own.
    pub cache: Option<PathBuf>,
}

/// How a device of the caller's is used.
#[derive(Clone, Debug, Default)]
pub struct BorrowOptions {
    /// Take the device's callbacks for uncaught errors and for its loss in place of the caller's. [`crate::Gpu::check`] then
    /// tells of errors in anybody's work, and a loss is known as soon as wgpu tells of it, with its reason.
    pub take_callbacks: bool,
    /// The highest tier that ops choose their kernels from; `None` is `core`.
    pub tier: Option<Tier>,
    /// Checks of array indices in kernels.
    pub bounds_checks: BoundsChecks,
    /// As [`GpuOptions::shaders`].
    pub shaders: Option<PathBuf>,
    /// As [`GpuOptions::cache`], if the device was opened with `PIPELINE_CACHE`.
    pub cache: Option<PathBuf>,
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

/// The back ends of this system, the one to look at first in front. Looking at one can end the process where its driver is
/// broken, and loads its libraries in any case: nobody looks further than need be.
#[cfg(windows)]
const BACK_ENDS: &[Backends] = &[Backends::DX12, Backends::VULKAN, Backends::GL];
#[cfg(target_vendor = "apple")]
const BACK_ENDS: &[Backends] = &[Backends::METAL, Backends::VULKAN, Backends::GL];
#[cfg(target_family = "wasm")]
const BACK_ENDS: &[Backends] = &[Backends::BROWSER_WEBGPU];
#[cfg(not(any(windows, target_vendor = "apple", target_family = "wasm")))]
const BACK_ENDS: &[Backends] = &[Backends::VULKAN, Backends::GL];

/// The adapters of this machine, back end by back end; within one the preferred come first: discrete, integrated, virtual,
/// software. Their order is that of indices for `--device`.
#[derive(Debug)]
pub struct Adapters {
    back_ends: std::slice::Iter<'static, Backends>,
    /// How many were listed.
    listed: usize,
}

impl Default for Adapters {
    fn default() -> Self {
        Self { back_ends: BACK_ENDS.iter(), listed: 0 }
    }
}

impl Adapters {
    /// Those of the next back end; `None` where there is none left. `WGPU_BACKEND` names those to look at.
    #[cfg(not(target_family = "wasm"))]
    pub fn next_back_end(&mut self) -> Option<Vec<AdapterSummary>> {
        super::block_on(self.next_back_end_async())
    }

    /// Those of the next back end; `None` where there is none left. `WGPU_BACKEND` names those to look at.
    pub async fn next_back_end_async(&mut self) -> Option<Vec<AdapterSummary>> {
        let adapters = self.look().await?;
        let first = self.listed - adapters.len();
        let summary = |(place, adapter): (usize, wgpu::Adapter)| AdapterSummary {
            index: first + place,
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
        };
        Some(adapters.into_iter().enumerate().map(summary).collect())
    }

    async fn look(&mut self) -> Option<Vec<wgpu::Adapter>> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends &= *self.back_ends.next()?;
        let backends = descriptor.backends;
        if !wgpu::Instance::enabled_backend_features().intersects(backends) {
            return Some(Vec::new());
        }
        // Validation layers announce themselves only to an instance that asks; WGPU_VALIDATION=1 does.
        descriptor.flags = wgpu::InstanceFlags::empty().with_env();
        let mut adapters = wgpu::Instance::new(descriptor).enumerate_adapters(backends).await;
        adapters.retain(|adapter| {
            let flags = adapter.get_downlevel_capabilities().flags;
            flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
        });
        adapters.sort_by_key(|adapter| rank(adapter.get_info().device_type));
        self.listed += adapters.len();
        Some(adapters)
    }
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

/// Whether `auto` takes it. A browser does not tell of what kind its GPU is.
fn is_hardware(info: &wgpu::AdapterInfo) -> bool {
    rank(info.device_type) <= 2 || info.backend == Backend::BrowserWebGpu && info.device_type == DeviceType::Other
}

/// The adapter that `choice` names; `None` where `auto` finds no GPU. No back end behind that adapter's is looked at.
pub(super) async fn choose(choice: &DeviceChoice) -> Result<Option<wgpu::Adapter>> {
    if matches!(choice, DeviceChoice::Cpu | DeviceChoice::Reference) {
        return Err(Error::argument("the device", choice, "one that is a GPU"));
    }
    let (mut all, mut seen) = (Adapters::default(), Vec::new());
    while let Some(mut adapters) = all.look().await {
        let infos: Vec<_> = adapters.iter().map(wgpu::Adapter::get_info).collect();
        if let Some(place) = find(&infos, seen.len(), choice) {
            return Ok(Some(adapters.swap_remove(place)));
        }
        seen.extend(infos);
    }
    if *choice == DeviceChoice::Auto { Ok(None) } else { Err(none_such(&seen, choice)) }
}

/// The place among the adapters `infos`, the first of which has the index `first`, of the one that `choice` names.
fn find(infos: &[wgpu::AdapterInfo], first: usize, choice: &DeviceChoice) -> Option<usize> {
    match choice {
        DeviceChoice::Cpu | DeviceChoice::Reference => None,
        DeviceChoice::Auto => infos.iter().position(is_hardware),
        DeviceChoice::Gpu => (!infos.is_empty()).then_some(0),
        DeviceChoice::Index(index) => index.checked_sub(first).filter(|&place| place < infos.len()),
        DeviceChoice::Pci(id) => {
            infos.iter().position(|info| info.device_pci_bus_id.parse().is_ok_and(|at: PciBusId| at == *id))
        }
        DeviceChoice::Name(name) => {
            let part = own_name(name);
            infos.iter().position(|info| !part.is_empty() && own_name(&info.name).contains(&part))
        }
    }
}

fn none_such(infos: &[wgpu::AdapterInfo], choice: &DeviceChoice) -> Error {
    let named = |(index, info): (usize, &wgpu::AdapterInfo)| match info.device_pci_bus_id.as_str() {
        "" => format!("{index}: {}", info.name),
        place => format!("{index}: {} at {place}", info.name),
    };
    let available = match infos.len() {
        0 => "no GPU adapter (devices `cpu` and `reference` are always there)".to_owned(),
        _ => format!("cpu, reference, {}", list(infos.iter().enumerate().map(named))),
    };
    Error::NoDevice { wanted: choice.to_string(), available }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(name: &str, kind: DeviceType, backend: Backend, place: &str) -> wgpu::AdapterInfo {
        let mut info = wgpu::AdapterInfo::new(kind, backend);
        (info.name, info.device_pci_bus_id) = (name.to_owned(), place.to_owned());
        info
    }

    /// As [`choose`] looks at back ends: the index, and how many back ends were looked at.
    fn look(back_ends: &[Vec<wgpu::AdapterInfo>], device: &str) -> Result<(Option<usize>, usize)> {
        let (choice, mut seen) = (device.parse()?, Vec::new());
        for (looked, infos) in back_ends.iter().enumerate() {
            if let Some(place) = find(infos, seen.len(), &choice) {
                return Ok((Some(seen.len() + place), looked + 1));
            }
            seen.extend(infos.iter().cloned());
        }
        if choice == DeviceChoice::Auto { Ok((None, back_ends.len())) } else { Err(none_such(&seen, &choice)) }
    }

    fn found(names: &[&str], device: &str) -> Result<usize> {
        let infos = names.iter().map(|name| adapter(name, DeviceType::DiscreteGpu, Backend::Vulkan, ""));
        look(&[infos.collect()], device).map(|(index, _)| index.unwrap())
    }

    #[test]
    fn no_back_end_behind_the_chosen_adapters_is_looked_at() {
        use DeviceType::{Cpu, DiscreteGpu, IntegratedGpu};
        let twins = |backend| {
            let twin = |place| adapter("Twin", DiscreteGpu, backend, place);
            vec![twin("0000:65:00.0"), twin("0000:b3:00.0"), adapter("WARP", Cpu, backend, "")]
        };
        let windows = [twins(Backend::Dx12), twins(Backend::Vulkan)];
        for (device, expected) in [
            ("auto", (Some(0), 1)),
            ("gpu", (Some(0), 1)),
            ("2", (Some(2), 1)),
            ("4", (Some(4), 2)),
            ("twin", (Some(0), 1)),
            ("warp", (Some(2), 1)),
            ("0000:b3:00.0", (Some(1), 1)),
            ("B3:00.0", (Some(1), 1)),
            ("00000000:65:0.0", (Some(0), 1)),
        ] {
            assert_eq!(look(&windows, device).unwrap(), expected, "{device}");
        }
        let error = look(&windows, "0000:66:00.0").unwrap_err();
        assert!(error.is_usage() && error.to_string().contains("1: Twin at 0000:b3:00.0"), "{error}");
        // Hardware behind a software driver.
        let linux =
            [vec![adapter("llvmpipe", Cpu, Backend::Vulkan, "")], vec![adapter("Old", IntegratedGpu, Backend::Gl, "")]];
        assert_eq!(look(&linux, "auto").unwrap(), (Some(1), 2));
        assert_eq!(look(&linux, "gpu").unwrap(), (Some(0), 1));
        assert_eq!(look(&linux[..1], "auto").unwrap(), (None, 1));
    }

    #[test]
    fn auto_takes_a_browsers_gpu_of_whatever_kind() {
        let browser = |kind| [vec![adapter("", kind, Backend::BrowserWebGpu, "")]];
        assert_eq!(look(&browser(DeviceType::Other), "auto").unwrap(), (Some(0), 1));
        assert_eq!(look(&browser(DeviceType::Cpu), "auto").unwrap(), (None, 1), "its software driver");
        let other = [vec![adapter("", DeviceType::Other, Backend::Vulkan, "")]];
        assert_eq!(look(&other, "auto").unwrap(), (None, 1));
    }

    #[test]
    fn a_pci_bus_id_is_read_as_drivers_and_people_write_it() {
        let id = PciBusId { domain: 0, bus: 0x65, device: 0x1f, function: 7 };
        for text in ["0000:65:1f.7", "65:1F.7", " 00000000:65:1f.7 ", "0:65:1f.7"] {
            assert_eq!(text.parse::<PciBusId>().unwrap(), id, "{text}");
            assert_eq!(text.parse::<DeviceChoice>().unwrap(), DeviceChoice::Pci(id), "{text}");
        }
        assert_eq!(id.to_string(), "0000:65:1f.7");
        for text in
            ["", "65", "65:1f", "65.7", ":65:1f.7", "1:2:65:1f.7", "65:1f.77", "65:+f.7", "165:1f.7", "65:1g.7", "::."]
        {
            assert!(text.parse::<PciBusId>().is_err(), "{text}");
            assert!(!matches!(text.parse(), Ok(DeviceChoice::Pci(_))), "{text}");
        }
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
