//! When tests lose a device, and what they count.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ThreadId;

use super::lock;

/// Counts the points at which a device is talked to, and destroys it at one of them.
#[derive(Debug)]
pub struct Loss {
    points: AtomicUsize,
    at: AtomicUsize,
    panics: AtomicBool,
    /// The threads that waited, and whether until nothing was left to do, where somebody wants to know.
    waits: Mutex<Option<Vec<(ThreadId, bool)>>>,
}

impl Default for Loss {
    fn default() -> Self {
        Self {
            points: AtomicUsize::new(0),
            at: AtomicUsize::new(usize::MAX),
            panics: AtomicBool::new(false),
            waits: Mutex::default(),
        }
    }
}

impl Loss {
    /// Destroys the device before the `at`-th point from now on, the first being 0.
    pub fn set(&self, at: usize) {
        self.at.store(at, Ordering::SeqCst);
        self.points.store(0, Ordering::SeqCst);
    }

    /// Points since [`Loss::set`].
    pub fn points(&self) -> usize {
        self.points.load(Ordering::SeqCst)
    }

    /// Makes polls of the lost device panic, as they do where a driver and not `destroy` says that it is lost.
    pub fn panic_in_poll(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    pub(super) fn point(&self, device: &wgpu::Device) {
        if self.points.fetch_add(1, Ordering::SeqCst) == self.at.load(Ordering::SeqCst) {
            device.destroy();
        }
    }

    #[cfg(not(target_family = "wasm"))]
    pub(super) fn waits(&self, for_all: bool) {
        if let Some(waits) = &mut *lock(&self.waits) {
            waits.push((std::thread::current().id(), for_all));
        }
    }

    /// The waits for the device since the last call, from the first on: which thread waited, and whether until nothing was
    /// left to do.
    pub fn waited(&self) -> Vec<(ThreadId, bool)> {
        lock(&self.waits).replace(Vec::new()).unwrap_or_default()
    }

    #[cfg(not(target_family = "wasm"))]
    pub(super) fn polled(&self) {
        let lost = self.points() > self.at.load(Ordering::SeqCst);
        if lost && self.panics.load(Ordering::SeqCst) {
            // As a panic, but nothing is printed.
            std::panic::resume_unwind(Box::new("the driver says that the device is lost"));
        }
    }
}
