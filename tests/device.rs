//! Devices that are lost, borrowed, or too small.

mod common;

use std::ops::ControlFlow;

use drdiff::graph::{Constant, Executor, ExecutorOptions, Graph, RecordedOp};
use drdiff::ops::Linear;
use drdiff::{Desc, Device, Error, Gpu, Model, Prompt, Sampler, SessionOptions, Tensor};

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

/// Refuses each allocation that `call` makes on the device, one a call, until none is left; gives what each was for.
fn each_refused(gpu: &Gpu, mut call: impl FnMut() -> Result<(), Error>) -> Vec<String> {
    let mut culprits = Vec::new();
    for refused in 1.. {
        gpu.refuse_allocation(refused);
        match call() {
            Ok(()) => break,
            Err(Error::OutOfMemory { what, .. }) => culprits.push(what),
            Err(error) => panic!("{error:?}"),
        }
    }
    gpu.refuse_allocation(0);
    culprits
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
    // Kernels and weights stay with the device from now on, so that each call asks for the same things.
    let text = run().unwrap();
    let refused = each_refused(&gpu, || run().map(|again| assert_eq!(again, text)));
    assert!(refused.len() > 150, "{}", refused.len());
    // One scope is around all that an executor makes, and yet each refusal names what it was.
    for culprit in [
        "temporary values (slot 0)",
        "`step` of ",
        "a kernel's parameters",
        "the bindings of attention/",
        "op times",
        "staged rows",
        "a state",
        "a run",
        "a read-back",
    ] {
        assert!(refused.iter().any(|what| what.starts_with(culprit)), "{culprit}: {refused:#?}");
    }
    let on_the_cpu = Model::load(TINY, &Device::Cpu).unwrap();
    let mut session = on_the_cpu.session(SessionOptions { length: 40, ..Default::default() }).unwrap();
    let expected = session.generate(&Prompt::prefix("the"), &sampler, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(text, expected);
}

#[test]
fn kernels_and_constants_that_fail_are_named() {
    let gpu = gpu();
    let refused = each_refused(&gpu, || {
        let mut graph = Graph::new();
        let weight = Constant::new(Tensor::f32([2, 3], vec![1.0; 6])?);
        let (x, weight) = (graph.state(Desc::f32([1, 3])), graph.constant(&weight));
        graph.push1(Linear::default(), &[Some(x), Some(weight), None, None, None])?;
        Executor::new(&gpu.clone().into(), graph, ExecutorOptions::default()).map(|_| ())
    });
    let expected = [
        "the kernel nn/linear",
        "temporary values (slot 0)",
        // From here on the kernel is there, and its place ahead of all falls to the next thing: what came behind the
        // temporary values is passed over.
        "a constant",
        "absent inputs",
        // The buffer and its words.
        "a kernel's parameters",
        "a kernel's parameters",
        "the bindings of nn/linear",
        // Its words.
        "a constant",
    ];
    assert_eq!(refused.len(), expected.len(), "{refused:#?}");
    assert!(refused.iter().zip(expected).all(|(what, expected)| what.starts_with(expected)), "{refused:#?}");
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
    assert!(refused.len() > 2, "the buffer and its parts, not {refused:?}");
    assert!(gpu.download(&buffer.unwrap(), words.len()).unwrap() == words);
}
