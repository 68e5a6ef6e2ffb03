//! Benches of an op family: every bench case of its registry entries.

use criterion::{BenchmarkId, Criterion, Throughput};
use drdiff::graph::Call;
use drdiff::ops::REGISTRY;
use drdiff_check::{Gen, benches};

use crate::common::devices;

/// Measures the ops of these names.
pub fn family(criterion: &mut Criterion, names: &[&str]) {
    for (place, device) in devices() {
        for entry in REGISTRY.iter().filter(|entry| names.contains(&entry.name())) {
            let mut group = criterion.benchmark_group(format!("{place}/{}", entry.name()));
            group.sample_size(10);
            for case in benches(entry, &mut Gen::new(0, entry.name())) {
                let call = Call::by_name(entry, case.arguments).expect("a bench case is a good call");
                let mut prepared = call.prepare(&device, Default::default()).expect("a bench case fits");
                let flops: f64 = prepared.executor.graph().costs().iter().map(|(_, cost)| cost.flops).sum();
                group.throughput(Throughput::Elements(flops as u64));
                group.bench_function(BenchmarkId::from_parameter(&case.label), |bencher| {
                    bencher.iter(|| {
                        prepared.executor.run().expect("the op runs");
                        prepared.executor.wait().expect("the device is there");
                    });
                });
            }
        }
    }
}
