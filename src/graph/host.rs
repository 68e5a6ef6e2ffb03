//! A graph on the CPU device: f32, memory shared by the plan's slots.

use super::{Graph, Plan, Source, reserve};
use crate::op::{CpuIo, Inputs, Outputs};
use crate::{Result, Tensor, memory};

/// Memory of a graph on the CPU: one block for each slot and for each persistent value.
#[derive(Debug)]
pub(super) struct Host {
    blocks: Vec<Vec<u32>>,
    /// The block of each value; constants have none.
    block: Vec<Option<usize>>,
}

impl Host {
    /// Allocates.
    ///
    /// # Errors
    /// If the system does not grant as much memory as the plan needs.
    pub(super) fn new(graph: &Graph, plan: &Plan) -> Result<Self> {
        reserve("cpu", plan.peak().saturating_add(plan.persistent))?;
        let words = |bytes: u64| memory::zeroed("a value", usize::try_from(bytes / 4).unwrap_or(usize::MAX));
        let mut blocks = plan.slots.iter().map(|&bytes| words(bytes)).collect::<Result<Vec<Vec<u32>>>>()?;
        let mut block = Vec::with_capacity(graph.values.len());
        for (info, temporary) in graph.values.iter().zip(&plan.value) {
            block.push(match (temporary, &info.source) {
                (Some(index), _) => Some(plan.assignment[*index]),
                (None, Source::Constant(_)) => None,
                (None, _) => {
                    blocks.push(words(info.desc.bytes())?);
                    Some(blocks.len() - 1)
                }
            });
        }
        Ok(Self { blocks, block })
    }

    pub(super) fn write(&mut self, index: usize, words: &[u32]) {
        if let Some(block) = self.block[index] {
            self.blocks[block][..words.len()].copy_from_slice(words);
        }
    }

    pub(super) fn read(&self, graph: &Graph, index: usize) -> Result<Tensor> {
        let words = memory::copied("a value to read", self.words(graph, index))?;
        Ok(Tensor::from_words(graph.values[index].desc.clone(), words))
    }

    pub(super) fn words<'a>(&'a self, graph: &'a Graph, index: usize) -> &'a [u32] {
        let info = &graph.values[index];
        match (&info.source, self.block[index]) {
            (Source::Constant(constant), _) => constant.tensor().words(),
            (_, Some(block)) => &self.blocks[block][..info.desc.len()],
            (_, None) => &[],
        }
    }

    /// `work` on one of the threads that ops share their work out to: from elsewhere, each op would be handed over and
    /// waited for.
    pub(super) fn within<T: Send>(&mut self, work: impl FnOnce(&mut Self) -> T + Send) -> T {
        crate::host::threads::ready();
        rayon::scope(|_| work(self))
    }

    pub(super) fn run_node(&mut self, graph: &Graph, index: usize) -> Result<()> {
        crate::host::threads::ready();
        let node = &graph.nodes[index];
        let updated: Vec<_> = node.updated().collect();
        // What is written is taken out of the memory during the op, so that the rest can be read.
        let written: Vec<_> = node.outputs.iter().chain(&updated).copied().collect();
        let mut taken: Vec<Vec<u32>> = written
            .iter()
            .map(|value| {
                let block = self.block[value.index()];
                block.map(|block| std::mem::take(&mut self.blocks[block])).unwrap_or_default()
            })
            .collect();
        let inputs = node.inputs.iter().map(|value| {
            let value = (*value)?;
            (!written.contains(&value)).then(|| self.words(graph, value.index()))
        });
        let prepared = node.inputs.iter().map(|value| match &graph.values[(*value)?.index()].source {
            Source::Constant(constant) => Some(constant.prepared()),
            _ => None,
        });
        let inputs = Inputs { words: inputs.collect(), prepared: prepared.collect() };
        let mut slices =
            taken.iter_mut().zip(&written).map(|(words, value)| &mut words[..graph.values[value.index()].desc.len()]);
        let outputs = Outputs(slices.by_ref().take(node.outputs.len()).collect());
        let updates = Outputs(slices.collect());
        let outcome = node.op.run_cpu(&node.shapes, &mut CpuIo { inputs, outputs, updates });
        for (words, value) in taken.into_iter().zip(written) {
            if let Some(block) = self.block[value.index()] {
                self.blocks[block] = words;
            }
        }
        outcome
    }
}
