//! Ops called by name: single calls, the cases of `drdiff verify`, and how outputs are judged.

mod arguments;
mod compare;
mod judge;
mod random;
pub mod rearrange;
mod relation;
mod suite;
mod values;
mod verify;

pub use arguments::Arguments;
pub use compare::{Difference, first_difference};
pub use judge::{Check, Judged, Rule, exceeds, nmse, trivial};
pub use random::Gen;
pub use relation::{Calls, Claim, Outputs, Relation};
pub use suite::{Suite, suite};
pub use values::Values;
pub use verify::{CaseReport, OpReport, VerifyOptions, Worst, run_case, run_relation, verify};

use crate::gpu::Kernel;
use crate::graph::{Executor, ExecutorOptions, Graph, Op, Value};
use crate::{Device, Result, Tensor};

/// An op in the registry.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it computes, in a line.
    pub summary: &'static str,
    /// Its kernels, every variant.
    pub kernels: &'static [Kernel],
    /// Makes a call from named tensors and settings.
    pub build: fn(Arguments) -> Result<Call>,
    /// Cases that verify it.
    pub cases: fn(&mut Gen) -> Vec<Case>,
    /// Calls that measure it.
    pub bench: fn(&mut Gen) -> Vec<Case>,
}

/// One named call.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is particular about it.
    pub label: String,
    /// Its tensors and settings.
    pub arguments: Arguments,
}

impl Case {
    /// A case.
    pub fn new(label: impl Into<String>, arguments: Arguments) -> Self {
        Self { label: label.into(), arguments }
    }
}

/// An output of a call: an op's outputs in order, then its updated inputs.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Its name in files.
    pub name: &'static str,
    /// How it is held against the reference.
    pub check: Check,
}

impl Output {
    /// An output.
    pub fn new(name: &'static str, check: Check) -> Self {
        Self { name, check }
    }
}

/// An op with its inputs.
#[derive(Debug)]
pub struct Call {
    op: Box<dyn Op>,
    inputs: Vec<Option<Tensor>>,
    /// Names and checks of the outputs.
    pub outputs: Vec<Output>,
}

impl Call {
    /// A call of `op`.
    pub fn new(op: impl Op + 'static, inputs: Vec<Option<Tensor>>, outputs: Vec<Output>) -> Self {
        Self { op: Box::new(op), inputs, outputs }
    }

    /// A graph of this op alone, ready to run on `device`.
    ///
    /// # Errors
    /// Where the inputs do not suit the op, or the device lacks memory.
    pub fn prepare(self, device: &Device, options: ExecutorOptions) -> Result<Prepared> {
        let mut graph = Graph::new();
        let values: Vec<_> =
            self.inputs.iter().map(|input| input.as_ref().map(|tensor| graph.state(tensor.desc().clone()))).collect();
        let updates = self.op.updates();
        let mut outputs = graph.push_boxed(self.op, &values, &[])?;
        outputs.extend(updates.iter().filter_map(|&position| values[position]));
        for &output in &outputs {
            graph.keep(output);
        }
        let mut executor = Executor::new(device, graph, options)?;
        for (value, tensor) in values.iter().zip(&self.inputs) {
            if let (Some(value), Some(tensor)) = (value, tensor) {
                executor.write(*value, tensor)?;
            }
        }
        Ok(Prepared { executor, values: outputs, inputs: self.inputs, outputs: self.outputs })
    }
}

/// A call on a device.
#[derive(Debug)]
pub struct Prepared {
    /// The graph of the one op.
    pub executor: Executor,
    /// Its outputs, in the order of `outputs`.
    pub values: Vec<Value>,
    /// The inputs as they were given.
    pub inputs: Vec<Option<Tensor>>,
    /// Names and checks.
    pub outputs: Vec<Output>,
}
