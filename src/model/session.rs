//! Sampling: a graph on a device, replayed step by step.

use std::ops::ControlFlow;

use super::state::Sequence;
use super::{Denoiser, DenoiserShape, Handles, Model, Prompt, Sampler, step_rows};
use crate::graph::{Executor, ExecutorOptions, OpTime, Plan, Value};
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
    /// The text, prompt included, up to its end.
    pub text: String,
    /// The token at every position.
    pub tokens: Vec<u32>,
    /// The seed it came from.
    pub seed: u64,
}

/// A model on a device, ready to sample.
#[derive(Debug)]
pub struct Session<'a> {
    model: &'a Model,
    options: SessionOptions,
    built: Option<Built>,
}

#[derive(Debug)]
pub(super) struct Built {
    pub shape: DenoiserShape,
    pub handles: Handles,
    pub executor: Executor,
    pub run: Run,
}

/// What an error of a run tells of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    pub steps: usize,
    /// Of all sequences, anchors included, padding not.
    pub positions: usize,
}

impl Built {
    /// Reads results, and whether they can be believed, at one wait: what a run gives goes through here.
    ///
    /// # Errors
    /// Where a prediction of the run was not finite, or the device was lost.
    pub fn results<const N: usize>(&self, values: [Value; N]) -> Result<[Tensor; N]> {
        let all: Vec<_> = values.into_iter().chain([self.handles.report]).collect();
        let mut results = self.executor.read_all(&all)?;
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
    pub fn routing(&self) -> Result<Vec<Tensor>> {
        let layers = self.handles.routing.iter().map(|&value| {
            let indices = self.executor.read(value)?;
            let words = memory::copied("the routing", indices.words())?;
            Tensor::u32([self.shape.batch, self.shape.rows(), indices.desc().last()], words)
        });
        layers.collect()
    }
}

/// What a caller can see between two steps. Nothing is read from the device unless asked for.
pub struct Progress<'a> {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    model: &'a Model,
    built: &'a Built,
    sequences: &'a [Sequence],
}

impl Progress<'_> {
    /// The texts as they stand.
    ///
    /// # Errors
    /// Where a prediction was not finite, or the device was lost.
    pub fn snapshot(&self) -> Result<Vec<String>> {
        Ok(texts(self.model, self.built, self.sequences)?.into_iter().map(|generated| generated.text).collect())
    }

    /// Time of each op in the last step, with [`SessionOptions::profile`].
    ///
    /// # Errors
    /// Where the device was lost.
    pub fn times(&self) -> Result<Vec<OpTime>> {
        self.built.executor.times()
    }

    /// Chosen experts of each layer, u32 `[B, R, k]`, with [`SessionOptions::inspect`].
    ///
    /// # Errors
    /// Where the device was lost.
    pub fn routing(&self) -> Result<Vec<Tensor>> {
        self.built.routing()
    }

    /// The state z, `[B, R, De]`.
    ///
    /// # Errors
    /// Where the device was lost.
    pub fn state(&self) -> Result<Tensor> {
        self.built.executor.read(self.built.handles.z)
    }

    /// Anchor rows ahead of the text.
    pub fn anchors(&self) -> usize {
        self.built.shape.level.anchors
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(model: &'a Model, options: SessionOptions) -> Result<Self> {
        model.config().level(options.length)?;
        Ok(Self { model, options, built: None })
    }

    /// Samples one text.
    ///
    /// # Errors
    /// Where prompt or settings are outside what is accepted, the text does not fit the device, a prediction was not
    /// finite ([`Error::NotFinite`]; on a GPU that is seen where results are read), `progress` asked to stop, or the
    /// device failed.
    pub fn generate(
        &mut self,
        prompt: &Prompt,
        sampler: &Sampler,
        progress: impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<String> {
        memory::room("the prompt", prompt.bytes())?;
        let request = Request { prompt: prompt.clone(), ..Request::default() };
        let mut all = self.generate_batch(&[request], sampler, progress)?;
        Ok(all.pop().map(|generated| generated.text).unwrap_or_default())
    }

    /// Samples a batch of texts at once, each with its own prompt, length and seed. The longest text picks the attention
    /// level of all: a text that alone would have another level comes out different here.
    ///
    /// # Errors
    /// As [`Session::generate`].
    pub fn generate_batch(
        &mut self,
        requests: &[Request],
        sampler: &Sampler,
        mut progress: impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Generated>> {
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
        let model = self.model;
        // Memory first: whatever the host holds for each request is less than what is refused here.
        let built = self.build(shape)?;
        let mut sequences = Vec::with_capacity(requests.len());
        for (index, (request, &length)) in requests.iter().zip(&lengths).enumerate() {
            let prompt = request.prompt.positions(length, model.vocabulary(), config)?;
            let seed = request.seed.unwrap_or(sampler.seed.wrapping_add(index as u64));
            sequences.push(Sequence { prompt, seed });
        }
        let lambda = config.lambda(sampler.budget)?;
        let Built { shape, handles, executor, .. } = &mut *built;
        handles.write_layout(executor, shape, config, &lengths, lambda)?;
        handles.write_start(executor, shape, (config, model.weights()), &sequences)?;
        let rows: Vec<Vec<f32>> = step_rows(config, sampler).iter().map(|row| row.words()).collect();
        executor.stage(handles.step, &rows)?;
        let anchors = shape.level.anchors;
        built.run = Run { steps: rows.len(), positions: lengths.iter().map(|length| anchors + length).sum() };
        let outcome = sample(model, built, &rows, &sequences, &mut progress);
        outcome.map_err(|error| {
            built.with_origin(error, |built, step| {
                let Built { shape, handles, executor, .. } = built;
                handles.write_start(executor, shape, (config, model.weights()), &sequences)?;
                let mut staged = rows.iter().enumerate().map(|(index, row)| (handles.step, index, row.as_slice()));
                for staged in staged.by_ref().take(step.saturating_sub(1)) {
                    executor.run_with(Some(staged))?;
                }
                executor.first_not_finite(staged.next())
            })
        })
    }

    /// Makes graph and memory ready for a batch of this many texts of the session's length.
    ///
    /// # Errors
    /// Where they do not fit the device.
    pub fn prepare(&mut self, batch: usize) -> Result<()> {
        let config = self.model.config();
        let level = config.levels[config.level(self.options.length)?].clone();
        let (positions, inspect, sharpening) = (self.options.length, self.options.inspect, config.sharpening());
        self.build(DenoiserShape { batch, positions, level, guidance: false, sharpening, inspect }).map(|_| ())
    }

    /// The plan of what was built last.
    pub fn plan(&self) -> Option<&Plan> {
        self.built.as_ref().map(|built| built.executor.plan())
    }

    pub(super) fn build(&mut self, shape: DenoiserShape) -> Result<&mut Built> {
        let built = match self.built.take() {
            Some(built) if built.shape == shape => built,
            // The old memory goes before the new is asked for.
            _ => {
                let denoiser = Denoiser::new(self.model, &shape)?;
                self.check_limits(&denoiser, &shape)?;
                let options = ExecutorOptions { profile: self.options.profile, ..Default::default() };
                let executor = Executor::new(self.model.device(), denoiser.graph, options)?;
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
            let largest = Denoiser::new(self.model, &smaller).and_then(|d| d.graph.largest_value(gpu.capabilities()));
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
            hint: format!(" bytes a binding; the largest length that fits is {low}"),
        })
    }
}

/// Runs the steps.
fn sample(
    model: &Model,
    built: &mut Built,
    rows: &[Vec<f32>],
    sequences: &[Sequence],
    progress: &mut impl FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Vec<Generated>> {
    for (step, row) in rows.iter().enumerate() {
        built.executor.run_with(Some((built.handles.step, step, row)))?;
        built.executor.wait()?;
        built.glance()?;
        let seen = Progress { step: step + 1, steps: rows.len(), model, built, sequences };
        if progress(&seen).is_break() && step + 1 < rows.len() {
            return Err(Error::Stopped { step: step + 1, steps: rows.len() });
        }
    }
    texts(model, built, sequences)
}

fn texts(model: &Model, built: &Built, sequences: &[Sequence]) -> Result<Vec<Generated>> {
    let [tokens] = built.results([built.handles.token])?;
    let tokens = tokens.as_u32().unwrap_or(&[]);
    let (anchors, rows) = (built.shape.level.anchors, built.shape.rows());
    let all = sequences.iter().enumerate().map(|(b, sequence)| {
        let predicted = &tokens[b * rows + anchors..][..sequence.prompt.len()];
        let tokens = sequence.prompt.iter().zip(predicted).map(|(given, &token)| given.unwrap_or(token));
        let tokens = memory::collected("a text", tokens)?;
        let text = model.vocabulary().finish(&tokens, &sequence.prompt)?;
        Ok(Generated { text, tokens, seed: sequence.seed })
    });
    all.collect()
}
