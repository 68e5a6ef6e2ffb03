//! Error scopes: what wgpu reports of a use of the device comes back to whoever used it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// What a scope caught. Native back ends know at once, a browser some time later.
#[cfg(not(target_family = "wasm"))]
pub(super) type Verdict = Pin<Box<dyn Future<Output = Option<wgpu::Error>> + Send>>;
/// What a scope caught; in a browser nothing moves between threads.
#[cfg(target_family = "wasm")]
pub(super) type Verdict = Pin<Box<dyn Future<Output = Option<wgpu::Error>>>>;

/// What wgpu reported, as an error that may go to another thread.
#[cfg(not(target_family = "wasm"))]
pub(super) type Reported = wgpu::Error;
/// What wgpu reported: a browser's own error stays in its thread, so this is its message.
#[cfg(target_family = "wasm")]
pub(super) type Reported = std::io::Error;

#[cfg(not(target_family = "wasm"))]
pub(super) fn reported(error: wgpu::Error) -> Reported {
    error
}

#[cfg(target_family = "wasm")]
pub(super) fn reported(error: wgpu::Error) -> Reported {
    std::io::Error::other(error.to_string())
}

/// Catches what wgpu reports of the device's use on this thread until it is closed: nothing is awaited meanwhile.
pub(super) struct Scope {
    memory: wgpu::ErrorScopeGuard,
    internal: wgpu::ErrorScopeGuard,
    validation: wgpu::ErrorScopeGuard,
}

impl Scope {
    pub fn open(device: &wgpu::Device) -> Self {
        Self {
            memory: device.push_error_scope(wgpu::ErrorFilter::OutOfMemory),
            internal: device.push_error_scope(wgpu::ErrorFilter::Internal),
            validation: device.push_error_scope(wgpu::ErrorFilter::Validation),
        }
    }

    /// Ends it. Of several errors that of memory is told first, as others follow from it.
    pub fn close(self) -> Verdict {
        // The innermost first, at once: only their outcomes are waited for.
        let validation = self.validation.pop();
        let internal = self.internal.pop();
        let memory = self.memory.pop();
        Box::pin(async move {
            let (memory, internal, validation) = (memory.await, internal.await, validation.await);
            memory.or(internal).or(validation)
        })
    }
}

/// What `future` gives, where it gives it at once.
pub(super) fn now<F: Future + Unpin + ?Sized>(future: &mut F) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// A thing that was made, and what its scope caught.
pub(super) struct Caught {
    /// The thing.
    pub what: String,
    /// The memory it needs, 0 where that is not known.
    pub bytes: u64,
    pub verdict: Verdict,
}

impl fmt::Debug for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caught").field("what", &self.what).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
