//! `drdiff info`.

use std::fmt::Write as _;

use drdiff::gpu::{AdapterSummary, Adapters, tiers};
use drdiff::op::Entry;
use drdiff::ops::REGISTRY;
use drdiff::{Device, GpuOptions, Tier};

use crate::{Failure, print};

pub fn run() -> Result<(), Failure> {
    let mut all = Adapters::default();
    let mut found = false;
    // Printed as they are found: a broken driver of the next back end may end the process.
    while let Some(adapters) = all.next_back_end() {
        found |= !adapters.is_empty();
        print(&describe(&adapters)?)?;
    }
    let mut text = String::new();
    if !found {
        writeln!(text, "no GPU adapter: no Vulkan, Metal, DX12 or GL driver with compute shaders answered")?;
    }
    match Device::open(&GpuOptions::default()) {
        Ok(chosen) => {
            let why = match chosen {
                Device::Gpu(_) => "the first discrete GPU, else integrated, else virtual",
                _ => "no hardware GPU answered; a software driver is taken only when asked for",
            };
            writeln!(text, "auto: {} ({why})", chosen.name())?;
        }
        Err(error) => writeln!(text, "auto: {}", drdiff::explain(&error))?,
    }
    if let Some(note) = &drdiff::host_threads().note {
        writeln!(text, "{note}")?;
    }
    writeln!(text, "also: cpu (f32, all cores), reference (f64 oracle, slow)")?;
    print(&text)
}

/// The ops that have kernels of a tier.
fn ops_of(tier: Tier) -> Vec<&'static str> {
    let has = |entry: &&Entry| entry.kernels().any(|kernel| kernel.tier == tier);
    REGISTRY.iter().filter(has).map(Entry::name).collect()
}

fn describe(adapters: &[AdapterSummary]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for adapter in adapters {
        let (info, limits) = (&adapter.info, &adapter.limits);
        writeln!(
            text,
            "{}: {} ({:?}, {:?}, {} {})",
            adapter.index, info.name, info.device_type, info.backend, info.driver, info.driver_info
        )?;
        if !info.device_pci_bus_id.is_empty() {
            writeln!(text, "   PCI bus id: {}", info.device_pci_bus_id)?;
        }
        writeln!(
            text,
            "   limits: {} MiB a binding, {} MiB a buffer, {} KiB workgroup memory, {} threads a workgroup, {} storage buffers",
            limits.max_storage_buffer_binding_size >> 20,
            limits.max_buffer_size >> 20,
            limits.max_compute_workgroup_storage_size >> 10,
            limits.max_compute_invocations_per_workgroup,
            limits.max_storage_buffers_per_shader_stage,
        )?;
        if let Some(compiler) = &adapter.compiler {
            writeln!(text, "   shader compiler: {compiler}")?;
        }
        for report in tiers(adapter.features) {
            let used = if report.used { "used" } else { "not used" };
            writeln!(text, "   tier {}: {used}: {}", report.tier.name(), report.reason)?;
            let names = ops_of(report.tier);
            if report.tier != Tier::Core && !names.is_empty() {
                writeln!(text, "      its kernels: {}; other ops run those of the tiers below", names.join(", "))?;
            }
        }
        for shape in &adapter.cooperative {
            writeln!(text, "   cooperative matrix {shape}")?;
        }
    }
    Ok(text)
}
