//! Who waits for a device, and for how much.

mod common;

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use drdiff::model::{Request, Session};
use drdiff::{Device, Error, Gpu, Model, Prompt, Result, Sampler, SessionOptions};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny");

fn open() -> Gpu {
    match common::gpu() {
        Device::Gpu(gpu) => gpu,
        other => panic!("`gpu` opened {other:?}"),
    }
}

fn session(gpu: &Gpu) -> Session {
    let model = Model::load(TINY, &gpu.clone().into()).unwrap();
    // The model goes on in its session.
    model.session(SessionOptions { length: 40, ..Default::default() }).unwrap()
}

fn sampler(steps: usize) -> Sampler {
    Sampler { steps, seed: 3, ..Sampler::default() }
}

fn generate(session: &mut Session, steps: usize, snapshots: &[usize]) -> Result<String> {
    session.generate(&Prompt::prefix("the"), &sampler(steps), |progress| {
        if snapshots.contains(&progress.step) {
            progress.snapshot().unwrap();
        }
        ControlFlow::Continue(())
    })
}

/// Waits of one run of nine steps, and those among them until nothing was left to do.
fn waits(snapshots: &[usize]) -> [usize; 2] {
    let gpu = open();
    let mut session = session(&gpu);
    session.prepare(1).unwrap();
    gpu.loss().waited();
    generate(&mut session, 9, snapshots).unwrap();
    let waited = gpu.loss().waited();
    [waited.len(), waited.iter().filter(|(_, for_all)| *for_all).count()]
}

/// The device has the next step at hand whenever it is done with one.
#[test]
fn no_step_waits_for_its_own_end_unless_there_is_a_snapshot() {
    for snapshots in [&[][..], &[4, 8]] {
        // From the third on, a step waits for the one before the last, unless that is done already; the text waits for the
        // last. What a snapshot waited for, nobody waits for again. The first waits for what is made of the time.
        let [waits, drains] = waits(snapshots);
        assert!((2 + snapshots.len()..=9).contains(&waits) && drains == 0, "{waits}, {drains}");
    }
}

/// Where the future's news comes, and a stop to it.
struct News(mpsc::Sender<()>);

impl Wake for News {
    fn wake(self: Arc<Self>) {
        // The test may be over.
        let _ = self.0.send(());
    }
}

/// Runs a future as somebody else's executor would: polls it when it says so. Gives how often it was pending.
fn driven<T>(future: impl Future<Output = T>) -> (T, usize) {
    let (sender, news) = mpsc::channel();
    let waker = Arc::new(News(sender)).into();
    let (mut future, mut pending) = (pin!(future), 0);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return (value, pending),
            Poll::Pending => pending += 1,
        }
        news.recv_timeout(Duration::from_secs(60)).expect("a future that is pending is woken");
    }
}

fn is_send<T: Send>(future: T) -> T {
    future
}

#[test]
fn an_async_run_never_blocks_the_thread_that_polls_it() {
    let expected = generate(&mut session(&open()), 9, &[]).unwrap();
    let gpu = open();
    gpu.loss().waited();
    let mut snapshots = Vec::new();
    let (text, pending) = driven(async {
        let mut session = session(&gpu);
        let (prompt, sampler) = (Prompt::prefix("the"), sampler(9));
        let text = session.generate_async(&prompt, &sampler, async |progress| {
            if progress.step % 4 == 0 {
                snapshots.push(progress.snapshot_async().await.unwrap().remove(0));
            }
            ControlFlow::Continue(())
        });
        text.await
    });
    assert_eq!(text.unwrap(), expected);
    assert!(snapshots.len() == 2 && snapshots[1] != snapshots[0], "{snapshots:?}");
    assert!(pending > 0, "something had to be waited for");
    let (waited, here) = (gpu.loss().waited(), std::thread::current().id());
    assert!(!waited.is_empty() && waited.iter().all(|(thread, _)| *thread != here), "{waited:?}");
}

/// Two runs on one thread and one device, by an executor that may move them between threads.
#[test]
fn async_runs_go_side_by_side() {
    let expected = generate(&mut session(&open()), 6, &[]).unwrap();
    let gpu = open();
    let run = async || -> Result<String> {
        let mut session = session(&gpu);
        let (prompt, sampler, steps) = (Prompt::prefix("the"), sampler(6), Arc::new(AtomicUsize::new(0)));
        let seen = Arc::clone(&steps);
        // Its closure borrows nothing.
        let text = is_send(session.generate_async(&prompt, &sampler, async move |progress| {
            seen.store(progress.step, SeqCst);
            match progress.snapshot_async().await {
                Ok(_) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        }));
        let text = text.await?;
        assert_eq!(steps.load(SeqCst), 6);
        Ok(text)
    };
    let mut runs = [Box::pin(run()), Box::pin(run())];
    let mut texts = [None, None];
    let all = std::future::poll_fn(|context| {
        for (run, text) in runs.iter_mut().zip(&mut texts).filter(|(_, text)| text.is_none()) {
            if let Poll::Ready(made) = run.as_mut().poll(context) {
                *text = Some(made.unwrap());
            }
        }
        if texts.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    });
    driven(all);
    assert_eq!(texts, [Some(expected.clone()), Some(expected)]);
}

/// A loop of the caller's, on whatever thread its executor likes.
#[test]
fn steps_can_be_taken_one_by_one() {
    let expected = generate(&mut session(&open()), 5, &[]).unwrap();
    let gpu = open();
    let request = Request { prompt: Prompt::prefix("the"), ..Default::default() };
    let (generated, _) = driven(is_send(async {
        let mut session = session(&gpu);
        // One that is given up leaves nothing behind.
        let mut given_up = session.start_async(std::slice::from_ref(&request), &sampler(5)).await?;
        assert!(given_up.step_async().await?);
        drop(given_up);
        let mut generation = session.start_async(&[request], &sampler(5)).await?;
        while generation.step_async().await? {
            let progress = generation.progress();
            assert_eq!(progress.steps, 5);
            assert!(progress.step != 2 || !progress.state_async().await?.words().is_empty());
        }
        generation.finish_async().await
    }));
    assert_eq!(generated.unwrap()[0].text, expected);
}

#[test]
fn a_wish_to_stop_is_heard_at_once() {
    let gpu = open();
    let mut session = session(&gpu);
    let outcome = session.generate(&Prompt::none(), &sampler(1000), |progress| match progress.step {
        3 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(outcome, Err(Error::Stopped { step: 3, steps: 1000 })), "{outcome:?}");
}

/// A loss wakes whoever waits.
#[test]
fn a_future_of_a_lost_device_comes_to_its_end() {
    for panics in [false, true] {
        let gpu = open();
        if panics {
            gpu.loss().panic_in_poll();
        }
        let mut session = session(&gpu);
        let (outcome, _) = driven(async {
            let (prompt, sampler) = (Prompt::none(), sampler(50));
            let text = session.generate_async(&prompt, &sampler, async |progress| {
                if progress.step == 7 {
                    gpu.loss().set(2);
                }
                ControlFlow::Continue(())
            });
            text.await
        });
        assert!(matches!(outcome, Err(Error::DeviceLost { .. })), "{outcome:?}");
    }
}
