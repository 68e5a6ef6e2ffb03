//! One op called by name, on a device of choice.

use super::choose::{Select, place, runnable};
use super::{Executor, ExecutorOptions, Graph, Value};
use crate::gpu::Tier;
use crate::op::{Accuracy, Arguments, Cost, Entry, Op, Shapes};
use crate::{Device, Result, Tensor};

/// An op with its inputs.
#[derive(Debug)]
pub struct Call {
    op: Box<dyn Op>,
    inputs: Vec<Option<Tensor>>,
}

impl Call {
    /// A call of `op` with an input, or none, for each of its signature's.
    pub fn new(op: impl Op + 'static, inputs: Vec<Option<Tensor>>) -> Self {
        Self { op: Box::new(op), inputs }
    }

    /// A call from named tensors and settings.
    ///
    /// # Errors
    /// If one is missing, is not one of the op's, or does not suit it.
    pub fn by_name(entry: &Entry, mut arguments: Arguments) -> Result<Self> {
        let op = (entry.build)(&mut arguments)?;
        let inputs = entry.signature.inputs.iter().map(|&input| arguments.take(input)).collect::<Result<_>>()?;
        arguments.finish(entry.name())?;
        Ok(Self { op, inputs })
    }

    /// The op and its inputs, one or none for each of its signature's.
    pub fn into_parts(self) -> (Box<dyn Op>, Vec<Option<Tensor>>) {
        (self.op, self.inputs)
    }

    fn shapes(&self) -> Result<Shapes> {
        let descs: Vec<_> = self.inputs.iter().map(|input| input.as_ref().map(Tensor::desc)).collect();
        self.op.infer(&descs)
    }

    /// Its work.
    ///
    /// # Errors
    /// If the inputs do not suit the op.
    pub fn cost(&self) -> Result<Cost> {
        Ok(self.op.cost(&self.shapes()?))
    }

    /// The ways in which `device` can compute it, the one that it takes by itself first: one for each choice of kernels,
    /// and just one on the host, which has no kernels.
    ///
    /// # Errors
    /// If the inputs do not suit the op.
    pub fn ways(&self, device: &Device) -> Result<Vec<Way>> {
        let shapes = self.shapes()?;
        let Device::Gpu(gpu) = device else { return Ok(vec![Way::default()]) };
        let choices = runnable(&*self.op, &shapes, gpu.capabilities())?;
        let preferred = place(&choices, Select::Tier(gpu.tier()));
        let others = (0..choices.len()).filter(|&place| place != preferred);
        let way = |place: usize| {
            let mut kernels: Vec<_> =
                choices[place].dispatches.iter().map(|dispatch| dispatch.kernel.label()).collect();
            kernels.dedup();
            Way { place, tier: choices[place].tier(), kernels }
        };
        Ok([preferred].into_iter().chain(others).map(way).collect())
    }

    /// The places of [`Call::ways`].
    ///
    /// # Errors
    /// If the inputs do not suit the op.
    pub fn choices(&self, device: &Device) -> Result<Vec<usize>> {
        Ok(self.ways(device)?.into_iter().map(|way| way.place).collect())
    }

    /// A graph of this op alone, ready to run on `device`.
    ///
    /// # Errors
    /// If the inputs do not suit the op, or the device lacks memory.
    #[cfg(not(target_family = "wasm"))]
    pub fn prepare(self, device: &Device, options: ExecutorOptions) -> Result<Prepared> {
        crate::gpu::block_on(self.prepare_async(device, options))
    }

    /// The same, without blocking.
    ///
    /// # Errors
    /// If the inputs do not suit the op, or the device lacks memory.
    pub async fn prepare_async(self, device: &Device, options: ExecutorOptions) -> Result<Prepared> {
        let mut graph = Graph::new();
        let values: Vec<_> =
            self.inputs.iter().map(|input| input.as_ref().map(|tensor| graph.state(tensor.desc().clone()))).collect();
        let signature = self.op.signature();
        let mut written = graph.push_boxed(self.op, &values, &[])?;
        written.extend(signature.updates().filter_map(|input| values[input.index]));
        for &value in &written {
            graph.keep(value);
        }
        let mut executor = Executor::new_async(device, graph, options).await?;
        for (value, tensor) in values.iter().zip(&self.inputs) {
            if let (Some(value), Some(tensor)) = (value, tensor) {
                executor.write(*value, tensor)?;
            }
        }
        let outputs = signature.written().collect();
        Ok(Prepared { executor, values: written, inputs: self.inputs, outputs })
    }
}

/// A way to compute a call on a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// What [`ExecutorOptions::choice`] takes for it.
    pub place: usize,
    /// The highest tier of its kernels.
    pub tier: Tier,
    /// Its kernels in order, with their constants; none on the host.
    pub kernels: Vec<String>,
}

/// A call on a device.
#[derive(Debug)]
pub struct Prepared {
    /// The graph of the one op.
    pub executor: Executor,
    /// What it writes, in the order of `outputs`.
    pub values: Vec<Value>,
    /// The inputs as they were given.
    pub inputs: Vec<Option<Tensor>>,
    /// Names of what it writes, and how near each comes to its f64 value: the outputs, then the updated inputs.
    pub outputs: Vec<(&'static str, Accuracy)>,
}
