//! Waiting for a device without blocking, and the blocking shell over it.
//!
//! What a device has done is told by callbacks. In a browser these come by themselves. Elsewhere they come while somebody
//! polls the device: in a blocking call the calling thread, which has nothing else to do, and for a future that is polled by
//! anybody else's executor a thread that is started when the first such future waits.

use std::pin::Pin;
#[cfg(not(target_family = "wasm"))]
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll};

use futures_channel::oneshot;

use super::health::Health;
#[cfg(not(target_family = "wasm"))]
use super::lock;

/// What a callback of the device is going to tell.
#[derive(Debug)]
pub(crate) struct Signal<T> {
    receiver: oneshot::Receiver<T>,
    health: Health,
    #[cfg(not(target_family = "wasm"))]
    poller: Poller,
    /// The submission after which it comes; the last one where that is `None`.
    #[cfg(not(target_family = "wasm"))]
    until: Option<wgpu::SubmissionIndex>,
}

impl<T> Future for Signal<T> {
    /// `None` where it will never come, as the device was lost.
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        match Pin::new(&mut self.receiver).poll(context) {
            Poll::Ready(told) => Poll::Ready(told.ok()),
            Poll::Pending if self.health.known_loss().is_some() => Poll::Ready(None),
            Poll::Pending => {
                #[cfg(not(target_family = "wasm"))]
                self.poller.ask(&self.health, self.until.clone(), context);
                Poll::Pending
            }
        }
    }
}

/// Polls a device while futures of it wait, on a thread of its own that ends with the last clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Poller {
    #[cfg(not(target_family = "wasm"))]
    thread: Arc<Mutex<Option<mpsc::Sender<Turn>>>>,
}

impl Poller {
    /// A signal, and what sends it.
    pub fn signal<T>(&self, health: &Health, until: Option<wgpu::SubmissionIndex>) -> (oneshot::Sender<T>, Signal<T>) {
        let (sender, receiver) = oneshot::channel();
        #[cfg(target_family = "wasm")]
        let _callbacks_come_by_themselves = until;
        let signal = Signal {
            receiver,
            health: health.clone(),
            #[cfg(not(target_family = "wasm"))]
            poller: self.clone(),
            #[cfg(not(target_family = "wasm"))]
            until,
        };
        (sender, signal)
    }
}

/// A wait for a device, and whom to wake then.
#[cfg(not(target_family = "wasm"))]
#[derive(Debug)]
struct Turn {
    health: Health,
    until: Option<wgpu::SubmissionIndex>,
    waker: std::task::Waker,
}

#[cfg(not(target_family = "wasm"))]
mod native {
    use std::cell::RefCell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::sync::{Arc, mpsc};
    use std::task::{Context, Poll, Wake};
    use std::thread::{self, Thread};

    use super::{Health, Poller, Turn, lock};

    impl Poller {
        /// Has the device polled: by this thread, where it is in [`block_on`], else by the poller's own.
        pub(super) fn ask(&self, health: &Health, until: Option<wgpu::SubmissionIndex>, context: &Context<'_>) {
            let turn = Turn { health: health.clone(), until, waker: context.waker().clone() };
            let Some(turn) = Driven::hand_over(turn) else { return };
            let mut thread = lock(&self.thread);
            let refused = match &*thread {
                Some(sender) => sender.send(turn).err(),
                None => Some(mpsc::SendError(turn)),
            };
            if let Some(mpsc::SendError(turn)) = refused {
                let (sender, turns) = mpsc::channel::<Turn>();
                let work = move || {
                    for Turn { health, until, waker } in turns {
                        // A panic in somebody's callback is theirs; this future's own news may have come all the same.
                        let _said_by_the_hook = catch_unwind(AssertUnwindSafe(|| health.poll_until(until)));
                        waker.wake();
                    }
                };
                match thread::Builder::new().name("drdiff device".to_owned()).spawn(work) {
                    Ok(_) => {
                        // The receiver is there.
                        let _ = sender.send(turn);
                        *thread = Some(sender);
                    }
                    // Without a thread to wait in, whoever runs the future looks again and again.
                    Err(_) => {
                        turn.health.poll(wgpu::PollType::Poll);
                        turn.waker.wake();
                    }
                }
            }
        }
    }

    thread_local! {
        /// What futures wait for that this thread drives; `None` where it drives none.
        static DRIVEN: RefCell<Option<Vec<Turn>>> = const { RefCell::new(None) };
    }

    /// While this lives, the thread takes turns itself.
    struct Driven {
        /// Those of a drive around this one: a callback of a blocking call may itself block.
        outer: Option<Vec<Turn>>,
    }

    impl Driven {
        fn begin() -> Self {
            Self { outer: DRIVEN.replace(Some(Vec::new())) }
        }

        /// Gives a turn to the drive of this thread, or back.
        fn hand_over(turn: Turn) -> Option<Turn> {
            DRIVEN.with_borrow_mut(|driven| match driven {
                Some(turns) => {
                    turns.push(turn);
                    None
                }
                None => Some(turn),
            })
        }

        fn turns() -> Vec<Turn> {
            DRIVEN.with_borrow_mut(|driven| driven.as_mut().map(std::mem::take)).unwrap_or_default()
        }
    }

    impl Drop for Driven {
        fn drop(&mut self) {
            DRIVEN.set(self.outer.take());
        }
    }

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Runs `future` to its end on this thread; what it waits for on a device, the thread waits for there.
    pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let waker = Arc::new(Unpark(thread::current())).into();
        let mut context = Context::from_waker(&waker);
        loop {
            let driven = Driven::begin();
            let polled = future.as_mut().poll(&mut context);
            let turns = Driven::turns();
            drop(driven);
            if let Poll::Ready(value) = polled {
                return value;
            }
            if turns.is_empty() {
                thread::park();
            }
            turns.into_iter().for_each(|turn| turn.health.poll_until(turn.until));
        }
    }
}

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::block_on;

/// Lets others have a turn.
pub(crate) async fn give_way() {
    let mut gave_way = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
