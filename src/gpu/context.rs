//! An open device: pipelines made once, buffers, and errors that keep their cause.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::health::Health;
use super::scope::{Caught, Scope, now, reported};
use super::wait::{Poller, Signal};
use super::{
    BorrowOptions, BoundsChecks, Capabilities, DeviceChoice, GpuOptions, Kernel, Tier, ZERO_WORKGROUP_MEMORY, adapter,
    lock,
};
use crate::{Error, Result, memory};

/// Most bytes that are staged in one piece on their way to the device.
const STAGING: usize = 16 << 20;

/// An open GPU. Clones share the device; each is told of every error of the device since it was made.
///
/// What waits for the device comes twice: `..._async` never blocks, the other blocks the calling thread and is not there
/// in a browser. Where the platform tells of errors only later (a browser), calls that do not wait leave theirs to the next
/// one that does.
#[derive(Debug)]
pub struct Gpu {
    inner: Arc<Inner>,
    /// How many of the device's uncaught errors this handle has reported.
    seen: AtomicU64,
    /// What was made through this handle, where its scope has not told yet.
    pending: Mutex<Vec<Caught>>,
    /// The build that this handle is of.
    build: Option<Build>,
}

/// Things that are made together.
#[derive(Debug, Default)]
struct Build {
    /// Whether one scope around all of them catches errors, or each has its own.
    one_scope: bool,
    /// Those that tests refused within the one scope.
    refused: AtomicBool,
    /// Pipelines that were made, to be shared once it is known that all is well.
    pipelines: Mutex<HashMap<String, wgpu::ComputePipeline>>,
}

#[derive(Debug)]
struct Inner {
    info: wgpu::AdapterInfo,
    health: Health,
    queue: wgpu::Queue,
    poller: Poller,
    pipelines: Mutex<HashMap<String, wgpu::ComputePipeline>>,
    /// Constants on the device, by their identity; each goes with the constant or with the device.
    constants: Mutex<HashMap<u64, wgpu::Buffer>>,
    /// Counts down to the allocation to refuse; see [`Gpu::refuse_allocation`].
    refusal: AtomicU64,
    bounds_checks: BoundsChecks,
    capabilities: Capabilities,
    tier: Tier,
    shaders: Option<PathBuf>,
}

/// Where a constant has a buffer; keeps nothing alive.
#[derive(Debug)]
pub(crate) struct Home(Weak<Inner>);

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
    /// Where there is no such adapter or it cannot be opened.
    #[cfg(not(target_family = "wasm"))]
    pub fn open(options: &GpuOptions) -> Result<Self> {
        super::block_on(Self::open_async(options))
    }

    /// Opens a GPU.
    ///
    /// # Errors
    /// Where there is no such adapter or it cannot be opened.
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
        let wanted = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SUBGROUP;
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
        let GpuOptions { bounds_checks, shaders, .. } = options.clone();
        let options = BorrowOptions { take_callbacks: true, tier: Some(tier), bounds_checks, shaders };
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
    fn point(&self) {
        self.inner.health.loss.point(&self.inner.health.device);
    }

    /// Where tests say when the device is lost.
    #[doc(hidden)]
    pub fn loss(&self) -> &super::loss::Loss {
        &self.inner.health.loss
    }

    /// The largest buffer that one binding can hold, in bytes.
    pub fn max_binding(&self) -> u64 {
        let limits = self.inner.health.device.limits();
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
    }

    /// What stands in for optional inputs that are not given.
    pub(crate) fn absent(&self) -> Result<wgpu::Buffer> {
        self.buffer("absent inputs", 256)
    }

    /// A storage buffer of `bytes`, zero at first.
    ///
    /// # Errors
    /// Where it exceeds the device's limit or its memory.
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
    async fn settle(&self) -> Result<()> {
        let pending = std::mem::take(&mut *lock(&self.pending));
        let mut first = None;
        for Caught { what, bytes, verdict } in pending {
            let error = verdict.await;
            first = first.or(error.map(|error| (what, bytes, error)));
        }
        first.map_or(Ok(()), |(what, bytes, error)| Err(self.refused(what, bytes, error)))
    }

    /// The first error of those scopes that have told by now.
    fn settled(&self) -> Result<()> {
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
    /// Where wgpu reports an error, `make` fails, or the device was lost.
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

    fn share_pipelines(&self) {
        let own = self.build.as_ref().map(|build| std::mem::take(&mut *lock(&build.pipelines)));
        lock(&self.inner.pipelines).extend(own.into_iter().flatten());
    }

    fn out_of_memory(&self, what: &str, bytes: u64) -> Error {
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

    /// A storage buffer that holds `words`.
    ///
    /// # Errors
    /// Where it exceeds the device's limit or its memory.
    pub fn upload(&self, what: &str, words: &[u32]) -> Result<wgpu::Buffer> {
        let buffer = self.buffer(what, words.len() as u64 * 4)?;
        self.write(what, &buffer, 0, words)?;
        Ok(buffer)
    }

    /// Writes `words` to `buffer` from byte `offset` on, ahead of all work that is submitted later.
    ///
    /// # Errors
    /// Where there is no memory to stage them, or the device was lost.
    pub(crate) fn write(&self, what: &str, buffer: &wgpu::Buffer, offset: u64, words: &[u32]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(words);
        if bytes.len() <= STAGING {
            self.attempt(what, bytes.len() as u64, |_| self.queue().write_buffer(buffer, offset, bytes))?;
            return self.check();
        }
        // wgpu would stage all of it at once, and lose the device where there is no memory for that.
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        for (index, bytes) in bytes.chunks(STAGING).enumerate() {
            let size = bytes.len() as u64;
            let staging = self.allocate(what, size, usage, true)?;
            let mut view = staging.get_mapped_range_mut(..).map_err(|error| self.lost_or(what, error))?;
            view.copy_from_slice(bytes);
            drop(view);
            staging.unmap();
            self.attempt(what, size, |device| {
                let mut encoder = device.create_command_encoder(&Default::default());
                encoder.copy_buffer_to_buffer(&staging, 0, buffer, offset + (index * STAGING) as u64, size);
                self.queue().submit([encoder.finish()]);
            })?;
        }
        self.check()
    }

    /// Writes `words` to `buffer` with little of them on their way at a time: `staged` counts the bytes that are.
    ///
    /// # Errors
    /// Where there is no memory to stage them, or the device was lost.
    pub(crate) async fn write_slowly(
        &self,
        what: &str,
        buffer: &wgpu::Buffer,
        words: &[u32],
        staged: &mut usize,
    ) -> Result<()> {
        for (index, words) in words.chunks(STAGING / 4).enumerate() {
            if *staged + words.len() * 4 > STAGING {
                self.wait_async().await?;
                *staged = 0;
            }
            self.write(what, buffer, (index * STAGING) as u64, words)?;
            *staged += words.len() * 4;
        }
        Ok(())
    }

    /// The buffer of a constant on this device, where it has one.
    pub(crate) fn constant(&self, constant: u64) -> Option<wgpu::Buffer> {
        lock(&self.inner.constants).get(&constant).cloned()
    }

    /// Keeps the buffer of a constant until the constant says otherwise, or the device is no longer used.
    pub(crate) fn keep_constant(&self, constant: u64, buffer: wgpu::Buffer) -> Home {
        lock(&self.inner.constants).insert(constant, buffer);
        Home(Arc::downgrade(&self.inner))
    }

    /// A kernel's parameters.
    pub(super) fn uniform(&self, bytes: &[u8]) -> Result<wgpu::Buffer> {
        let (what, size) = ("a kernel's parameters", bytes.len() as u64);
        let buffer = self.allocate(what, size, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST, false)?;
        self.attempt(what, size, |_| self.queue().write_buffer(&buffer, 0, bytes))?;
        Ok(buffer)
    }

    /// The first `words` words of `buffer`, once all submitted work is done.
    ///
    /// # Errors
    /// Where the device was lost or the buffer cannot be mapped.
    #[cfg(not(target_family = "wasm"))]
    pub fn download(&self, buffer: &wgpu::Buffer, words: usize) -> Result<Vec<u32>> {
        super::block_on(self.download_async(buffer, words))
    }

    /// The first `words` words of `buffer`, once all submitted work is done.
    ///
    /// # Errors
    /// Where the device was lost or the buffer cannot be mapped.
    pub async fn download_async(&self, buffer: &wgpu::Buffer, words: usize) -> Result<Vec<u32>> {
        let mut all = self.download_all(&[(buffer, words)]).await?;
        Ok(all.swap_remove(0))
    }

    /// The first words of several buffers, at one wait.
    pub(crate) async fn download_all(&self, wanted: &[(&wgpu::Buffer, usize)]) -> Result<Vec<Vec<u32>>> {
        let what = "a read-back";
        let sizes = || wanted.iter().map(|(_, words)| *words as u64 * 4);
        let bytes = sizes().sum();
        if bytes == 0 {
            return Ok(vec![Vec::new(); wanted.len()]);
        }
        let mut read = Vec::with_capacity(wanted.len());
        for (_, words) in wanted {
            read.push(memory::zeroed(what, *words)?);
        }
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = self.allocate(what, bytes, usage, false)?;
        let mapped = self.attempt(what, bytes, |device| {
            let mut encoder = device.create_command_encoder(&Default::default());
            let mut end = 0;
            for ((buffer, _), size) in wanted.iter().zip(sizes()) {
                encoder.copy_buffer_to_buffer(buffer, 0, &staging, end, size);
                end += size;
            }
            let copied = self.queue().submit([encoder.finish()]);
            let (sender, mapped) = self.inner.poller.signal(&self.inner.health, Some(copied));
            self.point();
            staging.slice(..).map_async(wgpu::MapMode::Read, move |result| {
                // Whoever waits may have lost interest.
                let _ = sender.send(result);
            });
            mapped
        })?;
        self.settle().await?;
        let mapped = mapped.await;
        self.check()?;
        self.point();
        match mapped {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(self.lost_or(what, error)),
            None => return Err(self.unanswered(what)),
        }
        let view = staging.slice(..).get_mapped_range().map_err(|error| self.lost_or(what, error))?;
        let mut rest = &view[..];
        for words in &mut read {
            let (own, others) = rest.split_at(words.len() * 4);
            rest = others;
            bytemuck::cast_slice_mut::<u32, u8>(words).copy_from_slice(own);
        }
        Ok(read)
    }

    /// Submits what `encode` encodes, in an error scope.
    ///
    /// # Errors
    /// Where the device was lost or refused the work.
    pub(crate) fn submit(
        &self,
        what: &str,
        encode: impl FnOnce(&mut wgpu::CommandEncoder),
    ) -> Result<wgpu::SubmissionIndex> {
        let submitted = self.attempt(what, 0, |device| {
            let mut encoder = device.create_command_encoder(&Default::default());
            encode(&mut encoder);
            self.queue().submit([encoder.finish()])
        })?;
        self.check().map(|()| submitted)
    }

    /// What comes once the work submitted so far is done; `last` is the last of it, where that is known.
    pub(crate) fn submitted(&self, last: Option<wgpu::SubmissionIndex>) -> Signal<()> {
        let (sender, done) = self.inner.poller.signal(&self.inner.health, last);
        self.queue().on_submitted_work_done(move || {
            // Whoever waits may have lost interest.
            let _ = sender.send(());
        });
        done
    }

    /// Waits for all submitted work.
    ///
    /// # Errors
    /// Where the device was lost or refused the work.
    #[cfg(not(target_family = "wasm"))]
    pub fn wait(&self) -> Result<()> {
        super::block_on(self.wait_async())
    }

    /// Waits for all submitted work.
    ///
    /// # Errors
    /// Where the device was lost or refused the work.
    pub async fn wait_async(&self) -> Result<()> {
        self.settle().await?;
        self.reached(self.submitted(None)).await?;
        // Work of a lost device is done, too.
        self.lost().map_or(Ok(()), Err)
    }

    /// Waits for what [`Gpu::submitted`] gave.
    ///
    /// # Errors
    /// Where the device was lost or refused the work.
    pub(crate) async fn reached(&self, done: Signal<()>) -> Result<()> {
        let done = done.await;
        self.check()?;
        done.ok_or_else(|| self.unanswered("waiting for the device"))
    }

    /// The error for a callback that went without being called.
    fn unanswered(&self, what: &str) -> Error {
        self.lost_or(what, std::io::Error::other("the device let go of its callback"))
    }

    /// What has become known since this handle was made or last asked: of its own work, and where the device's callbacks are
    /// drdiff's of anybody's, as nobody can tell whose work it was.
    ///
    /// # Errors
    /// Where the device was lost, or wgpu reported an error.
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
    fn refused(&self, what: impl Into<String>, bytes: u64, error: wgpu::Error) -> Error {
        match error {
            // A lost device has no memory either.
            wgpu::Error::OutOfMemory { .. } => self.lost().unwrap_or_else(|| self.out_of_memory(&what.into(), bytes)),
            error => self.lost_or(what, reported(error)),
        }
    }

    fn lost_or(&self, what: impl Into<String>, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.lost().unwrap_or_else(|| Error::Gpu { what: what.into(), source: Box::new(error) })
    }

    /// The loss of the device, where it was lost.
    fn lost(&self) -> Option<Error> {
        self.inner.health.loss().map(|reason| self.lost_for(reason))
    }

    fn lost_for(&self, reason: String) -> Error {
        Error::DeviceLost { device: self.inner.info.name.clone(), reason }
    }

    /// The pipeline of a kernel, made at the first call.
    ///
    /// # Errors
    /// Where the driver refuses it.
    pub(crate) fn pipeline(&self, kernel: &Kernel) -> Result<wgpu::ComputePipeline> {
        let label = kernel.label();
        let own = self.build.as_ref().map(|build| &build.pipelines);
        for made in [Some(&self.inner.pipelines), own].into_iter().flatten() {
            if let Some(pipeline) = lock(made).get(&label) {
                return Ok(pipeline.clone());
            }
        }
        let text = match &self.inner.shaders {
            Some(folder) => kernel.wgsl_from(folder)?,
            None => kernel.wgsl()?,
        };
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(&label), source: wgpu::ShaderSource::Wgsl(text.into()) };
        let checks = wgpu::ShaderRuntimeChecks {
            force_loop_bounding: false,
            bounds_checks: self.inner.bounds_checks == BoundsChecks::On,
            ..wgpu::ShaderRuntimeChecks::checked()
        };
        let pipeline = self.attempt(&format!("the kernel {label}"), 0, |device| {
            // SAFETY: every loop of ours counts to a size that the host checked. Where bounds checks are off, kernels
            // guard each index themselves, those that come from data (ids, lengths, globals) too; `verify` runs both
            // ways.
            #[expect(unsafe_code, reason = "checks that wgpu would add cost time, and the kernels make them")]
            let module = unsafe { device.create_shader_module_trusted(descriptor, checks) };
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&label),
                layout: None,
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: ZERO_WORKGROUP_MEMORY,
                    ..Default::default()
                },
                cache: None,
            })
        })?;
        self.check()?;
        // Outside a build it is known by now to be good.
        lock(own.unwrap_or(&self.inner.pipelines)).insert(label, pipeline.clone());
        Ok(pipeline)
    }
}
