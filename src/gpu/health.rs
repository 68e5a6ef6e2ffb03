//! What becomes of a device: errors that nobody caught, and its loss.

#[cfg(not(target_family = "wasm"))]
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use super::lock;
use super::loss::Loss;
use super::scope::{Reported, reported};
#[cfg(not(target_family = "wasm"))]
use super::scope::{Scope, now};

/// A device, and what is known of its failures. Clones share both.
#[derive(Clone, Debug)]
pub(super) struct Health {
    pub device: wgpu::Device,
    failure: Arc<Mutex<Failure>>,
    /// Whether the device's callbacks are ours, so that the reason of a loss comes to us.
    #[cfg(not(target_family = "wasm"))]
    listens: bool,
    pub loss: Arc<Loss>,
}

#[derive(Debug, Default)]
struct Failure {
    lost: Option<String>,
    /// How many errors nobody else caught, and the last of them.
    errors: u64,
    error: Option<Arc<Reported>>,
}

impl Health {
    /// Watches `device`; with `listen` its callbacks for uncaught errors and for its loss are taken, in place of those it had.
    pub fn new(device: wgpu::Device, listen: bool) -> Self {
        let health = Self {
            device,
            failure: Arc::default(),
            #[cfg(not(target_family = "wasm"))]
            listens: listen,
            loss: Arc::default(),
        };
        if listen {
            let failure = Arc::clone(&health.failure);
            health.device.on_uncaptured_error(Arc::new(move |error| {
                let mut failure = lock(&failure);
                failure.errors += 1;
                failure.error = Some(Arc::new(reported(error)));
            }));
        }
        // In a browser the loss is a promise, which anybody may wait for beside others.
        if listen || cfg!(target_family = "wasm") {
            let failure = Arc::clone(&health.failure);
            health.device.set_device_lost_callback(move |reason, message| {
                lock(&failure).lost.get_or_insert_with(|| format!("{reason:?}: {message}"));
            });
        }
        health
    }

    /// How many errors nobody caught, and the last of them.
    pub fn uncaught(&self) -> (u64, Option<Arc<Reported>>) {
        let failure = lock(&self.failure);
        (failure.errors, failure.error.clone())
    }

    /// Why the device was lost, where that is known.
    pub fn known_loss(&self) -> Option<String> {
        lock(&self.failure).lost.clone()
    }

    /// The same, with a look at the device where nothing is known yet.
    pub fn loss(&self) -> Option<String> {
        #[cfg(not(target_family = "wasm"))]
        if self.known_loss().is_none() && !self.answers() {
            // The reason comes by callback when the device is polled: here or, a moment later, in another thread that
            // polls at the same time.
            for _ in 0..if self.listens { 100 } else { 0 } {
                let _the_same_loss = catch_unwind(AssertUnwindSafe(|| self.device.poll(wgpu::PollType::Poll)));
                if self.known_loss().is_some() {
                    break;
                }
                std::thread::yield_now();
            }
            lock(&self.failure).lost.get_or_insert_with(|| "no reason is known".to_owned());
        }
        self.known_loss()
    }

    /// Whether the device still makes things. wgpu reports nothing where a lost device does not, but what it gives then
    /// cannot be mapped.
    #[cfg(not(target_family = "wasm"))]
    fn answers(&self) -> bool {
        let scope = Scope::open(&self.device);
        let probe = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("a sign of life"),
            size: 16,
            usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        });
        let mapped = probe.get_mapped_range_mut(..).is_ok();
        // Without memory it is alive.
        now(&mut scope.close()).flatten().is_some() || mapped
    }

    /// Polls the device until submission `until` is done (the last one where that is `None`), which runs the callbacks of
    /// what is done by then.
    #[cfg(not(target_family = "wasm"))]
    pub fn poll_until(&self, until: Option<wgpu::SubmissionIndex>) {
        self.loss.waits(until.is_none());
        let latest = until.is_none();
        let timeout = None;
        if !self.poll(wgpu::PollType::Wait { submission_index: until, timeout }) && !latest {
            // A submission that was refused has no place in the queue to wait for.
            self.poll(wgpu::PollType::wait_indefinitely());
        }
    }

    /// Polls the device: the only call in which wgpu panics where the driver tells of the device's loss. False where wgpu
    /// knows no such submission.
    #[cfg(not(target_family = "wasm"))]
    pub fn poll(&self, how: wgpu::PollType) -> bool {
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let polled = self.device.poll(how);
            self.loss.polled();
            polled
        }));
        match polled {
            Ok(polled) => polled.is_ok(),
            Err(_) if self.loss().is_some() => true,
            // Not about this: a callback of somebody's.
            Err(panic) => resume_unwind(panic),
        }
    }
}
