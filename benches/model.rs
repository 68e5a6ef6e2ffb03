//! Benches of whole steps of the shipped model.

mod common;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use drdiff::graph::{Executor, ExecutorOptions};
use drdiff::model::{Denoiser, DenoiserShape, Model, Sharpening};

fn step(criterion: &mut Criterion) {
    for (place, device) in common::devices() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
        let model = Model::load(folder, &device).expect("the shipped model loads");
        let config = model.config();
        let mut group = criterion.benchmark_group(format!("{place}/step"));
        group.sample_size(10);
        for positions in [256, 1024] {
            let level = config.levels[config.level(positions).expect("a level for this length")].clone();
            let shape = DenoiserShape {
                batch: 1,
                positions,
                level,
                guidance: false,
                sharpening: Sharpening::default(),
                inspect: false,
            };
            let Denoiser { graph, handles } = Denoiser::new(&model, &shape).expect("the graph is built");
            let mut executor = Executor::new(&device, graph, ExecutorOptions::default()).expect("it fits");
            handles.write_layout(&mut executor, &shape, config, &[positions], 0.0).expect("the layout is written");
            group.throughput(Throughput::Elements(positions as u64));
            group.bench_function(BenchmarkId::from_parameter(positions), |bencher| {
                bencher.iter(|| {
                    executor.run().expect("the step runs");
                    executor.wait().expect("the device is there");
                });
            });
        }
    }
}

criterion_group!(all, step);
criterion_main!(all);
