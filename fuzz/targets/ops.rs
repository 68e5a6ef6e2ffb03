//! Calls of every op with tensors and settings near good ones: an error in words or outputs, on `cpu` as on `reference`.
#![no_main]

use arbitrary::{Result, Unstructured};
use drdiff::graph::Call;
use drdiff::op::{Arguments, Entry};
use drdiff::ops::REGISTRY;
use drdiff::{Device, Error};
use drdiff_fuzz::call::{arguments, bytes};
use libfuzzer_sys::fuzz_target;

/// Of so many calls of an op, one at least must be a good one: otherwise all that is fuzzed is how it refuses.
const TRIES: u32 = 200;

fuzz_target!(init: {
    drdiff_fuzz::one_thread();
    for entry in REGISTRY {
        let good = |seed| {
            let bytes = bytes(seed);
            arguments(entry, &mut Unstructured::new(&bytes)).is_ok_and(|all| call(entry, all, &Device::Cpu).is_ok())
        };
        assert!((0..TRIES).any(good), "no call of {} is a good one: tell fuzz/src/call.rs of it", entry.name());
    }
}, |data: &[u8]| {
    // Input that is used up is no finding.
    let _ = run(data);
});

fn run(data: &[u8]) -> Result<()> {
    let mut u = Unstructured::new(data);
    let entry = u.choose(REGISTRY)?;
    let arguments = arguments(entry, &mut u)?;
    let cpu = call(entry, arguments.clone(), &Device::Cpu);
    let reference = call(entry, arguments, &Device::Reference);
    match (cpu, reference) {
        (Ok(()), Ok(()))
        | (Err(_), Err(_))
        | (Err(Error::OutOfMemory { .. }), _)
        | (_, Err(Error::OutOfMemory { .. })) => {}
        (cpu, reference) => panic!("{}: cpu {cpu:?}, reference {reference:?}", entry.name()),
    }
    Ok(())
}

fn call(entry: &Entry, arguments: Arguments, device: &Device) -> drdiff::Result<()> {
    let mut prepared = Call::by_name(entry, arguments)?.prepare(device, Default::default())?;
    prepared.executor.run()?;
    for &value in &prepared.values {
        let tensor = prepared.executor.read(value)?;
        assert_eq!(tensor.words().len(), tensor.desc().len());
    }
    Ok(())
}
