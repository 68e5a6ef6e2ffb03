//! Sampling: a graph on a device, replayed step by step.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::Model;
use super::denoiser::{Denoiser, Handles};
use super::network::DenoiserShape;
use super::sampler::{Prompt, Sampler};
use super::schedule::step_rows;
use super::state::Sequence;
#[cfg(not(target_family = "wasm"))]
use crate::gpu::block_on;
use crate::gpu::{Signal, give_way};
use crate::graph::{Executor, ExecutorOptions, OpTime, Plan, Value};
use crate::ops::StepRow;
use crate::{Device, Error, Result, Tensor, memory};

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

/// Steps that a device holds at most: it has the next one at hand when it is done with one, and a wish to stop is heard soon.
const IN_FLIGHT: usize = 2;

/// A model on a device, ready to sample. What waits for the device comes twice: `..._async` never blocks, the other blocks
/// the calling thread and is not there in a browser. Dropped, it frees its memory on the device; the weights stay there with
/// the model.
#[derive(Debug)]
pub struct Session {
    model: Model,
    options: SessionOptions,
    built: Option<Built>,
}

#[derive(Debug)]
pub(crate) struct Built {
    pub shape: DenoiserShape,
    pub handles: Handles,
    pub executor: Executor,
    pub run: Run,
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
    /// Where a prediction of the run was not finite, or the device was lost.
    #[cfg(all(feature = "eval", not(target_family = "wasm")))]
    pub fn results<const N: usize>(&self, values: [Value; N]) -> Result<[Tensor; N]> {
        block_on(self.results_async(values))
    }

    /// [`Built::results`] without blocking.
    ///
    /// # Errors
    /// Where a prediction of the run was not finite, or the device was lost.
    pub async fn results_async<const N: usize>(&self, values: [Value; N]) -> Result<[Tensor; N]> {
        let all: Vec<_> = values.into_iter().chain([self.handles.report]).collect();
        let mut results = self.executor.read_all_async(&all).await?;
        self.judge(results.pop().as_ref().map_or(&[], Tensor::words))?;
        Ok(results.try_into().expect("one tensor was read for each value"))
    }

    /// Ends a run early where the device lets its report be seen without a wait.
    fn glance(&self) -> Result<()> {
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

/// What a caller can see of a run that has come as far as a step. The step was handed to the device, which may still be
/// busy with it and the one before. Nothing is read unless asked for; what is read waits for the step and is of it.
pub struct Progress<'a> {
    /// Steps so far.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    model: &'a Model,
    built: &'a Built,
    sequences: &'a [Sequence],
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
    /// Where the model has no tokenizer, a prediction was not finite, or the device was lost.
    #[cfg(not(target_family = "wasm"))]
    pub fn snapshot(&self) -> Result<Vec<String>> {
        block_on(self.snapshot_async())
    }

    /// The texts as they stand.
    ///
    /// # Errors
    /// Where the model has no tokenizer, a prediction was not finite, or the device was lost.
    pub async fn snapshot_async(&self) -> Result<Vec<String>> {
        self.model.vocabulary().tokenizer()?;
        let generated = texts(self.model, self.built, self.sequences).await?;
        Ok(generated.into_iter().map(|generated| generated.text).collect())
    }

    /// Time of each op in the last step, with [`SessionOptions::profile`].
    ///
    /// # Errors
    /// Where the device was lost.
    #[cfg(not(target_family = "wasm"))]
    pub fn times(&self) -> Result<Vec<OpTime>> {
        block_on(self.times_async())
    }

    /// Time of each op in the last step, with [`SessionOptions::profile`].
    ///
    /// # Errors
    /// Where the device was lost.
    pub async fn times_async(&self) -> Result<Vec<OpTime>> {
        self.built.executor.times_async().await
    }

    /// Chosen experts of each layer, u32 `[B, R, k]`, with [`SessionOptions::inspect`].
    ///
    /// # Errors
    /// Where the device was lost.
    #[cfg(all(feature = "eval", not(target_family = "wasm")))]
    pub fn routing(&self) -> Result<Vec<Tensor>> {
        block_on(self.routing_async())
    }

    /// Chosen experts of each layer, u32 `[B, R, k]`, with [`SessionOptions::inspect`].
    ///
    /// # Errors
    /// Where the device was lost.
    pub async fn routing_async(&self) -> Result<Vec<Tensor>> {
        self.built.routing_async().await
    }

    /// The state z, `[B, R, De]`.
    ///
    /// # Errors
    /// Where the device was lost.
    #[cfg(not(target_family = "wasm"))]
    pub fn state(&self) -> Result<Tensor> {
        block_on(self.state_async())
    }

    /// The state z, `[B, R, De]`.
    ///
    /// # Errors
    /// Where the device was lost.
    pub async fn state_async(&self) -> Result<Tensor> {
        self.built.executor.read_async(self.built.handles.z).await
    }

    /// Anchor rows ahead of the text.
    pub fn anchors(&self) -> usize {
        self.built.shape.level.anchors
    }
}

/// A batch that is being sampled, step by step, for callers with a loop of their own. Dropped, it ends; the session can go
/// on with another one.
#[derive(Debug)]
pub struct Generation<'a> {
    model: &'a Model,
    built: &'a mut Built,
    /// What differs from step to step.
    rows: Vec<Vec<f32>>,
    sequences: Vec<Sequence>,
    /// Steps so far.
    step: usize,
    /// The ends of the steps that the device has not done for sure.
    in_flight: VecDeque<Signal<()>>,
}

impl Generation<'_> {
    /// Starts the next step, once the device is busy with no more than the one before; false where there is none left.
    ///
    /// # Errors
    /// Where the device was lost or refused the work, or (on the CPU) a prediction was not finite.
    #[cfg(not(target_family = "wasm"))]
    pub fn step(&mut self) -> Result<bool> {
        block_on(self.step_async())
    }

    /// Starts the next step, once the device is busy with no more than the one before; false where there is none left.
    ///
    /// # Errors
    /// Where the device was lost or refused the work, or (on the CPU) a prediction was not finite.
    pub async fn step_async(&mut self) -> Result<bool> {
        let Some(row) = self.rows.get(self.step) else { return Ok(false) };
        while self.in_flight.len() >= IN_FLIGHT
            && let Some(oldest) = self.in_flight.pop_front()
        {
            self.built.executor.reached(oldest).await?;
        }
        self.built.executor.run_with(Some((self.built.handles.step, self.step, row)))?;
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
    /// Where a prediction was not finite ([`Error::NotFinite`]), or the device failed.
    #[cfg(not(target_family = "wasm"))]
    pub fn finish(self) -> Result<Vec<Generated>> {
        block_on(self.finish_async())
    }

    /// The texts, after the steps that are left.
    ///
    /// # Errors
    /// Where a prediction was not finite ([`Error::NotFinite`]), or the device failed.
    pub async fn finish_async(mut self) -> Result<Vec<Generated>> {
        while self.step_async().await? {}
        match texts(self.model, self.built, &self.sequences).await {
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
        let mut staged = rows.iter().enumerate().map(|(index, row)| (handles.step, index, row.as_slice()));
        for staged in staged.by_ref().take(step.saturating_sub(1)) {
            executor.run_with(Some(staged))?;
        }
        executor.first_not_finite_async(staged.next()).await
    }
}

impl Session {
    pub(super) fn new(model: Model, options: SessionOptions) -> Result<Self> {
        model.config().level(options.length)?;
        Ok(Self { model, options, built: None })
    }

    /// Samples one text. `progress` is called at each step, and may ask to stop.
    ///
    /// # Errors
    /// Where prompt or settings are outside what is accepted, the model has no tokenizer, the text does not fit the device, a prediction was not
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
    /// Where prompt or settings are outside what is accepted, the text does not fit the device, or the device failed.
    #[cfg(not(target_family = "wasm"))]
    pub fn start(&mut self, requests: &[Request], sampler: &Sampler) -> Result<Generation<'_>> {
        block_on(self.start_async(requests, sampler))
    }

    /// Makes a batch ready to be sampled step by step; see [`Session::generate_batch`].
    ///
    /// # Errors
    /// Where prompt or settings are outside what is accepted, the text does not fit the device, or the device failed.
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
        let Built { shape, handles, executor, run } = &mut *built;
        handles.write_layout(executor, shape, config, &lengths, lambda)?;
        handles.write_start(executor, shape, (config, model.weights()), &sequences)?;
        let rows: Vec<Vec<f32>> = step_rows(config, sampler).iter().map(StepRow::words).collect();
        executor.stage(handles.step, &rows)?;
        let anchors = shape.level.anchors;
        *run = Run { steps: rows.len(), positions: lengths.iter().map(|length| anchors + length).sum() };
        Ok(Generation { model, built, rows, sequences, step: 0, in_flight: VecDeque::new() })
    }

    /// Makes graph and memory ready for a batch of this many texts of the session's length.
    ///
    /// # Errors
    /// Where they do not fit the device.
    #[cfg(not(target_family = "wasm"))]
    pub fn prepare(&mut self, batch: usize) -> Result<()> {
        block_on(self.prepare_async(batch))
    }

    /// Makes graph and memory ready for a batch of this many texts of the session's length.
    ///
    /// # Errors
    /// Where they do not fit the device.
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
                Built { shape, handles: denoiser.handles, executor, run: Run::default() }
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

async fn texts(model: &Model, built: &Built, sequences: &[Sequence]) -> Result<Vec<Generated>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceChoice, GpuOptions};

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
