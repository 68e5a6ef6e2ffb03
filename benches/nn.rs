//! Benches of the layers.

mod common;
mod family;

use criterion::{Criterion, criterion_group, criterion_main};

fn benches(criterion: &mut Criterion) {
    family::family(criterion, &["linear", "norm", "rope", "embedding", "time_embedding"]);
}

criterion_group!(all, benches);
criterion_main!(all);
