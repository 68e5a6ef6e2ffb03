//! Our own architecture: sparse attention with anchors, experts of different widths (`docs/MODEL.md`).

use std::path::Path;
use std::sync::Arc;

use crate::files::json;
use crate::graph::{Constant, Graph, Value};
use crate::model::config::Config;
use crate::model::network::{Affine, Chunks, DenoiserShape, Head, Network, States, TimeRows, linear, time};
use crate::model::sharpening::Sharpening;
use crate::model::weights::{Tensors, Weights};
use crate::ops::{Activation, Attention, Embedding, Linear, Norm, NormKind, Qkv, RoutedExperts, time_frequencies};
use crate::{Error, Result, Tensor, memory};

/// `format` in its `config.json`.
pub const FORMAT: &str = "drdiff-1";

/// The configuration that a `config.json` stands for. Contradictions are left to the caller's checks.
///
/// # Errors
/// If a field is missing, unknown or of another type.
pub fn config(path: &Path, text: &str) -> Result<Config> {
    json::parse(path, text, "a configuration of a drdiff model")
}

/// The weights of a checkpoint.
///
/// # Errors
/// If a tensor is missing or misshapen.
pub fn weights(tensors: &mut Tensors, c: &mut Config) -> Result<Weights> {
    Ok(Weights {
        embedding: tensors.take("embedding", &[c.vocab_size, c.embedding_dim])?,
        absorb: tensors.take("absorb", &[c.embedding_dim])?,
        network: Arc::new(DrDiff::read(tensors, c)?),
    })
}

/// Weights of the network.
#[derive(Debug)]
struct DrDiff {
    input_z: Constant,
    input_self: Constant,
    input_flag: Constant,
    input_place: Constant,
    frequencies: Constant,
    time_in: Affine,
    time_out: Affine,
    modulation: Affine,
    layers: Vec<Layer>,
    unembed: Constant,
    unigram: Option<Constant>,
    anchor: Affine,
}

/// Weights of one block.
#[derive(Debug)]
struct Layer {
    /// `[3 D, D]`: queries, keys, values.
    qkv: Constant,
    output: Constant,
    router: Constant,
    router_bias: Constant,
    router_difficulty: Constant,
    gate: Constant,
    up: Constant,
    down: Constant,
}

impl DrDiff {
    fn read(tensors: &mut Tensors, c: &Config) -> Result<Self> {
        let (d, de, t) = (c.model_dim, c.embedding_dim, c.time_dim);
        let mut take = |name: &str, shape: &[usize]| tensors.take(name, shape);
        let network = Self {
            input_z: take("input.z.weight", &[d, de])?,
            input_self: take("input.self.weight", &[d, de])?,
            input_flag: take("input.flag", &[3, d])?,
            input_place: take("input.place.weight", &[d, c.place_dim])?,
            frequencies: Constant::new(time_frequencies(t)?),
            time_in: (take("time.in.weight", &[t, t])?, take("time.in.bias", &[t])?),
            time_out: (take("time.out.weight", &[t, t])?, take("time.out.bias", &[t])?),
            modulation: (
                take("modulation.weight", &[c.modulation_len(), t])?,
                take("modulation.bias", &[c.modulation_len()])?,
            ),
            layers: (0..c.layers).map(|layer| Layer::read(tensors, c, layer)).collect::<Result<_>>()?,
            unembed: tensors.take("output.unembed", &[c.vocab_size, d])?,
            anchor: (tensors.take("anchor.weight", &[de, d])?, tensors.take("anchor.bias", &[de])?),
            unigram: tensors.take_optional("output.unigram", &[d])?,
        };
        if c.emphasis != 0.0 && network.unigram.is_none() {
            let which = format!("which an `emphasis` of {} needs", c.emphasis);
            return Err(tensors.lacking(format!("lacks the tensor `output.unigram`, {which}")));
        }
        Ok(network)
    }
}

impl Layer {
    fn read(tensors: &mut Tensors, c: &Config, layer: usize) -> Result<Self> {
        let (d, e, width) = (c.model_dim, c.expert_widths.len(), c.expert_width());
        let mut qkv = memory::empty("the projections of a layer", 3 * d * d)?;
        for part in ["query", "key", "value"] {
            qkv.extend(tensors.floats(&format!("layers.{layer}.attention.{part}.weight"), &[d, d])?);
        }
        let mut take = |name: &str, shape: &[usize]| tensors.take(&format!("layers.{layer}.{name}"), shape);
        Ok(Self {
            qkv: Constant::new(Tensor::f32([3 * d, d], qkv)?),
            output: take("attention.output.weight", &[d, d])?,
            router: take("router.weight", &[e, d])?,
            router_bias: take("router.bias", &[e])?,
            router_difficulty: take("router.difficulty", &[e])?,
            gate: take("experts.gate", &[width, d])?,
            up: take("experts.up", &[width, d])?,
            down: take("experts.down", &[d, width])?,
        })
    }
}

impl Network for DrDiff {
    fn time(&self, g: &mut Graph, config: &Config, sharpening: Sharpening, gamma: Value) -> Result<TimeRows> {
        let time = time(g, gamma, &self.frequencies, [&self.time_in, &self.time_out])?;
        // `[S, 6 L D + 2 D]`: shift, scale and gate of every layer.
        let modulation = linear(g, time, &self.modulation.0, Some(&self.modulation.1), None)?;
        let sharpened = match sharpening == Sharpening::default() {
            true => None,
            false => {
                let (weight, bias) = sharpened_modulation(sharpening, self, config.model_dim)?;
                Some(linear(g, time, &weight, Some(&bias), None)?)
            }
        };
        Ok(TimeRows { modulation, sharpened })
    }

    fn build(&self, g: &mut Graph, config: &Config, shape: &DenoiserShape, states: &States) -> Result<Head> {
        let mut net = Building { graph: g, config, shape, states };
        let mut x = net.input(self)?;
        let mut routing = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            x = net.attention(index, layer, x)?;
            let (next, indices) = net.experts(index, layer, x)?;
            x = next;
            routing.push(indices);
        }
        let (layers, dim) = (self.layers.len(), config.model_dim);
        let last = norm(config, Chunks::Head(layers));
        let hidden = g.push1(last, &[Some(x), Some(states.time)])?;
        let norm = match shape.sharpening == Sharpening::default() {
            true => [last.shift_offset, last.scale_offset],
            // What is sharpened comes behind.
            false => [config.modulation_len(), config.modulation_len() + dim],
        };
        let unembed = g.constant(&self.unembed);
        let anchor_prediction = Some(linear(g, hidden, &self.anchor.0, Some(&self.anchor.1), None)?);
        Ok(Head { hidden, input: x, norm: Some(norm), unembed, anchor_prediction, routing })
    }

    fn named(&self) -> Vec<(&'static str, &Constant)> {
        let unigram = self.unigram.as_ref().map(|unigram| ("output.unigram", unigram));
        [("output.unembed", &self.unembed)].into_iter().chain(unigram).collect()
    }
}

/// The network under construction: what every layer reads.
struct Building<'a> {
    graph: &'a mut Graph,
    config: &'a Config,
    shape: &'a DenoiserShape,
    states: &'a States,
}

impl Building<'_> {
    fn input(&mut self, w: &DrDiff) -> Result<Value> {
        let g = &mut *self.graph;
        let &States { flag, place, z, x0, .. } = self.states;
        let table = g.constant(&w.input_flag);
        let x = g.push1(Embedding, &[Some(table), Some(flag)])?;
        let x = linear(g, place, &w.input_place, None, Some(x))?;
        let x = linear(g, z, &w.input_z, None, Some(x))?;
        linear(g, x0, &w.input_self, None, Some(x))
    }

    fn attention(&mut self, index: usize, layer: &Layer, x: Value) -> Result<Value> {
        let (config, chunks) = (self.config, Chunks::Attention(index));
        let g = &mut *self.graph;
        let norm = norm(config, chunks);
        let (heads, rotary_dim) = (config.heads, config.rotary_dim);
        let weight = g.constant(&layer.qkv);
        let inputs = [Some(x), Some(weight), None, Some(self.states.time), Some(self.states.rope)];
        let projected = g.push(Qkv { heads, kv_heads: heads, rotary_dim, norm }, &inputs)?;
        let (q, k, v) = (projected[0], projected[1], projected[2]);
        let pattern = self.shape.level.pattern();
        let op = Attention { heads: Some(heads), pattern, ..Default::default() };
        let inputs = [q, k, v, self.states.globals, self.states.lengths].map(Some);
        let out = g.push(op, &inputs)?[0];
        let weight = g.constant(&layer.output);
        let project = Linear { activation: Activation::None, gate_offset: chunks.gate(config.model_dim) };
        g.push1(project, &[Some(out), Some(weight), None, Some(x), Some(self.states.time)])
    }

    /// The block's second half, and the chosen experts.
    fn experts(&mut self, index: usize, layer: &Layer, x: Value) -> Result<(Value, Value)> {
        let (config, chunks) = (self.config, Chunks::Forward(index));
        let g = &mut *self.graph;
        let Layer { router, router_bias, router_difficulty, gate, up, down, .. } = layer;
        let [router, bias, by_difficulty, gate, up, down] =
            [router, router_bias, router_difficulty, gate, up, down].map(|weight| g.constant(weight));
        let op = RoutedExperts {
            top_k: config.top_k,
            widths: config.expert_widths.clone(),
            eps: config.norm_eps,
            shift_offset: chunks.shift(config.model_dim),
            scale_offset: chunks.scale(config.model_dim),
            gate_offset: chunks.gate(config.model_dim),
        };
        let &States { difficulty, cost_bias, time, .. } = self.states;
        let inputs = [x, router, bias, difficulty, by_difficulty, gate, up, down, cost_bias, time].map(Some);
        let outputs = g.push(op, &inputs)?;
        Ok((outputs[0], outputs[1]))
    }
}

/// RMS norm with the shift and scale of `chunks`.
fn norm(config: &Config, chunks: Chunks) -> Norm {
    let (shift_offset, scale_offset) = (chunks.shift(config.model_dim), chunks.scale(config.model_dim));
    Norm { kind: NormKind::Rms, eps: config.norm_eps, shift_offset, scale_offset }
}

/// What its memory is called where it is refused.
const SHARPENED: &str = "the sharpened modulation";

/// What makes the last norm's `[2 D]` (shift, then scale) of a time state `[T]` where a step sharpens. With
/// `g = (1 + emphasis) / temperature`, the head then sees `g (y (1 + scale) + shift) - emphasis / temperature u`.
fn sharpened_modulation(sharpening: Sharpening, weights: &DrDiff, dim: usize) -> Result<Affine> {
    let Sharpening { temperature, emphasis } = sharpening;
    let last = |constant: &Constant, count: usize| -> Result<Vec<f32>> {
        let all = constant.tensor().as_f32().unwrap_or(&[]);
        memory::copied(SHARPENED, &all[all.len() - count..])
    };
    let time = weights.modulation.0.tensor().desc().last();
    let (weight, bias) = (last(&weights.modulation.0, 2 * dim * time)?, last(&weights.modulation.1, 2 * dim)?);

    let gain = (1.0 + emphasis) / temperature;
    let times = |own: &[f32]| memory::collected(SHARPENED, own.iter().map(|x| gain * x));
    let (weight, mut bias) = (times(&weight)?, times(&bias)?);
    bias[dim..].iter_mut().for_each(|scale| *scale += gain - 1.0);
    if emphasis != 0.0 {
        let Some(unigram) = weights.unigram.as_ref().and_then(|unigram| unigram.tensor().as_f32()) else {
            return Err(Error::argument("the emphasis", emphasis, "0: the model has no `output.unigram`"));
        };
        let factor = emphasis / temperature;
        bias.iter_mut().zip(unigram).for_each(|(shift, u)| *shift -= factor * u);
    }
    let (weight, bias) = (Tensor::f32([2 * dim, time], weight)?, Tensor::f32([2 * dim], bias)?);
    Ok((Constant::new(weight), Constant::new(bias)))
}
