//! The denoiser as a graph: one evaluation of the network and one update of the state.

use super::weights::{Architecture, DrDiff, LayerWeights};
use super::{Config, Level, Model, Sharpening, Weights, langflow};
use crate::graph::{Constant, Graph, Value};
use crate::ops::{
    Activation, Attention, BayesQuery, Embedding, Experts, FiniteCheck, Linear, Norm, NormKind, Rope, Router,
    SegmentMean, SolverStep, StepRow, TimeEmbedding, VocabExpectation, time_frequencies,
};
use crate::{Desc, Result, Tensor, memory};

/// What shapes a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct DenoiserShape {
    /// Sequences, B.
    pub batch: usize,
    /// Text positions of the longest sequence, N.
    pub positions: usize,
    /// The attention pattern and its anchors.
    pub level: Level,
    /// Whether SAS guidance is computed.
    pub guidance: bool,
    /// What is done to the network's logits at the steps that say so.
    pub sharpening: Sharpening,
    /// Keep what tests and pictures read: the last hidden state, the anchors' predictions and the routing.
    pub inspect: bool,
}

impl DenoiserShape {
    /// Rows of one sequence: anchors, then text.
    pub fn rows(&self) -> usize {
        self.level.anchors + self.positions
    }
}

/// What goes into the denoiser's graph and comes out.
#[derive(Clone, Debug)]
pub struct Handles {
    /// `[B, R, De]`: anchor states, then noisy or clean embeddings.
    pub z: Value,
    /// `[B, R, De]`: the last prediction; self-conditioning in, x0 out.
    pub x0: Value,
    /// `[B, R, De]`: the solver's history.
    pub history: Value,
    /// `[B, R]`: the last prediction's entropy in nats.
    pub difficulty: Value,
    /// u32 `[B, R]`: 0 noisy, 1 clean, 2 anchor.
    pub flag: Value,
    /// u32 `[B, R]`: flag + 4 segment.
    pub info: Value,
    /// u32 `[B]`: rows of each sequence.
    pub lengths: Value,
    /// `[B, R, P]`: features of each row's place.
    pub place: Value,
    /// `[R, rotary_dim / 2, 2]`: cosine and sine.
    pub rope: Value,
    /// u32 `[A]`: the anchors' rows.
    pub globals: Value,
    /// `[E]`: lambda times each expert's cost.
    pub cost_bias: Value,
    /// u32 `[B, 2]`.
    pub seeds: Value,
    /// `[16]`: see [`StepRow`].
    pub step: Value,
    /// u32 `[B, R]`: the most probable token.
    pub token: Value,
    /// u32 `[2]`: whether every row was finite so far, see [`FiniteCheck`].
    pub report: Value,
    /// `[B, R, D]`, with `inspect`.
    pub hidden: Value,
    /// `[B, R, De]` (anchor rows count), with `inspect`.
    pub anchor_prediction: Value,
    /// u32 `[B R, k]` for each layer, with `inspect`.
    pub routing: Vec<Value>,
}

/// What a network reads.
#[derive(Clone, Copy)]
pub(super) struct States {
    pub z: Value,
    pub x0: Value,
    pub difficulty: Value,
    pub flag: Value,
    pub place: Value,
    pub rope: Value,
    pub globals: Value,
    pub lengths: Value,
    pub cost_bias: Value,
    pub step: Value,
}

/// What a network gives the head.
pub(super) struct Head {
    /// `[B, R, D]`: the last hidden state.
    pub hidden: Value,
    /// `[B, R, K]`: what is multiplied by the unembedding.
    pub input: Value,
    /// `[V, K]`.
    pub unembed: Value,
    /// `[B, R, De]`, anchor rows count; `None` where the network has no anchors.
    pub anchor_prediction: Option<Value>,
    /// Chosen experts of each layer.
    pub routing: Vec<Value>,
}

/// A graph and its handles.
#[derive(Debug)]
pub struct Denoiser {
    /// One step.
    pub graph: Graph,
    /// Its values.
    pub handles: Handles,
}

impl Denoiser {
    /// Builds the graph; nothing is allocated.
    ///
    /// # Errors
    /// Where the shape exceeds what an op can index.
    pub fn new(model: &Model, shape: &DenoiserShape) -> Result<Self> {
        Self::with(model.config(), model.weights(), shape)
    }

    /// The same for weights that have no tokenizer beside them.
    pub(super) fn with(config: &Config, w: &Weights, shape: &DenoiserShape) -> Result<Self> {
        let (batch, rows, de) = (shape.batch, shape.rows(), config.embedding_dim);
        let mut graph = Graph::new();
        let g = &mut graph;
        let state = |g: &mut Graph| g.state(Desc::f32([batch, rows, de]));
        let (z, x0, history) = (state(g), state(g), state(g));
        let difficulty = g.state(Desc::f32([batch, rows]));
        let flag = g.state(Desc::u32([batch, rows]));
        let info = g.state(Desc::u32([batch, rows]));
        let lengths = g.state(Desc::u32([batch]));
        let place = g.state(Desc::f32([batch, rows, config.place_dim]));
        let rope = g.state(Desc::f32([rows, config.rotary_dim / 2, 2]));
        let globals = g.state(Desc::u32([shape.level.anchors]));
        let cost_bias = g.state(Desc::f32([config.expert_widths.len()]));
        let seeds = g.state(Desc::u32([batch, 2]));
        let step = g.state(StepRow::desc());
        let report = g.state(Desc::u32([2]));

        let states = States { z, x0, difficulty, flag, place, rope, globals, lengths, cost_bias, step };
        let head = match &w.architecture {
            Architecture::DrDiff(weights) => Network::build(g, config, weights, shape, &states)?,
            Architecture::LangFlow(weights) => langflow::build(g, weights, config, shape, &states)?,
        };
        let Head { hidden, input, unembed, anchor_prediction, routing } = head;

        let (absorb, embedding) = (g.constant(&w.absorb), g.constant(&w.embedding));
        let query = match config.has_bayes_term() {
            true => Some(g.push1(BayesQuery, &[Some(z), Some(absorb), Some(step)])?),
            false => None,
        };
        let inputs = [Some(input), Some(unembed), Some(embedding), query];
        let outputs = g.push_into(VocabExpectation, &inputs, &[Some(x0), None, Some(difficulty), None])?;
        let (lse, token) = (outputs[1], outputs[3]);
        // Without anchors it is never read.
        let anchor_prediction = anchor_prediction.unwrap_or_else(|| state(g));
        let anchors = shape.level.anchors;
        let mean = match shape.guidance {
            true => Some(g.push1(SegmentMean { anchors }, &[Some(x0), Some(lengths)])?),
            false => None,
        };
        let state = [z, x0, history, info, absorb, anchor_prediction].map(Some);
        let inputs = [&state[..], &[mean, Some(seeds), Some(step)]].concat();
        g.push(SolverStep { anchors }, &inputs)?;
        let inputs = [x0, z, lse, difficulty, input, lengths, step, report].map(Some);
        g.push(FiniteCheck, &inputs)?;

        g.keep(token);
        if shape.inspect {
            for value in [hidden, anchor_prediction].into_iter().chain(routing.iter().copied()) {
                g.keep(value);
            }
        }
        let handles = Handles {
            z,
            x0,
            history,
            difficulty,
            flag,
            info,
            lengths,
            place,
            rope,
            globals,
            cost_bias,
            seeds,
            step,
            token,
            report,
            hidden,
            anchor_prediction,
            routing,
        };
        Ok(Self { graph, handles })
    }
}

pub(super) fn linear(
    g: &mut Graph,
    x: Value,
    weight: &Constant,
    bias: Option<&Constant>,
    residual: Option<Value>,
) -> Result<Value> {
    let weight = g.constant(weight);
    let bias = bias.map(|bias| g.constant(bias));
    g.push1(Linear::default(), &[Some(x), Some(weight), bias, residual, None])
}

/// Our own network under construction: what every layer reads.
struct Network<'a> {
    graph: &'a mut Graph,
    config: &'a Config,
    weights: &'a DrDiff,
    shape: &'a DenoiserShape,
    states: &'a States,
    /// `[1, 6 L D + 2 D]`: shift, scale and gate of every layer at this time.
    modulation: Value,
}

impl<'a> Network<'a> {
    fn build(
        graph: &'a mut Graph,
        config: &'a Config,
        weights: &'a DrDiff,
        shape: &'a DenoiserShape,
        states: &'a States,
    ) -> Result<Head> {
        let mut net = Self { graph, config, weights, shape, states, modulation: states.step };
        let time = net.time(states.step)?;
        net.modulation = linear(net.graph, time, &weights.modulation.0, Some(&weights.modulation.1), None)?;
        let mut x = net.input()?;
        let mut routing = Vec::new();
        for (index, layer) in weights.layers.iter().enumerate() {
            x = net.attention(index, layer, x)?;
            let (next, indices) = net.experts(index, layer, x)?;
            x = next;
            routing.push(indices);
        }
        let hidden = net.norm(x, 6 * config.layers)?;
        let input = if shape.sharpening == Sharpening::default() {
            hidden
        } else {
            net.modulation = net.sharpened(states.step, time)?;
            net.norm(x, 0)?
        };
        let g = net.graph;
        let unembed = g.constant(&weights.unembed);
        let anchor_prediction = Some(linear(g, hidden, &weights.anchor.0, Some(&weights.anchor.1), None)?);
        Ok(Head { hidden, input, unembed, anchor_prediction, routing })
    }

    /// `[1, T]`: the time, as all modulations read it.
    fn time(&mut self, step: Value) -> Result<Value> {
        let (dim, w) = (self.config.time_dim, self.weights);
        let frequencies = time_frequencies(dim)?;
        let frequencies = Constant::new(frequencies);
        let g = &mut *self.graph;
        let frequencies = g.constant(&frequencies);
        let mut x = g.push1(TimeEmbedding { dim }, &[Some(step), Some(frequencies)])?;
        for (weight, bias) in [&w.time_in, &w.time_out] {
            let (weight, bias) = (g.constant(weight), g.constant(bias));
            let silu = Linear { activation: Activation::Silu, gate_offset: 0 };
            x = g.push1(silu, &[Some(x), Some(weight), Some(bias), None, None])?;
        }
        Ok(x)
    }

    /// `[1, 2 D]`: the last norm's shift and scale, sharpened where the step says so.
    fn sharpened(&mut self, step: Value, time: Value) -> Result<Value> {
        let dim = self.config.model_dim;
        let [own, added] = self.shape.sharpening.modulations(self.weights, dim)?;
        // Spreads one word of the step over a gate.
        let mut spread = memory::zeroed("the sharpened modulation", 2 * dim * StepRow::LEN)?;
        spread.iter_mut().skip(StepRow::SHARPEN).step_by(StepRow::LEN).for_each(|weight| *weight = 1.0);
        let spread = Constant::new(Tensor::f32([2 * dim, StepRow::LEN], spread)?);
        let g = &mut *self.graph;
        let gate = linear(g, step, &spread, None, None)?;
        let own = linear(g, time, &own.weight, Some(&own.bias), None)?;
        let [weight, bias] = [&added.weight, &added.bias].map(|constant| g.constant(constant));
        g.push1(Linear::default(), &[Some(time), Some(weight), Some(bias), Some(own), Some(gate)])
    }

    fn input(&mut self) -> Result<Value> {
        let (g, w) = (&mut *self.graph, self.weights);
        let &States { flag, place, z, x0, .. } = self.states;
        let table = g.constant(&w.input_flag);
        let x = g.push1(Embedding, &[Some(table), Some(flag)])?;
        let x = linear(g, place, &w.input_place, None, Some(x))?;
        let x = linear(g, z, &w.input_z, None, Some(x))?;
        linear(g, x0, &w.input_self, None, Some(x))
    }

    /// RMS norm with the shift and scale at chunk `chunk` of the modulation.
    fn norm(&mut self, x: Value, chunk: usize) -> Result<Value> {
        let config = self.config;
        let dim = config.model_dim;
        let norm = Norm {
            kind: NormKind::Rms,
            eps: config.norm_eps,
            shift_offset: chunk * dim,
            scale_offset: (chunk + 1) * dim,
        };
        self.graph.push1(norm, &[Some(x), Some(self.modulation)])
    }

    fn attention(&mut self, index: usize, layer: &LayerWeights, x: Value) -> Result<Value> {
        let config = self.config;
        let h = self.norm(x, 6 * index)?;
        let g = &mut *self.graph;
        let rope = Rope { heads: config.heads, rotary_dim: config.rotary_dim };
        let mut rotated = [h; 2];
        for (value, weight) in rotated.iter_mut().zip([&layer.query, &layer.key]) {
            let projected = linear(g, h, weight, None, None)?;
            *value = g.push1(rope, &[Some(projected), Some(self.states.rope)])?;
        }
        let v = linear(g, h, &layer.value, None, None)?;
        let op = Attention { heads: Some(config.heads), pattern: self.shape.level.pattern(), scale: None };
        let inputs =
            [Some(rotated[0]), Some(rotated[1]), Some(v), Some(self.states.globals), Some(self.states.lengths)];
        let out = g.push(op, &inputs)?[0];
        let weight = g.constant(&layer.output);
        let project = Linear { activation: Activation::None, gate_offset: (6 * index + 2) * config.model_dim };
        g.push1(project, &[Some(out), Some(weight), None, Some(x), Some(self.modulation)])
    }

    fn experts(&mut self, index: usize, layer: &LayerWeights, x: Value) -> Result<(Value, Value)> {
        let config = self.config;
        let h = self.norm(x, 6 * index + 3)?;
        let g = &mut *self.graph;
        let [router, bias, difficulty] =
            [&layer.router, &layer.router_bias, &layer.router_difficulty].map(|weight| g.constant(weight));
        let inputs = [Some(h), Some(router), Some(bias), Some(self.states.difficulty), Some(difficulty)];
        let logits = g.push1(Router, &inputs)?;
        let [gate, up, down] = [&layer.gate, &layer.up, &layer.down].map(|weight| g.constant(weight));
        let op = Experts {
            top_k: config.top_k,
            widths: config.expert_widths.clone(),
            gate_offset: (6 * index + 5) * config.model_dim,
        };
        let inputs = [h, logits, gate, up, down, self.states.cost_bias, x, self.modulation].map(Some);
        let outputs = g.push(op, &inputs)?;
        Ok((outputs[0], outputs[1]))
    }
}
