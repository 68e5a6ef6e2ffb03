//! An open device: pipelines made once, buffers, and errors that keep their cause.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::cache::PipelineFile;
use super::health::Health;
use super::scope::{Caught, Scope, now, reported};
use super::wait::Poller;
use super::{BorrowOptions, BoundsChecks, Capabilities, DeviceChoice, GpuOptions, Kernel, Tier, adapter, lock};
use crate::{Error, Result};

/// An open GPU. Clones share the device; each is told of every error of the device since it was made.
///
/// What waits for the device comes twice: `..._async` never blocks, the other blocks the calling thread and is not there
/// in a browser. Where the platform tells of errors only later (a browser), calls that do not wait leave theirs to the next
/// one that does.
#[derive(Debug)]
pub struct Gpu {
    pub(super) inner: Arc<Inner>,
    /// How many of the device's uncaught errors this handle has reported.
    pub(super) seen: AtomicU64,
    /// What was made through this handle, where its scope has not told yet.
    pub(super) pending: Mutex<Vec<Caught>>,
    /// The build that this handle is of.
    pub(super) build: Option<Build>,
}

/// Things that are made together.
#[derive(Debug, Default)]
pub(super) struct Build {
    /// Whether one scope around all of them catches errors, or each has its own.
    pub(super) one_scope: bool,
    /// Those that tests refused within the one scope.
    pub(super) refused: AtomicBool,
    /// Pipelines that were made, to be shared once it is known that all is well.
    pub(super) pipelines: Mutex<HashMap<Kernel, wgpu::ComputePipeline>>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) info: wgpu::AdapterInfo,
    pub(super) health: Health,
    pub(super) queue: wgpu::Queue,
    pub(super) poller: Poller,
    pub(super) pipelines: Mutex<HashMap<Kernel, wgpu::ComputePipeline>>,
    /// Constants on the device, by their identity; each goes with the constant or with the device.
    pub(super) constants: Mutex<HashMap<u64, wgpu::Buffer>>,
    /// Counts down to the allocation to refuse; see [`Gpu::refuse_allocation`].
    pub(super) refusal: AtomicU64,
    pub(super) bounds_checks: BoundsChecks,
    pub(super) capabilities: Capabilities,
    pub(super) tier: Tier,
    pub(super) shaders: Option<PathBuf>,
    /// Pipelines from earlier runs, and for later ones.
    pub(super) kept: Option<PipelineFile>,
}

/// Where a constant has a buffer; keeps nothing alive.
#[derive(Debug)]
pub(crate) struct Home(pub(super) Weak<Inner>);

impl Home {
    /// Frees the constant's buffer, once nothing else uses it.
    pub fn forget(&self, constant: u64) {
        if let Some(inner) = self.0.upgrade() {
            lock(&inner.constants).remove(&constant);
        }
    }
}

impl Clone for Gpu {
    fn clone(&self) -> Self {
        Self::of(Arc::clone(&self.inner), None)
    }
}

impl Gpu {
    fn of(inner: Arc<Inner>, build: Option<Build>) -> Self {
        let seen = AtomicU64::new(inner.health.uncaught().0);
        Self { inner, seen, pending: Mutex::default(), build }
    }

    /// Opens a GPU and waits for it.
    ///
    /// # Errors
    /// If there is no such adapter or it cannot be opened.
    #[cfg(not(target_family = "wasm"))]
    pub fn open(options: &GpuOptions) -> Result<Self> {
        super::block_on(Self::open_async(options))
    }

    /// Opens a GPU.
    ///
    /// # Errors
    /// If there is no such adapter or it cannot be opened.
    pub async fn open_async(options: &GpuOptions) -> Result<Self> {
        Self::find(options).await?.ok_or_else(|| Error::NoDevice {
            wanted: DeviceChoice::Auto.to_string(),
            available: "no hardware GPU (ask for `gpu` to take a software driver)".to_owned(),
        })
    }

    /// Like [`Gpu::open_async`], with `None` where `auto` finds no hardware GPU.
    pub(crate) async fn find(options: &GpuOptions) -> Result<Option<Self>> {
        let Some(adapter) = adapter::choose(&options.device).await? else { return Ok(None) };
        let info = adapter.get_info();
        let tier = options.tier.unwrap_or_default();
        if let Some(missing) = adapter::missing(tier, adapter.features()) {
            return Err(Error::Tier { tier: tier.name(), device: info.name, missing });
        }
        let wanted = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SUBGROUP | wgpu::Features::PIPELINE_CACHE;
        let required_features = adapter.features() & wanted;
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("drdiff"),
                required_features,
                required_limits: adapter.limits(),
                ..Default::default()
            })
            .await
            .map_err(|source| Error::Open { device: info.name.clone(), source })?;
        let GpuOptions { bounds_checks, shaders, cache, .. } = options.clone();
        let options = BorrowOptions { take_callbacks: true, tier: Some(tier), bounds_checks, shaders, cache };
        Ok(Some(Self::from_wgpu_with(&adapter, device, queue, &options)))
    }

    /// Uses a device the caller opened, whose callbacks stay the caller's: what goes wrong in drdiff's own work comes back
    /// from drdiff's calls, and so does the loss of the device, from the first call that waits for it. Every feature is
    /// optional; with `TIMESTAMP_QUERY` ops can be timed.
    pub fn from_wgpu(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Self {
        Self::from_wgpu_with(adapter, device, queue, &BorrowOptions::default())
    }

    /// [`Gpu::from_wgpu`] with options.
    pub fn from_wgpu_with(
        adapter: &wgpu::Adapter,
        device: wgpu::Device,
        queue: wgpu::Queue,
        options: &BorrowOptions,
    ) -> Self {
        let info = adapter.get_info();
        let inner = Inner {
            capabilities: Capabilities::of(&device, &info),
            kept: options.cache.as_ref().and_then(|folder| PipelineFile::open(folder, &device, &info)),
            info,
            health: Health::new(device, options.take_callbacks),
            queue,
            poller: Poller::default(),
            pipelines: Mutex::default(),
            constants: Mutex::default(),
            refusal: AtomicU64::new(0),
            bounds_checks: options.bounds_checks,
            tier: options.tier.unwrap_or_default(),
            shaders: options.shaders.clone(),
        };
        Self::of(Arc::new(inner), None)
    }

    /// Why pipelines that an earlier run kept are of no use, where there are such.
    pub fn note(&self) -> Option<&str> {
        self.inner.kept.as_ref()?.note.as_deref()
    }

    /// The adapter's name, backend and driver.
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.inner.info
    }

    /// What the device can do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.inner.capabilities
    }

    /// The highest tier that ops choose their kernels from.
    pub fn tier(&self) -> Tier {
        self.inner.tier
    }

    /// The wgpu device.
    pub fn device(&self) -> &wgpu::Device {
        self.point();
        &self.inner.health.device
    }

    /// The wgpu queue.
    pub fn queue(&self) -> &wgpu::Queue {
        self.point();
        &self.inner.queue
    }

    /// A point at which tests lose the device; whatever talks to it goes through here.
    #[inline]
    pub(super) fn point(&self) {
        self.inner.health.loss.point(&self.inner.health.device);
    }

    /// Where tests say when the device is lost.
    #[doc(hidden)]
    pub fn loss(&self) -> &super::loss::Loss {
        &self.inner.health.loss
    }

    /// The largest buffer that one binding can hold, in bytes.
    pub fn max_binding(&self) -> u64 {
        self.inner.capabilities.binding
    }

    /// What stands in for optional inputs that are not given.
    pub(crate) fn absent(&self) -> Result<wgpu::Buffer> {
        self.buffer("absent inputs", 256)
    }

    /// A storage buffer of `bytes`, zero at first.
    ///
    /// # Errors
    /// If it exceeds the device's limit or its memory.
    pub fn buffer(&self, what: &str, bytes: u64) -> Result<wgpu::Buffer> {
        let bytes = bytes.max(16);
        self.check_binding(what, bytes)?;
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST
            | wgpu::BufferUsages::INDIRECT
            | wgpu::BufferUsages::UNIFORM;
        let buffer = self.allocate(what, bytes, usage, false)?;
        self.check().map(|()| buffer)
    }

    /// A buffer of any usage.
    pub(super) fn allocate(
        &self,
        what: &str,
        size: u64,
        usage: wgpu::BufferUsages,
        mapped_at_creation: bool,
    ) -> Result<wgpu::Buffer> {
        let descriptor = wgpu::BufferDescriptor { label: Some(what), size, usage, mapped_at_creation };
        self.attempt(what, size, |device| device.create_buffer(&descriptor))
    }

    /// What `make` makes of the device, with errors that wgpu reports meanwhile returned: at once, by the next call that
    /// waits, or by the build that this is part of. `bytes` is what it needs, 0 where that is not known.
    pub(super) fn attempt<T>(&self, what: &str, bytes: u64, make: impl FnOnce(&wgpu::Device) -> T) -> Result<T> {
        let countdown = |left: u64| left.checked_sub(1);
        let refused = self.inner.refusal.fetch_update(Ordering::Relaxed, Ordering::Relaxed, countdown) == Ok(1);
        if let Some(build) = self.build.as_ref().filter(|build| build.one_scope) {
            build.refused.fetch_or(refused, Ordering::Relaxed);
            return Ok(make(self.device()));
        }
        let scope = Scope::open(self.device());
        let made = make(&self.inner.health.device);
        let mut verdict = scope.close();
        if refused {
            let source = "refused for a test".into();
            verdict = Box::pin(std::future::ready(Some(wgpu::Error::OutOfMemory { source })));
        }
        match now(&mut verdict) {
            Some(None) => {}
            Some(Some(error)) => return Err(self.refused(what, bytes, error)),
            None => lock(&self.pending).push(Caught { what: what.to_owned(), bytes, verdict }),
        }
        Ok(made)
    }

    /// Waits for what scopes have not told yet, and gives the first error.
    pub(super) async fn settle(&self) -> Result<()> {
        let pending = std::mem::take(&mut *lock(&self.pending));
        let mut first = None;
        for Caught { what, bytes, verdict } in pending {
            let error = verdict.await;
            first = first.or(error.map(|error| (what, bytes, error)));
        }
        first.map_or(Ok(()), |(what, bytes, error)| Err(self.refused(what, bytes, error)))
    }

    /// The first error of those scopes that have told by now.
    pub(super) fn settled(&self) -> Result<()> {
        let mut first = None;
        lock(&self.pending).retain_mut(|Caught { what, bytes, verdict }| match now(verdict) {
            None => true,
            Some(error) => {
                first = first.take().or(error.map(|error| (std::mem::take(what), *bytes, error)));
                false
            }
        });
        first.map_or(Ok(()), |(what, bytes, error)| Err(self.refused(what, bytes, error)))
    }

    /// What `make` makes through the handle that it is given, with one error scope around all of it. Where that catches an
    /// error, `make` is called again with a scope for each thing, to tell which one it was.
    ///
    /// # Errors
    /// If wgpu reports an error, `make` fails, or the device was lost.
    pub(crate) async fn build<T>(&self, mut make: impl FnMut(&Self) -> Result<T>) -> Result<T> {
        let refusal = self.inner.refusal.load(Ordering::Relaxed);
        let one = Self::of(Arc::clone(&self.inner), Some(Build { one_scope: true, ..Build::default() }));
        let scope = Scope::open(one.device());
        let made = make(&one);
        let error = scope.close().await;
        if error.is_none() && !one.build.as_ref().is_some_and(|build| build.refused.load(Ordering::Relaxed)) {
            one.check()?;
            one.share_pipelines();
            return made;
        }
        drop(made);
        self.inner.refusal.store(refusal, Ordering::Relaxed);
        let each = Self::of(Arc::clone(&self.inner), Some(Build::default()));
        let made = make(&each);
        each.settle().await?;
        each.check()?;
        each.share_pipelines();
        made
    }

    pub(super) fn share_pipelines(&self) {
        let own = self.build.as_ref().map(|build| std::mem::take(&mut *lock(&build.pipelines)));
        lock(&self.inner.pipelines).extend(own.into_iter().flatten());
    }

    pub(super) fn out_of_memory(&self, what: &str, bytes: u64) -> Error {
        Error::OutOfMemory { device: self.inner.info.name.clone(), what: what.to_owned(), bytes }
    }

    /// Makes the `nth` allocation from now on fail as it would without memory, the first one with 1; for tests.
    #[doc(hidden)]
    pub fn refuse_allocation(&self, nth: u64) {
        self.inner.refusal.store(nth, Ordering::Relaxed);
    }

    /// Refuses what no single binding can hold.
    pub(crate) fn check_binding(&self, what: &str, bytes: u64) -> Result<()> {
        let limit = self.max_binding();
        if bytes <= limit {
            return Ok(());
        }
        Err(Error::Limit {
            what: format!("the buffer of {what}"),
            needed: bytes,
            limit,
            device: self.inner.info.name.clone(),
            unit: "bytes",
            fits: None,
        })
    }

    /// What has become known since this handle was made or last asked: of its own work, and where the device's callbacks are
    /// drdiff's of anybody's, as nobody can tell whose work it was.
    ///
    /// # Errors
    /// If the device was lost, or wgpu reported an error.
    pub fn check(&self) -> Result<()> {
        self.settled()?;
        let (errors, last) = self.inner.health.uncaught();
        match last {
            Some(error) if self.seen.swap(errors, Ordering::Relaxed) != errors => {
                Err(self.lost_or("submitted work", error))
            }
            _ => self.inner.health.known_loss().map_or(Ok(()), |reason| Err(self.lost_for(reason))),
        }
    }

    /// The error for what wgpu refused: the loss of the device or a lack of memory, where that is why.
    pub(super) fn refused(&self, what: impl Into<String>, bytes: u64, error: wgpu::Error) -> Error {
        match error {
            // A lost device has no memory either.
            wgpu::Error::OutOfMemory { .. } => self.lost().unwrap_or_else(|| self.out_of_memory(&what.into(), bytes)),
            error => self.lost_or(what, reported(error)),
        }
    }

    pub(super) fn lost_or(
        &self,
        what: impl Into<String>,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> Error {
        self.lost().unwrap_or_else(|| Error::Gpu { what: what.into(), source: Box::new(error) })
    }

    /// The loss of the device, where it was lost.
    pub(super) fn lost(&self) -> Option<Error> {
        self.inner.health.loss().map(|reason| self.lost_for(reason))
    }

    pub(super) fn lost_for(&self, reason: String) -> Error {
        Error::DeviceLost { device: self.inner.info.name.clone(), reason }
    }
}
