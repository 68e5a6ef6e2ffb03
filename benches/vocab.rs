//! Benches of the vocabulary: expectation and rounding.

mod common;
mod family;

use criterion::{Criterion, criterion_group, criterion_main};

fn benches(criterion: &mut Criterion) {
    family::family(criterion, &["vocab_expectation", "rounding"]);
}

criterion_group!(all, benches);
criterion_main!(all);
