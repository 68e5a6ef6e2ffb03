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

pub(crate) use arguments::parse;
pub use arguments::{Arguments, Setting};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Shapes;
    use crate::ops::REGISTRY;

    fn first_case(entry: &Entry) -> Arguments {
        (entry.cases)(&mut Gen::new(0, entry.name)).remove(0).arguments
    }

    /// The entry's first case with its inputs edited, in a graph and on a caller's own buffers.
    fn outcome(entry: &Entry, edit: impl Fn(&mut Vec<Option<Tensor>>)) -> Result<()> {
        let mut call = (entry.build)(first_case(entry)).unwrap();
        edit(&mut call.inputs);
        let descs: Vec<_> = call.inputs.iter().map(|tensor| tensor.as_ref().map(Tensor::desc)).collect();
        let shapes = Shapes::of(&*call.op, &descs);
        let mut graph = Graph::new();
        let values: Vec<_> = descs.iter().map(|desc| desc.map(|desc| graph.state(desc.clone()))).collect();
        let pushed = graph.push_boxed(call.op, &values, &[]);
        assert_eq!(pushed.is_ok(), shapes.is_ok(), "{}", entry.name);
        pushed.map(|_| ())
    }

    #[test]
    fn no_op_takes_an_input_too_many_or_too_few() {
        for entry in REGISTRY {
            outcome(entry, |_| {}).unwrap();
            let refused = |outcome: Result<()>| {
                let said = outcome.expect_err(entry.name).to_string();
                assert!(said.contains(entry.name) && said.contains("the number of inputs is"), "{said}");
            };
            refused(outcome(entry, |inputs| inputs.push(None)));
            refused(outcome(entry, |inputs| inputs.push(Some(Tensor::zeros(crate::Desc::f32([1])).unwrap()))));
            refused(outcome(entry, |inputs| inputs.truncate(inputs.len() - 1)));
            refused(outcome(entry, Vec::clear));
        }
    }

    #[test]
    fn inputs_go_by_the_names_that_callers_use() {
        for entry in REGISTRY {
            let mut arguments = first_case(entry);
            let call = (entry.build)(arguments.clone()).unwrap();
            let mut by_name = 0;
            for (name, input) in call.op.inputs().iter().zip(&call.inputs) {
                // The rest is absent, or made of settings.
                if let Some(given) = arguments.optional(name) {
                    assert_eq!(Some(&given), input.as_ref(), "{} {name}", entry.name);
                    by_name += 1;
                }
            }
            assert!(by_name > 0 || entry.name == "noise", "{}", entry.name);
        }
    }
}
