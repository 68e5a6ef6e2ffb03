//! `drdiff verify`.

use std::time::Instant;

use clap::Args;
use drdiff::check::{Entry, verify};
use drdiff::ops::REGISTRY;

use crate::device::{DeviceArgs, ModelArgs};
use crate::trajectory::trajectories;
use crate::{Failure, print};

#[derive(Args)]
pub struct Verify {
    /// This op alone
    #[arg(long)]
    op: Option<String>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Seed of the cases
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    model: ModelArgs,
    /// Every tenth case
    #[arg(long)]
    quick: bool,
}

/// The registry's entries by name, or all of them.
pub fn entries(name: Option<&str>) -> drdiff::Result<Vec<&'static Entry>> {
    let found: Vec<_> = REGISTRY.iter().filter(|entry| name.is_none_or(|name| entry.name == name)).collect();
    match (found.is_empty(), name) {
        (true, Some(name)) => {
            let names: Vec<_> = REGISTRY.iter().map(|entry| entry.name).collect();
            Err(drdiff::Error::argument("the op", format!("`{name}`"), format!("one of {}", names.join(", "))))
        }
        _ => Ok(found),
    }
}

impl Verify {
    pub fn run(self) -> Result<(), Failure> {
        let entries = entries(self.op.as_deref())?;
        let device = self.device.open()?;
        let (mut passed, mut failed) = (0, 0);
        print(&format!(
            "{:<18} {:>6} {:>6} {:>6} {:>7}  worst error by output\n",
            "op", "cases", "passed", "failed", "s"
        ))?;
        for entry in entries {
            let begin = Instant::now();
            let report = verify(entry, &device, self.seed, if self.quick { 10 } else { 1 })?;
            let seconds = begin.elapsed().as_secs_f64();
            let worst: Vec<_> =
                report.worst.iter().map(|(name, worst)| format!("{name} {:.1e}", worst.error)).collect();
            let cases = report.passed + report.failures.len();
            let line = format!(
                "{:<18} {cases:>6} {:>6} {:>6} {seconds:>7.1}  {}\n",
                entry.name,
                report.passed,
                report.failures.len(),
                worst.join(", "),
            );
            print(&line)?;
            for failure in &report.failures {
                print(&format!("  failed: {failure}\n"))?;
            }
            passed += report.passed;
            failed += report.failures.len();
        }
        if self.op.is_none() {
            let (folder, named) = self.model.folder();
            if named || folder.exists() {
                for run in trajectories(&folder, &device, self.seed)? {
                    print(&run.line())?;
                    *(if run.within() { &mut passed } else { &mut failed }) += 1;
                }
            } else {
                print(&format!("whole run: not run, there is no model at {} (--model)\n", folder.display()))?;
            }
        }
        print(&format!("{passed} passed, {failed} failed\n"))?;
        match failed {
            0 => Ok(()),
            _ => Err(format!("{failed} cases failed").into()),
        }
    }
}
