//! Runs a planned graph: records once, replays every step.

use std::collections::HashSet;

use super::choose::{Select, choose_all};
use super::gpu::{GpuMemory, SENTINEL, SENTINELS};
use super::host::Host;
use super::reference::Reference;
use super::run::{ExecutorOptions, OpTime, Ops, Staged, Submitted};
use super::{Graph, Plan, Source, Value, ValueInfo};
use crate::gpu::Signal;
#[cfg(not(target_family = "wasm"))]
use crate::gpu::block_on;
use crate::op::ReferenceData;
use crate::{DType, Device, Error, Result, Tensor, memory};

/// A graph with memory on a device.
///
/// [`Executor::run`] never waits for a GPU. What waits comes twice: `..._async` never blocks, the other blocks the calling
/// thread and is not there in a browser. Dropped, it frees all of its memory but the constants, which stay with the device
/// for other graphs; what runs at the time is let finish.
#[derive(Debug)]
pub struct Executor {
    graph: Graph,
    plan: Plan,
    backend: Backend,
    times: Vec<OpTime>,
}

#[derive(Debug)]
enum Backend {
    Gpu(Box<GpuMemory>),
    Host(Host),
    Reference(Reference),
}

impl Executor {
    /// Plans `graph`, allocates on `device` and records the dispatches.
    ///
    /// # Errors
    /// If memory or a limit of the device does not suffice, or a kernel is refused.
    #[cfg(not(target_family = "wasm"))]
    pub fn new(device: &Device, graph: Graph, options: ExecutorOptions) -> Result<Self> {
        block_on(Self::new_async(device, graph, options))
    }

    /// Plans `graph`, allocates on `device` and records the dispatches.
    ///
    /// # Errors
    /// If memory or a limit of the device does not suffice, or a kernel is refused.
    pub async fn new_async(device: &Device, graph: Graph, options: ExecutorOptions) -> Result<Self> {
        let mut graph = graph;
        if options.sentinels {
            graph.keep_all();
        }
        let choices = match device {
            Device::Gpu(gpu) => {
                let select = options.choice.map_or(Select::Tier(gpu.tier()), Select::Nth);
                choose_all(&graph, gpu.capabilities(), select)?
            }
            _ => Vec::new(),
        };
        let plan = Plan::new(&graph, &choices);
        let backend = match device {
            Device::Gpu(gpu) => Backend::Gpu(Box::new(GpuMemory::new(gpu, &graph, &plan, &choices, options).await?)),
            Device::Cpu => Backend::Host(Host::new(&graph, &plan)?),
            Device::Reference => Backend::Reference(Reference::new(&graph)?),
        };
        Ok(Self { graph, plan, backend, times: Vec::new() })
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Each op of a run of `ops`, and how many dispatches it is; of a host there are none.
    pub fn dispatches(&self, ops: Ops) -> Vec<(&'static str, usize)> {
        let Backend::Gpu(memory) = &self.backend else { return Vec::new() };
        let nodes = self.graph.nodes.iter().zip(&memory.commands);
        let nodes = nodes.filter(|(node, _)| ops == Ops::All || !node.occasional);
        nodes.map(|(node, commands)| (node.op.name(), commands.len())).collect()
    }

    /// The plan of its memory.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Writes a state.
    ///
    /// # Errors
    /// If the value is not a state, or `tensor` does not have its type and size.
    pub fn write(&mut self, value: Value, tensor: &Tensor) -> Result<()> {
        let info = self.graph.values.get(value.index());
        if !info.is_some_and(|info| matches!(info.source, Source::State)) {
            return Err(Error::argument("a value to write", "none of the graph's states", "a state"));
        }
        let desc = self.graph.desc(value);
        if desc.dtype != tensor.desc().dtype || desc.len() != tensor.desc().len() {
            return Err(Error::shape("write", "the tensor", tensor.desc().to_string(), desc.to_string()));
        }
        match &mut self.backend {
            Backend::Gpu(memory) => {
                memory.gpu.write("a state", &memory.buffers[value.index()], 0, tensor.words())?;
            }
            Backend::Host(host) => host.write(value.index(), tensor.words()),
            Backend::Reference(reference) => reference.write(value.index(), tensor)?,
        }
        Ok(())
    }

    /// Keeps `rows` (each as large as `value`) ready on the device, so that [`Executor::run_with`] needs no upload.
    ///
    /// # Errors
    /// If the rows have another size, or there is no memory for them.
    pub fn stage(&mut self, value: Value, rows: &[Vec<f32>]) -> Result<()> {
        let len = self.graph.desc(value).len();
        if let Some(row) = rows.iter().find(|row| row.len() != len) {
            return Err(Error::shape("stage", "a row", row.len().to_string(), len.to_string()));
        }
        if let Backend::Gpu(gpu_memory) = &mut self.backend {
            let words = memory::collected("staged rows", rows.iter().flatten().map(|x| x.to_bits()))?;
            let buffer = gpu_memory.gpu.upload("staged rows", &words)?;
            gpu_memory.staged.retain(|(staged, ..)| *staged != value);
            gpu_memory.staged.push((value, buffer, len as u64 * 4));
        }
        Ok(())
    }

    /// Runs every op once.
    ///
    /// # Errors
    /// If the device was lost or refused the work.
    pub fn run(&mut self) -> Result<Submitted> {
        self.run_with(&[], Ops::All)
    }

    /// Like [`Executor::run`], but first copies rows of what was staged to their states, and runs `ops` alone.
    ///
    /// # Errors
    /// If a row was not staged or has another size, or the device was lost or refused the work.
    pub fn run_with(&mut self, staged: &[Staged<'_>], ops: Ops) -> Result<Submitted> {
        let Self { graph, backend, times, .. } = self;
        for &Staged { value, row, .. } in staged {
            let expected = graph.desc(value).len();
            if expected != row.len() {
                return Err(Error::shape("run", "the staged row", row.len().to_string(), expected.to_string()));
            }
        }
        match backend {
            Backend::Gpu(memory) => {
                return memory.submit(staged, ops);
            }
            Backend::Host(host) => {
                for Staged { value, row, .. } in staged {
                    host.write(value.index(), bytemuck::cast_slice(row));
                }
                *times = host.within(|host| timed(graph, ops, |index| host.run_node(graph, index)))?;
            }
            Backend::Reference(reference) => {
                for Staged { value, row, .. } in staged {
                    reference.write(value.index(), &Tensor::f32([row.len()], row.to_vec())?)?;
                }
                *times = timed(graph, ops, |index| reference.run_node(graph, index))?;
            }
        }
        Ok(Submitted { submits: 0 })
    }

    /// Waits for submitted runs.
    ///
    /// # Errors
    /// If the device was lost or refused the work.
    #[cfg(not(target_family = "wasm"))]
    pub fn wait(&self) -> Result<()> {
        block_on(self.wait_async())
    }

    /// Waits for submitted runs.
    ///
    /// # Errors
    /// If the device was lost or refused the work.
    pub async fn wait_async(&self) -> Result<()> {
        match &self.backend {
            Backend::Gpu(memory) => memory.gpu.wait_async().await,
            _ => Ok(()),
        }
    }

    /// What comes once the runs submitted so far are done; `None` where they are.
    pub(crate) fn submitted(&self) -> Option<Signal<()>> {
        match &self.backend {
            Backend::Gpu(memory) => Some(memory.gpu.submitted(memory.last.clone())),
            _ => None,
        }
    }

    /// Waits for what [`Executor::submitted`] gave.
    ///
    /// # Errors
    /// If the device was lost or refused the work.
    pub(crate) async fn reached(&self, done: Signal<()>) -> Result<()> {
        match &self.backend {
            Backend::Gpu(memory) => memory.gpu.reached(done).await,
            _ => Ok(()),
        }
    }

    /// Reads a state or a kept value.
    ///
    /// # Errors
    /// If the value is temporary, or the device was lost.
    #[cfg(not(target_family = "wasm"))]
    pub fn read(&self, value: Value) -> Result<Tensor> {
        block_on(self.read_async(value))
    }

    /// Reads a state or a kept value.
    ///
    /// # Errors
    /// If the value is temporary, or the device was lost.
    pub async fn read_async(&self, value: Value) -> Result<Tensor> {
        let mut tensors = self.read_all_async(&[value]).await?;
        Ok(tensors.swap_remove(0))
    }

    /// Reads several states or kept values at one wait.
    ///
    /// # Errors
    /// If one is temporary, or the device was lost.
    #[cfg(not(target_family = "wasm"))]
    pub fn read_all(&self, values: &[Value]) -> Result<Vec<Tensor>> {
        block_on(self.read_all_async(values))
    }

    /// Reads several states or kept values at one wait.
    ///
    /// # Errors
    /// If one is temporary, or the device was lost.
    pub async fn read_all_async(&self, values: &[Value]) -> Result<Vec<Tensor>> {
        let infos = || values.iter().map(|value| &self.graph.values[value.index()]);
        if !infos().all(ValueInfo::persistent) {
            return Err(Error::argument("a value to read", "temporary", "a state or a kept value"));
        }
        match &self.backend {
            Backend::Gpu(memory) => {
                let buffers = values.iter().map(|value| &memory.buffers[value.index()]);
                let wanted: Vec<_> = buffers.zip(infos().map(|info| info.desc.len())).collect();
                let words = memory.gpu.download_all(&wanted).await?;
                Ok(words
                    .into_iter()
                    .zip(infos())
                    .map(|(words, info)| Tensor::from_words(info.desc.clone(), words))
                    .collect())
            }
            Backend::Host(host) => values.iter().map(|value| host.read(&self.graph, value.index())).collect(),
            Backend::Reference(reference) => {
                values.iter().map(|value| reference.read(&self.graph, value.index())).collect()
            }
        }
    }

    /// The words of a u32 state, where they can be seen without waiting for the device.
    pub(crate) fn glance(&self, value: Value) -> Option<&[u32]> {
        match &self.backend {
            Backend::Gpu(_) => None,
            Backend::Host(host) => Some(host.words(&self.graph, value.index())),
            Backend::Reference(reference) => match reference.data(value.index()) {
                ReferenceData::U32(words) => Some(words),
                ReferenceData::F64(_) => None,
            },
        }
    }

    /// Runs the ops like [`Executor::run_with`], but one by one and only up to the first that leaves a value which is NaN
    /// or infinite in an output that anything reads; gives its place among the ops, from 1, and its name. Slow: every
    /// output is read.
    ///
    /// # Errors
    /// If the device was lost or refused the work.
    #[cfg(not(target_family = "wasm"))]
    pub fn first_not_finite(&mut self, staged: &[Staged<'_>]) -> Result<Option<(usize, &'static str)>> {
        block_on(self.first_not_finite_async(staged))
    }

    /// [`Executor::first_not_finite`] without blocking.
    ///
    /// # Errors
    /// If the device was lost or refused the work.
    pub async fn first_not_finite_async(&mut self, staged: &[Staged<'_>]) -> Result<Option<(usize, &'static str)>> {
        for Staged { value, row, .. } in staged.iter().copied() {
            self.write(value, &Tensor::f32(self.graph.desc(value).shape.clone(), row.to_vec())?)?;
        }
        let read: HashSet<_> = self.graph.nodes.iter().flat_map(|node| node.inputs.iter().copied().flatten()).collect();
        for (index, node) in self.graph.nodes.iter().enumerate() {
            let written = node.outputs.iter().copied().chain(node.updated()).filter(|value| {
                let info = &self.graph.values[value.index()];
                info.desc.dtype == DType::F32 && (read.contains(value) || info.persistent())
            });
            match &mut self.backend {
                Backend::Gpu(memory) => memory.submit_one(index)?,
                Backend::Host(host) => host.run_node(&self.graph, index)?,
                Backend::Reference(reference) => reference.run_node(&self.graph, index)?,
            }
            for value in written {
                let finite = match &self.backend {
                    Backend::Gpu(memory) => {
                        let words = self.graph.desc(value).len();
                        let buffer = &memory.buffers[value.index()];
                        all_finite(&memory.gpu.download_async(buffer, words).await?)
                    }
                    Backend::Host(host) => all_finite(host.words(&self.graph, value.index())),
                    Backend::Reference(reference) => match reference.data(value.index()) {
                        ReferenceData::F64(data) => data.iter().all(|x| x.is_finite()),
                        ReferenceData::U32(_) => true,
                    },
                };
                if !finite {
                    return Ok(Some((index + 1, node.op.name())));
                }
            }
        }
        Ok(None)
    }

    /// A value of the f64 reference at full precision; `None` on other devices.
    pub fn exact(&self, value: Value) -> Option<&ReferenceData> {
        match &self.backend {
            Backend::Reference(reference) => Some(reference.data(value.index())),
            _ => None,
        }
    }

    /// Time of each op in the last run, if it was asked for and the device can measure it.
    ///
    /// # Errors
    /// If the device was lost.
    #[cfg(not(target_family = "wasm"))]
    pub fn times(&self) -> Result<Vec<OpTime>> {
        block_on(self.times_async())
    }

    /// Time of each op in the last run, if it was asked for and the device can measure it.
    ///
    /// # Errors
    /// If the device was lost.
    pub async fn times_async(&self) -> Result<Vec<OpTime>> {
        let Backend::Gpu(memory) = &self.backend else { return Ok(self.times.clone()) };
        let Some(profiler) = &memory.profiler else { return Ok(Vec::new()) };
        let times = profiler.read_async(&memory.gpu).await?;
        let ops = self.graph.nodes.iter().zip(times);
        Ok(ops.map(|(node, (begin, end))| OpTime { name: node.op.name(), begin, end }).collect())
    }

    /// Names the buffers whose sentinel words did not survive.
    ///
    /// # Errors
    /// If the device was lost.
    #[cfg(not(target_family = "wasm"))]
    pub fn check_sentinels(&self) -> Result<Vec<String>> {
        block_on(self.check_sentinels_async())
    }

    /// Names the buffers whose sentinel words did not survive.
    ///
    /// # Errors
    /// If the device was lost.
    pub async fn check_sentinels_async(&self) -> Result<Vec<String>> {
        let Backend::Gpu(memory) = &self.backend else { return Ok(Vec::new()) };
        let mut broken = Vec::new();
        for (buffer, what, bytes) in &memory.guarded {
            let front = usize::try_from(bytes / 4).unwrap_or(usize::MAX);
            let words = memory.gpu.download_async(buffer, front + SENTINELS as usize).await?;
            if words[front..].iter().any(|&word| word != SENTINEL) {
                broken.push(what.clone());
            }
        }
        Ok(broken)
    }
}

fn all_finite(words: &[u32]) -> bool {
    words.iter().all(|&word| f32::from_bits(word).is_finite())
}

/// Runs ops by `run` and takes the time of each, where there is a clock.
fn timed(graph: &Graph, ops: Ops, mut run: impl FnMut(usize) -> Result<()>) -> Result<Vec<OpTime>> {
    let mut run = |index: usize| match ops == Ops::Usual && graph.nodes[index].occasional {
        true => Ok(()),
        false => run(index),
    };
    if cfg!(target_family = "wasm") {
        return (0..graph.nodes.len()).try_for_each(run).map(|()| Vec::new());
    }
    let origin = std::time::Instant::now();
    let now = || origin.elapsed().as_nanos() as f64;
    let ops = graph.nodes.iter().enumerate().map(|(index, node)| {
        let begin = now();
        run(index)?;
        Ok(OpTime { name: node.op.name(), begin, end: now() })
    });
    ops.collect()
}
