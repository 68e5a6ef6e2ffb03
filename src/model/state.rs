//! What the host writes before a run: where each row stands, the prompt, and the noisy start.

use super::config::Config;
use super::denoiser::Handles;
use super::network::DenoiserShape;
use super::weights::Weights;
use crate::graph::{Executor, Value};
use crate::host::philox;
use crate::ops::FiniteCheck;
use crate::ops::noise::seed_words;
use crate::{Data, Result, Tensor, memory};

/// One sequence of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    /// The given id at each position of the text.
    pub prompt: Vec<Option<u32>>,
    pub seed: u64,
}

/// What memory of the host is called where it is refused.
const START: &str = "the start of a run";

const NOISY: u32 = 0;
const CLEAN: u32 = 1;
const ANCHOR: u32 = 2;

/// Features of a place `fraction` in [0, 1] of the text: sines, then cosines, of doubling frequency.
fn place_features(fraction: f64, dim: usize) -> impl Iterator<Item = f32> {
    let angle = move |j: usize| std::f64::consts::PI * fraction * 2_f64.powi(j as i32);
    let half = dim / 2;
    (0..half).map(move |j| angle(j).sin() as f32).chain((0..half).map(move |j| angle(j).cos() as f32))
}

fn put(executor: &mut Executor, value: Value, data: Data) -> Result<()> {
    let shape = executor.graph().desc(value).shape.clone();
    let tensor = match data {
        Data::F32(data) => Tensor::f32(shape, data),
        Data::U32(data) => Tensor::u32(shape, data),
    };
    executor.write(value, &tensor?)
}

impl Handles {
    /// Writes what depends on lengths and budget alone: each row's place and rotation, the globals, the number of rows
    /// of each sequence (`lengths` counts text positions), and the router's shift by `lambda`.
    ///
    /// # Errors
    /// If `lengths` does not suit the shape, or the device failed.
    pub fn write_layout(
        &self,
        executor: &mut Executor,
        shape: &DenoiserShape,
        config: &Config,
        lengths: &[usize],
        lambda: f64,
    ) -> Result<()> {
        let (anchors, rows, dim) = (shape.level.anchors, shape.rows(), config.place_dim);
        let mut place = memory::zeroed(START, shape.batch * rows * dim)?;
        for (b, &text) in lengths.iter().enumerate() {
            for r in 0..(anchors + text).min(rows) {
                let (count, index) = if r < anchors { (anchors, r) } else { (text, r - anchors) };
                let features = place_features((index as f64 + 0.5) / count as f64, dim);
                place[(b * rows + r) * dim..][..dim].iter_mut().zip(features).for_each(|(p, f)| *p = f);
            }
        }
        let rope = crate::ops::rope_table(anchors, shape.positions, config.rotary_dim, config.rope_base)?;
        let bias = config.expert_costs().iter().map(|cost| (cost * lambda) as f32).collect();
        let counts = memory::collected(START, lengths.iter().map(|&text| (anchors + text) as u32))?;
        executor.write(self.rope, &rope)?;
        put(executor, self.place, Data::F32(place))?;
        put(executor, self.lengths, Data::U32(counts))?;
        put(executor, self.globals, Data::U32((0..anchors as u32).collect()))?;
        put(executor, self.cost_bias, Data::F32(bias))
    }

    /// Writes the start of a run: noise around m, the prompt's embeddings, zero anchors, no history.
    pub(crate) fn write_start(
        &self,
        executor: &mut Executor,
        shape: &DenoiserShape,
        (config, weights): (&Config, &Weights),
        sequences: &[Sequence],
    ) -> Result<()> {
        let (anchors, rows, dim) = (shape.level.anchors, shape.rows(), config.embedding_dim);
        let embedding = weights.embedding.tensor().as_f32().unwrap_or(&[]);
        let absorb = weights.absorb.tensor().as_f32().unwrap_or(&[]);
        let mut z = memory::zeroed(START, shape.batch * rows * dim)?;
        // Padding counts as clean: nothing updates it and no query sees it.
        let mut flag = memory::filled(START, shape.batch * rows, CLEAN)?;
        let mut segment = memory::zeroed(START, shape.batch * rows)?;
        for (b, sequence) in sequences.iter().enumerate() {
            let (mut bits, mut normal) = (memory::zeroed(START, rows * dim)?, memory::zeroed(START, rows * dim)?);
            philox::fill(seed_words(sequence.seed), 0, &mut bits, &mut normal);
            for s in 0..anchors {
                flag[b * rows + s] = ANCHOR;
                segment[b * rows + s] = s as u32;
            }
            let text = sequence.prompt.len();
            for (index, given) in sequence.prompt.iter().enumerate() {
                let at = b * rows + anchors + index;
                let row = &mut z[at * dim..][..dim];
                segment[at] = (index * anchors / text) as u32;
                match given {
                    Some(id) => row.copy_from_slice(&embedding[*id as usize * dim..][..dim]),
                    None => {
                        flag[at] = NOISY;
                        let eps = &normal[(anchors + index) * dim..];
                        row.iter_mut().zip(absorb.iter().zip(eps)).for_each(|(z, (m, eps))| *z = m + eps);
                    }
                }
            }
        }
        let info = flag.iter().zip(&segment).map(|(flag, segment)| flag + 4 * segment);
        let info = memory::collected(START, info)?;
        let seeds = memory::collected(START, sequences.iter().flat_map(|sequence| seed_words(sequence.seed)))?;
        put(executor, self.history, Data::F32(memory::zeroed(START, z.len())?))?;
        self.write_unconditioned(executor, shape, config, z)?;
        put(executor, self.flag, Data::U32(flag))?;
        put(executor, self.info, Data::U32(info))?;
        put(executor, self.seeds, Data::U32(seeds))
    }

    /// Writes z with nothing to condition on: no prediction, every row at the greatest difficulty, and nothing to
    /// report.
    pub(crate) fn write_unconditioned(
        &self,
        executor: &mut Executor,
        shape: &DenoiserShape,
        config: &Config,
        z: Vec<f32>,
    ) -> Result<()> {
        let unknown = memory::filled(START, shape.batch * shape.rows(), (config.vocab_size as f32).ln())?;
        put(executor, self.x0, Data::F32(memory::zeroed(START, z.len())?))?;
        put(executor, self.z, Data::F32(z))?;
        put(executor, self.difficulty, Data::F32(unknown))?;
        put(executor, self.report, Data::U32(FiniteCheck::START.to_vec()))
    }

    /// Makes the update leave every row of z alone; what the network sees of them does not change.
    #[cfg(feature = "eval")]
    pub(crate) fn write_held(&self, executor: &mut Executor, shape: &DenoiserShape) -> Result<()> {
        put(executor, self.info, Data::U32(memory::filled(START, shape.batch * shape.rows(), CLEAN)?))
    }
}
