//! A denoiser with memory on a device, and what can be read of it.

use super::denoiser::Handles;
use super::network::DenoiserShape;
use super::time::Ahead;
#[cfg(all(feature = "eval", not(target_family = "wasm")))]
use crate::gpu::block_on;
use crate::graph::{Executor, Value};
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
}
