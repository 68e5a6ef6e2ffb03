//! Every op's cases and relations on the CPU device and on a GPU.

mod common;

use drdiff::Device;
use drdiff::gpu::BoundsChecks;
use drdiff::op::{Arguments, Entry};
use drdiff::ops::REGISTRY;
use drdiff_check::{Case, Claim, Gen, Relation, VerifyOptions, cases, run_case, run_relation, suite, verify};

fn all_pass(device: &Device, stride: usize) {
    all_of(device, stride, |_| true);
}

fn all_of(device: &Device, stride: usize, which: fn(&Entry) -> bool) {
    for entry in REGISTRY.iter().filter(|entry| which(entry)) {
        let report = verify(entry, device, &VerifyOptions { seed: 1, stride, ..Default::default() }).unwrap();
        assert!(report.passed() > 0, "{}: no case ran", entry.name());
        assert!(report.failures.is_empty(), "{}: {:#?}", entry.name(), report.failures);
    }
}

#[test]
fn cpu_matches_the_reference() {
    all_pass(&Device::Cpu, 1);
}

/// The oracle meets the laws too, of those ops that have some.
#[test]
fn the_reference_meets_the_laws() {
    all_of(&Device::Reference, 3, |entry| suite(entry.name()).is_some());
}

/// Every 23rd case under another seed; `drdiff verify` runs all of them.
#[test]
fn gpu_matches_the_reference() {
    all_pass(&common::gpu(), 23);
}

/// No kernel relies on the checks of array indices that wgpu adds.
#[test]
fn gpu_matches_the_reference_without_bounds_checks() {
    all_pass(&common::gpu_with(BoundsChecks::Off), 31);
}

#[test]
fn there_are_many_cases() {
    let count = |entry: &Entry| {
        let g = || Gen::new(0, entry.name());
        let of_suite =
            suite(entry.name()).map_or(0, |suite| (suite.values)(&mut g()).len() + (suite.relations)(&mut g()).len());
        cases(entry, &mut g()).len() + of_suite
    };
    let cases: usize = REGISTRY.iter().map(count).sum();
    assert!(cases >= 7500, "{cases} cases and relations: two devices make 15,000 comparisons");
}

#[test]
fn cases_follow_from_the_seed() {
    for entry in REGISTRY {
        let labels = |seed| -> Vec<String> {
            let values =
                suite(entry.name()).map_or_else(Vec::new, |suite| (suite.values)(&mut Gen::new(seed, entry.name())));
            let cases = cases(entry, &mut Gen::new(seed, entry.name())).into_iter();
            cases.take(5).chain(values.into_iter().take(5)).map(|case| format!("{case:?}")).collect()
        };
        assert_eq!(labels(3), labels(3), "{}", entry.name());
    }
}

fn linear() -> &'static Entry {
    REGISTRY.iter().find(|entry| entry.name() == "linear").unwrap()
}

fn products(g: &mut Gen, size: f32) -> Arguments {
    Arguments::new().with("x", g.normal([9, 3], size)).with("weight", g.normal([2, 3], 1.0))
}

/// A case or relation that expects zeros, or one value throughout, compares nothing.
#[test]
fn trivial_outputs_are_no_comparison() {
    let zeros = Case::new("zeros", products(&mut Gen::new(0, ""), 0.0));
    let report = run_case(linear(), &zeros, &Device::Cpu, true).unwrap();
    assert!(report.failures.iter().any(|failure| failure.contains("trivial")), "{:?}", report.failures);
    let law = Relation::new("zeros", |calls| {
        let y = calls.run(&products(&mut Gen::new(0, ""), 0.0))?;
        Ok(vec![y.same("y", y.get("y")?)?])
    });
    let failures = run_relation(linear(), &law, &Device::Cpu, true).unwrap();
    assert!(failures.iter().any(|failure| failure.contains("trivial")), "{failures:?}");
}

#[test]
fn a_broken_law_is_found() {
    let law = Relation::new("y of x is y of 2 x", |calls| {
        let once = calls.run(&products(&mut Gen::new(0, ""), 1.0))?;
        let twice = calls.run(&products(&mut Gen::new(0, ""), 2.0))?;
        Ok(vec![twice.close("y", once.wide("y")?)?, Claim::same("y", twice.get("y")?, once.get("y")?)])
    });
    assert_eq!(run_relation(linear(), &law, &Device::Cpu, true).unwrap().len(), 2);
}
