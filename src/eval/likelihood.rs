//! An upper bound on a text's negative log-likelihood: the variational bound of continuous time (Kingma et al. 2021,
//! "Variational Diffusion Models"; for embedded tokens Gulrajani and Hashimoto 2023, "Likelihood-Based Diffusion
//! Language Models").
//!
//! With `z = m + alpha (e - m) + sigma eps` and gamma from `g0` to `g1`, the ends of the schedule, a text costs at most,
//! in nats, summed over its positions:
//!
//! * prior: `KL(N(alpha1 (e - m), sigma1^2 I) || N(0, I))`,
//! * diffusion: `1/2` of the integral from `g0` to `g1` of `exp(-gamma) E |e - x0(z, gamma)|^2 d gamma`,
//! * reconstruction: `-ln p(x | z)` at `g0`, with `p(v | z) = softmax_v((alpha0 / sigma0^2) (z - (1 - alpha0) m) . e_v)`,
//!   which is Bayes' rule under equal odds, exact as all embeddings have one norm.
//!
//! The integral is estimated at times that are even along the schedule: one in each of as many parts as there are draws,
//! and shifted a little within its part from batch to batch, so that all batches together are as even as possible. A
//! prediction may be any function of z and gamma: the second evaluation takes the first one's prediction and entropy
//! of the same z, as a sampler's step takes those of the step before, and anchor states are zero, as they are ahead
//! of a sampler's first refresh.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use rayon::prelude::*;

use super::corpus::Corpus;
use crate::gpu::block_on;
use crate::host::philox;
use crate::model::{Built, DenoiserShape, Model, Run, Sequence, SessionOptions, Sharpening, evaluation};
use crate::ops::StepRow;
use crate::ops::noise::seed_words;
use crate::schedule::Point;
use crate::{Error, Result, Tensor, memory};

/// How a bound is estimated.
#[derive(Clone, Debug, PartialEq)]
pub struct LikelihoodOptions {
    /// Tokens of a window: what the model sees at once.
    pub length: usize,
    /// Windows to score, spread evenly over the text; `None` is all.
    pub windows: Option<usize>,
    /// Noise levels at which each window is scored.
    pub draws: usize,
    /// Windows of one evaluation. They share their noise levels, so a few large batches give a larger error.
    pub batch: usize,
    /// Share of the most expensive choice's expert FLOPs, in (0, 1]; `None` is what the model was trained for.
    pub budget: Option<f64>,
    /// Seed of the noise.
    pub seed: u64,
}

impl Default for LikelihoodOptions {
    fn default() -> Self {
        Self { length: 512, windows: None, draws: 8, batch: 4, budget: None, seed: 0 }
    }
}

/// A bound in nats per token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The whole bound.
    pub nats: f64,
    /// Its standard error, texts and noise together: by the differences between neighbouring batches, of which the last
    /// and the first are two; with one batch by those between its neighbouring draws, which overstates it. `None` with one
    /// draw of one batch.
    pub error: Option<f64>,
    /// The share of diffusion in it.
    pub diffusion: f64,
}

/// Predictions within one unit of gamma.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GammaBin {
    /// The lower end.
    pub gamma: i32,
    /// Predictions made.
    pub predictions: usize,
    /// Mean `|e - x0|^2` of predictions conditioned on themselves.
    pub squared_error: f64,
    /// Mean `|e - x0|^2` of predictions with nothing to condition on.
    pub unconditioned: f64,
    /// What it adds to the bound of predictions conditioned on themselves, in nats per token.
    pub nats: f64,
}

/// A bound on the negative log-likelihood of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Likelihood {
    /// With predictions conditioned on themselves.
    pub bound: Estimate,
    /// With nothing to condition on.
    pub unconditioned: Estimate,
    /// The prior's part of both bounds, in nats per token.
    pub prior: f64,
    /// The reconstruction's part of both bounds, in nats per token.
    pub reconstruction: f64,
    /// Windows scored.
    pub windows: usize,
    /// Tokens scored, ends of text included.
    pub tokens: usize,
    /// Bytes of these tokens, one for each end of text.
    pub bytes: usize,
    /// FLOPs of the chosen experts as a share of the most expensive choice, mean over text positions and layers.
    pub expert_share: f64,
    /// Squared error by gamma, ascending.
    pub bins: Vec<GammaBin>,
}

impl Likelihood {
    /// `nats` per token as bits per byte of the same text.
    pub fn bits_per_byte(&self, nats: f64) -> f64 {
        nats * self.tokens as f64 / self.bytes as f64 / std::f64::consts::LN_2
    }
}

impl Model {
    /// Estimates the bound. `progress` is told how many evaluations are done and how many there are, and may stop.
    ///
    /// # Errors
    /// If settings are outside what is accepted, the text is not of this model's vocabulary, a window does not fit the
    /// device, a prediction was not finite ([`Error::NotFinite`]), `progress` asked to stop, or the device failed.
    pub fn likelihood(
        &self,
        corpus: &Corpus,
        options: &LikelihoodOptions,
        mut progress: impl FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Likelihood> {
        if !(1..=1 << 16).contains(&options.draws) {
            return Err(Error::argument("the number of draws", options.draws, "1 to 65536"));
        }
        if !(1..=4096).contains(&options.batch) {
            return Err(Error::argument("the number of windows of a batch", options.batch, "1 to 4096"));
        }
        let vocab = self.config().vocab_size;
        if let Some(id) = corpus.tokens().iter().find(|&&id| id as usize >= vocab) {
            return Err(Error::argument("a token of the text", id, format!("below {vocab}")));
        }
        let lambda = self.config().lambda(options.budget)?;
        let ranges = corpus.windows(options.length, options.windows)?;
        let session = SessionOptions { length: options.length, inspect: true, ..Default::default() };
        let mut session = self.session(session)?;
        let scorer = Scorer::new(self)?;
        let batches = ranges.len().div_ceil(options.batch);
        let steps = batches * options.draws;
        let (mut scores, mut step) = (Vec::new(), 0);
        for (index, ranges) in ranges.chunks(options.batch).enumerate() {
            let seed = options.seed.wrapping_add((index * options.batch) as u64);
            let windows = ranges.iter().map(|range| &corpus.tokens()[range.clone()]);
            let windows: Vec<&[u32]> = memory::collected("the windows", windows)?;
            let built = session.build(scorer.shape(&windows)?)?;
            let mut batch = Batch::start(&scorer, built, windows, seed, lambda)?;
            batch.built.run.steps = steps;
            let mut score = batch.host_parts()?;
            for t in stratified(options.seed, options.draws, index as f64 / batches as f64)? {
                step += 1;
                let draw = batch.draw(t, score.draws.len(), step)?;
                memory::extend("the draws", &mut score.draws, [draw])?;
                if progress(step, steps).is_break() && step < steps {
                    return Err(Error::Stopped { step, steps });
                }
            }
            memory::extend("the scores", &mut scores, [score])?;
        }
        Ok(summary(corpus, &ranges, &scores))
    }
}

/// Philox stream of the times; streams from 0 on are the noise of reconstruction and of each draw.
const TIMES: u32 = u32::MAX;

/// One time in each of `draws` equal parts of `[0, 1]`, at random for each `phase`; as it goes from 0 to 1, each time
/// goes through its part, up and down, without a jump.
fn stratified(seed: u64, draws: usize, phase: f64) -> Result<Vec<f64>> {
    let what = "the times of the draws";
    let (mut bits, mut normal) = (memory::zeroed(what, draws)?, memory::zeroed(what, draws)?);
    philox::fill(seed_words(seed), TIMES, &mut bits, &mut normal);
    let place = |(j, &word): (usize, &u32)| {
        let start = (f64::from(word) + 0.5) * 2_f64.powi(-32);
        let within = 1.0 - (1.0 - 2.0 * (start + phase).fract()).abs();
        (j as f64 + within) / draws as f64
    };
    memory::collected(what, bits.iter().enumerate().map(place))
}

/// A batch at one noise level; pairs are of predictions with nothing to condition on, then conditioned on themselves.
struct Draw {
    gamma: f64,
    /// The estimate of the diffusion part of the batch, in nats.
    nats: [f64; 2],
    /// Sum of `|e - x0|^2` over positions.
    squared_error: [f64; 2],
    /// Sum of the chosen experts' shares over positions, mean over layers.
    expert_share: f64,
}

/// A batch, in nats.
struct Score {
    tokens: usize,
    prior: f64,
    reconstruction: f64,
    /// Variance of the reconstruction's sum over positions, by their spread.
    reconstruction_variance: f64,
    draws: Vec<Draw>,
}

impl Score {
    fn diffusion(&self, pass: usize) -> f64 {
        self.draws.iter().map(|draw| draw.nats[pass]).sum::<f64>() / self.draws.len() as f64
    }

    fn nats(&self, pass: usize) -> f64 {
        self.prior + self.reconstruction + self.diffusion(pass)
    }
}

/// What all batches share.
struct Scorer<'a> {
    model: &'a Model,
    embedding: &'a [f32],
    /// `[De, V]`.
    transposed: Vec<f32>,
    absorb: &'a [f32],
    dim: usize,
}

impl<'a> Scorer<'a> {
    fn new(model: &'a Model) -> Result<Self> {
        let weights = model.weights();
        let [embedding, absorb] = [&weights.embedding, &weights.absorb].map(|w| w.tensor().as_f32().unwrap_or(&[]));
        let dim = model.config().embedding_dim;
        let mut transposed = memory::empty("the transposed embeddings", embedding.len())?;
        (0..dim).for_each(|d| transposed.extend(embedding.iter().skip(d).step_by(dim)));
        Ok(Self { model, embedding, transposed, absorb, dim })
    }

    fn shape(&self, windows: &[&[u32]]) -> Result<DenoiserShape> {
        let config = self.model.config();
        let positions = windows.iter().map(|window| window.len()).max().unwrap_or(1);
        let level = config.levels[config.level(positions)?].clone();
        let sharpening = Sharpening::default();
        Ok(DenoiserShape { batch: windows.len(), positions, level, guidance: false, sharpening, inspect: true })
    }

    fn row(&self, token: u32) -> &[f32] {
        &self.embedding[token as usize * self.dim..][..self.dim]
    }

    /// Nats by which `N(alpha (e - m), sigma^2 I)` differs from `N(0, I)`.
    fn prior(&self, token: u32, alpha: f64, sigma: f64) -> f64 {
        let distance = |(e, m): (&f32, &f32)| (f64::from(*e) - f64::from(*m)).powi(2);
        let squared: f64 = self.row(token).iter().zip(self.absorb).map(distance).sum();
        let (d, variance) = (self.dim as f64, sigma * sigma);
        0.5 * (d * variance + alpha * alpha * squared - d - d * variance.ln())
    }

    /// z of a token under the noise `eps`.
    fn noised(&self, token: u32, alpha: f64, sigma: f64, eps: &[f32]) -> impl Iterator<Item = f64> {
        let rows = self.row(token).iter().zip(self.absorb).zip(eps);
        rows.map(move |((&e, &m), &eps)| {
            let (e, m) = (f64::from(e), f64::from(m));
            m + alpha * (e - m) + sigma * f64::from(eps)
        })
    }

    /// `-ln p(token | z)` by Bayes' rule under equal odds.
    fn reconstruction(&self, token: u32, alpha: f64, sigma: f64, eps: &[f32]) -> Result<f64> {
        let z = self.noised(token, alpha, sigma, eps);
        let vocab = self.embedding.len() / self.dim;
        let mut logits: Vec<f64> = memory::zeroed("the logits of a token", vocab)?;
        for ((z, &m), column) in z.zip(self.absorb).zip(self.transposed.chunks_exact(vocab)) {
            let query = alpha / (sigma * sigma) * (z - (1.0 - alpha) * f64::from(m));
            logits.iter_mut().zip(column).for_each(|(logit, &e)| *logit += query * f64::from(e));
        }
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - most).exp()).sum();
        Ok(most + sum.ln() - logits[token as usize])
    }
}

/// How noisy all windows of a batch are, and by which noise.
struct NoiseLevel {
    alpha: f64,
    sigma: f64,
    /// Philox stream of the noise.
    stream: u32,
    row: StepRow,
}

/// Windows on the device.
struct Batch<'a> {
    scorer: &'a Scorer<'a>,
    built: &'a mut Built,
    windows: Vec<&'a [u32]>,
    seed: u64,
}

impl<'a> Batch<'a> {
    fn start(
        scorer: &'a Scorer<'a>,
        built: &'a mut Built,
        windows: Vec<&'a [u32]>,
        seed: u64,
        lambda: f64,
    ) -> Result<Self> {
        let (config, weights) = (scorer.model.config(), scorer.model.weights());
        let Built { shape, handles, executor, run, .. } = &mut *built;
        let lengths: Vec<_> = windows.iter().map(|window| window.len()).collect();
        *run = Run { steps: 0, positions: lengths.iter().map(|length| shape.level.anchors + length).sum() };
        let unknown = |&length: &usize| memory::filled("the windows", length, None);
        let sequences = lengths.iter().map(|length| Ok(Sequence { prompt: unknown(length)?, seed }));
        let sequences = sequences.collect::<Result<Vec<_>>>()?;
        handles.write_layout(executor, shape, config, &lengths, lambda)?;
        handles.write_start(executor, shape, (config, weights), &sequences)?;
        handles.write_held(executor, shape)?;
        Ok(Self { scorer, built, windows, seed })
    }

    /// The noise of window `b`, `[N, De]`.
    fn noise(&self, b: usize, stream: u32) -> Result<Vec<f32>> {
        let (what, count) = ("the noise of a window", self.windows[b].len() * self.scorer.dim);
        let (mut bits, mut normal) = (memory::zeroed(what, count)?, memory::zeroed(what, count)?);
        philox::fill(seed_words(self.seed.wrapping_add(b as u64)), stream, &mut bits, &mut normal);
        Ok(normal)
    }

    /// The parts that need no network.
    fn host_parts(&self) -> Result<Score> {
        crate::host::threads::ready();
        let (scorer, schedule) = (self.scorer, &self.scorer.model.config().schedule);
        let Point { alpha, sigma } = Point::at(schedule.gamma(1.0));
        let prior = self.windows.iter().copied().flatten().map(|&token| scorer.prior(token, alpha, sigma)).sum();
        let Point { alpha, sigma } = Point::at(schedule.gamma(0.0));
        let tokens = self.windows.iter().map(|window| window.len()).sum();
        let mut nats: Vec<f64> = memory::zeroed("the reconstruction of a batch", tokens)?;
        let mut rest = nats.as_mut_slice();
        for (b, window) in self.windows.iter().enumerate() {
            let (own, behind) = rest.split_at_mut(window.len());
            rest = behind;
            let eps = self.noise(b, 0)?;
            let rows = own.par_iter_mut().zip(window.par_iter()).zip(eps.par_chunks_exact(scorer.dim));
            rows.try_for_each(|((nats, &token), eps)| {
                scorer.reconstruction(token, alpha, sigma, eps).map(|found| *nats = found)
            })?;
        }
        let reconstruction = nats.iter().sum();
        let reconstruction_variance = variance(&nats) * tokens as f64;
        Ok(Score { tokens, prior, reconstruction, reconstruction_variance, draws: Vec::new() })
    }

    /// Scores every window at time `t`, in step `step` of the whole.
    fn draw(&mut self, t: f64, index: usize, step: usize) -> Result<Draw> {
        let (scorer, config) = (self.scorer, self.scorer.model.config());
        let gamma = config.schedule.gamma(t);
        let Point { alpha, sigma } = Point::at(gamma);
        let row = StepRow { evaluation: step as f32, ..evaluation(gamma) };
        let level = NoiseLevel { alpha, sigma, stream: index as u32 + 1, row };
        self.write(&level)?;
        let mut squared_error = [0.0; 2];
        for (pass, error) in squared_error.iter_mut().enumerate() {
            self.evaluate(&level)?;
            *error = match self.squared_error() {
                Err(error) => return Err(self.with_origin(error, &level, pass)),
                Ok(sum) => sum,
            };
        }
        // The mean over draws is the integral over t of the integrand by gamma times d gamma / dt.
        let weight = 0.5 * (-gamma).exp() * config.schedule.slope(t);
        let nats = squared_error.map(|error| weight * error);
        Ok(Draw { gamma, nats, squared_error, expert_share: self.expert_share(&scorer.model.config().expert_costs())? })
    }

    fn write(&mut self, level: &NoiseLevel) -> Result<()> {
        let z = self.noised(level.alpha, level.sigma, level.stream)?;
        let Built { shape, handles, executor, .. } = &mut *self.built;
        handles.write_unconditioned(executor, shape, self.scorer.model.config(), z)?;
        // What is staged is of the level before.
        self.built.ahead = Default::default();
        Ok(())
    }

    fn evaluate(&mut self, level: &NoiseLevel) -> Result<()> {
        block_on(self.built.evaluate(self.scorer.model.parts(), &[level.row], 0)).map(|_| ())
    }

    /// See [`Built::with_origin`]: `pass` is the evaluation of this draw that failed.
    fn with_origin(&mut self, error: Error, level: &NoiseLevel, pass: usize) -> Error {
        let again = self.write(level);
        let (model, steps) = (self.scorer.model.parts(), &[level.row]);
        self.built.with_origin(error, |built, _| {
            again?;
            for _ in 0..pass {
                block_on(built.evaluate(model, steps, 0))?;
            }
            block_on(built.first_not_finite(model, steps, 0))
        })
    }

    /// `[B, R, De]`: zeros for anchors and padding.
    fn noised(&self, alpha: f64, sigma: f64, stream: u32) -> Result<Vec<f32>> {
        let (shape, dim) = (&self.built.shape, self.scorer.dim);
        let mut z: Vec<f32> = memory::zeroed("a noised batch", shape.batch * shape.rows() * dim)?;
        let sequences = z.chunks_exact_mut(shape.rows() * dim).zip(&self.windows);
        for (b, (sequence, &window)) in sequences.enumerate() {
            let eps = self.noise(b, stream)?;
            let rows = sequence[shape.level.anchors * dim..].chunks_exact_mut(dim);
            for ((row, &token), eps) in rows.zip(window).zip(eps.chunks_exact(dim)) {
                let noised = self.scorer.noised(token, alpha, sigma, eps);
                row.iter_mut().zip(noised).for_each(|(z, noised)| *z = noised as f32);
            }
        }
        Ok(z)
    }

    /// Sum of `|e - x0|^2` over positions.
    fn squared_error(&self) -> Result<f64> {
        let (shape, dim) = (&self.built.shape, self.scorer.dim);
        let [x0] = self.built.results([self.built.handles.x0])?;
        let sequences = x0.as_f32().unwrap_or(&[]).chunks_exact(shape.rows() * dim);
        let sums = self.windows.iter().zip(sequences).map(|(window, sequence)| {
            let rows = sequence[shape.level.anchors * dim..].chunks_exact(dim);
            let embeddings = window.iter().map(|&token| self.scorer.row(token));
            let pairs = rows.zip(embeddings).flat_map(|(x0, e)| x0.iter().zip(e));
            pairs.map(|(&x0, &e)| (f64::from(x0) - f64::from(e)).powi(2)).sum::<f64>()
        });
        Ok(sums.sum())
    }

    fn expert_share(&self, costs: &[f64]) -> Result<f64> {
        let (rows, anchors) = (self.built.shape.rows(), self.built.shape.level.anchors);
        let layers = self.built.routing()?;
        let of_layer = |layer: &Tensor| {
            let k = layer.desc().last();
            let sequences = layer.words().chunks_exact(rows * k).zip(&self.windows);
            let text = sequences.flat_map(|(experts, window)| &experts[anchors * k..][..window.len() * k]);
            text.filter_map(|&expert| costs.get(expert as usize)).sum::<f64>()
        };
        Ok(layers.iter().map(of_layer).sum::<f64>() / layers.len() as f64)
    }
}

/// Unbiased; 0 of a single value.
fn variance(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0)
}

fn estimate(scores: &[Score], pass: usize) -> Estimate {
    let sum = |of: &dyn Fn(&Score) -> f64| scores.iter().map(of).sum::<f64>();
    let tokens = sum(&|score| score.tokens as f64);
    let nats = sum(&|score| score.nats(pass)) / tokens;
    // Batches may differ in length: the error of a ratio, to first order.
    let off = scores.iter().map(|score| score.nats(pass) - nats * score.tokens as f64);
    let variance = match scores {
        [one] if one.draws.len() > 1 => {
            // Of neighbours in time: what differs between far ones is the integrand, and stratified.
            let squares = one.draws.windows(2).map(|pair| (pair[1].nats[pass] - pair[0].nats[pass]).powi(2));
            let count = one.draws.len() as f64;
            Some(squares.sum::<f64>() / (2.0 * (count - 1.0) * count) + one.reconstruction_variance)
        }
        [_] => None,
        _ => {
            let next = off.clone().cycle().skip(1);
            Some(off.zip(next).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / 2.0)
        }
    };
    let error = variance.map(|variance| variance.sqrt() / tokens);
    Estimate { nats, error, diffusion: sum(&|score| score.diffusion(pass)) / tokens }
}

fn summary(corpus: &Corpus, ranges: &[Range<usize>], scores: &[Score]) -> Likelihood {
    let tokens: usize = scores.iter().map(|score| score.tokens).sum();
    let per_token = |sum: f64| sum / tokens as f64;
    let mut bins = BTreeMap::<i32, GammaBin>::new();
    let (mut share, mut predictions) = (0.0, 0);
    for score in scores {
        for draw in &score.draws {
            let gamma = draw.gamma.floor() as i32;
            let bin = bins.entry(gamma).or_insert(GammaBin { gamma, ..GammaBin::default() });
            bin.predictions += score.tokens;
            bin.unconditioned += draw.squared_error[0];
            bin.squared_error += draw.squared_error[1];
            bin.nats += per_token(draw.nats[1]) / score.draws.len() as f64;
            share += draw.expert_share;
            predictions += score.tokens;
        }
    }
    let bins = bins.into_values().map(|bin| GammaBin {
        squared_error: bin.squared_error / bin.predictions as f64,
        unconditioned: bin.unconditioned / bin.predictions as f64,
        ..bin
    });
    Likelihood {
        bound: estimate(scores, 1),
        unconditioned: estimate(scores, 0),
        prior: per_token(scores.iter().map(|score| score.prior).sum()),
        reconstruction: per_token(scores.iter().map(|score| score.reconstruction).sum()),
        windows: ranges.len(),
        tokens,
        bytes: ranges.iter().map(|range| corpus.bytes(range.clone())).sum(),
        expert_share: share / predictions as f64,
        bins: bins.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn one_time_in_each_part() {
        let times = |seed, batch: usize| stratified(seed, 5, batch as f64 / 16.0).unwrap();
        assert_ne!(times(7, 0), times(8, 0));
        for batch in 0..16 {
            let (here, next) = (times(7, batch), times(7, batch + 1));
            assert!(here.iter().enumerate().all(|(j, t)| (t * 5.0).floor() == j as f64), "{here:?}");
            assert!(here.iter().zip(next).all(|(a, b)| (a - b).abs() < 1.001 / 40.0), "no jump");
        }
        let mean = (0..16).map(|batch| times(7, batch)[2]).sum::<f64>() / 16.0;
        assert_relative_eq!(mean, 0.5, epsilon = 1e-3);
    }

    fn score(tokens: usize, draws: &[f64]) -> Score {
        let draw = |&nats: &f64| Draw { gamma: 0.5, nats: [nats; 2], squared_error: [0.0; 2], expert_share: 0.0 };
        let draws = draws.iter().map(draw).collect();
        Score { tokens, prior: 1.0, reconstruction: 2.0, reconstruction_variance: 0.0, draws }
    }

    #[test]
    fn errors_by_hand() {
        // 10 and 12 nats of 2 tokens each: 5.5 a token, off by 1 each way.
        let two = estimate(&[score(2, &[6.0, 8.0]), score(2, &[9.0])], 0);
        assert_relative_eq!(two.nats, 5.5);
        assert_relative_eq!(two.diffusion, 4.0);
        assert_relative_eq!(two.error.unwrap(), 2.0 / 4.0);
        // Draws 6 and 8: variance 2, of their mean 1.
        assert_relative_eq!(estimate(&[score(2, &[6.0, 8.0])], 0).error.unwrap(), 0.5);
        assert_eq!(estimate(&[score(2, &[6.0])], 0).error, None);
    }
}
