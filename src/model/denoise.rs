//! A whole model on tensors: no tokenizer, no prompt, no sharpening.

use super::built::{Built, Run};
use super::config::Config;
use super::denoiser::Denoiser;
use super::network::DenoiserShape;
use super::sampler::Sampler;
use super::schedule::{evaluation, step_rows};
use super::sharpening::Sharpening;
use super::state::Sequence;
use super::time::{Ahead, Parts};
use super::weights::Weights;
use crate::graph::{Executor, Value};
use crate::ops::StepRow;
use crate::{DType, Desc, Device, Error, Result, Tensor, memory};

/// What memory of the host is called where it is refused.
const WHAT: &str = "the tensors of a denoiser";

/// What is denoised.
#[derive(Clone, Debug)]
pub struct DenoiseInput {
    /// `[B, N, De]`: the noisy state of text positions.
    pub z: Tensor,
    /// `[B, N, De]`: the last prediction, for self-conditioning; `None` is none yet.
    pub last: Option<Tensor>,
    /// `[B]`: gamma of each sequence, for a single evaluation; `None` is a whole run from `z`.
    pub gamma: Option<Tensor>,
}

/// What the last evaluation gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Denoised {
    /// `[B, N, De]`: the predicted clean embeddings.
    pub x0: Tensor,
    /// `[B, N]`: entropy of each prediction in nats.
    pub entropy: Tensor,
    /// u32 `[B, N]`: the most probable tokens.
    pub token: Tensor,
    /// `[B, N, De]`: the state that the last evaluation saw, after a whole run.
    pub z: Option<Tensor>,
}

/// Evaluates a network once, or runs `sampler` from a given state; anchors start as in generation.
///
/// # Errors
/// If tensors do not suit the model, settings are outside what is accepted, or the device failed.
#[cfg(not(target_family = "wasm"))]
pub fn denoise(
    network: (&Config, &Weights),
    input: &DenoiseInput,
    sampler: &Sampler,
    device: &Device,
) -> Result<Denoised> {
    crate::gpu::block_on(denoise_async(network, input, sampler, device))
}

/// The same as `denoise`, without blocking.
///
/// # Errors
/// If tensors do not suit the model, settings are outside what is accepted, or the device failed.
pub async fn denoise_async(
    (config, weights): (&Config, &Weights),
    input: &DenoiseInput,
    sampler: &Sampler,
    device: &Device,
) -> Result<Denoised> {
    let parts = Parts { device, config, weights };
    let [batch, positions] = sizes(config, input)?;
    sampler.check(config)?;
    let Some(gamma) = &input.gamma else {
        let mut rows = step_rows(config, sampler);
        // The last evaluation is an answer, not a step: the state it saw stays.
        if let Some(last) = rows.last_mut() {
            *last = StepRow { c_x: 1.0, c_x0: 0.0, c_prev: 0.0, c_noise: 0.0, ..*last };
        }
        if input.last.is_some() {
            return Err(Error::argument("`self`", "given for a whole run", "it beside `gamma` alone"));
        }
        let mut run =
            Denoising::new(config, weights, (rows.len(), sampler.guidance != 0.0), [batch, positions], device).await?;
        run.start((config, weights), input.z.words(), &[], sampler.seed)?;
        for index in 0..rows.len() {
            run.0.evaluate(parts, &rows, index).await?;
        }
        return run.result(true).await;
    };
    // A graph has one gamma, so each sequence is a run of its own.
    let mut run = Denoising::new(config, weights, (1, false), [1, positions], device).await?;
    let size = positions * config.embedding_dim;
    let mut all = Joined::new(batch, [positions, config.embedding_dim])?;
    for (b, &gamma) in gamma.as_f32().unwrap_or(&[]).iter().enumerate() {
        let own = b * size..(b + 1) * size;
        let last = input.last.as_ref().map_or(&[][..], |last| &last.words()[own.clone()]);
        run.start((config, weights), &input.z.words()[own], last, sampler.seed)?;
        run.0.ahead = Ahead::default();
        run.0.evaluate(parts, &[StepRow { evaluation: 1.0, ..evaluation(f64::from(gamma)) }], 0).await?;
        all.add(&run.result(false).await?);
    }
    Ok(all.finish())
}

/// Results of several sequences, put together.
struct Joined {
    x0: Vec<u32>,
    entropy: Vec<u32>,
    token: Vec<u32>,
    shape: [usize; 3],
}

impl Joined {
    fn new(batch: usize, [positions, dim]: [usize; 2]) -> Result<Self> {
        let empty = |width| memory::empty(WHAT, batch * positions * width);
        Ok(Self { x0: empty(dim)?, entropy: empty(1)?, token: empty(1)?, shape: [batch, positions, dim] })
    }

    fn add(&mut self, one: &Denoised) {
        let parts = [(&mut self.x0, &one.x0), (&mut self.entropy, &one.entropy), (&mut self.token, &one.token)];
        parts.into_iter().for_each(|(all, part)| all.extend_from_slice(part.words()));
    }

    fn finish(self) -> Denoised {
        let Self { x0, entropy, token, shape } = self;
        let tensor = |dtype, shape: &[usize], words| Tensor::from_words(Desc { dtype, shape: shape.to_vec() }, words);
        Denoised {
            x0: tensor(DType::F32, &shape, x0),
            entropy: tensor(DType::F32, &shape[..2], entropy),
            token: tensor(DType::U32, &shape[..2], token),
            z: None,
        }
    }
}

/// B and N.
fn sizes(config: &Config, input: &DenoiseInput) -> Result<[usize; 2]> {
    let expected = format!("[B, N, {}], all at least 1", config.embedding_dim);
    let wrong = |name: &str, tensor: &Tensor, expected: &str| {
        Err(Error::shape("denoise", name, tensor.desc().to_string(), expected))
    };
    let &[batch, positions, dim] = input.z.desc().shape.as_slice() else { return wrong("z", &input.z, &expected) };
    if input.z.as_f32().is_none() || batch == 0 || dim != config.embedding_dim {
        return wrong("z", &input.z, &expected);
    }
    config.level(positions)?;
    if let Some(last) = input.last.as_ref().filter(|last| last.desc() != input.z.desc()) {
        return wrong("self", last, &input.z.desc().to_string());
    }
    if let Some(gamma) = &input.gamma {
        let expected = Desc::f32([batch]);
        if *gamma.desc() != expected {
            return wrong("gamma", gamma, &expected.to_string());
        }
        if let Some(value) = gamma.as_f32().unwrap_or(&[]).iter().find(|gamma| gamma.is_nan() || gamma.abs() > 50.0) {
            return Err(Error::argument("gamma", value, "-50 to 50"));
        }
    }
    Ok([batch, positions])
}

/// A graph on a device, started from given states.
struct Denoising(Built);

impl Denoising {
    async fn new(
        config: &Config,
        weights: &Weights,
        (steps, guidance): (usize, bool),
        [batch, positions]: [usize; 2],
        device: &Device,
    ) -> Result<Self> {
        let level = config.levels[config.level(positions)?].clone();
        let anchors = level.anchors;
        let sharpening = Sharpening::default();
        let shape = DenoiserShape { batch, positions, level, guidance, sharpening, inspect: false };
        let Denoiser { graph, handles } = Denoiser::with(config, weights, &shape)?;
        let executor = Executor::new_async(device, graph, Default::default()).await?;
        let run = Run { steps, positions: batch * (anchors + positions) };
        Ok(Self(Built { shape, handles, executor, run, ahead: Ahead::default() }))
    }

    /// Writes the states of text positions, `z` and the last prediction (empty: none), as words.
    fn start(&mut self, (config, weights): (&Config, &Weights), z: &[u32], last: &[u32], seed: u64) -> Result<()> {
        let Built { executor, handles, shape, .. } = &mut self.0;
        let positions = shape.positions;
        handles.write_layout(executor, shape, config, &memory::filled(WHAT, shape.batch, positions)?, 0.0)?;
        let mut free = memory::empty(WHAT, shape.batch)?;
        for _ in 0..shape.batch {
            free.push(Sequence { prompt: memory::filled(WHAT, positions, None)?, seed });
        }
        handles.write_start(executor, shape, (config, weights), &free)?;
        self.put(self.0.handles.z, z)?;
        if !last.is_empty() {
            self.put(self.0.handles.x0, last)?;
        }
        Ok(())
    }

    /// Writes the text rows of a state; anchors are 0 at the start.
    fn put(&mut self, value: Value, text: &[u32]) -> Result<()> {
        let desc = self.0.executor.graph().desc(value).clone();
        let skip = self.0.shape.level.anchors * desc.last();
        let row = desc.len() / self.0.shape.batch;
        let mut words = memory::zeroed(WHAT, desc.len())?;
        for (rows, text) in words.chunks_exact_mut(row).zip(text.chunks_exact(row - skip)) {
            rows[skip..].copy_from_slice(text);
        }
        self.0.executor.write(value, &Tensor::from_words(desc, words))
    }

    /// What the last evaluation gave.
    async fn result(&self, with_state: bool) -> Result<Denoised> {
        let handles = &self.0.handles;
        let all = self.0.results_async([handles.x0, handles.difficulty, handles.token, handles.z]).await?;
        let [x0, entropy, token, z] = &all;
        let z = if with_state { Some(self.text(z)?) } else { None };
        Ok(Denoised { x0: self.text(x0)?, entropy: self.text(entropy)?, token: self.text(token)?, z })
    }

    /// The text rows of `[B, R, ..]`.
    fn text(&self, tensor: &Tensor) -> Result<Tensor> {
        let shape = &self.0.shape;
        let (batch, rows, anchors) = (shape.batch, shape.rows(), shape.level.anchors);
        let width = tensor.words().len() / (batch * rows);
        let mut words = memory::empty(WHAT, batch * shape.positions * width)?;
        for rows in tensor.words().chunks_exact(rows * width) {
            words.extend_from_slice(&rows[anchors * width..]);
        }
        let mut shape = vec![batch, shape.positions];
        if width > 1 || tensor.desc().shape.len() > 2 {
            shape.push(width);
        }
        Ok(Tensor::from_words(Desc { dtype: tensor.desc().dtype, shape }, words))
    }
}
