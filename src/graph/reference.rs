//! A graph in the f64 reference.

use super::{Graph, Node, Source, Value, reserve};
use crate::op::{ReferenceData, ReferenceIo};
use crate::{DType, Data, Desc, Result, Tensor, memory};

/// Values of a graph in f64, all of them kept.
#[derive(Debug)]
pub(super) struct Reference {
    values: Vec<ReferenceData>,
}

/// What a value's memory is called where it is refused.
const VALUE: &str = "a value of the reference";

pub(crate) fn widen(tensor: &Tensor) -> Result<ReferenceData> {
    Ok(match tensor.data() {
        Data::F32(data) => ReferenceData::F64(memory::collected(VALUE, data.iter().map(|&x| f64::from(x)))?),
        Data::U32(data) => ReferenceData::U32(memory::copied(VALUE, data)?),
    })
}

fn narrow(desc: &Desc, data: &ReferenceData) -> Result<Tensor> {
    let words = match data {
        ReferenceData::F64(data) => memory::collected(VALUE, data.iter().map(|&x| (x as f32).to_bits()))?,
        ReferenceData::U32(data) => memory::copied(VALUE, data)?,
    };
    Ok(Tensor::from_words(desc.clone(), words))
}

/// Sees that the reference gets its memory for an op: its plain loops end the process where it is refused. None holds
/// more than four times what it writes, while vectors grow, and a few vectors as long as an input has rows.
fn room_for(graph: &Graph, node: &Node, targets: &[Value]) -> Result<()> {
    let written = targets.iter().map(|&value| graph.desc(value).len() as u64).sum::<u64>();
    let rows = node.shapes.inputs.iter().flatten().map(|desc| desc.rows() as u64).max().unwrap_or(0);
    let words = written.saturating_add(rows).saturating_mul(4);
    memory::room("the reference", words.saturating_mul(8))
}

impl Reference {
    /// Allocates.
    ///
    /// # Errors
    /// If the system does not grant the memory.
    pub(super) fn new(graph: &Graph) -> Result<Self> {
        let bytes = graph.values.iter().fold(0, |sum: u64, info| sum.saturating_add(info.desc.bytes()));
        reserve("reference", bytes.saturating_mul(2))?;
        let values = graph.values.iter().map(|info| match (&info.source, info.desc.dtype) {
            (Source::Constant(constant), _) => widen(constant.tensor()),
            (Source::State, DType::F32) => Ok(ReferenceData::F64(memory::zeroed(VALUE, info.desc.len())?)),
            (Source::State, DType::U32) => Ok(ReferenceData::U32(memory::zeroed(VALUE, info.desc.len())?)),
            (Source::Op(_), _) => Ok(ReferenceData::F64(Vec::new())),
        });
        Ok(Self { values: values.collect::<Result<_>>()? })
    }

    pub(super) fn write(&mut self, index: usize, tensor: &Tensor) -> Result<()> {
        self.values[index] = widen(tensor)?;
        Ok(())
    }

    pub(super) fn read(&self, graph: &Graph, index: usize) -> Result<Tensor> {
        narrow(&graph.values[index].desc, &self.values[index])
    }

    pub(super) fn data(&self, index: usize) -> &ReferenceData {
        &self.values[index]
    }

    pub(super) fn run_node(&mut self, graph: &Graph, index: usize) -> Result<()> {
        let node = &graph.nodes[index];
        let targets: Vec<_> = node.outputs.iter().copied().chain(node.updated()).collect();
        room_for(graph, node, &targets)?;
        let inputs = node.inputs.iter().map(|value| value.map(|value| &self.values[value.index()]));
        let io = ReferenceIo(inputs.collect());
        let results = node.op.run_reference(&node.shapes, &io)?;
        for (value, data) in targets.into_iter().zip(results) {
            self.values[value.index()] = data;
        }
        Ok(())
    }
}
