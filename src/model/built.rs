//! A denoiser with memory on a device, and what can be read of it.

use super::denoiser::Handles;
use super::network::DenoiserShape;
use super::time::{Ahead, Parts};
#[cfg(all(feature = "eval", not(target_family = "wasm")))]
use crate::gpu::block_on;
use crate::graph::{Executor, Ops, Staged, Submitted, Value};
use crate::ops::StepRow;
use crate::{Error, Result, Tensor, memory};

#[derive(Debug)]
pub(crate) struct Built {
    pub shape: DenoiserShape,
    pub handles: Handles,
    pub executor: Executor,
    pub run: Run,
    pub ahead: Ahead,
}

/// What an error of a run tells of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    pub steps: usize,
    /// Of all sequences, anchors included, padding not.
    pub positions: usize,
}

impl Built {
    /// Reads results, and whether they can be believed, at one wait: what a run gives goes through here.
    ///
    /// # Errors
    /// If a prediction of the run was not finite, or the device was lost.
    #[cfg(all(feature = "eval", not(target_family = "wasm")))]
    pub fn results<const N: usize>(&self, values: [Value; N]) -> Result<[Tensor; N]> {
        block_on(self.results_async(values))
    }

    /// [`Built::results`] without blocking.
    ///
    /// # Errors
    /// If a prediction of the run was not finite, or the device was lost.
    pub async fn results_async<const N: usize>(&self, values: [Value; N]) -> Result<[Tensor; N]> {
        let all: Vec<_> = values.into_iter().chain([self.handles.report]).collect();
        let mut results = self.executor.read_all_async(&all).await?;
        self.judge(results.pop().as_ref().map_or(&[], Tensor::words))?;
        Ok(results.try_into().expect("one tensor was read for each value"))
    }

    /// Ends a run early where the device lets its report be seen without a wait.
    pub fn glance(&self) -> Result<()> {
        self.executor.glance(self.handles.report).map_or(Ok(()), |report| self.judge(report))
    }

    fn judge(&self, report: &[u32]) -> Result<()> {
        match report {
            &[first, rows] if rows > 0 => {
                let Run { steps, positions: of } = self.run;
                Err(Error::NotFinite { step: first as usize, steps, positions: rows as usize, of, op: None })
            }
            _ => Ok(()),
        }
    }

    /// An error with the op where it began, if it is one of values that are not finite: `again` runs the step that it
    /// names once more, op by op.
    #[cfg(all(feature = "eval", not(target_family = "wasm")))]
    pub fn with_origin(
        &mut self,
        error: Error,
        again: impl FnOnce(&mut Self, usize) -> Result<Option<(usize, &'static str)>>,
    ) -> Error {
        match error {
            Error::NotFinite { step, steps, positions, of, op: None } => {
                // Whatever may fail now, the run's own error is the one to tell.
                let op = again(self, step).unwrap_or(None);
                Error::NotFinite { step, steps, positions, of, op }
            }
            other => other,
        }
    }

    /// Chosen experts of each layer, u32 `[B, R, k]`, where the shape keeps them.
    #[cfg(all(feature = "eval", not(target_family = "wasm")))]
    pub fn routing(&self) -> Result<Vec<Tensor>> {
        block_on(self.routing_async())
    }

    /// [`Built::routing`] without blocking.
    pub async fn routing_async(&self) -> Result<Vec<Tensor>> {
        let layers = self.executor.read_all_async(&self.handles.routing).await?;
        let layers = layers.into_iter().map(|indices| {
            let words = memory::copied("the routing", indices.words())?;
            Tensor::u32([self.shape.batch, self.shape.rows(), indices.desc().last()], words)
        });
        layers.collect()
    }

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
        self.executor.run_with(&staged(&self.ahead, &self.handles, index), ops)
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
        self.executor.first_not_finite_async(&staged(&self.ahead, &self.handles, index)).await
    }

    /// Stages the rows of evaluation `index` and of those behind it, unless they are.
    ///
    /// # Errors
    /// If the memory is refused or the device failed.
    pub async fn look_ahead(&mut self, model: Parts<'_>, steps: &[StepRow], index: usize) -> Result<()> {
        if self.ahead.place(index).is_some() {
            return Ok(());
        }
        let ahead = Ahead::from(model, self.shape.sharpening, steps, index).await?;
        self.executor.stage(self.handles.step, &ahead.steps)?;
        self.executor.stage(self.handles.time, &ahead.times)?;
        self.ahead = ahead;
        Ok(())
    }
}

/// What evaluation `index` begins with.
fn staged<'a>(ahead: &'a Ahead, handles: &Handles, index: usize) -> Vec<Staged<'a>> {
    let Some(place) = ahead.place(index) else { return Vec::new() };
    let rows = [(handles.step, &ahead.steps), (handles.time, &ahead.times)];
    rows.map(|(value, rows)| Staged { value, index: place, row: &rows[place] }).into()
}
