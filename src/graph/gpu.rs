//! A graph on a GPU: its buffers, and commands that are recorded once.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::recorded::{Bindings, record};
use super::run::{ExecutorOptions, Ops, Staged, Submitted};
use super::{Constant, Graph, Plan, Source, Value};
use crate::gpu::{Binding, Command, Gpu, Kernel, Profiler};
use crate::op::Choice;
use crate::{Error, Result};

/// Words after each buffer that ops must not touch; only if sentinels are on.
pub(super) const SENTINELS: u64 = 1024;
pub(super) const SENTINEL: u32 = 0x7fc0_dead;

#[derive(Debug)]
pub(super) struct GpuMemory {
    pub gpu: Gpu,
    /// The buffer of each value.
    pub buffers: Vec<wgpu::Buffer>,
    pub commands: Vec<Vec<Command>>,
    /// Of each op, whether runs of [`Ops::Usual`] leave it out.
    pub occasional: Vec<bool>,
    /// The ops of each submit of a run.
    pub submits: Vec<Range<usize>>,
    /// The last submission.
    pub last: Option<wgpu::SubmissionIndex>,
    pub profiler: Option<Profiler>,
    /// Rows for [`Executor::stage`](super::Executor::stage): value, buffer, bytes of a row.
    pub staged: Vec<(Value, wgpu::Buffer, u64)>,
    /// Buffers with sentinels, what they hold, and the bytes before the sentinels.
    pub guarded: Vec<(wgpu::Buffer, String, u64)>,
}

/// The ops of each submit: as many as stay within `most` FLOPs together, or one alone. There is always a submit.
fn submits(flops: &[f64], most: f64) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut first, mut sum) = (0, 0.0);
    for (index, more) in flops.iter().enumerate() {
        if index > first && sum + more > most {
            ranges.push(first..index);
            (first, sum) = (index, 0.0);
        }
        sum += more;
    }
    ranges.push(first..flops.len());
    ranges
}

/// The kernels of these choices, each once.
fn kernels(choices: &[Choice]) -> Vec<Kernel> {
    let all = choices.iter().flat_map(|choice| &choice.dispatches).map(|dispatch| dispatch.kernel);
    let mut seen = HashSet::new();
    all.filter(|kernel| seen.insert(*kernel)).collect()
}

/// What a graph has on a GPU, as it is made.
struct Made {
    buffers: Vec<wgpu::Buffer>,
    commands: Vec<Vec<Command>>,
    profiler: Option<Profiler>,
    guarded: Vec<(wgpu::Buffer, String, u64)>,
    /// Constants that the device did not hold, by their identity; the words are not there yet.
    constants: HashMap<u64, (Constant, wgpu::Buffer)>,
}

impl Made {
    fn new(gpu: &Gpu, graph: &Graph, plan: &Plan, choices: &[Choice], options: ExecutorOptions) -> Result<Self> {
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
        let mut constants: HashMap<u64, (Constant, wgpu::Buffer)> = HashMap::new();
        let mut buffers = Vec::with_capacity(graph.values.len());
        for (index, (info, temporary)) in graph.values.iter().zip(&plan.value).enumerate() {
            buffers.push(match (temporary, &info.source) {
                (Some(temporary), _) => slots[plan.assignment[*temporary]].clone(),
                (None, Source::Constant(constant)) => {
                    let here = constants.get(&constant.id()).map(|(_, buffer)| buffer.clone());
                    if let Some(buffer) = here.or_else(|| gpu.constant(constant.id())) {
                        buffer
                    } else {
                        let buffer = gpu.buffer("a constant", info.desc.bytes())?;
                        constants.insert(constant.id(), (constant.clone(), buffer.clone()));
                        buffer
                    }
                }
                (None, _) => allocate(graph.label(index), info.desc.bytes())?,
            });
        }
        let absent = Binding::from(&gpu.absent()?);
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
        Ok(Self { buffers, commands, profiler, guarded, constants })
    }
}

impl GpuMemory {
    pub(super) async fn new(
        gpu: &Gpu,
        graph: &Graph,
        plan: &Plan,
        choices: &[Choice],
        options: ExecutorOptions,
    ) -> Result<Self> {
        // A handle of its own: what went wrong on the device before is none of this graph's.
        let gpu = gpu.clone();
        // Refused before anything is allocated.
        for (index, info) in graph.values.iter().enumerate() {
            gpu.check_binding(&graph.label(index), info.desc.bytes())?;
        }
        gpu.compile(&kernels(choices))?;
        let made = gpu.build(|gpu| Made::new(gpu, graph, plan, choices, options)).await?;
        let Made { buffers, commands, profiler, guarded, constants } = made;
        let mut staged = 0;
        for (constant, buffer) in constants.into_values() {
            gpu.write_slowly("a constant", &buffer, constant.tensor().words(), &mut staged).await?;
            constant.keep_on(&gpu, buffer);
        }
        let flops: Vec<_> = graph.costs().into_iter().map(|(_, cost)| cost.flops).collect();
        let submits = submits(&flops, options.flops_per_submit);
        let occasional = graph.nodes.iter().map(|node| node.occasional).collect();
        Ok(Self { gpu, buffers, commands, occasional, submits, last: None, profiler, staged: Vec::new(), guarded })
    }

    /// One op alone.
    pub(super) fn submit_one(&self, index: usize) -> Result<()> {
        self.gpu.submit("an op", |encoder| self.encode(encoder, index..index + 1, Ops::All, None)).map(|_| ())
    }

    /// The passes of `range`: one for all of them, or one each where they are timed.
    fn encode(&self, encoder: &mut wgpu::CommandEncoder, range: Range<usize>, ops: Ops, profiler: Option<&Profiler>) {
        let each = if profiler.is_some() { 1 } else { range.len().max(1) };
        for first in range.clone().step_by(each) {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: profiler.map(|profiler| profiler.writes(first)),
            });
            for index in first..(first + each).min(range.end) {
                if ops == Ops::Usual && self.occasional[index] {
                    continue;
                }
                for command in &self.commands[index] {
                    command.encode(&mut pass);
                }
            }
        }
    }

    pub(super) fn submit(&mut self, staged: &[Staged<'_>], ops: Ops) -> Result<Submitted> {
        let copies = staged.iter().map(|&Staged { value, index, .. }| {
            let row = self.staged.iter().find(|(staged, ..)| *staged == value);
            let (_, rows, bytes) = row.ok_or_else(|| Error::argument("a staged row", "not staged", "stage() first"))?;
            let offset = index as u64 * bytes;
            if offset + bytes > rows.size() {
                let staged = format!("below {}, as many as were staged", rows.size() / bytes);
                return Err(Error::argument("the index of a staged row", index, staged));
            }
            Ok((rows, offset, &self.buffers[value.index()], *bytes))
        });
        let mut copies = copies.collect::<Result<Vec<_>>>()?;
        let mut last = None;
        for (index, range) in self.submits.iter().enumerate() {
            let submitted = self.gpu.submit("a run", |encoder| {
                for (rows, offset, target, bytes) in std::mem::take(&mut copies) {
                    encoder.copy_buffer_to_buffer(rows, offset, target, 0, bytes);
                }
                self.encode(encoder, range.clone(), ops, self.profiler.as_ref());
                if let Some(profiler) = self.profiler.as_ref().filter(|_| index + 1 == self.submits.len()) {
                    profiler.resolve(encoder);
                }
            })?;
            last = Some(submitted);
        }
        self.last = last;
        Ok(Submitted { submits: self.submits.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::submits;

    #[test]
    fn a_submit_takes_what_its_limit_allows() {
        // The ends of submits, each of which begins where the one before ends.
        for (flops, ends) in [
            (&[][..], &[0][..]),
            (&[1.0, 1.0, 1.0], &[3]),
            (&[1.0, 4.0, 1.0, 3.0], &[1, 2, 4]),
            // The last one alone exceeds it, and nothing comes behind.
            (&[2.0, 2.0, 9.0], &[2, 3]),
            (&[9.0, 9.0], &[1, 2]),
            (&[0.0, 0.0, 4.0, 0.0, 0.5], &[4, 5]),
        ] {
            let begins = [0].iter().chain(ends);
            let expected: Vec<_> = begins.zip(ends).map(|(&begin, &end)| begin..end).collect();
            assert_eq!(submits(flops, 4.0), expected, "{flops:?}");
        }
    }
}
