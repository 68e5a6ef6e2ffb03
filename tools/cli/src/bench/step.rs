//! Whole steps of a model: the network, the head and the solver's update.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use drdiff::model::{Config, DenoiseInput, Weights, denoise};
use drdiff::{Device, Result, Sampler, Tensor};
use drdiff_check::Gen;

/// A timed run has as many steps as take this many milliseconds.
const RUN_MS: f64 = 200.0;
const MOST_STEPS: usize = 20;

/// Runs of a model from noise.
pub struct Step {
    model: Arc<(Config, Weights)>,
    z: Tensor,
    device: Device,
    /// Steps of a timed run beyond the first.
    more: usize,
}

impl Step {
    /// Steps of the model in `folder` at these lengths.
    pub fn all(folder: &Path, lengths: &[usize], device: &Device) -> Result<Vec<Self>> {
        let mut config = Config::read(&folder.join("config.json"))?;
        let weights = Weights::read(folder, &mut config)?;
        let model = Arc::new((config, weights));
        let mut random = Gen::new(0, "step");
        let step = |&length: &usize| {
            model.0.level(length)?;
            let z = random.normal([1, length, model.0.embedding_dim], 1.0);
            Ok(Self { model: Arc::clone(&model), z, device: device.clone(), more: 1 })
        };
        lengths.iter().map(step).collect()
    }

    pub fn length(&self) -> usize {
        self.z.desc().dim(1)
    }

    /// As many steps as suit ones of `one` milliseconds.
    pub fn lengthen(&mut self, one: f64) {
        self.more = ((RUN_MS / one) as usize).clamp(1, MOST_STEPS);
    }

    /// Milliseconds a step: what several take beyond one, so that what is done once a run does not count.
    pub fn run(&mut self) -> Result<f64> {
        let first = self.steps(1)?;
        let all = self.steps(1 + self.more)?;
        Ok((all - first).max(f64::MIN_POSITIVE) / self.more as f64)
    }

    fn steps(&self, steps: usize) -> Result<f64> {
        let input = DenoiseInput { z: self.z.try_clone()?, last: None, gamma: None };
        let sampler = Sampler { steps, ..Sampler::default() };
        let begin = Instant::now();
        denoise((&self.model.0, &self.model.1), &input, &sampler, &self.device)?;
        Ok(begin.elapsed().as_secs_f64() * 1e3)
    }
}
