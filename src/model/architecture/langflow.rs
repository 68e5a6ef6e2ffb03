//! LangFlow's published checkpoints (arXiv 2604.11748, 2026): a dense embedding-diffusion transformer in our ops.
//!
//! What differs from our own format is turned round at load: norm weights fold into the modulation, the rotated pairs
//! (j, j + Dh/2) become neighbours, and the bias of the logits is one more column of the head's input.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::files::json;
use crate::graph::{Constant, Graph, Value};
use crate::model::config::{BudgetConfig, Config, Conventions, Level, PatternName};
use crate::model::network::{Affine, Chunks, DenoiserShape, Head, Network, States, TimeRows, activated, linear, time};
use crate::model::sharpening::Sharpening;
use crate::model::weights::{Tensors, Weights};
use crate::ops::{Activation, Attention, Linear, Norm, NormKind, Qkv};
use crate::schedule::Schedule;
use crate::{Error, Result, Tensor, memory};

/// `model_type` in its `config.json`.
pub const FORMAT: &str = "LangFlow";

/// Features of the time, cosines and sines.
const TIME_FEATURES: usize = 256;
/// Columns of the head's input after D: the 1 that the logits' bias is multiplied by, and zeros up to four.
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

/// How GPT-2's and BERT's tokenizers end a text: a configuration does not say.
const END_TOKENS: &[&str] = &["<|endoftext|>", "[SEP]"];

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
/// If a field has another type.
pub fn config(path: &Path, text: &str) -> Result<Config> {
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
        conventions: Conventions {
            given_text: false,
            anchors: false,
            bayes_term: published.use_bias,
            self_conditioning: published.self_conditioning,
            normalized_embedding: published.use_normalized_embedding,
            end_tokens: END_TOKENS,
            continues: true,
        },
    })
}

/// What memory of the host is called where it is refused.
const WHAT: &str = "the weights of a LangFlow model";

/// Weights of one block.
#[derive(Debug)]
struct Block {
    /// `[3 D, D]`: queries, keys, values.
    qkv: Constant,
    output: Constant,
    /// `[4 D, D]` and `[4 D]`.
    expand: Affine,
    /// `[D, 4 D]` and `[D]`.
    contract: Affine,
}

/// Weights of the network, in the form in which our ops take them.
#[derive(Debug)]
struct LangFlow {
    /// `[D, D]` on the state and, with self-conditioning, on the last prediction.
    input: Option<(Constant, Constant)>,
    frequencies: Constant,
    time_in: Affine,
    time_out: Affine,
    /// `[(6 L + 2) D, C]` and bias: shift, scale and gate of each half of a block; shift and scale of the head.
    modulation: Affine,
    blocks: Vec<Block>,
    /// `[V, D + 4]`: the logits' bias in column D.
    unembed: Constant,
}

/// The weights of a checkpoint.
///
/// # Errors
/// If a tensor is missing or misshapen, or the memory is refused.
pub fn weights(tensors: &mut Tensors, config: &mut Config) -> Result<Weights> {
    let (v, d) = (config.vocab_size, config.model_dim);
    let mut embedding = tensors.floats("backbone.vocab_embed.embedding", &[v, d])?;
    if config.conventions.normalized_embedding {
        embedding.chunks_exact_mut(d).for_each(normalize);
    }
    let network = Arc::new(LangFlow::read(tensors, config)?);
    read_proposal(tensors, config)?;
    let absorb = constant([d], memory::zeroed(WHAT, d)?)?;
    Ok(Weights { embedding: constant([v, d], embedding)?, absorb, network })
}

impl LangFlow {
    fn read(tensors: &mut Tensors, config: &Config) -> Result<Self> {
        let (d, c) = (config.model_dim, config.time_dim);
        let input = if config.conventions.self_conditioning {
            let both = tensors.floats("backbone.self_cond_proj.weight", &[d, 2 * d])?;
            let half = |first: usize| rows(d * d, both.chunks_exact(2 * d).map(|row| &row[first..][..d]));
            Some((constant([d, d], half(0)?)?, constant([d, d], half(d)?)?))
        } else {
            None
        };
        let time_in = tensors.linear("backbone.sigma_map.mlp.0", c, TIME_FEATURES)?;
        let time_out = tensors.linear("backbone.sigma_map.mlp.2", c, c)?;
        let mut modulation = Modulation::default();
        let mut blocks = Vec::with_capacity(config.layers);
        for i in 0..config.layers {
            let name = |part: &str| format!("backbone.blocks.{i}.{part}");
            let norms = [(Chunks::Attention(0), name("norm1")), (Chunks::Forward(0), name("norm2"))];
            modulation.push(tensors, config, &name("adaLN_modulation"), 6 * d, &norms)?;
            blocks.push(Block::read(tensors, config, name)?);
        }
        let norm = (Chunks::Head(0), format!("{HEAD}.norm_final"));
        modulation.push(tensors, config, &format!("{HEAD}.adaLN_modulation"), 2 * d, &[norm])?;
        let half = TIME_FEATURES / 2;
        let frequencies = (0..half).map(|i| 10_000_f64.powf(-(i as f64) / half as f64) as f32).collect();
        Ok(Self {
            input,
            frequencies: constant([half], frequencies)?,
            time_in: affine(time_in)?,
            time_out: affine(time_out)?,
            modulation: affine((modulation.weight, modulation.bias))?,
            blocks,
            unembed: unembedding(tensors, config)?,
        })
    }
}

/// What the names of the head's tensors begin with.
const HEAD: &str = "backbone.output_layer";

/// `[V, D + 4]`: each token's weights, its bias, and zeros.
fn unembedding(tensors: &mut Tensors, config: &Config) -> Result<Constant> {
    let (v, d) = (config.vocab_size, config.model_dim);
    let (weight, bias) = tensors.linear(&format!("{HEAD}.linear"), v, d)?;
    let mut all = memory::zeroed(WHAT, v * (d + BIAS_COLUMNS))?;
    for (wide, (row, bias)) in all.chunks_exact_mut(d + BIAS_COLUMNS).zip(weight.chunks_exact(d).zip(bias)) {
        wide[..d].copy_from_slice(row);
        wide[d] = bias;
    }
    constant([v, d + BIAS_COLUMNS], all)
}

impl Block {
    fn read(tensors: &mut Tensors, config: &Config, name: impl Fn(&str) -> String) -> Result<Self> {
        let (d, head_dim) = (config.model_dim, config.head_dim());
        let qkv = tensors.floats(&name("attn_qkv.weight"), &[3 * d, d])?;
        let part = |index: usize| &qkv[index * d * d..][..d * d];
        let mut all = neighbours(part(0), head_dim, d)?;
        memory::extend(WHAT, &mut all, neighbours(part(1), head_dim, d)?)?;
        memory::extend(WHAT, &mut all, part(2).iter().copied())?;
        Ok(Self {
            qkv: constant([3 * d, d], all)?,
            output: tensors.take(&name("attn_out.weight"), &[d, d])?,
            expand: affine(tensors.linear(&name("mlp.0"), 4 * d, d)?)?,
            contract: affine(tensors.linear(&name("mlp.2"), d, 4 * d)?)?,
        })
    }
}

/// The trained noise schedule wins over the configuration's; the other buffers of a checkpoint follow from it.
fn read_proposal(tensors: &mut Tensors, config: &mut Config) -> Result<()> {
    if let Schedule::Gumbel { loc, scale, .. } = &mut config.schedule {
        for (name, value) in [("proposal.loc", loc), ("proposal.scale", scale)] {
            if let Some(trained) = tensors.optional_floats(name, &[])? {
                *value = f64::from(trained[0]);
            }
        }
    }
    tensors.optional_floats("proposal.entropy", &[])?;
    tensors.optional_floats("backbone.rotary_emb.inv_freq", &[config.head_dim() / 2])?;
    Ok(())
}

/// Rows of the modulation, with each norm's own weight `w` folded into its scale: `w (1 + scale) - 1` is linear in c.
#[derive(Default)]
struct Modulation {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Modulation {
    /// Appends the `rows` rows of a block or of the head, which scale these `norms`.
    fn push(
        &mut self,
        tensors: &mut Tensors,
        config: &Config,
        name: &str,
        rows: usize,
        norms: &[(Chunks, String)],
    ) -> Result<()> {
        let (d, c) = (config.model_dim, config.time_dim);
        let (mut weight, mut bias) = tensors.linear(name, rows, c)?;
        for (chunks, norm) in norms {
            let own = tensors.floats(&format!("{norm}.weight"), &[d])?;
            let first = chunks.scale(d);
            let rows = weight[first * c..][..d * c].chunks_exact_mut(c);
            for ((row, bias), w) in rows.zip(&mut bias[first..][..d]).zip(own) {
                row.iter_mut().for_each(|x| *x *= w);
                *bias = w * *bias + (w - 1.0);
            }
        }
        memory::extend(WHAT, &mut self.weight, weight)?;
        memory::extend(WHAT, &mut self.bias, bias)
    }
}

/// Scales a row to the norm sqrt(D).
fn normalize(row: &mut [f32]) {
    let square: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let factor = (row.len() as f64).sqrt() / square.sqrt().max(1e-12);
    row.iter_mut().for_each(|x| *x = (f64::from(*x) * factor) as f32);
}

/// Rows `[D, D]` of a projection whose heads rotate the pairs (j, j + Dh/2), with the two of a pair side by side.
fn neighbours(weight: &[f32], head_dim: usize, d: usize) -> Result<Vec<f32>> {
    let half = head_dim / 2;
    let places = (0..d).map(|row| {
        let (head, j) = (row / head_dim * head_dim, row % head_dim);
        head + j / 2 + half * (j % 2)
    });
    rows(d * d, places.map(|row| &weight[row * d..][..d]))
}

/// `len` elements, row after row.
fn rows<'a>(len: usize, rows: impl Iterator<Item = &'a [f32]>) -> Result<Vec<f32>> {
    let mut all = memory::empty(WHAT, len)?;
    rows.for_each(|row| all.extend_from_slice(row));
    Ok(all)
}

/// `[D + 4, D]` and bias: the head's input followed by a 1, all of it divided by the temperature.
fn widen(d: usize, sharpening: Sharpening) -> Result<Affine> {
    if sharpening.emphasis != 0.0 {
        return Err(Error::argument(
            "the emphasis",
            sharpening.emphasis,
            "0: a LangFlow model has no `output.unigram`",
        ));
    }
    let factor = 1.0 / sharpening.temperature;
    let mut weight: Vec<f32> = memory::zeroed(WHAT, (d + BIAS_COLUMNS) * d)?;
    weight.iter_mut().step_by(d + 1).take(d).for_each(|x| *x = factor);
    let mut bias = memory::zeroed(WHAT, d + BIAS_COLUMNS)?;
    bias[d] = factor;
    affine((weight, bias))
}

fn constant(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Result<Constant> {
    Ok(Constant::new(Tensor::f32(shape, data)?))
}

/// A weight of as many rows as the bias has values, none of them empty.
fn affine((weight, bias): (Vec<f32>, Vec<f32>)) -> Result<Affine> {
    let outputs = bias.len();
    Ok((constant([outputs, weight.len() / outputs], weight)?, constant([outputs], bias)?))
}

impl Network for LangFlow {
    fn time(&self, g: &mut Graph, _: &Config, _: Sharpening, gamma: Value) -> Result<TimeRows> {
        let time = time(g, gamma, &self.frequencies, [&self.time_in, &self.time_out])?;
        let modulation = linear(g, time, &self.modulation.0, Some(&self.modulation.1), None)?;
        Ok(TimeRows { modulation, sharpened: None })
    }

    fn build(&self, g: &mut Graph, config: &Config, shape: &DenoiserShape, states: &States) -> Result<Head> {
        let d = config.model_dim;
        let norm_of = |chunks: Chunks| {
            let (shift_offset, scale_offset) = (chunks.shift(d), chunks.scale(d));
            Norm { kind: NormKind::Layer, eps: config.norm_eps, shift_offset, scale_offset }
        };
        let norm = |g: &mut Graph, x: Value, chunks: Chunks| g.push1(norm_of(chunks), &[Some(x), Some(states.time)]);
        let gated = |g: &mut Graph, x: Value, weight: &Constant, bias: Option<&Constant>, chunks: Chunks, rest| {
            let op = Linear { activation: Activation::None, gate_offset: chunks.gate(d) };
            let (weight, bias) = (g.constant(weight), bias.map(|bias| g.constant(bias)));
            g.push1(op, &[Some(x), Some(weight), bias, Some(rest), Some(states.time)])
        };
        let mut x = states.z;
        if let Some((on_state, on_last)) = &self.input {
            x = linear(g, states.z, on_state, None, Some(states.z))?;
            x = linear(g, states.x0, on_last, None, Some(x))?;
        }
        let (heads, rotary_dim) = (config.heads, config.rotary_dim);
        for (index, block) in self.blocks.iter().enumerate() {
            let chunks = Chunks::Attention(index);
            let op = Qkv { heads, kv_heads: heads, rotary_dim, norm: norm_of(chunks) };
            let weight = g.constant(&block.qkv);
            let projected = g.push(op, &[Some(x), Some(weight), None, Some(states.time), Some(states.rope)])?;
            let op = Attention { heads: Some(heads), ..Default::default() };
            let inputs = [Some(projected[0]), Some(projected[1]), Some(projected[2]), None, Some(states.lengths)];
            let attended = g.push(op, &inputs)?[0];
            x = gated(g, attended, &block.output, None, chunks, x)?;

            let chunks = Chunks::Forward(index);
            let h = norm(g, x, chunks)?;
            let hidden = activated(g, h, &block.expand, Activation::Gelu)?;
            x = gated(g, hidden, &block.contract.0, Some(&block.contract.1), chunks, x)?;
        }
        let hidden = norm(g, x, Chunks::Head(self.blocks.len()))?;
        let (weight, bias) = widen(d, shape.sharpening)?;
        let input = linear(g, hidden, &weight, Some(&bias), None)?;
        let unembed = g.constant(&self.unembed);
        Ok(Head { hidden, input, norm: None, unembed, anchor_prediction: None, routing: Vec::new() })
    }
}
