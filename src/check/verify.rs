//! Every op over many cases, held against the f64 reference.

use std::collections::BTreeMap;

use super::{Case, Entry, Gen, exceeds};
use crate::graph::ExecutorOptions;
use crate::{Device, Error, Result, explain};

/// Worst error of one output over all cases.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Worst {
    /// In the measure of the output's check: NMSE, or absolute where the check is.
    pub error: f64,
}

/// What came of an op's cases.
#[derive(Clone, Debug, Default)]
pub struct OpReport {
    /// Cases that ran and met every check.
    pub passed: usize,
    /// What failed, in words, one line a case.
    pub failures: Vec<String>,
    /// Worst error by output.
    pub worst: BTreeMap<&'static str, Worst>,
}

/// What came of one case.
#[derive(Clone, Debug, Default)]
pub struct CaseReport {
    /// The error of each output, in its check's measure.
    pub errors: Vec<(&'static str, f64)>,
    /// What failed, in words.
    pub failures: Vec<String>,
}

/// Runs one case on `device` and on the reference.
///
/// # Errors
/// Where the case could not be run at all.
pub fn run_case(entry: &Entry, case: &Case, device: &Device) -> Result<CaseReport> {
    let options = ExecutorOptions { sentinels: true, ..Default::default() };
    let mut tested = (entry.build)(case.arguments.try_clone()?)?.prepare(device, options)?;
    tested.executor.run()?;
    let mut oracle = (entry.build)(case.arguments.try_clone()?)?.prepare(&Device::Reference, Default::default())?;
    oracle.executor.run()?;
    let mut report = CaseReport::default();
    for (output, (&got, &want)) in tested.outputs.iter().zip(tested.values.iter().zip(&oracle.values)) {
        let got = tested.executor.read(got)?;
        let Some(want) = oracle.executor.exact(want) else { continue };
        let judged = output.check.judge(&tested.inputs, &got, want);
        report.errors.push((output.name, judged.error));
        report.failures.extend(judged.failure.map(|failure| format!("{}: {failure}", output.name)));
    }
    for buffer in tested.executor.check_sentinels()? {
        report.failures.push(format!("words behind {buffer} were overwritten"));
    }
    Ok(report)
}

/// Runs the cases of an op, every `stride`-th of them.
///
/// # Errors
/// Where the device was lost, or no case ran.
pub fn verify(entry: &Entry, device: &Device, seed: u64, stride: usize) -> Result<OpReport> {
    let mut report = OpReport::default();
    let cases = (entry.cases)(&mut Gen::new(seed, entry.name));
    for case in cases.iter().step_by(stride.max(1)) {
        match run_case(entry, case, device) {
            Ok(CaseReport { errors, failures }) => {
                for (name, error) in errors {
                    let worst = report.worst.entry(name).or_default();
                    if exceeds(error, worst.error) {
                        worst.error = error;
                    }
                }
                if failures.is_empty() {
                    report.passed += 1;
                } else {
                    report.failures.push(format!("{}: {}", case.label, failures.join("; ")));
                }
            }
            Err(error @ Error::DeviceLost { .. }) => return Err(error),
            Err(error) => report.failures.push(format!("{}: {}", case.label, explain(&error))),
        }
    }
    if report.passed + report.failures.len() == 0 {
        return Err(Error::argument(format!("the cases of {}", entry.name), "none", "at least one that runs"));
    }
    Ok(report)
}
