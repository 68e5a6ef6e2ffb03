//! Sessions side by side, devices side by side, and what is left of them.

mod common;

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use drdiff::gpu::BorrowOptions;
use drdiff::graph::{Constant, Executor, Graph, RecordedOp};
use drdiff::ops::Linear;
use drdiff::{Desc, Device, Error, Gpu, Model, Prompt, Result, Sampler, SessionOptions, Tensor};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny");

fn gpu() -> Gpu {
    match common::gpu() {
        Device::Gpu(gpu) => gpu,
        other => panic!("`gpu` opened {other:?}"),
    }
}

fn sampler(seed: u64) -> Sampler {
    Sampler { steps: 4, seed, ..Sampler::default() }
}

fn text(model: &Model, length: usize, seed: u64) -> Result<String> {
    let mut session = model.session(SessionOptions { length, ..Default::default() })?;
    session.generate(&Prompt::prefix("the"), &sampler(seed), |_| ControlFlow::Continue(()))
}

#[test]
fn sessions_in_threads_make_the_texts_they_make_alone() {
    let model = Model::load(TINY, &common::gpu()).unwrap();
    // Of different levels, so that the graphs differ as well.
    let jobs = [(24, 1), (90, 2), (24, 3), (200, 4)];
    let alone = jobs.map(|(length, seed)| text(&model, length, seed).unwrap());
    // And once without a pipeline there yet.
    let fresh = Model::load(TINY, &common::gpu()).unwrap();
    for model in [&model, &fresh] {
        std::thread::scope(|scope| {
            let threads = jobs.map(|(length, seed)| {
                scope.spawn(move || (0..3).map(|_| text(model, length, seed).unwrap()).collect::<Vec<_>>())
            });
            for (thread, alone) in threads.into_iter().zip(&alone) {
                assert!(thread.join().unwrap().iter().all(|text| text == alone));
            }
        });
    }
}

#[test]
fn one_device_of_two_may_go() {
    let [one, other] = [gpu(), gpu()];
    let models = [&one, &other].map(|gpu| Model::load(TINY, &gpu.clone().into()).unwrap());
    let expected = text(&models[0], 40, 5).unwrap();
    let [lost, kept] = std::thread::scope(|scope| {
        let threads = models.each_ref().map(|model| {
            let lost = std::ptr::eq(model, &raw const models[0]).then_some(&one);
            let expected = &expected;
            scope.spawn(move || {
                for round in 0..6 {
                    if let (3, Some(gpu)) = (round, lost) {
                        gpu.device().destroy();
                    }
                    assert_eq!(text(model, 40, 5)?, *expected);
                }
                Ok::<_, Error>(())
            })
        });
        threads.map(|thread| thread.join().unwrap())
    });
    assert!(matches!(lost, Err(Error::DeviceLost { .. })), "{lost:?}");
    kept.unwrap();
    drop(one);
    assert_eq!(text(&models[1], 40, 5).unwrap(), expected);
}

/// A loss while the run waits for the device, or is anywhere else.
#[test]
fn a_device_lost_by_another_thread_ends_the_run() {
    for milliseconds in [0, 1, 3, 10, 30, 100] {
        let gpu = gpu();
        let model = Model::load(TINY, &gpu.clone().into()).unwrap();
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(milliseconds));
                gpu.device().destroy();
            });
            let mut session = model.session(SessionOptions { length: 40, ..Default::default() })?;
            let sampler = Sampler { steps: 10_000, ..Sampler::default() };
            session.generate(&Prompt::none(), &sampler, |_| ControlFlow::Continue(()))
        });
        assert!(matches!(outcome, Err(Error::DeviceLost { .. })), "after {milliseconds} ms: {outcome:?}");
    }
}

#[test]
fn a_device_lost_between_two_steps_ends_the_run() {
    for step in 1..=4 {
        let gpu = gpu();
        let model = Model::load(TINY, &gpu.clone().into()).unwrap();
        let mut session = model.session(SessionOptions { length: 40, ..Default::default() }).unwrap();
        let outcome = session.generate(&Prompt::none(), &sampler(0), |progress| {
            if progress.step == step {
                gpu.device().destroy();
                assert!(matches!(progress.snapshot(), Err(Error::DeviceLost { .. })));
                assert!(matches!(progress.state(), Err(Error::DeviceLost { .. })));
            }
            ControlFlow::Continue(())
        });
        assert!(matches!(outcome, Err(Error::DeviceLost { .. })), "after step {step}: {outcome:?}");
        let again = session.generate(&Prompt::none(), &sampler(0), |_| ControlFlow::Continue(()));
        assert!(matches!(again, Err(Error::DeviceLost { .. })), "{again:?}");
    }
}

/// Bytes in use on the device, once everything let go of is freed.
fn allocated(gpu: &Gpu) -> u64 {
    gpu.wait().unwrap();
    let report = gpu.device().generate_allocator_report().expect("wgpu allocates on Vulkan itself");
    report.total_allocated_bytes
}

#[test]
fn memory_comes_back() {
    let gpu = gpu();
    let model = Model::load(TINY, &gpu.clone().into()).unwrap();
    let expected = text(&model, 90, 1).unwrap();
    // What stays: weights and what stands in for absent inputs.
    let before = allocated(&gpu);
    assert!(before > 0);
    for round in 0..50 {
        let mut session = model.session(SessionOptions { length: 90, ..Default::default() }).unwrap();
        let mut during = 0;
        // Whole runs, stopped ones, and ones whose caller panics.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            session.generate(&Prompt::prefix("the"), &sampler(1), |progress| {
                during = allocated(&gpu);
                match (round % 3, progress.step) {
                    (1, 2) => ControlFlow::Break(()),
                    (2, 2) => std::panic::resume_unwind(Box::new("the caller gives up")),
                    _ => ControlFlow::Continue(()),
                }
            })
        }));
        match (round % 3, outcome) {
            (0, Ok(Ok(text))) => assert_eq!(text, expected),
            (1, Ok(Err(Error::Stopped { step: 2, .. }))) | (2, Err(_)) => {}
            (_, other) => panic!("round {round}: {other:?}"),
        }
        // A session that was left in the middle makes the same text as a new one.
        if round % 10 == 2 {
            let text = session.generate(&Prompt::prefix("the"), &sampler(1), |_| ControlFlow::Continue(()));
            assert_eq!(text.unwrap(), expected);
        }
        assert!(during > before, "a session takes memory");
        drop(session);
        assert_eq!(allocated(&gpu), before, "round {round}");
    }
    assert_eq!(text(&model, 90, 1).unwrap(), expected);
}

/// Bytes in use on the device at this moment.
fn in_use(gpu: &Gpu) -> u64 {
    gpu.device().generate_allocator_report().expect("wgpu allocates on Vulkan itself").total_allocated_bytes
}

#[test]
fn what_is_dropped_is_free_at_once() {
    let gpu = gpu();
    // Whatever the device keeps for itself.
    drop(gpu.upload("x", &[1; 4]).unwrap());
    let empty = allocated(&gpu);
    let model = Model::load(TINY, &gpu.clone().into()).unwrap();
    assert_eq!(in_use(&gpu), empty, "weights go to the device with the first session");
    text(&model, 90, 1).unwrap();
    let weights = in_use(&gpu);
    assert!(weights > empty);
    text(&model, 24, 1).unwrap();
    assert_eq!(in_use(&gpu), weights, "once for all sessions");
    let mut session = model.session(SessionOptions { length: 24, ..Default::default() }).unwrap();
    session.prepare(2).unwrap();
    assert!(in_use(&gpu) > weights);
    // A session needs no more of its model than it holds itself.
    drop(model);
    session.generate(&Prompt::none(), &sampler(1), |_| ControlFlow::Continue(())).unwrap();
    drop(session);
    assert_eq!(in_use(&gpu), empty);
}

/// A graph of one op over `weight`.
fn product(weight: &Constant) -> Graph {
    let mut graph = Graph::new();
    let x = graph.state(Desc::f32([1, 256]));
    let weight = graph.constant(weight);
    let y = graph.push1(Linear::default(), &[Some(x), Some(weight), None, None, None]).unwrap();
    graph.keep(y);
    graph
}

#[test]
fn a_constant_is_on_each_device_once_and_goes_with_either() {
    const BYTES: u64 = 256 * 256 * 4;
    let weight = Constant::new(Tensor::f32([256, 256], vec![0.5; 256 * 256]).unwrap());
    let run = |gpu: &Gpu| Executor::new(&gpu.clone().into(), product(&weight), Default::default()).unwrap();
    let [first, second] = [gpu(), gpu()];
    drop(first.upload("x", &[1; 4]).unwrap());
    let empty = allocated(&first);
    for gpu in [&first, &second, &first, &second] {
        let one = run(gpu);
        let with_one = allocated(gpu);
        let two = run(gpu);
        let more = allocated(gpu) - with_one;
        assert!(more > 0 && more < BYTES, "{more} for a second graph");
        drop((one, two));
        assert!((BYTES..2 * BYTES).contains(&(allocated(gpu) - empty)), "it stays");
    }
    // A device that is gone leaves nothing with the constant, which goes on elsewhere.
    drop(second);
    let mut executor = run(&first);
    executor.run().unwrap();
    executor.wait().unwrap();
    drop(executor);
    drop(weight);
    assert_eq!(in_use(&first), empty);
}

/// What is wrong, and nobody's: a buffer that no device grants, asked for outside any error scope.
fn provoke(gpu: &Gpu) {
    let _refused = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::MAX - 3,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    });
}

#[test]
fn every_clone_of_a_handle_hears_of_the_devices_errors() {
    let first = gpu();
    let clone = first.clone();
    provoke(&first);
    for handle in [&first, &clone] {
        assert!(matches!(handle.check(), Err(Error::Gpu { .. })));
        assert!(handle.check().is_ok(), "once each");
    }
    // What happened before a handle was made is none of its business.
    provoke(&clone);
    assert!(first.clone().check().is_ok());
    assert!(first.check().is_err());

    // Nor is it a later run's; an error during a run fails it.
    let model = Model::load(TINY, &clone.clone().into()).unwrap();
    assert!(text(&model, 24, 1).is_ok());
    let mut session = model.session(SessionOptions { length: 24, ..Default::default() }).unwrap();
    let outcome = session.generate(&Prompt::none(), &sampler(1), |progress| {
        if progress.step == 2 {
            provoke(&first);
        }
        ControlFlow::Continue(())
    });
    assert!(matches!(outcome, Err(Error::Gpu { .. })), "{outcome:?}");
    assert!(session.generate(&Prompt::none(), &sampler(1), |_| ControlFlow::Continue(())).is_ok());

    // And a loss is everybody's.
    clone.device().destroy();
    assert!(matches!(first.wait(), Err(Error::DeviceLost { .. })));
    assert!(matches!(clone.check(), Err(Error::DeviceLost { .. })));
}

/// What an app's own callbacks were told.
#[derive(Default)]
struct Told {
    errors: AtomicUsize,
    losses: AtomicUsize,
}

fn app() -> (wgpu::Adapter, wgpu::Device, wgpu::Queue, Arc<Told>) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let (adapter, device, queue) = pollster::block_on(async {
        let adapter = instance.request_adapter(&Default::default()).await.expect("an adapter answers");
        let (device, queue) = adapter.request_device(&wgpu::DeviceDescriptor::default()).await.unwrap();
        (adapter, device, queue)
    });
    let told = Arc::new(Told::default());
    let hears = Arc::clone(&told);
    device.on_uncaptured_error(Arc::new(move |_| {
        hears.errors.fetch_add(1, SeqCst);
    }));
    let hears = Arc::clone(&told);
    device.set_device_lost_callback(move |_, _| {
        hears.losses.fetch_add(1, SeqCst);
    });
    (adapter, device, queue, told)
}

#[test]
fn an_apps_callbacks_stay_the_apps_and_what_is_drdiffs_comes_from_its_calls() {
    let (adapter, device, queue, told) = app();
    let heard = || [&told.errors, &told.losses].map(|count| count.load(SeqCst));
    // Two handles, each opened on its own.
    let handles = [(); 2].map(|()| Gpu::from_wgpu(&adapter, device.clone(), queue.clone()));
    let models = handles.each_ref().map(|gpu| Model::load(TINY, &gpu.clone().into()).unwrap());
    assert_eq!(text(&models[0], 24, 1).unwrap(), text(&models[1], 24, 1).unwrap());
    assert_eq!(heard(), [0, 0]);

    // The app's error is the app's.
    provoke(&handles[0]);
    assert_eq!(heard(), [1, 0]);
    assert!(handles.iter().all(|gpu| gpu.check().is_ok()));
    // Ours is ours: a buffer that no kernel can be bound to.
    let x = handles[0].upload("x", &[0; 4]).unwrap();
    let usage = wgpu::BufferUsages::COPY_DST;
    let y = device.create_buffer(&wgpu::BufferDescriptor { label: None, size: 16, usage, mapped_at_creation: false });
    let row = || Some((Desc::f32([1, 3]), (&x).into()));
    let inputs = [row(), row(), None, None, None];
    let refused = RecordedOp::new(&handles[0], &Linear::default(), &inputs, &[(&y).into()]).unwrap_err();
    assert!(
        matches!(&refused, Error::Gpu { what, .. } if what.starts_with("the bindings of nn/linear")),
        "{refused:?}"
    );
    // What was refused spoils nothing that comes after it.
    let y = handles[0].buffer("y", 4).unwrap();
    RecordedOp::new(&handles[0], &Linear::default(), &inputs, &[(&y).into()]).unwrap();
    let refused = handles[0]
        .download(
            &device.create_buffer(&wgpu::BufferDescriptor { label: None, size: 16, usage, mapped_at_creation: false }),
            4,
        )
        .unwrap_err();
    assert!(matches!(&refused, Error::Gpu { what, .. } if what == "a read-back"), "{refused:?}");
    assert_eq!(heard(), [1, 0]);

    // A loss is everybody's.
    device.destroy();
    for (gpu, model) in handles.iter().zip(&models) {
        assert!(matches!(text(model, 24, 1), Err(Error::DeviceLost { .. })));
        assert!(matches!(gpu.wait(), Err(Error::DeviceLost { .. })));
        assert!(matches!(gpu.check(), Err(Error::DeviceLost { .. })));
    }
    let _polled_for_the_apps_own_sake = device.poll(wgpu::PollType::Poll);
    assert_eq!(heard(), [1, 1]);
}

#[test]
fn callbacks_are_taken_where_an_app_says_so() {
    let (adapter, device, queue, told) = app();
    let options = BorrowOptions { take_callbacks: true, ..Default::default() };
    let gpu = Gpu::from_wgpu_with(&adapter, device, queue, &options);
    provoke(&gpu);
    assert!(matches!(gpu.check(), Err(Error::Gpu { .. })));
    gpu.device().destroy();
    assert!(matches!(gpu.wait(), Err(Error::DeviceLost { .. })));
    assert_eq!((told.errors.load(SeqCst), told.losses.load(SeqCst)), (0, 0));
}
