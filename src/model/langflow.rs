//! LangFlow's published checkpoints (arXiv 2604.11748, 2026): a dense embedding-diffusion transformer in our ops.
//!
//! What differs from our own format is turned round at load: norm weights fold into the modulation, the rotated pairs
//! (j, j + Dh/2) become neighbours, and the bias of the logits is one more column of the head's input.

use std::path::Path;

use serde::Deserialize;

use super::denoiser::{DenoiserShape, Head, States, linear};
use super::weights::Files;
use super::{BudgetConfig, Config, Level, PatternName, Sharpening, json};
use crate::graph::{Constant, Graph, Value};
use crate::ops::{Activation, Attention, Linear, Norm, NormKind, Pattern, Rope, TimeEmbedding};
use crate::schedule::Schedule;
use crate::{Error, Result, Tensor};

/// `model_type` in its `config.json`, and what [`Config::format`] says of such a model.
pub const FORMAT: &str = "LangFlow";

/// Features of the time, cosines and sines.
const TIME_FEATURES: usize = 256;
/// Columns of the head's input behind D: the 1 that the logits' bias is multiplied by, and zeros up to four.
const BIAS_COLUMNS: usize = 4;
const NORM_EPS: f32 = 1e-5;
const ROPE_BASE: f64 = 10_000.0;

/// What is read of a `config.json`; the defaults are those of `langflow-owt`.
#[derive(Debug, Deserialize)]
struct Published {
    #[serde(default = "owt::vocab_size")]
    vocab_size: usize,
    #[serde(default = "owt::hidden_size")]
    hidden_size: usize,
    #[serde(default = "owt::cond_dim")]
    cond_dim: usize,
    #[serde(default = "owt::blocks")]
    n_blocks: usize,
    #[serde(default = "owt::blocks")]
    n_heads: usize,
    #[serde(default = "owt::model_length")]
    model_length: usize,
    #[serde(default = "owt::yes")]
    use_normalized_embedding: bool,
    #[serde(default = "owt::yes")]
    self_conditioning: bool,
    #[serde(default = "owt::yes")]
    use_bias: bool,
    #[serde(default = "owt::loc")]
    gumbel_loc: f64,
    #[serde(default = "owt::scale")]
    gumbel_scale: f64,
    #[serde(default = "owt::cutoff")]
    gumbel_cutoff: f64,
}

/// What a checkpoint's configuration switches on or off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Rows of the embedding have the norm sqrt(D), whatever the file holds.
    pub normalized_embedding: bool,
    /// The last prediction is an input of the network.
    pub self_conditioning: bool,
    /// The exact Bayes term of the noisy state is added to the logits.
    pub bayes_term: bool,
}

/// `langflow-owt`.
mod owt {
    pub fn vocab_size() -> usize {
        50_257
    }
    pub fn hidden_size() -> usize {
        768
    }
    pub fn cond_dim() -> usize {
        128
    }
    pub fn blocks() -> usize {
        12
    }
    pub fn model_length() -> usize {
        1024
    }
    pub fn yes() -> bool {
        true
    }
    pub fn loc() -> f64 {
        4.723
    }
    pub fn scale() -> f64 {
        0.852
    }
    pub fn cutoff() -> f64 {
        1e-5
    }
}

/// The configuration that a published `config.json` stands for. Contradictions are left to the caller's checks.
///
/// # Errors
/// Where a field has another type.
pub(super) fn config(path: &Path, text: &str) -> Result<Config> {
    let published: Published = json::parse(path, text, "a configuration of a LangFlow model")?;
    let dim = published.hidden_size;
    let dense = Level {
        max_length: published.model_length,
        pattern: PatternName::Dense,
        window: 0,
        dilations: Vec::new(),
        anchors: 0,
    };
    Ok(Config {
        format: FORMAT.to_owned(),
        vocab_size: published.vocab_size,
        embedding_dim: dim,
        model_dim: dim,
        heads: published.n_heads,
        layers: published.n_blocks,
        rotary_dim: dim.checked_div(published.n_heads).unwrap_or(0),
        rope_base: ROPE_BASE,
        time_dim: published.cond_dim,
        place_dim: 0,
        norm_eps: NORM_EPS,
        expert_widths: vec![u32::try_from(dim.saturating_mul(4)).unwrap_or(u32::MAX)],
        top_k: 1,
        eos_token: 0,
        schedule: Schedule::Gumbel {
            loc: published.gumbel_loc,
            scale: published.gumbel_scale,
            cutoff: published.gumbel_cutoff,
        },
        levels: vec![dense],
        budget: BudgetConfig { default: 1.0, lambda: vec![(1.0, 0.0)] },
        anchor_times: Vec::new(),
        temperature: 1.0,
        emphasis: 0.0,
        sharpen_below: None,
        langflow: Some(Options {
            normalized_embedding: published.use_normalized_embedding,
            self_conditioning: published.self_conditioning,
            bayes_term: published.use_bias,
        }),
    })
}

/// Weights of one block.
#[derive(Clone, Debug)]
struct Block {
    query: Constant,
    key: Constant,
    value: Constant,
    output: Constant,
    /// `[4 D, D]` and `[4 D]`.
    expand: (Constant, Constant),
    /// `[D, 4 D]` and `[D]`.
    contract: (Constant, Constant),
}

/// Weights of the network, in the form in which our ops take them.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// `[D, D]` on the state and, with self-conditioning, on the last prediction.
    input: Option<(Constant, Constant)>,
    frequencies: Constant,
    time_in: (Constant, Constant),
    time_out: (Constant, Constant),
    /// `[(6 L + 2) D, C]` and bias: shift, scale and gate of each half of a block; shift and scale of the head.
    modulation: (Constant, Constant),
    blocks: Vec<Block>,
    /// `[V, D + 4]`: the logits' bias in column D.
    pub(super) unembed: Constant,
}

/// The embedding `[V, D]` and the network's weights of a checkpoint.
///
/// # Errors
/// Where a tensor is missing or misshapen.
pub(super) fn read(files: &mut Files, config: &mut Config, options: Options) -> Result<(Constant, Network)> {
    let (v, d, c) = (config.vocab_size, config.model_dim, config.time_dim);
    let mut embedding = files.floats("backbone.vocab_embed.embedding", &[v, d])?;
    if options.normalized_embedding {
        embedding.chunks_exact_mut(d).for_each(normalize);
    }
    let mut input = None;
    if options.self_conditioning {
        let both = files.floats("backbone.self_cond_proj.weight", &[d, 2 * d])?;
        let half = |first: usize| both.chunks_exact(2 * d).flat_map(|row| &row[first..][..d]).copied().collect();
        input = Some((constant([d, d], half(0))?, constant([d, d], half(d))?));
    }
    let time_in = files.linear("backbone.sigma_map.mlp.0", c, TIME_FEATURES)?;
    let time_out = files.linear("backbone.sigma_map.mlp.2", c, c)?;
    let mut modulation = Modulation::default();
    let mut blocks = Vec::with_capacity(config.layers);
    for i in 0..config.layers {
        let name = |part: &str| format!("backbone.blocks.{i}.{part}");
        modulation.push(files, &name("adaLN_modulation"), &[(1, name("norm1")), (4, name("norm2"))], 6, d, c)?;
        let qkv = files.floats(&name("attn_qkv.weight"), &[3 * d, d])?;
        let part = |index: usize| &qkv[index * d * d..][..d * d];
        blocks.push(Block {
            query: constant([d, d], neighbours(part(0), config.head_dim(), d))?,
            key: constant([d, d], neighbours(part(1), config.head_dim(), d))?,
            value: constant([d, d], part(2).to_vec())?,
            output: constant([d, d], files.floats(&name("attn_out.weight"), &[d, d])?)?,
            expand: constants(files.linear(&name("mlp.0"), 4 * d, d)?, d)?,
            contract: constants(files.linear(&name("mlp.2"), d, 4 * d)?, 4 * d)?,
        });
    }
    let head = "backbone.output_layer";
    modulation.push(files, &format!("{head}.adaLN_modulation"), &[(1, format!("{head}.norm_final"))], 2, d, c)?;
    let (weight, bias) = files.linear(&format!("{head}.linear"), v, d)?;
    let unembed = weight
        .chunks_exact(d)
        .zip(&bias)
        .flat_map(|(row, &bias)| row.iter().copied().chain([bias]).chain(std::iter::repeat_n(0.0, BIAS_COLUMNS - 1)));
    let unembed = constant([v, d + BIAS_COLUMNS], unembed.collect())?;
    read_proposal(files, config)?;
    let half = TIME_FEATURES / 2;
    let frequencies = (0..half).map(|i| 10_000_f64.powf(-(i as f64) / half as f64) as f32).collect();
    let network = Network {
        input,
        frequencies: constant([half], frequencies)?,
        time_in: constants(time_in, TIME_FEATURES)?,
        time_out: constants(time_out, c)?,
        modulation: constants((modulation.weight, modulation.bias), c)?,
        blocks,
        unembed,
    };
    Ok((constant([v, d], embedding)?, network))
}

/// The trained noise schedule wins over the configuration's; the other buffers of a checkpoint follow from it.
fn read_proposal(files: &mut Files, config: &mut Config) -> Result<()> {
    if let Schedule::Gumbel { loc, scale, .. } = &mut config.schedule {
        for (name, value) in [("proposal.loc", loc), ("proposal.scale", scale)] {
            if let Some(trained) = files.optional_floats(name, &[])? {
                *value = f64::from(trained[0]);
            }
        }
    }
    files.optional_floats("proposal.entropy", &[])?;
    files.optional_floats("backbone.rotary_emb.inv_freq", &[config.head_dim() / 2])?;
    Ok(())
}

/// Rows of the modulation, with each norm's own weight `w` folded into its scale: `w (1 + scale) - 1` is linear in c.
#[derive(Default)]
struct Modulation {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Modulation {
    /// Appends `chunks` times D rows; `norms` says which chunk scales which norm.
    fn push(
        &mut self,
        files: &mut Files,
        name: &str,
        norms: &[(usize, String)],
        chunks: usize,
        d: usize,
        c: usize,
    ) -> Result<()> {
        let (mut weight, mut bias) = files.linear(name, chunks * d, c)?;
        for (chunk, norm) in norms {
            let own = files.floats(&format!("{norm}.weight"), &[d])?;
            let rows = weight[chunk * d * c..][..d * c].chunks_exact_mut(c);
            for ((row, bias), w) in rows.zip(&mut bias[chunk * d..][..d]).zip(own) {
                row.iter_mut().for_each(|x| *x *= w);
                *bias = w * *bias + (w - 1.0);
            }
        }
        self.weight.extend(weight);
        self.bias.extend(bias);
        Ok(())
    }
}

/// Scales a row to the norm sqrt(D).
fn normalize(row: &mut [f32]) {
    let square: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let factor = (row.len() as f64).sqrt() / square.sqrt().max(1e-12);
    row.iter_mut().for_each(|x| *x = (f64::from(*x) * factor) as f32);
}

/// Rows `[D, D]` of a projection whose heads rotate the pairs (j, j + Dh/2), with the two of a pair side by side.
fn neighbours(weight: &[f32], head_dim: usize, d: usize) -> Vec<f32> {
    let half = head_dim / 2;
    let rows = (0..d).map(|row| {
        let (head, j) = (row / head_dim * head_dim, row % head_dim);
        head + j / 2 + half * (j % 2)
    });
    rows.flat_map(|row| &weight[row * d..][..d]).copied().collect()
}

/// `[D + 4, D]` and bias: the head's input with a 1 behind it, all of it divided by the temperature.
fn widen(d: usize, sharpening: Sharpening) -> Result<(Constant, Constant)> {
    if sharpening.emphasis != 0.0 {
        return Err(Error::argument(
            "the emphasis",
            sharpening.emphasis,
            "0: a LangFlow model has no `output.unigram`",
        ));
    }
    let factor = 1.0 / sharpening.temperature;
    let mut weight = vec![0.0; (d + BIAS_COLUMNS) * d];
    weight.iter_mut().step_by(d + 1).take(d).for_each(|x| *x = factor);
    let mut bias = vec![0.0; d + BIAS_COLUMNS];
    bias[d] = factor;
    Ok((constant([d + BIAS_COLUMNS, d], weight)?, constant([d + BIAS_COLUMNS], bias)?))
}

fn constant(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Result<Constant> {
    Ok(Constant::new(Tensor::f32(shape, data)?))
}

fn constants((weight, bias): (Vec<f32>, Vec<f32>), inputs: usize) -> Result<(Constant, Constant)> {
    Ok((constant([bias.len(), inputs], weight)?, constant([bias.len()], bias)?))
}

/// The network between the state and the head, as ops.
///
/// # Errors
/// Where the shape exceeds what an op can index.
pub(super) fn build(
    g: &mut Graph,
    network: &Network,
    config: &Config,
    shape: &DenoiserShape,
    states: &States,
) -> Result<Head> {
    let d = config.model_dim;
    let time = time(g, network, states.step)?;
    let modulation = linear(g, time, &network.modulation.0, Some(&network.modulation.1), None)?;
    let norm = |g: &mut Graph, x: Value, chunk: usize| {
        let (shift_offset, scale_offset) = (chunk * d, (chunk + 1) * d);
        let op = Norm { kind: NormKind::Layer, eps: config.norm_eps, shift_offset, scale_offset };
        g.push1(op, &[Some(x), Some(modulation)])
    };
    let gated = |g: &mut Graph, x: Value, weight: &Constant, bias: Option<&Constant>, chunk: usize, residual: Value| {
        let op = Linear { activation: Activation::None, gate_offset: chunk * d };
        let (weight, bias) = (g.constant(weight), bias.map(|bias| g.constant(bias)));
        g.push1(op, &[Some(x), Some(weight), bias, Some(residual), Some(modulation)])
    };
    let mut x = states.z;
    if let Some((on_state, on_last)) = &network.input {
        x = linear(g, states.z, on_state, None, Some(states.z))?;
        x = linear(g, states.x0, on_last, None, Some(x))?;
    }
    let rope = Rope { heads: config.heads, rotary_dim: config.rotary_dim };
    for (index, block) in network.blocks.iter().enumerate() {
        let chunk = 6 * index;
        let h = norm(g, x, chunk)?;
        let mut rotated = [h; 2];
        for (value, weight) in rotated.iter_mut().zip([&block.query, &block.key]) {
            let projected = linear(g, h, weight, None, None)?;
            *value = g.push1(rope, &[Some(projected), Some(states.rope)])?;
        }
        let value = linear(g, h, &block.value, None, None)?;
        let op = Attention { heads: Some(config.heads), pattern: Pattern::Dense, scale: None };
        let attended = g.push(op, &[Some(rotated[0]), Some(rotated[1]), Some(value), None, Some(states.lengths)])?[0];
        x = gated(g, attended, &block.output, None, chunk + 2, x)?;

        let h = norm(g, x, chunk + 3)?;
        let gelu = Linear { activation: Activation::Gelu, gate_offset: 0 };
        let [weight, bias] = [&block.expand.0, &block.expand.1].map(|constant| g.constant(constant));
        let hidden = g.push1(gelu, &[Some(h), Some(weight), Some(bias), None, None])?;
        x = gated(g, hidden, &block.contract.0, Some(&block.contract.1), chunk + 5, x)?;
    }
    let hidden = norm(g, x, 6 * network.blocks.len())?;
    let (weight, bias) = widen(d, shape.sharpening)?;
    let input = linear(g, hidden, &weight, Some(&bias), None)?;
    let unembed = g.constant(&network.unembed);
    Ok(Head { hidden, input, unembed, anchor_prediction: None, routing: Vec::new() })
}

/// `[1, C]`: the time, as all modulations read it.
fn time(g: &mut Graph, network: &Network, step: Value) -> Result<Value> {
    let frequencies = g.constant(&network.frequencies);
    let mut x = g.push1(TimeEmbedding { dim: TIME_FEATURES }, &[Some(step), Some(frequencies)])?;
    for (weight, bias) in [&network.time_in, &network.time_out] {
        let silu = Linear { activation: Activation::Silu, gate_offset: 0 };
        let (weight, bias) = (g.constant(weight), g.constant(bias));
        x = g.push1(silu, &[Some(x), Some(weight), Some(bias), None, None])?;
    }
    Ok(x)
}
