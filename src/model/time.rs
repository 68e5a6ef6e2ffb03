//! What a network makes of the time alone, computed ahead of the evaluations that read it.

use super::built::Built;
use super::config::Config;
use super::denoiser::Handles;
use super::network::TimeRows;
use super::sharpening::Sharpening;
use super::weights::Weights;
use crate::graph::{Executor, Graph, Ops, Staged, Submitted, Value};
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
    steps: Vec<Vec<f32>>,
    times: Vec<Vec<f32>>,
}

impl Ahead {
    const AT_ONCE: usize = 64;

    fn place(&self, index: usize) -> Option<usize> {
        index.checked_sub(self.first).filter(|&place| place < self.steps.len())
    }

    /// What evaluation `index` begins with.
    fn staged(&self, handles: &Handles, index: usize) -> Vec<Staged<'_>> {
        let Some(place) = self.place(index) else { return Vec::new() };
        let rows = [(handles.step, &self.steps), (handles.time, &self.times)];
        rows.map(|(value, rows)| Staged { value, index: place, row: &rows[place] }).into()
    }
}

impl Built {
    /// Starts evaluation `index` of a run of `steps`.
    ///
    /// # Errors
    /// If the device was lost or refused the work.
    pub async fn evaluate(&mut self, model: Parts<'_>, steps: &[StepRow], index: usize) -> Result<Submitted> {
        self.look_ahead(model, steps, index).await?;
        let ops = match steps[index].refresh == 0.0 {
            true => Ops::Usual,
            false => Ops::All,
        };
        self.executor.run_with(&self.ahead.staged(&self.handles, index), ops)
    }

    /// See [`Executor::first_not_finite`]: of evaluation `index`.
    ///
    /// # Errors
    /// If the device was lost or refused the work.
    pub async fn first_not_finite(
        &mut self,
        model: Parts<'_>,
        steps: &[StepRow],
        index: usize,
    ) -> Result<Option<(usize, &'static str)>> {
        self.look_ahead(model, steps, index).await?;
        self.executor.first_not_finite_async(&self.ahead.staged(&self.handles, index)).await
    }

    /// Stages the rows of evaluation `index` and of those behind it, unless they are.
    ///
    /// # Errors
    /// If the memory is refused or the device failed.
    pub async fn look_ahead(&mut self, model: Parts<'_>, steps: &[StepRow], index: usize) -> Result<()> {
        if self.ahead.place(index).is_some() {
            return Ok(());
        }
        let steps = &steps[index..(index + Ahead::AT_ONCE).min(steps.len())];
        let times = time_rows(model, self.shape.sharpening, steps).await?;
        let steps = steps.iter().map(StepRow::words).collect();
        let ahead = Ahead { first: index, steps, times };
        self.executor.stage(self.handles.step, &ahead.steps)?;
        self.executor.stage(self.handles.time, &ahead.times)?;
        self.ahead = ahead;
        Ok(())
    }
}
