//! What a network makes of the time alone, computed ahead of the evaluations that read it.

use super::config::Config;
use super::network::TimeRows;
use super::sharpening::Sharpening;
use super::weights::Weights;
use crate::graph::{Executor, Graph, Value};
use crate::ops::StepRow;
use crate::{Desc, Device, Result, Tensor, memory};

/// A model without its texts.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub device: &'a Device,
    pub config: &'a Config,
    pub weights: &'a Weights,
}

/// What its memory is called where it is refused.
const WHAT: &str = "the time of the steps";

/// The graph for this many evaluations, where it takes gamma, and what it gives.
fn graph(
    config: &Config,
    weights: &Weights,
    sharpening: Sharpening,
    evaluations: usize,
) -> Result<(Graph, Value, TimeRows)> {
    let mut graph = Graph::new();
    let gamma = graph.state(Desc::f32([evaluations]));
    let rows = weights.network.time(&mut graph, config, sharpening, gamma)?;
    for value in [Some(rows.modulation), rows.sharpened].into_iter().flatten() {
        graph.keep(value);
    }
    Ok((graph, gamma, rows))
}

/// M, the length of a row.
pub(super) fn row_len(config: &Config, weights: &Weights, sharpening: Sharpening) -> Result<usize> {
    let (graph, _, rows) = graph(config, weights, sharpening, 1)?;
    let len = |value| graph.desc(value).last();
    Ok(len(rows.modulation) + rows.sharpened.map_or(0, len))
}

/// The row of each of these evaluations, `[M]`: what [`Handles::time`](super::Handles::time) is to hold.
///
/// # Errors
/// If the memory is refused or the device failed.
pub(crate) async fn time_rows(
    Parts { device, config, weights }: Parts<'_>,
    sharpening: Sharpening,
    steps: &[StepRow],
) -> Result<Vec<Vec<f32>>> {
    let (graph, gamma, rows) = graph(config, weights, sharpening, steps.len())?;
    let mut executor = Executor::new_async(device, graph, Default::default()).await?;
    let gammas = memory::collected(WHAT, steps.iter().map(|step| step.gamma))?;
    executor.write(gamma, &Tensor::f32([steps.len()], gammas)?)?;
    executor.run()?;
    let values: Vec<_> = [Some(rows.modulation), rows.sharpened].into_iter().flatten().collect();
    let read = executor.read_all_async(&values).await?;
    let row = |value: usize, index: usize| {
        let tensor: &Tensor = read.get(value)?;
        let len = tensor.desc().last();
        tensor.as_f32()?.get(index * len..(index + 1) * len)
    };
    let all = steps.iter().enumerate().map(|(index, step)| {
        let (all, behind) = (row(0, index).unwrap_or(&[]), row(1, index).unwrap_or(&[]));
        let behind = if step.sharpen == 0.0 { &all[all.len() - behind.len()..] } else { behind };
        memory::collected(WHAT, all.iter().chain(behind).copied())
    });
    all.collect()
}

/// The rows of the evaluations ahead, as they are staged: of so many at a time that a long run does not hold all of them.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    first: usize,
    pub steps: Vec<Vec<f32>>,
    pub times: Vec<Vec<f32>>,
}

impl Ahead {
    const AT_ONCE: usize = 64;

    /// Those of evaluation `first` and of as many behind it as are held at a time.
    ///
    /// # Errors
    /// If the memory is refused or the device failed.
    pub async fn from(model: Parts<'_>, sharpening: Sharpening, steps: &[StepRow], first: usize) -> Result<Self> {
        let steps = &steps[first..(first + Self::AT_ONCE).min(steps.len())];
        let times = time_rows(model, sharpening, steps).await?;
        Ok(Self { first, steps: steps.iter().map(StepRow::words).collect(), times })
    }

    /// Where the rows of evaluation `index` are, if they are held.
    pub fn place(&self, index: usize) -> Option<usize> {
        index.checked_sub(self.first).filter(|&place| place < self.steps.len())
    }
}
