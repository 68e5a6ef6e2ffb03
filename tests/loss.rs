//! A device is lost at every point at which a run talks to it: a typed error each time, no panic, no hang.

use std::ops::ControlFlow;
use std::sync::LazyLock;
use std::time::Instant;

use drdiff::graph::RecordedOp;
use drdiff::model::{Corpus, LikelihoodOptions};
use drdiff::ops::{Linear, REGISTRY};
use drdiff::{Desc, Error, Gpu, Model, Prompt, Result, Sampler, SessionOptions};
use drdiff_check::{Gen, cases, run_case};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny");

/// A new device of an adapter that all of these share.
fn open() -> Gpu {
    static ADAPTER: LazyLock<wgpu::Adapter> = LazyLock::new(|| {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        pollster::block_on(instance.request_adapter(&Default::default()))
            .expect("a Vulkan driver answers: scripts/test.sh prepares a software one")
    });
    let descriptor = wgpu::DeviceDescriptor {
        required_features: ADAPTER.features() & wgpu::Features::TIMESTAMP_QUERY,
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(ADAPTER.request_device(&descriptor)).unwrap();
    Gpu::from_wgpu(&ADAPTER, device, queue)
}

/// How many points `act` has.
fn points<T>(act: impl Fn(&Gpu) -> Result<T>) -> (usize, T) {
    let gpu = open();
    gpu.loss().set(usize::MAX);
    let value = act(&gpu).unwrap();
    (gpu.loss().points(), value)
}

/// Runs `act` on one new device for each point of it, which is lost there, and again on the lost device.
fn lost_everywhere<T: PartialEq + std::fmt::Debug>(what: &str, act: impl Fn(&Gpu) -> Result<T>) {
    lost_at_the_last(usize::MAX, what, false, act);
}

/// [`lost_everywhere`] for the last points alone; with `panics`, polls of the lost device panic.
fn lost_at_the_last<T: PartialEq + std::fmt::Debug>(
    count: usize,
    what: &str,
    panics: bool,
    act: impl Fn(&Gpu) -> Result<T>,
) {
    let begin = Instant::now();
    let (points, undisturbed) = points(&act);
    let mut late = 0;
    for at in points.saturating_sub(count)..points {
        let gpu = open();
        if panics {
            gpu.loss().panic_in_poll();
        }
        gpu.loss().set(at);
        match act(&gpu) {
            Err(Error::DeviceLost { .. }) => {}
            // Lost when all that was asked for had come.
            Ok(value) if value == undisturbed => late += 1,
            other => panic!("{what}, lost at point {at} of {points}: {other:?}"),
        }
        let again = act(&gpu);
        assert!(matches!(again, Err(Error::DeviceLost { .. })), "{what}, after a loss at point {at}: {again:?}");
    }
    println!("{what}: {points} points, {late} too late to matter, {:.1} s", begin.elapsed().as_secs_f64());
    assert!(points > 5 && late <= 2, "{what}: {late} of {points}");
}

fn session_options() -> SessionOptions {
    SessionOptions { length: 12, profile: true, ..Default::default() }
}

fn steps(gpu: &Gpu, steps: usize) -> Result<String> {
    let model = Model::load(TINY, &gpu.clone().into())?;
    let mut session = model.session(session_options())?;
    session.generate(&Prompt::prefix("the"), &Sampler { steps, ..Sampler::default() }, |_| ControlFlow::Continue(()))
}

/// Everything a caller can ask for.
fn generate(gpu: &Gpu) -> Result<String> {
    let model = Model::load(TINY, &gpu.clone().into())?;
    let mut session = model.session(SessionOptions { inspect: true, ..session_options() })?;
    let mut failed = None;
    let sampler = Sampler { steps: 2, ..Sampler::default() };
    let text = session.generate(&Prompt::prefix("the"), &sampler, |progress| {
        let seen = progress.snapshot().and_then(|_| progress.times()).and_then(|_| progress.routing());
        failed = seen.and_then(|_| progress.state()).err();
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    failed.map_or(text, Err)
}

#[test]
fn generating() {
    lost_everywhere("generate", generate);
}

/// The last points: steps and what is read of them.
#[test]
fn generating_where_wgpu_panics() {
    lost_at_the_last(70, "generate, panics", true, generate);
}

/// The last points: until there, it builds what generating builds.
#[test]
fn scoring() {
    lost_at_the_last(50, "likelihood", false, |gpu| {
        let model = Model::load(TINY, &gpu.clone().into())?;
        let corpus = Corpus::new("the king and the queen", model.vocabulary())?;
        let options = LikelihoodOptions { length: 12, windows: Some(1), draws: 1, ..Default::default() };
        model.likelihood(&corpus, &options, |_, _| ControlFlow::Continue(())).map(|likelihood| likelihood.bound)
    });
}

#[test]
fn single_ops() {
    for entry in REGISTRY {
        let cases = cases(entry, &mut Gen::new(1, entry.name()));
        let case = &cases[cases.len() / 2];
        lost_everywhere(entry.name(), |gpu| {
            run_case(entry, case, &gpu.clone().into(), true).map(|report| report.failures)
        });
    }
}

#[test]
fn buffers_of_the_callers() {
    for panics in [false, true] {
        lost_at_the_last(usize::MAX, "recorded op", panics, |gpu| {
            let x = gpu.upload("x", &[1.0_f32.to_bits(); 3])?;
            let y = gpu.buffer("y", 4)?;
            let row = || Some((Desc::f32([1, 3]), (&x).into()));
            let op = RecordedOp::new(gpu, &Linear::default(), &[row(), row(), None, None, None], &[(&y).into()])?;
            let mut encoder = gpu.device().create_command_encoder(&Default::default());
            op.encode(&mut encoder);
            gpu.queue().submit([encoder.finish()]);
            gpu.wait()?;
            gpu.download(&y, 1)
        });
    }
}

/// A step submits once and waits once: neither errors nor the check for finite numbers cost more.
#[test]
fn a_step_waits_once() {
    let [four, five] = [4, 5].map(|count| points(|gpu| steps(gpu, count)).0);
    // An encoder, its submit, the poll.
    assert_eq!(five - four, 3);
}
