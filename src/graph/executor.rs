//! Runs a planned graph: records once, replays every step.

use std::collections::HashSet;
use std::time::Instant;

use super::choose::{Select, choose_all};
use super::host::Host;
use super::recorded::{Bindings, record};
use super::reference::Reference;
use super::{Graph, Plan, Source, Value, ValueInfo};
use crate::gpu::{Binding, Command, Gpu, Profiler};
use crate::op::{Choice, ReferenceData};
use crate::{DType, Device, Error, Result, Tensor, memory};

/// Words behind each buffer that ops must leave alone, where they are checked.
const SENTINELS: u64 = 1024;
const SENTINEL: u32 = 0x7fc0_dead;

/// How a graph is run.
#[derive(Clone, Copy, Debug)]
pub struct ExecutorOptions {
    /// Put sentinel words behind each buffer, for [`Executor::check_sentinels`]. One slot a value then.
    pub sentinels: bool,
    /// Take the time of each op.
    pub profile: bool,
    /// A run is split into several submits once its ops exceed this many FLOPs, so that no watchdog fires.
    pub flops_per_submit: f64,
    /// On a GPU, which of each op's choices of kernels that the device can run, by its place (the last where there are
    /// fewer); the best of the device's tier where it is not given.
    pub choice: Option<usize>,
}

impl Default for ExecutorOptions {
    fn default() -> Self {
        Self { sentinels: false, profile: false, flops_per_submit: 1e12, choice: None }
    }
}

/// Time of one op in one run.
#[derive(Clone, Debug)]
pub struct OpTime {
    /// The op.
    pub name: &'static str,
    /// Begin in nanoseconds; differences count, the origin does not.
    pub begin: f64,
    /// End in nanoseconds.
    pub end: f64,
}

/// What [`Executor::run`] started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Queue submits it took (0 on the CPU).
    pub submits: usize,
}

/// A graph with memory on a device.
#[derive(Debug)]
pub struct Executor {
    graph: Graph,
    plan: Plan,
    options: ExecutorOptions,
    backend: Backend,
    times: Vec<OpTime>,
}

#[derive(Debug)]
enum Backend {
    Gpu(GpuMemory),
    Host(Host),
    Reference(Reference),
}

#[derive(Debug)]
struct GpuMemory {
    gpu: Gpu,
    /// The buffer of each value.
    buffers: Vec<wgpu::Buffer>,
    commands: Vec<Vec<Command>>,
    /// FLOPs of each op, by which a run is split into submits.
    flops: Vec<f64>,
    profiler: Option<Profiler>,
    /// Rows for [`Executor::stage`]: value, buffer, bytes of a row.
    staged: Vec<(Value, wgpu::Buffer, u64)>,
    /// Buffers with sentinels, what they hold, and the bytes in front of the sentinels.
    guarded: Vec<(wgpu::Buffer, String, u64)>,
}

impl Executor {
    /// Plans `graph`, allocates on `device` and records the dispatches.
    ///
    /// # Errors
    /// Where memory or a limit of the device does not suffice, or a kernel is refused.
    pub fn new(device: &Device, graph: Graph, options: ExecutorOptions) -> Result<Self> {
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
            Device::Gpu(gpu) => Backend::Gpu(GpuMemory::new(gpu, &graph, &plan, &choices, options)?),
            Device::Cpu => Backend::Host(Host::new(&graph, &plan)?),
            Device::Reference => Backend::Reference(Reference::new(&graph)?),
        };
        Ok(Self { graph, plan, options, backend, times: Vec::new() })
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The plan of its memory.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Writes a state.
    ///
    /// # Errors
    /// Where the value is no state, or `tensor` has not its type and size.
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

    /// Holds `rows` (each as large as `value`) ready on the device, so that [`Executor::run_with`] needs no upload.
    ///
    /// # Errors
    /// Where the rows have another size, or there is no memory for them.
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
    /// Where the device was lost or refused the work.
    pub fn run(&mut self) -> Result<Submitted> {
        self.run_with(None)
    }

    /// Like [`Executor::run`], with row `index` of what was staged copied to its value first; `row` is the same row for
    /// devices that hold nothing staged.
    ///
    /// # Errors
    /// Where the device was lost or refused the work.
    pub fn run_with(&mut self, staged: Option<(Value, usize, &[f32])>) -> Result<Submitted> {
        let Self { graph, options, backend, times, .. } = self;
        if let Some((value, _, row)) = staged
            && graph.desc(value).len() != row.len()
        {
            let expected = graph.desc(value).len().to_string();
            return Err(Error::shape("run", "the staged row", row.len().to_string(), expected));
        }
        match backend {
            Backend::Gpu(memory) => {
                return memory.submit(graph, options, staged.map(|(value, index, _)| (value, index)));
            }
            Backend::Host(host) => {
                if let Some((value, _, row)) = staged {
                    host.write(value.index(), bytemuck::cast_slice(row));
                }
                *times = timed(graph, |index| host.run_node(graph, index))?;
            }
            Backend::Reference(reference) => {
                if let Some((value, _, row)) = staged {
                    reference.write(value.index(), &Tensor::f32([row.len()], row.to_vec())?)?;
                }
                *times = timed(graph, |index| reference.run_node(graph, index))?;
            }
        }
        Ok(Submitted { submits: 0 })
    }

    /// Waits for submitted runs.
    ///
    /// # Errors
    /// Where the device was lost or refused the work.
    pub fn wait(&self) -> Result<()> {
        match &self.backend {
            Backend::Gpu(memory) => memory.gpu.wait(),
            _ => Ok(()),
        }
    }

    /// Reads a state or a kept value.
    ///
    /// # Errors
    /// Where the value is temporary, or the device was lost.
    pub fn read(&self, value: Value) -> Result<Tensor> {
        let mut tensors = self.read_all(&[value])?;
        Ok(tensors.swap_remove(0))
    }

    /// Reads several states or kept values at one wait.
    ///
    /// # Errors
    /// Where one is temporary, or the device was lost.
    pub fn read_all(&self, values: &[Value]) -> Result<Vec<Tensor>> {
        let infos = || values.iter().map(|value| &self.graph.values[value.index()]);
        if !infos().all(ValueInfo::persistent) {
            return Err(Error::argument("a value to read", "temporary", "a state or a kept value"));
        }
        match &self.backend {
            Backend::Gpu(memory) => {
                let buffers = values.iter().map(|value| &memory.buffers[value.index()]);
                let wanted: Vec<_> = buffers.zip(infos().map(|info| info.desc.len())).collect();
                let words = memory.gpu.download_all(&wanted)?;
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
    /// Where the device was lost or refused the work.
    pub fn first_not_finite(
        &mut self,
        staged: Option<(Value, usize, &[f32])>,
    ) -> Result<Option<(usize, &'static str)>> {
        if let Some((value, _, row)) = staged {
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
                        all_finite(&memory.gpu.download(&memory.buffers[value.index()], words)?)
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

    /// Time of each op in the last run, where it was asked for and the device can tell.
    ///
    /// # Errors
    /// Where the device was lost.
    pub fn times(&self) -> Result<Vec<OpTime>> {
        match &self.backend {
            Backend::Gpu(GpuMemory { gpu, profiler: Some(profiler), .. }) => {
                let times = profiler.read(gpu)?;
                let ops = self.graph.nodes.iter().zip(times);
                Ok(ops.map(|(node, (begin, end))| OpTime { name: node.op.name(), begin, end }).collect())
            }
            _ => Ok(self.times.clone()),
        }
    }

    /// Names the buffers whose sentinel words did not survive.
    ///
    /// # Errors
    /// Where the device was lost.
    pub fn check_sentinels(&self) -> Result<Vec<String>> {
        let Backend::Gpu(memory) = &self.backend else { return Ok(Vec::new()) };
        let mut broken = Vec::new();
        for (buffer, what, bytes) in &memory.guarded {
            let front = usize::try_from(bytes / 4).unwrap_or(usize::MAX);
            let words = memory.gpu.download(buffer, front + SENTINELS as usize)?;
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

/// Runs every op by `run` and takes the time of each.
fn timed(graph: &Graph, mut run: impl FnMut(usize) -> Result<()>) -> Result<Vec<OpTime>> {
    let origin = Instant::now();
    let now = || origin.elapsed().as_nanos() as f64;
    let ops = graph.nodes.iter().enumerate().map(|(index, node)| {
        let begin = now();
        run(index)?;
        Ok(OpTime { name: node.op.name(), begin, end: now() })
    });
    ops.collect()
}

impl GpuMemory {
    fn new(gpu: &Gpu, graph: &Graph, plan: &Plan, choices: &[Choice], options: ExecutorOptions) -> Result<Self> {
        // A handle of its own: what went wrong on the device before is none of this graph's.
        let gpu = &gpu.clone();
        // Refused before anything is allocated.
        for (index, info) in graph.values.iter().enumerate() {
            gpu.check_binding(&graph.label(index), info.desc.bytes())?;
        }
        let mut guarded = Vec::new();
        let mut allocate = |what: String, bytes: u64| -> Result<wgpu::Buffer> {
            if !options.sentinels {
                return gpu.buffer(&what, bytes);
            }
            let buffer = gpu.buffer(&what, bytes + SENTINELS * 4)?;
            let tail = [SENTINEL; SENTINELS as usize];
            gpu.write(&what, &buffer, bytes, &tail)?;
            guarded.push((buffer.clone(), what, bytes));
            Ok(buffer)
        };
        let slots = plan.slots.iter().enumerate();
        let slots: Vec<_> =
            slots.map(|(i, &bytes)| allocate(format!("temporary values (slot {i})"), bytes)).collect::<Result<_>>()?;
        let mut buffers = Vec::with_capacity(graph.values.len());
        for (index, (info, temporary)) in graph.values.iter().zip(&plan.value).enumerate() {
            buffers.push(match (temporary, &info.source) {
                (Some(temporary), _) => slots[plan.assignment[*temporary]].clone(),
                (None, Source::Constant(constant)) => {
                    constant.buffer(gpu.id(), || gpu.upload("a constant", constant.tensor().words()))?
                }
                (None, _) => allocate(graph.label(index), info.desc.bytes())?,
            });
        }
        let absent = Binding::from(gpu.absent());
        let mut commands = Vec::with_capacity(graph.nodes.len());
        for (index, (node, choice)) in graph.nodes.iter().zip(choices).enumerate() {
            let bind = |value: Value| Binding::from(&buffers[value.index()]);
            let scratch = plan.scratch[index]..plan.scratch[index] + choice.scratch.len();
            let io = Bindings {
                inputs: node.inputs.iter().map(|v| v.map_or_else(|| absent.clone(), bind)).collect(),
                outputs: node.outputs.iter().map(|&v| bind(v)).collect(),
                scratch: scratch.map(|i| Binding::from(&slots[plan.assignment[i]])).collect(),
            };
            commands.push(record(gpu, choice, &io)?);
        }
        let profiler = if options.profile { Profiler::new(gpu, graph.nodes.len())? } else { None };
        let flops = graph.costs().into_iter().map(|(_, cost)| cost.flops).collect();
        Ok(Self { gpu: gpu.clone(), buffers, commands, flops, profiler, staged: Vec::new(), guarded })
    }

    /// One op alone.
    fn submit_one(&self, index: usize) -> Result<()> {
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for command in &self.commands[index] {
            command.encode(&mut pass);
        }
        drop(pass);
        self.gpu.queue().submit([encoder.finish()]);
        self.gpu.check()
    }

    fn submit(&self, graph: &Graph, options: &ExecutorOptions, staged: Option<(Value, usize)>) -> Result<Submitted> {
        let device = self.gpu.device();
        let mut encoder = device.create_command_encoder(&Default::default());
        if let Some((value, index)) = staged {
            let row = self.staged.iter().find(|(staged, ..)| *staged == value);
            let (_, rows, bytes) = row.ok_or_else(|| Error::argument("a staged row", "not staged", "stage() first"))?;
            let target = &self.buffers[value.index()];
            encoder.copy_buffer_to_buffer(rows, index as u64 * bytes, target, 0, *bytes);
        }
        let mut submits = 0;
        let mut flops = 0.0;
        let mut node = 0;
        while node < graph.nodes.len() {
            // Ops share a pass up to the watchdog's limit; when timed, each has its own.
            let first = node;
            while node < graph.nodes.len() && (node == first || self.profiler.is_none()) {
                let more = self.flops[node];
                if node > first && flops + more > options.flops_per_submit {
                    break;
                }
                flops += more;
                node += 1;
            }
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: self.profiler.as_ref().map(|profiler| profiler.writes(first)),
            });
            for command in self.commands[first..node].iter().flatten() {
                command.encode(&mut pass);
            }
            drop(pass);
            if flops >= options.flops_per_submit || (node < graph.nodes.len() && self.profiler.is_none()) {
                let next = device.create_command_encoder(&Default::default());
                self.gpu.queue().submit([std::mem::replace(&mut encoder, next).finish()]);
                submits += 1;
                flops = 0.0;
            }
        }
        if let Some(profiler) = &self.profiler {
            profiler.resolve(&mut encoder);
        }
        self.gpu.queue().submit([encoder.finish()]);
        self.gpu.check()?;
        Ok(Submitted { submits: submits + 1 })
    }
}
