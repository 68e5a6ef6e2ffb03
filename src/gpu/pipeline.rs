//! Pipelines of kernels, each made once.

#[cfg(not(target_family = "wasm"))]
use std::panic::resume_unwind;

use super::context::Gpu;
use super::{BoundsChecks, Kernel, ZERO_WORKGROUP_MEMORY, lock};
use crate::Result;

/// Threads that compile at most: a driver's compiler is no lighter than wgpu's.
#[cfg(not(target_family = "wasm"))]
const MAX_COMPILERS: usize = 8;

impl Gpu {
    /// Makes those pipelines of kernels that are not made yet, several at a time: compilers take most of the time to a
    /// first step.
    ///
    /// # Errors
    /// If the driver refuses one.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn compile(&self, kernels: &[Kernel]) -> Result<()> {
        use std::sync::atomic::{AtomicUsize, Ordering};

        let missing: Vec<_> = {
            let made = lock(&self.inner.pipelines);
            kernels.iter().filter(|kernel| !made.contains_key(kernel)).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let next = AtomicUsize::new(0);
        let work = || {
            // A handle of its own, as error scopes are a thread's.
            let gpu = self.clone();
            while let Some(kernel) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                gpu.pipeline(kernel)?;
            }
            Ok(())
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = cores.min(missing.len()).min(MAX_COMPILERS);
        let made = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads)
                .map_while(|_| {
                    std::thread::Builder::new().name("drdiff compiler".into()).spawn_scoped(scope, work).ok()
                })
                .collect();
            let own = work();
            let joined = others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            joined.fold(own, Result::and)
        });
        made?;
        if let Some(kept) = &self.inner.kept {
            kept.save(lock(&self.inner.pipelines).len());
        }
        Ok(())
    }

    /// A browser compiles by itself, in the background.
    #[cfg(target_family = "wasm")]
    pub(crate) fn compile(&self, _: &[Kernel]) -> Result<()> {
        Ok(())
    }

    /// The pipeline of a kernel, made at the first call.
    ///
    /// # Errors
    /// If the driver refuses it.
    pub(crate) fn pipeline(&self, kernel: &Kernel) -> Result<wgpu::ComputePipeline> {
        let label = kernel.label();
        let own = self.build.as_ref().map(|build| &build.pipelines);
        for made in [Some(&self.inner.pipelines), own].into_iter().flatten() {
            if let Some(pipeline) = lock(made).get(kernel) {
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
            let module = match kernel.source.is_built_in() {
                #[expect(unsafe_code, reason = "checks that wgpu would add cost time, and the kernels make them")]
                // SAFETY: every loop of ours counts to a size that the host checked. Where bounds checks are off, kernels
                // guard each index themselves, those that come from data (ids, lengths, globals) too; `verify` runs both
                // ways.
                true => unsafe { device.create_shader_module_trusted(descriptor, checks) },
                // Nobody has vouched for an application's own.
                false => device.create_shader_module(descriptor),
            };
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&label),
                layout: None,
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: ZERO_WORKGROUP_MEMORY,
                    ..Default::default()
                },
                cache: self.inner.kept.as_ref().map(|kept| &kept.cache),
            })
        })?;
        self.check()?;
        // Outside a build it is known by now to be good.
        lock(own.unwrap_or(&self.inner.pipelines)).insert(*kernel, pipeline.clone());
        Ok(pipeline)
    }
}
