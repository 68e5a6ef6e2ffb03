//! Every op's cases on the CPU device and on a GPU, against the f64 reference.

mod common;

use drdiff::Device;
use drdiff::check::{Gen, verify};
use drdiff::ops::REGISTRY;

fn all_pass(device: &Device, stride: usize) {
    for entry in REGISTRY {
        let report = verify(entry, device, 1, stride).unwrap();
        assert!(report.passed > 0, "{}: no case ran", entry.name);
        assert!(report.failures.is_empty(), "{}: {:#?}", entry.name, report.failures);
    }
}

#[test]
fn cpu_matches_the_reference() {
    all_pass(&Device::Cpu, 1);
}

/// Every seventh case under another seed; `drdiff verify` runs all of them.
#[test]
fn gpu_matches_the_reference() {
    all_pass(&common::gpu(), 7);
}

#[test]
fn there_are_two_thousand_cases() {
    let cases: usize = REGISTRY.iter().map(|entry| (entry.cases)(&mut Gen::new(0, entry.name)).len()).sum();
    assert!(cases >= 2000, "{cases} cases");
}

#[test]
fn cases_follow_from_the_seed() {
    for entry in REGISTRY {
        let labels = |seed| -> Vec<String> {
            (entry.cases)(&mut Gen::new(seed, entry.name)).into_iter().map(|case| format!("{case:?}")).take(5).collect()
        };
        assert_eq!(labels(3), labels(3), "{}", entry.name);
    }
}
