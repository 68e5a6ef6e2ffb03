//! Sampling: a graph on a device, replayed step by step.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::Model;
use super::built::{Built, Run};
use super::denoiser::Denoiser;
use super::generation::{Generated, Generation, Progress};
use super::network::DenoiserShape;
use super::sampler::{Prompt, Sampler};
use super::schedule::step_rows;
use super::state::Sequence;
use super::time::Ahead;
#[cfg(not(target_family = "wasm"))]
use crate::gpu::block_on;
use crate::graph::{Executor, ExecutorOptions, Plan};
use crate::{Device, Error, Result, memory};

/// How a session is set up.
#[derive(Clone, Copy, Debug)]
pub struct SessionOptions {
    /// Text positions, prompt included, where a request does not say its own.
    pub length: usize,
    /// Take the time of each op, for [`Progress::times`].
    pub profile: bool,
    /// Keep routing, for [`Progress::routing`].
    pub inspect: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { length: 256, profile: false, inspect: false }
    }
}

/// One text of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// What is given of it.
    pub prompt: Prompt,
    /// Its positions; `None` is those of [`Prompt::tokens`], else the session's length.
    pub length: Option<usize>,
    /// Its seed; `None` is the sampler's plus the place in the batch.
    pub seed: Option<u64>,
}

/// A model on a device, ready to sample. What waits for the device comes twice: `..._async` never blocks, the other blocks
/// the calling thread and is not there in a browser. Dropped, it frees its memory on the device; the weights stay there with
/// the model.
#[derive(Debug)]
pub struct Session {
    model: Model,
    options: SessionOptions,
    built: Option<Built>,
}

impl Session {
    pub(super) fn new(model: Model, options: SessionOptions) -> Result<Self> {
        model.config().level(options.length)?;
        Ok(Self { model, options, built: None })
    }

    /// Samples one text. `progress` is called at each step, and may ask to stop.
    ///
    /// # Errors
    /// If prompt or settings are outside what is accepted, the model has no tokenizer, the text does not fit the device, a prediction was not
    /// finite ([`Error::NotFinite`]; on a GPU that is seen where results are read), `progress` asked to stop, or the
    /// device failed.
    #[cfg(not(target_family = "wasm"))]
    pub fn generate(
        &mut self,
        prompt: &Prompt,
        sampler: &Sampler,
        mut progress: impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<String> {
        block_on(self.generate_async(prompt, sampler, async |seen| progress(seen)))
    }

    /// Samples one text. `progress` is called at each step, and may ask to stop. The future can move between threads where
    /// `progress` borrows nothing; [`Session::start_async`] leaves the loop to the caller.
    ///
    /// # Errors
    /// As [`Session::generate`].
    pub async fn generate_async(
        &mut self,
        prompt: &Prompt,
        sampler: &Sampler,
        progress: impl AsyncFnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<String> {
        self.model.vocabulary().tokenizer()?;
        memory::room("the prompt", prompt.bytes())?;
        let request = Request { prompt: prompt.clone(), ..Request::default() };
        let mut all = self.generate_batch_async(&[request], sampler, progress).await?;
        Ok(all.pop().map(|generated| generated.text).unwrap_or_default())
    }

    /// Samples a batch of texts at once, each with its own prompt, length and seed. The longest text picks the attention
    /// level of all: a text that alone would have another level comes out different here.
    ///
    /// # Errors
    /// As [`Session::generate`].
    #[cfg(not(target_family = "wasm"))]
    pub fn generate_batch(
        &mut self,
        requests: &[Request],
        sampler: &Sampler,
        mut progress: impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Generated>> {
        block_on(self.generate_batch_async(requests, sampler, async |seen| progress(seen)))
    }

    /// [`Session::generate_batch`] without blocking.
    ///
    /// # Errors
    /// As [`Session::generate`].
    pub async fn generate_batch_async(
        &mut self,
        requests: &[Request],
        sampler: &Sampler,
        mut progress: impl AsyncFnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Generated>> {
        let mut generation = self.start_async(requests, sampler).await?;
        while generation.step_async().await? {
            let seen = generation.progress();
            let Progress { step, steps, .. } = seen;
            if progress(&seen).await.is_break() && step < steps {
                return Err(Error::Stopped { step, steps });
            }
        }
        generation.finish_async().await
    }

    /// Makes a batch ready to be sampled step by step; see [`Session::generate_batch`].
    ///
    /// # Errors
    /// If prompt or settings are outside what is accepted, the text does not fit the device, or the device failed.
    #[cfg(not(target_family = "wasm"))]
    pub fn start(&mut self, requests: &[Request], sampler: &Sampler) -> Result<Generation<'_>> {
        block_on(self.start_async(requests, sampler))
    }

    /// Makes a batch ready to be sampled step by step; see [`Session::generate_batch`].
    ///
    /// # Errors
    /// If prompt or settings are outside what is accepted, the text does not fit the device, or the device failed.
    pub async fn start_async(&mut self, requests: &[Request], sampler: &Sampler) -> Result<Generation<'_>> {
        let config = self.model.config();
        sampler.check(config)?;
        if requests.is_empty() {
            return Err(Error::argument("the batch", "empty", "at least one request"));
        }
        let length =
            |request: &Request| request.length.or(request.prompt.given_length()).unwrap_or(self.options.length);
        let lengths: Vec<usize> = requests.iter().map(length).collect();
        for &length in &lengths {
            config.level(length)?;
        }
        let positions = lengths.iter().copied().max().unwrap_or(1);
        let shape = DenoiserShape {
            batch: requests.len(),
            positions,
            level: config.levels[config.level(positions)?].clone(),
            guidance: sampler.guidance != 0.0,
            sharpening: sampler.sharpening(config),
            inspect: self.options.inspect,
        };
        // Memory first: whatever the host holds for each request is less than what is refused here.
        self.build_async(shape).await?;
        let Self { model, built: Some(built), .. } = self else { unreachable!("it was just built") };
        let config = model.config();
        let mut sequences = Vec::with_capacity(requests.len());
        for (index, (request, &length)) in requests.iter().zip(&lengths).enumerate() {
            let prompt = request.prompt.positions(length, model.vocabulary(), config)?;
            let seed = request.seed.unwrap_or(sampler.seed.wrapping_add(index as u64));
            sequences.push(Sequence { prompt, seed });
        }
        let lambda = config.lambda(sampler.budget)?;
        let Built { shape, handles, executor, run, ahead } = &mut *built;
        handles.write_layout(executor, shape, config, &lengths, lambda)?;
        handles.write_start(executor, shape, (config, model.weights()), &sequences)?;
        let rows = step_rows(config, sampler);
        *ahead = Ahead::default();
        let anchors = shape.level.anchors;
        *run = Run { steps: rows.len(), positions: lengths.iter().map(|length| anchors + length).sum() };
        Ok(Generation { model, built, rows, sequences, step: 0, in_flight: VecDeque::new() })
    }

    /// Makes graph and memory ready for a batch of this many texts of the session's length.
    ///
    /// # Errors
    /// If they do not fit the device.
    #[cfg(not(target_family = "wasm"))]
    pub fn prepare(&mut self, batch: usize) -> Result<()> {
        block_on(self.prepare_async(batch))
    }

    /// Makes graph and memory ready for a batch of this many texts of the session's length.
    ///
    /// # Errors
    /// If they do not fit the device.
    pub async fn prepare_async(&mut self, batch: usize) -> Result<()> {
        let config = self.model.config();
        let level = config.levels[config.level(self.options.length)?].clone();
        let (positions, inspect, sharpening) = (self.options.length, self.options.inspect, config.sharpening());
        let shape = DenoiserShape { batch, positions, level, guidance: false, sharpening, inspect };
        self.build_async(shape).await.map(|_| ())
    }

    /// The plan of what was built last.
    pub fn plan(&self) -> Option<&Plan> {
        self.built.as_ref().map(|built| built.executor.plan())
    }

    #[cfg(all(feature = "eval", not(target_family = "wasm")))]
    pub(crate) fn build(&mut self, shape: DenoiserShape) -> Result<&mut Built> {
        block_on(self.build_async(shape))
    }

    async fn build_async(&mut self, shape: DenoiserShape) -> Result<&mut Built> {
        let built = match self.built.take() {
            Some(built) if built.shape == shape => built,
            // The old memory goes before the new is asked for.
            _ => {
                let denoiser = Denoiser::new(&self.model, &shape)?;
                self.check_limits(&denoiser, &shape)?;
                let options = ExecutorOptions { profile: self.options.profile, ..Default::default() };
                let executor = Executor::new_async(self.model.device(), denoiser.graph, options).await?;
                Built { shape, handles: denoiser.handles, executor, run: Run::default(), ahead: Ahead::default() }
            }
        };
        Ok(self.built.insert(built))
    }

    /// Refuses a text before anything is allocated where one binding cannot hold one of its values.
    fn check_limits(&self, denoiser: &Denoiser, shape: &DenoiserShape) -> Result<()> {
        let Device::Gpu(gpu) = self.model.device() else { return Ok(()) };
        let limit = gpu.max_binding();
        let needed = denoiser.graph.largest_value(gpu.capabilities())?;
        if needed <= limit {
            return Ok(());
        }
        let fits = |positions: usize| {
            let Ok(level) = self.model.config().level(positions) else { return false };
            let level = self.model.config().levels[level].clone();
            let smaller = DenoiserShape { positions, level, ..shape.clone() };
            let largest = Denoiser::new(&self.model, &smaller).and_then(|d| d.graph.largest_value(gpu.capabilities()));
            largest.is_ok_and(|largest| largest <= limit)
        };
        let (mut low, mut high) = (0, shape.positions);
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if fits(middle) { low = middle } else { high = middle }
        }
        Err(Error::Limit {
            what: format!("the largest value for {} texts of {} tokens", shape.batch, shape.positions),
            needed,
            limit,
            device: gpu.info().name.clone(),
            unit: "bytes a binding",
            fits: Some(low),
        })
    }
}
