//! Benches of attention: dense, and one sparse pattern over growing texts.

mod common;
mod family;

use criterion::{Criterion, criterion_group, criterion_main};

fn benches(criterion: &mut Criterion) {
    family::family(criterion, &["attention"]);
}

criterion_group!(all, benches);
criterion_main!(all);
