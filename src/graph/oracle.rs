//! A graph in the f64 reference.

use super::host::reserve;
use super::{Graph, InputsF64, OracleData, OracleIo, Source};
use crate::{DType, Data, Desc, Result, Tensor};

/// Values of a graph in f64, all of them kept.
#[derive(Debug)]
pub(super) struct Oracle {
    values: Vec<OracleData>,
}

pub(crate) fn widen(tensor: &Tensor) -> OracleData {
    match tensor.data() {
        Data::F32(data) => OracleData::F64(data.iter().map(|&x| f64::from(x)).collect()),
        Data::U32(data) => OracleData::U32(data.clone()),
    }
}

fn narrow(desc: &Desc, data: &OracleData) -> Tensor {
    let words = match data {
        OracleData::F64(data) => data.iter().map(|&x| (x as f32).to_bits()).collect(),
        OracleData::U32(data) => data.clone(),
    };
    Tensor::from_words(desc.clone(), words)
}

impl Oracle {
    /// Allocates.
    ///
    /// # Errors
    /// Where the system does not grant the memory.
    pub(super) fn new(graph: &Graph) -> Result<Self> {
        let bytes = graph.values.iter().fold(0, |sum: u64, info| sum.saturating_add(info.desc.bytes()));
        reserve("reference", bytes.saturating_mul(2))?;
        let values = graph.values.iter().map(|info| match (&info.source, info.desc.dtype) {
            (Source::Constant(constant), _) => widen(constant.tensor()),
            (Source::State, DType::F32) => OracleData::F64(vec![0.0; info.desc.len()]),
            (Source::State, DType::U32) => OracleData::U32(vec![0; info.desc.len()]),
            (Source::Op(_), _) => OracleData::F64(Vec::new()),
        });
        Ok(Self { values: values.collect() })
    }

    pub(super) fn write(&mut self, index: usize, tensor: &Tensor) {
        self.values[index] = widen(tensor);
    }

    pub(super) fn read(&self, graph: &Graph, index: usize) -> Tensor {
        narrow(&graph.values[index].desc, &self.values[index])
    }

    pub(super) fn data(&self, index: usize) -> &OracleData {
        &self.values[index]
    }

    pub(super) fn run_node(&mut self, graph: &Graph, index: usize) {
        let node = &graph.nodes[index];
        let inputs = node.inputs.iter().map(|value| value.map(|value| &self.values[value.index()]));
        let io = OracleIo { inputs: InputsF64(inputs.collect()) };
        let results = node.op.evaluate(&node.shapes, &io);
        let updates = node.op.updates().iter().filter_map(|&position| node.inputs[position]);
        let targets: Vec<_> = node.outputs.iter().copied().chain(updates).collect();
        for (value, data) in targets.into_iter().zip(results) {
            self.values[value.index()] = data;
        }
    }
}
