//! The denoiser as a graph: one evaluation of a network and one update of the state.

use super::config::Config;
use super::network::{DenoiserShape, Head, States};
use super::time::row_len;
use super::weights::Weights;
use crate::graph::{Graph, Value};
use crate::ops::{FiniteCheck, SegmentMean, SolverStep, StepRow, VocabExpectation};
use crate::{Desc, Result};

/// Inputs and outputs of the denoiser's graph.
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
    /// `[M]`: what the network reads of the step's gamma, see [`Model::time_rows`](super::Model::time_rows).
    pub time: Value,
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
    /// If the shape exceeds what an op can index.
    pub(super) fn with(config: &Config, weights: &Weights, shape: &DenoiserShape) -> Result<Self> {
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
        let time = g.state(Desc::f32([row_len(config, weights, shape.sharpening)?]));
        let report = g.state(Desc::u32([2]));

        let states = States { z, x0, difficulty, flag, place, rope, globals, lengths, cost_bias, time };
        let head = weights.network.build(g, config, shape, &states)?;
        let Head { hidden, input, norm, unembed, anchor_prediction, routing } = head;

        let (absorb, embedding) = (g.constant(&weights.absorb), g.constant(&weights.embedding));
        let [shift_offset, scale_offset] = norm.unwrap_or_default();
        let expectation = VocabExpectation { eps: config.norm_eps, shift_offset, scale_offset };
        let query = match config.conventions.bayes_term {
            true => [z, absorb, step].map(Some),
            false => [None; 3],
        };
        let inputs = [&[input, unembed, embedding].map(Some)[..], &query, &[norm.map(|_| time)]].concat();
        let outputs = g.push_into(expectation, &inputs, &[Some(x0), None, Some(difficulty), None])?;
        let (lse, token) = (outputs[1], outputs[3]);
        if let Some(prediction) = anchor_prediction.filter(|_| !shape.inspect) {
            g.occasionally(prediction);
            g.occasionally(hidden);
        }
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
            time,
            token,
            report,
            hidden,
            anchor_prediction,
            routing,
        };
        Ok(Self { graph, handles })
    }
}
