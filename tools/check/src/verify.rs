//! Every op over many cases, compared with the f64 reference, and the laws that its outputs meet.

use std::collections::BTreeMap;

use super::{Calls, Case, Check, Claim, Gen, Relation, cases, exceeds, suite, trivial};
use drdiff::graph::{Call, ExecutorOptions, Prepared};
use drdiff::op::Entry;
use drdiff::{Device, Error, Result, explain};

/// Which cases run.
#[derive(Clone, Copy, Debug)]
pub struct VerifyOptions {
    /// Seed of the cases.
    pub seed: u64,
    /// Every how many-th case and relation runs; 1 for all of them.
    pub stride: usize,
    /// Leave an op at its first failure.
    pub fail_fast: bool,
    /// Sentinel words after every buffer, which must survive. Without, buffers end where their values end, for a
    /// validation layer that watches for accesses past the end.
    pub sentinels: bool,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { seed: 0, stride: 1, fail_fast: false, sentinels: true }
    }
}

/// Worst error of one output over all cases.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Worst {
    /// In the measure of the output's check: NMSE, or absolute where the check is.
    pub error: f64,
}

/// What came of an op's cases and relations.
#[derive(Clone, Debug, Default)]
pub struct OpReport {
    /// Cases that ran: calls compared with the f64 reference.
    pub cases: usize,
    /// Relations that ran: laws between the outputs of calls.
    pub relations: usize,
    /// What failed, in words, one line each.
    pub failures: Vec<String>,
    /// Worst error by output over the cases.
    pub worst: BTreeMap<&'static str, Worst>,
    /// Runs of cases: one for each choice of kernels that the device can run.
    pub runs: usize,
    /// A hash of every bit that the cases gave by the device's own choice of kernels, in order: equal where two devices or builds agree to the last bit.
    pub digest: u64,
}

impl OpReport {
    /// Cases and relations that met every check.
    pub fn passed(&self) -> usize {
        self.cases + self.relations - self.failures.len()
    }

    fn fail(&mut self, label: &str, why: &str) {
        self.failures.push(format!("{label}: {why}"));
    }
}

/// What came of one case.
#[derive(Clone, Debug, Default)]
pub struct CaseReport {
    /// The error of each output, in its check's measure.
    pub errors: Vec<(&'static str, f64)>,
    /// What failed, in words.
    pub failures: Vec<String>,
    /// A hash of the bits that the device's own choice of kernels gave.
    pub digest: u64,
    /// Choices of kernels that it was run by.
    pub runs: usize,
}

/// Takes words into a hash (FNV-1a, a word at a time).
fn hash(digest: u64, words: &[u32]) -> u64 {
    words.iter().fold(digest ^ 0xcbf2_9ce4_8422_2325, |digest, &word| {
        (digest ^ u64::from(word)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Runs one case on `device`, by every choice of kernels that the device can run, and on the reference. A case whose
/// expected outputs are all trivial (zero, or one value over and over) compares nothing, and fails.
///
/// # Errors
/// If the case could not be run at all.
pub fn run_case(entry: &Entry, case: &Case, device: &Device, sentinels: bool) -> Result<CaseReport> {
    let call = || Call::by_name(entry, case.arguments.try_clone()?);
    let mut reference = call()?.prepare(&Device::Reference, Default::default())?;
    reference.executor.run()?;
    let wanted = || reference.values.iter().filter_map(|&value| reference.executor.exact(value));
    let mut report = CaseReport::default();
    if wanted().all(trivial) {
        report.failures.push("every expected output is trivial, so the case compares nothing".to_owned());
    }
    for (run, place) in call()?.choices(device)?.into_iter().enumerate() {
        let options = ExecutorOptions { sentinels, choice: Some(place), ..Default::default() };
        let mut tested = call()?.prepare(device, options)?;
        tested.executor.run()?;
        let said = |what: String| if run == 0 { what } else { format!("choice {place}: {what}") };
        for ((&(name, accuracy), &got), want) in tested.outputs.iter().zip(&tested.values).zip(wanted()) {
            let got = tested.executor.read(got)?;
            if run == 0 {
                report.digest = hash(report.digest, got.words());
            }
            let judged = Check::of(entry.name(), accuracy).judge(&tested.inputs, &got, want);
            report.errors.push((name, judged.error));
            report.failures.extend(judged.failure.map(|failure| said(format!("{name}: {failure}"))));
        }
        report.failures.extend(broken_sentinels(&tested)?.into_iter().map(said));
        report.runs += 1;
    }
    Ok(report)
}

/// What to say of the buffers of a call whose sentinel words did not survive.
pub(super) fn broken_sentinels(prepared: &Prepared) -> Result<Vec<String>> {
    let broken = prepared.executor.check_sentinels()?;
    Ok(broken.into_iter().map(|buffer| format!("words after {buffer} were overwritten")).collect())
}

/// Runs the cases and relations of an op. The reference runs relations alone: as a case it would be compared with
/// itself.
///
/// # Errors
/// If the device was lost, or nothing ran.
pub fn verify(entry: &Entry, device: &Device, options: &VerifyOptions) -> Result<OpReport> {
    let mut report = OpReport::default();
    let stride = options.stride.max(1);
    let generator = |part: &str| Gen::new(options.seed, &format!("{}{part}", entry.name()));
    let own = cases(entry, &mut generator(""));
    let (values, relations) = match suite(entry.name()) {
        Some(suite) => ((suite.values)(&mut generator(" values")), (suite.relations)(&mut generator(" relations"))),
        None => Default::default(),
    };
    let all = if matches!(device, Device::Reference) { Vec::new() } else { [own, values].concat() };
    for case in all.iter().step_by(stride) {
        report.cases += 1;
        match run_case(entry, case, device, options.sentinels) {
            Ok(CaseReport { errors, failures, digest, runs }) => {
                report.runs += runs;
                report.digest = hash(report.digest, &[digest as u32, (digest >> 32) as u32]);
                for (name, error) in errors {
                    let worst = report.worst.entry(name).or_default();
                    if exceeds(error, worst.error) {
                        worst.error = error;
                    }
                }
                if !failures.is_empty() {
                    report.fail(&case.label, &failures.join("; "));
                }
            }
            Err(error @ Error::DeviceLost { .. }) => return Err(error),
            Err(error) => report.fail(&case.label, &explain(&error)),
        }
        if options.fail_fast && !report.failures.is_empty() {
            return Ok(report);
        }
    }
    for relation in relations.iter().step_by(stride) {
        report.relations += 1;
        match run_relation(entry, relation, device, options.sentinels) {
            Ok(failures) if failures.is_empty() => {}
            Ok(failures) => report.fail(&relation.label, &failures.join("; ")),
            Err(error @ Error::DeviceLost { .. }) => return Err(error),
            Err(error) => report.fail(&relation.label, &explain(&error)),
        }
        if options.fail_fast && !report.failures.is_empty() {
            return Ok(report);
        }
    }
    if report.cases + report.relations == 0 {
        return Err(Error::argument(format!("the cases of {}", entry.name()), "none", "at least one that runs"));
    }
    Ok(report)
}

/// Runs the calls of a relation on `device`; gives what failed, in words.
///
/// # Errors
/// If a call could not be run at all.
pub fn run_relation(entry: &Entry, relation: &Relation, device: &Device, sentinels: bool) -> Result<Vec<String>> {
    let mut calls = Calls::new(entry, device, sentinels);
    let claims = relation.claims(&mut calls)?;
    let mut failures = calls.failures;
    if claims.iter().all(|claim| trivial(&claim.want)) {
        failures.push("every expected output is trivial, so the relation compares nothing".to_owned());
    }
    failures.extend(claims.iter().filter_map(Claim::failure));
    Ok(failures)
}
