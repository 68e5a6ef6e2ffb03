//! Benches of the solver and its noise.

mod common;
mod family;

use criterion::{Criterion, criterion_group, criterion_main};

fn benches(criterion: &mut Criterion) {
    family::family(criterion, &["solver", "solver_step", "bayes_query", "segment_mean", "finite_check", "noise"]);
}

criterion_group!(all, benches);
criterion_main!(all);
