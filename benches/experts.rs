//! Benches of the experts and their router.

mod common;
mod family;

use criterion::{Criterion, criterion_group, criterion_main};

fn benches(criterion: &mut Criterion) {
    family::family(criterion, &["experts", "router"]);
}

criterion_group!(all, benches);
criterion_main!(all);
