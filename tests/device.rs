//! Devices that are lost, borrowed, or too small.

mod common;

use std::ops::ControlFlow;

use drdiff::graph::RecordedOp;
use drdiff::ops::Linear;
use drdiff::{Desc, Device, Error, Gpu, Model, Prompt, Sampler, SessionOptions};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny");
const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models");

fn gpu() -> Gpu {
    match common::gpu() {
        Device::Gpu(gpu) => gpu,
        other => panic!("`gpu` opened {other:?}"),
    }
}

/// A device opened by the caller, with no feature and no more than WebGPU's default limits.
fn borrowed() -> Gpu {
    pollster::block_on(async {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = instance.request_adapter(&Default::default()).await.expect("an adapter answers");
        let (device, queue) = adapter.request_device(&wgpu::DeviceDescriptor::default()).await.unwrap();
        Gpu::from_wgpu(&adapter, device, queue)
    })
}

fn generate(device: &Device) -> Result<String, Error> {
    let model = Model::load(TINY, device)?;
    let mut session = model.session(SessionOptions { length: 40, ..Default::default() })?;
    let sampler = Sampler { steps: 3, ..Sampler::default() };
    session.generate(&Prompt::prefix("the"), &sampler, |_| ControlFlow::Continue(()))
}

#[test]
fn a_borrowed_device_with_default_limits_runs_the_model() {
    assert_eq!(generate(&borrowed().into()).unwrap(), generate(&Device::Cpu).unwrap());
}

#[test]
fn an_op_runs_in_the_callers_commands() {
    let gpu = borrowed();
    let upload = |values: &[f32]| gpu.upload("values", bytemuck::cast_slice(values)).unwrap();
    let (x, weight) = (upload(&[1.0, 2.0, 3.0]), upload(&[1.0, 0.0, 0.0, 0.5, 0.5, 0.5]));
    let y = gpu.buffer("y", 8).unwrap();
    let inputs =
        [Some((Desc::f32([1, 3]), (&x).into())), Some((Desc::f32([2, 3]), (&weight).into())), None, None, None];
    let op = RecordedOp::new(&gpu, &Linear::default(), &inputs, &[(&y).into()]).unwrap();
    assert_eq!(op.outputs(), [Desc::f32([1, 2])]);
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    op.encode(&mut encoder);
    gpu.queue().submit([encoder.finish()]);
    let words = gpu.download(&y, 2).unwrap();
    assert_eq!(words.into_iter().map(f32::from_bits).collect::<Vec<_>>(), [1.0, 3.0]);
    let short = gpu.buffer("short", 16).unwrap();
    let inputs =
        [Some((Desc::f32([9, 3]), (&short).into())), Some((Desc::f32([2, 3]), (&weight).into())), None, None, None];
    let error = RecordedOp::new(&gpu, &Linear::default(), &inputs, &[(&y).into()]).unwrap_err();
    assert!(matches!(error, Error::Shape { op: "linear", .. }), "{error}");
}

#[test]
fn a_lost_device_is_an_error_that_says_so() {
    let gpu = gpu();
    gpu.device().destroy();
    let error = generate(&gpu.into()).unwrap_err();
    assert!(matches!(error, Error::DeviceLost { .. }), "{error:?}");
}

#[test]
fn what_no_binding_holds_is_refused_with_the_length_that_fits() {
    let device = Device::from(borrowed());
    let model = Model::load(SHIPPED, &device).unwrap();
    let batch = |length, count| model.session(SessionOptions { length, ..Default::default() }).unwrap().prepare(count);
    let error = batch(131_072, 8).unwrap_err();
    let Error::Limit { needed, limit, fits: Some(fits), .. } = error else { panic!("{error:?}") };
    assert!(needed > limit);
    assert!((1024..131_072).contains(&fits), "{error}");
    assert!(matches!(batch(fits + 1, 8), Err(Error::Limit { .. })), "one more does not fit");
}

/// Refuses each allocation that `call` makes on the device, one a call, until none is left; gives how many there were.
fn each_refused(gpu: &Gpu, mut call: impl FnMut() -> Result<(), Error>) -> u64 {
    for refused in 1.. {
        gpu.refuse_allocation(refused);
        match call() {
            Ok(()) => {
                gpu.refuse_allocation(0);
                return refused - 1;
            }
            Err(error) => assert!(matches!(error, Error::OutOfMemory { .. }), "{error:?}"),
        }
    }
    unreachable!("some call makes no more allocations")
}

#[test]
fn each_allocation_that_fails_is_an_error_and_the_device_goes_on() {
    let gpu = gpu();
    let model = Model::load(TINY, &gpu.clone().into()).unwrap();
    let options = SessionOptions { length: 40, profile: true, inspect: true };
    let sampler = Sampler { steps: 2, guidance: 0.5, ..Sampler::default() };
    let run = || {
        let mut failed = None;
        let text = model.session(options)?.generate(&Prompt::prefix("the"), &sampler, |progress| {
            failed = progress.times().and(progress.routing()).err();
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        failed.map_or(text, Err)
    };
    let mut text = String::new();
    let refused = each_refused(&gpu, || run().map(|made| text = made));
    assert!(refused > 200, "{refused}");
    assert_eq!(text, run().unwrap());
    let on_the_cpu = Model::load(TINY, &Device::Cpu).unwrap();
    let mut session = on_the_cpu.session(SessionOptions { length: 40, ..Default::default() }).unwrap();
    let expected = session.generate(&Prompt::prefix("the"), &sampler, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(text, expected);
}

#[test]
fn a_write_of_any_size_is_staged_in_parts() {
    let gpu = gpu();
    let words: Vec<u32> = (0..10_000_000).collect();
    let mut buffer = None;
    let refused = each_refused(&gpu, || {
        buffer = Some(gpu.upload("many words", &words)?);
        Ok(())
    });
    assert!(refused > 2, "the buffer and its parts, not {refused}");
    assert!(gpu.download(&buffer.unwrap(), words.len()).unwrap() == words);
}
