//! Which devices there are, which one is taken, and why.
//!
//! `cargo run --release --example choose_device -- [DEVICE]`, where DEVICE is `auto`, `cpu`, `gpu` (the first adapter,
//! software drivers included), an index of the list, a PCI bus id such as `0000:65:00.0`, or part of an adapter's name.

use std::io::{Write, stdout};

use drdiff::gpu::{AdapterSummary, Adapters};
use drdiff::{Device, DeviceChoice, GpuOptions};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let choice = std::env::args().nth(1).unwrap_or_else(|| "auto".to_owned()).parse()?;
    run(&choice, &mut stdout()).map(|_| ())
}

/// Prints the adapters, opens the device that `choice` names, and prints why it is that one.
pub fn run(choice: &DeviceChoice, out: &mut dyn Write) -> Outcome<Device> {
    let mut adapters = Adapters::default();
    let mut seen = Vec::new();
    // Printed as they are found: a broken driver can end the process when its back end is looked at. To open a device,
    // drdiff itself looks no further than the back end that has it.
    while let Some(more) = adapters.next_back_end() {
        for AdapterSummary { index, info, .. } in &more {
            let place = if info.device_pci_bus_id.is_empty() { "no PCI bus id" } else { &info.device_pci_bus_id };
            writeln!(out, "{index}: {} ({:?}, {:?}, {place})", info.name, info.device_type, info.backend)?;
        }
        seen.extend(more);
    }
    let device = Device::open(&GpuOptions { device: choice.clone(), ..Default::default() })?;
    writeln!(out, "{choice}: {}, {}", device.name(), reason(choice, &device, &seen))?;
    Ok(device)
}

/// Why `choice` is `device` where `seen` are all adapters.
pub fn reason(choice: &DeviceChoice, device: &Device, seen: &[AdapterSummary]) -> String {
    match (choice, device) {
        (DeviceChoice::Auto, Device::Gpu(_)) => "the first in the list that is hardware".to_owned(),
        (DeviceChoice::Auto, _) if seen.is_empty() => "since there is no GPU".to_owned(),
        (DeviceChoice::Auto, _) => "since no GPU is hardware, and a software driver must be asked for".to_owned(),
        (DeviceChoice::Cpu | DeviceChoice::Reference, _) => "which is always there".to_owned(),
        (DeviceChoice::Gpu, _) => "the first in the list, hardware or not".to_owned(),
        (DeviceChoice::Index(index), _) => format!("the adapter of index {index}"),
        // One card can be in the list several times, once for each back end.
        (DeviceChoice::Pci(id), _) => format!("the first in the list at {id}"),
        (DeviceChoice::Name(name), _) => format!("the first in the list whose name holds `{name}`"),
    }
}
