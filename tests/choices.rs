//! Which tile a device prefers is a matter of speed: the choices of one tier give the same bits.

mod common;

use drdiff::graph::{Call, ExecutorOptions};
use drdiff::op::Entry;
use drdiff::ops::REGISTRY;
use drdiff_check::{Gen, cases};

/// Ops whose kernels are products in tiles of several shapes.
const OPS: [&str; 2] = ["linear", "experts"];

/// Runs cases of an op by each of its choices.
fn same_bits(entry: &Entry) {
    let device = common::gpu();
    let mut compared = 0;
    for case in cases(entry, &mut Gen::new(3, entry.name())).into_iter().step_by(9) {
        let call = || Call::by_name(entry, case.arguments.try_clone().unwrap()).unwrap();
        let mut first: Option<Vec<Vec<u32>>> = None;
        for place in call().choices(&device).unwrap() {
            let options = ExecutorOptions { choice: Some(place), ..Default::default() };
            let mut prepared = call().prepare(&device, options).unwrap();
            prepared.executor.run().unwrap();
            let read = |&value: &_| prepared.executor.read(value).unwrap().words().to_vec();
            let words: Vec<_> = prepared.values.iter().map(read).collect();
            let label = &case.label;
            compared += usize::from(first.is_some());
            assert!(*first.get_or_insert_with(|| words.clone()) == words, "{}: {label}: choice {place}", entry.name());
        }
    }
    assert!(compared > 50, "{}: {compared} choices were compared with the first", entry.name());
}

#[test]
fn choices_of_products_give_the_same_bits() {
    for name in OPS {
        same_bits(REGISTRY.iter().find(|entry| entry.name() == name).unwrap());
    }
}
