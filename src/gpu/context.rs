//! An open device: pipelines made once, buffers, and errors that keep their cause.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::loss::Loss;
use super::{BoundsChecks, Capabilities, DeviceChoice, GpuOptions, Kernel, Tier, ZERO_WORKGROUP_MEMORY, adapter};
use crate::{Error, Result, memory};

/// Most bytes of host memory that a write of any size takes while it is on its way.
const STAGING: usize = 16 << 20;

/// An open GPU. Clones share the device; each is told of every error of the device since it was made.
#[derive(Debug)]
pub struct Gpu(Arc<Inner>, Seen);

/// How many of the device's uncaptured errors a handle has reported.
#[derive(Debug)]
struct Seen(AtomicU64);

#[derive(Debug)]
struct Inner {
    id: u64,
    info: wgpu::AdapterInfo,
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipelines: Mutex<HashMap<String, wgpu::ComputePipeline>>,
    failure: Arc<Mutex<Failure>>,
    /// Gone once the device has another handler of errors than ours.
    handler: Mutex<Weak<()>>,
    absent: wgpu::Buffer,
    /// Counts down to the allocation to refuse; see [`Gpu::refuse_allocation`].
    refusal: AtomicU64,
    bounds_checks: BoundsChecks,
    capabilities: Capabilities,
    tier: Tier,
    shaders: Option<PathBuf>,
    loss: Loss,
}

/// What callbacks of the device left behind.
#[derive(Debug, Default)]
struct Failure {
    lost: Option<String>,
    /// How many errors nobody else caught, and the last of them.
    errors: u64,
    error: Option<Arc<wgpu::Error>>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// Every open GPU.
static OPEN: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

impl Clone for Gpu {
    fn clone(&self) -> Self {
        Self::of(Arc::clone(&self.0))
    }
}

impl Gpu {
    fn of(inner: Arc<Inner>) -> Self {
        let seen = Seen(AtomicU64::new(lock(&inner.failure).errors));
        Self(inner, seen)
    }

    /// Opens a GPU and waits for it.
    ///
    /// # Errors
    /// Where there is no such adapter or it cannot be opened.
    pub fn open(options: &GpuOptions) -> Result<Self> {
        pollster::block_on(Self::open_async(options))
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
        let adapters = adapter::enumerate(&adapter::instance()).await;
        let Some(adapter) = adapter::choose(adapters, &options.device)? else { return Ok(None) };
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
        Ok(Some(Self::with_options(&adapter, device, queue, options)))
    }

    /// Uses a device the caller opened, on which drdiff then handles uncaptured errors and device loss. Every feature
    /// is optional; with `TIMESTAMP_QUERY` ops can be timed. A second call for a device gives another handle on what the
    /// first one opened, as [`Clone`] does.
    pub fn from_wgpu(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Self {
        Self::with_options(adapter, device, queue, &GpuOptions::default())
    }

    fn with_options(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue, options: &GpuOptions) -> Self {
        let mut open = lock(&OPEN);
        open.retain(|gpu| gpu.strong_count() > 0);
        let handled: Vec<_> = open.iter().filter_map(Weak::upgrade).filter(|gpu| gpu.handles_errors()).collect();
        let failure = Arc::default();
        let handler = handle_errors(&device, &failure);
        // wgpu's equality is of one instance alone, but a device lets go of the handler that it had.
        if let Some(inner) = handled.into_iter().find(|gpu| gpu.device == device && !gpu.handles_errors()) {
            *lock(&inner.handler) = handle_errors(&device, &inner.failure);
            return Self::of(inner);
        }
        let absent = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("absent input"),
            size: 256,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let info = adapter.get_info();
        let capabilities = Capabilities::of(&device, &info);
        let inner = Arc::new(Inner {
            id,
            info,
            device,
            queue,
            pipelines: Mutex::default(),
            failure,
            handler: Mutex::new(handler),
            absent,
            refusal: AtomicU64::new(0),
            bounds_checks: options.bounds_checks,
            capabilities,
            tier: options.tier.unwrap_or_default(),
            shaders: options.shaders.clone(),
            loss: Loss::default(),
        });
        open.push(Arc::downgrade(&inner));
        Self::of(inner)
    }

    /// Tells devices of one process apart.
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    /// The adapter's name, backend and driver.
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.0.info
    }

    /// What the device can do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    /// The highest tier that ops choose their kernels from.
    pub fn tier(&self) -> Tier {
        self.0.tier
    }

    /// The wgpu device.
    pub fn device(&self) -> &wgpu::Device {
        self.point();
        &self.0.device
    }

    /// The wgpu queue.
    pub fn queue(&self) -> &wgpu::Queue {
        self.point();
        &self.0.queue
    }

    /// A point at which tests lose the device; whatever talks to it goes through here.
    #[inline]
    fn point(&self) {
        self.0.loss.point(&self.0.device);
    }

    /// Where tests say when the device is lost.
    #[doc(hidden)]
    pub fn loss(&self) -> &Loss {
        &self.0.loss
    }

    /// The largest buffer that one binding can hold, in bytes.
    pub fn max_binding(&self) -> u64 {
        let limits = self.0.device.limits();
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
    }

    /// What stands in for an optional input that is not given.
    pub(crate) fn absent(&self) -> &wgpu::Buffer {
        &self.0.absent
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

    /// What `make` makes of the device, with errors that wgpu reports meanwhile returned; `bytes` is what it needs, 0
    /// where that is not known.
    pub(super) fn attempt<T>(&self, what: &str, bytes: u64, make: impl FnOnce(&wgpu::Device) -> T) -> Result<T> {
        let countdown = |left: u64| left.checked_sub(1);
        if self.0.refusal.fetch_update(Ordering::Relaxed, Ordering::Relaxed, countdown) == Ok(1) {
            return Err(self.out_of_memory(what, bytes));
        }
        let device = self.device();
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = make(device);
        let invalid = pollster::block_on(validation.pop());
        let exhausted = pollster::block_on(memory.pop());
        match (invalid, exhausted) {
            (Some(error), _) => Err(self.refused(what, error)),
            // A lost device has no memory either.
            (None, Some(error)) => Err(match self.refused(what, error) {
                Error::OutOfMemory { .. } => self.out_of_memory(what, bytes),
                lost => lost,
            }),
            (None, None) => Ok(made),
        }
    }

    fn out_of_memory(&self, what: &str, bytes: u64) -> Error {
        Error::OutOfMemory { device: self.0.info.name.clone(), what: what.to_owned(), bytes }
    }

    /// Makes the `nth` allocation from now on fail as it would without memory, the first one with 1; for tests.
    #[doc(hidden)]
    pub fn refuse_allocation(&self, nth: u64) {
        self.0.refusal.store(nth, Ordering::Relaxed);
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
            device: self.0.info.name.clone(),
            hint: String::new(),
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
            let mut encoder = self.device().create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(&staging, 0, buffer, offset + (index * STAGING) as u64, size);
            self.queue().submit([encoder.finish()]);
            self.wait()?;
        }
        Ok(())
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
    pub fn download(&self, buffer: &wgpu::Buffer, words: usize) -> Result<Vec<u32>> {
        let mut all = self.download_all(&[(buffer, words)])?;
        Ok(all.swap_remove(0))
    }

    /// The first words of several buffers, at one wait.
    pub(crate) fn download_all(&self, wanted: &[(&wgpu::Buffer, usize)]) -> Result<Vec<Vec<u32>>> {
        let sizes = || wanted.iter().map(|(_, words)| *words as u64 * 4);
        let bytes = sizes().sum();
        if bytes == 0 {
            return Ok(vec![Vec::new(); wanted.len()]);
        }
        let mut read = Vec::with_capacity(wanted.len());
        for (_, words) in wanted {
            read.push(memory::zeroed("a read-back", *words)?);
        }
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = self.allocate("a read-back", bytes, usage, false)?;
        let mut encoder = self.device().create_command_encoder(&Default::default());
        let mut end = 0;
        for ((buffer, _), size) in wanted.iter().zip(sizes()) {
            encoder.copy_buffer_to_buffer(buffer, 0, &staging, end, size);
            end += size;
        }
        self.queue().submit([encoder.finish()]);
        let (sender, receiver) = std::sync::mpsc::channel();
        self.point();
        staging.slice(..).map_async(wgpu::MapMode::Read, move |result| {
            let _ = sender.send(result);
        });
        self.wait()?;
        self.point();
        let mapped = receiver.recv().map_err(|error| self.lost_or("a read-back", error))?;
        mapped.map_err(|error| self.lost_or("a read-back", error))?;
        let view = staging.slice(..).get_mapped_range().map_err(|error| self.lost_or("a read-back", error))?;
        let mut rest = &view[..];
        for words in &mut read {
            let (own, others) = rest.split_at(words.len() * 4);
            rest = others;
            bytemuck::cast_slice_mut::<u32, u8>(words).copy_from_slice(own);
        }
        Ok(read)
    }

    /// Waits for all submitted work.
    ///
    /// # Errors
    /// Where the device was lost or refused the work.
    pub fn wait(&self) -> Result<()> {
        let polled = self.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        polled?.map(|_| ()).map_err(|error| self.lost_or("waiting for the device", error))
    }

    /// Polls the device: the only call in which wgpu panics where the driver tells of the device's loss.
    fn poll(&self, how: wgpu::PollType) -> Result<Result<wgpu::PollStatus, wgpu::PollError>> {
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let polled = self.device().poll(how);
            self.0.loss.polled();
            polled
        }));
        polled.or_else(|panic| {
            self.check_lost()?;
            // Not about this: a callback of somebody's.
            resume_unwind(panic)
        })
    }

    /// What callbacks reported since this handle was made or last asked. Whoever uses the device at the time hears of an
    /// error, as nobody can tell whose work it was.
    ///
    /// # Errors
    /// Where the device was lost, or wgpu reported an error nobody else caught.
    pub fn check(&self) -> Result<()> {
        let (errors, last) = {
            let failure = lock(&self.0.failure);
            (failure.errors, failure.error.clone())
        };
        match last {
            Some(error) if self.1.0.swap(errors, Ordering::Relaxed) != errors => {
                Err(self.lost_or("submitted work", error))
            }
            _ => self.check_lost(),
        }
    }

    fn check_lost(&self) -> Result<()> {
        match &lock(&self.0.failure).lost {
            None => Ok(()),
            Some(reason) => {
                let device = self.0.info.name.clone();
                Err(Error::DeviceLost { device, reason: reason.clone() })
            }
        }
    }

    /// The error for what wgpu refused: the loss of the device or a lack of memory, where that is why.
    pub(super) fn refused(&self, what: impl Into<String>, error: wgpu::Error) -> Error {
        match error {
            wgpu::Error::OutOfMemory { .. } => self.lost().unwrap_or_else(|| self.out_of_memory(&what.into(), 0)),
            error => self.lost_or(what, error),
        }
    }

    fn lost_or(&self, what: impl Into<String>, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.lost().unwrap_or_else(|| Error::Gpu { what: what.into(), source: Box::new(error) })
    }

    /// The loss of the device, where it was lost.
    fn lost(&self) -> Option<Error> {
        // The news of a loss comes by callback, and callbacks run when the device is polled: here or, a moment later, in
        // another thread that polls at the same time.
        for _ in 0..100 {
            let polled = self.poll(wgpu::PollType::Poll);
            if let Err(lost) = polled.and_then(|_| self.check_lost()) {
                return Some(lost);
            }
            std::thread::yield_now();
        }
        None
    }

    /// The pipeline of a kernel, made at the first call.
    ///
    /// # Errors
    /// Where the driver refuses it.
    pub(crate) fn pipeline(&self, kernel: &Kernel) -> Result<wgpu::ComputePipeline> {
        let label = kernel.label();
        if let Some(pipeline) = lock(&self.0.pipelines).get(&label) {
            return Ok(pipeline.clone());
        }
        let text = match &self.0.shaders {
            Some(folder) => kernel.wgsl_from(folder)?,
            None => kernel.wgsl()?,
        };
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(&label), source: wgpu::ShaderSource::Wgsl(text.into()) };
        let checks = wgpu::ShaderRuntimeChecks {
            force_loop_bounding: false,
            bounds_checks: self.0.bounds_checks == BoundsChecks::On,
            ..wgpu::ShaderRuntimeChecks::checked()
        };
        let pipeline = self.attempt(&format!("the kernel {label}"), 0, |device| {
            // SAFETY: every loop of ours counts to a size that the host checked. Where bounds checks are off, kernels
            // guard each index themselves, those that come from data (ids, lengths, globals) too; `verify` runs both
            // ways.
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
        lock(&self.0.pipelines).insert(label, pipeline.clone());
        Ok(pipeline)
    }
}

impl Inner {
    /// Whether errors of the device still come to us.
    fn handles_errors(&self) -> bool {
        lock(&self.handler).strong_count() > 0
    }
}

/// Has `failure` told of what becomes of the device. What is returned is gone once another handler took over.
fn handle_errors(device: &wgpu::Device, failure: &Arc<Mutex<Failure>>) -> Weak<()> {
    let held = Arc::new(());
    let handler = Arc::downgrade(&held);
    let seen = Arc::clone(failure);
    device.on_uncaptured_error(Arc::new(move |error| {
        let _ = &held;
        let mut seen = lock(&seen);
        seen.errors += 1;
        seen.error = Some(Arc::new(error));
    }));
    let seen = Arc::clone(failure);
    device.set_device_lost_callback(move |reason, message| {
        lock(&seen).lost.get_or_insert_with(|| format!("{reason:?}: {message}"));
    });
    handler
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
