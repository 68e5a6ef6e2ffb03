//! The same graph on two devices, op by op.

use super::{exceeds, nmse};
use drdiff::graph::{Executor, ExecutorOptions, Graph, Value};
use drdiff::{Data, Device, Result, Tensor, memory};

/// Where two devices differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Place of the op in the graph.
    pub index: usize,
    /// The op.
    pub op: &'static str,
    /// Which of its outputs.
    pub output: usize,
    /// NMSE, or the share of words that differ where it holds words.
    pub error: f64,
}

/// Runs the graphs that `build` makes on both devices, with `states` written first, and names the first op with an
/// output that differs by more than `tolerance`. `build` must make the same graph both times.
///
/// # Errors
/// If a graph cannot be built or run.
pub fn first_difference(
    build: impl Fn() -> Result<Graph>,
    states: &[(Value, Tensor)],
    devices: [&Device; 2],
    tolerance: f64,
) -> Result<Option<Difference>> {
    let mut executors = Vec::with_capacity(2);
    for device in devices {
        let mut graph = build()?;
        graph.keep_all();
        let mut executor = Executor::new(device, graph, ExecutorOptions::default())?;
        for (value, tensor) in states {
            executor.write(*value, tensor)?;
        }
        executor.run()?;
        executors.push(executor);
    }
    let ops: Vec<_> = executors[0].graph().ops().map(|(op, outputs)| (op, outputs.to_vec())).collect();
    for (index, (op, outputs)) in ops.into_iter().enumerate() {
        for (output, value) in outputs.into_iter().enumerate() {
            let error = error_between(&executors[0].read(value)?, &executors[1].read(value)?)?;
            if exceeds(error, tolerance) {
                return Ok(Some(Difference { index, op, output, error }));
            }
        }
    }
    Ok(None)
}

fn error_between(got: &Tensor, want: &Tensor) -> Result<f64> {
    Ok(match (got.data(), want.data()) {
        (Data::F32(got), Data::F32(want)) => {
            let want = memory::collected("a value to compare", want.iter().map(|&x| f64::from(x)))?;
            nmse(got, &want)
        }
        (got, want) if got == want => 0.0,
        _ => {
            let differ = got.words().iter().zip(want.words()).filter(|(a, b)| a != b).count();
            differ as f64 / got.words().len().max(1) as f64
        }
    })
}
