//! `drdiff verify`.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use drdiff::gpu::BoundsChecks;
use drdiff::op::Entry;
use drdiff::ops::REGISTRY;
use drdiff::{Device, Error, GpuOptions};
use drdiff_check::{OpReport, VerifyOptions, verify};

use crate::device::{DeviceArgs, ModelArgs};
use crate::trajectory::trajectories;
use crate::{Failure, print};

#[derive(Args)]
pub struct Verify {
    /// Only this op
    #[arg(long)]
    op: Option<String>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Seed of the cases
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    model: ModelArgs,
    /// Run only every tenth case
    #[arg(long)]
    quick: bool,
    /// Stop an op at its first failure
    #[arg(long)]
    fail_fast: bool,
    /// Checks of array indices in kernels: results must not depend on them
    #[arg(long, value_enum, default_value_t = Checks::On)]
    bounds_checks: Checks,
    /// End buffers where their values end, without sentinel words after them, for a validation layer that watches accesses
    #[arg(long)]
    no_sentinels: bool,
    /// A hash of all results after each op: equal where two devices, drivers or builds agree to the last bit
    #[arg(long)]
    digest: bool,
    /// Kernels from this folder, a copy of `shaders/`, instead of those built in
    #[arg(long, value_name = "DIR")]
    shaders: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Checks {
    On,
    Off,
    Both,
}

/// The registry's entries by name, or all of them.
pub fn entries(name: Option<&str>) -> drdiff::Result<Vec<&'static Entry>> {
    let found: Vec<_> = REGISTRY.iter().filter(|entry| name.is_none_or(|name| entry.name() == name)).collect();
    match (found.is_empty(), name) {
        (true, Some(name)) => {
            let names: Vec<_> = REGISTRY.iter().map(Entry::name).collect();
            Err(Error::argument("the op", format!("`{name}`"), format!("one of {}", names.join(", "))))
        }
        _ => Ok(found),
    }
}

impl Verify {
    pub fn run(self) -> Result<(), Failure> {
        let entries = entries(self.op.as_deref())?;
        let both: &[BoundsChecks] = match self.bounds_checks {
            Checks::On => &[BoundsChecks::On],
            Checks::Off => &[BoundsChecks::Off],
            Checks::Both => &[BoundsChecks::On, BoundsChecks::Off],
        };
        let (mut passed, mut failed) = (0, 0);
        for &bounds_checks in both {
            let options = GpuOptions { bounds_checks, shaders: self.shaders.clone(), ..GpuOptions::default() };
            let device = self.device.open_with(options)?;
            if let (Device::Cpu | Device::Reference, true) =
                (&device, self.shaders.is_some() || both != [BoundsChecks::On])
            {
                let found = "given for a device without kernels";
                return Err(Error::argument("--bounds-checks or --shaders", found, "a GPU (--device)").into());
            }
            if both != [BoundsChecks::On] {
                print(&format!("bounds checks: {bounds_checks:?}\n"))?;
            }
            if matches!(device, Device::Reference) {
                print("cases: not run, the reference would be compared with itself\n")?;
            }
            let (right, wrong) = self.on(&device, &entries)?;
            passed += right;
            failed += wrong;
        }
        print(&format!("{passed} passed, {failed} failed\n"))?;
        match failed {
            0 => Ok(()),
            _ => Err(format!("{failed} cases failed").into()),
        }
    }

    /// How many passed and failed on a device.
    fn on(&self, device: &Device, entries: &[&'static Entry]) -> Result<(usize, usize), Failure> {
        let (mut passed, mut failed) = (0, 0);
        print(&format!(
            "{:<18} {:>6} {:>6} {:>9} {:>6} {:>6} {:>7}  worst error by output\n",
            "op", "cases", "runs", "relations", "passed", "failed", "s"
        ))?;
        for entry in entries {
            let begin = Instant::now();
            let stride = if self.quick { 10 } else { 1 };
            let options =
                VerifyOptions { seed: self.seed, stride, fail_fast: self.fail_fast, sentinels: !self.no_sentinels };
            let report = verify(entry, device, &options)?;
            print(&lines(entry, &report, begin.elapsed().as_secs_f64()))?;
            if self.digest {
                print(&format!("{:<18} digest {:016x}\n", entry.name(), report.digest))?;
            }
            passed += report.passed();
            failed += report.failures.len();
        }
        if self.op.is_none() {
            let (folder, named) = self.model.folder();
            if named || folder.exists() {
                for run in trajectories(&folder, device, self.seed)? {
                    print(&run.line())?;
                    *(if run.within() { &mut passed } else { &mut failed }) += 1;
                }
            } else {
                print(&format!("whole run: not run, there is no model at {} (--model)\n", folder.display()))?;
            }
        }
        Ok((passed, failed))
    }
}

/// What came of an op: a line, and one for each failure. A case runs once for each choice of kernels.
fn lines(entry: &Entry, report: &OpReport, seconds: f64) -> String {
    let worst: Vec<_> = report.worst.iter().map(|(name, worst)| format!("{name} {:.1e}", worst.error)).collect();
    let failures: Vec<_> = report.failures.iter().map(|failure| format!("  failed: {failure}\n")).collect();
    format!(
        "{:<18} {:>6} {:>6} {:>9} {:>6} {:>6} {seconds:>7.1}  {}\n{}",
        entry.name(),
        report.cases,
        report.runs,
        report.relations,
        report.passed(),
        report.failures.len(),
        worst.join(", "),
        failures.concat(),
    )
}
