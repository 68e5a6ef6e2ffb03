//! A graph of ops over typed values: built once, planned once, replayed every step.

mod call;
mod choose;
mod executor;
mod gpu;
#[cfg_attr(not(feature = "cpu"), path = "host_absent.rs")]
mod host;
mod plan;
mod recorded;
#[cfg_attr(not(feature = "reference"), path = "reference_absent.rs")]
mod reference;
mod run;

pub use call::{Call, Prepared, Way};
pub use choose::runnable;
pub use executor::Executor;
pub use plan::{Lifetime, Plan};
pub use recorded::RecordedOp;
pub use run::{ExecutorOptions, OpTime, Ops, Staged, Submitted};

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::gpu::{Capabilities, Gpu, Home};
use crate::op::{Cost, Op, Role, Shapes};
use crate::{Desc, Error, Result, Tensor};

/// A value of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(u32);

impl Value {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A tensor that never changes (a weight). A device that uses it holds it once, however many graphs use it, until the
/// constant or the device is dropped.
#[derive(Clone, Debug)]
pub struct Constant(Arc<ConstantInner>);

#[derive(Debug)]
struct ConstantInner {
    /// Tells constants apart.
    id: u64,
    tensor: Tensor,
    /// What ops keep with it on the CPU.
    #[cfg(feature = "cpu")]
    prepared: crate::host::prepared::Prepared,
    /// The devices that hold it.
    homes: Mutex<Vec<Home>>,
}

impl Drop for ConstantInner {
    fn drop(&mut self) {
        let homes = self.homes.get_mut().unwrap_or_else(PoisonError::into_inner);
        homes.iter().for_each(|home| home.forget(self.id));
    }
}

impl Constant {
    /// A constant that holds `tensor`.
    pub fn new(tensor: Tensor) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(ConstantInner {
            id,
            tensor,
            #[cfg(feature = "cpu")]
            prepared: crate::host::prepared::Prepared::default(),
            homes: Mutex::default(),
        }))
    }

    /// The elements.
    pub fn tensor(&self) -> &Tensor {
        &self.0.tensor
    }

    /// What ops keep with it on the CPU.
    #[cfg(feature = "cpu")]
    pub(crate) fn prepared(&self) -> &crate::host::prepared::Prepared {
        &self.0.prepared
    }

    /// What tells it from other constants.
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    /// Keeps `buffer`, which holds it, on `gpu` for graphs to come.
    pub(crate) fn keep_on(&self, gpu: &Gpu, buffer: wgpu::Buffer) {
        let home = gpu.keep_constant(self.0.id, buffer);
        self.0.homes.lock().unwrap_or_else(PoisonError::into_inner).push(home);
    }
}

/// Where a value's contents come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Written by the host, or kept from one run to the next.
    State,
    /// Never changes.
    Constant(Constant),
    /// Written by the op of this index.
    Op(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct ValueInfo {
    pub desc: Desc,
    pub source: Source,
    /// Readable after a run, so its memory is its own.
    pub kept: bool,
}

impl ValueInfo {
    pub(crate) fn persistent(&self) -> bool {
        self.kept || !matches!(self.source, Source::Op(_))
    }
}

#[derive(Debug)]
pub(crate) struct Node {
    pub op: Box<dyn Op>,
    pub inputs: Vec<Option<Value>>,
    pub outputs: Vec<Value>,
    pub shapes: Shapes,
    /// Left out of runs of [`Ops::Usual`].
    pub occasional: bool,
}

impl Node {
    /// The inputs that it updates.
    pub fn updated(&self) -> impl Iterator<Item = Value> {
        self.op.signature().updates().filter_map(|input| self.inputs[input.index])
    }
}

/// Values and the ops between them, in the order in which they run.
#[derive(Debug, Default)]
pub struct Graph {
    pub(crate) values: Vec<ValueInfo>,
    pub(crate) nodes: Vec<Node>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// A value the host writes; it keeps its contents from run to run, zeros at first.
    pub fn state(&mut self, desc: Desc) -> Value {
        self.value(desc, Source::State)
    }

    /// A value that never changes.
    pub fn constant(&mut self, constant: &Constant) -> Value {
        self.value(constant.tensor().desc().clone(), Source::Constant(constant.clone()))
    }

    /// Appends an op and returns its outputs.
    ///
    /// # Errors
    /// If the op does not accept the inputs' shapes.
    pub fn push(&mut self, op: impl Op + 'static, inputs: &[Option<Value>]) -> Result<Vec<Value>> {
        self.push_into(op, inputs, &[])
    }

    /// Appends an op of one output and returns it.
    ///
    /// # Errors
    /// If the op does not accept the inputs' shapes.
    pub fn push1(&mut self, op: impl Op + 'static, inputs: &[Option<Value>]) -> Result<Value> {
        Ok(self.push(op, inputs)?[0])
    }

    /// Like [`Graph::push`], with the outputs that `into` names written to states instead of new values.
    ///
    /// # Errors
    /// If the op does not accept the inputs' shapes, or a state does not have the shape of the output.
    pub fn push_into(
        &mut self,
        op: impl Op + 'static,
        inputs: &[Option<Value>],
        into: &[Option<Value>],
    ) -> Result<Vec<Value>> {
        self.push_boxed(Box::new(op), inputs, into)
    }

    /// Like [`Graph::push_into`], for an op whose type is not known.
    ///
    /// # Errors
    /// If the op does not accept the inputs' shapes, or a state does not have the shape of the output.
    pub fn push_boxed(
        &mut self,
        op: Box<dyn Op>,
        inputs: &[Option<Value>],
        into: &[Option<Value>],
    ) -> Result<Vec<Value>> {
        let strange = inputs.iter().chain(into).flatten().find(|value| value.index() >= self.values.len());
        if strange.is_some() {
            return Err(Error::shape(op.name(), "a value", "of another graph", "a value of this graph"));
        }
        let descs: Vec<Option<&Desc>> = inputs.iter().map(|value| value.map(|value| self.desc(value))).collect();
        let shapes = op.infer(&descs)?;
        self.check_written(&*op, inputs, into, shapes.outputs.len())?;
        let index = self.nodes.len();
        let mut values = Vec::with_capacity(shapes.outputs.len());
        for (position, desc) in shapes.outputs.iter().enumerate() {
            match into.get(position).copied().flatten() {
                None => values.push(self.value(desc.clone(), Source::Op(index))),
                Some(state)
                    if self.desc(state) == desc && matches!(self.values[state.index()].source, Source::State) =>
                {
                    values.push(state);
                }
                Some(state) => {
                    return Err(Error::shape(
                        op.name(),
                        format!("the state for output {position}"),
                        self.desc(state).to_string(),
                        desc.to_string(),
                    ));
                }
            }
        }
        self.nodes.push(Node { op, inputs: inputs.to_vec(), outputs: values.clone(), shapes, occasional: false });
        Ok(values)
    }

    /// What an op writes it must not read as well, and a constant nobody may write.
    fn check_written(
        &self,
        op: &dyn Op,
        inputs: &[Option<Value>],
        into: &[Option<Value>],
        outputs: usize,
    ) -> Result<()> {
        if into.len() > outputs {
            let found = into.len().to_string();
            return Err(Error::shape(
                op.name(),
                "the number of states for outputs",
                found,
                format!("at most {outputs}"),
            ));
        }
        let signature = op.signature();
        let updated: Vec<Value> = signature.updates().filter_map(|input| inputs[input.index]).collect();
        if let Some(&value) = updated.iter().find(|v| matches!(self.values[v.index()].source, Source::Constant(_))) {
            let found = format!("a constant, {}", self.desc(value));
            return Err(Error::shape(op.name(), "an input that is updated", found, "a state"));
        }
        let written: Vec<Value> = updated.into_iter().chain(into.iter().copied().flatten()).collect();
        let read = signature.inputs.iter().filter(|input| !matches!(input.role, Role::Updated(_)));
        let mut used: Vec<Value> = read.filter_map(|input| inputs[input.index]).collect();
        for value in written {
            if used.contains(&value) {
                let found = format!("used twice, {}", self.desc(value));
                return Err(Error::shape(op.name(), "a value that is written", found, "one place for it in the call"));
            }
            used.push(value);
        }
        Ok(())
    }

    /// Makes `value` readable after a run.
    pub fn keep(&mut self, value: Value) {
        self.values[value.index()].kept = true;
    }

    /// Leaves the op that gives `value` out of runs of [`Ops::Usual`], which read `value` as whatever its memory holds then.
    pub fn occasionally(&mut self, value: Value) {
        if let Source::Op(node) = self.values[value.index()].source {
            self.nodes[node].occasional = true;
        }
    }

    /// Makes every value readable: to look at a graph op by op, at the cost of memory.
    pub fn keep_all(&mut self) {
        for value in &mut self.values {
            value.kept = true;
        }
    }

    /// Type and shape of a value.
    pub fn desc(&self, value: Value) -> &Desc {
        &self.values[value.index()].desc
    }

    /// Bytes of the largest value, or of the largest scratch of the kernels that `device` prefers.
    ///
    /// # Errors
    /// If an op has no kernels for these shapes.
    pub fn largest_value(&self, device: &Capabilities) -> Result<u64> {
        let values = self.values.iter().map(|info| info.desc.bytes()).max().unwrap_or(0);
        let choices = choose::choose_all(self, device, choose::Select::Nth(0))?;
        let scratch = choices.iter().flat_map(|choice| choice.scratch.iter().map(Desc::bytes));
        Ok(scratch.max().unwrap_or(0).max(values))
    }

    /// Work of one run, op by op.
    pub fn costs(&self) -> Vec<(&'static str, Cost)> {
        self.nodes.iter().map(|node| (node.op.name(), node.op.cost(&node.shapes))).collect()
    }

    /// Name and outputs of each op, in order.
    pub fn ops(&self) -> impl Iterator<Item = (&'static str, &[Value])> {
        self.nodes.iter().map(|node| (node.op.name(), node.outputs.as_slice()))
    }

    /// What a value is, for messages: which output or input of which op, and its type and shape.
    pub(crate) fn label(&self, index: usize) -> String {
        let (value, desc) = (Value(index as u32), &self.values[index].desc);
        if let Source::Op(node) = self.values[index].source {
            let node = &self.nodes[node];
            let output = node.outputs.iter().position(|&output| output == value).unwrap_or(0);
            return format!("output {output} of {}, {desc}", node.op.name());
        }
        let reader = self.nodes.iter().find_map(|node| {
            let input = node.inputs.iter().position(|&input| input == Some(value))?;
            Some(format!("`{}` of {}, {desc}", node.op.signature().inputs[input].name, node.op.name()))
        });
        reader.unwrap_or_else(|| format!("a state that no op reads, {desc}"))
    }

    fn value(&mut self, desc: Desc, source: Source) -> Value {
        let value = Value(self.values.len() as u32);
        self.values.push(ValueInfo { desc, source, kept: false });
        value
    }
}

/// Asks the system for all of a graph's memory at once: small allocations one by one would succeed until the process is
/// killed.
///
/// # Errors
/// If it is refused.
#[cfg(any(feature = "cpu", feature = "reference"))]
fn reserve(device: &str, bytes: u64) -> Result<()> {
    crate::memory::room("the graph", bytes).map_err(|_| {
        let (device, what) = (device.to_owned(), "the graph".to_owned());
        Error::OutOfMemory { device, what, bytes }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Linear, SolverStep, StepRow};

    fn refusal(outcome: Result<Vec<Value>>) -> String {
        outcome.expect_err("refused").to_string()
    }

    #[test]
    fn what_is_written_has_one_place() {
        let mut graph = Graph::new();
        let mut state = |desc: Desc| Some(graph.state(desc));
        let (z, x0, history, prediction) = {
            let mut rows = || state(Desc::f32([1, 2, 3]));
            (rows(), rows(), rows(), rows())
        };
        let (info, absorb, step) = (state(Desc::u32([1, 2])), state(Desc::f32([3])), state(Desc::f32([StepRow::LEN])));
        let op = || SolverStep { anchors: 0 };
        let call = |z, x0| [z, x0, history, info, absorb, prediction, None, None, step];
        graph.push(op(), &call(z, x0)).unwrap();
        assert!(refusal(graph.push(op(), &call(z, z))).contains("used twice"));
        assert!(refusal(graph.push(op(), &call(history, x0))).contains("used twice"));
        let constant = graph.constant(&Constant::new(Tensor::zeros(Desc::f32([1, 2, 3])).unwrap()));
        assert!(refusal(graph.push(op(), &call(Some(constant), x0))).contains("a constant"));

        let x = graph.state(Desc::f32([3, 3]));
        let inputs = [Some(x), Some(x), None, None, None];
        assert!(refusal(graph.push_into(Linear::default(), &inputs, &[Some(x)])).contains("used twice"));
        assert!(refusal(graph.push_into(Linear::default(), &inputs, &[None, None])).contains("at most 1"));
        let mut other = Graph::new();
        assert!(refusal(other.push(Linear::default(), &inputs)).contains("another graph"));
    }

    #[test]
    fn a_value_is_named_by_its_op() {
        let mut graph = Graph::new();
        let (x, weight) = (graph.state(Desc::f32([2, 3])), graph.state(Desc::f32([4, 3])));
        let y = graph.push1(Linear::default(), &[Some(x), Some(weight), None, None, None]).unwrap();
        assert_eq!(graph.label(weight.index()), "`weight` of linear, f32 [4, 3]");
        assert_eq!(graph.label(y.index()), "output 0 of linear, f32 [2, 4]");
    }
}
