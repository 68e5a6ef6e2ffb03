//! An open device: pipelines made once, buffers, and errors that keep their cause.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wgpu::util::DeviceExt as _;

use super::{DeviceChoice, GpuOptions, Kernel, Tier, ZERO_WORKGROUP_MEMORY, adapter};
use crate::{Error, Result};

/// An open GPU. Clones share the device.
#[derive(Clone, Debug)]
pub struct Gpu(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: u64,
    info: wgpu::AdapterInfo,
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipelines: Mutex<HashMap<String, wgpu::ComputePipeline>>,
    failure: Arc<Mutex<Failure>>,
    absent: wgpu::Buffer,
}

/// What callbacks of the device left behind.
#[derive(Debug, Default)]
struct Failure {
    lost: Option<String>,
    error: Option<wgpu::Error>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Gpu {
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
        let missing = tier.features() - adapter.features();
        if tier != Tier::Core {
            let missing = match missing.is_empty() {
                true => "kernels of that tier, of which there are none yet".to_owned(),
                false => format!("{missing:?}"),
            };
            return Err(Error::Tier { tier: tier.name(), device: info.name, missing });
        }
        let required_features = adapter.features() & wgpu::Features::TIMESTAMP_QUERY;
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("drdiff"),
                required_features,
                required_limits: adapter.limits(),
                ..Default::default()
            })
            .await
            .map_err(|source| Error::Open { device: info.name.clone(), source })?;
        Ok(Some(Self::from_wgpu(&adapter, device, queue)))
    }

    /// Uses a device the caller opened, on which drdiff then handles uncaptured errors and device loss. Every feature
    /// is optional; with `TIMESTAMP_QUERY` ops can be timed. Once a device: a second call takes over its errors.
    pub fn from_wgpu(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let failure = Arc::new(Mutex::new(Failure::default()));
        let seen = Arc::clone(&failure);
        device.on_uncaptured_error(Arc::new(move |error| {
            lock(&seen).error.get_or_insert(error);
        }));
        let seen = Arc::clone(&failure);
        device.set_device_lost_callback(move |reason, message| {
            lock(&seen).lost.get_or_insert_with(|| format!("{reason:?}: {message}"));
        });
        let absent = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("absent input"),
            size: 256,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let info = adapter.get_info();
        let pipelines = Mutex::default();
        Self(Arc::new(Inner { id, info, device, queue, pipelines, failure, absent }))
    }

    /// Tells devices of one process apart.
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    /// The adapter's name, backend and driver.
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.0.info
    }

    /// The wgpu device.
    pub fn device(&self) -> &wgpu::Device {
        &self.0.device
    }

    /// The wgpu queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.0.queue
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
        let device = &self.0.device;
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST
            | wgpu::BufferUsages::INDIRECT
            | wgpu::BufferUsages::UNIFORM;
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(what),
            size: bytes,
            usage,
            mapped_at_creation: false,
        });
        let invalid = pollster::block_on(validation.pop());
        let exhausted = pollster::block_on(memory.pop());
        if let Some(error) = invalid {
            return Err(self.refused(format!("a buffer for {what}"), error));
        }
        if let Some(error) = exhausted {
            // A lost device has no memory either.
            let Error::Gpu { .. } = self.refused(what, error) else { return self.check_lost().map(|()| buffer) };
            let what = what.to_owned();
            return Err(Error::OutOfMemory { device: self.0.info.name.clone(), what, bytes });
        }
        self.check().map(|()| buffer)
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
        self.0.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(words));
        Ok(buffer)
    }

    pub(crate) fn uniform(&self, bytes: &[u8]) -> wgpu::Buffer {
        self.0.device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: Some("params"),
            contents: bytes,
            usage: wgpu::BufferUsages::UNIFORM,
        })
    }

    /// The first `words` words of `buffer`, once all submitted work is done.
    ///
    /// # Errors
    /// Where the device was lost or the buffer cannot be mapped.
    pub fn download(&self, buffer: &wgpu::Buffer, words: usize) -> Result<Vec<u32>> {
        let bytes = words as u64 * 4;
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let staging = self.0.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read back"),
            size: bytes,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.0.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, bytes);
        self.0.queue.submit([encoder.finish()]);
        let (sender, receiver) = std::sync::mpsc::channel();
        staging.slice(..).map_async(wgpu::MapMode::Read, move |result| {
            let _ = sender.send(result);
        });
        self.wait()?;
        let mapped = receiver.recv().map_err(|error| gpu_error("a read-back", error))?;
        mapped.map_err(|error| gpu_error("a read-back", error))?;
        let view = staging.slice(..).get_mapped_range().map_err(|error| gpu_error("a read-back", error))?;
        Ok(bytemuck::pod_collect_to_vec(&view))
    }

    /// Waits for all submitted work.
    ///
    /// # Errors
    /// Where the device was lost or refused the work.
    pub fn wait(&self) -> Result<()> {
        let polled = self.0.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        polled.map(|_| ()).map_err(|error| gpu_error("waiting for the device", error))
    }

    /// What callbacks reported since the last call.
    ///
    /// # Errors
    /// Where the device was lost, or wgpu reported an error nobody else caught.
    pub fn check(&self) -> Result<()> {
        let failure = std::mem::take(&mut lock(&self.0.failure).error);
        match failure {
            None => self.check_lost(),
            Some(error) => Err(self.refused("submitted work", error)),
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

    /// The error for what wgpu refused: the loss of the device, where that is why.
    pub(super) fn refused(&self, what: impl Into<String>, error: wgpu::Error) -> Error {
        // The news of a loss comes by callback, and callbacks run when the device is polled.
        let _ = self.0.device.poll(wgpu::PollType::Poll);
        self.check_lost().err().unwrap_or_else(|| gpu_error(what, error))
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
        let device = &self.0.device;
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(&label),
            source: wgpu::ShaderSource::Wgsl(kernel.wgsl()?.into()),
        };
        let checks = wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
        // SAFETY: all bounds checks stay on; only the guard against endless loops goes, and every loop of ours counts
        // to a size that the host checked.
        let module = unsafe { device.create_shader_module_trusted(descriptor, checks) };
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: ZERO_WORKGROUP_MEMORY,
                ..Default::default()
            },
            cache: None,
        });
        if let Some(error) = pollster::block_on(scope.pop()) {
            return Err(self.refused(format!("the kernel {label}"), error));
        }
        self.check()?;
        lock(&self.0.pipelines).insert(label, pipeline.clone());
        Ok(pipeline)
    }
}

fn gpu_error(what: impl Into<String>, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Gpu { what: what.into(), source: Box::new(source) }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
