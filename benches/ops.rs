//! Benches of every op of the registry: the cases of `drdiff bench`, under criterion. `cargo bench --bench ops -- linear`
//! measures one.

mod common;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use drdiff::Tensor;
use drdiff::graph::{Call, ExecutorOptions};
use drdiff::ops::REGISTRY;
use drdiff_check::{Gen, benches};

fn ops(criterion: &mut Criterion) {
    for (place, device) in common::devices() {
        for entry in REGISTRY {
            let mut group = criterion.benchmark_group(format!("{place}/{}", entry.name()));
            group.sample_size(10);
            for case in benches(entry, &mut Gen::new(0, entry.name())) {
                let call = || Call::by_name(entry, case.arguments.clone()).expect("a bench case is a good call");
                let (op, inputs) = call().into_parts();
                let descs: Vec<_> = inputs.iter().map(|input| input.as_ref().map(Tensor::desc)).collect();
                let cost = op.cost(&op.infer(&descs).expect("a bench case has good shapes"));
                group.throughput(Throughput::Elements(cost.flops as u64));
                // Only where the bench is not filtered out, and once for all rounds.
                let mut executor = None;
                let prepare = || {
                    let prepared = call().prepare(&device, ExecutorOptions::default());
                    prepared.expect("a bench case fits").executor
                };
                group.bench_function(BenchmarkId::from_parameter(&case.label), |bencher| {
                    let executor = executor.get_or_insert_with(prepare);
                    bencher.iter(|| {
                        executor.run().expect("the op runs");
                        executor.wait().expect("the device is there");
                    });
                });
            }
        }
    }
}

criterion_group!(all, ops);
criterion_main!(all);
