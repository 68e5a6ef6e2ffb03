//! A batch that is being sampled, and what a caller can see of it.

use std::collections::VecDeque;

use super::Model;
use super::built::Built;
use super::state::Sequence;
#[cfg(not(target_family = "wasm"))]
use crate::gpu::block_on;
use crate::gpu::{Signal, give_way};
use crate::graph::OpTime;
use crate::ops::StepRow;
use crate::{Error, Result, Tensor, memory};

/// Steps that a device holds at most: it has the next one at hand when it is done with one, and a wish to stop is heard soon.
const IN_FLIGHT: usize = 2;

/// A finished text.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The text, prompt included, up to its end; empty where the model has no tokenizer.
    pub text: String,
    /// The token at every position.
    pub tokens: Vec<u32>,
    /// The seed it came from.
    pub seed: u64,
}

/// What a caller can see of a run that has come as far as a step. The step was handed to the device, which may still be
/// busy with it and the one before. Nothing is read unless asked for; what is read waits for the step and is of it.
pub struct Progress<'a> {
    /// Steps so far.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    pub(super) model: &'a Model,
    pub(super) built: &'a Built,
    pub(super) sequences: &'a [Sequence],
}

impl std::fmt::Debug for Progress<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("step", &self.step).field("steps", &self.steps).finish_non_exhaustive()
    }
}

impl Progress<'_> {
    /// The texts as they stand.
    ///
    /// # Errors
    /// If no step was made, the model has no tokenizer, a prediction was not finite, or the device was lost.
    #[cfg(not(target_family = "wasm"))]
    pub fn snapshot(&self) -> Result<Vec<String>> {
        block_on(self.snapshot_async())
    }

    /// The texts as they stand.
    ///
    /// # Errors
    /// If no step was made, the model has no tokenizer, a prediction was not finite, or the device was lost.
    pub async fn snapshot_async(&self) -> Result<Vec<String>> {
        self.model.vocabulary().tokenizer()?;
        let generated = self.texts().await?;
        Ok(generated.into_iter().map(|generated| generated.text).collect())
    }

    /// `[B, R]`: the entropy of the last step's prediction at each row, in nats, anchor rows first; `ln V` before the first
    /// step. What stands behind the end of a shorter text of the batch means nothing.
    ///
    /// # Errors
    /// If a prediction was not finite, or the device was lost.
    #[cfg(not(target_family = "wasm"))]
    pub fn entropy(&self) -> Result<Tensor> {
        block_on(self.entropy_async())
    }

    /// [`Progress::entropy`] without blocking.
    ///
    /// # Errors
    /// If a prediction was not finite, or the device was lost.
    pub async fn entropy_async(&self) -> Result<Tensor> {
        let [entropy] = self.built.results_async([self.built.handles.difficulty]).await?;
        Ok(entropy)
    }

    /// Time of each op in the last step, with [`SessionOptions::profile`](super::SessionOptions::profile).
    ///
    /// # Errors
    /// If the device was lost.
    #[cfg(not(target_family = "wasm"))]
    pub fn times(&self) -> Result<Vec<OpTime>> {
        block_on(self.times_async())
    }

    /// Time of each op in the last step, with [`SessionOptions::profile`](super::SessionOptions::profile).
    ///
    /// # Errors
    /// If the device was lost.
    pub async fn times_async(&self) -> Result<Vec<OpTime>> {
        self.built.executor.times_async().await
    }

    /// Chosen experts of each layer, u32 `[B, R, k]`, with [`SessionOptions::inspect`](super::SessionOptions::inspect).
    ///
    /// # Errors
    /// If the device was lost.
    #[cfg(all(feature = "eval", not(target_family = "wasm")))]
    pub fn routing(&self) -> Result<Vec<Tensor>> {
        block_on(self.routing_async())
    }

    /// Chosen experts of each layer, u32 `[B, R, k]`, with [`SessionOptions::inspect`](super::SessionOptions::inspect).
    ///
    /// # Errors
    /// If the device was lost.
    pub async fn routing_async(&self) -> Result<Vec<Tensor>> {
        self.built.routing_async().await
    }

    /// The state z, `[B, R, De]`.
    ///
    /// # Errors
    /// If the device was lost.
    #[cfg(not(target_family = "wasm"))]
    pub fn state(&self) -> Result<Tensor> {
        block_on(self.state_async())
    }

    /// The state z, `[B, R, De]`.
    ///
    /// # Errors
    /// If the device was lost.
    pub async fn state_async(&self) -> Result<Tensor> {
        self.built.executor.read_async(self.built.handles.z).await
    }

    /// Anchor rows ahead of the text.
    pub fn anchors(&self) -> usize {
        self.built.shape.level.anchors
    }

    async fn texts(&self) -> Result<Vec<Generated>> {
        let Self { model, built, sequences, .. } = *self;
        if self.step == 0 {
            return Err(Error::argument("the steps so far", 0, "at least 1: a text is what a step predicts"));
        }
        let [tokens] = built.results_async([built.handles.token]).await?;
        let tokens = tokens.as_u32().unwrap_or(&[]);
        let (anchors, rows) = (built.shape.level.anchors, built.shape.rows());
        let all = sequences.iter().enumerate().map(|(b, sequence)| {
            let predicted = &tokens[b * rows + anchors..][..sequence.prompt.len()];
            let tokens = sequence.prompt.iter().zip(predicted).map(|(given, &token)| given.unwrap_or(token));
            let tokens = memory::collected("a text", tokens)?;
            let text = match model.vocabulary().has_tokenizer() {
                true => model.vocabulary().finish(&tokens, &sequence.prompt)?,
                false => String::new(),
            };
            Ok(Generated { text, tokens, seed: sequence.seed })
        });
        all.collect()
    }
}

/// A batch that is being sampled, step by step, for callers with a loop of their own. Dropped, it ends; the session can go
/// on with another one.
#[derive(Debug)]
pub struct Generation<'a> {
    pub(super) model: &'a Model,
    pub(super) built: &'a mut Built,
    /// What differs from step to step.
    pub(super) rows: Vec<StepRow>,
    pub(super) sequences: Vec<Sequence>,
    /// Steps so far.
    pub(super) step: usize,
    /// The ends of the steps that the device has not done for sure.
    pub(super) in_flight: VecDeque<Signal<()>>,
}

impl Generation<'_> {
    /// Starts the next step, once the device is busy with no more than the one before; false where there is none left.
    ///
    /// # Errors
    /// If the device was lost or refused the work, or (on the CPU) a prediction was not finite.
    #[cfg(not(target_family = "wasm"))]
    pub fn step(&mut self) -> Result<bool> {
        block_on(self.step_async())
    }

    /// Starts the next step, once the device is busy with no more than the one before; false where there is none left.
    ///
    /// # Errors
    /// If the device was lost or refused the work, or (on the CPU) a prediction was not finite.
    pub async fn step_async(&mut self) -> Result<bool> {
        if self.step >= self.rows.len() {
            return Ok(false);
        }
        while self.in_flight.len() >= IN_FLIGHT
            && let Some(oldest) = self.in_flight.pop_front()
        {
            self.built.executor.reached(oldest).await?;
        }
        self.built.evaluate(self.model.parts(), &self.rows, self.step).await?;
        self.step += 1;
        match self.built.executor.submitted() {
            Some(end) => self.in_flight.push_back(end),
            // Computed right here.
            None => give_way().await,
        }
        if let Err(error) = self.built.glance() {
            return Err(self.with_origin(error).await);
        }
        Ok(true)
    }

    /// What can be seen of it.
    pub fn progress(&self) -> Progress<'_> {
        let Self { model, built, rows, sequences, step, .. } = self;
        Progress { step: *step, steps: rows.len(), model, built, sequences }
    }

    /// The texts, after the steps that are left.
    ///
    /// # Errors
    /// If a prediction was not finite ([`Error::NotFinite`]), or the device failed.
    #[cfg(not(target_family = "wasm"))]
    pub fn finish(self) -> Result<Vec<Generated>> {
        block_on(self.finish_async())
    }

    /// The texts, after the steps that are left.
    ///
    /// # Errors
    /// If a prediction was not finite ([`Error::NotFinite`]), or the device failed.
    pub async fn finish_async(mut self) -> Result<Vec<Generated>> {
        while self.step_async().await? {}
        self.stop_async().await
    }

    /// The texts as they stand: the steps that are left are not made.
    ///
    /// # Errors
    /// If no step was made, a prediction was not finite ([`Error::NotFinite`]), or the device failed.
    #[cfg(not(target_family = "wasm"))]
    pub fn stop(self) -> Result<Vec<Generated>> {
        block_on(self.stop_async())
    }

    /// The texts as they stand: the steps that are left are not made.
    ///
    /// # Errors
    /// If no step was made, a prediction was not finite ([`Error::NotFinite`]), or the device failed.
    pub async fn stop_async(mut self) -> Result<Vec<Generated>> {
        match self.progress().texts().await {
            Err(error) => Err(self.with_origin(error).await),
            all => all,
        }
    }

    /// An error with the op where it began, if it is one of values that are not finite: the run is made again up to there.
    async fn with_origin(&mut self, error: Error) -> Error {
        match error {
            Error::NotFinite { step, steps, positions, of, op: None } => {
                // Whatever may fail now, the run's own error is the one to tell.
                let op = self.origin(step).await.unwrap_or(None);
                Error::NotFinite { step, steps, positions, of, op }
            }
            other => other,
        }
    }

    async fn origin(&mut self, step: usize) -> Result<Option<(usize, &'static str)>> {
        let Self { model, built, rows, sequences, .. } = self;
        let Built { shape, handles, executor, .. } = &mut **built;
        handles.write_start(executor, shape, (model.config(), model.weights()), sequences)?;
        let last = step.saturating_sub(1);
        for index in 0..last {
            built.evaluate(model.parts(), rows, index).await?;
        }
        built.first_not_finite(model.parts(), rows, last).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Request, Sampler, SessionOptions};
    use super::*;
    use crate::{Device, DeviceChoice, GpuOptions};

    #[test]
    fn a_device_has_two_steps_at_most() -> Result<()> {
        let device = Device::open(&GpuOptions { device: DeviceChoice::Gpu, ..Default::default() })?;
        let model = Model::load(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny"), &device)?;
        let mut session = model.session(SessionOptions { length: 24, ..Default::default() })?;
        let mut generation = session.start(&[Request::default()], &Sampler { steps: 6, ..Sampler::default() })?;
        let mut in_flight = Vec::new();
        while generation.step()? {
            in_flight.push(generation.in_flight.len());
        }
        assert_eq!(in_flight, [1, 2, 2, 2, 2, 2]);
        generation.finish().map(|_| ())
    }
}
